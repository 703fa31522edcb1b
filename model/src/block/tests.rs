//! Every form of a column, every kind of stream, nasty values, garbage.

use std::collections::BTreeSet;

use super::form::{ABSENCES, CORRECTIONS, EXCEPTIONS, Form, OWN_BITS};
use super::grid::Grid;
use super::open::Columns;
use super::ordered::from_ordered;
use super::presence::Stored;
use super::scale::Unit;
use super::stream::{CODED, CONSTANT, PACKED, Stream};
use super::*;
use crate::method::MethodSet;
use crate::rollup;
use crate::time::Measure;
use proptest::prelude::*;

const WIDTH: u64 = 60;

fn width() -> Granularity {
    Granularity::from_ns(WIDTH).unwrap()
}

fn methods(names: &str) -> MethodSet {
    names.split_whitespace().map(|name| Method::parse(name).unwrap()).collect()
}

/// A run of the columns of these methods in slots 1000, 1001 …
fn run(columns: &[(Method, Vec<Option<f64>>)]) -> Run {
    let mut run = Run::new(width(), []);
    let buckets = columns.first().map_or(0, |(_, values)| values.len());
    (0..buckets as u64).for_each(|at| run.open_bucket(Timestamp::from_ns((1000 + at) * WIDTH).unwrap()));
    columns.iter().for_each(|(method, values)| run.add_column(*method, values.iter().copied()));
    run
}

fn one_column(values: &[f64]) -> Run {
    run(&[(Method::LAST, values.iter().copied().map(Some).collect())])
}

/// Six points a bucket.
fn rolled(points: &[f64], names: &str) -> Run {
    let point = |(at, value): (u64, &f64)| Measure {
        at: Timestamp::from_ns(1000 * WIDTH + at * WIDTH / 6).unwrap(),
        value: *value,
    };
    let points: Vec<Measure> = (0..).zip(points).map(point).collect();
    rollup::rollup(&points, width(), &methods(names), Timestamp::EPOCH)
}

fn bits(column: &Column) -> Vec<(Timestamp, u64)> {
    column.iter().map(|(start, value)| (start, value.to_bits())).collect()
}

/// What is written is read, whole and one by one.
fn check(run: &Run) -> Vec<u8> {
    let bytes = encode(run, 7);
    let (seq, whole) = decode_run(&bytes, run.width()).unwrap();
    assert_eq!((seq, whole.starts()), (7, run.starts()));
    assert_eq!(whole.columns().count(), run.columns().count());
    for (method, _) in run.columns() {
        let one = decode(&bytes, run.width(), method).unwrap();
        assert_eq!(one.seq, 7);
        assert_eq!(bits(&one.column), bits(&run.column(method)), "{method}");
        assert_eq!(bits(&whole.column(method)), bits(&run.column(method)), "{method}");
    }
    let ends = run.starts().first().copied().zip(run.starts().last().copied());
    assert_eq!(span(&bytes, run.width()), Ok(Span { seq: 7, buckets: run.starts().len(), ends }));
    bytes
}

/// The form and the first byte of a method's column.
fn form_of(bytes: &[u8], method: &str) -> (Form, u8, Option<Stored>) {
    let (_, slots, mut reader) = open_head(bytes).unwrap();
    slots.starts(&mut reader, width()).unwrap();
    let columns = Columns::decode(&mut reader, slots.count()).unwrap();
    let index = columns.methods().position(|known| known == Method::parse(method).unwrap()).unwrap();
    let mut reader = Reader::new(columns.bytes(index));
    let head = reader.byte().unwrap();
    let stored = (head & ABSENCES != 0).then(|| Stored::decode(&mut reader, slots.count()).unwrap());
    (Form::decode(head, &mut reader).unwrap(), head, stored)
}

/// Noise that is the same everywhere.
fn noise(count: usize) -> impl Iterator<Item = u64> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(1u64), next).skip(9).take(count).map(|state| state >> 20)
}

fn values(count: usize, value: impl Fn(u64) -> f64) -> Vec<f64> {
    noise(count).map(value).collect()
}

