//! Commands that ask a daemon: status, top, query, lists, export and import.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Daemon, ORZO};

fn ask(daemon: &Daemon, args: &[&str]) -> Output {
    Command::new(ORZO).args(args).args(["--http", &format!("http://{}", daemon.http)]).output().unwrap()
}

/// What a command that must succeed prints.
#[track_caller]
fn says(daemon: &Daemon, args: &[&str]) -> String {
    let output = ask(daemon, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fed() -> Daemon {
    let mut daemon = Daemon::start();
    daemon.send_udp("app.hits:3|c\napp.time:7|ms\nbad");
    daemon.await_newest("app.hits", "sum", 3.0);
    daemon.await_newest("app.time", "sum", 7.0);
    daemon
}

#[test]
fn status_and_top_tell_what_came_and_what_was_lost() {
    let daemon = fed();
    let status: Value = serde_json::from_str(&says(&daemon, &["status", "--json"])).unwrap();
    assert_eq!((&status["lines"], &status["kernel_drops"]), (&json!(3), &json!(0)));
    assert_eq!(status["lines_refused_by_reason"], json!({"no_colon": 1}));
    assert!(status["memory_bytes"].as_u64().unwrap() > 1 << 20, "{status}");
    assert!(says(&daemon, &["status"]).contains("  lines refused: no_colon"));

    let top = says(&daemon, &["top", "--interval", "100ms", "--count", "2"]);
    assert_eq!(top.matches("lines received").count(), 2, "{top}");
    assert!(top.contains("0/s") && !top.contains('\u{1b}'), "{top}");
}

#[test]
fn metrics_and_expressions_are_queried() {
    let daemon = fed();
    let table =
        says(&daemon, &["query", "app.hits", "--aggregation", "sum", "--granularity", "60", "--table"]);
    assert!(table.starts_with("TIME") && table.trim_end().ends_with("60.0         3.0"), "{table}");
    let id = daemon.metrics_of("statsd").remove("app.time").unwrap();
    let rows: Value = serde_json::from_str(&says(&daemon, &["query", &id, "--aggregation", "max"])).unwrap();
    assert!(rows.as_array().unwrap().iter().all(|row| row[2] == 7.0), "{rows}");
    let expression = format!("(* 2 (metric {id} sum))");
    let table = says(&daemon, &["query", &expression, "--granularity", "60", "--table"]);
    assert!(table.trim_end().ends_with("14.0"), "{table}");

    let output = ask(&daemon, &["query", "no.such"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("404") && said.contains("no.such"), "{said}");
}

#[test]
fn objects_are_listed_and_shown() {
    let daemon = fed();
    let metrics = says(&daemon, &["metric", "list"]);
    assert!(
        metrics.starts_with("ID") && metrics.contains("app.hits") && metrics.contains("statsd-timer"),
        "{metrics}"
    );
    assert_eq!(says(&daemon, &["metric", "list", "--limit", "1", "--json"]).lines().count(), 1);
    let resources = says(&daemon, &["resource", "list"]);
    assert!(resources.contains("5685f18a-afaa-54f4-9b82-d17a21aa6741  statsd"), "{resources}");
    assert!(says(&daemon, &["archive-policy", "list"]).contains("statsd-timer"));
    for show in [
        &["metric", "show", "app.hits"][..],
        &["resource", "show", "statsd"],
        &["archive-policy", "show", "statsd"],
    ] {
        let shown: Value = serde_json::from_str(&says(&daemon, show)).unwrap();
        assert!(shown.is_object(), "{shown}");
    }
}

#[test]
fn what_one_daemon_exports_another_imports() {
    let daemon = fed();
    let host = json!({"type": "string", "required": false, "max_length": 64, "min_length": 0});
    daemon.post("/v1/resource_type", &json!({"name": "box", "attributes": {"host": host}}));
    let (status, _) = daemon.post("/v1/resource/box", &json!({"id": "1d3c5d2e-5d7f-4c6a-9a38-1f2d3c4b5a69", "host": "web", "metrics": {"cpu": {"archive_policy_name": "low"}}}));
    assert_eq!(status, 201);
    let metric = daemon.metrics_of("1d3c5d2e-5d7f-4c6a-9a38-1f2d3c4b5a69").remove("cpu").unwrap();
    let measures = json!([{"timestamp": "2026-01-01T00:00:00", "value": 1.5}, {"timestamp": "2026-01-01T00:05:00", "value": 2.5}]);
    assert_eq!(daemon.post(&format!("/v1/metric/{metric}/measures"), &measures).0, 202);
    let file = daemon.path("all.jsonl");
    says(&daemon, &["export", "--output", file.to_str().unwrap()]);

    let other = Daemon::start();
    for _ in 0..2 {
        says(&other, &["import", file.to_str().unwrap()]);
    }
    let column =
        |daemon: &Daemon| daemon.column_of("1d3c5d2e-5d7f-4c6a-9a38-1f2d3c4b5a69", "cpu", "mean", 300);
    assert_eq!(column(&other), column(&daemon));
    assert_eq!(column(&other).unwrap().len(), 2);
    assert_eq!(other.total("app.hits", "mean"), daemon.total("app.hits", "mean"));
    let found = other.get("/v1/resource/box/1d3c5d2e-5d7f-4c6a-9a38-1f2d3c4b5a69");
    assert_eq!(found["host"], "web");
    assert_eq!(other.get("/v1/archive_policy"), daemon.get("/v1/archive_policy"));
}

#[test]
fn a_daemon_that_is_not_there_is_missed_in_words() {
    let output = Command::new(ORZO).args(["status", "--http", "http://127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("is the daemon running"), "{said}");
}

#[test]
fn every_command_explains_itself_with_examples() {
    for command in [
        "doctor",
        "status",
        "top",
        "query",
        "metric",
        "resource",
        "archive-policy",
        "backup",
        "restore",
        "export",
        "import",
        "take-over",
    ] {
        let help = Command::new(ORZO).args([command, "--help"]).output().unwrap();
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:\n  "), "{command}");
    }
}

#[test]
fn packages_get_pages_completions_and_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(ORZO).arg("generate").arg(dir.path()).status().unwrap();
    assert!(status.success());
    for name in ["orzo.1", "orzo-doctor.1", "orzo.bash", "_orzo", "orzo.fish"] {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    let config = dir.path().join("orzo.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("data_dir = \"/var/lib/orzo\"") && text.contains("# listen = \"127.0.0.1:8041\"\n"),
        "{text}"
    );
    let check = Command::new(ORZO).args(["config", "check", "--config"]).arg(&config).status().unwrap();
    assert!(check.success());
}
