//! What one commit of one partition says: the content of a backlog blob.
//!
//! Layout in `docs/format/backlog.md`. Each record is one batch of its series, live and in replay, since
//! what a window accepts depends on where batches end.
//!
//! A record tells its series by a short number. What the number stands for is said by the blob in which the series
//! got it, and once more by the next one that it is in, so that no single damaged blob takes the name with it.

use std::collections::{BTreeMap, HashMap};

use orzo_model::codec::{Corrupt, Reader, put_varint, seal, unseal};
use orzo_model::packed::{pack, put_times, read_interleaved, read_times, unpack};
use orzo_model::series::SeriesKind;
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{Measure, Measures, MetricId, Timestamp};
use smallvec::SmallVec;

use crate::id_map::IdMap;

const VERSION: u8 = 4;
/// It is still read: in it each measure has its time before its value.
const VERSION_BEFORE: u8 = 3;

/// Bits of a record's head.
const EVENTS: u8 = 1;
/// The back window is that of the measures before.
const SAME_BACK_WINDOW: u8 = 2;
/// The times are those of the measures before.
const SAME_TIMES: u8 = 4;
/// From here on, how the values are told; see [`pack`].
const WAY: u32 = 3;

/// So many values that a summary keeps for percentiles weigh as much as a measure.
const VALUES_PER_MEASURE: usize = 8;

/// What came for one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Points of a sampled series, in order of arrival.
    Measures(Measures),
    /// Events, summed up; each summary lies within one second. Nearly always there is one, so that it is kept in place.
    Events(SmallVec<[Summary; 1]>),
}

impl Payload {
    /// What measures that were posted are. Events come without weights.
    pub fn of(kind: SeriesKind, measures: Measures, wants: Wants) -> Self {
        let event = |measure: &Measure| Summary::of(measure.at, measure.value, 1.0, Weighing::Event, wants);
        match kind {
            SeriesKind::Sampled => Payload::Measures(measures),
            SeriesKind::Event => Payload::Events(measures.iter().map(event).collect()),
        }
    }

    /// Of its first measure or event; the next record tells its times by it.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Payload::Measures(measures) => measures.first().map(|measure| measure.at),
            Payload::Events(events) => events.first().map(Summary::at),
        }
    }

    /// The newest measure or event in it.
    pub fn newest(&self) -> Timestamp {
        let newest = match self {
            Payload::Measures(measures) => measures.iter().map(|measure| measure.at).max(),
            Payload::Events(events) => events.iter().map(Summary::until).max(),
        };
        newest.unwrap_or_default()
    }

    /// How many measures it is as much work as, and takes as much memory until a checkpoint.
    pub fn weight(&self) -> usize {
        match self {
            Payload::Measures(measures) => measures.len(),
            Payload::Events(events) => events.iter().map(|event| 1 + event.kept() / VALUES_PER_MEASURE).sum(),
        }
    }

    /// What a series is that begins with it.
    pub fn kind(&self) -> SeriesKind {
        match self {
            Payload::Measures(_) => SeriesKind::Sampled,
            Payload::Events(_) => SeriesKind::Event,
        }
    }
}

/// One batch of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// By which it is stored.
    pub id: MetricId,
    /// That of the policy when it came: measures are judged by it, live and in replay. Of events it says
    /// nothing, and is not stored.
    pub back_window: u32,
    /// What came.
    pub payload: Payload,
}

/// A record, and how its series is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Which series it is, within the partition.
    pub(crate) number: u64,
    /// Whether this blob says what the number stands for.
    pub(crate) named: bool,
    pub(crate) record: &'a Record,
}

/// Writes a blob. Batches of one series keep their order; those of different series are put in that of the numbers.
pub(crate) fn encode(mut entries: Vec<Entry<'_>>) -> Vec<u8> {
    entries.sort_by_key(|entry| entry.number);
    let base = entries.first().map_or(0, |entry| entry.number);
    let named = entries.iter().filter(|entry| entry.named);
    let names: BTreeMap<u64, MetricId> = named.map(|entry| (entry.number, entry.record.id)).collect();
    let mut out = vec![VERSION];
    put_varint(&mut out, base);
    put_varint(&mut out, names.len() as u64);
    names.iter().fold(base, |before, (number, id)| {
        put_varint(&mut out, number - before);
        out.extend_from_slice(&id.to_bytes());
        *number
    });
    put_varint(&mut out, entries.len() as u64);
    let mut state = State::after(base, VERSION);
    entries.iter().for_each(|entry| state.put(entry, &mut out));
    seal(&mut out);
    out
}

/// Writes a blob that says of all its series who they are.
pub fn encode_named<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut numbers: IdMap<u64> = IdMap::default();
    let entry = |record: &'a Record| {
        let next = numbers.len() as u64 + 1;
        Entry { number: *numbers.entry(record.id).or_insert(next), named: true, record }
    };
    encode(records.into_iter().map(entry).collect())
}

