//! The memory engine, failing on demand: for tests of what happens then.

use std::io;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::kv::{Batch, Direction, Family, Kv, Visit, WhenStalled};
use crate::memory::MemoryKv;

/// An engine that does as it is told.
#[derive(Default)]
pub struct FaultyKv {
    kv: MemoryKv,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    write: Option<String>,
    sync: Option<String>,
    stalled: bool,
    /// Keys whose blocks cannot be read.
    unreadable: Vec<(Family, Vec<u8>)>,
    heals: bool,
}

impl FaultyKv {
    /// From now on writes fail for this reason, or do not.
    pub fn fail_writes(&self, reason: Option<&str>) {
        self.faults.lock().write = reason.map(str::to_owned);
    }

    /// From now on syncs fail for this reason, or do not.
    pub fn fail_syncs(&self, reason: Option<&str>) {
        self.faults.lock().sync = reason.map(str::to_owned);
    }

    /// From now on writes fail until the engine is revived.
    pub fn fail_until_revived(&self, reason: &str) {
        self.fail_writes(Some(reason));
        self.faults.lock().heals = true;
    }

    /// From now on writes that do not wait are refused, or are not.
    pub fn stall(&self, stalled: bool) {
        self.faults.lock().stalled = stalled;
    }

    /// From now on neither this key nor a scan that comes to it can be read.
    pub fn break_block(&self, family: Family, key: &[u8]) {
        self.faults.lock().unreadable.push((family, key.to_vec()));
    }

    fn is_broken(&self, family: Family, key: &[u8]) -> bool {
        self.faults.lock().unreadable.iter().any(|(of, broken)| *of == family && broken == key)
    }
}

fn failed(reason: &Option<String>, doing: &'static str) -> Result<()> {
    match reason {
        Some(reason) => Err(Error::Fatal { doing, source: io::Error::other(reason.clone()) }),
        None => Ok(()),
    }
}

fn unreadable() -> Error {
    Error::Unreadable { doing: "reading", source: io::Error::other("block checksum mismatch") }
}

impl Kv for FaultyKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.is_broken(family, key) { Err(unreadable()) } else { self.kv.get(family, key) }
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let mut broken = false;
        self.kv.scan(family, from, to, way, &mut |key, value| {
            broken = self.is_broken(family, key);
            if broken { std::ops::ControlFlow::Break(()) } else { visit(key, value) }
        })?;
        if broken { Err(unreadable()) } else { Ok(()) }
    }

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()> {
        let faults = self.faults.lock();
        if faults.stalled {
            return Err(Error::Busy);
        }
        failed(&faults.write, "writing")?;
        self.kv.write(batch, when_stalled)
    }

    fn sync(&self) -> Result<()> {
        failed(&self.faults.lock().sync, "syncing the log")?;
        self.kv.sync()
    }

    fn revive(&self) -> Result<()> {
        let mut faults = self.faults.lock();
        if faults.heals {
            faults.write = None;
        }
        Ok(())
    }
}
