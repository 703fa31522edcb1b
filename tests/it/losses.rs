//! Every loss has a reason and a counter, and the counters add up.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::Daemon;

/// The laws of `docs/metrics.md`, once nothing moves any more.
#[track_caller]
fn assert_laws(daemon: &mut Daemon) {
    daemon.eventually("the counters add up", |daemon| {
        let total = |name: &str| daemon.counter(name, "");
        let lines = total("orzo_statsd_lines_total");
        let fates = ["orzo_statsd_accepted_total", "orzo_statsd_skipped_total", "orzo_statsd_dropped_total"];
        let samples = total("orzo_statsd_samples_total");
        let ends = ["orzo_samples_applied_total", "orzo_samples_dropped_total"];
        let sum = |names: &[&str]| names.iter().map(|name| total(name)).sum::<u64>();
        (lines == sum(&fates) && samples == sum(&ends)).then_some(())
    });
}

#[test]
fn bad_lines_are_counted_by_reason_and_good_ones_beside_them_are_kept() {
    let mut daemon = Daemon::start();
    let bad = [
        ("a", "no_colon"),
        ("a:1", "no_type"),
        ("a:1|z", "bad_type"),
        ("a:x|c", "bad_value"),
        ("a:nan|g", "bad_value"),
        ("a:1|c|@x", "bad_rate"),
        ("a:1|c|@0", "bad_rate"),
        (":1|c", "empty_name"),
        ("a:-1|ms", "negative_timer"),
        ("a:1|c|T0", "bad_timestamp"),
        ("_e{1,1}:a", "bad_event"),
        ("_sc|x", "bad_service_check"),
    ];
    for (line, _) in bad {
        daemon.send_udp(&format!("l.good:1|c\n{line}\n\nl.good:1|c\r\n"));
    }
    daemon.send_udp("_e{2,4}:ab|text\n_sc|db|0\nl.good:1|c");
    daemon.await_total("l.good", "sum", 2.0 * bad.len() as f64 + 1.0);
    for (_, reason) in bad {
        let expected = bad.iter().filter(|(_, other)| *other == reason).count() as u64;
        daemon.await_counter("orzo_statsd_dropped_total", &format!("reason=\"{reason}\""), expected);
    }
    daemon.await_counter("orzo_statsd_skipped_total", "", 2);
    daemon.await_counter("orzo_statsd_lines_total", "", 3 * bad.len() as u64 + 3);
    assert_laws(&mut daemon);
    assert_eq!(daemon.metrics_of("statsd").into_keys().collect::<Vec<_>>(), ["l.good"]);
}

#[test]
fn bytes_that_are_no_text_cost_their_line_only() {
    let mut daemon = Daemon::start();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"l.a:1|c\nl.\xff:1|c\nl.a:1|c", daemon.statsd).unwrap();
    daemon.await_total("l.a", "sum", 2.0);
    daemon.await_counter("orzo_statsd_dropped_total", "reason=\"bad_utf8\"", 1);
    assert_laws(&mut daemon);
}

#[test]
fn a_line_without_an_end_closes_its_connection() {
    let mut daemon = Daemon::start();
    let mut stream = TcpStream::connect(daemon.statsd).unwrap();
    stream.write_all(b"l.before:1|c\n").unwrap();
    // The daemon may close while we still write.
    let _ = stream.write_all(&vec![b'x'; 1 << 20]);
    daemon.await_counter("orzo_statsd_dropped_total", "reason=\"oversized\"", 1);
    daemon.await_total("l.before", "sum", 1.0);
    daemon.await_counter("orzo_statsd_connections", "", 0);
    assert_laws(&mut daemon);
}

#[test]
fn series_past_the_limit_are_refused_and_old_ones_live() {
    let mut daemon = Daemon::start_with("max_series = 3");
    for name in 0..3 {
        daemon.send_udp(&format!("l.s{name}:1|c"));
        daemon.await_total(&format!("l.s{name}"), "sum", 1.0);
    }
    daemon.send_udp("l.new:1|c\nl.new:1|c\nl.s0:1|c");
    daemon.await_total("l.s0", "sum", 2.0);
    daemon.await_counter("orzo_samples_dropped_total", "reason=\"series_limit\"", 2);
    assert_laws(&mut daemon);
    assert_eq!(daemon.metrics_of("statsd").len(), 3);
}

#[test]
fn a_time_far_ahead_is_refused() {
    let mut daemon = Daemon::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    daemon.send_udp(&format!("l.ahead:1|c|T{}\nl.ahead:2|c|T{now}", now + 3600));
    daemon.await_total("l.ahead", "sum", 2.0);
    daemon.eventually("the loss is counted", |daemon| {
        let label = "reason=\"too_far_ahead\"";
        let names = ["orzo_statsd_dropped_total", "orzo_samples_dropped_total"];
        let lost: u64 = names.iter().map(|name| daemon.counter(name, label)).sum();
        (lost == 1).then_some(())
    });
    assert_laws(&mut daemon);
}

#[test]
fn a_new_name_without_any_policy_is_counted() {
    let extra = "[archive_policies]\ncreate_defaults = false";
    let mut daemon = Daemon::start_with(extra);
    daemon.send_udp("l.nowhere:1|c");
    daemon.await_counter("orzo_samples_dropped_total", "reason=\"no_policy\"", 1);
    assert_laws(&mut daemon);
    assert!(daemon.metrics_of("statsd").is_empty());
}

#[test]
fn more_connections_than_allowed_are_refused_and_counted() {
    let mut daemon = Daemon::start_with("max_connections = 2\n[threads]\nlisteners = 1");
    let held: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(daemon.statsd).unwrap()).collect();
    daemon.await_counter("orzo_statsd_connections", "", 2);
    let _third = TcpStream::connect(daemon.statsd).unwrap();
    daemon.await_counter("orzo_statsd_connections_refused_total", "", 1);
    drop(held);
    daemon.await_counter("orzo_statsd_connections", "", 0);
}
