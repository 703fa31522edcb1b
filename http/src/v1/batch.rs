//! `/v1/batch`: measures of many metrics in one request, by id or by resource and name.
//!
//! Nothing is stored unless everything is in order; metrics made on the way stay, though.

use hyper::{Method, StatusCode};
use orzo_model::metric::Metric;
use orzo_model::{Measure, MetricId};
use orzo_store::index::{self, Kind, NewMetric};

use super::batch_body::{ByResource, OfResource, read_by_id, read_by_resource};
use super::metric::MetricTarget;
use super::metric_body::check_name;
use super::targets::{Door, Target, Texts};
use crate::call::Call;
use crate::engine::Post;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        ["metrics", "measures"] => call.act(&[(Method::POST, &|| by_id(call))]),
        ["resources", "metrics", "measures"] => call.act(&[(Method::POST, &|| by_name(call))]),
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

fn by_id(call: &Call<'_>) -> Outcome {
    let door = Door { identity: call.identity()?, texts: &Texts::Ids, revision: call.index().revision() };
    call.request.expect_type("application/json")?;
    let batch = read_by_id(&call.request.body, call.now)?;
    let targets = targets_by_id(call, door, batch.keys().copied().collect())?;
    post(call, targets.into_iter().zip(batch.into_values()))
}

/// Where the measures of metrics go, in their order.
fn targets_by_id(call: &Call<'_>, door: Door<'_>, ids: Vec<MetricId>) -> Outcome<Vec<Target>> {
    let known = call.api.targets.read(door);
    let mut targets: Vec<Option<Target>> =
        ids.iter().map(|id| known.find(&id.to_bytes()).map(|number| known.target(number).clone())).collect();
    drop(known);
    let news: Vec<usize> = (0..ids.len()).filter(|at| targets[*at].is_none()).collect();
    if news.is_empty() {
        return Ok(targets.into_iter().flatten().collect());
    }
    let metrics = call.index().metrics_by_id(&news.iter().map(|at| ids[*at]).collect::<Vec<_>>())?;
    let unknown = news.iter().zip(&metrics).filter(|(_, metric)| metric.is_none());
    refuse_unknown(unknown.map(|(at, _)| ids[*at].to_string()).collect())?;
    for (at, metric) in news.iter().zip(metrics.iter().flatten()) {
        targets[*at] = Some(allowed(call, metric)?);
    }
    let targets: Vec<Target> = targets.into_iter().flatten().collect();
    let texts: Vec<[u8; 16]> = news.iter().map(|at| ids[*at].to_bytes()).collect();
    let found = texts.iter().zip(&news).map(|(text, at)| (&text[..], &targets[*at]));
    call.api.targets.learn(door, found);
    Ok(targets)
}

fn by_name(call: &Call<'_>) -> Outcome {
    let creator = call.creator()?;
    call.request.expect_type("application/json")?;
    let batch = read_by_resource(&call.request.body, creator, call.now)?;
    if batch.values().all(|resource| resource.metrics.is_empty()) {
        return Ok(Response::accepted());
    }
    let create = call.query().flag("create_metrics", false)?;
    let mut metrics = find(call, &batch)?;
    if create {
        make_missing(call, &batch, &mut metrics)?;
    }
    let missing = names(&batch).zip(&metrics).filter(|(_, metric)| metric.is_none());
    refuse_unknown(missing.map(|((resource, name), _)| format!("{}/{name}", resource.id)).collect())?;
    let targets =
        metrics.iter().flatten().map(|metric| allowed(call, metric)).collect::<Outcome<Vec<_>>>()?;
    let measures = batch.into_values().flat_map(|resource| resource.metrics.into_values());
    post(call, targets.into_iter().zip(measures.map(|metric| metric.measures)))
}

/// All pairs of a batch, in its order.
fn names(batch: &ByResource) -> impl Iterator<Item = (&OfResource, &str)> {
    batch.values().flat_map(|resource| resource.metrics.keys().map(move |name| (resource, name.as_str())))
}

