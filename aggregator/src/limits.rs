//! Every bound of a shard, and why it is what it is.

/// Batches of samples taken in one turn: 16 384 samples, a few milliseconds.
pub const BATCHES_PER_TURN: usize = 32;
/// How many samples later a sample takes the next step of its look-up: long enough for memory to answer, and few enough
/// that what they bring near together stays in the nearest cache.
pub const SAMPLES_BETWEEN_STEPS: usize = 8;
/// Commands taken in one turn.
pub const COMMANDS_PER_TURN: usize = 256;
/// Commands that may wait for a shard; past it HTTP answers 503.
pub const COMMANDS_WAITING: usize = 1024;
/// Series in one checkpoint: large enough that a batch of the store pays, small enough to spread.
pub const SERIES_PER_CHECKPOINT: usize = 256;
/// A blob gives out fewer than two to the power of so many numbers: its samples and posts were in memory at a time.
pub const NUMBERS_PER_BLOB_BITS: u32 = 24;
/// Statsd series of one shard whose names wait for the index; past it samples of new names are dropped
/// with a reason.
pub const NAMES_WAITING: usize = 1 << 16;
/// Names asked of the index in one message.
pub const NAMES_PER_ASK: usize = 1024;
/// Times of arrival are kept to this, in nanoseconds.
pub const ARRIVAL_NS: u64 = 1_000_000;
/// Prefixes named among those whose new series are refused most often.
pub const OFFENDERS: usize = 10;
/// Prefixes among which those are looked for.
pub const OFFENDERS_REMEMBERED: usize = 128;
/// Time between two words in the log about new series that are refused.
pub const REFUSAL_LOG_NS: u64 = 60 * orzo_model::SECOND;
/// Distinct members counted in one set and flush period.
pub const SET_MEMBERS: usize = 1 << 20;
/// How long a series without an archive policy is refused before the index is asked again.
pub const REFUSAL_NS: u64 = 10 * orzo_model::SECOND;
/// Events and gauges are committed at least this often: what a killed process may lose of them.
pub const COMMIT_INTERVAL_NS: u64 = orzo_model::SECOND;
/// Raw measures that wait for a checkpoint in one shard before it starts early; 16 bytes each.
pub const DIRTY_MEASURES: usize = 4 << 20;
/// Measures that one shard lets wait for checkpoints if that takes longer than the least age: about what it replays in
/// three quarters of a minute.
pub const REPLAY_MEASURES: u64 = 32_000_000;
/// Checkpoints of a series are not made more often because much comes in, in nanoseconds.
pub const CHECKPOINT_AGE_MIN_NS: u64 = 240 * orzo_model::SECOND;
/// A series that speaks after such a silence is told of at once, since its resource may have an end; one that
/// goes on speaking, at each checkpoint.
pub const SILENCE_NS: u64 = 60 * orzo_model::SECOND;
/// Series told of that wait to be asked for; those past it are told of at their next checkpoint.
pub const NEWS_MAX: usize = 1 << 16;
/// A series that has been silent for so long leaves memory, once it is stored whole; so does its slot.
pub const IDLE_SECONDS: u32 = 600;
/// The same in nanoseconds.
pub const IDLE_NS: u64 = IDLE_SECONDS as u64 * orzo_model::SECOND;
/// Slots looked at in one tick, whether they are silent: a million within two minutes.
pub const SLOTS_PER_SWEEP: usize = 8192;
/// Series that leave memory in one tick, at most.
pub const EVICTIONS_PER_TICK: usize = 16_384;
/// Deleted metrics are remembered at least so long: longer than any request or commit is on its way.
pub const FORGOTTEN_NS: u64 = 60 * orzo_model::SECOND;
