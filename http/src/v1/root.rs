//! Documents about the service itself: versions, links, capabilities, status, health, counters.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use orzo_model::Method as Aggregation;

use crate::call::Call;
use crate::config::BUILD;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;

/// Containers listed by the root of version 1; clients count them.
const LINKS: [&str; 12] = [
    "aggregates",
    "aggregation",
    "archive_policy",
    "archive_policy_rule",
    "batch",
    "capabilities",
    "influxdb",
    "metric",
    "resource",
    "resource_type",
    "search",
    "status",
];

/// `/`, whatever the method.
pub(super) fn versions(call: &Call<'_>) -> Response {
    let link = link("self", call.request.url("/v1/"));
    let version = Value::object([
        ("status", "CURRENT".into()),
        ("id", "v1.0".into()),
        ("updated", "2015-03-19".into()),
        ("links", Value::List(vec![link])),
    ]);
    Response::ok(&Value::object([("build", BUILD.into()), ("versions", Value::List(vec![version]))]))
}

/// `/v1/`; `/v1` leads to it.
pub(super) fn links(call: &Call<'_>) -> Outcome {
    if !call.request.path.ends_with('/') {
        return redirect(call);
    }
    call.act(&[(Method::GET, &|| {
        let own = std::iter::once(link("self", call.request.url("/v1")));
        let others = LINKS.iter().map(|name| link(name, call.request.url(&format!("/v1/{name}"))));
        let links = Value::list(own.chain(others));
        Ok(Response::ok(&Value::object([("version", "1.0".into()), ("links", links)])))
    })])
}

fn redirect(call: &Call<'_>) -> Outcome {
    if call.request.method != Method::GET {
        return Err(ApiError::bare(StatusCode::NOT_FOUND));
    }
    let location = HeaderValue::from_str(&call.request.url("/v1/")).expect("its parts came in headers");
    Ok(Response::new(StatusCode::FOUND, "").with_header(LOCATION, location))
}

fn link(rel: &str, href: String) -> Value {
    Value::object([("rel", rel.into()), ("href", href.into())])
}

/// `/v1/capabilities`; nobody has to say who asks.
pub(super) fn capabilities(call: &Call<'_>, below: &[&str]) -> Outcome {
    if !below.is_empty() {
        return call.nothing_below(&[Method::GET]);
    }
    call.act(&[(Method::GET, &|| {
        let methods = Value::list(Aggregation::all().map(|method| method.to_string()));
        Ok(Response::ok(&Value::object([("aggregation_methods", methods)])))
    })])
}

/// `/v1/status`.
pub(super) fn status(call: &Call<'_>, below: &[&str]) -> Outcome {
    if !below.is_empty() {
        return call.nothing_below(&[Method::GET]);
    }
    call.act(&[(Method::GET, &|| {
        call.enforce("get status", &())?;
        let details = call.query().flag("details", true)?;
        Ok(Response::ok(&status_document(call, details)))
    })])
}

fn status_document(call: &Call<'_>, details: bool) -> Value {
    let status = call.engine().status();
    let measures: u64 = status.waiting.values().sum();
    let metrics = status.waiting.len() as u64;
    let summary = Value::object([("metrics", metrics.into()), ("measures", measures.into())]);
    let mut storage = vec![("summary", summary)];
    if details {
        let waiting = status.waiting.iter().map(|(id, batches)| (id.to_string(), Value::from(*batches)));
        storage.push(("measures_to_process", Value::object(waiting)));
    }
    let statistics = status.statistics.into_iter().map(|(shard, numbers)| {
        (shard, Value::object(numbers.into_iter().map(|(name, number)| (name, Value::from(number)))))
    });
    let metricd = Value::object([
        ("processors", Value::list(status.processors)),
        ("statistics", Value::object(statistics)),
    ]);
    let damaged = status.damaged.into_iter().map(|(family, damaged)| (family, Value::from(damaged)));
    let failure = call.engine().failure().map_or(Value::Null, Value::Text);
    let store = Value::object([("failure", failure), ("damaged", Value::object(damaged))]);
    let mut document = vec![("storage", Value::object(storage)), ("metricd", metricd), ("store", store)];
    if details {
        let refused = status
            .refused_prefixes
            .into_iter()
            .map(|(prefix, count)| Value::object([("prefix", prefix.into()), ("count", Value::from(count))]));
        document.push(("statsd", Value::object([("refused_prefixes", Value::list(refused))])));
    }
    Value::object(document)
}

/// `/healthcheck`, whatever the method: 503 while the store takes no writes.
pub(super) fn healthcheck(call: &Call<'_>) -> Response {
    let failure = call.engine().failure();
    if call.request.is_head && failure.is_none() {
        return Response::no_content();
    }
    let mut response = health(call, failure.clone());
    if failure.is_some() {
        response.status = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn health(call: &Call<'_>, failure: Option<String>) -> Response {
    let wants_json = call.request.headers.contains_key(ACCEPT)
        && call.request.accept.quality("application", "json") > call.request.accept.quality("text", "html");
    if wants_json {
        return Response::ok(&Value::object([("detailed", false.into()), ("reasons", Value::list(failure))]));
    }
    text(failure.unwrap_or_default())
}

/// `/metrics`: counters of the daemon for Prometheus; nobody has to say who asks.
pub(super) fn scrape(call: &Call<'_>) -> Outcome {
    call.act_in_any_form(&[(Method::GET, &|| Ok(text(call.engine().scrape())))])
}

fn text(body: String) -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    Response::new(StatusCode::OK, body).with_header(CONTENT_TYPE, text)
}
