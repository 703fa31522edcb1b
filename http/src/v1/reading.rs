//! Measures of one metric: `GET …/measures`.

use orzo_model::metric::Metric;
use orzo_model::ops::{Period, Resample};
use orzo_model::{Column, Granularity, Method, Timestamp};

use super::arguments::{
    granularity, instant, method_of, method_text, no_granularity, no_method, resample, write_rows,
};
use super::metric::MetricTarget;
use crate::call::Call;
use crate::engine::Query;
use crate::error::Outcome;
use crate::response::Response;

/// What is wanted of a metric.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) start: Option<Timestamp>,
    pub(super) stop: Option<Timestamp>,
    pub(super) resample: Option<Period>,
}

/// `GET …/measures`. A read shows everything stored before it, so `refresh` has nothing to do.
pub(super) fn measures(call: &Call<'_>, metric: &Metric) -> Outcome {
    call.enforce("get measures", &MetricTarget::new(call, metric))?;
    let resample = resample(call)?;
    let range = Range { start: instant(call, "start")?, stop: instant(call, "stop")?, resample };
    let granularity = granularity(call)?;
    let name = method_text(call, "aggregation", "mean")?;
    let method = method_of(&metric.policy, name).ok_or_else(|| no_method(metric.id, name))?;
    let granularities = wanted(metric, name, granularity)?;
    call.query().flag("refresh", false)?;
    let columns = granularities
        .into_iter()
        .map(|granularity| read(call, metric, method, granularity, range))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Response::written(|writer| {
        writer.list(|list| columns.iter().for_each(|(period, column)| write_rows(list, column, *period)));
    }))
}

/// The granularity asked for, or all of the policy, coarsest first.
pub(super) fn wanted(metric: &Metric, method: &str, asked: Option<Granularity>) -> Outcome<Vec<Granularity>> {
    let Some(asked) = asked else { return Ok(coarsest_first(metric)) };
    match metric.policy.item(asked) {
        Some(item) => Ok(vec![item.granularity]),
        None => Err(no_granularity(metric.id, method, asked)),
    }
}

/// All granularities of a metric's policy, coarsest first.
pub(super) fn coarsest_first(metric: &Metric) -> Vec<Granularity> {
    let mut widths: Vec<_> = metric.policy.items.iter().map(|item| item.granularity).collect();
    widths.sort_unstable_by(|a, b| b.cmp(a));
    widths
}

/// One granularity, resampled if so wished, and what its labels are the starts of.
pub(super) fn read(
    call: &Call<'_>,
    metric: &Metric,
    method: Method,
    granularity: Granularity,
    range: Range,
) -> Outcome<(Period, Column)> {
    let query = |start, stop| Query {
        metric: metric.id,
        policy: metric.policy.clone(),
        method,
        granularity,
        start,
        stop,
    };
    let Some(period) = range.resample else {
        let start = range.start.map(|start| start.floor(granularity));
        return Ok((Period::Span(granularity), call.read(&query(start, range.stop))?));
    };
    let resample = Resample::new(granularity, method, period, range.start, range.stop)?;
    let stored = call.read(&query(resample.read_start(), resample.read_stop()))?;
    Ok((period, resample.apply(&stored)))
}
