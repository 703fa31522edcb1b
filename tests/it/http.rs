//! The API in broad strokes; the conformance files go into detail.

use serde_json::json;

use crate::harness::{ADMIN, Daemon};

#[test]
fn the_root_lists_versions_without_any_identity() {
    let daemon = Daemon::start();
    let (status, body) = daemon.call("GET", "/", None, None).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["versions"][0]["id"], "v1.0", "{body}");
}

#[test]
fn an_identity_is_asked_for() {
    let daemon = Daemon::start();
    assert_eq!(daemon.call("GET", "/v1/metric", None, None).unwrap().0, 401);
    assert_eq!(daemon.call("GET", "/v1/metric", None, Some(ADMIN)).unwrap().0, 200);
}

#[test]
fn the_first_start_makes_policies_and_a_rule() {
    let daemon = Daemon::start();
    let policies = daemon.get("/v1/archive_policy");
    let mut names: Vec<_> =
        policies.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bool", "high", "low", "medium", "statsd", "statsd-timer"]);
    let rules = daemon.get("/v1/archive_policy_rule");
    assert_eq!(rules[0]["archive_policy_name"], "low", "{rules}");
}

#[test]
fn measures_posted_are_read_back_rolled_up() {
    let daemon = Daemon::start();
    let policy = json!({"name": "p", "aggregation_methods": ["mean", "max"],
        "definition": [{"granularity": "1m", "points": 60}]});
    assert_eq!(daemon.post("/v1/archive_policy", &policy).0, 201);
    let (status, metric) = daemon.post("/v1/metric", &json!({"name": "m", "archive_policy_name": "p"}));
    assert_eq!(status, 201, "{metric}");
    let path = format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap());
    let measures = json!([
        {"timestamp": "2026-01-01T10:00:00", "value": 1},
        {"timestamp": "2026-01-01T10:00:20", "value": 5},
        {"timestamp": "2026-01-01T10:01:00", "value": 7}]);
    assert_eq!(daemon.post(&path, &measures).0, 202);
    let column = |method: &str| {
        let rows = daemon.get(&format!("{path}?aggregation={method}"));
        rows.as_array().unwrap().iter().map(|row| row[2].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(column("mean"), [3.0, 7.0]);
    assert_eq!(column("max"), [5.0, 7.0]);
}

#[test]
fn what_is_not_there_is_not_found_and_nonsense_is_refused() {
    let daemon = Daemon::start();
    assert_eq!(daemon.try_get("/v1/metric/00000000-0000-0000-0000-000000000000").unwrap().0, 404);
    assert_eq!(daemon.try_get("/nowhere").unwrap().0, 404);
    assert_eq!(daemon.post("/v1/metric", &json!({"archive_policy_name": "nope"})).0, 400);
}

#[test]
fn in_remoteuser_mode_basic_authentication_is_not_looked_at() {
    let daemon = Daemon::start_with("[auth]\nremote_user_header = \"X-User\"\nmode = \"remoteuser\"");
    assert_eq!(daemon.call("GET", "/v1/metric", None, Some(ADMIN)).unwrap().0, 401, "basic is not the mode");
}

#[test]
fn a_quiet_daemon_has_nothing_to_process() {
    let mut daemon = Daemon::start();
    daemon.send_udp("h.c:1|c");
    daemon.await_total("h.c", "sum", 1.0);
    daemon.eventually("nothing waits", |daemon| {
        let status = daemon.get("/v1/status");
        (status["storage"]["summary"]["measures"] == 0).then_some(())
    });
}
