//! Writing by name: resources and metrics that other systems push to, made when first seen.

use std::sync::Arc;

use indexmap::IndexMap;
use orzo_model::Measure;
use orzo_model::metric::Metric;
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::{GENERIC, Value as AttributeValue};
use orzo_store::index::{self, Kind, MetricSpec, NewResource};

use super::metric::MetricTarget;
use super::metric_body::check_name;
use super::targets::{Door, Names, Target};
use crate::call::Call;
use crate::engine::Post;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use hyper::StatusCode;

/// Attempts while others make the same things.
const ATTEMPTS: usize = 8;

/// What is pushed to one resource.
#[derive(Debug, Default)]
pub(super) struct Push {
    /// Attributes of the resource, if it has to be made.
    pub(super) attributes: Vec<(String, AttributeValue)>,
    /// By the name of the metric.
    pub(super) measures: IndexMap<String, Vec<Measure>>,
}

/// Stores everything, by the text that names the resource; the metrics are those of rules.
pub(super) fn push(call: &Call<'_>, type_name: &str, pushes: IndexMap<String, Push>) -> Outcome<()> {
    let door =
        Door { identity: call.identity()?, resource_type: type_name, revision: call.index().revision() };
    let mut posts = Vec::new();
    for (text, push) in pushes {
        let targets = targets(call, door, &text, &push)?;
        for (name, measures) in push.measures {
            let target = targets.get(&name).filter(|_| !measures.is_empty()).cloned();
            posts.extend(target.map(|Target { id, kind, policy }| Post {
                metric: id,
                policy,
                kind,
                measures,
            }));
        }
    }
    if !posts.is_empty() {
        call.engine().post(posts)?;
    }
    Ok(())
}

/// Where the measures of a push go.
fn targets(call: &Call<'_>, door: Door<'_>, text: &str, push: &Push) -> Outcome<Arc<Names>> {
    let known = call.api.targets.find(door, text);
    if let Some(known) = known.filter(|known| push.measures.keys().all(|name| known.contains_key(name))) {
        return Ok(known);
    }
    let mut found = Names::new();
    for metric in metrics(call, door.resource_type, text, push)? {
        call.enforce("post measures", &MetricTarget::new(call, &metric))?;
        let target = Target::from(&metric);
        found.extend(metric.name.map(|name| (name, target)));
    }
    Ok(call.api.targets.keep(door, text, found))
}

/// The metrics of a push, made if need be.
fn metrics(call: &Call<'_>, type_name: &str, text: &str, push: &Push) -> Outcome<Vec<Metric>> {
    let id =
        ResourceId::derive(text, Some(call.creator()?)).map_err(|error| ApiError::bad(error.to_string()))?;
    for name in push.measures.keys() {
        check_name(name)?;
    }
    for _ in 0..ATTEMPTS {
        if let Some(metrics) = attempt(call, type_name, (text, id), push)? {
            return Ok(metrics);
        }
    }
    Err(ApiError::unavailable("The resource is being changed. Please try again."))
}

/// `None`: somebody else was faster, look again.
fn attempt(
    call: &Call<'_>,
    type_name: &str,
    (text, id): (&str, ResourceId),
    push: &Push,
) -> Outcome<Option<Vec<Metric>>> {
    let by_rule = |name: &str| (name.to_owned(), MetricSpec::New { policy: None, unit: None });
    let names = || push.measures.keys().map(String::as_str);
    let done = match call.index().resource(type_name, id) {
        Ok(resource) => {
            call.enforce("update resource", &resource)?;
            let missing: Vec<_> =
                names().filter(|name| !resource.metrics.contains_key(*name)).map(by_rule).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                call.index().add_metrics(type_name, id, missing, call.now).map(drop)
            }
        }
        Err(index::Error::NotFound(Kind::Resource, _)) => {
            let creator = call.creator()?;
            call.enforce("create resource", &[("creator", creator), ("resource_type", type_name)])?;
            let new = NewResource {
                id,
                original_id: text.to_owned(),
                resource_type: type_name.to_owned(),
                creator: creator.to_owned(),
                user_id: None,
                project_id: None,
                started_at: None,
                ended_at: None,
                attributes: push.attributes.clone(),
                metrics: names().map(by_rule).collect(),
                now: call.now,
            };
            call.index().create_resource(new).map(drop)
        }
        Err(other) => Err(other),
    };
    match done {
        Ok(()) => {}
        Err(index::Error::AlreadyExists(Kind::Resource, _)) => {
            return check_type(call, type_name, id).map(|()| None);
        }
        Err(index::Error::NamedMetricExists(_) | index::Error::NotFound(Kind::Resource, _)) => {
            return Ok(None);
        }
        Err(index::Error::Outdated(_)) => {
            return Err(ApiError::bad(format!("Resource type {type_name} requires other attributes")));
        }
        Err(other) => return Err(other.into()),
    }
    let pairs: Vec<_> = names().map(|name| (id, name)).collect();
    Ok(call.index().metrics_by_name(&pairs)?.into_iter().collect())
}

/// 409 if the id belongs to a resource of another type.
fn check_type(call: &Call<'_>, type_name: &str, id: ResourceId) -> Outcome<()> {
    match call.index().resource(GENERIC, id) {
        Ok(other) if &*other.resource_type != type_name => {
            let entries =
                [("cause", "Resource already exists".into()), ("detail", Value::from(id.to_string()))];
            Err(ApiError::object(StatusCode::CONFLICT, entries))
        }
        Ok(_) | Err(index::Error::NotFound(..)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
