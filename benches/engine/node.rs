//! A shard with all that serves it, on RocksDB, at a time that the bench tells.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::unbounded;
use orzo_aggregator::{
    Driver, Durability, Flusher, GaugeDialect, Handle, Post, PostError, Semantics, Shard, ShardConfig, Syncer,
};
use orzo_base::Exchange;
use orzo_model::{Batch, Partitions, SECOND, Timestamp};
use orzo_store::kv::{Change, Visit};
use orzo_store::{Backlog, Direction, Family, Kv, KvAggregates, KvBacklog, Result, WhenStalled};
use orzo_store_rocks::{RocksKv, Tuning};

/// As in the default configuration.
pub(crate) const CHECKPOINT_AGE: u64 = 3600 * SECOND;

static NOW: AtomicU64 = AtomicU64::new(0);

fn now() -> Timestamp {
    Timestamp::saturating_from_ns(NOW.load(Ordering::SeqCst))
}

/// RocksDB, and how many bytes of keys and values it was given.
pub(crate) struct Counted {
    pub(crate) rocks: RocksKv,
    given: [AtomicU64; Family::ALL.len()],
}

impl Counted {
    /// Bytes that were put in a family.
    pub(crate) fn given(&self, family: Family) -> u64 {
        self.given[family as usize].load(Ordering::Relaxed)
    }
}

impl Kv for Counted {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rocks.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.rocks.scan(family, from, to, way, visit)
    }

    fn write(&self, batch: orzo_store::Batch, when_stalled: WhenStalled) -> Result<()> {
        for (family, change) in &batch.changes {
            let bytes = match change {
                Change::Put(key, value) => key.len() + value.len(),
                Change::Delete(key) => key.len(),
                Change::DeleteRange(from, to) => from.len() + to.len(),
            };
            // Relaxed: a statistic, ordered with nothing.
            self.given[*family as usize].fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.rocks.write(batch, when_stalled)
    }

    fn sync(&self) -> Result<()> {
        self.rocks.sync()
    }
}

/// What a daemon is without its sockets.
pub(crate) struct Node {
    pub(crate) kv: Arc<Counted>,
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts in an empty directory. Posts are answered when they are synced.
    pub(crate) fn start(directory: &Path, seconds: u64) -> Self {
        NOW.store(seconds * SECOND, Ordering::SeqCst);
        let rocks = RocksKv::open(directory, &Tuning::default()).expect("an empty directory");
        let kv = Arc::new(Counted { rocks, given: Default::default() });
        let partitions = Partitions::DEFAULT;
        let backlog: Arc<dyn Backlog> = Arc::new(KvBacklog::new(kv.clone(), partitions));
        // Without producers there are no samples: the lane has ended from the start.
        let (_, mut lanes) = Exchange::open(1, 1, Batch::new);
        let lane = lanes.remove(0);
        let (handle, mut inboxes) = Handle::new(partitions, vec![lane.doorbell().clone()]);
        let (syncer, waiting) = unbounded();
        let (names, _) = unbounded();
        let (submit, jobs) = unbounded();
        let driver = Driver {
            shard: Shard::new(config(&handle), handle.counters(0).clone()),
            lane,
            commands: inboxes.remove(0),
            backlog: backlog.clone(),
            durability: Durability::Synced,
            syncer,
            names,
            jobs: submit,
            handle: handle.clone(),
            clock: now,
        };
        let aggregates = Arc::new(KvAggregates::new(kv.clone(), partitions));
        let flusher = Flusher { aggregates, backlog: backlog.clone(), jobs, handle: handle.clone() };
        let syncer = Syncer { backlog, waiting, interval: None };
        let threads = vec![
            thread::spawn(|| driver.run()),
            thread::spawn(|| flusher.run()),
            thread::spawn(|| syncer.run()),
        ];
        Node { kv, handle, threads }
    }

    /// Lets the time come, and all checkpoints that are due then.
    pub(crate) fn advance(&self, seconds: u64) {
        NOW.store(seconds * SECOND, Ordering::SeqCst);
        let due = (seconds * SECOND).saturating_sub(CHECKPOINT_AGE);
        loop {
            // Wakes it, and is answered behind its tick.
            self.handle.news();
            let oldest = self.handle.counters(0).oldest_dirty_ns.get();
            if oldest == 0 || oldest > due {
                return;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    pub(crate) fn post(&self, posts: Vec<Post>) {
        while let Err(why) = self.handle.post(posts.clone()) {
            assert_eq!(why, PostError::Busy, "a bench needs a disk that works");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops as a daemon does: everything is stored, and the log folded into tables.
    pub(crate) fn stop(self) -> Arc<Counted> {
        self.handle.stop();
        self.threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        self.kv.rocks.flush().expect("the disk works");
        self.kv
    }
}

fn config(handle: &Handle) -> ShardConfig {
    ShardConfig {
        partitions: Partitions::DEFAULT,
        owned: handle.owned(0),
        flush_interval_ns: 10 * SECOND,
        checkpoint_age_ns: CHECKPOINT_AGE,
        series_max: 1,
        semantics: Semantics { gauge_dialect: GaugeDialect::Auto, gauge_ttl_ns: 0, max_future_ns: 0 },
    }
}
