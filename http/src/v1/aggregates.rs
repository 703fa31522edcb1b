//! `POST /v1/aggregates`: expressions over metrics, given by id or found by resource and name.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use orzo_base::parallel::try_map;
use orzo_model::MetricId;
use orzo_model::filter::{Condition, Filter, Glob};
use orzo_model::metric::Metric;
use orzo_model::ops::{Expr, Holes};
use orzo_model::resource::{Resource, parse_uuid};
use orzo_model::resource_type::ResourceType;
use orzo_store::index::{self, SortKey};

use super::aggregation::Arguments;
use super::evaluation::{Input, Task, compute};
use super::metric::MetricTarget;
use super::rows::{Measures, Path};
use super::show::{self, Attributes};
use super::{filter_body, history, resource_list};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::{Object, Value, Writer};
use crate::response::Response;
use crate::schema::Node;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        [] => call.act(&[(Method::POST, &|| post(call))]),
        _ => call.nothing_below(&[Method::POST]),
    }
}

/// Arguments are checked before the body is looked at.
fn post(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let use_history = call.query().flag("use_history", false)?;
    let details = call.query().flag("details", false)?;
    let arguments = Arguments::of(call)?;
    let body = Body::read(call)?;
    let task = Task {
        expr: &body.expr,
        granularity: arguments.granularity,
        holes: Holes::of_aggregates(arguments.fill, arguments.overlap),
        start: arguments.start,
        stop: arguments.stop,
        beside: 1,
    };
    let Some(search) = &body.search else { return by_id(call, task, details) };
    let by = groupby(call);
    if use_history && !by.is_empty() {
        return history::post(call, search, task, &by, details);
    }
    by_search(call, search, task, &by, details)
}

struct Body {
    expr: Expr,
    search: Option<Search>,
}

/// Which resources have the metrics.
pub(super) struct Search {
    pub(super) resource_type: Arc<ResourceType>,
    pub(super) filter: Filter,
}

impl Body {
    fn read(call: &Call<'_>) -> Outcome<Body> {
        let body = call.json()?;
        let node = Node::root(&body);
        let (mut expr, mut resource_type, mut filter) = (None, None, None);
        for (key, field) in node.fields()? {
            match key {
                "operations" => expr = Some(Expr::parse(&field.value().into())?),
                "resource_type" => resource_type = Some(find_type(call, field.text()?)?),
                "search" => {
                    filter = Some(match field.value() {
                        Value::Text(text) => filter_body::from_text(text, call.creator()?)?,
                        _ => filter_body::from_json(field, call.creator()?)?,
                    });
                }
                _ => return Err(field.extra().into()),
            }
        }
        let search = match (resource_type, filter) {
            (None, None) => None,
            (resource_type, filter) => Some(Search {
                resource_type: node.require("resource_type", resource_type)?,
                filter: node.require("search", filter)?,
            }),
        };
        Ok(Body { expr: node.require("operations", expr)?, search })
    }
}

fn find_type(call: &Call<'_>, name: &str) -> Outcome<Arc<ResourceType>> {
    call.index().resource_type(name).map_err(|error| match error {
        index::Error::NotFound(..) => {
            ApiError::bad_object([("cause", "Resource type does not exist".into()), ("detail", name.into())])
        }
        other => other.into(),
    })
}

/// What a computation found, ready to be written.
pub(super) struct Found {
    pub(super) measures: Measures,
    pub(super) references: Option<Vec<Value>>,
}

impl Found {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.object(|object| {
            self.measures.write(object.key("measures"));
            if let Some(references) = &self.references {
                object.key("references").list(|list| references.iter().for_each(|one| list.value(one)));
            }
        });
    }
}

/// A group by itself, as an entry of the answer.
pub(super) fn write_group(writer: &mut Writer, group: &Object, found: &Found) {
    writer.object(|object| {
        object.key("group").value(&Value::Object(group.clone()));
        found.write(object.key("measures"));
    });
}

