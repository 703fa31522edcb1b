//! What was sent, per series, worked out from the number of datagrams each sender sent.

use std::collections::BTreeSet;

use super::lines::{Pool, Slot};

/// What a series was sent, in units of lines: the weight of a line (its sample rate) is the reader's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Lines.
    pub(super) lines: u64,
    /// Sum of their values.
    pub(super) sum: u64,
    /// Value of the last one.
    pub(super) last: Option<u16>,
    /// Distinct values.
    pub(super) values: BTreeSet<u16>,
}

/// Per series, in order of their numbers. `sent` holds the datagrams sent from each pool.
pub(super) fn ledger(pools: &[Pool], sent: &[u64], series: usize) -> Vec<Expected> {
    let mut all = vec![Expected::default(); series];
    for (pool, sent) in pools.iter().zip(sent) {
        add_pool(pool, *sent, &mut all);
    }
    all
}

/// A pool is sent round and round: the datagrams before the stop were sent once more than those after it. They are
/// visited in the order of their last sending, so that the last value falls out.
fn add_pool(pool: &Pool, sent: u64, all: &mut [Expected]) {
    let (rounds, rest) = (sent / pool.len() as u64, (sent % pool.len() as u64) as usize);
    for index in (rest..pool.len()).filter(|_| rounds > 0) {
        pool.slots(index).iter().for_each(|slot| add(*slot, rounds, all));
    }
    for index in 0..rest {
        pool.slots(index).iter().for_each(|slot| add(*slot, rounds + 1, all));
    }
}

fn add(slot: Slot, times: u64, all: &mut [Expected]) {
    let expected = &mut all[slot.series as usize];
    expected.lines += times;
    expected.sum += times * u64::from(slot.value);
    expected.last = Some(slot.value);
    expected.values.insert(slot.value);
}

#[cfg(test)]
mod tests {
    use super::super::lines::render;
    use super::super::lines::tests::shape;
    use super::*;

    /// The obvious twin: replays the sending line by line.
    fn replay(pools: &[Pool], sent: &[u64], series: usize) -> Vec<Expected> {
        let mut all = vec![Expected::default(); series];
        for (pool, sent) in pools.iter().zip(sent) {
            for turn in 0..*sent {
                let index = (turn % pool.len() as u64) as usize;
                pool.slots(index).iter().for_each(|slot| add(*slot, 1, &mut all));
            }
        }
        all
    }

    #[test]
    fn the_ledger_is_what_a_replay_finds() {
        let pools = render(&shape(37, "c,g,s"), 3, false).unwrap();
        let len = pools[0].len() as u64;
        for sent in [[0, 1, 2], [len - 1, len, len + 1], [3 * len + 5, 0, 2 * len]] {
            assert_eq!(ledger(&pools, &sent, 37), replay(&pools, &sent, 37), "{sent:?}");
        }
    }
}
