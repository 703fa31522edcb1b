//! A key-value engine that stalls, fails and dies when it is told to, and tells what was appended.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};

use orzo_model::{MetricId, Partitions};
use orzo_store::keys::{self, RowKind, SERIES_PREFIX};
use orzo_store::kv::{Change, Visit, prefix_end};
use orzo_store::memory::MemoryKv;
use orzo_store::{Batch, Direction, Error, Family, Kv, Result, Seq, WhenStalled};

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Append,
    Rows,
    Windows,
    Index,
    /// Whether writing works again.
    Probe,
}

/// When something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Before(Purpose),
    After(Purpose),
    BeforeSync,
    AfterSync,
    Read,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the write with this number.
    Written(u64),
    Busy,
    /// An error was returned; if it was written all the same, by which number.
    Failed(Option<u64>),
}

/// One call to append.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Partition, number, content.
    pub(crate) blobs: Vec<(usize, Seq, Vec<u8>)>,
    pub(crate) outcome: Outcome,
}

#[derive(Default)]
struct State {
    /// Batches in the engine, ever.
    written: u64,
    synced: u64,
    /// Extents that were sealed since last asked, short and long ones.
    sealed: [u64; 2],
    /// Times that dead blobs were dropped since last asked.
    trimmed: u64,
    busy: bool,
    /// The next write of this purpose fails; whether it is written all the same.
    failing: Option<(Purpose, bool)>,
    failing_sync: bool,
    failing_window_read: bool,
    window_read_failed: bool,
    /// The process dies at the so-manieth moment of this kind.
    dying: Option<(Moment, u64)>,
    dead: Option<Moment>,
    attempts: Vec<Attempt>,
}

/// The engine. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct FaultyKv {
    inner: Arc<MemoryKv>,
    state: Arc<Mutex<State>>,
}

fn fatal() -> Error {
    Error::Fatal { doing: "what a test told it to fail at", source: io::Error::other("told so") }
}

impl FaultyKv {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn synced(&self) -> u64 {
        self.state().synced
    }

    pub(crate) fn unsynced(&self) -> u64 {
        let state = self.state();
        state.written - state.synced
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.state().busy = busy;
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.state().busy
    }

    pub(crate) fn fail_next(&self, purpose: Purpose, written: bool) {
        self.state().failing = Some((purpose, written));
    }

    pub(crate) fn fail_next_sync(&self) {
        self.state().failing_sync = true;
    }

    pub(crate) fn fail_next_window_read(&self) {
        self.state().failing_window_read = true;
    }

    /// Whether a window could not be read since last asked.
    pub(crate) fn window_read_failed(&self) -> bool {
        std::mem::take(&mut self.state().window_read_failed)
    }

    pub(crate) fn die_at(&self, moment: Moment, count: u64) {
        self.state().dying = Some((moment, count));
    }

    pub(crate) fn dead(&self) -> Option<Moment> {
        self.state().dead
    }

    /// What was to fail does not, but for the rest.
    pub(crate) fn spare(&self, purpose: Purpose) {
        self.state().failing.take_if(|(failing, _)| *failing == purpose);
    }

