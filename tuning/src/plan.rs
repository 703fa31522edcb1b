//! How many threads of each kind, and how much memory for what: cores and memory in, numbers and reasons out.
//!
//! This is the only place that knows the table. It reads nothing and changes nothing.

use std::fmt;

use crate::bytes_text;
use crate::machine::Machine;

/// Threads by cores: cores, listeners, shards, HTTP, flushers, store jobs. Small counts oversubscribe on purpose: all
/// threads sleep when idle. Shards are powers of two, so that the partitions split evenly.
const TABLE: [[usize; 6]; 6] = [
    [2, 1, 1, 1, 1, 2],
    [4, 1, 2, 1, 1, 2],
    [8, 2, 4, 1, 1, 2],
    [16, 4, 8, 2, 2, 4],
    [32, 8, 16, 4, 2, 6],
    [64, 16, 32, 8, 4, 8],
];

/// Least cache that lets the store work at all, whatever the memory.
const CACHE_BYTES_MIN: u64 = 8 << 20;

/// Memory reckoned for a series: slot, table, window and names of the usual policies, with the rest of the daemon
/// having three quarters of the memory.
const BYTES_PER_SERIES: u64 = 8 << 10;

/// What the operator has settled; `None` leaves it to the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Partitions of the database; no more shards than these.
    pub partitions: usize,
    /// Threads that receive statsd lines.
    pub listeners: Option<usize>,
    /// Threads that own series.
    pub shards: Option<usize>,
    /// Threads that serve HTTP connections.
    pub http: Option<usize>,
    /// Threads that write checkpoints.
    pub flushers: Option<usize>,
    /// Background jobs of the store.
    pub store_jobs: Option<usize>,
    /// Memory for cached blocks, write buffers included, in bytes.
    pub block_cache: Option<u64>,
    /// Memory for unwritten rows, in bytes.
    pub write_buffers: Option<u64>,
    /// Series that statsd may create.
    pub max_series: Option<u64>,
}

/// What the daemon is to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Threads that receive statsd lines.
    pub listeners: usize,
    /// Threads that own series; a power of two, at most the number of partitions.
    pub shards: usize,
    /// Threads that serve HTTP connections.
    pub http: usize,
    /// Threads that write checkpoints.
    pub flushers: usize,
    /// Background jobs of the store.
    pub store_jobs: usize,
    /// Memory for cached blocks, write buffers included, in bytes.
    pub block_cache: u64,
    /// Memory for unwritten rows, in bytes; at most `block_cache`.
    pub write_buffers: u64,
    /// Series that statsd may create.
    pub max_series: u64,
    /// One for each number above, in that order.
    pub reasons: Vec<Reason>,
}

/// Why a number is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Name of the number in the configuration.
    pub key: &'static str,
    /// The number, for people.
    pub value: String,
    /// Where it came from.
    pub why: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.why)
    }
}

/// Makes the plan.
pub fn plan(machine: &Machine, wishes: &Wishes) -> Plan {
    let mut reasons = Reasons { machine, list: Vec::new() };
    let [_, listeners, shards, http, flushers, store_jobs] = row(machine.cores());
    let shards = shards.min(wishes.partitions.max(1));
    let (auto_cache, auto_buffers) = cache_and_buffers(machine.memory(), wishes);
    Plan {
        listeners: reasons.threads("threads.listeners", wishes.listeners, listeners),
        shards: reasons.threads("threads.shards", wishes.shards, shards),
        http: reasons.threads("threads.http", wishes.http, http),
        flushers: reasons.threads("threads.flushers", wishes.flushers, flushers),
        store_jobs: reasons.threads("threads.store_jobs", wishes.store_jobs, store_jobs),
        block_cache: reasons.bytes("store.block_cache", wishes.block_cache, auto_cache),
        write_buffers: reasons.bytes("store.write_buffers", wishes.write_buffers, auto_buffers),
        max_series: reasons.series(wishes.max_series),
        reasons: reasons.list,
    }
}

/// The row of the largest machine that is no larger than this one.
fn row(cores: usize) -> [usize; 6] {
    *TABLE.iter().rev().find(|row| row[0] <= cores).unwrap_or(&TABLE[0])
}

