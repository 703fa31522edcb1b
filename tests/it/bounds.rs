//! How many series there may be: one past each limit, who is named for it, and how many can be swept away.

use std::process::{Command, Output};

use crate::harness::{ADMIN, Daemon, ORZO};

fn names(daemon: &Daemon) -> Vec<String> {
    daemon.metrics_of("statsd").into_keys().collect()
}

fn dropped(daemon: &mut Daemon, reason: &str, samples: u64) {
    daemon.await_counter("orzo_samples_dropped_total", &format!("reason=\"{reason}\""), samples);
}

#[test]
fn a_prefix_has_room_for_so_many_series_and_is_named_when_more_come() {
    let mut daemon = Daemon::start_with("max_series_per_prefix = 2");
    daemon.send_udp("app.a:1|c\napp.b:1|c|#k:v.w\nweb.a:1|c");
    daemon.eventually("three series", |daemon| (names(daemon).len() == 3).then_some(()));
    daemon.send_udp("app.c:1|c\napp.c:1|c\napp.a:1|c\nweb.b:1|c");
    dropped(&mut daemon, "prefix_limit", 2);
    daemon.await_total("app.a", "sum", 2.0);
    daemon.await_total("web.b", "sum", 1.0);
    assert_eq!(names(&daemon), ["app.a", "app.b@k=v.w", "web.a", "web.b"]);

    daemon.await_counter("orzo_statsd_series_refused_total", "prefix=\"app\"", 1);
    assert_eq!(daemon.counter("orzo_statsd_series_refused_total", "prefix=\"\""), 0);
    let status = daemon.get("/v1/status");
    assert_eq!(status["statsd"]["refused_prefixes"], serde_json::json!([{"prefix": "app", "count": 1}]));
    assert!(daemon.get("/v1/status?details=false")["statsd"].is_null());
    daemon.eventually("the log names it", |daemon| {
        let log = std::fs::read_to_string(daemon.path("log")).unwrap();
        log.contains("new series are refused").then(|| assert!(log.contains("\"app\""), "{log}"))
    });

    // What exists is counted again after a restart; who goes makes room.
    assert!(daemon.stop().success());
    daemon.start_again();
    daemon.send_udp("app.d:1|c");
    dropped(&mut daemon, "prefix_limit", 1);
    let id = daemon.metrics_of("statsd").remove("app.a").unwrap();
    assert_eq!(daemon.call("DELETE", &format!("/v1/metric/{id}"), None, Some(ADMIN)).unwrap().0, 204);
    daemon.send_udp("app.e:1|c");
    daemon.await_total("app.e", "sum", 1.0);
}

#[test]
fn a_prefix_may_have_more_segments() {
    let mut daemon = Daemon::start_with("max_series_per_prefix = 1\nprefix_segments = 2");
    daemon.send_udp("app.a.x:1|c");
    daemon.await_total("app.a.x", "sum", 1.0);
    daemon.send_udp("app.a.y:1|c\napp.b.x:1|c\napp:1|c");
    dropped(&mut daemon, "prefix_limit", 1);
    daemon.await_total("app.b.x", "sum", 1.0);
    daemon.await_total("app", "sum", 1.0);
    assert_eq!(names(&daemon), ["app", "app.a.x", "app.b.x"]);
}

/// Names in one datagram; how many got a metric and how many were refused.
fn made_of(daemon: &mut Daemon, lines: &str, reason: &str) -> (usize, u64) {
    let sent = lines.lines().count();
    daemon.send_udp(lines);
    let label = format!("reason=\"{reason}\"");
    daemon.eventually("every name is answered", |daemon| {
        let (made, refused) = (names(daemon).len(), daemon.counter("orzo_samples_dropped_total", &label));
        (made as u64 + refused == sent as u64).then_some((made, refused))
    })
}

#[test]
fn only_so_many_series_are_made_in_a_second() {
    let mut daemon = Daemon::start_with("max_new_series_per_second = 5");
    let lines: String = (0..60).map(|number| format!("flood{number}:1|c\n")).collect();
    let (made, refused) = made_of(&mut daemon, &lines, "series_rate");
    // The names may be asked for in two seconds, and hardly in four.
    assert!((5..=20).contains(&made) && refused >= 40, "{made} made, {refused} refused");
    let named = daemon.counter("orzo_statsd_series_refused_total", "prefix=\"flood");
    let others = daemon.counter("orzo_statsd_series_refused_total", "prefix=\"\"");
    assert_eq!((named, named + others), (10, refused), "ten by name, whoever else came");
}

