//! Which slots a block has buckets for.
//!
//! A slot is the start of a bucket divided by the width.

use super::BUCKETS_MAX;
use super::stream::{self, Stream};
use crate::codec::{Corrupt, Reader, put_varint};
use crate::time::{Granularity, Timestamp};

/// How many slots, where they begin, and how many are missing between the first and the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slots {
    count: usize,
    first: u64,
    missing: u64,
}

impl Slots {
    /// Appends the slots of ascending starts.
    pub(super) fn encode(out: &mut Vec<u8>, starts: &[Timestamp], width: Granularity) {
        put_varint(out, starts.len() as u64);
        let slot = |start: &Timestamp| start.ns() / width.ns();
        let (Some(first), Some(last)) = (starts.first().map(slot), starts.last().map(slot)) else { return };
        let missing = last - first + 1 - starts.len() as u64;
        put_varint(out, first);
        put_varint(out, missing);
        if missing > 0 {
            let gap = |pair: &[Timestamp]| (slot(&pair[1]) - slot(&pair[0]) - 1) as i64;
            Stream::new(starts.windows(2).map(gap).collect()).encode(out);
        }
    }

    /// Reads how many there are and where they begin and end.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Slots, Corrupt> {
        let count = usize::try_from(reader.varint()?).map_err(|_| Corrupt)?;
        match count {
            0 => Ok(Slots { count, first: 0, missing: 0 }),
            1..=BUCKETS_MAX => Ok(Slots { count, first: reader.varint()?, missing: reader.varint()? }),
            _ => Err(Corrupt),
        }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Starts of the first and the last bucket; `None` if there is none.
    pub(super) fn ends(&self, width: Granularity) -> Result<Option<(Timestamp, Timestamp)>, Corrupt> {
        let Some(behind) = self.count.checked_sub(1) else { return Ok(None) };
        let last = self.first.checked_add(self.missing).and_then(|slot| slot.checked_add(behind as u64));
        let start = |slot: u64| slot.checked_mul(width.ns()).and_then(Timestamp::from_ns).ok_or(Corrupt);
        Ok(Some((start(self.first)?, start(last.ok_or(Corrupt)?)?)))
    }

    /// Reads where the buckets start.
    pub(super) fn starts(
        &self,
        reader: &mut Reader<'_>,
        width: Granularity,
    ) -> Result<Vec<Timestamp>, Corrupt> {
        let Some((first, _)) = self.ends(width)? else { return Ok(Vec::new()) };
        // The last start is in range, so none before it can leave it.
        let start = |behind: u64| Timestamp::saturating_from_ns(first.ns() + behind * width.ns());
        if self.missing == 0 {
            return Ok((0..self.count as u64).map(start).collect());
        }
        let mut starts = Vec::with_capacity(self.count);
        starts.push(first);
        let mut missing = 0;
        for (before, gap) in (1..).zip(stream::decode(reader, self.count - 1)?.spread()) {
            missing += u64::try_from(gap).ok().filter(|gap| *gap <= self.missing - missing).ok_or(Corrupt)?;
            starts.push(start(before + missing));
        }
        if missing == self.missing { Ok(starts) } else { Err(Corrupt) }
    }
}
