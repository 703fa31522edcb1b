//! What a listener counts. Written by its thread alone, read by whoever scrapes.

use orzo_base::Counter;
use orzo_model::{DropReason, Kind};

/// Counters of one listener; keep them in a [`CachePadded`](orzo_base::CachePadded).
///
/// The law, at any moment between two lines:
/// `lines = Σ accepted + events + checks + Σ drops`; and for UDP, `sent = datagrams + kernel_drops`.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Datagrams received.
    pub datagrams: Counter,
    /// Bytes received, of datagrams and streams.
    pub bytes: Counter,
    /// Lines that were not empty.
    pub lines: Counter,
    /// Lines applied, by the kind of their first sample.
    pub accepted: [Counter; Kind::COUNT],
    /// Samples of those lines.
    pub samples: Counter,
    /// Events, checked and skipped.
    pub events: Counter,
    /// Service checks, checked and skipped.
    pub checks: Counter,
    /// Lines refused, by reason.
    pub drops: [Counter; DropReason::COUNT],
    /// Datagrams that the kernel dropped since the sockets were made.
    pub kernel_drops: Counter,
    /// Times that no batch was free, so that reading stopped.
    pub pool_waits: Counter,
    /// Nanoseconds of those.
    pub pool_wait_ns: Counter,
    /// Batches sent to shards.
    pub batches: Counter,
    /// Stream connections that are open now.
    pub connections_open: Counter,
    /// Stream connections ever accepted.
    pub connections_total: Counter,
    /// Stream connections closed at once, past the limit.
    pub connections_refused: Counter,
    /// Errors of the system that a socket survived: receiving, accepting. Tried again within a second.
    pub socket_errors: Counter,
    /// The smallest receive buffer granted to a datagram socket, as the kernel reports it (twice what is
    /// usable); 0 without one.
    pub receive_buffer_bytes: Counter,
}

impl ListenerCounters {
    /// Counts lines lost for one reason.
    #[inline]
    pub fn drop_lines(&self, reason: DropReason, lines: u64) {
        self.drops[reason.index()].add(lines);
    }

    /// Lines applied, of all kinds.
    pub fn lines_accepted(&self) -> u64 {
        self.accepted.iter().map(Counter::get).sum()
    }

    /// Lines refused, for all reasons.
    pub fn lines_dropped(&self) -> u64 {
        self.drops.iter().map(Counter::get).sum()
    }
}
