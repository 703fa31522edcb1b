//! RocksDB shows every kind of damage, and goes on behind a block that it cannot read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use orzo_store::check::suite::every_damage_is_found;
use orzo_store::kv::scan_past_damage;
use orzo_store::{Batch, Error, Family, Guarded, Kv, WhenStalled};
use orzo_store_rocks::{RocksKv, Tuning};
use tempfile::TempDir;

fn open(directory: &Path) -> RocksKv {
    RocksKv::open(directory, &Tuning::default()).unwrap()
}

fn put(kv: &impl Kv, key: &[u8], value: Vec<u8>) -> orzo_store::Result<()> {
    let mut batch = Batch::default();
    batch.put(Family::Backlog, key, value);
    kv.write(batch, WhenStalled::Wait)
}

#[test]
fn every_kind_of_damage_is_found() {
    let directories = RefCell::new(Vec::new());
    every_damage_is_found(|| {
        let directory = TempDir::new().unwrap();
        let kv = Arc::new(open(directory.path()));
        directories.borrow_mut().push(directory);
        kv
    });
}

#[test]
fn a_scan_goes_on_behind_a_block_that_cannot_be_read() {
    let directory = TempDir::new().unwrap();
    let kv = open(directory.path());
    for number in 0..1000u64 {
        put(&kv, &number.to_be_bytes(), vec![number as u8; 100]).unwrap();
    }
    kv.compact().unwrap();
    drop(kv);
    let files = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path());
    let table = files.filter(|path| path.extension().is_some_and(|end| end == "sst")).max().unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&table, bytes).unwrap();

    let kv = open(directory.path());
    let (mut seen, mut damaged) = (Vec::new(), 0);
    let visit: &mut orzo_store::kv::Visit<'_> = &mut |key, _| {
        seen.push(u64::from_be_bytes(key.try_into().unwrap()));
        ControlFlow::Continue(())
    };
    scan_past_damage(&kv, Family::Backlog, b"", b"", visit, &mut |_, error| {
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        damaged += 1;
    })
    .unwrap();
    assert_eq!(damaged, 1);
    assert!((900..1000).contains(&seen.len()), "one block is missing of {}", seen.len());
    assert!(seen.is_sorted() && seen[0] == 0 && seen.last() == Some(&999));
}

#[test]
fn a_database_opened_again_has_all_it_had() {
    let directory = TempDir::new().unwrap();
    let kv = Guarded::new(open(directory.path()));
    put(&kv, b"before", vec![1]).unwrap();
    kv.revive().unwrap();
    put(&kv, b"after", vec![2]).unwrap();
    kv.sync().unwrap();
    for key in [b"before".as_slice(), b"after"] {
        assert!(kv.get(Family::Backlog, key).unwrap().is_some());
    }
    assert!(!directory.path().join("room").exists(), "what tried the disk is gone");
}

#[test]
fn what_is_open_to_be_read_takes_no_writes() {
    let directory = TempDir::new().unwrap();
    assert!(RocksKv::open_read_only(directory.path(), &Tuning::default()).is_err(), "there is nothing");
    put(&open(directory.path()), b"key", vec![1]).unwrap();
    let kv = RocksKv::open_read_only(directory.path(), &Tuning::default()).unwrap();
    assert_eq!(kv.get(Family::Backlog, b"key").unwrap(), Some(vec![1]));
    assert!(put(&kv, b"key", vec![2]).is_err());
}
