//! `/v1/resource/{type}/{id}/metric`: the metrics of a resource, by name.

use hyper::Method;
use orzo_store::index;

use super::metric_body::read_metrics;
use super::resource::At;
use super::{metric, show};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;
use crate::schema::Node;

/// A name is looked up while routing; from there on it is like `/v1/metric/{id}`.
pub(super) fn route(call: &Call<'_>, at: At<'_>, below: &[&str]) -> Outcome {
    let [name, ref rest @ ..] = *below else {
        return call.act(&[(Method::GET, &|| list(call, at)), (Method::POST, &|| add(call, at))]);
    };
    match index::metric_named(call.index(), at.id, name)? {
        Some(found) => metric::route_found(call, &found, rest),
        None => {
            at.load(call)?;
            Err(ApiError::not_found(format!("Metric {name} does not exist")))
        }
    }
}

fn list(call: &Call<'_>, at: At<'_>) -> Outcome {
    at.load_visible(call)?;
    let metrics = call.index().metrics_of(at.id)?;
    Ok(Response::ok(&Value::list(metrics.iter().map(show::listed_metric))))
}

/// New metrics belong to the creator of the resource.
fn add(call: &Call<'_>, at: At<'_>) -> Outcome {
    let resource = at.load(call)?;
    call.enforce("update resource", &resource)?;
    let body = call.json()?;
    let metrics = read_metrics(Node::root(&body), &resource.creator)?;
    let metrics = call.index().add_metrics(&at.resource_type.name, at.id, metrics, call.now)?;
    Ok(Response::ok(&Value::list(metrics.iter().map(show::listed_metric))))
}