/// What a record depends on from those before it.
struct State {
    version: u8,
    number: u64,
    /// Its first measure or event: times are told from it.
    at: Timestamp,
    /// Of the measures before.
    back_window: u32,
    times: Vec<Timestamp>,
    /// Of one record, while it is written.
    values: Vec<f64>,
}

impl State {
    fn after(base: u64, version: u8) -> Self {
        State {
            version,
            number: base,
            at: Timestamp::EPOCH,
            back_window: 0,
            times: Vec::new(),
            values: Vec::new(),
        }
    }

    fn put(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let Entry { number, record, .. } = entry;
        put_varint(out, number - self.number);
        match &record.payload {
            Payload::Measures(measures) => self.put_measures(record.back_window, measures, out),
            Payload::Events(events) => {
                out.push(EVENTS);
                put_varint(out, events.len() as u64);
                events.iter().for_each(|event| event.encode(self.at, out));
            }
        }
        (self.number, self.at) = (*number, record.payload.at().unwrap_or(self.at));
    }

    fn put_measures(&mut self, back_window: u32, measures: &[Measure], out: &mut Vec<u8>) {
        let same_back_window = back_window == self.back_window;
        let same_times = measures.iter().map(|measure| measure.at).eq(self.times.iter().copied());
        let flag = |flag, set| if set { flag } else { 0 };
        let head = out.len();
        out.push(flag(SAME_BACK_WINDOW, same_back_window) | flag(SAME_TIMES, same_times));
        if !same_back_window {
            put_varint(out, u64::from(back_window));
            self.back_window = back_window;
        }
        if !same_times {
            self.times.clear();
            self.times.extend(measures.iter().map(|measure| measure.at));
            put_times(out, self.at, &self.times);
        }
        self.values.clear();
        self.values.extend(measures.iter().map(|measure| measure.value));
        out[head] |= pack(out, &self.values) << WAY;
    }

    fn get(&mut self, reader: &mut Reader<'_>) -> Result<(u64, u32, Payload), Corrupt> {
        let number = self.number.checked_add(reader.varint()?).ok_or(Corrupt)?;
        let (back_window, payload) = match reader.byte()? {
            EVENTS => {
                let count = reader.count(1)?;
                let events = (0..count).map(|_| Summary::decode(self.at, reader));
                (0, Payload::Events(events.collect::<Result<_, _>>()?))
            }
            head => {
                if head & SAME_BACK_WINDOW == 0 {
                    self.back_window = u32::try_from(reader.varint()?).map_err(|_| Corrupt)?;
                }
                (self.back_window, Payload::Measures(self.get_measures(head & !SAME_BACK_WINDOW, reader)?))
            }
        };
        (self.number, self.at) = (number, payload.at().unwrap_or(self.at));
        Ok((number, back_window, payload))
    }

    fn get_measures(&mut self, head: u8, reader: &mut Reader<'_>) -> Result<Measures, Corrupt> {
        if self.version == VERSION_BEFORE {
            return if head == 0 {
                read_interleaved(reader, self.at).map(Measures::from)
            } else {
                Err(Corrupt)
            };
        }
        if head & EVENTS != 0 {
            return Err(Corrupt);
        }
        if head & SAME_TIMES == 0 {
            self.times = read_times(reader, self.at)?;
        }
        let values = unpack(reader, head >> WAY, self.times.len())?;
        Ok(self.times.iter().zip(values).map(|(at, value)| Measure { at: *at, value }).collect())
    }
}

/// Which series the numbers of a partition stand for.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<u64, MetricId>);

impl Names {
    /// Takes in what a blob says of them.
    ///
    /// # Errors
    /// [`Corrupt`] if the checksum or the layout does not hold.
    pub fn learn(&mut self, blob: &[u8]) -> Result<(), Corrupt> {
        let Head { names, .. } = Head::read(&mut Reader::new(unseal(blob)?))?;
        self.0.extend(names);
        Ok(())
    }
}

/// What a blob begins with.
struct Head {
    version: u8,
    /// Numbers count from it.
    base: u64,
    names: Vec<(u64, MetricId)>,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let version = reader.byte()?;
        if version != VERSION && version != VERSION_BEFORE {
            return Err(Corrupt);
        }
        let (base, count) = (reader.varint()?, reader.count(17)?);
        let mut number = base;
        let mut next = |_| {
            number = number.checked_add(reader.varint()?).ok_or(Corrupt)?;
            Ok((number, MetricId::from_bytes(reader.array()?)))
        };
        Ok(Head { version, base, names: (0..count).map(&mut next).collect::<Result<_, _>>()? })
    }
}

