//! Bodies that are not what they should be, everywhere.

use serde_json::{Value, json};

use crate::site::{Reply, Site};

fn raw(site: &Site, method: &str, path: &str, body: &str) -> Reply {
    site.ask("admin", method, path).header("Content-Type", "application/json").body(body.as_bytes()).send()
}

#[test]
fn bodies_must_say_that_they_are_json() {
    let site = Site::new();
    let ask = |content_type: &str| {
        let ask = site.ask("admin", "POST", "/v1/archive_policy").header("Content-Type", content_type);
        ask.body(b"{}").send().status
    };
    assert_eq!(ask("application/json; charset=utf-8"), 400);
    assert_eq!(ask("text/plain"), 415);
    assert_eq!(ask("Application/JSON"), 415);
    site.ask("admin", "POST", "/v1/archive_policy").body(b"{}").send().expect(415);
}

#[test]
fn undecodable_bodies() {
    let site = Site::new();
    let description = raw(&site, "POST", "/v1/archive_policy", "").expect(400).description();
    assert_eq!(
        description,
        json!({"cause": "Unable to decode body", "reason": "Expected object or value", "detail": []})
    );
    for body in ["{", "{\"name\": }", "\u{1}", "nul"] {
        let description = raw(&site, "POST", "/v1/archive_policy", body).expect(400).description();
        assert_eq!(description["cause"], "Unable to decode body", "{body}");
    }
}

#[test]
fn numbers_that_json_does_not_know_are_read() {
    let site = Site::new().with_policy();
    let id = site.metric("admin", json!({}));
    let path = format!("/v1/metric/{id}/measures");
    raw(&site, "POST", &path, r#"[{"timestamp": 60, "value": NaN}, {"timestamp": 120, "value": -Infinity}]"#)
        .expect(202);
    let body = site.get(&format!("{path}?granularity=60&aggregation=max")).expect(200).body;
    assert!(body.contains("NaN") && body.contains("-Infinity"), "{body}");
}

#[test]
fn duplicate_keys_the_last_wins() {
    let site = Site::new().with_policy();
    let body = raw(&site, "POST", "/v1/metric", r#"{"name": "a", "name": "b"}"#).expect(201).json();
    assert_eq!(body["name"], "b");
}

#[test]
fn one_error_is_told_the_first_in_the_body() {
    let site = Site::new();
    let detail = |body: &str| raw(&site, "POST", "/v1/archive_policy", body).expect(400).description();
    assert_eq!(detail(r#"{"zzz": 1, "name": 2}"#)["reason"], "extra keys not allowed @ data['zzz']");
    let wrong = detail(r#"{"name": 2, "zzz": 1}"#);
    assert_eq!(wrong["reason"], "expected str for dictionary value @ data['name']");
    assert_eq!(wrong["detail"], json!(["name"]));
    let missing = detail("{}");
    assert_eq!(missing["reason"], "required key not provided @ data['name']");
    let nested = detail(r#"{"name": "x", "definition": [{"points": 0}]}"#);
    assert_eq!(nested["detail"], json!(["definition", "0", "points"]));
    assert_eq!(
        nested["reason"],
        "value must be at least 1 for dictionary value @ data['definition'][0]['points']"
    );
}

#[test]
fn long_names_are_refused_everywhere() {
    let site = Site::new().with_policy();
    let long = "x".repeat(256);
    let definition = json!([{"granularity": 1, "points": 1}]);
    let bodies = [
        ("/v1/archive_policy", json!({"name": long, "definition": definition})),
        (
            "/v1/archive_policy_rule",
            json!({"name": long, "metric_pattern": "*", "archive_policy_name": "low"}),
        ),
        ("/v1/resource_type", json!({"name": long})),
        ("/v1/metric", json!({"name": long})),
        ("/v1/resource/generic", json!({"id": "r", "metrics": {long.as_str(): {}}})),
        ("/v1/resource/generic", json!({"id": "x".repeat(290)})),
        ("/v1/resource/generic", json!({"id": "r", "user_id": long})),
        ("/v1/batch/resources/metrics/measures", json!({"r": {long.as_str(): []}})),
    ];
    for (path, body) in bodies {
        let reason = site.post(path, body).expect(400).description()["reason"].clone();
        assert!(
            reason.as_str().unwrap().contains("most") || reason.as_str().unwrap().contains("max"),
            "{path}: {reason}"
        );
    }
}

#[test]
fn kinds_of_json_that_do_not_fit() {
    let site = Site::new().with_policy();
    for body in [
        json!({"id": 1}),
        json!({"id": null}),
        json!({"id": "r", "started_at": null}),
        json!({"id": "r", "ended_at": null}),
        json!({"id": "r", "started_at": []}),
        json!({"id": "r", "user_id": 5}),
        json!({"id": "r", "metrics": []}),
        json!({"id": "r", "metrics": {"m": null}}),
        json!({"id": "r", "metrics": {"m": "no uuid"}}),
        json!({"id": "r", "metrics": {"m": {"unit": "x".repeat(32)}}}),
        json!({"id": "r", "creator": "me"}),
        json!({}),
        json!([]),
    ] {
        let description = site.post("/v1/resource/generic", body.clone()).expect(400).description();
        assert_eq!(description["cause"], "Invalid input", "{body}");
    }
}

#[test]
fn a_body_on_get_does_not_matter() {
    let site = Site::new();
    raw(&site, "GET", "/v1/archive_policy", "{ not json").expect(200);
}

#[test]
fn limits_and_markers_of_lists() {
    let site = Site::new();
    for (query, reason) in [
        ("limit=0", "value must be at least 1 for dictionary value @ data['limit']"),
        ("limit=x", "expected int for dictionary value @ data['limit']"),
        ("limit=1&limit=2", "expected int for dictionary value @ data['limit']"),
    ] {
        let description = site.get(&format!("/v1/metric?{query}")).expect(400).description();
        assert_eq!(description, json!({"cause": "Argument value error", "reason": reason}));
    }
    let text = |path: &str| site.get(path).expect(400).description();
    assert_eq!(text("/v1/metric?marker=nope"), Value::from("Invalid pagination: `Invalid marker: `nope''"));
    assert_eq!(
        text("/v1/resource/generic?sort=nope:asc"),
        Value::from("Invalid pagination: `Sort key supplied is invalid: nope'")
    );
    assert!(text("/v1/resource/generic?sort=id:up").as_str().unwrap().contains("Unknown sort direction"));
    assert!(
        text("/v1/resource/generic?details=perhaps")
            .as_str()
            .unwrap()
            .starts_with("Unable to parse `details':")
    );
}
