//! The routes. A path is matched segment by segment; what a path names is looked up before the method
//! is looked at where clients rely on that (see each file).

mod aggregates;
mod aggregation;
mod archive_policy;
mod archive_policy_rule;
mod arguments;
mod batch;
mod batch_body;
mod evaluation;
mod filter_body;
pub mod grammars;
mod history;
mod influx_line;
mod influxdb;
mod metric;
mod metric_body;
mod openapi;
mod prometheus;
mod push;
mod reading;
mod remote_write;
mod resource;
mod resource_body;
mod resource_list;
mod resource_metrics;
mod resource_type;
mod root;
mod rows;
mod show;
mod targets;
mod type_patch;
mod value_search;

use hyper::{Method, StatusCode};

use crate::call::Call;
use crate::error::{ApiError, Outcome};

pub(crate) use targets::Targets;

/// Finds the handler of a request and runs it.
pub(crate) fn route(call: &Call<'_>) -> Outcome {
    let segments: Vec<&str> = call.request.segments.iter().map(String::as_str).collect();
    match segments[..] {
        [] => Ok(root::versions(call)),
        ["healthcheck"] => Ok(root::healthcheck(call)),
        ["metrics"] => root::scrape(call),
        ["v1", "openapi.json"] => openapi::document(call),
        ["v1", ref below @ ..] => {
            if call.api.config.auth.has_projects() {
                call.identity()?;
            }
            route_v1(call, below)
        }
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

fn route_v1(call: &Call<'_>, segments: &[&str]) -> Outcome {
    match *segments {
        [] => root::links(call),
        ["capabilities", ref below @ ..] => root::capabilities(call, below),
        ["status", ref below @ ..] => root::status(call, below),
        ["archive_policy", ref below @ ..] => archive_policy::route(call, below),
        ["archive_policy_rule", ref below @ ..] => archive_policy_rule::route(call, below),
        ["resource_type", ref below @ ..] => resource_type::route(call, below),
        ["resource", ref below @ ..] => resource::route(call, below),
        ["metric", ref below @ ..] => metric::route(call, below),
        ["batch", ref below @ ..] => batch::route(call, below),
        ["search", ref below @ ..] => search(call, below),
        ["aggregates", ref below @ ..] => aggregates::route(call, below),
        ["aggregation", ref below @ ..] => aggregation::route(call, below),
        ["influxdb", ref below @ ..] => influxdb::route(call, below),
        ["prometheus", "write"] => prometheus::route(call),
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

/// Whether a request to a path, not decoded yet, makes, changes or deletes one resource or metric.
pub(crate) fn changes_one_object(method: &Method, path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let (version, kind, depth) = (segments.next(), segments.next(), segments.count());
    let is_made = *method == Method::POST;
    let is_changed = [Method::PATCH, Method::DELETE].contains(method);
    version == Some("v1")
        && match kind {
            Some("resource") => is_made && depth == 1 || is_changed && depth == 2,
            Some("metric") => is_made && depth == 0 || is_changed && depth == 1,
            _ => false,
        }
}

fn search(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        ["metric"] => call.act(&[(Method::POST, &|| value_search::search(call))]),
        ["resource", type_name, ref rest @ ..] => {
            let resource_type = call.index().resource_type(type_name)?;
            if !rest.is_empty() {
                return call.nothing_below(&[Method::POST]);
            }
            call.act(&[(Method::POST, &|| resource_list::search(call, &resource_type))])
        }
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_one_object() {
        for (method, path, changes) in [
            (Method::POST, "/v1/resource/generic", true),
            (Method::POST, "//v1/resource/generic/", true),
            (Method::PATCH, "/v1/resource/generic/a", true),
            (Method::DELETE, "/v1/resource/generic/a", true),
            (Method::POST, "/v1/metric", true),
            (Method::DELETE, "/v1/metric/a", true),
            (Method::GET, "/v1/resource/generic", false),
            (Method::DELETE, "/v1/resource/generic", false),
            (Method::POST, "/v1/resource/generic/a/metric", false),
            (Method::POST, "/v1/metric/a/measures", false),
            (Method::POST, "/v1/search/resource/generic", false),
            (Method::POST, "/v1/batch/metrics/measures", false),
            (Method::POST, "/v2/metric", false),
            (Method::POST, "/", false),
        ] {
            assert_eq!(changes_one_object(&method, path), changes, "{method} {path}");
        }
    }
}
