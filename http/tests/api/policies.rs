//! Archive policies and their rules.

use serde_json::json;

use crate::site::Site;

fn policy(name: &str, definition: serde_json::Value) -> serde_json::Value {
    json!({"name": name, "definition": definition})
}

#[test]
fn definitions_are_completed_and_shown_as_spans() {
    let site = Site::new();
    let body = json!({
        "name": "web", "back_window": "2",
        "definition": [{"granularity": "10s", "timespan": "1 day"}, {"granularity": "1h", "points": 720.9}, {"granularity": 7}],
        "aggregation_methods": ["-std", "+95pct"],
    });
    let made = site.post("/v1/archive_policy", body).expect(201);
    assert_eq!(made.header("location"), Some("http://here/v1/archive_policy/web"));
    let shown = made.json();
    assert_eq!(shown["back_window"], 2);
    assert_eq!(
        shown["definition"][0],
        json!({"timespan": "1 day, 0:00:00", "granularity": "0:00:10", "points": 8640})
    );
    assert_eq!(shown["definition"][1]["timespan"], "30 days, 0:00:00");
    assert_eq!(shown["definition"][2], json!({"timespan": null, "granularity": "0:00:07", "points": null}));
    assert_eq!(shown["aggregation_methods"].as_array().unwrap().len(), 6);
    assert_eq!(site.get("/v1/archive_policy/web").json(), shown);
}

#[test]
fn names_are_encoded_in_locations() {
    let site = Site::new();
    let made = site.post("/v1/archive_policy", policy("a ✔:/", json!([{"granularity": 1}]))).expect(201);
    assert_eq!(made.header("location"), Some("http://here/v1/archive_policy/a%20%E2%9C%94%3A/"));
}

#[test]
fn definitions_that_make_no_sense() {
    let site = Site::new();
    let text =
        |definition| site.post("/v1/archive_policy", policy("x", definition)).expect(400).description();
    assert_eq!(
        text(json!([{"granularity": 1, "points": 5, "timespan": 6}])),
        "timespan ≠ granularity × points"
    );
    assert_eq!(text(json!([{"granularity": 60, "timespan": 5}])), "Calculated number of points is < 0");
    assert_eq!(text(json!([{"points": 5}])), "At least two of granularity/points/timespan must be provided");
    assert_eq!(
        text(json!([{"granularity": 1, "points": 5}, {"granularity": "1s", "points": 6}])),
        "More than one archive policy uses granularity `1.0'"
    );
    assert_eq!(
        text(json!([{"granularity": "100w", "points": 1_000_000}])),
        "Timespan must not exceed 292 years"
    );
    assert_eq!(
        text(json!([]))["reason"],
        "length of value must be at least 1 for dictionary value @ data['definition']"
    );
    let mut nothing = policy("x", json!([{"granularity": 1}]));
    nothing["aggregation_methods"] = json!(["mean", "-mean"]);
    assert_eq!(
        site.post("/v1/archive_policy", nothing).expect(400).description(),
        "At least one aggregation method is required"
    );
}

#[test]
fn signs_in_mixed_lists_of_methods_leave_no_literals() {
    let site = Site::new();
    let mut mixed = policy("x", json!([{"granularity": 1}]));
    mixed["aggregation_methods"] = json!(["mean", "+95pct", "-max"]);
    assert_eq!(
        site.post("/v1/archive_policy", mixed).expect(201).json()["aggregation_methods"],
        json!(["mean", "95pct"])
    );
    let mut unknown = policy("y", json!([{"granularity": 1}]));
    unknown["aggregation_methods"] = json!(["100pct"]);
    let reason = site.post("/v1/archive_policy", unknown).expect(400).description()["reason"].clone();
    assert_eq!(reason, "not a valid value @ data['aggregation_methods'][0]");
}

