//! `/v1/aggregation`: the older way to aggregate over metrics, by id or by resources and name.

use std::cmp::Ordering;

use hyper::{Method, StatusCode};
use orzo_base::parallel::try_map;
use orzo_model::metric::Metric;
use orzo_model::ops::{
    Answers, Expr, Fill, GranularityError, Holes, Period, Reference, Resolved, common_granularities,
    parse_overlap,
};
use orzo_model::resource::{Resource, parse_uuid};
use orzo_model::resource_type::ResourceType;
use orzo_model::{Column, Granularity, MetricId, Timestamp};
use orzo_store::index;

use super::arguments::{
    granularity, instant, method_of, method_text, no_granularity, no_method, resample, write_rows,
};
use super::evaluation::{Input, Task, compute_in};
use super::metric::MetricTarget;
use super::reading::{Range, read, wanted};
use super::{aggregates, filter_body, resource_list};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::{Object, Value, Writer};
use crate::query::Repeated;
use crate::response::Response;
use crate::schema::Node;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        ["metric"] => call.act(&[(Method::GET, &|| by_query(call)), (Method::POST, &|| by_body(call))]),
        ["resource", type_name, "metric", name] => {
            let resource_type = call.index().resource_type(type_name)?;
            call.act(&[(Method::POST, &|| over_resources(call, &resource_type, name))])
        }
        ["resource", _, "metric"] => call.act(&[]),
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

/// Rows, granularity by granularity.
type Rows = Vec<(Period, Column)>;

/// The parameters of both endpoints.
pub(super) struct Arguments<'a> {
    pub(super) start: Option<Timestamp>,
    pub(super) stop: Option<Timestamp>,
    pub(super) granularity: Option<Granularity>,
    pub(super) overlap: Option<f64>,
    pub(super) fill: Option<Fill>,
    aggregation: &'a str,
    reaggregation: &'a str,
}

impl<'a> Arguments<'a> {
    /// Reads them in the order in which errors are told.
    pub(super) fn of(call: &Call<'a>) -> Outcome<Self> {
        let overlap = number(call, "needed_overlap", |text| Ok(parse_overlap(text)?))?;
        let start = instant(call, "start")?;
        let stop = instant(call, "stop")?;
        let granularity = granularity(call)?;
        let fill = number(call, "fill", |text| Ok(Fill::parse(text)?))?;
        let aggregation = method_text(call, "aggregation", "mean")?;
        let reaggregation = method_text(call, "reaggregation", aggregation)?;
        Ok(Arguments { start, stop, granularity, overlap, fill, aggregation, reaggregation })
    }
}

/// A parameter read by `parse`, which also refuses what came twice.
fn number<T>(call: &Call<'_>, name: &str, parse: impl Fn(&str) -> Outcome<T>) -> Outcome<Option<T>> {
    match call.query().one(name) {
        Ok(text) => text.map(parse).transpose(),
        Err(Repeated) => parse("a list").map(Some),
    }
}

fn by_query(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let ids = call.query().all("metric").into_iter().enumerate().map(|(index, text)| {
        parse_uuid(text)
            .ok_or_else(|| ApiError::bad(format!("Invalid input: not a valid value @ data[{index}]")))
    });
    let ids = ids.collect::<Outcome<Vec<_>>>()?;
    over_metrics(call, ids.into_iter().map(MetricId::from).collect())
}

fn by_body(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let body = call.json()?;
    let ids = Node::root(&body)
        .items()?
        .map(|item| item.text().ok().and_then(parse_uuid).ok_or_else(|| item.invalid("not a valid value")))
        .collect::<Result<Vec<_>, _>>()?;
    over_metrics(call, ids.into_iter().map(MetricId::from).collect())
}

fn over_metrics(call: &Call<'_>, mut ids: Vec<MetricId>) -> Outcome {
    ids.sort_unstable();
    ids.dedup();
    let metrics = call.index().metrics_by_id(&ids)?;
    if let Some(missing) = metrics.iter().position(Option::is_none) {
        return Err(ApiError::not_found(format!("Metric {} does not exist", ids[missing])));
    }
    let arguments = Arguments::of(call)?;
    let metrics: Vec<&Metric> = metrics.iter().flatten().collect();
    let rows = aggregate(call, &metrics, &arguments, 1)?;
    Ok(Response::written(|writer| write_all(writer, &rows)))
}

fn write_all(writer: &mut Writer, rows: &Rows) {
    writer.list(|list| rows.iter().for_each(|(period, column)| write_rows(list, column, *period)));
}