macro_rules! check_form {
    ($values:expr, $form:pat, $flags:expr) => {{
        let bytes = check(&one_column(&$values));
        let (form, head, _) = form_of(&bytes, "last");
        assert!(matches!(form, $form), "{form:?}");
        assert_eq!(head & !OWN_BITS, $flags, "{form:?}");
        bytes.len()
    }};
}

#[test]
fn values_are_stored_in_the_form_that_suits_them() {
    const INTEGER: Unit = Unit::Decimal { places: 0, multiple: 1 };
    check_form!(values(500, |r| (r % 1000) as f64), Form::Grid(Grid::Even(INTEGER, _)), 0);
    check_form!(
        values(500, |r| (r % 1000) as f64 / 100.0),
        Form::Grid(Grid::Even(Unit::Decimal { places: 2, multiple: 1 }, _)),
        0
    );
    check_form!(
        values(500, |r| (r % 1000) as f64 * 4096.0),
        Form::Grid(Grid::Even(Unit::Decimal { places: 0, multiple: 4096 }, _)),
        0
    );
    check_form!(
        values(500, |r| (r % (1 << 40)) as f64 / 1_099_511_627_776.0),
        Form::Grid(Grid::Even(Unit::Binary { exponent: -40 }, _)),
        0
    );
    check_form!(
        values(500, |r| (r % 1000) as f64 * [1.0, 10.0, 100.0, 1000.0][r as usize % 4]),
        Form::Grid(Grid::Significant(INTEGER, ..)),
        0
    );
    check_form!(
        values(500, |r| f64::from(f32::from_bits(r as u32 & 0x3fff_ffff))),
        Form::Grid(Grid::Bits(29)),
        0
    );
    check_form!(values(500, |r| (r % 1000) as f64 / 10.0 / (1 + r % 40) as f64), Form::Fraction { .. }, 0);
    check_form!(
        values(500, |r| [0.1f64.sqrt(), f64::NAN, -0.0, 1e300][r as usize % 4]),
        Form::Dictionary { more: 3 },
        0
    );
}

#[test]
fn what_a_form_cannot_say_is_stored_beside_it() {
    let sums = values(500, |r| (0..r % 7).fold(0.0, |sum, i| sum + (r % (99 + i)) as f64 / 10.0));
    check_form!(sums, Form::Grid(Grid::Even(Unit::Decimal { places: 1, .. }, _)), CORRECTIONS);
    let holes = values(500, |r| if r % 50 == 0 { f64::INFINITY } else { (r % 1000) as f64 });
    check_form!(holes, Form::Grid(Grid::Even(..)), EXCEPTIONS);
    let both = values(500, |r| [f64::NAN, -0.0, 3.0][r as usize % 300 / 100]);
    check_form!(both, _, 0);
}

#[test]
fn columns_follow_from_others() {
    let six = "mean min max sum std count";
    let points = values(6 * 300, |r| (r % 100) as f64 / 10.0);
    let bytes = check(&rolled(&points, six));
    assert!(matches!(form_of(&bytes, "mean").0, Form::Quotient(1, 0)));
    assert!(matches!(form_of(&bytes, "min").0, Form::Grid(_) | Form::Near(..)));
    assert!(matches!(form_of(&bytes, "std").0, Form::Deviation { mean: 2, count: 0, .. }));
    let mut level = 1000.0;
    let walk: Vec<f64> = noise(6 * 300)
        .map(|r| {
            level += (r % 11) as f64 - 5.0;
            level
        })
        .collect();
    let bytes = check(&rolled(&walk, six));
    assert!(matches!(form_of(&bytes, "max").0, Form::Near(..)));
    let bytes = check(&rolled(&points[..1], six));
    assert!(matches!(form_of(&bytes, "max").0, Form::Copy(_)));
}

