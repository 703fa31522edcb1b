//! Which buckets have a value of a method.

use super::form::Index;
use super::stream;
use crate::codec::{Corrupt, Reader, put_varint};

/// Positions of the buckets with a value, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Presence {
    /// All of them.
    All,
    /// These.
    Some(Vec<u32>),
}

/// How it is stored if not all are there.
pub(super) enum Stored {
    /// As runs of absent and present buckets.
    Runs,
    /// The same as of another column.
    As(Index),
    /// Where another column is above 1: a deviation needs two points.
    AboveOne(Index),
}

const RUNS: u8 = 0;
const AS: u8 = 1;
const ABOVE_ONE: u8 = 2;

impl Presence {
    /// How many, out of `buckets`.
    pub(super) fn count(&self, buckets: usize) -> usize {
        match self {
            Presence::All => buckets,
            Presence::Some(positions) => positions.len(),
        }
    }

    /// Where flags are set.
    pub(super) fn of(flags: impl ExactSizeIterator<Item = bool>) -> Presence {
        let buckets = flags.len();
        let set: Vec<u32> = (0..).zip(flags).filter(|(_, set)| *set).map(|(at, _)| at).collect();
        if set.len() == buckets { Presence::All } else { Presence::Some(set) }
    }

    /// Appends runs: absent ones, present ones, and so on up to the last present one.
    pub(super) fn encode_runs(&self, out: &mut Vec<u8>, buckets: usize) {
        let runs = match self {
            Presence::All => vec![0, buckets as i64],
            Presence::Some(positions) => runs_of(positions),
        };
        put_varint(out, runs.len() as u64);
        stream::encode(out, &runs);
    }

    /// Reads what [`Presence::encode_runs`] wrote.
    pub(super) fn decode_runs(reader: &mut Reader<'_>, buckets: usize) -> Result<Presence, Corrupt> {
        let count = usize::try_from(reader.varint()?).map_err(|_| Corrupt)?;
        if count > buckets + 1 {
            return Err(Corrupt);
        }
        let mut positions = Vec::new();
        let mut at = 0;
        for (index, length) in stream::decode(reader, count)?.spread().into_iter().enumerate() {
            let length =
                usize::try_from(length).ok().filter(|length| *length <= buckets - at).ok_or(Corrupt)?;
            if index % 2 == 1 {
                positions.extend(at as u32..(at + length) as u32);
            }
            at += length;
        }
        Ok(if positions.len() == buckets { Presence::All } else { Presence::Some(positions) })
    }
}

fn runs_of(positions: &[u32]) -> Vec<i64> {
    let mut runs = Vec::new();
    let mut end = 0;
    for run in positions.chunk_by(|a, b| a + 1 == *b) {
        runs.push(i64::from(run[0] - end));
        runs.push(run.len() as i64);
        end = run[0] + run.len() as u32;
    }
    runs
}

impl Stored {
    /// Appends what it is, and the runs if it is them.
    pub(super) fn encode(&self, out: &mut Vec<u8>, presence: &Presence, buckets: usize) {
        match self {
            Stored::Runs => {
                out.push(RUNS);
                presence.encode_runs(out, buckets);
            }
            Stored::As(column) => out.extend_from_slice(&[AS, *column]),
            Stored::AboveOne(column) => out.extend_from_slice(&[ABOVE_ONE, *column]),
        }
    }

    /// Reads which it is.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Stored, Corrupt> {
        Ok(match reader.byte()? {
            RUNS => Stored::Runs,
            AS => Stored::As(reader.byte()?),
            ABOVE_ONE => Stored::AboveOne(reader.byte()?),
            _ => return Err(Corrupt),
        })
    }
}