fn over_resources(call: &Call<'_>, resource_type: &ResourceType, name: &str) -> Outcome {
    let groupby = aggregates::groupby(call);
    let filter = filter_body::of_request(call)?;
    let visible = call.onlooker()?.resources("search resource")?;
    let condition = visible.and(resource_list::bound(call, resource_type, false, &filter)?);
    let order = aggregates::sort_keys(&groupby);
    let resources = match resource_list::all(call, resource_type, &condition, &order) {
        Err(index::Error::InvalidSortKey(_)) => return Err(ApiError::bad("Invalid groupby attribute")),
        found => found?,
    };
    let arguments = Arguments::of(call)?;
    let metrics = Named::load(call, &resources, name)?;
    if groupby.is_empty() {
        let rows = aggregate(call, &metrics.of(&resources), &arguments, 1)?;
        return Ok(Response::written(|writer| write_all(writer, &rows)));
    }
    let groups: Vec<(Object, &[Resource])> = aggregates::groups(&resources, &groupby).collect();
    let computed = try_map(&groups, 1, |(_, members), beside| {
        aggregate(call, &metrics.of(members), &arguments, beside)
    })?;
    Ok(Response::written(|writer| {
        writer.list(|list| {
            for ((group, _), rows) in groups.iter().zip(&computed) {
                list.object(|object| {
                    object.key("group").value(&Value::Object(group.clone()));
                    write_all(object.key("measures"), rows);
                });
            }
        });
    }))
}

/// The metrics of one name, by resource.
struct Named<'a> {
    name: &'a str,
    metrics: std::collections::HashMap<MetricId, Metric>,
}

impl<'a> Named<'a> {
    fn load(call: &Call<'_>, resources: &[Resource], name: &'a str) -> Outcome<Self> {
        let ids: Vec<MetricId> = resources.iter().filter_map(|one| one.metrics.get(name)).copied().collect();
        let metrics = call.index().metrics_by_id(&ids)?.into_iter().flatten();
        Ok(Named { name, metrics: metrics.map(|metric| (metric.id, metric)).collect() })
    }

    /// Those of some resources, by id.
    fn of(&self, resources: &[Resource]) -> Vec<&Metric> {
        let ids = resources.iter().filter_map(|one| one.metrics.get(self.name));
        let mut metrics: Vec<&Metric> = ids.filter_map(|id| self.metrics.get(id)).collect();
        metrics.sort_unstable_by_key(|metric| metric.id);
        metrics
    }
}

/// `metrics` ascend by id.
fn aggregate(
    call: &Call<'_>,
    metrics: &[&Metric],
    arguments: &Arguments<'_>,
    beside: usize,
) -> Outcome<Rows> {
    for metric in metrics {
        call.enforce("get metric", &MetricTarget::new(call, metric))?;
    }
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let resample = resample(call)?;
    call.query().flag("refresh", false)?;
    match metrics.len().cmp(&1) {
        Ordering::Equal => plain(call, metrics[0], arguments, resample),
        _ => across(call, metrics, arguments, resample, beside),
    }
}

/// A single metric is read as it is.
fn plain(
    call: &Call<'_>,
    metric: &Metric,
    arguments: &Arguments<'_>,
    resample: Option<Period>,
) -> Outcome<Rows> {
    let name = arguments.aggregation;
    let widths = wanted(metric, name, arguments.granularity)?;
    let method = method_of(&metric.policy, name).ok_or_else(|| no_method(metric.id, name))?;
    let range = Range { start: arguments.start, stop: arguments.stop, resample };
    call.allowance.take_series(1)?;
    widths.into_iter().map(|width| read(call, metric, method, width, range)).collect()
}

fn across(
    call: &Call<'_>,
    metrics: &[&Metric],
    arguments: &Arguments<'_>,
    resample: Option<Period>,
    beside: usize,
) -> Outcome<Rows> {
    let names: Vec<String> = metrics.iter().map(|metric| metric.id.to_string()).collect();
    let widths = common(metrics, &names, arguments)?;
    let method = arguments.aggregation;
    let references = names.iter().map(|name| Reference { name: name.clone(), method: method.to_owned() });
    let resample = resample.and_then(|period| Some((orzo_model::Method::parse(method)?, period)));
    let task = Task {
        expr: &Expr::legacy(references.collect(), arguments.reaggregation, resample)?,
        granularity: arguments.granularity,
        holes: Holes::of_aggregation(arguments.fill, arguments.overlap),
        start: arguments.start,
        stop: arguments.stop,
        beside,
    };
    let pairs = metrics.iter().zip(&names).enumerate();
    let inputs: Vec<Input<'_>> =
        pairs.map(|(reference, (metric, name))| Input { metric, name, reference }).collect();
    let answers = compute_in(call, task, &inputs, widths)?.into_iter();
    Ok(answers
        .filter_map(|(_, answer)| match answer.series {
            Answers::Aggregated(column) => Some((answer.period, column)),
            Answers::Each(_) => None,
        })
        .collect())
}

/// The granularities to answer in; that there is none is told in this endpoint's own words.
fn common(metrics: &[&Metric], names: &[String], arguments: &Arguments<'_>) -> Outcome<Vec<Granularity>> {
    let method = arguments.aggregation;
    let pairs = metrics.iter().zip(names);
    let series: Vec<Resolved<'_>> =
        pairs.map(|(metric, name)| Resolved { name, method, policy: &metric.policy }).collect();
    common_granularities(&series, arguments.granularity).map_err(|error| {
        match (error, arguments.granularity) {
            (GranularityError::UnknownMethod(position), _) => {
                let metric = metrics[position];
                no_granularity(metric.id, method, metric.policy.items[0].granularity)
            }
            (GranularityError::Missing(position, _), Some(asked)) => {
                no_granularity(metrics[position].id, method, asked)
            }
            (GranularityError::NoMatch(refusal) | GranularityError::Missing(_, refusal), _) => refusal.into(),
        }
    })
}
