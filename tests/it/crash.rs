//! Stops, kills and what is there afterwards.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::Daemon;

/// Statsd promises to be in the log this long after arrival.
const COMMITTED: Duration = Duration::from_secs(1);

#[test]
fn sigterm_drains_what_was_received() {
    let mut daemon = Daemon::start();
    let lines: String =
        (0..20_000).map(|line| format!("k.c{}:1|c\nk.t:{}|ms\n", line % 10, line % 7)).collect();
    daemon.send_tcp(&lines);
    daemon.await_counter("orzo_statsd_lines_total", "", 40_000);
    assert!(daemon.stop().success());
    daemon.start_again();
    for series in 0..10 {
        assert_eq!(daemon.total(&format!("k.c{series}"), "count"), Some(2000.0));
    }
    assert_eq!(daemon.total("k.t", "count"), Some(20_000.0));
    assert_eq!(daemon.total("k.t", "sum"), Some((0..20_000).map(|line| f64::from(line % 7)).sum()));
}

#[test]
fn sigterm_without_any_traffic_is_clean() {
    let mut daemon = Daemon::start();
    assert!(daemon.stop().success());
    daemon.start_again();
    assert!(daemon.stop().success());
}

#[test]
fn a_kill_loses_nothing_that_was_committed_and_counts_nothing_twice() {
    let mut daemon = Daemon::start();
    daemon.send_tcp(&"k.early:1|c\nk.time:2|ms\n".repeat(5000));
    daemon.await_total("k.early", "sum", 5000.0);
    daemon.await_total("k.time", "sum", 10_000.0);
    // The one sleep among these tests: the promise under test is about time.
    std::thread::sleep(2 * COMMITTED);
    let sent = load_until_killed(&mut daemon);

    daemon.start_again();
    daemon.await_total("k.early", "sum", 5000.0);
    daemon.await_total("k.time", "count", 5000.0);
    let survived = daemon.total("k.late", "count").unwrap_or(0.0);
    assert!(survived <= sent as f64, "{survived} stored, {sent} sent");
    assert_eq!(daemon.total("k.late", "sum").unwrap_or(0.0), 3.0 * survived, "a sum belongs to its count");

    // Killed while it recovers, and once more at rest: replaying changes nothing.
    daemon.kill();
    daemon.spawn();
    daemon.kill();
    daemon.start_again();
    assert_eq!(daemon.total("k.early", "sum"), Some(5000.0));
    assert_eq!(daemon.total("k.time", "sum"), Some(10_000.0));
    assert_eq!(daemon.total("k.late", "count").unwrap_or(0.0), survived);
    assert!(daemon.stop().success());
    daemon.start_again();
    assert_eq!(daemon.total("k.late", "count").unwrap_or(0.0), survived);
}

/// Kills in the middle of a load. Returns the lines sent.
fn load_until_killed(daemon: &mut Daemon) -> u64 {
    let mut stream = TcpStream::connect(daemon.statsd).unwrap();
    let before = daemon.counter("orzo_statsd_lines_total", "");
    let load = std::thread::spawn(move || {
        let piece = "k.late:3|c\n".repeat(100);
        let mut sent = 0;
        while stream.write_all(piece.as_bytes()).is_ok() {
            sent += 100;
        }
        // What stands in a piece that broke off may have arrived too.
        sent + 100
    });
    let loaded =
        |daemon: &Daemon| (daemon.counter("orzo_statsd_lines_total", "") > before + 50_000).then_some(());
    daemon.eventually("the load is under way", loaded);
    daemon.kill();
    load.join().unwrap()
}

#[test]
fn what_was_acknowledged_over_http_survives_a_kill() {
    let mut daemon = Daemon::start();
    let (status, metric) =
        daemon.post("/v1/metric", &json!({"name": "k.http", "archive_policy_name": "low"}));
    assert_eq!(status, 201, "{metric}");
    let id = metric["id"].as_str().unwrap().to_owned();
    for batch in 0..20 {
        let at = |step: u64| 1_700_000_000 + batch * 600 + step * 60;
        let measures: Vec<_> = (0..10).map(|step| json!({"timestamp": at(step), "value": 1.5})).collect();
        let (status, body) = daemon.post(&format!("/v1/metric/{id}/measures"), &json!(measures));
        assert_eq!(status, 202, "{body}");
    }
    daemon.kill();
    daemon.start_again();
    let measures = daemon.get(&format!("/v1/metric/{id}/measures?aggregation=count&granularity=300"));
    let count: f64 = measures.as_array().unwrap().iter().map(|row| row[2].as_f64().unwrap()).sum();
    assert_eq!(count, 200.0);
}
