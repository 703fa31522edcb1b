//! What each statsd type becomes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::Daemon;

/// Sends a datagram and waits for totals over all minutes.
#[track_caller]
fn check(daemon: &mut Daemon, datagram: &str, name: &str, expected: &[(&str, f64)]) {
    daemon.send_udp(datagram);
    for (method, value) in expected {
        daemon.await_total(name, method, *value);
    }
}

#[test]
fn counters_add_up_with_their_rates() {
    let mut daemon = Daemon::start();
    check(&mut daemon, "t.c:3|c\nt.c:4|c|@0.5", "t.c", &[("count", 2.0), ("sum", 11.0)]);
}

#[test]
fn timers_histograms_and_distributions_keep_every_value() {
    let mut daemon = Daemon::start();
    for kind in ["ms", "h", "d"] {
        let name = format!("t.{kind}");
        let lines = format!("{name}:10|{kind}\n{name}:20|{kind}\n{name}:60|{kind}|@0.5");
        daemon.send_udp(&lines);
        daemon.await_total(&name, "count", 4.0);
        daemon.await_total(&name, "sum", 150.0);
        // One bucket, unless a minute has just ended between two lines: then the newest holds the last.
        assert_eq!(daemon.newest(&name, "max"), Some(60.0));
    }
}

#[test]
fn the_last_gauge_holds_and_signs_are_changes() {
    let mut daemon = Daemon::start();
    daemon.send_udp("t.g:5|g\nt.g:7|g");
    daemon.await_newest("t.g", "last", 7.0);
    daemon.send_udp("t.g:+2|g\nt.g:-4|g");
    daemon.await_newest("t.g", "last", 5.0);
}

#[test]
fn a_dogstatsd_gauge_takes_its_sign_as_part_of_the_value() {
    let mut daemon = Daemon::start();
    daemon.send_udp("t.dg:-3|g|#env:x");
    daemon.await_newest("t.dg@env=x", "last", -3.0);
}

#[test]
fn sets_count_distinct_members() {
    let mut daemon = Daemon::start();
    daemon.send_udp("t.s:a|s\nt.s:b|s\nt.s:a|s");
    daemon.await_newest("t.s", "max", 2.0);
}

#[test]
fn packed_values_are_samples_of_their_own() {
    let mut daemon = Daemon::start();
    check(&mut daemon, "t.p:1:2:3|ms", "t.p", &[("count", 3.0), ("sum", 6.0)]);
}

#[test]
fn tags_are_part_of_the_name_and_host_is_the_resource() {
    let mut daemon = Daemon::start();
    check(&mut daemon, "t.t:1|c|#env:prod,az:b", "t.t@az=b,env=prod", &[("sum", 1.0)]);
    daemon.send_udp("t.h:4|c|#host:web1");
    let column = daemon.eventually("the resource of the host", |daemon| {
        daemon.column_of("web1", "t.h", "sum", 60).filter(|column| !column.is_empty())
    });
    assert_eq!(column[0].1, 4.0);
    assert!(!daemon.metrics_of("statsd").contains_key("t.h"));
}

#[test]
fn a_time_on_the_line_is_the_time_of_the_point() {
    let mut daemon = Daemon::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let then = now - now % 60 - 120;
    daemon.send_udp(&format!("t.then:5|c|T{then}\nt.then:6|c|T{then}"));
    daemon.await_total("t.then", "sum", 11.0);
    let column = daemon.column_of("statsd", "t.then", "sum", 60).unwrap();
    assert_eq!(column.len(), 1, "{column:?}");
    let minute = jiff::Timestamp::from_second(then as i64).unwrap().strftime("%Y-%m-%dT%H:%M:00").to_string();
    assert!(column[0].0.starts_with(&minute), "{column:?} is not of {minute}");
}

#[test]
fn a_name_with_a_second_type_gets_a_series_of_its_own() {
    let mut daemon = Daemon::start();
    check(&mut daemon, "t.two:3|c", "t.two", &[("sum", 3.0)]);
    daemon.send_udp("t.two:9|g");
    daemon.await_newest("t.two|g", "last", 9.0);
    assert_eq!(daemon.total("t.two", "sum"), Some(3.0));
}

#[test]
fn the_gnocchi_profile_names_and_stores_as_the_reference_does() {
    let mut daemon = Daemon::start_with("profile = \"gnocchi\"");
    daemon.send_udp("p.c:3|c\np.c:4|c\np.t:10|ms\np.t:30|ms");
    daemon.await_total("p.c|c", "sum", 7.0);
    daemon.await_newest("p.t|ms", "last", 30.0);
    assert_eq!(daemon.total("p.t|ms", "count"), Some(1.0), "a timer is one point a flush");
}