/// The metrics of all pairs, where there are any.
fn find(call: &Call<'_>, batch: &ByResource) -> Outcome<Vec<Option<Metric>>> {
    let pairs: Vec<_> = names(batch).map(|(resource, name)| (resource.id, name)).collect();
    Ok(call.index().metrics_by_name(&pairs)?)
}

/// Makes the metrics that are missing; the caller becomes their creator.
fn make_missing(call: &Call<'_>, batch: &ByResource, metrics: &mut [Option<Metric>]) -> Outcome<()> {
    let creator = call.creator()?;
    let mut positions = Vec::new();
    let mut wishes = Vec::new();
    let all =
        batch.values().flat_map(|of| of.metrics.iter().map(move |(name, metric)| (of.id, name, metric)));
    for (position, (resource, name, metric)) in all.enumerate() {
        if metrics[position].is_some() {
            continue;
        }
        check_name(name)?;
        if metric.policy.is_none() {
            call.index().policy_by_rule(name)?;
        }
        positions.push(position);
        wishes.push(NewMetric {
            name: Some(name.clone()),
            unit: metric.unit.clone(),
            policy: metric.policy.clone(),
            resource: Some(resource),
            creator: creator.to_owned(),
        });
    }
    call.enforce("create metric", &[("creator", creator)])?;
    let made = call.index().create_metrics(wishes, call.now)?;
    let mut unknown = Unknown::default();
    let mut raced = false;
    for (position, result) in positions.into_iter().zip(made) {
        match result {
            Ok(metric) => metrics[position] = Some(metric),
            Err(index::Error::NotFound(Kind::Resource, id)) => unknown.add(id),
            Err(index::Error::NamedMetricExists(_)) => raced = true,
            Err(other) => return Err(other.into()),
        }
    }
    unknown.refuse(batch)?;
    if raced {
        // Somebody else made them in the meantime.
        metrics.iter_mut().zip(find(call, batch)?).for_each(|(known, found)| *known = known.take().or(found));
    }
    Ok(())
}

/// Resources that a batch names and nobody has made.
#[derive(Default)]
struct Unknown {
    ids: Vec<String>,
}

impl Unknown {
    fn add(&mut self, id: String) {
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    /// 400 with the texts exactly as sent: a client makes the resources from them and tries again.
    fn refuse(self, batch: &ByResource) -> Outcome<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let texts = batch.iter().map(|(text, of)| (text, of.id.to_string()));
        let unknown = texts.filter(|(_, id)| self.ids.contains(id)).map(|(text, id)| {
            Value::object([("resource_id", id.into()), ("original_resource_id", text.as_str().into())])
        });
        Err(ApiError::bad_object([("cause", "Unknown resources".into()), ("detail", Value::list(unknown))]))
    }
}

fn refuse_unknown(mut names: Vec<String>) -> Outcome<()> {
    if names.is_empty() {
        return Ok(());
    }
    names.sort_unstable();
    Err(ApiError::bad(format!("Unknown metrics: {}", names.join(", "))))
}

/// Where the measures of a metric go, if the caller may post to it.
fn allowed(call: &Call<'_>, metric: &Metric) -> Outcome<Target> {
    call.enforce("post measures", &MetricTarget::new(call, metric))?;
    Ok(Target::from(metric))
}

/// Hands everything to the engine at once.
fn post(call: &Call<'_>, batch: impl Iterator<Item = (Target, Vec<Measure>)>) -> Outcome {
    let posts: Vec<Post> = batch
        .filter(|(_, measures)| !measures.is_empty())
        .map(|(Target { id, kind, policy }, measures)| Post {
            metric: id,
            policy,
            kind,
            measures: measures.into(),
        })
        .collect();
    if !posts.is_empty() {
        call.engine().post(posts)?;
    }
    Ok(Response::accepted())
}
