//! What statsd samples become: the reference's answers, dialects of gauges, sets, refusals, limits.

use std::collections::BTreeMap;

use orzo_model::sample::{Flags, Kind};
use orzo_model::{Formula, Measure, SECOND};
use serde_json::Value;

use super::*;
use crate::gauge::GaugeDialect;
use crate::limits::SET_MEMBERS;
use crate::record::Payload;
use crate::testing::{IDS, at, batch, line, policy};

/// The statsd side of a shard, and an index that knows every name by its own id.
struct Door {
    statsd: Statsd,
    counters: ShardCounters,
    names: Vec<Name>,
}

impl Door {
    fn new(gauge_dialect: GaugeDialect, series_max: usize) -> Self {
        let rules = Semantics { gauge_dialect, gauge_ttl_ns: 300 * SECOND, max_future_ns: 600 * SECOND };
        let statsd = Statsd::new(rules, series_max);
        Door { statsd, counters: ShardCounters::default(), names: Vec::new() }
    }

    fn send(&mut self, seconds: u64, lines: &str) {
        self.statsd.samples(&batch(at(seconds), lines), &self.counters);
    }

    fn ask(&mut self) -> usize {
        self.names.clear();
        self.statsd.ask_names(&mut self.names);
        self.names.len()
    }

    fn resolve(&mut self, seconds: u64, answer: impl Fn(&Name) -> Resolution) {
        self.ask();
        for name in std::mem::take(&mut self.names) {
            self.statsd.resolved(name.id, answer(&name), at(seconds), &self.counters);
        }
    }

    /// Everything that is due, after the index has answered.
    fn collect(&mut self, seconds: u64, flush: bool) -> Vec<Pending> {
        self.resolve(seconds, |name| known(name.id, None));
        let mut out = Vec::new();
        self.statsd.collect(at(seconds), flush, &mut |pending| out.push(pending));
        out
    }

    /// The points that are due: second and value.
    fn points(&mut self, seconds: u64, flush: bool) -> Vec<(u64, f64)> {
        let collected = self.collect(seconds, flush);
        let points = collected.iter().flat_map(|pending| match &pending.record.payload {
            Payload::Measures(measures) => measures.clone(),
            Payload::Events(events) => panic!("{events:?} are no points"),
        });
        points.map(|point| (point.at.ns() / SECOND, point.value)).collect()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.counters.samples_dropped[reason.index()].get()
    }

    fn received(&self) -> u64 {
        self.counters.samples_received.get()
    }
}

fn known(id: MetricId, level: Option<Measure>) -> Resolution {
    Resolution::Metric { id, policy: policy(), level }
}

fn id(kind: Kind, name: &str) -> MetricId {
    IDS.id(kind, Flags::NONE, name.as_bytes())
}

/// Flush by flush. Datagrams on which the reference breaks are left out.
#[test]
fn the_gnocchi_profile_emits_what_the_reference_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/statsd-gnocchi.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let mut door = Door::new(GaugeDialect::Auto, 100);
        let mut names = BTreeMap::new();
        for event in case["events"].as_array().unwrap() {
            match event["flush"].as_array() {
                Some(expected) => check_flush(&mut door, &names, expected, &case["id"]),
                None => send_datagram(&mut door, &mut names, event),
            }
        }
    }
}

fn send_datagram(door: &mut Door, names: &mut BTreeMap<MetricId, String>, event: &Value) {
    let Some(datagram) = event["datagram"].as_str() else { return };
    if event["reference_exception"].is_string() {
        return;
    }
    let mut batch = Batch::new(0);
    batch.reopen(Timestamp::from_ns(event["now_ns"].as_u64().unwrap()).unwrap());
    for text in datagram.split('\n') {
        // The reference knows no others.
        let known = |sample: &Sample| matches!(sample.kind, Kind::Counter | Kind::Gauge | Kind::Timer);
        let Some((sample, name)) = line(text, Flags::GNOCCHI).filter(|(sample, _)| known(sample)) else {
            continue;
        };
        assert!(batch.push(&sample, &name));
        let name = String::from_utf8(name).unwrap();
        names.insert(sample.id, format!("{name}|{}", sample.kind.wire_type()));
    }
    door.statsd.samples(&batch, &door.counters);
}

