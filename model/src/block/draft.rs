//! One way to store one column, with an estimate of what it takes.

use super::form::{ABSENCES, CORRECTIONS, EXCEPTIONS, Form};
use super::ordered::ordered;
use super::points::{Leftovers, Points};
use super::presence::Stored;
use super::stream::Stream;
use crate::codec::put_varint;

/// Bits of the parts of a column that are no streams, about.
pub(super) const HEAD_BITS: f64 = 24.0;
/// Bits of an exception: its own and those of its position.
const EXCEPTION_BITS: f64 = 76.0;

/// A way to store a column.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) form: Form,
    /// As many as the form has.
    pub(super) streams: Vec<Stream>,
    corrections: Option<Stream>,
    exceptions: Vec<(usize, f64)>,
}

impl Draft {
    /// A form without a stream of its own.
    pub(super) fn of(form: Form, streams: Vec<Stream>, leftovers: Leftovers) -> Draft {
        let corrections = Some(leftovers.corrections).filter(|corrections| !corrections.is_empty());
        let corrections = corrections.map(Stream::new);
        Draft { form, streams, corrections, exceptions: leftovers.exceptions }
    }

    /// A form with one stream.
    pub(super) fn of_points(form: Form, points: Points) -> Draft {
        Draft::of(form, vec![Stream::new(points.numbers)], points.leftovers)
    }

    /// What it takes, about.
    pub(super) fn bits(&self) -> f64 {
        let streams = self.streams.iter().chain(&self.corrections).map(Stream::bits).sum::<f64>();
        HEAD_BITS + streams + EXCEPTION_BITS * self.exceptions.len() as f64
    }

    /// The shorter of two.
    pub(super) fn or(self, other: Draft) -> Draft {
        if other.bits() < self.bits() { other } else { self }
    }

    /// With another form and stream for the same numbers, if that is shorter.
    pub(super) fn or_as(mut self, form: Form, stream: Stream) -> Draft {
        if stream.bits() < self.streams[0].bits() {
            self.form = form;
            self.streams = vec![stream];
        }
        self
    }

    /// Whether values without decimals lie among the exceptions.
    pub(super) fn has_finite_exceptions(&self) -> bool {
        self.exceptions.iter().any(|(_, value)| value.is_finite())
    }

    /// Positions of the exceptions.
    pub(super) fn exceptions(&self) -> impl Iterator<Item = usize> {
        self.exceptions.iter().map(|(at, _)| *at)
    }

    /// Appends the column. `presence`: unless all buckets have a value.
    pub(super) fn encode(&self, out: &mut Vec<u8>, presence: Option<&Stored>) {
        let flag = |flag: u8, set: bool| if set { flag } else { 0 };
        out.push(
            self.form.code()
                | flag(ABSENCES, presence.is_some())
                | flag(CORRECTIONS, self.corrections.is_some())
                | flag(EXCEPTIONS, !self.exceptions.is_empty()),
        );
        if let Some(presence) = presence {
            presence.encode(out);
        }
        self.form.encode(out);
        if !self.exceptions.is_empty() {
            put_varint(out, self.exceptions.len() as u64);
            Stream::new(self.exceptions().map(|at| at as i64).collect()).encode(out);
            Stream::new(self.exceptions.iter().map(|(_, value)| ordered(*value)).collect()).encode(out);
        }
        self.streams.iter().chain(&self.corrections).for_each(|stream| stream.encode(out));
    }
}
