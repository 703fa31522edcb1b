//! Shards: threads that own series. Samples and measures go in, rows and windows come out.
//!
//! [`Shard`] is a state machine without thread, clock or disk. `driver` runs it, `flusher` and `syncer`
//! wait for the store in its place, `resolver` asks the index, and [`Handle`] is what everybody else sees.

mod arena;
pub mod command;
pub mod counters;
mod driver;
mod flusher;
mod gathered;
mod gauge;
mod guard;
mod handle;
mod id_index;
mod id_map;
pub mod limits;
mod open_events;
mod pace;
pub mod record;
mod recover;
mod resolver;
mod series_table;
mod shard;
mod slot;
mod slots;
mod statsd;
mod syncer;
#[cfg(test)]
mod testing;

pub use command::{Command, Commit, Hearing, Name, Outbox, Pending, Post, PostError, ReadKey, Resolution};
pub use counters::ShardCounters;
pub use driver::{Driver, Durability, Running};
pub use flusher::Flusher;
pub use gauge::{GaugeDialect, Semantics};
pub use guard::{Guard, Offenders, Rates};
pub use handle::Handle;
pub use recover::{Recovered, recover};
pub use resolver::{Resolver, StatsdRules};
pub use series_table::CheckpointJob;
pub use shard::{Shard, ShardConfig};
pub use syncer::Syncer;
