//! Batches of measures.

use serde_json::{Value, json};

use crate::site::{Reply, Site};

const BY_ID: &str = "/v1/batch/metrics/measures";
const BY_NAME: &str = "/v1/batch/resources/metrics/measures";

fn one() -> Value {
    json!([{"timestamp": 60, "value": 1}])
}

fn count(site: &Site, metric: &str) -> usize {
    let path = format!("/v1/metric/{metric}/measures?granularity=60");
    site.get(&path).expect(200).json().as_array().unwrap().len()
}

#[test]
fn by_id() {
    let site = Site::new().with_policy();
    let (a, b) = (site.metric("admin", json!({})), site.metric("foobar", json!({})));
    let reply = site.post(BY_ID, json!({a.as_str(): one(), b.as_str(): []})).expect(202);
    assert_eq!(reply.header("content-length"), Some("0"));
    assert_eq!((count(&site, &a), count(&site, &b)), (1, 0));
    site.post(BY_ID, json!({})).expect(202);
    site.nobody("POST", BY_ID).send().expect(401);
    let unknown = ["ffffffff-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"];
    let body = json!({unknown[0]: one(), a.as_str(): one(), unknown[1]: one()});
    site.post(BY_ID, body).says(400, &format!("Unknown metrics: {}, {}", unknown[1], unknown[0]));
    site.ask("foobar", "POST", BY_ID).json(json!({b.as_str(): one(), a.as_str(): one()})).expect(403);
    assert_eq!(count(&site, &b), 0, "one denial stores nothing");
    let reason = site.post(BY_ID, json!({"foo": one()})).expect(400).description()["reason"].clone();
    assert_eq!(reason, "not a valid value @ data['foo']");
    let reason = site.post(BY_ID, json!({a.as_str(): [1]})).expect(400).description()["reason"].clone();
    assert_eq!(reason, format!("unexpected measures format for dictionary value @ data['{a}']"));
}

fn by_name(site: &Site, user: &str, query: &str, body: Value) -> Reply {
    site.ask(user, "POST", &format!("{BY_NAME}{query}")).json(body)
}

#[test]
fn by_name_of_known_metrics() {
    let site = Site::new().with_policy();
    let id = site.resource("foobar", "generic", json!({"id": "r", "metrics": {"m": {}}}));
    by_name(&site, "foobar", "", json!({"r": {"m": {"measures": one(), "archive_policy_name": "ignored"}}}))
        .expect(202);
    by_name(&site, "foobar", "", json!({id.as_str(): {"m": one()}})).expect(202);
    by_name(&site, "foobar", "", json!({"r": {"z": one(), "m": one(), "a": one()}}))
        .says(400, &format!("Unknown metrics: {id}/a, {id}/z"));
    by_name(&site, "other", "", json!({id.as_str(): {"m": one()}})).expect(403);
    by_name(&site, "foobar", "?create_metrics=perhaps", json!({"r": {}})).expect(202);
    by_name(&site, "foobar", "?create_metrics=perhaps", json!({"r": {"m": one()}})).expect(400);
}

#[test]
fn metrics_are_made_on_the_way() {
    let site = Site::new().with_policy();
    site.resource("foobar", "generic", json!({"id": "r"}));
    let body =
        json!({"r": {"a": one(), "b": {"measures": one(), "archive_policy_name": "low", "unit": "B"}}});
    by_name(&site, "foobar", "?create_metrics=True", body).expect(202);
    let metrics = site.ask("foobar", "GET", "/v1/resource/generic/r/metric").send().expect(200).json();
    assert_eq!(metrics.as_array().unwrap().len(), 2);
    let path = "/v1/resource/generic/r/metric/b";
    assert_eq!(site.ask("foobar", "GET", path).send().json()["unit"], "B");
    for (body, text) in [
        (
            json!({"r": {"c": {"measures": one(), "unit": "x".repeat(32)}}}),
            "length of value must be at most 31",
        ),
        (json!({"r": {"c": {"unit": "s"}}}), "required key not provided @ data['r']['c']['measures']"),
        (
            json!({"r": {"c": {"measures": one(), "archive_policy_name": "nope"}}}),
            "Archive policy nope does not exist",
        ),
        (json!({"r": {"c/d": one()}}), "'/' is not supported in metric name"),
    ] {
        by_name(&site, "foobar", "?create_metrics=1", body).says(400, text);
    }
}

#[test]
fn unknown_resources_are_told_as_they_were_sent() {
    let site = Site::new().with_policy();
    site.resource("foobar", "generic", json!({"id": "known"}));
    let body = json!({"One:1": {"a": one(), "b": one()}, "known": {"a": one()}, "two": {"a": one()}});
    let description = by_name(&site, "foobar", "?create_metrics=true", body).expect(400).description();
    assert_eq!(description["cause"], "Unknown resources");
    let texts: Vec<_> = description["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["original_resource_id"].clone())
        .collect();
    assert_eq!(texts, ["One:1", "two"]);
    let known =
        site.ask("foobar", "GET", "/v1/resource/generic/known/metric/a/measures").send().expect(200).json();
    assert_eq!(known, json!([]), "the metric stays, its measures are not stored");
}

#[test]
fn the_caller_makes_metrics_on_resources_of_others() {
    let site = Site::new().with_policy();
    let id = site.resource("foobar", "generic", json!({"id": "r"}));
    by_name(&site, "other", "?create_metrics=true", json!({id.as_str(): {"m": one()}})).expect(202);
    let metric = site.get(&format!("/v1/resource/generic/{id}/metric/m")).json();
    assert_eq!(metric["creator"], "other");
}
