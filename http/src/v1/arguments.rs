//! Arguments of queries for measures, and how rows of measures are written.

use orzo_model::ops::Period;
use orzo_model::timetext::{IsoClock, parse_timespan, parse_timestamp};
use orzo_model::{ArchivePolicy, Column, Granularity, Method, MetricId, Timestamp};

use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::{Value, Writer, push_float};
use crate::query::Repeated;

/// `start` or `stop`; empty is absent.
pub(super) fn instant(call: &Call<'_>, name: &str) -> Outcome<Option<Timestamp>> {
    let bad = || ApiError::bad_argument(name, "Must be a datetime or a timestamp");
    match call.query().one(name) {
        Ok(None | Some("")) => Ok(None),
        Ok(Some(text)) => parse_timestamp(text, call.now).map(Some).map_err(|_| bad()),
        Err(Repeated) => Err(bad()),
    }
}

/// `granularity`, at most one.
pub(super) fn granularity(call: &Call<'_>) -> Outcome<Option<Granularity>> {
    match call.query().one("granularity") {
        Ok(None) => Ok(None),
        Ok(Some(text)) => {
            let span = parse_timespan(text)
                .map_err(|error| ApiError::bad_argument("granularity", error.to_string()));
            span.map(Some)
        }
        Err(Repeated) => Err(ApiError::bad_argument("granularity", "Unable to parse timespan")),
    }
}

/// `resample`, which needs a granularity; empty is absent.
pub(super) fn resample(call: &Call<'_>) -> Outcome<Option<Period>> {
    let text = match call.query().one("resample") {
        Ok(None | Some("")) => return Ok(None),
        Ok(Some(text)) => text,
        Err(Repeated) => return Err(ApiError::bad("Unable to parse timespan")),
    };
    if call.query().all("granularity").is_empty() {
        return Err(ApiError::bad("A granularity must be specified to resample"));
    }
    Period::parse(text).map(Some).map_err(|error| ApiError::bad(error.to_string()))
}

/// A parameter that names an aggregation method; the text stays for error messages.
pub(super) fn method_text<'a>(call: &Call<'a>, name: &str, default: &'a str) -> Outcome<&'a str> {
    match call.query().one(name) {
        Ok(text) => Ok(text.unwrap_or(default)),
        Err(Repeated) => Err(ApiError::bad_argument(name, "expected str")),
    }
}

/// The method of this name, if the policy has it.
pub(super) fn method_of(policy: &ArchivePolicy, name: &str) -> Option<Method> {
    Method::parse(name).filter(|method| policy.methods.contains(*method))
}

/// 404: the policy of a metric does not have the method.
pub(super) fn no_method(metric: MetricId, method: &str) -> ApiError {
    let detail =
        Value::object([("metric", metric.to_string().into()), ("aggregation_method", Value::from(method))]);
    let cause = "Aggregation method does not exist for this metric".into();
    ApiError::object(hyper::StatusCode::NOT_FOUND, [("cause", cause), ("detail", detail)])
}

/// 404: the policy of a metric does not have the granularity (or, in some places, the method).
pub(super) fn no_granularity(metric: MetricId, method: &str, granularity: Granularity) -> ApiError {
    let seconds = granularity.seconds();
    ApiError::not_found(format!(
        "Aggregation method '{method}' at granularity '{seconds:?}' for metric {metric} does not exist"
    ))
}

/// What a row usually takes, to make room at once.
const ROW_BYTES: usize = 48;

/// Writes a column as rows `[label, granularity, value]`; with a calendar period its letter stands for
/// the granularity. Budget: 60 ns a row; an answer may hold a hundred thousand.
pub(super) fn write_rows(list: &mut Writer, column: &Column, period: Period) {
    let mut between = Writer::new();
    match period {
        Period::Span(width) => between.float(width.seconds()),
        Period::Calendar(unit) => between.text(unit.letter()),
    }
    let between = format!("\", {}, ", between.finish());
    let mut clock = IsoClock::default();
    list.reserve(column.len() * ROW_BYTES);
    for (at, value) in column.iter() {
        list.written(|out| {
            out.push_str("[\"");
            clock.push(out, at);
            out.push_str(&between);
            push_float(out, value);
            out.push(']');
        });
    }
}
