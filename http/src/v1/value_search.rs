//! `POST /v1/search/metric`: the measures of some metrics whose values fulfil a predicate.

use orzo_model::Granularity;
use orzo_model::metric::Metric;
use orzo_model::ops::{Period, Predicate, PredicateError};
use orzo_model::resource::parse_uuid;
use orzo_model::timetext::{parse_timespan, parse_timestamp};

use super::arguments::{method_of, method_text, write_rows};
use super::metric::MetricTarget;
use super::reading::{Range, coarsest_first, read};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::query::Repeated;
use crate::response::Response;

/// Unknown ids are passed over.
pub(super) fn search(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let metrics = metrics(call)?;
    for metric in &metrics {
        call.enforce("search metric", &MetricTarget::new(call, metric))?;
    }
    if call.request.body.is_empty() {
        return Err(ApiError::bad("No query specified in body"));
    }
    let predicate = read_predicate(&call.json()?)?;
    let range = Range { start: instant(call, "start")?, stop: instant(call, "stop")?, resample: None };
    let asked = granularities(call)?;
    let method = method_text(call, "aggregation", "mean")?;
    call.allowance.take_series(metrics.len())?;
    let found = metrics
        .iter()
        .map(|metric| Ok((metric, matches(call, metric, method, &asked, range, &predicate)?)))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Response::written(|writer| {
        writer.object(|object| {
            for (metric, columns) in &found {
                object.key(&metric.id.to_string()).list(|list| {
                    columns.iter().for_each(|(period, column)| write_rows(list, column, *period));
                });
            }
        });
    }))
}

type Columns = Vec<(Period, orzo_model::Column)>;

fn metrics(call: &Call<'_>) -> Outcome<Vec<Metric>> {
    let texts = call.query().all("metric_id");
    if texts.is_empty() {
        return Err(ApiError::bad_argument("metric_id", "required key not provided"));
    }
    let bad = || ApiError::bad_argument("metric_id", "badly formed hexadecimal UUID string");
    let mut ids = texts
        .into_iter()
        .map(|text| parse_uuid(text).map(orzo_model::MetricId::from).ok_or_else(bad))
        .collect::<Outcome<Vec<_>>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(call.index().metrics_by_id(&ids)?.into_iter().flatten().collect())
}

fn read_predicate(body: &Value) -> Outcome<Predicate> {
    Predicate::parse(&body.into()).map_err(|error| match error {
        PredicateError::Form(refusal) => refusal.into(),
        unknown => ApiError::bad(unknown.to_string()),
    })
}

fn instant(call: &Call<'_>, name: &str) -> Outcome<Option<orzo_model::Timestamp>> {
    let bad = || ApiError::bad(format!("Invalid value for {name}"));
    match call.query().one(name) {
        Ok(None | Some("")) => Ok(None),
        Ok(Some(text)) => parse_timestamp(text, call.now).map(Some).map_err(|_| bad()),
        Err(Repeated) => Err(bad()),
    }
}

/// Those asked for, coarsest first; none: all of each metric.
fn granularities(call: &Call<'_>) -> Outcome<Vec<Granularity>> {
    let texts = call.query().all("granularity").into_iter();
    let bad =
        |error: orzo_model::timetext::TimeTextError| ApiError::bad_argument("granularity", error.to_string());
    let mut spans = texts.map(|text| parse_timespan(text).map_err(bad)).collect::<Outcome<Vec<_>>>()?;
    spans.sort_unstable_by(|a, b| b.cmp(a));
    Ok(spans)
}

fn matches(
    call: &Call<'_>,
    metric: &Metric,
    method: &str,
    asked: &[Granularity],
    range: Range,
    predicate: &Predicate,
) -> Outcome<Columns> {
    let widths = if asked.is_empty() { coarsest_first(metric) } else { asked.to_vec() };
    if let Some(missing) = widths.iter().find(|width| metric.policy.item(**width).is_none()) {
        return Err(no_granularity(*missing, method));
    }
    let known = method_of(&metric.policy, method).ok_or_else(|| no_data(metric))?;
    let mut columns = Vec::with_capacity(widths.len());
    for width in widths {
        columns.push(read(call, metric, known, width, range)?);
    }
    if columns.iter().all(|(_, column)| column.is_empty()) {
        check_has_data(call, metric, known)?;
    }
    for (_, column) in &mut columns {
        *column = column.iter().filter(|(_, value)| predicate.holds(*value)).collect();
    }
    Ok(columns)
}

/// 400 for a metric without a single measure.
fn check_has_data(call: &Call<'_>, metric: &Metric, method: orzo_model::Method) -> Outcome<()> {
    let everything = Range { start: None, stop: None, resample: None };
    let (_, column) = read(call, metric, method, metric.policy.block(), everything)?;
    if column.is_empty() { Err(no_data(metric)) } else { Ok(()) }
}

fn no_data(metric: &Metric) -> ApiError {
    let detail = Value::object([("metric", metric.id.to_string().into())]);
    ApiError::bad_object([("cause", "Metric does not exist".into()), ("detail", detail)])
}

fn no_granularity(granularity: Granularity, method: &str) -> ApiError {
    let detail = Value::object([
        ("granularity", Value::Float(granularity.seconds())),
        ("aggregation_method", Value::from(method)),
    ]);
    ApiError::bad_object([("cause", "Aggregation does not exist".into()), ("detail", detail)])
}
