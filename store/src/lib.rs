//! What Orzo keeps: the backlog, the aggregates and the index, as three blocking traits, and their
//! layout over an ordered key-value engine.

pub mod error;
pub mod kv;
pub mod memory;

pub use error::{Error, Result};
pub use kv::{Batch, Direction, Family, Kv, WhenStalled};
