//! What one query may read: the limit itself is fine, one past it is told by name.

use orzo_http::{Config, Limits};
use serde_json::{Value, json};

use crate::site::{Reply, Site};

/// Two metrics of three minutes each, on resources of their own.
fn site(limits: Limits) -> (Site, [String; 2]) {
    let site = Site::with(Config { limits, ..Config::default() }).with_policy();
    let metrics = ["r", "s"].map(|name| {
        let made = site.post("/v1/resource/generic", json!({"id": name, "metrics": {"cpu": {}}}));
        let id = made.expect(201).json()["metrics"]["cpu"].as_str().unwrap().to_owned();
        let measures: Value =
            (1..=3).map(|minute| json!({"timestamp": 60 * minute, "value": minute})).collect();
        site.post(&format!("/v1/metric/{id}/measures"), measures).expect(202);
        id
    });
    (site, metrics)
}

/// Every endpoint that reads two metrics, at one granularity.
fn both(site: &Site, [a, b]: &[String; 2]) -> Vec<Reply> {
    let by_id = json!({"operations": format!("(aggregate sum (metric ({a} mean) ({b} mean)))")});
    let search = json!({"operations": "(aggregate sum (metric cpu mean))", "search": "id != \"\"",
        "resource_type": "generic"});
    let predicate = json!({">": 0});
    vec![
        site.post("/v1/aggregates?granularity=60", by_id),
        site.post("/v1/aggregates?granularity=60", search.clone()),
        site.post("/v1/aggregates?granularity=60&groupby=id", search.clone()),
        site.post("/v1/aggregates?granularity=60&groupby=id&use_history=true", search),
        site.post("/v1/aggregation/metric?granularity=60", json!([a, b])),
        site.post("/v1/aggregation/resource/generic/metric/cpu?granularity=60&groupby=id", json!({})),
        site.post(&format!("/v1/search/metric?metric_id={a}&metric_id={b}&granularity=60"), predicate),
    ]
}

fn refused(reply: Reply, name: &str, maximum: usize) {
    let description = reply.expect(400).description();
    assert_eq!(description["cause"], "Query over its limit");
    assert_eq!(description["detail"], json!({"limit": name, "maximum": maximum}));
    let reason = description["reason"].as_str().unwrap();
    assert!(reason.contains(name) && reason.contains("Narrow it: a shorter range"), "{reason}");
}

#[test]
fn series() {
    let (site, metrics) = site(Limits { query_series: 2, ..Limits::default() });
    both(&site, &metrics).into_iter().for_each(|reply| drop(reply.expect(200)));

    let (site, metrics) = self::site(Limits { query_series: 1, ..Limits::default() });
    both(&site, &metrics).into_iter().for_each(|reply| refused(reply, "query_series", 1));
    site.get(&format!("/v1/metric/{}/measures", metrics[0])).expect(200);
}

#[test]
fn points() {
    let (site, metrics) = site(Limits { query_points: 6, ..Limits::default() });
    both(&site, &metrics).into_iter().for_each(|reply| drop(reply.expect(200)));

    let (site, metrics) = self::site(Limits { query_points: 5, ..Limits::default() });
    both(&site, &metrics).into_iter().for_each(|reply| refused(reply, "query_points", 5));

    let (site, metrics) = self::site(Limits { query_points: 2, ..Limits::default() });
    let read = |arguments| site.get(&format!("/v1/metric/{}/measures?granularity=60{arguments}", metrics[0]));
    refused(read(""), "query_points", 2);
    read("&start=120").expect(200);
}