fn check_flush(door: &mut Door, names: &BTreeMap<MetricId, String>, expected: &[Value], case: &Value) {
    const NOW: u64 = 2_000_000_000;
    assert!(door.collect(NOW, false).is_empty(), "{case}: nothing is emitted between flushes");
    let mut found: Vec<(String, u64, String)> = Vec::new();
    for pending in door.collect(NOW, true) {
        let Payload::Measures(measures) = &pending.record.payload else { panic!("{case}: events") };
        let [point] = &measures[..] else { panic!("{case}: {measures:?}") };
        found.push((names[&pending.record.id].clone(), point.at.ns(), point.value.to_string()));
    }
    let value = |value: &Value| match value.as_str() {
        Some(text) => text.parse::<f64>().unwrap().to_string(),
        None => value.as_f64().unwrap().to_string(),
    };
    let point = |point: &Value| {
        let metric = point["metric"].as_str().unwrap().to_owned();
        (metric, point["t_ns"].as_u64().unwrap(), value(&point["value"]))
    };
    let mut expected: Vec<_> = expected.iter().map(point).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{case}");
}

#[test]
fn a_sign_on_a_gauge_means_what_the_dialect_says() {
    let check = |dialect: GaugeDialect, lines: &str, expected: f64| {
        let mut door = Door::new(dialect, 10);
        door.send(1, lines);
        assert_eq!(door.points(1, false), [(1, expected)], "{dialect:?} {lines}");
    };
    let (auto, etsy, dogstatsd) = (GaugeDialect::Auto, GaugeDialect::Etsy, GaugeDialect::Dogstatsd);
    for (dialect, expected) in [(auto, 11.0), (etsy, 11.0), (dogstatsd, -3.0)] {
        check(dialect, "g:10|g g:+4|g g:-3|g", expected);
    }
    check(auto, "g:10|g|#a:b g:+4|g", 4.0);
    check(etsy, "g:10|g|#a:b g:+4|g", 14.0);
    check(auto, "g:10|g g:+4|g|#a:b g:+5|g", 5.0);
    // A level that nobody has told is 0.
    check(etsy, "g:-3|g g:+1|g", -2.0);
}

#[test]
fn a_gauge_that_was_seen_with_a_time_is_one_of_dogstatsd() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(100, "g:10|g g:7|g|T90 g:+4|g");
    assert_eq!(door.points(100, false), [(90, 7.0), (100, 4.0)]);
}

#[test]
fn changes_before_the_index_answers_start_from_the_level_it_tells() {
    let check = |lines: &str, level: Option<f64>, expected: f64| {
        let mut door = Door::new(GaugeDialect::Etsy, 10);
        door.send(1, lines);
        let level = level.map(|value| Measure { at: at(1), value });
        door.resolve(1, |name| known(name.id, level));
        assert_eq!(door.points(1, false), [(1, expected)], "{lines} from {level:?}");
    };
    check("g:+4|g g:-1|g", Some(10.0), 13.0);
    check("g:+4|g g:-1|g", None, 3.0);
    check("g:+4|g g:5|g g:-1|g", Some(10.0), 4.0);
}

#[test]
fn a_change_after_a_long_silence_starts_from_nothing() {
    let mut door = Door::new(GaugeDialect::Etsy, 10);
    door.send(1000, "g:10|g");
    door.collect(1000, false);
    door.send(1300, "g:+1|g");
    assert_eq!(door.points(1300, false), [(1300, 11.0)]);
    door.send(1601, "g:+1|g");
    assert_eq!(door.points(1601, false), [(1601, 1.0)]);
}

#[test]
fn a_level_that_the_index_tells_is_no_silence() {
    let mut door = Door::new(GaugeDialect::Etsy, 10);
    door.send(2000, "g:1|g|T1990");
    door.resolve(2000, |name| known(name.id, Some(Measure { at: at(1995), value: 5.0 })));
    door.send(2001, "g:+1|g");
    assert_eq!(door.points(2001, false), [(1990, 1.0), (2001, 6.0)]);
}

#[test]
fn a_level_from_before_a_long_silence_is_forgotten() {
    for (told, expected) in [(1700, 6.0), (1699, 1.0)] {
        let mut door = Door::new(GaugeDialect::Etsy, 10);
        door.send(2000, "g:+1|g");
        door.resolve(2000, |name| known(name.id, Some(Measure { at: at(told), value: 5.0 })));
        assert_eq!(door.points(2000, false), [(2000, expected)]);
    }
}

