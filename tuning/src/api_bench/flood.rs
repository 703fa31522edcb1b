//! Many requests at once, and how long each took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::{Ask, Connection, Site};
use crate::blast::Error;

/// What some requests took.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing {
    /// Ascending.
    latencies: Vec<Duration>,
    pub(super) elapsed: Duration,
}

impl Timing {
    pub(super) fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Timing { latencies, elapsed }
    }

    pub(super) fn requests(&self) -> usize {
        self.latencies.len()
    }

    /// The value that so many percent do not exceed.
    pub(super) fn percentile(&self, percent: f64) -> Duration {
        let rank = (percent / 100.0 * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// How many of something a second, if all requests together did `count`.
    pub(super) fn rate(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends what `make` makes of 0, 1, 2… over some connections, each waiting for its answer, until all are sent or time is up.
/// Requests are made outside the time of any.
pub(super) fn flood(
    site: &Site,
    connections: usize,
    requests: u64,
    time: Duration,
    make: impl Fn(u64) -> Ask + Sync,
) -> Result<Timing, Error> {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let one = || {
        let mut connection = site.connect()?;
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests || start.elapsed() >= time {
                return Ok(latencies);
            }
            latencies.push(timed(&mut connection, &make(number))?.0);
        }
    };
    let latencies: Result<Vec<_>, Error> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    Ok(Timing::new(latencies?.concat(), start.elapsed()))
}

/// One request: how long it took, and the answer.
pub(super) fn timed(connection: &mut Connection<'_>, ask: &Ask) -> Result<(Duration, Vec<u8>), Error> {
    let start = Instant::now();
    let body = connection.ask(ask)?;
    Ok((start.elapsed(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let timing =
            Timing::new((1..=200).rev().map(Duration::from_millis).collect(), Duration::from_secs(2));
        assert_eq!(timing.percentile(50.0), Duration::from_millis(100));
        assert_eq!(timing.percentile(99.0), Duration::from_millis(198));
        assert_eq!(timing.percentile(100.0), Duration::from_millis(200));
        assert_eq!(timing.rate(1000), 500.0);
        assert_eq!(Timing::default().percentile(99.0), Duration::ZERO);
    }
}
