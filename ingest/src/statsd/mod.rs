//! statsd text: bytes in, samples out. One grammar for the dialects of the field.
//!
//! ```text
//! text   = line *( LF line )        CR before LF dropped; blanks at both ends trimmed; empty lines skipped
//! line   = metric / event / check   valid UTF-8
//! metric = name ":" group *( ":" group )
//! group  = values "|" type *( "|" field )
//! field  = "@" rate / "#" tags / "T" seconds / "c:" … / "e:" … / "card:" … / anything (ignored)
//! ```
//!
//! Three ways, of which each says what the one after it would: lines of a name and a number are read from their end
//! (`plain.rs`), lines whose name and tags came before are known by these (`memo.rs`), all others are taken apart.
//!
//! Nothing here allocates once its buffers have grown to the longest line seen, and the memo to its bound. Bad input is a
//! counted outcome, and a bad line never affects another.

mod event;
mod group;
mod line;
mod memo;
mod name;
mod number;
#[cfg(test)]
mod oracle;
mod plain;
mod scan;
mod tags;
#[cfg(test)]
mod tests;

use arrayvec::ArrayVec;
use memchr::memchr;
use orzo_model::{DropReason, Profile, Sample};

use crate::counters::ListenerCounters;
use crate::limits::LINES_PER_STEP;
use line::MetricLines;
use memo::Key;

pub use event::{AlertType, Event, Priority, ServiceCheck};

/// Where the samples of accepted lines go.
pub trait Sink {
    /// Takes a sample and the name that rides along; `name_len` is the length of that name.
    fn push(&mut self, sample: &Sample, name: &[u8]);
}

/// How series get their ids and resources.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The database's own: see [`orzo_model::SeriesIds`].
    pub salt: u64,
    /// The tag whose value is the text of the resource; `None`: all is on the default resource.
    pub resource_tag: Option<Box<[u8]>>,
    /// Tags that together are the resource of a line that has any of them, and its attributes. They hold neither `,`
    /// nor `=`.
    pub attribute_tags: Box<[Box<[u8]>]>,
}

impl Naming {
    /// With the default resource tag, `host`, and no attributes.
    pub fn new(salt: u64) -> Self {
        Naming { salt, resource_tag: Some(Box::from(*b"host")), attribute_tags: Box::default() }
    }
}

/// Parses text, line by line.
pub struct Parser {
    metrics: MetricLines,
}

impl Parser {
    /// A parser; one per thread, kept, since its buffers are what keeps it from allocating.
    pub fn new(naming: Naming) -> Self {
        Parser { metrics: MetricLines::new(naming) }
    }

    /// Parses every line of `text`, a datagram or the complete lines of a stream: samples into `sink`,
    /// outcomes into `counters`.
    pub fn text(&mut self, profile: Profile, text: &[u8], counters: &ListenerCounters, sink: &mut impl Sink) {
        // A line break is a boundary of characters: valid text has valid lines.
        let is_valid = std::str::from_utf8(text).is_ok();
        let mut waiting = Waiting::new();
        for line in lines(text) {
            counters.lines.add(1);
            if !is_valid && std::str::from_utf8(line).is_err() {
                counters.drop_lines(DropReason::BadUtf8, 1);
            } else if !(waiting.is_empty() && self.plain(profile, line, counters, sink)) {
                waiting.push((line, self.metrics.key(profile, line)));
                if waiting.is_full() {
                    self.lines(profile, &mut waiting, counters, sink);
                }
            }
        }
        self.lines(profile, &mut waiting, counters, sink);
    }

    /// Reads a line if it is plain.
    #[inline(always)]
    fn plain(
        &mut self,
        profile: Profile,
        line: &[u8],
        counters: &ListenerCounters,
        sink: &mut impl Sink,
    ) -> bool {
        let plain = if profile == Profile::Native { plain::read(self.metrics.ids(), line) } else { None };
        if let Some((sample, name)) = &plain {
            sink.push(sample, name);
            counters.accepted[sample.kind.index()].add(1);
            counters.samples.add(1);
        }
        plain.is_some()
    }

    /// Reads the lines that wait, in their order. Out of line, so that the loop over plain ones stays short.
    #[inline(never)]
    fn lines(
        &mut self,
        profile: Profile,
        waiting: &mut Waiting<'_>,
        counters: &ListenerCounters,
        sink: &mut impl Sink,
    ) {
        self.metrics.bring_near(waiting.iter().filter_map(|(_, key)| key.as_ref()));
        for (line, key) in waiting.drain(..) {
            if let Err(reason) = self.line(profile, line, key, counters, sink) {
                counters.drop_lines(reason, 1);
            }
        }
    }

    #[inline]
    fn line(
        &mut self,
        profile: Profile,
        line: &[u8],
        key: Option<Key<'_>>,
        counters: &ListenerCounters,
        sink: &mut impl Sink,
    ) -> Result<(), DropReason> {
        if key.is_none() && self.plain(profile, line, counters, sink) {
            return Ok(());
        }
        if line.starts_with(Event::PREFIX) {
            Event::read(line)?;
            counters.events.add(1);
        } else if line.starts_with(ServiceCheck::PREFIX) {
            ServiceCheck::read(line)?;
            counters.checks.add(1);
        } else {
            let (kind, samples) = self.metrics.read(profile, line, key.as_ref(), sink)?;
            counters.accepted[kind.index()].add(1);
            counters.samples.add(samples as u64);
        }
        Ok(())
    }
}

/// Lines that are not plain, and those after them, until what is known of all of them was brought near.
type Waiting<'a> = ArrayVec<(&'a [u8], Option<Key<'a>>), LINES_PER_STEP>;

/// The lines of a text that are not empty, trimmed.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match memchr(b'\n', text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(trim_line(line))
    })
    .filter(|line| !line.is_empty())
}

/// Without a CR at its end, then without blanks at both.
#[inline]
fn trim_line(line: &[u8]) -> &[u8] {
    match line {
        // What is cut off is no more than a space.
        [first, .., last] if *first > b' ' && *last > b' ' => line,
        _ => trim(line.strip_suffix(b"\r").unwrap_or(line)),
    }
}

/// Without blanks (spaces and tabs) at both ends.
#[inline]
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