#[test]
fn a_silent_series_leaves_and_comes_back() {
    let mut door = Door::new(GaugeDialect::Etsy, 10);
    door.send(1000, "g:10|g c:1|c s:a|s");
    door.collect(1000, true);
    let idle = u64::from(IDLE_SECONDS);
    door.send(1001 + idle, "c:1|c");
    door.collect(1000 + idle, true);
    assert_eq!(door.statsd.len(), 3);
    door.send(1001 + idle, "c:1|c");
    door.collect(1001 + idle, true);
    assert_eq!((door.statsd.len(), door.ask()), (1, 0));
    door.send(1002 + idle, "g:+1|g c:1|c");
    assert_eq!((door.statsd.len(), door.ask()), (2, 1));
    // What the index has not answered about stays, and so does what it was asked about.
    door.statsd.collect(at(1005 + 2 * idle), true, &mut drop);
    assert_eq!((door.statsd.len(), door.statsd.waiting()), (2, 1));
}

#[test]
fn sets_count_distinct_members_of_a_flush_period() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(1, "s:a|s s:b|s s:a|s");
    assert_eq!(door.points(2, false), []);
    door.send(3, "s:c|s s:b|s");
    assert_eq!(door.points(10, true), [(10, 3.0)]);
    assert_eq!(door.points(20, true), []);
    door.send(21, "s:a|s");
    assert_eq!(door.points(30, true), [(30, 1.0)]);
    assert_eq!((door.received(), door.statsd.waiting()), (6, 0));
}

#[test]
fn a_full_set_knows_its_members_and_takes_no_new_ones() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    let (sample, name) = line("s:a|s", Flags::NONE).unwrap();
    let members: Vec<u64> = (0..=SET_MEMBERS as u64).chain([0]).collect();
    let mut batch = Batch::new(0);
    for members in members.chunks(SAMPLES_PER_BATCH) {
        batch.reopen(at(1));
        assert!(members.iter().all(|member| batch.push(&Sample { value: *member, ..sample }, &name)));
        door.statsd.samples(&batch, &door.counters);
    }
    assert_eq!(door.dropped(DropReason::SetFull), 1);
    assert_eq!(door.points(10, true), [(10, SET_MEMBERS as f64)]);
    assert_eq!(door.received(), SET_MEMBERS as u64 + 2);
}

#[test]
fn values_with_times_of_their_own_add_up_by_second_and_leave_in_order() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(100, "c:1|c|T90 c:2|c|T80 c:4|c|T90 c:8|c|T701");
    assert_eq!(door.dropped(DropReason::TooFarAhead), 1);
    assert_eq!(door.points(100, false), [(80, 2.0), (90, 5.0)]);
    // Of gauges the last one of a second holds.
    door.send(100, "g:1|g|T120 g:2|g g:3|g|T90 g:4|g|T120");
    assert_eq!(door.points(100, false), [(90, 3.0), (100, 2.0), (120, 4.0)]);
}

#[test]
fn every_event_counts_second_by_second() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(10, "c:3|c|@0.1 c:1|c c:1|c");
    door.send(11, "c:5|c");
    let sum = |pending: Pending| match &pending.record.payload {
        Payload::Events(events) => {
            let [event] = &events[..] else { panic!("{events:?}") };
            (event.at(), event.evaluate(Formula::Count), event.sum(), pending.samples)
        }
        Payload::Measures(measures) => panic!("{measures:?} are no events"),
    };
    let sums: Vec<_> = door.collect(11, false).into_iter().map(sum).collect();
    assert_eq!(sums, [(at(10), Some(3.0), 32.0, 3), (at(11), Some(1.0), 5.0, 1)]);
}

#[test]
fn what_the_index_has_not_answered_about_waits() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(1, "c:1|c g:2|g s:a|s");
    assert_eq!(door.ask(), 3);
    let mut out = Vec::new();
    door.statsd.collect(at(2), true, &mut |pending| out.push(pending));
    assert!(out.is_empty());
    assert_eq!((door.ask(), door.statsd.waiting()), (0, 3));
    for (kind, name) in [(Kind::Counter, "c"), (Kind::Gauge, "g"), (Kind::Set, "s")] {
        let id = id(kind, name);
        door.statsd.resolved(id, known(id, None), at(2), &door.counters);
    }
    door.statsd.collect(at(3), false, &mut |pending| out.push(pending));
    assert_eq!(out.len(), 2);
    door.statsd.collect(at(3), true, &mut |pending| out.push(pending));
    assert_eq!((out.len(), door.statsd.waiting()), (3, 0));
}

