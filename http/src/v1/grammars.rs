//! What bodies and lines are read by, for fuzzing alone: any bytes in, whether they were accepted out.

use orzo_model::Timestamp;

use super::batch_body::{read_by_id, read_by_resource};
use super::filter_body;
use super::influx_line::read_line;
use crate::json::Value;
use crate::schema::Node;

/// A JSON body: what is read and written reads the same again.
pub fn json(bytes: &[u8]) -> bool {
    let Ok(value) = Value::parse(bytes) else { return false };
    let text = value.to_text();
    let again = Value::parse(text.as_bytes()).expect("what is written can be read");
    assert_eq!(again.to_text(), text);
    true
}

/// A resource filter in JSON.
pub fn filter(bytes: &[u8]) -> bool {
    Value::parse(bytes).is_ok_and(|value| filter_body::from_json(Node::root(&value), "admin").is_ok())
}

/// A resource filter as text.
pub fn filter_text(text: &str) -> bool {
    filter_body::from_text(text, "admin").is_ok()
}

/// A line of InfluxDB's protocol that says something.
pub fn influx_line(text: &str) -> bool {
    let Ok(Some(line)) = read_line(text) else { return false };
    line.fields.keys().for_each(|field| assert!(!line.metric_name(field).contains('/')));
    true
}

/// A batch of measures by id, or by resource and name.
pub fn batch(bytes: &[u8], now: Timestamp) -> bool {
    let by_id = read_by_id(bytes, now).is_ok();
    read_by_resource(bytes, "admin", now).is_ok() || by_id
}
