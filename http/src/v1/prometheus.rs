//! `POST /v1/prometheus/write`: Prometheus remote write, version 1.
//!
//! Job and instance name the resource, `__name__` the metric; other labels are dropped, as the
//! reference does, unless the configuration wants them in the name. Series that are the same then are joined.

use std::collections::BTreeMap;
use std::error::Error;

use hyper::{Method, StatusCode};
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value as AttributeValue};
use orzo_model::{Measure, Timestamp};
use orzo_store::index;
use prost::Message;

use super::influx_line::tagged;
use super::push::{Intake, Place};
use super::remote_write::{Label, Labels, Sample, each_series, read_series};
use super::targets::{Door, Texts};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::response::Response;
use crate::schema::Invalid;

const TYPE: &str = "prometheus";
const LABEL_CHARS_MAX: u16 = 512;
/// The bits of the NaN that says "this series has ended".
const STALE: u64 = 0x7ff0_0000_0000_0002;
const NS_PER_MS: u64 = 1_000_000;

pub(super) fn route(call: &Call<'_>) -> Outcome {
    call.act_in_any_form(&[(Method::POST, &|| write(call))])
}

fn write(call: &Call<'_>) -> Outcome {
    let door = Door { identity: call.identity()?, texts: &Texts::Labels, revision: call.index().revision() };
    let mut intake = Intake::new(call, door);
    read(call, &unpack(call)?, &mut intake)?;
    if intake.has_news() {
        make_type(call)?;
    }
    intake.post(TYPE)?;
    Ok(Response::new(StatusCode::ACCEPTED, ""))
}

/// The body, unpacked to no more than a body may have.
fn unpack(call: &Call<'_>) -> Outcome<Vec<u8>> {
    let body = &call.request.body;
    let length = snap::raw::decompress_len(body).map_err(no_message)?;
    if length > call.api.config.limits.body_bytes {
        return Err(ApiError::plain(StatusCode::PAYLOAD_TOO_LARGE));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(no_message)
}

fn no_message(error: impl Error) -> ApiError {
    ApiError::bad_object([
        ("cause", "Unable to decode body".into()),
        ("reason", error.to_string().into()),
        ("detail", crate::json::Value::List(vec![])),
    ])
}

/// The first problem is told, but a damaged message counts more.
fn read(call: &Call<'_>, message: &[u8], intake: &mut Intake<'_>) -> Outcome<()> {
    let mut first = None;
    let mut samples = Vec::new();
    each_series(message, |series| {
        let text = read_series(series, &mut samples)?;
        let place = match intake.known(&text) {
            Some(place) => Ok(Some(place)),
            None => {
                let labels = Labels::decode(&*text)?.labels;
                find(call, intake, &text, &labels, &samples)
            }
        };
        let put = place.and_then(|place| place.map_or(Ok(()), |place| put(intake, place, &samples)));
        first = first.take().or(put.err());
        Ok(())
    })
    .map_err(no_message)?;
    first.map_or(Ok(()), Err)
}

/// The place of a series that was not met before; `None`: it says nothing.
fn find(
    call: &Call<'_>,
    intake: &mut Intake<'_>,
    text: &[u8],
    labels: &[Label],
    samples: &[Sample],
) -> Outcome<Option<Place>> {
    let label = |name: &str| labels.iter().rev().find(|label| label.name == name).map(|l| l.value.as_str());
    let name = label("__name__").ok_or_else(|| ApiError::bad("a series has no __name__"))?;
    let label_names = call.api.config.prometheus_label_names;
    let name = if label_names { with_labels(name, labels) } else { name.to_owned() };
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
    if samples.is_empty() {
        return Ok(None);
    }
    let resource = format!("{job}@{instance}");
    intake.want_resource(&resource, || vec![attribute("job", job), attribute("instance", instance)]);
    let place = intake.place(&resource, name);
    intake.meet(text.to_vec(), place);
    Ok(Some(place))
}

/// The name with all labels that say nothing of the resource.
fn with_labels(name: &str, labels: &[Label]) -> String {
    let others = labels.iter().filter(|label| !["__name__", "job", "instance"].contains(&&*label.name));
    let labels: BTreeMap<&str, &str> = others.map(|label| (&*label.name, &*label.value)).collect();
    if labels.is_empty() { name.to_owned() } else { tagged(name.to_owned(), &labels) }
}

fn attribute(name: &str, value: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::Text(value.to_owned()))
}

fn put(intake: &mut Intake<'_>, place: Place, samples: &[Sample]) -> Outcome<()> {
    for sample in samples.iter().filter(|sample| sample.value.to_bits() != STALE) {
        let ns = u64::try_from(sample.timestamp_ms).ok().and_then(|ms| ms.checked_mul(NS_PER_MS));
        let at = ns.and_then(Timestamp::from_ns);
        let early = || Invalid::value_at("unexpected timestamp 'Timestamp must be after Epoch'", Vec::new());
        intake.put(place, Measure { at: at.ok_or_else(early)?, value: sample.value });
    }
    Ok(())
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
