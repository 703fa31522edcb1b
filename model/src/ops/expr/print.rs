//! Trees back to the list form, and lists to the reference's way of printing them.

use std::fmt;

use serde_json::{Value, json};

use super::node::{Metric, Node};
use super::{Expr, Reference};
use crate::ops::period::Period;
use crate::time::Granularity;
use crate::timetext::timespan_from_seconds;

/// The list form of a tree over these references.
pub(super) fn json(node: &Node, references: &[Reference]) -> Value {
    let sub = |node: &Node| json(node, references);
    match node {
        Node::Number(number) => from_number(*number),
        Node::Metric(metric) => from_metric(metric, references),
        Node::Aggregate(across, series) => json!(["aggregate", across.to_string(), sub(series)]),
        Node::Rolling(across, window, series) => json!(["rolling", across.to_string(), window, sub(series)]),
        Node::Resample(method, period, series) => {
            json!(["resample", method.to_string(), from_period(*period), sub(series)])
        }
        Node::Change(change, series) => json!([change.text(), sub(series)]),
        Node::Unary(operator, operand) => json!([operator.text, sub(operand)]),
        Node::Binary(operator, left, right) => json!([operator.text, sub(left), sub(right)]),
        Node::Clip(series, low, None) => json!(["clip", sub(series), sub(low)]),
        Node::Clip(series, low, Some(high)) => json!(["clip", sub(series), sub(low), sub(high)]),
    }
}

fn from_metric(metric: &Metric, references: &[Reference]) -> Value {
    let mut list = vec![Value::from("metric")];
    for &index in &metric.references {
        let Reference { name, method } = &references[index];
        match metric.pairs {
            true => list.push(json!([name, method])),
            false => list.extend([Value::from(name.as_str()), Value::from(method.as_str())]),
        }
    }
    Value::Array(list)
}

/// JSON has no NaN and no infinity: they become texts.
fn from_number(number: f64) -> Value {
    let text = match number {
        _ if number.is_finite() => return Value::from(number),
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    Value::from(text)
}

fn from_period(period: Period) -> Value {
    match period {
        Period::Span(span) => Value::from(seconds(span)),
        Period::Calendar(unit) => Value::from(unit.letter()),
    }
}

/// Seconds that are read as this span: reading cuts what is below a nanosecond, so they may have to be a bit more.
fn seconds(span: Granularity) -> f64 {
    let seconds = span.seconds();
    if timespan_from_seconds(seconds) == Ok(span) { seconds } else { seconds.next_up() }
}

/// The reference's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// As inside of a list: texts are quoted.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("'{key}': {}", text(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// As by itself: texts are bare.
pub(super) fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| text(value), str::to_owned)
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.to_json()))
    }
}