#[test]
fn a_refused_series_is_asked_about_again_after_a_while() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(100, "c:1|c c:1|c");
    door.resolve(100, |_| Resolution::Refused(DropReason::NoPolicy));
    assert_eq!((door.dropped(DropReason::NoPolicy), door.statsd.len()), (2, 0));
    door.send(109, "c:1|c");
    assert_eq!((door.dropped(DropReason::NoPolicy), door.ask()), (3, 0));
    door.send(110, "c:1|c");
    assert_eq!(door.collect(110, false).len(), 1);
    assert_eq!((door.dropped(DropReason::NoPolicy), door.received()), (3, 4));
}

#[test]
fn past_the_limit_new_series_are_refused_and_old_ones_live() {
    let mut door = Door::new(GaugeDialect::Auto, 2);
    door.send(1, "a:1|c b:1|c c:1|c a:1|c a:1|g");
    assert_eq!(door.dropped(DropReason::SeriesLimit), 2);
    assert_eq!(door.collect(1, false).iter().map(|pending| pending.samples).sum::<u64>(), 3);
    door.statsd.forget(&IdSet::from_iter([id(Kind::Counter, "a")]), &door.counters);
    door.send(2, "c:1|c b:1|c");
    assert_eq!((door.dropped(DropReason::SeriesLimit), door.statsd.len()), (2, 2));
}

#[test]
fn too_many_unknown_names_at_once_are_dropped_with_a_reason() {
    let mut door = Door::new(GaugeDialect::Auto, usize::MAX);
    let (sample, _) = line("c:1|c", Flags::NONE).unwrap();
    let mut batch = Batch::new(0);
    for number in 0..NAMES_WAITING as u32 + 3 {
        batch.reopen(at(1));
        let name = number.to_le_bytes();
        assert!(batch.push(&Sample { id: IDS.id(Kind::Counter, Flags::NONE, &name), ..sample }, &name));
        door.statsd.samples(&batch, &door.counters);
    }
    assert_eq!(door.dropped(DropReason::NamesPending), 3);
    assert_eq!(door.statsd.waiting(), NAMES_WAITING as u64);
    assert_eq!(door.ask(), NAMES_PER_ASK);
    // To be asked is not to be answered.
    door.send(2, "late:1|c");
    assert_eq!(door.dropped(DropReason::NamesPending), 4);
    let first = door.names[0].id;
    door.statsd.resolved(first, known(first, None), at(2), &door.counters);
    door.send(2, "late:1|c");
    assert_eq!(door.dropped(DropReason::NamesPending), 4);
}

#[test]
fn a_deleted_metric_takes_its_samples_along_and_its_series_begins_anew() {
    let mut door = Door::new(GaugeDialect::Etsy, 10);
    door.send(1, "g:5|g");
    assert_eq!(door.points(1, false), [(1, 5.0)]);
    door.send(2, "g:+1|g");
    door.statsd.forget(&IdSet::from_iter([id(Kind::Gauge, "g")]), &door.counters);
    assert_eq!((door.dropped(DropReason::MetricDeleted), door.statsd.waiting()), (1, 0));
    door.send(3, "g:+1|g");
    assert_eq!(door.points(3, false), [(3, 1.0)]);
}

#[test]
fn a_series_in_the_place_of_a_removed_one_waits_for_its_own_time() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(1, "c:1|c");
    door.resolve(1, |_| Resolution::Refused(DropReason::NoPolicy));
    door.send(2, "s:a|s");
    assert_eq!(door.points(2, false), []);
    door.send(3, "s:b|s");
    assert_eq!(door.points(10, true), [(10, 2.0)]);
}

#[test]
fn a_changed_policy_judges_what_comes_after_it() {
    let mut door = Door::new(GaugeDialect::Auto, 10);
    door.send(1, "g:5|g");
    assert_eq!(door.collect(1, false)[0].record.back_window, 0);
    let changed = Arc::new(ArchivePolicy { back_window: 3, ..(*policy()).clone() });
    door.statsd.policy_changed(&changed);
    door.send(2, "g:6|g");
    assert_eq!(door.collect(2, false)[0].record.back_window, 3);
}
