//! Events of all series since the last commit, summed up: side by side, so that what is hot lies together.
//!
//! They are summed up second by second, so that a summary never straddles two buckets of a policy with whole
//! seconds.

use orzo_base::near::bring_near;
use orzo_model::sample::{Kind, Sample};
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{SECOND, Timestamp};

/// The summary of one series and second: two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct OpenEvents {
    pub(crate) summary: Summary,
    /// Index of the series' slot.
    pub(crate) slot: u32,
    pub(crate) samples: u32,
}

const _: () = assert!(size_of::<OpenEvents>() == 128);

/// Which summary a series adds to; it holds until the next [`OpenEventList::take`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenRef(u32);

impl OpenRef {
    pub(crate) const NONE: OpenRef = OpenRef(u32::MAX);
}

/// In the order in which they were opened.
#[derive(Default)]
pub(crate) struct OpenEventList {
    list: Vec<OpenEvents>,
    /// The list before, emptied: its memory serves the next.
    spare: Vec<OpenEvents>,
}

impl OpenEventList {
    /// Adds a sample to the summary of its series, or opens one.
    #[inline]
    pub(crate) fn add(
        &mut self,
        open: &mut OpenRef,
        slot: u32,
        sample: &Sample,
        arrived: Timestamp,
        wants: impl FnOnce() -> Wants,
    ) {
        let weighing = if sample.kind == Kind::Counter { Weighing::Value } else { Weighing::Event };
        let (value, weight) = (sample.number(), sample.weight());
        match self.list.get_mut(open.0 as usize) {
            Some(known) if same_second(known.summary.at(), arrived) => {
                known.summary.add(arrived, value, weight, weighing);
                known.samples += 1;
            }
            _ => {
                *open = OpenRef(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
                let summary = Summary::of(arrived, value, weight, weighing, wants());
                self.list.push(OpenEvents { slot, samples: 1, summary });
            }
        }
    }

    /// Asks for a summary.
    #[inline]
    pub(crate) fn bring_near(&self, open: OpenRef) {
        if let Some(known) = self.list.get(open.0 as usize) {
            bring_near(known);
        }
    }

    /// Takes them all, to be given back empty. Every [`OpenRef`] must be forgotten before the next sample.
    pub(crate) fn take(&mut self) -> Vec<OpenEvents> {
        std::mem::replace(&mut self.list, std::mem::take(&mut self.spare))
    }

    /// Gives the memory of a list back. As many may come again, but a burst is not remembered for ever.
    pub(crate) fn reuse(&mut self, mut emptied: Vec<OpenEvents>, taken: usize) {
        emptied.clear();
        emptied.shrink_to(2 * taken);
        self.spare = emptied;
    }

    /// Puts one back that cannot go yet; its series opens another.
    pub(crate) fn keep(&mut self, events: OpenEvents) {
        self.list.push(events);
    }
}

fn same_second(a: Timestamp, b: Timestamp) -> bool {
    a.ns() / SECOND == b.ns() / SECOND
}
