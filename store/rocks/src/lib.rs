//! RocksDB as the ordered key-value engine of the stores.
//!
//! In a crate of its own because its C++ is the longest build of the project. It knows families and
//! bytes; what they mean is laid out in `orzo-store`.

mod engine;
mod group;
mod options;
mod retention;

pub use engine::{RocksKv, Written};
pub use options::Tuning;
