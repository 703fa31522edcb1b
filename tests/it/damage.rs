//! Damaged bytes: a check names them, the daemon passes over them and counts them, and each costs only itself.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};

use orzo_aggregator::record::{self, Names};
use orzo_model::{MetricId, Partitions};
use orzo_store::kv::prefix_end;
use orzo_store::{Batch, Direction, Family, Kv, WhenStalled};
use orzo_store_rocks::{RocksKv, Tuning};
use serde_json::{Value, json};

use crate::harness::{Daemon, ORZO};

/// Seconds of the first measure.
const START: u64 = 1_700_000_000 / 3600 * 3600;

/// What `orzo check` says of the daemon's store.
pub(crate) fn check(daemon: &Daemon) -> (i32, String) {
    said(Command::new(ORZO).arg("check").arg(daemon.path("data")).output().unwrap())
}

fn said(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// A check that finds this.
#[track_caller]
fn expect_found(daemon: &Daemon, words: &str) {
    let (code, text) = check(daemon);
    assert!(code == 1 && text.contains(words), "{code}: {words:?} is not in\n{text}");
}

/// The store of a daemon that does not run.
fn store(daemon: &Daemon) -> RocksKv {
    RocksKv::open(&daemon.path("data/db"), &Tuning::default()).unwrap()
}

fn keys(kv: &RocksKv, family: Family, prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    kv.scan(family, prefix, &prefix_end(prefix), Direction::Forward, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    keys
}

/// The keys of a family that are about a metric.
fn keys_of(kv: &RocksKv, family: Family, id: &str) -> Vec<Vec<u8>> {
    let id = u128::from_str_radix(&id.replace('-', ""), 16).unwrap().to_be_bytes();
    let mut keys = keys(kv, family, b"");
    keys.retain(|key| key.windows(16).any(|part| part == id));
    keys
}

/// Flips a bit in the middle of a value.
fn flip(kv: &RocksKv, family: Family, key: &[u8]) {
    let mut value = kv.get(family, key).unwrap().unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 4;
    put(kv, family, key, value);
}

fn put(kv: &RocksKv, family: Family, key: &[u8], value: Vec<u8>) {
    let mut batch = Batch::default();
    batch.put(family, key, value);
    kv.write(batch, WhenStalled::Wait).unwrap();
    kv.sync().unwrap();
}

/// A daemon with metrics of one minute.
fn daemon_with(metrics: &[&str]) -> (Daemon, Vec<String>) {
    let daemon = Daemon::start();
    let policy = json!({"name": "p", "aggregation_methods": ["count", "sum"],
        "definition": [{"granularity": "1m", "points": 100_000}, {"granularity": "1h", "points": 10_000}]});
    assert_eq!(daemon.post("/v1/archive_policy", &policy).0, 201);
    let make = |name: &&str| {
        let (status, metric) = daemon.post("/v1/metric", &json!({"name": name, "archive_policy_name": "p"}));
        assert_eq!(status, 201, "{metric}");
        metric["id"].as_str().unwrap().to_owned()
    };
    let ids = metrics.iter().map(make).collect();
    (daemon, ids)
}

#[track_caller]
fn post(daemon: &Daemon, id: &str, minutes: impl Iterator<Item = u64>) {
    // Noise in all bits, so that rows take room.
    let value = |minute: u64| (minute.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / 1e6;
    let measure = |minute: u64| json!({"timestamp": START + minute * 60, "value": value(minute)});
    let measures: Vec<Value> = minutes.map(measure).collect();
    let (status, body) = daemon.post(&format!("/v1/metric/{id}/measures"), &json!(measures));
    assert_eq!(status, 202, "{body}");
}

/// Measures counted over all minutes.
#[track_caller]
fn count(daemon: &Daemon, id: &str) -> f64 {
    let path = format!("/v1/metric/{id}/measures?aggregation=count&granularity=60");
    daemon.get(&path).as_array().unwrap().iter().map(|row| row[2].as_f64().unwrap()).sum()
}

#[test]
fn a_sound_store_passes_and_a_running_one_is_left_alone() {
    let (mut daemon, ids) = daemon_with(&["a"]);
    post(&daemon, &ids[0], 0..3000);
    let (code, text) = check(&daemon);
    assert!(code == 2 && text.contains("stop it first"), "{code}: {text}");
    daemon.kill();
    let (code, text) = check(&daemon);
    assert!(code == 0 && text.contains("the store is sound"), "{code}: {text}");
    daemon.start_again();
    assert!(daemon.stop().success());
    let files = || -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(daemon.path("data/db")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let (code, text) = check(&daemon);
    assert!(code == 0 && text.contains("1 metrics"), "{code}: {text}");
    assert_eq!(files(), before, "a check changes nothing");
    assert_eq!(said(Command::new(ORZO).args(["check", "/nowhere"]).output().unwrap()).0, 2);
}

#[test]
fn a_lost_window_does_not_reopen_what_is_stored() {
    let (mut daemon, ids) = daemon_with(&["a", "b"]);
    ids.iter().for_each(|id| post(&daemon, id, 0..90));
    assert!(daemon.stop().success());
    let kv = store(&daemon);
    flip(&kv, Family::Window, &keys_of(&kv, Family::Window, &ids[0])[0]);
    drop(kv);
    expect_found(&daemon, &format!("window: metric {}: its window does not decode", ids[0]));
    daemon.start_again();
    // Too old, or in the last hour, whose minutes are stored.
    post(&daemon, &ids[0], [3, 70, 89].into_iter());
    post(&daemon, &ids[0], 90..95);
    post(&daemon, &ids[1], 90..95);
    assert_eq!((count(&daemon, &ids[0]), count(&daemon, &ids[1])), (95.0, 95.0));
    assert_eq!(daemon.counter("orzo_damaged_total", "family=\"window\""), 1);
    assert_eq!(daemon.counter("orzo_measures_refused_total", ""), 3);
    assert_eq!(daemon.get("/v1/status")["store"]["damaged"]["window"], 1);
    // The same, met by a replay.
    daemon.kill();
    daemon.start_again();
    assert_eq!((count(&daemon, &ids[0]), count(&daemon, &ids[1])), (95.0, 95.0));
    assert!(daemon.stop().success());
    assert_eq!(check(&daemon).0, 0, "the window was written anew: {}", check(&daemon).1);
}

#[test]
fn a_damaged_blob_costs_its_own_measures_only() {
    // The first one names its series, which takes a second one to be told again.
    (0..3).for_each(a_damaged_blob_of_three);
}

fn a_damaged_blob_of_three(damaged: usize) {
    let (mut daemon, ids) = daemon_with(&["a", "b"]);
    for minutes in [0..10, 10..20, 20..30] {
        ids.iter().for_each(|id| post(&daemon, id, minutes.clone()));
    }
    daemon.kill();
    let kv = store(&daemon);
    let id = u128::from_str_radix(&ids[0].replace('-', ""), 16).unwrap();
    let partition = Partitions::DEFAULT.of(MetricId::from_bits(id)).to_bytes();
    let mut blobs = keys(&kv, Family::Backlog, &partition);
    let blob = |key: &Vec<u8>| kv.get(Family::Backlog, key).unwrap().unwrap();
    let mut names = Names::default();
    blobs.iter().for_each(|key| names.learn(&blob(key)).unwrap());
    blobs.retain(|key| record::decode(&blob(key), &names).unwrap()[0].id.bits() == id);
    assert_eq!(blobs.len(), 3);
    flip(&kv, Family::Backlog, &blobs[damaged]);
    drop(kv);
    expect_found(&daemon, "does not decode");
    daemon.start_again();
    assert_eq!((count(&daemon, &ids[0]), count(&daemon, &ids[1])), (20.0, 30.0));
    assert_eq!(daemon.counter("orzo_damaged_total", "family=\"backlog\""), 1);
}

#[test]
fn a_damaged_low_water_mark_loses_nothing_and_doubles_nothing() {
    let mut daemon = Daemon::start();
    daemon.send_tcp(&"k.a:1|c\n".repeat(1000));
    daemon.await_total("k.a", "count", 1000.0);
    assert!(daemon.stop().success());
    for round in 1..=2u8 {
        daemon.start_again();
        daemon.send_tcp(&"k.a:1|c\n".repeat(1000));
        daemon.await_total("k.a", "count", f64::from(round + 1) * 1000.0);
        daemon.await_counter("orzo_samples_pending", "", 0);
        daemon.kill();
        let kv = store(&daemon);
        keys(&kv, Family::Meta, b"low/").iter().for_each(|key| put(&kv, Family::Meta, key, vec![round; 12]));
        drop(kv);
        expect_found(&daemon, "low-water mark of partition");
    }
    daemon.start_again();
    assert_eq!(daemon.total("k.a", "count"), Some(3000.0));
    assert!(daemon.counter("orzo_damaged_total", "family=\"meta\"") > 0);
    assert!(daemon.stop().success());
    assert_eq!(check(&daemon).0, 0, "{}", check(&daemon).1);
}

#[test]
fn a_damaged_row_costs_its_own_buckets_only() {
    let (mut daemon, ids) = daemon_with(&["a", "b"]);
    for part in 0..10 {
        ids.iter().for_each(|id| post(&daemon, id, part * 300..(part + 1) * 300));
    }
    assert!(daemon.stop().success());
    let kv = store(&daemon);
    let mut rows = keys_of(&kv, Family::Rows, &ids[0]);
    rows.retain(|key| key[18..26] == 60_000_000_000u64.to_be_bytes() && key[26] == 1);
    // By chance of the id nearly all may lie in one long block, behind which at least the open bucket has a row.
    flip(&kv, Family::Rows, &rows[0]);
    drop(kv);
    expect_found(&daemon, &format!("rows: metric {}, 60s, from ", ids[0]));
    daemon.start_again();
    let left = count(&daemon, &ids[0]);
    assert!((2400.0..3000.0).contains(&left), "{left}");
    assert_eq!(count(&daemon, &ids[1]), 3000.0);
    assert!(daemon.counter("orzo_damaged_total", "family=\"rows\"") > 0);
    // Deletion and sealing get past it, too.
    post(&daemon, &ids[0], 3000..5000);
    assert_eq!(count(&daemon, &ids[0]), left + 2000.0);
    assert!(daemon.stop().success());
}

#[test]
fn a_damaged_document_costs_only_what_it_describes() {
    let (mut daemon, ids) = daemon_with(&["a", "b"]);
    ids.iter().for_each(|id| post(&daemon, id, 0..10));
    daemon.send_tcp("k.a:1|c\nk.b:1|c\n");
    daemon.await_total("k.b", "count", 1.0);
    let statsd = daemon.metrics_of("statsd");
    assert!(daemon.stop().success());
    let kv = store(&daemon);
    for id in [&ids[0], &statsd["k.a"]] {
        let mut documents = keys_of(&kv, Family::Index, id);
        documents.retain(|key| key[0] == b'm');
        put(&kv, Family::Index, &documents[0], b"{\"creator".to_vec());
    }
    put(&kv, Family::Index, b"Pbool", b"?".to_vec());
    put(&kv, Family::Index, b"c", b"?".to_vec());
    drop(kv);
    expect_found(&daemon, &format!("index: metric {}: does not decode", ids[0]));
    daemon.start_again();
    assert_eq!(count(&daemon, &ids[1]), 10.0);
    assert_eq!(daemon.try_get(&format!("/v1/metric/{}", ids[0])).unwrap().0, 404);
    let listed = daemon.get("/v1/metric");
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    // A series whose metric is damaged goes on under another one; its neighbour notices nothing.
    daemon.send_tcp("k.a:1|c\nk.b:1|c\n");
    daemon.await_total("k.a", "count", 1.0);
    daemon.await_total("k.b", "count", 2.0);
    assert_ne!(daemon.metrics_of("statsd")["k.a"], statsd["k.a"]);
    assert!(daemon.counter("orzo_damaged_total", "family=\"index\"") > 0);
    // A lost policy comes back by making it again.
    let policy = json!({"name": "bool", "definition": [{"granularity": "1s", "points": 3600}]});
    assert_eq!(daemon.post("/v1/archive_policy", &policy).0, 201);
    // Nothing stands in the way of deleting a damaged metric either.
    assert!(daemon.stop().success());
}

#[test]
fn bytes_that_rot_in_a_table_are_found_by_the_engine() {
    let (mut daemon, ids) = daemon_with(&["a", "b"]);
    for part in 0..10 {
        ids.iter().for_each(|id| post(&daemon, id, part * 2000..(part + 1) * 2000));
    }
    assert!(daemon.stop().success());
    let kv = store(&daemon);
    // What is left of the log is larger than the rows, and of no use any more.
    let mut batch = Batch::default();
    batch.delete_range(Family::Backlog, [0], [255]);
    kv.write(batch, WhenStalled::Wait).unwrap();
    kv.compact().unwrap();
    drop(kv);
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let tables = fs::read_dir(daemon.path("data/db")).unwrap().map(|file| file.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|end| end == "sst"));
    let largest = tables.max_by_key(|path| size(path)).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    bytes[100] ^= 4;
    fs::write(&largest, bytes).unwrap();
    expect_found(&daemon, "checksum mismatch");
    daemon.start_again();
    let counts = [count(&daemon, &ids[0]), count(&daemon, &ids[1])];
    assert!(counts.iter().any(|count| *count > 0.0), "{counts:?}");
    assert!(counts.iter().sum::<f64>() < 40_000.0, "{counts:?}");
    assert!(daemon.counter("orzo_damaged_total", "family=\"rows\"") > 0);
    assert!(daemon.stop().success());
}
