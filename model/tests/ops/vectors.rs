//! Vector files, and how their answers are compared.

use orzo_model::ops::Period;
use orzo_model::{Column, Timestamp};
use serde_json::Value;

/// A row of an answer: label and value, and the granularity in nanoseconds or a calendar letter.
pub(crate) type Row = (u64, Value, f64);

pub(crate) fn load(name: &str) -> Value {
    let path = format!("{}/../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| text(value).parse().unwrap())
}

pub(crate) fn at(ns: u64) -> Timestamp {
    Timestamp::from_ns(ns).unwrap()
}

pub(crate) fn maybe_at(value: &Value) -> Option<Timestamp> {
    value.as_u64().map(at)
}

/// The rows of one series, as the API prints them.
pub(crate) fn rows(period: Period, column: &Column) -> Vec<Row> {
    let printed = match period {
        Period::Span(span) => Value::from(span.ns()),
        Period::Calendar(unit) => Value::from(unit.letter()),
    };
    column.iter().map(|(label, value)| (label.ns(), printed.clone(), value)).collect()
}

#[track_caller]
pub(crate) fn assert_rows(got: &[Row], expected: &Value, relative: f64, context: &str) {
    let expected: Vec<Row> = list(expected)
        .iter()
        .map(|row| (row[0].as_u64().unwrap(), row[1].clone(), number(&row[2])))
        .collect();
    let labels = |rows: &[Row]| rows.iter().map(|row| (row.0, row.1.clone())).collect::<Vec<_>>();
    assert_eq!(labels(got), labels(&expected), "{context}");
    for (got, expected) in got.iter().zip(&expected) {
        assert!(close(got.2, expected.2, relative), "{context}: {got:?}, expected {expected:?}");
    }
}

pub(crate) fn close(got: f64, expected: f64, relative: f64) -> bool {
    got == expected
        || (got.is_nan() && expected.is_nan())
        || (got - expected).abs() <= (relative * expected.abs()).max(1e-12)
}
