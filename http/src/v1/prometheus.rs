//! `POST /v1/prometheus/write`: Prometheus remote write, version 1.
//!
//! Job and instance name the resource, `__name__` the metric; other labels are dropped, as the
//! reference does, unless the configuration wants them in the name. Series that are the same then are joined.

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use indexmap::IndexMap;
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value as AttributeValue};
use orzo_model::{Measure, Timestamp};
use orzo_store::index;
use prost::Message;

use super::influx_line::tagged;
use super::push::{Push, push};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::response::Response;
use crate::schema::Invalid;

const TYPE: &str = "prometheus";
const LABEL_CHARS_MAX: u16 = 512;
/// The bits of the NaN that says "this series has ended".
const STALE: u64 = 0x7ff0_0000_0000_0002;
const NS_PER_MS: u64 = 1_000_000;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

pub(super) fn route(call: &Call<'_>) -> Outcome {
    call.act_in_any_form(&[(Method::POST, &|| write(call))])
}

fn write(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let request = decode(call)?;
    let mut pushes: IndexMap<String, Push> = IndexMap::new();
    for series in &request.timeseries {
        add(&mut pushes, series, call.api.config.prometheus_label_names)?;
    }
    if !pushes.is_empty() {
        make_type(call)?;
        push(call, TYPE, pushes)?;
    }
    Ok(Response::new(StatusCode::ACCEPTED, ""))
}

/// The body, unpacked to no more than a body may have.
fn decode(call: &Call<'_>) -> Outcome<WriteRequest> {
    let bad = |reason: String| {
        let cause = "Unable to decode body".into();
        ApiError::bad_object([
            ("cause", cause),
            ("reason", reason.into()),
            ("detail", crate::json::Value::List(vec![])),
        ])
    };
    let body = &call.request.body;
    let length = snap::raw::decompress_len(body).map_err(|error| bad(error.to_string()))?;
    if length > call.api.config.limits.body_bytes {
        return Err(ApiError::plain(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| bad(error.to_string()))?;
    WriteRequest::decode(bytes.as_slice()).map_err(|error| bad(error.to_string()))
}

fn add(pushes: &mut IndexMap<String, Push>, series: &TimeSeries, label_names: bool) -> Outcome<()> {
    let label =
        |name: &str| series.labels.iter().rev().find(|label| label.name == name).map(|l| l.value.as_str());
    let name = label("__name__").ok_or_else(|| ApiError::bad("a series has no __name__"))?;
    let name = if label_names { with_labels(name, series) } else { name.to_owned() };
    let (job, instance) = (label("job").unwrap_or("none"), label("instance").unwrap_or("none"));
    for (what, text, most) in [
        ("__name__", name.as_str(), NAME_CHARS_MAX),
        ("job", job, usize::from(LABEL_CHARS_MAX)),
        ("instance", instance, usize::from(LABEL_CHARS_MAX)),
    ] {
        if text.is_empty() || text.chars().count() > most {
            return Err(ApiError::bad(format!("the label {what} must have 1 to {most} characters")));
        }
    }
    if series.samples.is_empty() {
        return Ok(());
    }
    let measures = measures(&series.samples)?;
    let push = pushes.entry(format!("{job}@{instance}")).or_insert_with(|| Push {
        attributes: vec![attribute("job", job), attribute("instance", instance)],
        measures: IndexMap::new(),
    });
    push.measures.entry(name).or_default().extend(measures);
    Ok(())
}

/// The name with all labels that say nothing of the resource.
fn with_labels(name: &str, series: &TimeSeries) -> String {
    let others =
        series.labels.iter().filter(|label| !["__name__", "job", "instance"].contains(&&*label.name));
    let labels: BTreeMap<&str, &str> = others.map(|label| (&*label.name, &*label.value)).collect();
    if labels.is_empty() { name.to_owned() } else { tagged(name.to_owned(), &labels) }
}

fn attribute(name: &str, value: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::Text(value.to_owned()))
}

fn measures(samples: &[Sample]) -> Result<Vec<Measure>, Invalid> {
    let live = samples.iter().filter(|sample| sample.value.to_bits() != STALE);
    live.map(|sample| {
        let ns = u64::try_from(sample.timestamp_ms).ok().and_then(|ms| ms.checked_mul(NS_PER_MS));
        let at = ns.and_then(Timestamp::from_ns);
        let early = || Invalid::value_at("unexpected timestamp 'Timestamp must be after Epoch'", Vec::new());
        Ok(Measure { at: at.ok_or_else(early)?, value: sample.value })
    })
    .collect()
}

/// Makes the resource type when it is first needed.
fn make_type(call: &Call<'_>) -> Outcome<()> {
    match call.index().resource_type(TYPE) {
        Err(index::Error::NotFound(..)) => {}
        found => return Ok(found.map(drop)?),
    }
    let kind = AttributeKind::Text { min_length: 1, max_length: LABEL_CHARS_MAX };
    let attribute = Attribute { kind, required: true };
    let attributes = [("instance".into(), attribute), ("job".into(), attribute)].into();
    let wanted = ResourceType { name: TYPE.into(), version: 0, attributes };
    call.enforce("create resource type", &wanted)?;
    match call.index().create_resource_type(wanted) {
        Ok(_) | Err(index::Error::AlreadyExists(..)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
