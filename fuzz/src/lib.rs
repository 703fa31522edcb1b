//! What is fuzzed: one function for each grammar and each decoder. It takes any bytes, says whether they were accepted,
//! and panics where a promise does not hold: bytes from outside never panic, and what was read and written again reads
//! the same.
//!
//! The targets in `fuzz_targets` run these under libFuzzer. `tests/fuzz_seeds.rs` in the workspace has this file too, and
//! replays the seeds.

use std::sync::Arc;

use orzo_aggregator::record;
use orzo_http::grammars;
use orzo_ingest::{ListenerCounters, Naming, Parser, Sink};
use orzo_model::codec::{Corrupt, Reader, seal};
use orzo_model::ops::Expr;
use orzo_model::series::Series;
use orzo_model::sketch::Sketch;
use orzo_model::summary::Summary;
use orzo_model::timetext::{parse_signed_timespan, parse_timespan, parse_timestamp};
use orzo_model::{
    ArchivePolicy, Granularity, Item, Method, MethodSet, Profile, SECOND, Sample, Timestamp, block, run,
};

/// Any bytes in, whether they were accepted out.
pub type Entry = fn(&[u8]) -> bool;

/// All of them by name.
pub const ENTRIES: [(&str, Entry); 16] = [
    ("statsd", statsd),
    ("filter_text", filter_text),
    ("filter_json", filter_json),
    ("json", json),
    ("object", object),
    ("timespan", timespan),
    ("timestamp", timestamp),
    ("influx_line", influx_line),
    ("operations", operations),
    ("measures", measures),
    ("run", run),
    ("block", block),
    ("window", window),
    ("blob", blob),
    ("summary", summary),
    ("sketch", sketch),
];

/// 2026-01-01T00:00:00Z.
fn now() -> Timestamp {
    Timestamp::saturating_from_ns(1_767_225_600 * SECOND)
}

fn minute() -> Granularity {
    Granularity::from_ns(60 * SECOND).expect("it is not zero")
}

/// With the checksum that readers look at first, and that chance does not guess.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    sealed
}

fn text(bytes: &[u8], accepts: impl Fn(&str) -> bool) -> bool {
    std::str::from_utf8(bytes).is_ok_and(accepts)
}

#[derive(Default, PartialEq)]
struct Samples(Vec<(Sample, Vec<u8>)>);

impl Sink for Samples {
    fn push(&mut self, sample: &Sample, name: &[u8]) {
        assert_eq!(usize::from(sample.name_len), name.len());
        assert!(std::str::from_utf8(name).is_ok_and(|name| !name.is_empty()));
        self.0.push((*sample, name.to_vec()));
    }
}

/// A datagram in both profiles, twice; accepted if no line was refused. Every line has one outcome, and the same once it is
/// known.
pub fn statsd(bytes: &[u8]) -> bool {
    let counters = ListenerCounters::default();
    for profile in [Profile::Native, Profile::Gnocchi] {
        let mut parser = Parser::new(Naming::new(1));
        let [first, second] = [(); 2].map(|()| {
            let mut samples = Samples::default();
            parser.text(profile, bytes, &counters, &mut samples);
            samples
        });
        assert!(first == second);
    }
    let outcomes = [&counters.events, &counters.checks].map(|counter| counter.get()).iter().sum::<u64>()
        + counters.lines_accepted()
        + counters.lines_dropped();
    assert_eq!(counters.lines.get(), outcomes);
    counters.lines.get() > 0 && counters.lines_dropped() == 0
}

/// A resource filter as text.
pub fn filter_text(bytes: &[u8]) -> bool {
    text(bytes, grammars::filter_text)
}

/// A resource filter in JSON.
pub fn filter_json(bytes: &[u8]) -> bool {
    grammars::filter(bytes)
}

/// JSON in the API's dialect.
pub fn json(bytes: &[u8]) -> bool {
    grammars::json(bytes)
}

/// A body that makes or changes an object; the schema reporter says what is wrong with it.
pub fn object(bytes: &[u8]) -> bool {
    grammars::object(bytes, now())
}

