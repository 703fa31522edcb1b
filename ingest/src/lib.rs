//! Listeners: they turn bytes from sockets into samples and hand them to the shards, in batches.
//!
//! A listener never waits for a disk and never throws away what it could read: without a free batch it
//! stops reading, and the kernel's socket buffer is the only place where UDP is dropped, counted by the
//! kernel. What arrives is parsed, refused with a reason, or not arrived yet.

mod connections;
pub mod counters;
mod datagram;
mod inherit;
mod intake;
pub mod limits;
pub mod listener;
mod pace;
pub mod router;
pub mod socket;
pub mod statsd;
mod stream;
pub mod tap;

pub use counters::ListenerCounters;
pub use inherit::{Inherited, KeptSocket};
pub use limits::Limits;
pub use listener::{Listener, ListenerConfig};
pub use router::{Router, Routes};
pub use socket::{Address, BindError, BoundSocket, Endpoint, Spread, bind, bind_or_inherit};
pub use statsd::{Naming, Parser, Sink};
pub use tap::{Tap, Watcher};