    /// From now on all is well.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        let State { written, synced, sealed, trimmed, .. } = *state;
        *state = State { written, synced, sealed, trimmed, ..State::default() };
    }

    /// The machine dies: of the batches that were not synced, `kept` are still there. Returns the number of
    /// the last one.
    pub(crate) fn power_cut(&self, kept: u64) -> u64 {
        self.inner.power_cut(kept as usize);
        let mut state = self.state();
        state.written = state.synced + kept;
        state.written
    }

    /// Appends tried since last asked.
    pub(crate) fn take_attempts(&self) -> Vec<Attempt> {
        std::mem::take(&mut self.state().attempts)
    }

    pub(crate) fn take_sealed(&self) -> [u64; 2] {
        std::mem::take(&mut self.state().sealed)
    }

    pub(crate) fn take_trimmed(&self) -> u64 {
        std::mem::take(&mut self.state().trimmed)
    }

    /// Whether there is a row or a window of a metric.
    pub(crate) fn holds(&self, partitions: Partitions, id: MetricId) -> bool {
        let key = keys::metric(partitions.of(id), id);
        let mut found = false;
        for family in [Family::Rows, Family::Window] {
            let mut visit = |_: &[u8], _: &[u8]| {
                found = true;
                ControlFlow::Break(())
            };
            self.inner.scan(family, &key, &prefix_end(&key), Direction::Forward, &mut visit).unwrap();
        }
        found
    }

    /// Drops the rows that the horizon of their series lets go; says how many.
    pub(crate) fn compact(&self) -> u64 {
        let (mut series, mut before) = (Vec::new(), 0);
        let mut batch = Batch::default();
        let mut visit = |key: &[u8], value: &[u8]| {
            let (prefix, rest) = key.split_at(SERIES_PREFIX);
            let start = u64::from_be_bytes(*rest.last_chunk().expect("a row ends in a time"));
            let kind = RowKind::of(rest[0]).expect("a row is of a kind");
            if kind == RowKind::Horizon {
                (series, before) = (prefix.to_vec(), u64::from_be_bytes(value.try_into().expect("a time")));
            } else if series == prefix {
                let width = u64::from_be_bytes(*prefix.last_chunk().expect("a series ends in a width"));
                if start + kind.slots_max() * width <= before {
                    batch.delete(Family::Rows, key);
                }
            }
            ControlFlow::Continue(())
        };
        self.inner
            .scan(Family::Rows, &[], &[], Direction::Forward, &mut visit)
            .expect("memory does not fail");
        let dropped = batch.changes.len() as u64;
        if dropped > 0 {
            self.apply(batch).expect("memory does not fail");
        }
        dropped
    }

    /// Whether this is where the process dies.
    fn dies(&self, moment: Moment) -> bool {
        let mut state = self.state();
        if state.dead.is_some() {
            return true;
        }
        match &mut state.dying {
            Some((at, count)) if *at == moment => {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    state.dead = Some(moment);
                }
                state.dead.is_some()
            }
            _ => false,
        }
    }

    fn apply(&self, batch: Batch) -> Result<u64> {
        self.inner.write(batch, WhenStalled::Wait)?;
        let mut state = self.state();
        state.written += 1;
        Ok(state.written)
    }

    /// Does what is asked, and says how that went.
    fn write_purpose(&self, purpose: Purpose, batch: Batch, when_stalled: WhenStalled) -> Outcome {
        if self.dies(Moment::Before(purpose)) {
            return Outcome::Failed(None);
        }
        if when_stalled == WhenStalled::Fail && self.is_busy() {
            return Outcome::Busy;
        }
        let failing = self.state().failing.take_if(|(failing, _)| *failing == purpose);
        if let Some((_, false)) = failing {
            return Outcome::Failed(None);
        }
        let sealed = sealed(&batch);
        let trims = batch
            .changes
            .iter()
            .any(|(family, change)| *family == Family::Backlog && matches!(change, Change::DeleteRange(..)));
        let number = self.apply(batch).expect("memory does not fail");
        if let Some(kind) = sealed {
            self.state().sealed[usize::from(kind == RowKind::Long)] += 1;
        }
        self.state().trimmed += u64::from(trims);
        if failing.is_some() || self.dies(Moment::After(purpose)) {
            return Outcome::Failed(Some(number));
        }
        Outcome::Written(number)
    }
}

fn purpose(batch: &Batch, when_stalled: WhenStalled) -> Purpose {
    match batch.changes.first() {
        Some((Family::Meta, _)) if when_stalled == WhenStalled::Fail => Purpose::Probe,
        // Nobody else must not wait.
        _ if when_stalled == WhenStalled::Fail => Purpose::Append,
        Some((Family::Rows, _)) => Purpose::Rows,
        Some((Family::Index | Family::IndexBy, _)) => Purpose::Index,
        _ => Purpose::Windows,
    }
}

/// If values of rows go and another comes in their place: of what kind that is.
fn sealed(batch: &Batch) -> Option<RowKind> {
    match (batch.changes.first()?, batch.changes.last()?) {
        ((Family::Rows, Change::Delete(_)), (_, Change::Put(key, _))) => RowKind::of(key[SERIES_PREFIX]),
        _ => None,
    }
}

fn blobs(batch: &Batch) -> Vec<(usize, Seq, Vec<u8>)> {
    let blob = |(_, change): &(Family, Change)| match change {
        Change::Put(key, value) => {
            let partition = usize::from(u16::from_be_bytes([key[0], key[1]]));
            Some((partition, Seq::from_be_bytes(*key.last_chunk()?), value.clone()))
        }
        _ => None,
    };
    batch.changes.iter().filter_map(blob).collect()
}

impl Kv for FaultyKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.dies(Moment::Read) {
            return Err(fatal());
        }
        let mut state = self.state();
        if family == Family::Window && std::mem::take(&mut state.failing_window_read) {
            state.window_read_failed = true;
            return Err(fatal());
        }
        drop(state);
        self.inner.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if self.dies(Moment::Read) {
            return Err(fatal());
        }
        self.inner.scan(family, from, to, way, visit)
    }

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()> {
        let purpose = purpose(&batch, when_stalled);
        let blobs = if purpose == Purpose::Append { blobs(&batch) } else { Vec::new() };
        let outcome = self.write_purpose(purpose, batch, when_stalled);
        if purpose == Purpose::Append {
            self.state().attempts.push(Attempt { blobs, outcome });
        }
        match outcome {
            Outcome::Written(_) => Ok(()),
            Outcome::Busy => Err(Error::Busy),
            Outcome::Failed(_) => Err(fatal()),
        }
    }

    fn sync(&self) -> Result<()> {
        if self.dies(Moment::BeforeSync) || std::mem::take(&mut self.state().failing_sync) {
            return Err(fatal());
        }
        self.inner.sync()?;
        let mut state = self.state();
        state.synced = state.written;
        drop(state);
        if self.dies(Moment::AfterSync) { Err(fatal()) } else { Ok(()) }
    }
}

/// Sizes that a power of two divides evenly.
pub(crate) fn partitions(count: u64) -> Partitions {
    Partitions::new(count as u16).unwrap()
}
