//! Going through a family, and saying what was seen on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use orzo_model::Partitions;

use super::{Summary, place};
use crate::error::Result;
use crate::kv::{Family, Kv, prefix_end, scan_past_damage};

/// Values between two reports of progress.
const PROGRESS_VALUES: u64 = 1 << 14;

/// What was read of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many values.
    pub values: u64,
    /// Of keys and values together.
    pub bytes: u64,
    /// How many things were found in it.
    pub findings: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it was found.
    pub family: Family,
    /// Which value, in words.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
    /// What that takes away.
    pub costs: &'static str,
}

/// What a check tells while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// So much of a family has been read.
    Walked(Family, Tally),
    /// Something was found.
    Found(Finding),
}

/// A store that is being checked.
pub(crate) struct Walk<'a> {
    kv: &'a dyn Kv,
    tell: &'a mut dyn FnMut(Event),
    tallies: BTreeMap<Family, Tally>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(kv: &'a dyn Kv, tell: &'a mut dyn FnMut(Event)) -> Self {
        Walk { kv, tell, tallies: Family::ALL.map(|family| (family, Tally::default())).into() }
    }

    /// The store.
    pub(crate) fn kv(&self) -> &'a dyn Kv {
        self.kv
    }

    /// Tells of something.
    pub(crate) fn found(
        &mut self,
        family: Family,
        place: impl Into<String>,
        what: impl Into<String>,
        costs: &'static str,
    ) {
        self.tally(family).findings += 1;
        (self.tell)(Event::Found(Finding { family, place: place.into(), what: what.into(), costs }));
    }

    fn tally(&mut self, family: Family) -> &mut Tally {
        self.tallies.entry(family).or_default()
    }

    /// Visits all values whose keys begin with `prefix`, and counts them.
    pub(crate) fn each(
        &mut self,
        family: Family,
        prefix: &[u8],
        mut visit: impl FnMut(&mut Self, &[u8], &[u8]),
    ) -> Result<()> {
        let mut unreadable = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        let (kv, to) = (self.kv, prefix_end(prefix));
        scan_past_damage(
            kv,
            family,
            prefix,
            &to,
            &mut |key, value| {
                if before.as_deref().is_some_and(|before| key <= before) {
                    self.found(family, place::of_key(family, key), "is out of order", "it may not be found");
                }
                before = Some(key.to_vec());
                self.count(family, key.len() + value.len());
                visit(self, key, value);
                ControlFlow::Continue(())
            },
            &mut |key, error| {
                unreadable.push((place::of_key(family, key), format!("behind it, {}", error.reason())))
            },
        )?;
        for (place, what) in unreadable {
            self.found(family, place, what, "all values in that block are lost");
        }
        Ok(())
    }

    fn count(&mut self, family: Family, bytes: usize) {
        let tally = self.tally(family);
        tally.values += 1;
        tally.bytes += bytes as u64;
        if tally.values.is_multiple_of(PROGRESS_VALUES) {
            let event = Event::Walked(family, *tally);
            (self.tell)(event);
        }
    }

    /// Keys of series families in partitions that the store does not have.
    pub(super) fn strays(&mut self, partitions: Partitions) -> Result<()> {
        let first = (partitions.count() as u32).to_be_bytes();
        for family in [Family::Backlog, Family::Window, Family::Rows] {
            let (kv, mut stray) = (self.kv, Vec::new());
            kv.scan(family, &first[2..], &[], crate::kv::Direction::Forward, &mut |key, _| {
                stray.push(place::of_key(family, key));
                ControlFlow::Continue(())
            })?;
            for place in stray {
                self.found(
                    family,
                    place,
                    "is of a partition that the store does not have",
                    "nobody reads it",
                );
            }
        }
        Ok(())
    }

    pub(super) fn summary(self, metrics: usize) -> Summary {
        let findings = self.tallies.values().map(|tally| tally.findings).sum();
        Summary { tallies: self.tallies, metrics: metrics as u64, findings }
    }
}
