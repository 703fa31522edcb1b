//! The stream connections of a listener: a table of bounded size.

use std::time::{Duration, Instant};

use crate::stream::Connection;

/// Connections by slot; slots are used again.
pub(crate) struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
}

impl Connections {
    pub(crate) fn new(connections_max: usize) -> Self {
        let slots = (0..connections_max).map(|_| None).collect();
        Connections { slots, free: (0..connections_max).rev().collect() }
    }

    /// The slot that the next connection would get.
    pub(crate) fn vacant(&self) -> Option<usize> {
        self.free.last().copied()
    }

    pub(crate) fn insert(&mut self, connection: Connection) {
        let slot = self.free.pop().expect("the caller asked for a vacant slot");
        self.slots[slot] = Some(connection);
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots[slot].as_mut()
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<Connection> {
        let connection = self.slots[slot].take()?;
        self.free.push(slot);
        Some(connection)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slots of those that have been silent too long.
    pub(crate) fn idle(&self, now: Instant, idle: Duration) -> Vec<usize> {
        let is_idle = |slot: &usize| self.slots[*slot].as_ref().is_some_and(|one| one.is_idle(now, idle));
        (0..self.slots.len()).filter(is_idle).collect()
    }

    /// The slots in use.
    pub(crate) fn open(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect()
    }
}