#[test]
fn absent_values_are_stored_in_the_way_that_suits_them() {
    let some = |r: u64, keep: bool| keep.then_some((r % 1000) as f64);
    let present: Vec<Option<f64>> = noise(500).map(|r| some(r, true)).collect();
    let holes: Vec<Option<f64>> = noise(500).map(|r| some(r, r % 3 > 0)).collect();
    let other: Vec<Option<f64>> = noise(500).map(|r| some(r * 7, r % 3 > 0)).collect();
    let counts: Vec<Option<f64>> =
        holes.iter().map(|v| Some(1.0 + f64::from(u8::from(v.is_some())))).collect();
    let bytes = check(&run(&[(Method::LAST, present), (Method::MIN, holes.clone()), (Method::MAX, other)]));
    assert!(form_of(&bytes, "last").2.is_none());
    assert!(matches!(form_of(&bytes, "min").2, Some(Stored::Runs(_))));
    assert!(matches!(form_of(&bytes, "max").2, Some(Stored::As(_))));
    let bytes = check(&run(&[(Method::COUNT_OF, counts), (Method::STD, holes)]));
    assert!(matches!(form_of(&bytes, "std").2, Some(Stored::AboveOne(0))));
    let bytes = check(&run(&[(Method::STD, vec![None; 500])]));
    assert!(bytes.len() < 24, "{}", bytes.len());
}

#[test]
fn streams_are_stored_in_the_way_that_suits_them() {
    let kind = |numbers: Vec<i64>| {
        let mut out = Vec::new();
        Stream::new(numbers.clone()).encode(&mut out);
        let mut reader = Reader::new(&out);
        assert_eq!(stream::decode(&mut reader, numbers.len()).unwrap().spread(), numbers);
        assert!(reader.is_empty());
        (out[0] & 3, (out[0] >> 2) & 7, out[0] >> 5)
    };
    let random = |count, below: u64| noise(count).map(|r| (r % below) as i64).collect::<Vec<_>>();
    assert_eq!(kind(vec![-5; 100]), (CONSTANT, 0, 0));
    assert_eq!(kind((0..100).map(|i| 7 * i).collect()), (CONSTANT, 1, 0));
    assert_eq!(kind((0..100).map(|i| i * i - 9).collect()), (CONSTANT, 2, 0));
    assert_eq!(kind((0..100).map(|i| i * i * i * i * i * i * i).collect()), (CONSTANT, 7, 0));
    assert_eq!(kind(random(10, 1000)), (PACKED, 0, 0));
    assert_eq!(kind(random(5000, 1 << 16)), (PACKED, 0, 0));
    assert_eq!(kind(random(5000, 20_001)), (CODED, 0, 0));
    assert_eq!(kind(vec![i64::MIN, 0, i64::MAX, i64::MIN]), (PACKED, 0, 0));
    let walk = random(5000, 9)
        .iter()
        .scan(0, |sum, step| {
            *sum += step;
            Some(*sum)
        })
        .collect();
    assert!(matches!(kind(walk), (CODED, 1.., _)));
    let drift = (0..).zip(random(5000, 900)).map(|(i, r): (i64, i64)| r + (i * i / 2000)).collect();
    assert!(kind(drift).2 > 0);
}

#[test]
fn slots_with_gaps_come_back() {
    for gap in [0, 1, 59, 1 << 40] {
        let mut run = Run::new(width(), []);
        let mut slot = 0;
        for r in noise(300) {
            slot += 1 + if r % 5 == 0 { gap } else { 0 };
            run.open_bucket(Timestamp::from_ns(slot * WIDTH).unwrap());
        }
        run.add_column(Method::LAST, (0..300).map(|at| Some(f64::from(at))));
        check(&run);
    }
    check(&Run::new(width(), []));
    check(&Run::new(width(), [Method::LAST, Method::MAX]));
}

#[test]
fn a_block_takes_so_many_buckets_and_no_more() {
    let bytes = check(&one_column(&vec![1.0; BUCKETS_MAX]));
    assert!(bytes.len() < 32);
    let longer = std::panic::catch_unwind(|| encode(&one_column(&vec![1.0; BUCKETS_MAX + 1]), 0));
    assert!(longer.is_err());
}

#[test]
fn the_wrong_width_is_an_error() {
    let bytes = encode(&one_column(&[1.0, 2.0]), 0);
    let wide = Granularity::from_ns(i64::MAX as u64).unwrap();
    assert_eq!(decode(&bytes, wide, Method::LAST).err(), Some(Corrupt));
    assert_eq!(span(&bytes, wide), Err(Corrupt));
    assert!(decode(&bytes, width(), Method::MAX).unwrap().column.is_empty());
}

