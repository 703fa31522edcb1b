//! One node as the daemon wires it, but in one thread: nothing moves unless it is told to.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use crossbeam::channel::{Receiver, unbounded};
use orzo_aggregator::command::Ack;
use orzo_aggregator::{
    CheckpointJob, Driver, Handle, Name, Recovered, Resolution, Resolver, Running, Shard, ShardConfig,
    Syncer, recover,
};
use orzo_base::{Exchange, Producer};
use orzo_model::{Batch, MetricId, Partition, Timestamp};
use orzo_store::index::KvIndex;
use orzo_store::{Aggregates, Backlog, Guarded, Index, Kv, KvAggregates, KvBacklog, Result};

use crate::kv::FaultyKv;
use crate::rng::Rng;
use crate::setup::{Setup, rules};

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::EPOCH) };
    static IDS: RefCell<Rng> = const { RefCell::new(Rng::new(0)) };
}

/// The clock of this thread's simulation.
pub(crate) fn now() -> Timestamp {
    NOW.get()
}

pub(crate) fn set_now(now: Timestamp) {
    NOW.set(now);
}

/// From now on this thread's simulation draws ids from this seed.
pub(crate) fn seed_ids(seed: u64) {
    IDS.set(Rng::new(seed));
}

/// Random as the daemon's are, and of the same UUID version.
fn draw_id() -> MetricId {
    let (high, low) = IDS.with_borrow_mut(|ids| (ids.next(), ids.next()));
    let bits = u128::from(high) << 64 | u128::from(low);
    MetricId::from_bits(bits & !(0xf << 76) | 4 << 76)
}

/// A checkpoint in the hands of a flusher.
pub(crate) enum InHand {
    Job {
        job: CheckpointJob,
        rows_stored: bool,
    },
    /// Stored or not, the shard has not been told.
    Done(Partition, bool),
}

/// Questions in the hands of the resolver, and what the index said.
pub(crate) struct Asked {
    pub(crate) names: Vec<Name>,
    pub(crate) answers: Vec<Resolution>,
}

/// A process.
pub(crate) struct Node {
    pub(crate) guard: Arc<Guarded<FaultyKv>>,
    pub(crate) backlog: Arc<dyn Backlog>,
    pub(crate) aggregates: Arc<dyn Aggregates>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) handle: Handle,
    /// `None`: it has ended.
    pub(crate) shards: Vec<Option<Running>>,
    pub(crate) producers: Vec<Producer<Batch>>,
    pub(crate) jobs: Receiver<CheckpointJob>,
    pub(crate) in_hand: Vec<InHand>,
    pub(crate) resolver: Resolver,
    pub(crate) asked: Option<Asked>,
    pub(crate) syncer: Syncer,
    pub(crate) acks: Vec<Ack>,
    /// Deleted metrics that the janitor knows of.
    pub(crate) seen_deleted: HashSet<MetricId>,
    /// What each shard found.
    pub(crate) recovered: Vec<Recovered>,
}

impl Node {
    /// Starts on what the engine holds.
    ///
    /// # Errors
    /// If the engine fails meanwhile.
    pub(crate) fn start(kv: &FaultyKv, setup: &Setup) -> Result<Self> {
        let guard = Arc::new(Guarded::new(kv.clone()));
        let any: Arc<dyn Kv> = guard.clone();
        let backlog: Arc<dyn Backlog> =
            Arc::new(KvBacklog::new(any.clone(), setup.partitions).with_trim(setup.trim_blobs));
        let index: Arc<dyn Index> = Arc::new(KvIndex::open(any.clone())?.with_ids(draw_id));
        let (producers, lanes) = Exchange::open(setup.listeners, setup.shards, Batch::new);
        let bells = lanes.iter().map(|lane| lane.doorbell().clone()).collect();
        let (handle, inboxes) = Handle::new(setup.partitions, bells);
        let (submit, jobs) = unbounded();
        let (ask, names) = unbounded();
        let (wait, waiting) = unbounded();
        let mut shards = Vec::new();
        let mut recovered = Vec::new();
        for (number, (lane, commands)) in lanes.into_iter().zip(inboxes).enumerate() {
            let config = shard_config(setup, &handle, number);
            let mut shard = Shard::new(config, handle.counters(number).clone());
            recovered.push(recover(&mut shard, &*backlog, &*index, now())?);
            shards.push(Some(Running::new(Driver {
                shard,
                lane,
                commands,
                backlog: backlog.clone(),
                durability: setup.durability,
                syncer: wait.clone(),
                names: ask.clone(),
                jobs: submit.clone(),
                handle: handle.clone(),
                clock: now,
            })));
        }
        Ok(Node {
            guard,
            aggregates: Arc::new(KvAggregates::new(any, setup.partitions).with_extents(setup.extents)),
            resolver: Resolver {
                index: index.clone(),
                backlog: backlog.clone(),
                rules: rules(),
                names,
                handle: handle.clone(),
                guard: Arc::default(),
                clock: now,
            },
            syncer: Syncer { backlog: backlog.clone(), waiting, interval: None },
            backlog,
            index,
            handle,
            shards,
            producers,
            jobs,
            in_hand: Vec::new(),
            asked: None,
            acks: Vec::new(),
            seen_deleted: HashSet::new(),
            recovered,
        })
    }
}

fn shard_config(setup: &Setup, handle: &Handle, number: usize) -> ShardConfig {
    ShardConfig {
        partitions: setup.partitions,
        owned: handle.owned(number),
        flush_interval_ns: setup.flush_interval_ns,
        checkpoint_age_ns: setup.checkpoint_age_ns,
        series_max: setup.series_max,
        semantics: setup.semantics,
    }
}