fn by_id(call: &Call<'_>, task: Task<'_>, details: bool) -> Outcome {
    let metrics = metrics_of(call, task.expr)?;
    for metric in metrics.values() {
        call.enforce("get metric", &MetricTarget::new(call, metric))?;
    }
    let referred: Vec<(&Metric, String)> = references(task.expr)?
        .into_iter()
        .map(|id| (metrics.get(&id).expect("unknown ones are refused"), id.to_string()))
        .collect();
    let inputs: Vec<Input<'_>> = referred
        .iter()
        .enumerate()
        .map(|(reference, (metric, name))| Input { metric, name, reference })
        .collect();
    let paths: Vec<Path> = task
        .expr
        .references()
        .iter()
        .zip(&referred)
        .map(|(reference, (_, name))| vec![name.clone(), reference.method.clone()])
        .collect();
    let measures = Measures::new(compute(call, task, &inputs)?, &paths);
    let mut listed: Vec<&Metric> = metrics.values().collect();
    listed.sort_unstable_by_key(|metric| metric.id);
    let show = |metric: &&Metric| show::single_metric(metric, MetricTarget::new(call, metric).resource());
    let references = details.then(|| listed.iter().map(show).collect());
    Ok(Response::written(|writer| Found { measures, references }.write(writer)))
}

/// The ids that an expression refers to: 400 if one is none.
fn references(expr: &Expr) -> Outcome<Vec<MetricId>> {
    let ids: Option<Vec<MetricId>> =
        expr.references().iter().map(|reference| parse_uuid(&reference.name).map(MetricId::from)).collect();
    ids.ok_or_else(|| {
        let pairs = expr.references().iter().map(|one| Value::list([one.name.as_str(), one.method.as_str()]));
        ApiError::bad_object([
            ("cause", "Invalid metric references".into()),
            ("reason", "badly formed hexadecimal UUID string".into()),
            ("detail", Value::list(pairs)),
        ])
    })
}

/// The metrics that an expression refers to: 404 if one is unknown.
fn metrics_of(call: &Call<'_>, expr: &Expr) -> Outcome<HashMap<MetricId, Metric>> {
    let mut ids = references(expr)?;
    ids.sort_unstable();
    ids.dedup();
    let metrics = call.index().metrics_by_id(&ids)?;
    let missing = ids.iter().zip(&metrics).filter(|(_, metric)| metric.is_none());
    let missing: Vec<String> = missing.map(|(id, _)| id.to_string()).collect();
    if !missing.is_empty() {
        let entries = [
            ("cause", "Unknown metrics".into()),
            ("reason", "Provided metrics don't exists".into()),
            ("detail", Value::list(missing)),
        ];
        return Err(ApiError::object(StatusCode::NOT_FOUND, entries));
    }
    Ok(metrics.into_iter().flatten().map(|metric| (metric.id, metric)).collect())
}

fn by_search(call: &Call<'_>, search: &Search, task: Task<'_>, by: &[String], details: bool) -> Outcome {
    let condition = search.condition(call, false)?;
    let default = resource_list::DEFAULT_SORT.map(|key| SortKey::ascending(key.trim_end_matches(":asc")));
    let order = if by.is_empty() { default.to_vec() } else { sort_keys(by) };
    let resources = resource_list::all(call, &search.resource_type, &condition, &order)?;
    let pool = Pool::load(call, search, task.expr, &resources)?;
    if by.is_empty() {
        let members: Vec<&Resource> = resources.iter().collect();
        let found = pool.compute(call, task, &members, details)?.ok_or_else(|| no_metric(task.expr))?;
        return Ok(Response::written(|writer| found.write(writer)));
    }
    let groups: Vec<(Object, &[Resource])> = groups(&resources, by).collect();
    let computed = try_map(&groups, 1, |(_, members), beside| {
        let members: Vec<&Resource> = members.iter().collect();
        pool.compute(call, Task { beside, ..task }, &members, details)
    })?;
    let pairs = groups.into_iter().zip(computed);
    let found: Vec<(Object, Found)> =
        pairs.filter_map(|((group, _), computed)| Some((group, computed?))).collect();
    if found.is_empty() {
        return Err(no_metric(task.expr));
    }
    Ok(Response::written(|writer| {
        writer.list(|list| found.iter().for_each(|(group, found)| write_group(list, group, found)));
    }))
}

impl Search {
    /// What it means for the caller.
    pub(super) fn condition(&self, call: &Call<'_>, history: bool) -> Outcome<Condition> {
        let visible = call.onlooker()?.resources("search resource")?;
        Ok(visible.and(resource_list::bound(call, &self.resource_type, history, &self.filter)?))
    }
}