/// Reads a blob. Records of series that nobody named are left out: where blobs are whole, checkpoints have them.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode(blob: &[u8], names: &Names) -> Result<Vec<Record>, Corrupt> {
    let mut reader = Reader::new(unseal(blob)?);
    let Head { version, base, .. } = Head::read(&mut reader)?;
    let mut state = State::after(base, version);
    let mut records = Vec::new();
    for _ in 0..reader.count(2)? {
        let (number, back_window, payload) = state.get(&mut reader)?;
        records.extend(names.0.get(&number).map(|id| Record { id: *id, back_window, payload }));
    }
    if reader.is_empty() { Ok(records) } else { Err(Corrupt) }
}

/// The series that a blob names, if all of it can be read.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn named(blob: &[u8]) -> Result<Vec<MetricId>, Corrupt> {
    let mut names = Names::default();
    names.learn(blob)?;
    decode(blob, &names)?;
    Ok(names.0.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Timestamp {
        Timestamp::from_ns(ns).unwrap()
    }

    fn measure(id: u128, back_window: u32, value: f64) -> Record {
        let payload = Payload::Measures([Measure { at: at(5), value }].into_iter().collect());
        Record { id: MetricId::from_bits(id), back_window, payload }
    }

    fn event(id: u128) -> Record {
        let event = Summary::of(at(5), 2.0, 1.0, Weighing::Event, Wants::ALL);
        Record { id: MetricId::from_bits(id), back_window: 0, payload: Payload::Events([event].into()) }
    }

    #[test]
    fn what_is_written_is_read() {
        let records = [measure(1, 300, 1.5), measure(1, 300, 0.5), event(2), measure(3, 0, 7.0)];
        let bytes = encode_named(&records);
        let mut names = Names::default();
        names.learn(&bytes).unwrap();
        assert_eq!(decode(&bytes, &names).unwrap(), records);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], &names), Err(Corrupt));
        }
    }

    #[test]
    fn blobs_of_the_version_before_are_read() {
        let mut bytes = vec![3, 5, 1, 0];
        bytes.extend_from_slice(&MetricId::from_bits(7).to_bytes());
        bytes.extend_from_slice(&[1, 0, 2, 1, 0x11, 2, 0x1e]);
        seal(&mut bytes);
        let mut names = Names::default();
        names.learn(&bytes).unwrap();
        let gauge = Payload::Measures([Measure { at: at(1_000_000), value: 1.5 }].into_iter().collect());
        let expected = Record { id: MetricId::from_bits(7), back_window: 0, payload: gauge };
        assert_eq!(decode(&bytes, &names), Ok(vec![expected]));
    }

    /// The example of the description.
    #[test]
    fn a_gauge_takes_four_bytes_and_its_number() {
        let gauge = Payload::Measures([Measure { at: at(1_000_000), value: 1.5 }].into_iter().collect());
        let record = Record { id: MetricId::from_bits(7), back_window: 0, payload: gauge };
        let bytes = encode(vec![Entry { number: 5, named: true, record: &record }]);
        let mut expected = vec![4, 5, 1, 0];
        expected.extend_from_slice(&record.id.to_bytes());
        expected.extend_from_slice(&[1, 0, 0x0a, 9, 2, 0x1e]);
        seal(&mut expected);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn times_that_many_series_share_are_told_once() {
        let list =
            |value: f64| (0..6).map(move |n| Measure { at: at(n * 10_000_000_000), value: value + n as f64 });
        let record = |id: u128| {
            let payload = Payload::Measures(list(id as f64 * 9.0).collect());
            Record { id: MetricId::from_bits(id), back_window: 0, payload }
        };
        let many: Vec<Record> = (1..=100).map(record).collect();
        let bytes = encode_named(&many);
        let mut names = Names::default();
        names.learn(&bytes).unwrap();
        assert_eq!(decode(&bytes, &names).unwrap(), many);
        assert!(bytes.len() < 100 * (17 + 2 + 8), "{}", bytes.len());
    }

    #[test]
    fn numbers_are_told_once_and_batches_keep_their_order() {
        let records = [measure(7, 1, 1.0), measure(8, 1, 2.0), measure(7, 2, 3.0)];
        let entry = |number, named, record| Entry { number, named, record };
        let first = encode(vec![entry(900, true, &records[0]), entry(901, true, &records[1])]);
        let second = encode(vec![
            entry(901, false, &records[1]),
            entry(900, false, &records[0]),
            entry(900, false, &records[2]),
        ]);
        let mut names = Names::default();
        assert_eq!(decode(&second, &names), Ok(vec![]));
        names.learn(&second).unwrap();
        names.learn(&first).unwrap();
        let found = decode(&second, &names).unwrap();
        assert_eq!(found, [records[0].clone(), records[2].clone(), records[1].clone()]);
        assert!(second.len() < first.len() - 20);
    }
}
