//! Samples from text, for unit tests: just enough of the line format, with the reference's own strictness
//! (contract, `ingest.md` 1). What the daemon reads is the listeners' business.

use std::sync::Arc;

use orzo_model::sample::RATE_ONE;
use orzo_model::{
    ArchivePolicy, Batch, Flags, Granularity, Item, Kind, Method, MethodSet, SECOND, Sample, SeriesIds,
    Timestamp,
};

/// The ids of series in unit tests.
pub(crate) const IDS: SeriesIds = SeriesIds::new(7);

/// Seconds after the epoch.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns(seconds * SECOND).unwrap()
}

/// A policy of one minute without anything special.
pub(crate) fn policy() -> Arc<ArchivePolicy> {
    let granularity = Granularity::from_ns(60 * SECOND).unwrap();
    let methods = MethodSet::from_iter([Method::MEAN, Method::SUM, Method::COUNT_OF]);
    let items = vec![Item { granularity, points: None }];
    Arc::new(ArchivePolicy { name: "p".into(), back_window: 0, items, methods })
}

/// The sample and the name of `name:value|type`, maybe with `|@rate` or `|Tseconds`; `None` if the reference
/// drops such a line. A sign makes a gauge signed, a tag field one of DogStatsD.
pub(crate) fn line(text: &str, profile: Flags) -> Option<(Sample, Vec<u8>)> {
    let (name, rest) = text.split_once(':')?;
    let fields: Vec<&str> = rest.split('|').collect();
    (fields.len() <= 3).then_some(())?;
    let (value, kind) = (fields[0].trim(), kind(fields.get(1)?, &fields)?);
    let mut flags = profile.with(Flags::SIGNED.when(kind == Kind::Gauge && value.starts_with(['+', '-'])));
    let mut aux = if kind.is_event() { RATE_ONE } else { 0 };
    for field in &fields[2..] {
        match (field.split_at_checked(1)?, kind) {
            (("#", _), _) => flags = flags.with(Flags::DOGSTATSD),
            (("T", seconds), _) => {
                flags = flags.with(Flags::HAS_TIME).with(Flags::DOGSTATSD);
                aux = seconds.parse().ok()?;
            }
            // The reference cuts the first character off without looking at it, and knows rates of counters only.
            ((_, rate), Kind::Counter) => {
                aux = (rate.parse::<f64>().ok()? * f64::from(RATE_ONE)).round() as u32;
                (aux > 0).then_some(())?;
            }
            _ => return None,
        }
    }
    let value = match kind {
        Kind::Set => IDS.member(value.as_bytes()),
        _ => value.parse::<f64>().ok()?.to_bits(),
    };
    let id = IDS.id(kind, flags, name.as_bytes());
    Some((Sample { id, value, aux, name_len: 0, kind, flags }, name.into()))
}

fn kind(text: &str, fields: &[&str]) -> Option<Kind> {
    let timed = fields.iter().skip(2).any(|field| field.starts_with('T'));
    let found = Kind::ALL.into_iter().find(|kind| kind.wire_type() == text)?;
    Some(if timed && found == Kind::Counter { Kind::CounterAt } else { found })
}

/// A batch of lines, one after another between blanks, that arrived at this time.
pub(crate) fn batch(arrived: Timestamp, lines: &str) -> Batch {
    let mut batch = Batch::new(0);
    batch.reopen(arrived);
    for text in lines.split_whitespace() {
        let (sample, name) = line(text, Flags::NONE).unwrap_or_else(|| panic!("{text} is no line"));
        assert!(batch.push(&sample, &name));
    }
    batch
}
