//! The head of a block: its number and which slots it has buckets for.
//!
//! A slot is the start of a bucket divided by the width.

use super::{BUCKETS_MAX, stream};
use crate::codec::{Corrupt, Reader, put_varint};
use crate::time::{Granularity, Timestamp};

/// Which slots there are, and how many are missing between the first and the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slots {
    pub(super) count: usize,
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
            stream::encode(out, &starts.windows(2).map(gap).collect::<Vec<_>>());
        }
    }

    /// Reads how many there are and where they begin and end.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Slots, Corrupt> {
        let count = usize::try_from(reader.varint()?).map_err(|_| Corrupt)?;
        if count > BUCKETS_MAX {
            return Err(Corrupt);
        }
        if count == 0 {
            return Ok(Slots { count, first: 0, missing: 0 });
        }
        let slots = Slots { count, first: reader.varint()?, missing: reader.varint()? };
        slots.last()?;
        Ok(slots)
    }

    fn last(&self) -> Result<u64, Corrupt> {
        let behind = self.missing.checked_add(self.count as u64 - 1).ok_or(Corrupt)?;
        self.first.checked_add(behind).ok_or(Corrupt)
    }

    /// Starts of the first and the last bucket; `None` if there is none.
    pub(super) fn span(&self, width: Granularity) -> Result<Option<(Timestamp, Timestamp)>, Corrupt> {
        if self.count == 0 {
            return Ok(None);
        }
        let start = |slot: u64| slot.checked_mul(width.ns()).and_then(Timestamp::from_ns).ok_or(Corrupt);
        Ok(Some((start(self.first)?, start(self.last()?)?)))
    }

    /// Reads where the buckets start.
    pub(super) fn starts(
        &self,
        reader: &mut Reader<'_>,
        width: Granularity,
    ) -> Result<Vec<Timestamp>, Corrupt> {
        let Some((first, _)) = self.span(width)? else { return Ok(Vec::new()) };
        // The last start is in range, so none before it can leave it.
        let step = |slots: u64| Timestamp::saturating_from_ns(first.ns() + slots * width.ns());
        if self.missing == 0 {
            return Ok((0..self.count as u64).map(step).collect());
        }
        let mut starts = Vec::with_capacity(self.count);
        starts.push(first);
        let mut missing = 0;
        for (before, gap) in (0..).zip(stream::decode(reader, self.count - 1)?.spread()) {
            missing += u64::try_from(gap).ok().filter(|gap| *gap <= self.missing - missing).ok_or(Corrupt)?;
            starts.push(step(before + 1 + missing));
        }
        if missing == self.missing { Ok(starts) } else { Err(Corrupt) }
    }
}
