//! Every bound of this crate, and the arithmetic that ties them together.

use std::time::Duration;

use orzo_model::batch::NAME_BYTES_PER_BATCH;

/// Datagrams a listener takes in one system call.
pub const DATAGRAMS_PER_CALL: usize = 128;
/// Bytes of the longest datagram: nothing that UDP can carry is cut.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// System calls on one socket before others get their turn.
pub const CALLS_PER_TURN: usize = 4;
/// Connections accepted on one socket before others get their turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Bytes of the longest line, or frame, of a stream.
pub const LINE_BYTES_MAX: usize = 65_536;
/// Bytes of the length before a frame of a stream.
pub const FRAME_HEADER_BYTES: usize = 4;
/// Bytes read from a stream in one call.
pub const READ_BYTES: usize = 65_536;
/// Connections that wait to be accepted.
pub const BACKLOG: i32 = 1024;
/// How often a listener looks after what no event tells: drop counters, silent connections, failed sockets.
pub const SWEEP: Duration = Duration::from_secs(1);
/// Receive buffer asked for while one program takes the place of another, in bytes: seconds of the heaviest traffic.
pub const LEFT_BUFFER_BYTES: usize = 512 << 20;
/// How long a listener whose sockets are taken over reads on from connections, which end with it.
pub const DRAIN_LEFT: Duration = Duration::from_millis(100);
/// Lines that wait for somebody who looks at them as they come in.
pub const TAP_LINES: usize = 4096;
/// Bytes of such a line that are shown.
pub const TAP_LINE_BYTES: usize = 1024;
/// Who may look at a time.
pub const WATCHERS_MAX: usize = 8;
/// Tags of one sample, those in its name included.
pub const TAGS_MAX: usize = 64;
/// Characters of a metric's name, tags included: what the index takes.
pub const METRIC_CHARS_MAX: usize = 255;
/// Characters of the text of a resource: what the index takes.
pub const RESOURCE_CHARS_MAX: usize = 289;
/// The smallest sample rate: what travels as billionths.
pub const RATE_MIN: f64 = 1e-9;
/// Characters of a unit: what the index takes.
pub const UNIT_CHARS_MAX: usize = 31;
/// Lines of a text that are looked up one after another before they are read.
pub const LINES_PER_STEP: usize = 32;
/// Lines that a listener knows without reading them again: as many as fit a table of 2^14 places.
pub const MEMO_LINES: usize = 7 << 11;
/// Bytes of their texts and names.
pub const MEMO_TEXT_BYTES: usize = 3 << 20;
/// Bytes of one of them.
pub const MEMO_LINE_BYTES: usize = 2048;
/// Lines that were not known, since no more are added, until all known ones are forgotten.
pub const MEMO_MISSES: u32 = 1 << 20;
/// Bytes of the longest name that rides along: its parts and what separates them.
pub const NAME_BYTES_MAX: usize = 4 * (METRIC_CHARS_MAX + RESOURCE_CHARS_MAX + UNIT_CHARS_MAX) + 2;

// At most the first line of what one read completes can be too long (see `stream.rs`).
const _: () = assert!(READ_BYTES <= LINE_BYTES_MAX);
// An empty batch takes any sample.
const _: () = assert!(NAME_BYTES_MAX <= NAME_BYTES_PER_BATCH && NAME_BYTES_MAX <= u16::MAX as usize);

/// Bounds that an operator may move.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Stream connections a listener holds at a time; more are closed at once and counted. Default: 250.
    pub connections: usize,
    /// Silence after which a stream connection is closed. Default: 5 minutes.
    pub idle: Duration,
    /// How long a stopping listener reads on what the kernel already holds. Default: 5 seconds.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 250, idle: Duration::from_secs(300), drain: Duration::from_secs(5) }
    }
}
