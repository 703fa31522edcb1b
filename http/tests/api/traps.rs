//! What clients stumble over, where no other file has it.

use serde_json::{Value, json};

use crate::site::Site;

#[test]
fn what_routing_looks_up_comes_before_methods() {
    let site = Site::new();
    let status = |method: &str, path: &str| site.ask("admin", method, path).send().status;
    assert_eq!(status("PUT", "/v1/metric/00000000-0000-0000-0000-000000000000"), 404);
    assert_eq!(status("PUT", "/v1/resource/nope"), 404);
    assert_eq!(status("PUT", "/v1/archive_policy_rule/nope"), 404);
    assert_eq!(status("PUT", "/v1/search/resource/nope"), 404);
    assert_eq!(status("PUT", "/v1/archive_policy/nope"), 405);
    assert_eq!(status("PUT", "/v1/resource_type/nope"), 405);
}

#[test]
fn a_bare_year_is_seconds() {
    let site = Site::new();
    let started = |text: &str| {
        let made = site.post("/v1/resource/generic", json!({"id": text, "started_at": text}));
        made.expect(201).json()["started_at"].clone()
    };
    assert_eq!(started("2014"), "1970-01-01T00:33:34+00:00");
    assert_eq!(started("2014-01"), "2014-01-01T00:00:00+00:00");
}

#[test]
fn times_of_measures_lose_fractions_and_those_of_resources_do_not() {
    let site = Site::new();
    let definition = json!([{"granularity": 0.5, "points": 10}]);
    let policy = json!({"name": "half", "definition": definition, "aggregation_methods": ["mean"]});
    site.post("/v1/archive_policy", policy).expect(201);
    let id = site.metric("admin", json!({"archive_policy_name": "half"}));
    let path = format!("/v1/metric/{id}/measures");
    site.post(&path, json!([{"timestamp": 60.75, "value": 1}])).expect(202);
    assert_eq!(site.get(&path).json(), json!([["1970-01-01T00:01:00+00:00", 0.5, 1.0]]));
    let made = site.post("/v1/resource/generic", json!({"id": "r", "started_at": 60.75})).expect(201).json();
    assert_eq!(made["started_at"], "1970-01-01T00:01:00.750000+00:00");
}

#[test]
fn unknown_policies_are_told_in_two_forms() {
    let site = Site::new();
    let rule = json!({"name": "r", "metric_pattern": "*", "archive_policy_name": "nope"});
    assert_eq!(
        site.post("/v1/archive_policy_rule", rule).expect(400).description(),
        json!({"cause": "Archive policy does not exist", "detail": "nope"})
    );
    let told = Value::from("Archive policy nope does not exist");
    let metric = json!({"archive_policy_name": "nope"});
    assert_eq!(site.post("/v1/metric", metric.clone()).expect(400).description(), told);
    let resource = json!({"id": "r", "metrics": {"m": metric}});
    assert_eq!(site.post("/v1/resource/generic", resource).expect(400).description(), told);
}

#[test]
fn double_equals_and_numbers_differ_between_json_and_text() {
    let site = Site::new();
    site.resource("admin", "generic", json!({"id": "r", "user_id": "1.0"}));
    let found = |filter: Value| site.post("/v1/search/resource/generic", filter).expect(200).json();
    assert_eq!(found(json!({"==": {"user_id": "1.0"}})).as_array().unwrap().len(), 1);
    let text = |filter: &str| {
        site.ask("admin", "POST", &format!("/v1/search/resource/generic?filter={filter}")).send()
    };
    text("user_id%20==%20%221.0%22").expect(400);
    assert_eq!(text("user_id%20=%201").expect(200).json().as_array().unwrap().len(), 1, "1 is 1.0");
}

#[test]
fn revisions_count_from_one_over_all_resources() {
    let site = Site::new();
    for (id, revision) in [("a", 1), ("b", 2)] {
        let uuid = site.resource("admin", "generic", json!({"id": id}));
        site.patch(&format!("/v1/resource/generic/{uuid}"), json!({"user_id": "u"})).expect(200);
        let path = format!("/v1/resource/generic/{uuid}/history?limit=1&sort=revision_start:asc");
        let page = site.get(&path).expect(200);
        assert!(page.header("link").unwrap().contains(&format!("marker={uuid}%40{revision}&")), "{id}");
        let last = site.get(&format!("{path}&marker={uuid}%40{revision}")).expect(200);
        assert!(last.header("link").unwrap().contains(&format!("marker={uuid}%40-1&")), "{id}");
    }
}

#[test]
fn points_windows_and_limits_may_be_texts() {
    let site = Site::new();
    let definition = json!([{"granularity": 1, "points": "5"}]);
    let policy = json!({"name": "p", "back_window": "2", "definition": definition});
    let made = site.post("/v1/archive_policy", policy).expect(201).json();
    assert_eq!((&made["back_window"], &made["definition"][0]["points"]), (&json!(2), &json!(5)));
    site.get("/v1/metric?limit=5").expect(200);
}

#[test]
fn definitions_are_rounded_to_whole_points() {
    let site = Site::new();
    let policy = json!({"name": "p", "definition": [{"granularity": 7, "timespan": "1 hour"}]});
    let shown = site.post("/v1/archive_policy", policy).expect(201).json()["definition"][0].clone();
    assert_eq!(shown, json!({"granularity": "0:00:07", "points": 514, "timespan": "0:59:58"}));
}

#[test]
fn timespans_have_an_end_in_changes_too() {
    let site = Site::new().with_policy();
    let definition =
        json!([{"granularity": "1m", "points": 1440}, {"granularity": "1h", "points": 9_000_000_000_u64}]);
    site.patch("/v1/archive_policy/low", json!({"definition": definition}))
        .says(400, "Timespan must not exceed 292 years");
}

#[test]
fn empty_lists_of_conditions_are_refused() {
    let site = Site::new();
    for operator in ["and", "or"] {
        site.post("/v1/search/resource/generic", json!({operator: []}))
            .says(400, "length of value must be at least 1");
    }
    site.post("/v1/search/resource/generic", json!({"in": {"id": []}})).says(400, "at least 1");
    site.post("/v1/search/resource/generic", json!({})).expect(200);
}

#[test]
fn truths_are_read_as_python_writes_them() {
    let site = Site::new().with_policy();
    let id = site.metric("admin", json!({}));
    for word in ["True", "False", "TRUE", "yes", "0"] {
        site.get(&format!("/v1/metric/{id}/measures?refresh={word}")).expect(200);
        site.get(&format!("/v1/resource/generic?details={word}&history={word}")).expect(200);
        site.post(&format!("/v1/batch/resources/metrics/measures?create_metrics={word}"), json!({}))
            .expect(202);
    }
}

#[test]
fn markers_must_be_ids() {
    let site = Site::new();
    for path in ["/v1/metric", "/v1/resource/generic", "/v1/resource/generic?history=true"] {
        let join = if path.contains('?') { '&' } else { '?' };
        for marker in ["x", "00000000-0000-0000-0000-000000000000", "@1", "%00"] {
            site.get(&format!("{path}{join}marker={marker}"))
                .says(400, "Invalid pagination: `Invalid marker: ");
        }
        site.get(&format!("{path}{join}marker=")).expect(200);
    }
}
