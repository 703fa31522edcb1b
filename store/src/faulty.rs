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
    /// So many writes succeed before they fail.
    writes_left: u32,
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

    /// After so many more, writes fail for this reason.
    pub fn fail_writes_after(&self, writes: u32, reason: &str) {
        self.fail_writes(Some(reason));
        self.faults.lock().writes_left = writes;
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
        let mut faults = self.faults.lock();
        if faults.stalled {
            return Err(Error::Busy);
        }
        match faults.writes_left.checked_sub(1) {
            Some(left) => faults.writes_left = left,
            None => failed(&faults.write, "writing")?,
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use orzo_model::{MetricId, Partitions};

    use super::*;
    use crate::backlog::{Backlog, Blob, KvBacklog, Position};
    use crate::keys;
    use crate::kv::scan_past_damage;

    fn backlog(blobs: u64) -> (Arc<FaultyKv>, KvBacklog) {
        let kv = Arc::new(FaultyKv::default());
        let backlog = KvBacklog::new(kv.clone(), Partitions::DEFAULT);
        let blob = |seq| Blob { partition: partition(), seq, bytes: vec![1] };
        backlog.append(&(1..=blobs).map(blob).collect::<Vec<_>>()).unwrap();
        (kv, backlog)
    }

    fn partition() -> orzo_model::Partition {
        Partitions::DEFAULT.of(MetricId::from_bits(3))
    }

    #[test]
    fn a_scan_goes_on_right_behind_what_cannot_be_read() {
        let (kv, _) = backlog(1000);
        for broken in [1, 300, 301, 302, 700, 1000] {
            kv.break_block(Family::Backlog, &keys::backlog(partition(), broken));
        }
        let (mut seen, mut damaged) = (0, 0);
        let visit: &mut Visit<'_> = &mut |_, _| {
            seen += 1;
            std::ops::ControlFlow::Continue(())
        };
        scan_past_damage(&*kv, Family::Backlog, b"", b"", visit, &mut |_, _| damaged += 1).unwrap();
        assert_eq!((seen, damaged), (994, 4), "300 to 302 are one place");
    }

    #[test]
    fn a_replay_goes_on_behind_a_blob_that_cannot_be_read() {
        let (kv, backlog) = backlog(20);
        kv.break_block(Family::Backlog, &keys::backlog(partition(), 7));
        let mut seen = Vec::new();
        backlog.replay(partition(), &mut |seq, bytes| seen.push((seq, bytes.len()))).unwrap();
        let sound = |seqs: std::ops::RangeInclusive<u64>| seqs.map(|seq| (seq, 1));
        let expected: Vec<_> = sound(1..=6).chain([(6, 0)]).chain(sound(8..=20)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn numbers_go_on_past_a_last_blob_that_cannot_be_read() {
        let (kv, backlog) = backlog(20);
        kv.break_block(Family::Backlog, &keys::backlog(partition(), 20));
        assert!(backlog.position(partition()).unwrap().newest > 20);
    }

    #[test]
    fn without_a_low_water_mark_all_that_is_left_is_replayed() {
        let (kv, backlog) = backlog(20);
        backlog.checkpoint(Vec::new(), &[(partition(), 15)]).unwrap();
        assert_eq!(backlog.position(partition()).unwrap(), Position { low: 15, newest: 20 });
        for damaged in [vec![0; 12], vec![1], Vec::new()] {
            let mut batch = Batch::default();
            batch.put(Family::Meta, keys::low_water(partition()), damaged);
            kv.write(batch, WhenStalled::Wait).unwrap();
            assert_eq!(backlog.position(partition()).unwrap(), Position { low: 0, newest: 20 });
        }
        assert_eq!(backlog.damaged(), 3);
        // As marks were before they had a checksum.
        let mut batch = Batch::default();
        batch.put(Family::Meta, keys::low_water(partition()), 12u64.to_be_bytes());
        kv.write(batch, WhenStalled::Wait).unwrap();
        assert_eq!(backlog.position(partition()).unwrap().low, 12);
    }
}
