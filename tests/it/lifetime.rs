//! What becomes of resources that fall silent, speak again, or ended long ago.

use serde_json::{Value, json};

use crate::harness::Daemon;

const QUICK: &str = "[janitor]\nmetric_cleanup_delay = \"1s\"";

fn daemon(keys: &str) -> Daemon {
    Daemon::start_with(&format!("{QUICK}\n{keys}\n[store]\ncheckpoint_age = \"1s\""))
}

fn make(daemon: &Daemon, resource: &Value) -> Value {
    let (status, made) = daemon.post("/v1/resource/generic", resource);
    assert_eq!(status, 201, "{made}");
    made
}

fn resource(daemon: &Daemon, id: &str) -> Value {
    daemon.get(&format!("/v1/resource/generic/{id}"))
}

fn measure(daemon: &Daemon, made: &Value, timestamp: &str) {
    let id = made["metrics"]["m"].as_str().unwrap();
    let body = json!([{"timestamp": timestamp, "value": 1}]);
    let (status, answer) = daemon.post(&format!("/v1/metric/{id}/measures"), &body);
    assert_eq!(status, 202, "{answer}");
}

fn with_metric(id: &str, ended_at: Option<&str>) -> Value {
    let metrics = json!({"m": {"archive_policy_name": "low"}});
    let mut resource = json!({"id": id, "started_at": "2026-01-01T00:00:00", "metrics": metrics});
    if let Some(end) = ended_at {
        resource["ended_at"] = end.into();
    }
    resource
}

#[test]
fn a_silent_resource_ends_and_goes_on_when_it_speaks_again() {
    let mut daemon = daemon("metric_inactive_after = \"2s\"");
    daemon.send_udp("s.c:1|c|#host:quiet");
    let ended = daemon.eventually("the resource has ended", |daemon| {
        let (status, found) = daemon.try_get("/v1/resource/generic/quiet").unwrap();
        (status == 200 && found["ended_at"].is_string()).then_some(found)
    });
    assert!(ended["revision_start"].as_str() >= ended["ended_at"].as_str());
    daemon.eventually("it goes on", |daemon| {
        daemon.send_udp("s.c:1|c|#host:quiet");
        resource(daemon, "quiet")["ended_at"].is_null().then_some(())
    });
    daemon.eventually("it has ended again", |daemon| {
        resource(daemon, "quiet")["ended_at"].is_string().then_some(())
    });
    let history = daemon.get("/v1/resource/generic/quiet/history");
    let ends: Vec<bool> =
        history.as_array().unwrap().iter().map(|state| state["ended_at"].is_string()).collect();
    assert!(ends.starts_with(&[false, true, false]), "{history}");
}

#[test]
fn what_speaks_does_not_end() {
    let mut daemon = daemon("metric_inactive_after = \"2s\"");
    daemon.send_udp("s.c:1|c|#host:quiet");
    // By the time that the other one has ended, this one has been made for longer than that.
    daemon.eventually("the silent one has ended", |daemon| {
        daemon.send_udp("s.c:1|c|#host:talks\ns.other:1|c|#host:talks");
        let (status, found) = daemon.try_get("/v1/resource/generic/quiet").unwrap();
        (status == 200 && found["ended_at"].is_string()).then_some(())
    });
    assert!(resource(&daemon, "talks")["ended_at"].is_null());
}

#[test]
fn only_a_measure_at_the_end_or_after_it_clears_it() {
    let mut daemon = daemon("");
    let earlier = make(&daemon, &with_metric("earlier", Some("2026-01-01T10:00:00")));
    let exactly = make(&daemon, &with_metric("exactly", Some("2026-01-01T10:00:00")));
    measure(&daemon, &earlier, "2026-01-01T09:59:59");
    // Told of after the other one.
    measure(&daemon, &exactly, "2026-01-01T10:00:00");
    daemon.eventually("the end is gone", |daemon| {
        resource(daemon, "exactly")["ended_at"].is_null().then_some(())
    });
    assert_eq!(resource(&daemon, "earlier")["ended_at"], "2026-01-01T10:00:00+00:00");

    // A series that goes on speaking while somebody else says that it has ended.
    let patch = json!({"ended_at": "2026-01-01T11:00:00"});
    let path = "/v1/resource/generic/exactly";
    assert_eq!(daemon.call("PATCH", path, Some(&patch), Some(crate::harness::ADMIN)).unwrap().0, 200);
    measure(&daemon, &exactly, "2026-01-01T11:00:01");
    daemon.eventually("it is gone again", |daemon| {
        resource(daemon, "exactly")["ended_at"].is_null().then_some(())
    });
}

#[test]
fn what_ended_long_ago_is_deleted_with_all_it_has() {
    let mut daemon = daemon("resource_cleanup_after = \"1h\"");
    let over = make(&daemon, &with_metric("over", Some("2026-01-01T10:00:00")));
    make(&daemon, &with_metric("alive", None));
    let later = make(&daemon, &with_metric("later", Some("2261-01-01T10:00:00")));
    measure(&daemon, &over, "2026-01-01T09:00:00");
    daemon.eventually("it is gone", |daemon| {
        (daemon.try_get("/v1/resource/generic/over").unwrap().0 == 404).then_some(())
    });
    let metric = over["metrics"]["m"].as_str().unwrap();
    assert_eq!(daemon.try_get(&format!("/v1/metric/{metric}")).unwrap().0, 404);
    assert_eq!(daemon.try_get(&format!("/v1/metric/{metric}/measures")).unwrap().0, 404);
    assert_eq!(daemon.try_get("/v1/resource/generic/over/history").unwrap().0, 404);
    assert_eq!(resource(&daemon, "alive")["id"], daemon.get("/v1/resource/generic/alive")["id"]);
    assert_eq!(resource(&daemon, "later")["id"], later["id"]);
}
