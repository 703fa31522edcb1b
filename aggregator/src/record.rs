//! What one commit of one partition says: the content of a backlog blob.
//!
//! Layout in `docs/format/backlog.md`. Each record is one batch of its series, live and in replay, since
//! what a window accepts depends on where batches end.

use orzo_model::codec::{Corrupt, Reader, put_varint, seal, unseal};
use orzo_model::packed::{put_measures, read_measures};
use orzo_model::series::SeriesKind;
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{Measure, MetricId, Timestamp};

const VERSION: u8 = 2;
const MEASURES: u8 = 0;
const EVENTS: u8 = 1;

/// What came for one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Points of a sampled series, in order of arrival.
    Measures(Vec<Measure>),
    /// Events, summed up; each summary lies within one second.
    Events(Vec<Summary>),
}

impl Payload {
    /// What measures that were posted are. Events come without weights.
    pub fn of(kind: SeriesKind, measures: Vec<Measure>, wants: Wants) -> Self {
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

/// Writes a blob.
pub fn encode<'a>(records: impl ExactSizeIterator<Item = &'a Record>) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, records.len() as u64);
    let mut base = Timestamp::EPOCH;
    for record in records {
        out.extend_from_slice(&record.id.to_bytes());
        match &record.payload {
            Payload::Measures(measures) => {
                out.push(MEASURES);
                put_varint(&mut out, u64::from(record.back_window));
                put_measures(&mut out, base, measures);
            }
            Payload::Events(events) => {
                out.push(EVENTS);
                put_varint(&mut out, events.len() as u64);
                events.iter().for_each(|event| event.encode(base, &mut out));
            }
        }
        base = record.payload.at().unwrap_or(base);
    }
    seal(&mut out);
    out
}

/// Reads a blob.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, Corrupt> {
    let mut reader = Reader::new(unseal(bytes)?);
    if reader.byte()? != VERSION {
        return Err(Corrupt);
    }
    let count = reader.count(17)?;
    let mut base = Timestamp::EPOCH;
    let mut next = |_| {
        let record = decode_record(&mut reader, base)?;
        base = record.payload.at().unwrap_or(base);
        Ok(record)
    };
    (0..count).map(&mut next).collect()
}

fn decode_record(reader: &mut Reader<'_>, base: Timestamp) -> Result<Record, Corrupt> {
    let id = MetricId::from_bytes(reader.array()?);
    let mut back_window = 0;
    let payload = match reader.byte()? {
        MEASURES => {
            back_window = u32::try_from(reader.varint()?).map_err(|_| Corrupt)?;
            Payload::Measures(read_measures(reader, base)?)
        }
        EVENTS => {
            let count = reader.count(1)?;
            Payload::Events((0..count).map(|_| Summary::decode(base, reader)).collect::<Result<_, _>>()?)
        }
        _ => return Err(Corrupt),
    };
    Ok(Record { id, back_window, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = Timestamp::from_ns(5).unwrap();
        let event = Summary::of(at, 2.0, 1.0, Weighing::Event, Wants::ALL);
        let records = vec![
            Record {
                id: MetricId::from_bits(1),
                back_window: 300,
                payload: Payload::Measures(vec![Measure { at, value: 1.5 }]),
            },
            Record { id: MetricId::from_bits(2), back_window: 0, payload: Payload::Events(vec![event]) },
        ];
        let bytes = encode(records.iter());
        assert_eq!(decode(&bytes).unwrap(), records);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Err(Corrupt));
        }
    }
}
