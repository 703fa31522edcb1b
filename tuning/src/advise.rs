//! What an operator could change to get more out of the machine: cheap comparisons of facts, plan and wishes.

use crate::bytes_text;
use crate::machine::Machine;
use crate::plan::Plan;

/// Files that the store and the daemon itself keep open, beside connections.
const FILES_RESERVED: u64 = 1024;

/// Memory of a series under the usual policies, from a constant to a noisy one; the middle of what was measured.
const BYTES_PER_SERIES: u64 = 2 << 10;

/// What the configuration asks of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// Receive buffer of a statsd socket, in bytes.
    pub receive_buffer_bytes: u64,
    /// Connections of all kinds that may be open at a time.
    pub connections_max: u64,
}

/// One sentence for each thing worth changing.
pub fn advise(machine: &Machine, plan: &Plan, wants: Wants) -> Vec<String> {
    [receive_buffer(machine, wants), open_files(machine, wants), series(machine, plan)]
        .into_iter()
        .flatten()
        .collect()
}

fn receive_buffer(machine: &Machine, wants: Wants) -> Option<String> {
    let (limit, want) = (machine.receive_buffer_max, wants.receive_buffer_bytes);
    (limit < want).then(|| {
        format!(
            "the system limits receive buffers to {}, statsd asks for {}: bursts may be dropped by the kernel unless \
             the daemon may exceed the limit (CAP_NET_ADMIN) or you run: sysctl -w net.core.rmem_max={want}",
            bytes_text(limit),
            bytes_text(want),
        )
    })
}

fn open_files(machine: &Machine, wants: Wants) -> Option<String> {
    let need = wants.connections_max + FILES_RESERVED;
    let limit = machine.open_files_max.filter(|limit| *limit < need)?;
    Some(format!("only {limit} files may be open, up to {need} are needed: raise LimitNOFILE or ulimit -n"))
}

fn series(machine: &Machine, plan: &Plan) -> Option<String> {
    let need = plan.max_series.saturating_mul(BYTES_PER_SERIES);
    let room = machine.memory().saturating_sub(plan.block_cache);
    (need > room).then(|| {
        format!(
            "statsd.max_series = {} may take about {} when all are busy, there are {} beside the cache",
            plan.max_series,
            bytes_text(need),
            bytes_text(room),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Wishes, plan};

    fn roomy() -> Machine {
        Machine {
            cores_allowed: 4,
            cores_granted: None,
            memory_total: 16 << 30,
            memory_granted: None,
            receive_buffer_max: 64 << 20,
            open_files_max: Some(65_536),
        }
    }

    #[track_caller]
    fn check(machine: &Machine, max_series: Option<u64>, expected: &[&str]) {
        let plan = plan(machine, &Wishes { partitions: 64, max_series, ..Wishes::default() });
        let advice = advise(machine, &plan, Wants { receive_buffer_bytes: 32 << 20, connections_max: 1274 });
        assert_eq!(advice.len(), expected.len(), "{advice:?}");
        for (sentence, word) in advice.iter().zip(expected) {
            assert!(sentence.contains(word), "{sentence}");
        }
    }

    #[test]
    fn a_roomy_machine_needs_no_advice() {
        check(&roomy(), None, &[]);
    }

    #[test]
    fn each_tight_limit_has_its_sentence() {
        check(&Machine { receive_buffer_max: 212_992, ..roomy() }, None, &["rmem_max=33554432"]);
        check(&Machine { open_files_max: Some(1024), ..roomy() }, None, &["LimitNOFILE"]);
        check(&Machine { open_files_max: None, ..roomy() }, None, &[]);
        check(&roomy(), Some(100_000_000), &["statsd.max_series"]);
    }
}
