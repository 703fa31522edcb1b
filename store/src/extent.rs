//! Extents: where the time of a series is cut. A stored value lies within one, so that readers know where to begin.
//!
//! Runs, and the blocks they are sealed in, lie within a short extent. Once a long extent is closed as well, all that
//! lies in it becomes one block. Short extents lie within long ones.

use std::ops::Range;

use orzo_model::{Granularity, MethodSet, MetricId, Timestamp};

use crate::keys::RowKind;

/// Values of a short extent that span so many slots each are left until its long one is closed: they are read nearly as
/// quickly as one block, and each bucket is written once less.
const LONG_ENOUGH: u64 = 32;

/// What a checkpoint closed of one granularity of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Whose.
    pub id: MetricId,
    /// Width of the buckets.
    pub width: Granularity,
    /// The methods that its policy keeps.
    pub methods: MethodSet,
    /// Up to here nothing changed any more as of the checkpoint before.
    pub before: Timestamp,
    /// The oldest bucket that this checkpoint wrote.
    pub from: Timestamp,
    /// Up to here nothing changes any more.
    pub until: Timestamp,
}

/// How many slots extents have.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    short: u64,
    long: u64,
}

impl Default for Extents {
    fn default() -> Self {
        Extents::new(RowKind::Run.slots_max(), RowKind::Long.slots_max())
    }
}

impl Extents {
    /// Of so many slots.
    ///
    /// # Panics
    /// If they are more than a reader looks back, or short extents do not divide long ones.
    pub fn new(short: u64, long: u64) -> Self {
        assert!(short <= RowKind::Run.slots_max() && long <= RowKind::Long.slots_max());
        assert!(long.is_multiple_of(short), "short extents lie within long ones");
        Extents { short, long }
    }

    /// Number of the extent in which an instant lies.
    pub(crate) fn number(self, kind: RowKind, id: MetricId, width: Granularity, at: Timestamp) -> u64 {
        (at.ns() / width.ns() + self.shift(kind, id)) / self.slots(kind)
    }

    /// Its first bucket, and the first one after it.
    pub(crate) fn range(
        self,
        kind: RowKind,
        id: MetricId,
        width: Granularity,
        number: u64,
    ) -> Range<Timestamp> {
        let at = |number: u64| {
            let slot = (number * self.slots(kind)).saturating_sub(self.shift(kind, id));
            Timestamp::saturating_from_ns(slot.saturating_mul(width.ns()))
        };
        at(number)..at(number + 1)
    }

    /// What is to be sealed: extents that closed since the checkpoint before, and closed ones that this one wrote to.
    /// Of a long one that is closed its short ones are not told.
    pub(crate) fn sealed_by(self, closed: &Closed) -> impl Iterator<Item = (RowKind, Range<Timestamp>)> {
        let Closed { id, width, before, from, until, .. } = *closed;
        let open = [RowKind::Long, RowKind::Run].map(|kind| self.number(kind, id, width, until));
        let of_kind = move |kind: RowKind, end: u64| {
            let number = move |at| self.number(kind, id, width, at);
            let written = number(from)..end;
            let last_open = Some(number(before)).filter(|last| *last < end && !written.contains(last));
            last_open
                .into_iter()
                .chain(written)
                .map(move |number| (kind, self.range(kind, id, width, number)))
        };
        let long_end = self.range(RowKind::Long, id, width, open[0]).start;
        let short = of_kind(RowKind::Run, open[1]).filter(move |(_, range)| range.start >= long_end);
        of_kind(RowKind::Long, open[0]).chain(short)
    }

    /// How many values an extent must hold to be sealed.
    pub(crate) fn worth(self, kind: RowKind) -> usize {
        if kind == RowKind::Long { 1 } else { (self.short / LONG_ENOUGH).max(2) as usize }
    }

    fn slots(self, kind: RowKind) -> u64 {
        if kind == RowKind::Long { self.long } else { self.short }
    }

    /// Where extents begin differs from series to series, so that not all seal in the same second.
    fn shift(self, kind: RowKind, id: MetricId) -> u64 {
        (id.bits() >> 16) as u64 % self.slots(kind)
    }
}

#[cfg(test)]
mod tests {
    use orzo_model::{Method, SECOND};

    use super::*;

    fn slots(range: &Range<Timestamp>) -> Range<u64> {
        range.start.ns() / SECOND..range.end.ns() / SECOND
    }

    fn sealed(extents: Extents, before: u64, from: u64, until: u64) -> Vec<(RowKind, Range<u64>)> {
        let at = |slot: u64| Timestamp::from_ns(slot * SECOND).unwrap();
        let closed = Closed {
            id: MetricId::from_bits(5 << 16),
            width: Granularity::from_ns(SECOND).unwrap(),
            methods: [Method::MEAN].into_iter().collect(),
            before: at(before),
            from: at(from),
            until: at(until),
        };
        extents.sealed_by(&closed).map(|(kind, range)| (kind, slots(&range))).collect()
    }

    #[test]
    fn what_closes_is_sealed_and_of_a_long_extent_nothing_but_it() {
        let extents = Extents::new(8, 32);
        assert_eq!(sealed(extents, 12, 13, 18), []);
        assert_eq!(sealed(extents, 12, 13, 19), [(RowKind::Run, 11..19)]);
        assert_eq!(sealed(extents, 12, 20, 26), [(RowKind::Run, 11..19)]);
        assert_eq!(sealed(extents, 12, 3, 19), [(RowKind::Run, 3..11), (RowKind::Run, 11..19)]);
        assert_eq!(sealed(extents, 12, 13, 27), [(RowKind::Long, 0..27)]);
        assert_eq!(
            sealed(extents, 12, 30, 47),
            [(RowKind::Long, 0..27), (RowKind::Run, 27..35), (RowKind::Run, 35..43)]
        );
        assert_eq!(sealed(extents, 70, 90, 91), [(RowKind::Long, 59..91)]);
    }

    #[test]
    fn short_extents_lie_within_long_ones() {
        let (extents, width) = (Extents::default(), Granularity::from_ns(SECOND).unwrap());
        for id in [0, 5 << 16, 0xffff << 16, 4095 << 16 | 1, u128::MAX] {
            let id = MetricId::from_bits(id);
            for number in 1..40 {
                let short = extents.range(RowKind::Run, id, width, number);
                let around = extents.number(RowKind::Long, id, width, short.start);
                let long = extents.range(RowKind::Long, id, width, around);
                assert!(long.start <= short.start && short.end <= long.end, "{short:?} {long:?}");
            }
        }
    }
}