#[test]
fn changes_keep_granularities_and_need_the_whole_definition() {
    let site = Site::new().with_policy();
    let patch = |body| site.patch("/v1/archive_policy/low", body);
    let kept = json!([{"granularity": "1h", "points": 5}, {"granularity": "1m", "points": 6}]);
    patch(json!({"definition": kept, "back_window": 3})).expect(200);
    let shown = patch(json!({"definition": kept})).expect(200).json();
    assert_eq!((&shown["back_window"], &shown["definition"][0]["points"]), (&json!(3), &json!(5)));
    assert_eq!(patch(json!({"definition": kept, "back_window": 0})).expect(200).json()["back_window"], 0);
    assert_eq!(
        patch(json!({"definition": [{"granularity": "1h", "points": 5}]})).expect(400).description(),
        "Archive policy low does not support change: Cannot add or drop granularities"
    );
    let other = json!([{"granularity": "1h", "points": 5}, {"granularity": "2m", "points": 6}]);
    assert_eq!(
        patch(json!({"definition": other})).expect(400).description(),
        "Archive policy low does not support change: 60.0 granularity interval was changed"
    );
    patch(json!({"back_window": 1})).expect(400);
    patch(json!({"definition": kept, "name": "x"})).expect(400);
    site.patch("/v1/archive_policy/nope", json!({})).expect(404);
}

#[test]
fn rights_come_before_bodies() {
    let site = Site::new();
    site.ask("foobar", "POST", "/v1/archive_policy").send().expect(403);
    site.ask("foobar", "DELETE", "/v1/archive_policy/nope").send().expect(403);
    site.ask("foobar", "PATCH", "/v1/archive_policy/nope").send().expect(404);
    site.nobody("GET", "/v1/archive_policy").send().expect(401);
    site.nobody("GET", "/v1/archive_policy").header("Authorization", "Bearer x").send().expect(401);
}

#[test]
fn policies_in_use_stay() {
    let site = Site::new().with_policy();
    assert_eq!(
        site.delete("/v1/archive_policy/low").expect(400).description(),
        "Archive policy low is still in use"
    );
    site.delete("/v1/archive_policy_rule/all").expect(204);
    let metric = site.metric("admin", json!({"archive_policy_name": "low"}));
    site.delete(&format!("/v1/metric/{metric}")).expect(204);
    site.delete("/v1/archive_policy/low").says(400, "is still in use");
    site.delete("/v1/archive_policy/nope").says(404, "Archive policy nope does not exist");
    site.post("/v1/archive_policy", policy("low", json!([{"granularity": 1}])))
        .says(409, "Archive policy low already exists");
}

#[test]
fn rules_are_tried_by_pattern_from_the_end_of_the_alphabet() {
    let site = Site::new().with_policy();
    for (name, pattern, policy) in [("disk", "disk.*", "d"), ("foo", "disk.foo.*", "f")] {
        site.post("/v1/archive_policy", json!({"name": policy, "definition": [{"granularity": 1}]}))
            .expect(201);
        let rule = json!({"name": name, "metric_pattern": pattern, "archive_policy_name": policy});
        site.post("/v1/archive_policy_rule", rule).expect(201);
    }
    let names: Vec<_> = site
        .get("/v1/archive_policy_rule")
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["name"].clone())
        .collect();
    assert_eq!(names, ["foo", "disk", "all"]);
    for (metric, policy) in [("disk.foo.x", "f"), ("disk.x", "d"), ("cpu", "low")] {
        let made = site.post("/v1/metric", json!({"name": metric})).expect(201).json();
        assert_eq!(made["archive_policy_name"], policy);
    }
}

#[test]
fn rules_are_renamed_and_their_bodies_checked_before_rights() {
    let site = Site::new().with_policy();
    site.post(
        "/v1/archive_policy_rule",
        json!({"name": "b", "metric_pattern": "b", "archive_policy_name": "low"}),
    )
    .expect(201);
    let rename = |user, to| site.ask(user, "PATCH", "/v1/archive_policy_rule/all").json(json!({"name": to}));
    assert_eq!(
        rename("admin", "b").expect(400).description(),
        "Archive policy rule all does not support change: Archive policy rule b already exists."
    );
    rename("admin", "all").expect(200);
    rename("foobar", "c").expect(403);
    site.ask("foobar", "PATCH", "/v1/archive_policy_rule/all").json(json!({})).expect(400);
    assert_eq!(rename("admin", "c").expect(200).json()["name"], "c");
    site.ask("foobar", "POST", "/v1/archive_policy_rule").send().expect(403);
    site.get("/v1/archive_policy_rule/all").says(404, "Archive policy rule all does not exist");
    let unknown = json!({"name": "x", "metric_pattern": "x", "archive_policy_name": "nope"});
    assert_eq!(
        site.post("/v1/archive_policy_rule", unknown).expect(400).description(),
        json!({"cause": "Archive policy does not exist", "detail": "nope"})
    );
}
