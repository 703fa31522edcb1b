//! The same work for many things, on as many threads as there are cores.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// The results for all items, in their order, or the first error found, after which nothing is begun any more.
///
/// `grain`: items that a thread takes at a time, and that are not worth another thread. `work` is told how many threads
/// work side by side, so that each takes its part of the machine only.
///
/// # Errors
/// What `work` says.
///
/// # Panics
/// If `work` does.
pub fn try_map<T: Sync, R: Send, E: Send>(
    items: &[T],
    grain: usize,
    work: impl Fn(&T, usize) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let grain = grain.max(1);
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let beside = cores.min(items.len().div_ceil(grain));
    if beside < 2 {
        return items.iter().map(|item| work(item, 1)).collect();
    }
    // Relaxed: they order nothing; results are handed over by the end of a thread.
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = || {
        let mut done = Vec::new();
        while !failed.load(Relaxed) {
            let first = next.fetch_add(grain, Relaxed);
            let Some(rest) = items.get(first..).filter(|rest| !rest.is_empty()) else { break };
            let results: Result<Vec<R>, E> =
                rest[..grain.min(rest.len())].iter().map(|item| work(item, beside)).collect();
            failed.fetch_or(results.is_err(), Relaxed);
            done.push((first, results));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..beside).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        others.into_iter().for_each(|other| done.extend(other.join().expect("the work does not panic")));
        done
    });
    done.sort_unstable_by_key(|(first, _)| *first);
    let mut all = Vec::with_capacity(items.len());
    for (_, results) in done {
        all.extend(results?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 2, 7, 1000] {
            for grain in [0, 1, 3, 500] {
                let items: Vec<usize> = (0..count).collect();
                let doubled = try_map(&items, grain, |item, beside| {
                    assert!((1..=count).contains(&beside));
                    Ok::<_, ()>(2 * item)
                });
                assert_eq!(doubled.unwrap(), items.iter().map(|item| 2 * item).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_error_ends_all_of_it_and_the_first_one_is_told() {
        let items: Vec<usize> = (0..1_000_000).collect();
        let seen = AtomicUsize::new(0);
        let outcome = try_map(&items, 2, |item, _| {
            seen.fetch_add(1, Relaxed);
            if *item >= 3 { Err(*item) } else { Ok(()) }
        });
        assert_eq!(outcome, Err(3));
        assert!(seen.load(Relaxed) < items.len());
    }
}