/// A time span.
pub fn timespan(bytes: &[u8]) -> bool {
    text(bytes, |text| match parse_timespan(text) {
        Ok(span) => {
            assert_eq!(parse_signed_timespan(text), Ok(span.ns() as i64));
            true
        }
        Err(_) => false,
    })
}

/// An instant.
pub fn timestamp(bytes: &[u8]) -> bool {
    text(bytes, |text| parse_timestamp(text, now()).is_ok())
}

/// A line of InfluxDB's protocol.
pub fn influx_line(bytes: &[u8]) -> bool {
    text(bytes, grammars::influx_line)
}

/// Operations over series, as text; the list form means the same.
pub fn operations(bytes: &[u8]) -> bool {
    text(bytes, |text| {
        let Ok(expr) = Expr::parse(&serde_json::Value::from(text)) else { return false };
        let again = Expr::parse(&expr.to_json()).expect("the list form can be read");
        assert_eq!(again.to_string(), expr.to_string());
        true
    })
}

/// A batch of measures.
pub fn measures(bytes: &[u8]) -> bool {
    grammars::batch(bytes, now())
}

/// A stored run, without its checksum.
pub fn run(bytes: &[u8]) -> bool {
    let bytes = sealed(bytes);
    let column = |method| {
        let decoded = run::decode(&bytes, minute(), method);
        decoded.inspect(|decoded| assert_eq!(decoded.column.starts.len(), decoded.column.values.len()))
    };
    column(Method::MEAN).is_ok() & column(Method::MAX).is_ok()
}

/// A stored block, without its checksum. Read as a whole and column by column it says the same.
pub fn block(bytes: &[u8]) -> bool {
    let bytes = sealed(bytes);
    let Ok((seq, whole)) = block::decode_run(&bytes, minute()) else { return false };
    for (method, _) in whole.columns() {
        let one = block::decode(&bytes, minute(), method).expect("it was read as a whole");
        assert_eq!((one.seq, one.column.starts.len()), (seq, one.column.values.len()));
    }
    true
}

/// A stored window of a series, without its checksum.
pub fn window(bytes: &[u8]) -> bool {
    let policy = ArchivePolicy {
        name: "p".into(),
        back_window: 1,
        items: vec![Item { granularity: minute(), points: Some(60) }],
        methods: MethodSet::from_iter([Method::MEAN]),
    };
    Series::decode(&sealed(bytes), Arc::new(policy)).is_ok()
}

/// A blob of the backlog, without its checksum.
pub fn blob(bytes: &[u8]) -> bool {
    let read = |blob: &[u8]| {
        let mut names = record::Names::default();
        names.learn(blob)?;
        record::decode(blob, &names)
    };
    let Ok(records) = read(&sealed(bytes)) else { return false };
    let written = record::encode_named(&records);
    let again = read(&written).expect("what is written can be read");
    assert_eq!(record::encode_named(&again), written);
    true
}

/// A summary of events.
pub fn summary(bytes: &[u8]) -> bool {
    const BASE: Timestamp = Timestamp::saturating_from_ns(1_700_000_000_000_000_000);
    stable(bytes, |reader| Summary::decode(BASE, reader), |summary, out| summary.encode(BASE, out))
}

/// A sketch of values.
pub fn sketch(bytes: &[u8]) -> bool {
    stable(bytes, Sketch::decode, Sketch::encode)
}

/// Reads; what is read is written, read and written to the same bytes.
fn stable<T>(
    bytes: &[u8],
    decode: fn(&mut Reader<'_>) -> Result<T, Corrupt>,
    encode: fn(&T, &mut Vec<u8>),
) -> bool {
    let write = |value: &T| {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    };
    let Ok(value) = decode(&mut Reader::new(bytes)) else { return false };
    let written = write(&value);
    let again = decode(&mut Reader::new(&written)).expect("what is written can be read");
    assert_eq!(write(&again), written);
    true
}