/// Doubles of one kind or of all.
fn nasty() -> impl Strategy<Value = Vec<f64>> {
    let special = [
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        f64::MIN,
        1e22,
        9_007_199_254_740_993.0,
        0.1,
        -1.5,
    ];
    let special = proptest::sample::select(special.to_vec());
    let any_bits = any::<u64>().prop_map(f64::from_bits);
    let integer = (-1000i64..1000).prop_map(|n| n as f64);
    let decimal = (-100_000i64..100_000, 0..6).prop_map(|(n, places)| n as f64 / 10f64.powi(places));
    let fraction = (1i64..10_000, 1i64..60).prop_map(|(n, d)| n as f64 / d as f64);
    let large = any::<i64>().prop_map(|n| n as f64);
    let near = any::<i16>().prop_map(|n| from_ordered(super::ordered::ordered(1e9) + i64::from(n)));
    let one = prop_oneof![
        special,
        any_bits,
        integer.clone(),
        decimal.clone(),
        fraction.clone(),
        large.clone(),
        near.clone()
    ]
    .boxed();
    let many = |kind: BoxedStrategy<f64>| proptest::collection::vec(kind, 0..200);
    prop_oneof![
        many(one.clone()),
        many(integer.boxed()),
        many(decimal.boxed()),
        many(fraction.boxed()),
        many(large.boxed()),
        many(near.boxed()),
        (one.clone(), 0usize..200).prop_map(|(value, count)| vec![value; count]),
        (proptest::collection::vec(one, 1..4), proptest::collection::vec(0usize..4, 0..200))
            .prop_map(|(few, at)| at.iter().map(|at| few[at % few.len()]).collect()),
    ]
}

/// Columns of several methods over the same buckets, some values absent.
fn nasty_run() -> impl Strategy<Value = Run> {
    let method = (0..Method::COUNT as u8).prop_map(|index| Method::from_index(index).unwrap());
    let usual = proptest::sample::select(
        methods("count sum mean min max std last median rate:mean").iter().collect::<Vec<_>>(),
    );
    let method = prop_oneof![3 => usual, 1 => method];
    let holes = prop_oneof![Just(0u64), any::<u64>()];
    proptest::collection::vec((method, nasty(), holes), 1..7).prop_map(|columns| {
        let buckets = columns.iter().map(|(_, values, _)| values.len()).max().unwrap_or(0);
        let mut seen = BTreeSet::new();
        let columns: Vec<_> = columns
            .into_iter()
            .filter(|(method, ..)| seen.insert(*method))
            .map(|(method, values, holes)| {
                let value = |at: usize| values.get(at % values.len().max(1)).copied();
                let kept = |at: usize| holes.rotate_left(at as u32 * 7) & 1 == 0;
                (method, (0..buckets).map(|at| value(at).filter(|_| kept(at))).collect())
            })
            .collect();
        run(&columns)
    })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(run in nasty_run()) {
        check(&run);
    }

    #[test]
    fn rollups_are_read_as_they_were(
        points in nasty(),
        names in proptest::sample::select(vec![
            "mean min max sum std count",
            "sum count mean min max median 25pct 75pct first",
            "mean count std",
            "mean",
            "min max median 5pct 95pct",
            "rate:mean rate:sum rate:count rate:std last first",
            "sum count mean rate:mean rate:max",
        ]),
    ) {
        check(&rolled(&points, names));
    }

    #[test]
    fn garbage_is_an_error_not_a_panic(mut bytes: Vec<u8>) {
        bytes.splice(0..0, [VERSION, 0]);
        seal(&mut bytes);
        let _ = decode(&bytes, width(), Method::MEAN);
        let _ = decode_run(&bytes, width());
    }

    /// Changed bytes with the right checksum: what only a bug of ours could have written.
    #[test]
    fn a_changed_block_is_an_error_or_other_values(
        run in nasty_run(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let sealed = encode(&run, 1);
        let mut body = sealed[..sealed.len() - 4].to_vec();
        changes.iter().for_each(|(at, byte)| { let at = at.index(body.len()); body[at] = *byte });
        for mut body in [body[..cut.index(body.len())].to_vec(), body] {
            seal(&mut body);
            let _ = span(&body, width());
            let _ = decode_run(&body, width());
        }
    }
}
