//! Replays what is recorded for fuzzing through the very functions that are fuzzed, with an ordinary compiler: each seed
//! as it is, cut anywhere, with bytes bent, and mixed with others for as long as `ORZO_FUZZ_SECONDS` says (a second unless
//! set). `ORZO_WRITE_SEEDS=1` writes those of stored forms as they are today.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "elsewhere it is a crate")]
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use orzo_aggregator::record::{self, Payload, Record};
use orzo_model::run::Run;
use orzo_model::series::{Series, SeriesKind};
use orzo_model::sketch::Sketch;
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{
    ArchivePolicy, Granularity, Item, Measure, Method, MethodSet, MetricId, SECOND, Timestamp, block,
};

use targets::{ENTRIES, Entry};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Seeds of a target by name.
fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(root().join("seeds").join(target)).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap()))
        .collect()
}

#[test]
fn every_seed_ends_as_its_name_says() {
    let mut wrong = Vec::new();
    for (target, entry) in ENTRIES {
        let seeds = seeds(target);
        for end in ["ok-", "bad-"] {
            assert!(seeds.keys().any(|name| name.starts_with(end)), "{target} has no seed called {end}…");
        }
        for (name, bytes) in seeds {
            assert!(
                name.starts_with("ok-") || name.starts_with("bad-"),
                "{target}/{name} does not say how it ends"
            );
            if entry(&bytes) != name.starts_with("ok-") {
                wrong.push(format!("{target}/{name}: {}", bytes.escape_ascii()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_entry_is_a_target() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let targets = fs::read_dir(root().join("fuzz_targets")).unwrap().count();
    assert_eq!((targets, manifest.matches("[[bin]]").count()), (ENTRIES.len(), ENTRIES.len()));
    for (target, _) in ENTRIES {
        let path = format!("fuzz_targets/{target}.rs");
        assert!(manifest.contains(&format!("name = \"{target}\"\npath = \"{path}\"")), "{target}");
        let source = fs::read_to_string(root().join(path)).unwrap();
        assert!(source.contains(&format!("orzo_fuzz::{target}(bytes)")), "{target}");
    }
}

#[track_caller]
fn survive(target: &str, entry: Entry, bytes: &[u8]) -> bool {
    let outcome = catch_unwind(|| entry(bytes));
    outcome.unwrap_or_else(|_| panic!("{target} panics on {:?}", bytes.escape_ascii().to_string()))
}

#[test]
fn seeds_may_be_cut_and_bent() {
    for (target, entry) in ENTRIES {
        for bytes in seeds(target).into_values() {
            for end in 0..bytes.len() {
                survive(target, entry, &bytes[..end]);
            }
            for at in 0..bytes.len() {
                let mut bent = bytes.clone();
                for byte in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x80, b'"', b'9', b'\\'] {
                    bent[at] = byte;
                    survive(target, entry, &bent);
                }
            }
        }
    }
}

/// Like xorshift64*: the same numbers from the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    /// A number below a bound, 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.next() as usize % bound }
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let (one, other) = (self.below(len + 1), self.below(len + 1));
        one.min(other)..one.max(other)
    }
}

/// Longer inputs are cut: what is wrong shows in short ones, too.
const INPUT_MAX: usize = 4096;

/// Accepted inputs that are kept.
const KEPT_MAX: usize = 512;

/// Bytes that mean something to some grammar.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"[[[[[[[[",
    b"]",
    b",",
    b":",
    b"|",
    b"@",
    b"#",
    b"-",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"18446744073709551616",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\0",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b" ",
    b"\n",
];

/// One to four changes: bytes replaced, put in, left out, doubled, or taken from another input.
fn mixed(chance: &mut Chance, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pool[chance.below(pool.len())].clone();
    for _ in 0..=chance.below(4) {
        let (range, at) = (chance.range(bytes.len()), chance.below(bytes.len() + 1));
        match chance.below(6) {
            0 if !bytes.is_empty() => {
                let at = chance.below(bytes.len());
                bytes[at] ^= 1 << chance.below(8);
            }
            1 => drop(bytes.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
            2 => drop(bytes.drain(range)),
            3 => {
                let part = bytes[range].to_vec();
                drop(bytes.splice(at..at, part));
            }
            4 => {
                let other = &pool[chance.below(pool.len())];
                let part = other[chance.range(other.len())].to_vec();
                drop(bytes.splice(range, part));
            }
            _ => bytes.insert(at, chance.next() as u8),
        }
    }
    bytes.truncate(INPUT_MAX);
    bytes
}

/// Without coverage to go by, what is accepted joins the seeds: changes pile up behind the outermost checks.
#[test]
fn seeds_may_be_mixed() {
    let seconds: Option<u64> = std::env::var("ORZO_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let time = Duration::from_secs(seconds.unwrap_or(1)) / ENTRIES.len() as u32;
    // By day each run is the same; a night has its own.
    let start = seconds.map_or(1, |_| UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1);
    for (target, entry) in ENTRIES {
        let (mut chance, begun, mut runs) = (Chance(start), Instant::now(), 0_u64);
        let mut pool: Vec<Vec<u8>> = seeds(target).into_values().collect();
        let seeds = pool.len();
        while begun.elapsed() < time {
            let bytes = mixed(&mut chance, &pool);
            runs += 1;
            if survive(target, entry, &bytes) {
                match seeds + chance.below(KEPT_MAX) {
                    place if place < pool.len() => pool[place] = bytes,
                    _ => pool.push(bytes),
                }
            }
        }
        println!("{target}: {runs} inputs from {seeds} seeds, {} kept", pool.len() - seeds);
        assert!(runs > 0);
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns((1_767_225_600 + seconds) * SECOND).unwrap()
}

fn minute() -> Granularity {
    Granularity::from_ns(60 * SECOND).unwrap()
}

/// Values like those of a gauge, with a hole.
fn a_run() -> Run {
    let mut run = Run::new(minute(), [Method::MEAN, Method::MAX, Method::COUNT_OF]);
    for bucket in (0..40).filter(|bucket| bucket % 7 != 3) {
        run.open_bucket(at(60 * bucket));
        for (method, values) in run.columns_mut() {
            let value = if method == Method::COUNT_OF { 6.0 } else { 20.0 + (bucket * 5 % 13) as f64 / 10.0 };
            values.push((method != Method::MAX || bucket % 5 != 0).then_some(value));
        }
    }
    run
}

fn events() -> Summary {
    let mut summary = Summary::of(at(1), 320.0, 1.0, Weighing::Event, Wants::ALL);
    (0..9).for_each(|event| summary.add(at(1), f64::from(event) - 3.5, 10.0, Weighing::Event));
    summary
}

fn a_window() -> Vec<u8> {
    let items = vec![Item { granularity: minute(), points: Some(60) }];
    let methods = MethodSet::from_iter([Method::MEAN]);
    let policy = Arc::new(ArchivePolicy { name: "p".into(), back_window: 1, items, methods });
    let mut series = Series::new(SeriesKind::Sampled, policy);
    series.insert(
        1,
        &mut (0..50).map(|step| Measure { at: at(10 * step), value: step as f64 }).collect::<Vec<_>>(),
    );
    series.begin_checkpoint().unwrap().window()
}

fn a_blob() -> Vec<u8> {
    let measures = (0..5).map(|step| Measure { at: at(10 * step), value: 1.5 }).collect();
    let record = |id, payload| Record { id: MetricId::from_bits(id), back_window: 300, payload };
    let records = [record(1, Payload::Measures(measures)), record(2, Payload::Events([events()].into()))];
    record::encode_named(&records)
}

fn a_sketch() -> Sketch {
    let mut sketch = Sketch::default();
    (-5..5).for_each(|value| sketch.add(f64::from(value) * 1.5, 2.0));
    sketch
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// Without the checksum, which the targets put on.
fn unsealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// A seed may be older than today's writer: it goes on being read, which the first test sees to.
#[test]
fn what_is_written_today_is_accepted() {
    let written = [
        ("run", unsealed(a_run().encode(7))),
        ("block", unsealed(block::encode(&a_run(), 7))),
        ("window", unsealed(a_window())),
        ("blob", unsealed(a_blob())),
        ("summary", encoded(|out| events().encode(at(1), out))),
        ("sketch", encoded(|out| a_sketch().encode(out))),
    ];
    for (target, bytes) in written {
        let entry = ENTRIES.iter().find(|(name, _)| *name == target).unwrap().1;
        assert!(entry(&bytes), "{target}");
        if std::env::var_os("ORZO_WRITE_SEEDS").is_some() {
            let dir = root().join("seeds").join(target);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("ok-written"), &bytes).unwrap();
            fs::write(dir.join("bad-cut"), &bytes[..bytes.len() / 2]).unwrap();
        }
    }
}
