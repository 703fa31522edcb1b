//! Groups of the calendar.

use orzo_model::ops::Period;

use crate::vectors::{at, list, load};

#[test]
fn groups_start_where_the_reference_starts_them() {
    let file = load("calendar");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 57);
    for case in cases {
        for (letter, start) in case["groups_ns"].as_object().unwrap() {
            let got = Period::parse(letter).unwrap().start_of(at(case["t_ns"].as_u64().unwrap()));
            // The first week begins before the epoch; a label cannot.
            let expected = start.as_u64().unwrap_or(0);
            assert_eq!(got.ns(), expected, "{letter} of {}", case["t"]);
        }
    }
}