#[test]
fn a_flood_of_one_prefix_leaves_others_alone() {
    let mut daemon = Daemon::start_with("max_new_series_per_second_per_prefix = 5");
    let lines: String = (0..60).map(|number| format!("flood.{number}:1|c\n")).collect();
    let (made, refused) = made_of(&mut daemon, &lines, "prefix_rate");
    assert!((5..=20).contains(&made) && refused >= 40, "{made} made, {refused} refused");
    daemon.send_udp("quiet.one:1|c");
    daemon.await_total("quiet.one", "sum", 1.0);
    assert_eq!(daemon.counter("orzo_statsd_series_refused_total", "prefix=\"flood\""), refused);
}

#[test]
fn names_and_tags_have_a_longest() {
    let mut daemon = Daemon::start();
    let name = |chars: usize| "n".repeat(chars);
    // The type must have room, too, should another own the name.
    daemon.send_udp(&format!("{}:1|c\n{}:1|c", name(253), name(256)));
    daemon.await_total(&name(253), "sum", 1.0);
    daemon.await_counter("orzo_statsd_dropped_total", "reason=\"name_too_long\"", 1);
    daemon.send_udp(&format!("{}:1|c", name(254)));
    dropped(&mut daemon, "name_too_long", 1);
    let tags = |count: usize| (0..count).map(|tag| format!("{tag}:1")).collect::<Vec<_>>().join(",");
    daemon.send_udp(&format!("t:1|c|#{}\nu:1|c|#{}", tags(48), tags(65)));
    daemon.await_counter("orzo_statsd_dropped_total", "reason=\"too_many_tags\"", 1);
    daemon.eventually("so many are fine", |daemon| {
        names(daemon).iter().any(|name| name.starts_with("t@")).then_some(())
    });
}

fn purge(daemon: &Daemon, args: &[&str]) -> Output {
    let url = format!("http://{}", daemon.http);
    Command::new(ORZO).args(["series", "purge"]).args(args).args(["--http", &url]).output().unwrap()
}

#[test]
fn series_are_purged_by_pattern() {
    let mut daemon = Daemon::start();
    let lines: String =
        (0..30).map(|number| format!("app.{number}.tmp:1|c|#host:h{}\n", number % 3)).collect();
    daemon.send_udp(&lines);
    daemon.send_udp("app.keep:1|c\napp.tmp.keep:1|c\napp.x.tmp:1|c|#k:v");
    let keep = serde_json::json!({"name": "app.free.tmp", "archive_policy_name": "low"});
    let (_, alone) = daemon.post("/v1/metric", &keep);
    let count = |daemon: &Daemon| daemon.get("/v1/metric").as_array().unwrap().len();
    daemon.eventually("all are there", |daemon| (count(daemon) == 34).then_some(()));

    let said = purge(&daemon, &["app.*.tmp", "--dry-run"]);
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("31 series match\n  app."), "{said}");
    assert_eq!(count(&daemon), 34, "nothing is deleted");
    let said = purge(&daemon, &["app.*.tmp"]);
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "31 series deleted\n");
    assert_eq!(names(&daemon), ["app.keep", "app.tmp.keep"]);
    let id = alone["id"].as_str().unwrap();
    daemon.get(&format!("/v1/metric/{id}"));
    assert_eq!(String::from_utf8(purge(&daemon, &["app.*.tmp"]).stdout).unwrap(), "0 series deleted\n");

    daemon.send_udp("app.5.tmp:7|c|#host:h2");
    daemon.eventually("it comes back as a new one", |daemon| {
        let column = daemon.column_of("h2", "app.5.tmp", "sum", 60)?;
        (column.len() == 1 && column[0].1 == 7.0).then_some(())
    });
}

#[test]
fn a_purge_that_breaks_off_says_why() {
    let daemon = Daemon::start();
    for url in [format!("http://{}/nowhere", daemon.http), "http://127.0.0.1:1".to_owned()] {
        let said = Command::new(ORZO).args(["series", "purge", "x", "--http", &url]).output().unwrap();
        assert_eq!(said.status.code(), Some(2));
        assert!(String::from_utf8(said.stderr).unwrap().contains(&url), "it names what it asked");
    }
}
