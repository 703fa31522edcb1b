//! `use_history`: groups of revisions of resources rather than of resources.
//!
//! A resource whose attributes changed counts for each group while it belonged to it. The caller
//! evaluates the expression once for each revision, over that resource alone and in the revision's
//! [`Span`]; [`Total`] weighs the rows by the share of the bucket covered and adds up the group.
//!
//! Unlike the reference, resources of one group that start at the same instant all count, and rows are
//! added wherever they come from (contract, `queries.md` 8.1).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::eval::{Answer, Answers};
use super::period::Period;
use crate::column::Column;
use crate::time::{Granularity, Timestamp};

/// A stretch of time, `[start, stop)`; `None`: without an end on that side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Inclusive.
    pub start: Option<Timestamp>,
    /// Exclusive.
    pub stop: Option<Timestamp>,
}

/// When a revision of a resource was current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Since when.
    pub start: Timestamp,
    /// Until when; `None`: still is.
    pub end: Option<Timestamp>,
}

/// The part of a query each revision of *one* resource covers; `None`: nothing. Revisions ascend.
///
/// The first one covers what was before it, too: measures may be older than their resource.
pub fn spans(revisions: &[Revision], query: Span) -> Vec<Option<Span>> {
    let span = |(index, revision): (usize, &Revision)| {
        let since = if index == 0 { None } else { Some(revision.start) };
        let span = Span {
            start: since.max(query.start),
            stop: [revision.end, query.stop].into_iter().flatten().min(),
        };
        let empty = matches!(span, Span { start: Some(start), stop: Some(stop) } if stop <= start);
        (!empty).then_some(span)
    };
    revisions.iter().enumerate().map(span).collect()
}

/// The rows of one group, added up.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// Rows of different granularities are never added, not even if both were resampled to the same.
    sums: BTreeMap<Reverse<Granularity>, (Period, BTreeMap<Timestamp, f64>)>,
}

impl Total {
    /// Adds what one revision contributes in one granularity. Only aggregated answers do.
    pub fn add(&mut self, granularity: Granularity, answer: &Answer, span: Span) {
        let Answers::Aggregated(column) = &answer.series else { return };
        let (_, sums) = self.sums.entry(Reverse(granularity)).or_insert((answer.period, BTreeMap::new()));
        for (label, value) in column.iter() {
            *sums.entry(label).or_default() += value * share(label, answer.period, span);
        }
    }

    /// Whether no row was added: such a group is left out.
    pub fn is_empty(&self) -> bool {
        self.sums.values().all(|(_, sums)| sums.is_empty())
    }

    /// The rows, coarsest granularity first.
    pub fn rows(&self) -> impl Iterator<Item = (Period, Column)> + '_ {
        let column = |sums: &BTreeMap<Timestamp, f64>| sums.iter().map(|(at, sum)| (*at, *sum)).collect();
        self.sums.values().map(move |(period, sums)| (*period, column(sums)))
    }
}

/// How much of the bucket at `label` a span covers, 0 to 1.
fn share(label: Timestamp, period: Period, span: Span) -> f64 {
    let end = period.end_ns(label);
    let first = span.start.map_or(label, |start| start.max(label)).ns();
    let last = span.stop.map_or(end, |stop| stop.ns().min(end));
    last.saturating_sub(first) as f64 / (end - label.ns()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ns(seconds * SECOND).unwrap()
    }

    fn span(start: u64, stop: u64) -> Span {
        Span { start: Some(at(start)), stop: Some(at(stop)) }
    }

    #[test]
    fn revisions_outside_of_the_query_have_no_span() {
        let revision = |start, end: Option<u64>| Revision { start: at(start), end: end.map(at) };
        let revisions = [revision(10, Some(20)), revision(20, Some(30)), revision(30, None)];
        let open = Span { start: None, stop: None };
        let unbounded = [
            Some(Span { start: None, stop: Some(at(20)) }),
            Some(span(20, 30)),
            Some(Span { start: Some(at(30)), stop: None }),
        ];
        assert_eq!(spans(&revisions, open), unbounded);
        assert_eq!(spans(&revisions, span(20, 25)), [None, Some(span(20, 25)), None]);
        assert_eq!(
            spans(&revisions, span(5, 40)),
            [Some(span(5, 20)), Some(span(20, 30)), Some(span(30, 40))]
        );
    }

    #[test]
    fn rows_of_a_bucket_are_added_by_share() {
        let minute = Granularity::from_ns(60 * SECOND).unwrap();
        let column: Column = [(at(0), 10.0), (at(60), 20.0)].into_iter().collect();
        let period = Period::Span(minute);
        let answer = Answer { period, series: Answers::Aggregated(column) };
        let mut total = Total::default();
        assert!(total.is_empty());
        total.add(minute, &answer, span(0, 75));
        total.add(minute, &answer, span(30, 120));
        let expected: Column = [(at(0), 10.0 + 5.0), (at(60), 5.0 + 20.0)].into_iter().collect();
        assert_eq!(total.rows().collect::<Vec<_>>(), [(period, expected)]);
    }
}
