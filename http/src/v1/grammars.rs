//! What bodies and lines are read by, for fuzzing alone: any bytes in, whether they were accepted out.

use hyper::HeaderMap;
use orzo_model::{Method, MethodSet, Timestamp};

use super::batch_body::{read_by_id, read_by_resource};
use super::influx_line::{Times, read_line};
use super::resource_body::{Purpose, ResourceBody, Terms};
use super::{archive_policy, archive_policy_rule, filter_body, metric_body, resource_type, type_patch};
use crate::accept::Accept;
use crate::error::{ApiError, Outcome};
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

/// Attributes of all kinds.
const ATTRIBUTES: &str = r#"{"name": "fuzzed", "attributes": {
    "text": {"type": "string", "required": false, "min_length": 1, "max_length": 9},
    "uuid": {"type": "uuid", "required": false},
    "number": {"type": "number", "required": false, "min": -1, "max": 1e9},
    "bool": {"type": "bool", "required": false},
    "time": {"type": "datetime", "required": true}}}"#;

/// A body that makes or changes an object of some kind. What is wrong with it can be told.
pub fn object(bytes: &[u8], now: Timestamp) -> bool {
    let Ok(value) = Value::parse(bytes) else { return false };
    let (body, creator) = (Node::root(&value), "admin");
    let attributes = Value::parse(ATTRIBUTES.as_bytes()).expect("it is JSON");
    let resource_type = resource_type::read_type(Node::root(&attributes)).expect("it is a type");
    let resource = |purpose| {
        ResourceBody::read(body, Terms { resource_type: &resource_type, purpose, creator, now }).map(drop)
    };
    let outcomes: [Outcome<()>; 7] = [
        archive_policy::read_policy(body, MethodSet::from_iter([Method::MEAN])).map(drop),
        archive_policy_rule::read_rule(body).map(drop).map_err(ApiError::from),
        resource_type::read_type(body).map(drop).map_err(ApiError::from),
        type_patch::read(body).map(drop).map_err(ApiError::from),
        metric_body::read_definition(body, creator).map(drop),
        resource(Purpose::Create),
        resource(Purpose::Patch),
    ];
    for error in outcomes.iter().cloned().filter_map(Result::err) {
        assert!(!error.render(&Accept::of(&HeaderMap::new())).body.is_empty());
    }
    outcomes.iter().any(Result::is_ok)
}

/// A resource filter as text.
pub fn filter_text(text: &str) -> bool {
    filter_body::from_text(text, "admin").is_ok()
}

/// A line of InfluxDB's protocol that says something.
pub fn influx_line(text: &str) -> bool {
    let Ok(Some(line)) = read_line(text, &mut Times::new(1)) else { return false };
    line.fields.iter().for_each(|(field, _)| assert!(!line.metric_name(field).contains('/')));
    true
}

/// A batch of measures by id, or by resource and name.
pub fn batch(bytes: &[u8], now: Timestamp) -> bool {
    let by_id = read_by_id(bytes, now).is_ok();
    read_by_resource(bytes, "admin", now).is_ok() || by_id
}