/// 404: nothing found has a metric of any of the names.
pub(super) fn no_metric(expr: &Expr) -> ApiError {
    let mut names: Vec<String> = expr.references().iter().map(|one| format!("'{}'", one.name)).collect();
    names.sort_unstable();
    names.dedup();
    ApiError::not_found(format!("Metric [{}] does not exist", names.join(", ")))
}

/// The metrics of some resources that an expression's patterns match.
pub(super) struct Pool<'a> {
    search: &'a Search,
    patterns: Vec<Glob>,
    metrics: HashMap<MetricId, Metric>,
}

impl<'a> Pool<'a> {
    pub(super) fn load(
        call: &Call<'_>,
        search: &'a Search,
        expr: &Expr,
        resources: &[Resource],
    ) -> Outcome<Self> {
        let patterns: Vec<Glob> = expr.references().iter().map(|one| Glob::new(&one.name)).collect();
        let named = resources.iter().flat_map(|resource| &resource.metrics);
        let matching = named.filter(|(name, _)| patterns.iter().any(|pattern| pattern.matches(name)));
        let mut ids: Vec<MetricId> = matching.map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let metrics = call.index().metrics_by_id(&ids)?.into_iter().flatten();
        Ok(Pool { search, patterns, metrics: metrics.map(|metric| (metric.id, metric)).collect() })
    }

    /// The series of some resources, each with the resource it is of: for each resource, for each
    /// reference, each metric that matches.
    pub(super) fn inputs<'r>(&'r self, resources: &[&'r Resource]) -> Vec<(&'r Resource, Input<'r>)> {
        let mut inputs = Vec::new();
        for resource in resources {
            for (reference, pattern) in self.patterns.iter().enumerate() {
                for (name, id) in resource.metrics.iter().filter(|(name, _)| pattern.matches(name)) {
                    let Some(metric) = self.metrics.get(id) else { continue };
                    inputs.push((*resource, Input { metric, name, reference }));
                }
            }
        }
        inputs
    }

    /// `None`: the resources have no metric that matches.
    fn compute(
        &self,
        call: &Call<'_>,
        task: Task<'_>,
        resources: &[&Resource],
        details: bool,
    ) -> Outcome<Option<Found>> {
        let found = self.inputs(resources);
        if found.is_empty() {
            return Ok(None);
        }
        let references = task.expr.references();
        let path = |(resource, input): &(&Resource, Input<'_>)| {
            vec![resource.id.to_string(), input.name.to_owned(), references[input.reference].method.clone()]
        };
        let paths: Vec<Path> = found.iter().map(path).collect();
        let references = details.then(|| self.show(found.iter().map(|(resource, _)| *resource)));
        let inputs: Vec<Input<'_>> = found.into_iter().map(|(_, input)| input).collect();
        let measures = Measures::new(compute(call, task, &inputs)?, &paths);
        Ok(Some(Found { measures, references }))
    }

    /// Resources as a list of their type shows them, each once; equal ones follow each other.
    pub(super) fn show<'r>(&self, resources: impl Iterator<Item = &'r Resource>) -> Vec<Value> {
        let attributes = Attributes::through(&self.search.resource_type.name, false);
        let mut resources: Vec<&Resource> = resources.collect();
        resources.dedup_by_key(|resource| (resource.id, resource.revision));
        resources.into_iter().map(|resource| Value::Object(show::resource(resource, attributes))).collect()
    }
}

/// The attributes to group by, each once, in order.
pub(super) fn groupby(call: &Call<'_>) -> Vec<String> {
    let mut names: Vec<String> = call.query().all("groupby").into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

pub(super) fn sort_keys(names: &[String]) -> Vec<SortKey> {
    names.iter().map(|name| SortKey::ascending(name)).collect()
}

/// Runs of resources that are alike in some attributes.
pub(super) fn groups<'r>(
    resources: &'r [Resource],
    by: &[String],
) -> impl Iterator<Item = (Object, &'r [Resource])> {
    resources
        .chunk_by(|a, b| group_of(a, by) == group_of(b, by))
        .map(|members| (group_of(&members[0], by), members))
}

/// The attributes of a resource by which it is grouped.
pub(super) fn group_of(resource: &Resource, by: &[String]) -> Object {
    let shown = show::resource(resource, Attributes::Shown);
    by.iter().map(|name| (name.clone(), shown.get(name).cloned().unwrap_or(Value::Null))).collect()
}
