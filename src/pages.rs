//! Small pages of memory while few series are in it, huge ones once they are many.
//!
//! In huge pages a small daemon holds half as much memory again, for nothing. Where gigabytes are read at random, the
//! tables of small pages are waited for, too.

use orzo_aggregator::Handle;
use rustix::io::Result;
use rustix::thread::disable_transparent_huge_pages;

/// Series in memory from which pages are huge: about 100 MiB.
const MANY: u64 = 100_000;

/// Makes pages small. To be called before much memory is taken.
pub(crate) fn start_small() {
    report(disable_transparent_huge_pages(true));
}

/// Waits for many series; from then on pages are huge for good.
#[derive(Default)]
pub(crate) struct Pages {
    huge: bool,
}

impl Pages {
    /// Cheap enough for each second.
    pub(crate) fn look(&mut self, handle: &Handle) {
        let series = (0..handle.shards()).map(|shard| handle.counters(shard).series.get());
        self.look_at(series.sum());
    }

    fn look_at(&mut self, series: u64) {
        if series >= MANY && !self.huge {
            self.huge = true;
            report(disable_transparent_huge_pages(false));
        }
    }
}

/// Pages then stay as they are, which costs no more than memory or time.
fn report(done: Result<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "the size of pages cannot be chosen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::transparent_huge_pages_are_disabled;

    #[test]
    fn pages_are_huge_from_many_series_on_and_stay_so() {
        start_small();
        let mut pages = Pages::default();
        for (series, small) in [(0, true), (MANY - 1, true), (MANY, false), (0, false)] {
            pages.look_at(series);
            assert_eq!(transparent_huge_pages_are_disabled(), Ok(small), "{series}");
        }
    }
}
