//! Many computations of one request side by side: the groups of a query.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::error::Outcome;

/// The results for all items, in their order, or the first error found. `work` is told how many run side by side, so
/// that each takes its part of the threads and of the memory only.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T, usize) -> Outcome<R> + Sync,
) -> Outcome<Vec<R>> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let beside = cores.min(items.len());
    if beside < 2 {
        return items.iter().map(|item| work(item, 1)).collect();
    }
    // Relaxed: they order nothing; results are handed over by the end of a thread.
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = || -> Vec<(usize, Outcome<R>)> {
        let mut done = Vec::new();
        while !failed.load(Relaxed) {
            let at = next.fetch_add(1, Relaxed);
            let Some(item) = items.get(at) else { break };
            let result = work(item, beside);
            failed.fetch_or(result.is_err(), Relaxed);
            done.push((at, result));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..beside).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        others.into_iter().for_each(|other| done.extend(other.join().expect("a computation does not panic")));
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 2, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = each(&items, |item, beside| {
                assert!((1..=count).contains(&beside));
                Ok(2 * item)
            });
            assert_eq!(doubled.unwrap(), items.iter().map(|item| 2 * item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_all_of_it() {
        let items: Vec<usize> = (0..1_000_000).collect();
        let seen = AtomicUsize::new(0);
        let outcome = each(&items, |item, _| {
            seen.fetch_add(1, Relaxed);
            if *item == 3 { Err(ApiError::bad("three")) } else { Ok(()) }
        });
        assert!(outcome.is_err());
        assert!(seen.load(Relaxed) < items.len());
    }
}