/// A quarter and a tenth of the memory; each gives way when the operator has set the other.
fn cache_and_buffers(memory: u64, wishes: &Wishes) -> (u64, u64) {
    let cache = (memory / 4).max(CACHE_BYTES_MIN).max(wishes.write_buffers.unwrap_or(0));
    let buffers = (memory / 10).max(CACHE_BYTES_MIN / 2).min(wishes.block_cache.unwrap_or(cache) / 2);
    (cache, buffers)
}

struct Reasons<'a> {
    machine: &'a Machine,
    list: Vec<Reason>,
}

impl Reasons<'_> {
    fn threads(&mut self, key: &'static str, wish: Option<usize>, auto: usize) -> usize {
        let value = wish.unwrap_or(auto);
        let cores = self.machine.cores();
        self.note(key, value.to_string(), wish.is_some(), format!("{cores} cores"));
        value
    }

    fn bytes(&mut self, key: &'static str, wish: Option<u64>, auto: u64) -> u64 {
        let value = wish.unwrap_or(auto);
        self.note(
            key,
            bytes_text(value),
            wish.is_some(),
            format!("{} of memory", bytes_text(self.machine.memory())),
        );
        value
    }

    fn series(&mut self, wish: Option<u64>) -> u64 {
        let value = wish.unwrap_or(self.machine.memory() / BYTES_PER_SERIES);
        let why = format!("{} of memory, 8 KiB each", bytes_text(self.machine.memory()));
        self.note("statsd.max_series", value.to_string(), wish.is_some(), why);
        value
    }

    fn note(&mut self, key: &'static str, value: String, set: bool, auto: String) {
        let why = if set { "set in the configuration".to_owned() } else { auto };
        self.list.push(Reason { key, value, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cores: usize, memory: u64) -> Machine {
        Machine {
            cores_allowed: cores,
            cores_granted: None,
            memory_total: memory,
            memory_granted: None,
            open_files_max: Some(1024),
        }
    }

    fn free() -> Wishes {
        Wishes { partitions: 64, ..Wishes::default() }
    }

    /// Listeners, shards, HTTP, flushers, store jobs.
    #[track_caller]
    fn check(cores: usize, expected: [usize; 5]) {
        let plan = plan(&machine(cores, 8 << 30), &free());
        assert_eq!([plan.listeners, plan.shards, plan.http, plan.flushers, plan.store_jobs], expected);
    }

    #[test]
    fn threads_follow_the_cores() {
        check(1, [1, 1, 1, 1, 2]);
        check(2, [1, 1, 1, 1, 2]);
        check(3, [1, 1, 1, 1, 2]);
        check(4, [1, 2, 1, 1, 2]);
        check(8, [2, 4, 1, 1, 2]);
        check(16, [4, 8, 2, 2, 4]);
        check(32, [8, 16, 4, 2, 6]);
        check(63, [8, 16, 4, 2, 6]);
        check(256, [16, 32, 8, 4, 8]);
    }

    #[test]
    fn shards_always_split_the_partitions_evenly() {
        for row in TABLE {
            assert!(row[2].is_power_of_two());
        }
        let few = Wishes { partitions: 4, ..Wishes::default() };
        assert_eq!(plan(&machine(64, 8 << 30), &few).shards, 4);
    }

    #[test]
    fn what_is_set_stays_and_says_so() {
        let wishes = Wishes { shards: Some(8), block_cache: Some(1 << 30), ..free() };
        let plan = plan(&machine(2, 8 << 30), &wishes);
        assert_eq!((plan.shards, plan.block_cache), (8, 1 << 30));
        let shown: Vec<String> = plan.reasons.iter().map(Reason::to_string).collect();
        assert!(shown.contains(&"threads.shards = 8: set in the configuration".to_owned()), "{shown:?}");
        assert!(shown.contains(&"threads.listeners = 1: 2 cores".to_owned()), "{shown:?}");
        assert_eq!(shown.len(), 8);
    }

    #[test]
    fn write_buffers_are_always_a_part_of_the_cache() {
        for memory in [64 << 20, 1 << 30, 64 << 30] {
            for (cache, buffers) in [(None, None), (Some(16 << 20), None), (None, Some(4 << 30))] {
                let wishes = Wishes { block_cache: cache, write_buffers: buffers, ..free() };
                let plan = plan(&machine(4, memory), &wishes);
                assert!(plan.write_buffers <= plan.block_cache, "{memory} {wishes:?} {plan:?}");
            }
        }
    }
}
