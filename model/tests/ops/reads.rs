//! `GET measures` with `resample`.

use orzo_model::ops::{Period, Resample};
use orzo_model::{Column, Granularity, Method, Timestamp};
use serde_json::Value;

use crate::vectors::{Row, assert_rows, list, load, maybe_at, rows, text};
use crate::world::Metric;

fn period(value: &Value) -> Period {
    match value {
        Value::String(letter) => Period::parse(letter).unwrap(),
        ns => Period::Span(Granularity::from_ns(ns.as_u64().unwrap()).unwrap()),
    }
}

/// What a store returns for a range.
fn fetch(column: &Column, start: Option<Timestamp>, stop: Option<Timestamp>) -> Column {
    let wanted =
        |label: Timestamp| start.is_none_or(|start| label >= start) && stop.is_none_or(|s| label < s);
    column.iter().filter(|(label, _)| wanted(*label)).collect()
}

fn read(metric: &Metric, query: &Value) -> Vec<Row> {
    let method = Method::parse(text(&query["aggregation"])).unwrap();
    let granularity = Granularity::from_ns(query["granularity_ns"].as_u64().unwrap()).unwrap();
    let (start, stop) = (maybe_at(&query["start_ns"]), maybe_at(&query["stop_ns"]));
    let period = period(&query["resample"]);
    let resample = Resample::new(granularity, method, period, start, stop).unwrap();
    let stored = metric.column(method, granularity);
    let fetched = fetch(&stored, resample.read_start(), resample.read_stop());
    rows(period, &resample.apply(&fetched))
}

#[test]
fn resampled_reads_equal_the_reference() {
    let (mut compared, mut refused_there) = (0, 0);
    for case in list(&load("read-measures")["cases"]) {
        let metric = Metric::new(&case["policy"], &case["batches"]);
        for query in list(&case["queries"]).iter().filter(|query| !query["resample"].is_null()) {
            let got = read(&metric, query);
            if query["gnocchi_error"].is_string() {
                // A calendar with a start: the group of the start is the first one, and whole.
                let open = read(
                    &metric,
                    &serde_json::json!({
                        "aggregation": query["aggregation"],
                        "granularity_ns": query["granularity_ns"],
                        "resample": query["resample"],
                    }),
                );
                assert_eq!(got, open[1..], "10 February is in the second of the months read");
                refused_there += 1;
                continue;
            }
            assert_rows(&got, &query["expect"], 1e-9, &format!("{} {query}", case["id"]));
            compared += 1;
        }
    }
    assert_eq!((compared, refused_there), (91, 1));
}

#[test]
fn rates_have_no_calendar() {
    let day = Granularity::from_ns(86_400_000_000_000).unwrap();
    let rate = Method::parse("rate:mean").unwrap();
    let refusal = Resample::new(day, rate, Period::parse("M").unwrap(), None, None).unwrap_err();
    assert_eq!(refusal.reason, "'rate:mean' cannot be resampled by the calendar");
    assert!(Resample::new(day, rate, Period::parse("7d").unwrap(), None, None).is_ok());
}
