//! Looks after a store that has failed: tries from time to time whether it works again.

use std::time::Duration;

use orzo_base::Stop;
use orzo_store::Guarded;
use orzo_store_rocks::RocksKv;

/// Time between two looks at a store that is well, and before the first try to heal it.
const FIRST: Duration = Duration::from_secs(1);
/// Longest time between two tries: a disk that has room again is noticed within it.
const LAST: Duration = Duration::from_secs(16);

/// Runs until stopped.
pub(crate) fn run(kv: &Guarded<RocksKv>, stop: &Stop) {
    let thread = std::thread::current();
    stop.on_request(move || thread.unpark());
    let mut wait = FIRST;
    while !stop.requested() {
        std::thread::park_timeout(wait);
        wait = look(kv, wait);
    }
}

/// How long to wait for the next look.
fn look(kv: &Guarded<RocksKv>, waited: Duration) -> Duration {
    let Some(failure) = kv.failure() else { return FIRST };
    if failure.probes == 0 {
        tracing::error!(reason = failure.reason, "the store has failed: writes are refused until it works");
    }
    match kv.heal() {
        Ok(()) => {
            tracing::warn!(probes = failure.probes, "the store works again: writes are taken");
            FIRST
        }
        Err(error) => {
            let next = (waited * 2).min(LAST);
            tracing::warn!(reason = error.reason(), next_s = next.as_secs(), "the store does not work yet");
            next
        }
    }
}
