//! Grouping by the history of resources.

use std::collections::BTreeMap;

use orzo_model::ops::{Answer, Answers, Expr, Period};
use orzo_model::ops::{Fill, Holes, Revision, Span, Total, spans};
use orzo_model::timetext::parse_timestamp;
use orzo_model::{Granularity, Timestamp};
use serde_json::{Value, json};

use crate::aggregates::{Named, answer};
use crate::vectors::{Row, assert_rows, list, load, maybe_at, rows, text};
use crate::world::Metric;

fn metrics(case: &Value) -> Vec<Named> {
    let named = |metric: &Value| Named {
        id: text(&metric["resource_id"]).to_owned(),
        name: text(&metric["name"]).to_owned(),
        resource: Some(text(&metric["resource_id"]).to_owned()),
        metric: Metric::new(&case["policy"], &metric["batches"]),
    };
    list(&case["metrics"]).iter().map(named).collect()
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| parse_timestamp(text, Timestamp::EPOCH).unwrap())
}

/// Each revision with the span it covers.
fn covered(case: &Value) -> Vec<(&Value, Span)> {
    let query = Span { start: maybe_at(&case["start_ns"]), stop: maybe_at(&case["stop_ns"]) };
    let mut by_resource: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for revision in list(&case["revisions"]) {
        by_resource.entry(text(&revision["id"])).or_default().push(revision);
    }
    let mut covered = Vec::new();
    for revisions in by_resource.into_values() {
        let times = |revision: &&Value| Revision {
            start: instant(&revision["revision_start"]).unwrap(),
            end: instant(&revision["revision_end"]),
        };
        let found = spans(&revisions.iter().map(times).collect::<Vec<_>>(), query);
        covered.extend(revisions.into_iter().zip(found).filter_map(|(one, span)| Some((one, span?))));
    }
    covered
}

fn groups(case: &Value) -> BTreeMap<String, Vec<Row>> {
    let (expr, metrics) = (Expr::parse(&case["operations"]).unwrap(), metrics(case));
    let hour = Granularity::from_ns(3_600_000_000_000).unwrap();
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for (revision, span) in covered(case) {
        let here = |named: &&Named| named.resource.as_deref() == revision["id"].as_str();
        let series: Vec<(usize, &Named)> = metrics
            .iter()
            .filter(here)
            .filter(|named| named.name == expr.references()[0].name)
            .map(|named| (0, named))
            .collect();
        if series.is_empty() || !expr.is_aggregated() {
            continue;
        }
        let bounds = json!({
            "start_ns": span.start.map(Timestamp::ns), "stop_ns": span.stop.map(Timestamp::ns),
        });
        let printed = answer(&expr, &series, &bounds, Holes::Fill(Fill::Drop)).unwrap();
        let column = printed.aggregated.iter().map(|row| (crate::vectors::at(row.0), row.2)).collect();
        let found = Answer { period: Period::Span(hour), series: Answers::Aggregated(column) };
        let attributes = list(&case["groupby"]).iter().map(|name| (text(name), &revision[text(name)]));
        let group = json!(attributes.collect::<BTreeMap<_, _>>()).to_string();
        totals.entry(group).or_default().add(hour, &found, span);
    }
    totals.retain(|_, total| !total.is_empty());
    let print = |total: &Total| total.rows().flat_map(|(period, column)| rows(period, &column)).collect();
    totals.iter().map(|(group, total)| (group.clone(), print(total))).collect()
}

/// The two cases in which the reference loses resources; the contract says what to do instead.
fn corrected(case: &Value) -> Value {
    let row = |hour: u64, value: f64| {
        json!([1_583_834_400_000_000_000 + hour * 3_600_000_000_000, 3_600_000_000_000_u64, value])
    };
    match text(&case["id"]) {
        "two-resources-same-start" => json!([row(0, 140.0), row(1, 140.0)]),
        "two-resources-different-start" => json!([row(0, 140.0), row(1, 160.0)]),
        other => panic!("{other} is marked as a quirk"),
    }
}

#[test]
fn groups_equal_the_reference() {
    let file = load("aggregates-history");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 10);
    for case in cases {
        let got = groups(case);
        let context = text(&case["id"]);
        let expected = list(&case["expect"]["groups"]);
        assert_eq!(got.len(), expected.len(), "{context}: {got:?}");
        for group in expected {
            let small = group["group"]["flavor"] == "small";
            let corrected = (case["quirk"].is_string() && small).then(|| corrected(case));
            let rows = corrected.as_ref().unwrap_or(&group["aggregated"]);
            assert_rows(&got[&group["group"].to_string()], rows, 1e-12, context);
        }
    }
}
