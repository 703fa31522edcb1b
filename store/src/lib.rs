//! What Orzo keeps: the backlog, the aggregates and the index, as three blocking traits, and their
//! layout over an ordered key-value engine.

pub mod aggregates;
pub mod backlog;
pub mod check;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "a suite fails by panicking")]
pub mod conformance;
pub mod error;
mod extent;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
pub mod guard;
pub mod identity;
pub mod index;
pub mod keys;
pub mod kv;
mod limits;
pub mod memory;
mod seal;

pub use aggregates::{Aggregates, KvAggregates, MetricRuns, RowQuery};
pub use backlog::{Backlog, Blob, KvBacklog, Position, Salvage};
pub use error::{Error, Result};
pub use extent::{Closed, Extents};
pub use guard::Guarded;
pub use identity::Identity;
pub use index::Index;
pub use keys::Seq;
pub use kv::{Batch, Direction, Family, Kv, WhenStalled};
