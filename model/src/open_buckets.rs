//! The open buckets of an event series: one summary each, for every granularity.

use crate::codec::{Corrupt, Reader, put_varint};
use crate::column::Column;
use crate::method::Method;
use crate::run::Run;
use crate::summary::Summary;
use crate::time::{Granularity, Timestamp};

/// Buckets that can still change or are not stored yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenBuckets {
    /// Arrival of the newest event, or what stands for it.
    newest: Timestamp,
    /// By granularity, in the policy's order; buckets ascending.
    buckets: Vec<(Granularity, Vec<(Timestamp, Summary)>)>,
}

impl OpenBuckets {
    /// No bucket of these granularities.
    pub fn new(widths: impl IntoIterator<Item = Granularity>) -> Self {
        let buckets = widths.into_iter().map(|width| (width, Vec::new())).collect();
        OpenBuckets { newest: Timestamp::EPOCH, buckets }
    }

    /// Arrival of the newest event; the epoch if there was none.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// As if the newest event had not come before `newest`.
    pub fn advance(&mut self, newest: Timestamp) {
        self.newest = self.newest.max(newest);
    }

    /// Merges a summary into the bucket of each granularity in which it began.
    pub fn add(&mut self, event: &Summary) {
        self.newest = self.newest.max(event.until());
        for (width, buckets) in &mut self.buckets {
            let start = event.at().floor(*width);
            // Nearly always the last one.
            let position = buckets.iter().rposition(|(known, _)| *known <= start);
            match position {
                Some(found) if buckets[found].0 == start => buckets[found].1.merge(event),
                before => buckets.insert(before.map_or(0, |found| found + 1), (start, event.clone())),
            }
        }
    }

    fn since(&self, width: Granularity, from: Timestamp) -> &[(Timestamp, Summary)] {
        let found = self.buckets.iter().find(|(known, _)| *known == width);
        let Some((_, buckets)) = found else { return &[] };
        &buckets[buckets.partition_point(|(start, _)| *start < from.floor(width))..]
    }

    /// One method of the buckets from that of `from` on.
    pub fn column(&self, width: Granularity, method: Method, from: Timestamp) -> Column {
        let buckets = self.since(width, from).iter();
        buckets.filter_map(|(start, summary)| Some((*start, summary.evaluate(method.formula())?))).collect()
    }

    /// These methods of the buckets from that of `from` on.
    pub fn run(&self, width: Granularity, methods: impl Iterator<Item = Method>, from: Timestamp) -> Run {
        let mut run = Run::new(width, methods);
        for (start, summary) in self.since(width, from) {
            run.open_bucket(*start);
            run.columns_mut().for_each(|(method, values)| values.push(summary.evaluate(method.formula())));
        }
        run
    }

    /// Lets buckets go that ended more than `grace_ns` before the newest event, and none from that of
    /// `keep_from` on, whose rows are not stored yet.
    pub fn truncate(&mut self, grace_ns: u64, keep_from: Option<Timestamp>) {
        let closed = self.newest.saturating_sub(grace_ns);
        let keep = keep_from.map_or(closed, |keep| keep.min(closed));
        for (width, buckets) in &mut self.buckets {
            buckets.retain(|(start, _)| start.saturating_add(width.ns()) > keep);
        }
    }

    /// Appends the stored form; see `docs/format/window.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.newest.ns());
        put_varint(out, self.buckets.len() as u64);
        for (width, buckets) in &self.buckets {
            put_varint(out, width.ns());
            put_varint(out, buckets.len() as u64);
            for (start, summary) in buckets {
                put_varint(out, start.ns());
                summary.encode(out);
            }
        }
    }

    /// Reads what [`OpenBuckets::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let at = |ns| Timestamp::from_ns(ns).ok_or(Corrupt);
        let newest = at(reader.varint()?)?;
        let mut buckets = Vec::new();
        for _ in 0..reader.count(2)? {
            let width = Granularity::from_ns(reader.varint()?).ok_or(Corrupt)?;
            let count = reader.count(2)?;
            let open = (0..count).map(|_| Ok((at(reader.varint()?)?, Summary::decode(reader)?)));
            buckets.push((width, open.collect::<Result<_, Corrupt>>()?));
        }
        Ok(OpenBuckets { newest, buckets })
    }
}
