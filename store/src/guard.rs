//! Between the layouts and an engine: what happens when the engine fails to write.
//!
//! After a failed write or sync nobody knows what the engine still holds, so it is *poisoned*: every later
//! write fails at once, with the reason of the first. Reads go on. Somebody calls [`Guarded::heal`] from time
//! to time, which tries a small write and, if that keeps failing, has the engine revive itself. A full disk
//! is healed so as soon as there is room again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::kv::{Batch, Direction, Family, Kv, Visit, VisitUnder, WhenStalled};

/// What is written to see whether writing works.
const PROBE: &[u8] = b"probe";
/// Failed probes before the engine has to revive itself: one that heals by itself is left alone.
const PROBES_BEFORE_REVIVAL: u32 = 3;

/// An engine that is not trusted once it has failed.
pub struct Guarded<K> {
    kv: K,
    /// The same as `failure`, for those who write.
    poisoned: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the engine said first.
    pub reason: String,
    /// How often it was probed since, in vain.
    pub probes: u32,
}

impl<K: Kv> Guarded<K> {
    /// An engine that has not failed yet.
    pub fn new(kv: K) -> Self {
        Guarded { kv, poisoned: AtomicBool::new(false), failure: Mutex::new(None) }
    }

    /// The engine itself.
    pub fn engine(&self) -> &K {
        &self.kv
    }

    /// Why nothing is written; `None` if all is well.
    pub fn failure(&self) -> Option<Failure> {
        if self.poisoned.load(Ordering::Acquire) { self.failure.lock().clone() } else { None }
    }

    /// If the engine has failed: tries whether it works again. Says whether it does.
    ///
    /// # Errors
    /// Why it does not.
    pub fn heal(&self) -> Result<()> {
        let Some(failure) = self.failure() else { return Ok(()) };
        let probed = match self.probe() {
            Err(_) if failure.probes + 1 >= PROBES_BEFORE_REVIVAL => {
                self.kv.revive().and_then(|()| self.probe())
            }
            probed => probed,
        };
        let mut present = self.failure.lock();
        match probed {
            Ok(()) => {
                *present = None;
                // ORDER: Release, so that whoever sees it writes to the engine as it is now.
                self.poisoned.store(false, Ordering::Release);
            }
            Err(_) => present.iter_mut().for_each(|failure| failure.probes += 1),
        }
        probed
    }

    fn probe(&self) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(Family::Meta, PROBE, b"");
        batch.delete(Family::Meta, PROBE);
        self.kv.write(batch, WhenStalled::Fail)?;
        self.kv.sync()
    }

    fn refuse(&self) -> Result<()> {
        let Some(failure) = self.failure() else { return Ok(()) };
        Err(Error::Fatal { doing: "waiting to recover", source: io::Error::other(failure.reason) })
    }

    fn judge(&self, outcome: Result<()>) -> Result<()> {
        if let Err(error @ (Error::Fatal { .. } | Error::Unreadable { .. })) = &outcome {
            let failure = Failure { reason: error.reason(), probes: 0 };
            self.failure.lock().get_or_insert(failure);
            self.poisoned.store(true, Ordering::Release);
        }
        outcome
    }
}

impl<K: Kv> Kv for Guarded<K> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.kv.get(family, key)
    }

    fn get_all(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.kv.get_all(family, keys)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.kv.scan(family, from, to, way, visit)
    }

    fn scan_under(&self, family: Family, prefixes: &[Vec<u8>], visit: &mut VisitUnder<'_>) -> Result<()> {
        self.kv.scan_under(family, prefixes, visit)
    }

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()> {
        self.refuse()?;
        self.judge(self.kv.write(batch, when_stalled))
    }

    fn sync(&self) -> Result<()> {
        self.refuse()?;
        self.judge(self.kv.sync())
    }

    fn revive(&self) -> Result<()> {
        self.kv.revive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::FaultyKv;

    fn put<K: Kv>(kv: &K, key: &str) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(Family::Index, key, "v");
        kv.write(batch, WhenStalled::Wait)
    }

    #[test]
    fn one_failure_stops_all_writes_until_it_is_healed() {
        let kv = Guarded::new(FaultyKv::default());
        put(&kv, "a").unwrap();
        kv.engine().fail_writes(Some("no space"));
        assert!(put(&kv, "b").unwrap_err().reason().contains("no space"));
        kv.engine().fail_writes(None);
        let refused = put(&kv, "c").unwrap_err().reason();
        assert!(refused.contains("waiting to recover") && refused.contains("no space"), "{refused}");
        assert!(kv.sync().is_err());
        assert!(kv.get(Family::Index, b"a").unwrap().is_some(), "reads go on");
        kv.heal().unwrap();
        assert_eq!(kv.failure(), None);
        put(&kv, "d").unwrap();
        assert!(kv.get(Family::Meta, PROBE).unwrap().is_none(), "a probe leaves nothing");
    }

    #[test]
    fn a_failed_sync_counts_as_a_failed_write() {
        let kv = Guarded::new(FaultyKv::default());
        kv.engine().fail_syncs(Some("lost"));
        assert!(kv.sync().is_err());
        assert!(put(&kv, "a").is_err());
        assert!(kv.heal().is_err(), "a probe syncs, too");
        kv.engine().fail_syncs(None);
        kv.heal().unwrap();
        put(&kv, "a").unwrap();
    }

    #[test]
    fn an_engine_that_does_not_heal_is_revived() {
        let kv = Guarded::new(FaultyKv::default());
        kv.engine().fail_until_revived("broken");
        assert!(put(&kv, "a").is_err());
        for probes in 1..PROBES_BEFORE_REVIVAL {
            assert!(kv.heal().is_err());
            assert_eq!(kv.failure().map(|failure| failure.probes), Some(probes));
        }
        kv.heal().unwrap();
        put(&kv, "a").unwrap();
    }

    #[test]
    fn a_stalled_engine_is_no_failed_one() {
        let kv = Guarded::new(FaultyKv::default());
        kv.engine().stall(true);
        assert!(matches!(put(&kv, "a"), Err(Error::Busy)));
        kv.engine().stall(false);
        put(&kv, "a").unwrap();
    }
}
