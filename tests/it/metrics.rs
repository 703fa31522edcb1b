//! `/metrics` and its page say the same.

use std::collections::BTreeMap;

use crate::harness::Daemon;

const PAGE: &str = include_str!("../../docs/metrics.md");

/// Type by name, from rows such as ``| `name` | counter | …``.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `orzo_")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name, cells.next()?))
    };
    PAGE.lines().filter_map(row).collect()
}

#[test]
fn the_page_lists_what_the_daemon_shows_and_nothing_else() {
    let mut daemon = Daemon::start();
    daemon.send_udp("m.c:1|c\nbad");
    daemon.await_total("m.c", "sum", 1.0);
    let scrape = daemon.scrape();
    let shown: BTreeMap<&str, &str> =
        scrape.lines().filter_map(|line| line.strip_prefix("# TYPE orzo_")?.split_once(' ')).collect();
    assert_eq!(shown, documented());
}

#[test]
fn every_family_says_what_it_means_and_has_a_value() {
    let daemon = Daemon::start();
    let scrape = daemon.scrape();
    for name in documented().keys() {
        assert!(scrape.contains(&format!("# HELP orzo_{name} ")), "{name} has no help");
        let has_value = scrape.lines().any(|line| {
            line.strip_prefix("orzo_")
                .and_then(|line| line.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        assert!(has_value, "{name} has no value");
    }
}

#[test]
fn a_scrape_needs_no_identity() {
    let daemon = Daemon::start();
    assert_eq!(daemon.call("GET", "/metrics", None, None).unwrap().0, 200);
}
