//! Primitives without any words of the domain: threads, counters, clock and batched socket calls.
//!
//! Nothing in here knows what a metric is. The files of the program with `unsafe` in them are [`mmsg`],
//! [`socket_options`], [`descriptors`] and [`near`].

pub mod clock;
pub mod counters;
pub mod descriptors;
pub mod doorbell;
pub mod exchange;
pub mod mmsg;
pub mod near;
pub mod parallel;
pub mod socket_options;
pub mod stop;

pub use counters::{CachePadded, Counter};
pub use doorbell::Doorbell;
pub use exchange::{Consumer, Exchange, Producer};
pub use stop::Stop;
