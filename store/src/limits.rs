//! Bounds of what this crate keeps in memory.

/// Memory of all orders that the index keeps: some six of 100 000 resources, or one of 600 000.
pub(crate) const ORDERS_BYTES: usize = 64 << 20;

/// How many orders the index keeps: each makes every change of a resource dearer, by about a microsecond.
pub(crate) const ORDERS: usize = 16;
