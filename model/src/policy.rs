//! Archive policies: which buckets a metric has, which methods, and for how long.

use crate::method::MethodSet;
use crate::time::{Granularity, Timestamp};

/// One granularity of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Width of the buckets.
    pub granularity: Granularity,
    /// How many buckets are kept, counted back from the newest; `None`: all, for ever. At least 1.
    pub points: Option<u64>,
}

impl Item {
    /// `granularity × points` in nanoseconds; `None`: for ever.
    pub fn timespan_ns(&self) -> Option<u64> {
        self.points.map(|points| self.granularity.ns().saturating_mul(points))
    }
}

/// What a metric keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivePolicy {
    /// Unique.
    pub name: String,
    /// How many of the coarsest buckets before the current one still accept measures.
    pub back_window: u32,
    /// In the order in which the client gave them; at least one, granularities differ.
    pub items: Vec<Item>,
    /// Never empty.
    pub methods: MethodSet,
}

impl ArchivePolicy {
    /// The coarsest granularity, the unit of the window (`block` in the contract).
    pub fn block(&self) -> Granularity {
        self.items.iter().map(|item| item.granularity).max().expect("a policy has an item")
    }

    /// Blocks before the current one that still accept measures: rates need one more.
    pub fn blocks_back(&self) -> u64 {
        u64::from(self.back_window) + u64::from(self.methods.has_rate())
    }

    /// The oldest instant accepted once `newest` has been seen (`first_block` in the contract).
    pub fn first_block(&self, newest: Timestamp) -> Timestamp {
        let block = self.block();
        newest.floor(block).saturating_sub(self.blocks_back().saturating_mul(block.ns()))
    }

    /// The item of this granularity.
    pub fn item(&self, granularity: Granularity) -> Option<&Item> {
        self.items.iter().find(|item| item.granularity == granularity)
    }
}
