//! Which buckets have a value of a method.

use super::form::Index;
use super::stream::{self, Stream};
use crate::codec::{Corrupt, Reader, put_varint};

/// Positions of the buckets with a value, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Presence {
    /// All of them.
    All,
    /// These.
    Some(Vec<u32>),
}

impl Presence {
    /// Where flags are set.
    pub(super) fn of(flags: impl ExactSizeIterator<Item = bool>) -> Presence {
        let buckets = flags.len();
        let set: Vec<u32> = (0..).zip(flags).filter(|(_, set)| *set).map(|(at, _)| at).collect();
        if set.len() == buckets { Presence::All } else { Presence::Some(set) }
    }

    /// How many, out of `buckets`.
    pub(super) fn count(&self, buckets: usize) -> usize {
        match self {
            Presence::All => buckets,
            Presence::Some(positions) => positions.len(),
        }
    }
}

/// How it is stored if not all are there.
#[derive(Debug)]
pub(super) enum Stored {
    /// As lengths of runs: absent ones, present ones, and so on up to the last present one.
    Runs(Vec<i64>),
    /// The same as of another column.
    As(Index),
    /// Where another column is above 1: a deviation needs two points.
    AboveOne(Index),
}

const RUNS: u8 = 0;
const AS: u8 = 1;
const ABOVE_ONE: u8 = 2;

impl Stored {
    /// The runs of ascending positions.
    pub(super) fn runs(positions: &[u32]) -> Stored {
        let mut runs = Vec::new();
        let mut end = 0;
        for run in positions.chunk_by(|a, b| a + 1 == *b) {
            runs.push(i64::from(run[0] - end));
            runs.push(run.len() as i64);
            end = run[0] + run.len() as u32;
        }
        Stored::Runs(runs)
    }

    /// The column it follows from.
    pub(super) fn follows(&self) -> Option<Index> {
        match self {
            Stored::Runs(_) => None,
            Stored::As(column) | Stored::AboveOne(column) => Some(*column),
        }
    }

    /// Appends it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Stored::Runs(runs) => {
                out.push(RUNS);
                put_varint(out, runs.len() as u64);
                Stream::new(runs.clone()).encode(out);
            }
            Stored::As(column) => out.extend_from_slice(&[AS, *column]),
            Stored::AboveOne(column) => out.extend_from_slice(&[ABOVE_ONE, *column]),
        }
    }

    /// Reads what [`Stored::encode`] wrote.
    pub(super) fn decode(reader: &mut Reader<'_>, buckets: usize) -> Result<Stored, Corrupt> {
        Ok(match reader.byte()? {
            RUNS => {
                let count = usize::try_from(reader.varint()?).map_err(|_| Corrupt)?;
                if count > buckets + 1 {
                    return Err(Corrupt);
                }
                Stored::Runs(stream::decode(reader, count)?.spread())
            }
            AS => Stored::As(reader.byte()?),
            ABOVE_ONE => Stored::AboveOne(reader.byte()?),
            _ => return Err(Corrupt),
        })
    }
}

/// The positions that runs say.
pub(super) fn positions(runs: &[i64], buckets: usize) -> Result<Presence, Corrupt> {
    let mut positions = Vec::new();
    let mut at = 0;
    for (index, length) in runs.iter().enumerate() {
        let length = usize::try_from(*length).ok().filter(|length| *length <= buckets - at).ok_or(Corrupt)?;
        if index % 2 == 1 {
            positions.extend(at as u32..(at + length) as u32);
        }
        at += length;
    }
    Ok(if positions.len() == buckets { Presence::All } else { Presence::Some(positions) })
}
