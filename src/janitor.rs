//! What happens to what is stored when nobody asks: deleted metrics are expunged, silent resources end, those
//! that speak again go on, and those whose end is long past are deleted.
//!
//! A round costs by what it does, not by what is stored: deleted metrics and ended resources lie together in
//! the index, and the search for silence (`silence`) goes on page by page from round to round.

mod silence;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use orzo_aggregator::Handle;
use orzo_base::Stop;
use orzo_model::{MetricId, Timestamp};
use orzo_store::index::Result;
use orzo_store::{Aggregates, Backlog, Index};

use self::silence::Walk;
use crate::pages::Pages;

/// Time between two looks at who spoke again; rounds begin at such a look.
const TICK: Duration = Duration::from_secs(1);
/// A deleted metric waits at least so long to be expunged: by then no checkpoint of it is under way.
const GRACE: Duration = Duration::from_secs(10);
/// Deleted metrics that wait in memory to be expunged, 16 bytes each. The others wait in the index.
const DOOMED_MAX: usize = 1 << 20;

/// What the operator decides.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Time between two rounds.
    pub(crate) interval: Duration,
    /// Metrics or resources handled in one step.
    pub(crate) batch: usize,
    /// A resource all of whose metrics have been silent for so long ends.
    pub(crate) inactive_after: Option<Duration>,
    /// A resource that ended so long ago is deleted.
    pub(crate) cleanup_after: Option<Duration>,
}

/// The body of the janitor thread.
pub(crate) struct Janitor {
    pub(crate) index: Arc<dyn Index>,
    pub(crate) aggregates: Arc<dyn Aggregates>,
    pub(crate) backlog: Arc<dyn Backlog>,
    pub(crate) handle: Handle,
    pub(crate) rules: Rules,
    pub(crate) clock: fn() -> Timestamp,
    /// Seen deleted in an earlier round, and when.
    doomed: Option<(Vec<MetricId>, Instant)>,
    walk: Walk,
    pages: Pages,
}

impl Janitor {
    pub(crate) fn new(
        index: Arc<dyn Index>,
        aggregates: Arc<dyn Aggregates>,
        backlog: Arc<dyn Backlog>,
        handle: Handle,
        rules: Rules,
        clock: fn() -> Timestamp,
    ) -> Self {
        let walk = Walk::starting(clock());
        let pages = Pages::default();
        Janitor { index, aggregates, backlog, handle, rules, clock, doomed: None, walk, pages }
    }

    /// Runs until stopped.
    pub(crate) fn run(mut self, stop: &Stop) {
        let thread = std::thread::current();
        stop.on_request(move || thread.unpark());
        let mut next_round = Instant::now();
        while !stop.requested() {
            self.pages.look(&self.handle);
            complain("resources that spoke again could not be woken", self.wake());
            if Instant::now() >= next_round {
                self.round(stop);
                next_round = Instant::now() + self.rules.interval;
            } else if self.walks_on() {
                complain("silent resources could not be ended", self.end_silent());
            }
            std::thread::park_timeout(TICK.min(self.rules.interval));
        }
    }

    fn round(&mut self, stop: &Stop) {
        complain("deleted metrics could not be expunged", self.expunge(GRACE, stop));
        complain("silent resources could not be ended", self.end_silent());
        complain("ended resources could not be deleted", self.delete_ended(stop));
    }

    /// Expunges the metrics that were seen deleted at least `grace` ago, and looks for further ones.
    fn expunge(&mut self, grace: Duration, stop: &Stop) -> Result<()> {
        if let Some((doomed, _)) = self.doomed.take_if(|(_, since)| since.elapsed() >= grace) {
            for chunk in doomed.chunks(self.rules.batch) {
                if stop.requested() {
                    return Ok(());
                }
                for id in chunk {
                    self.aggregates.retire(*id)?;
                    self.backlog.forget(*id)?;
                }
                self.index.expunge(chunk)?;
            }
            if !doomed.is_empty() {
                tracing::info!(metrics = doomed.len(), "expunged deleted metrics");
            }
        }
        if self.doomed.is_none() {
            let deleted = self.deleted()?;
            // Shards were told by whoever deleted them, unless the store failed at that moment and had deleted them
            // all the same.
            if !deleted.is_empty() {
                self.handle.forget(&deleted);
            }
            self.doomed = Some((deleted, Instant::now()));
        }
        Ok(())
    }

    fn deleted(&self) -> Result<Vec<MetricId>> {
        let mut found: Vec<MetricId> = Vec::new();
        while found.len() < DOOMED_MAX {
            let page = self.index.deleted_metrics(found.last().copied(), self.rules.batch)?;
            let last = page.len() < self.rules.batch;
            found.extend(page.into_iter().map(|metric| metric.id));
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// Clears the ends of resources whose metrics spoke again.
    fn wake(&self) -> Result<()> {
        let news = self.handle.news();
        let woken = self.index.revive(&news, (self.clock)())?;
        if woken > 0 {
            tracing::info!(
                resources = woken,
                "resources with an end were heard again: they have none any more"
            );
        }
        Ok(())
    }

    /// Deletes the resources that ended long ago, with their history and metrics.
    fn delete_ended(&self, stop: &Stop) -> Result<()> {
        let Some(age) = self.rules.cleanup_after else { return Ok(()) };
        let before = back(self.now(), age);
        while !stop.requested() {
            let deletion = self.index.delete_ended(before, self.rules.batch)?;
            if deletion.resources == 0 {
                break;
            }
            self.handle.forget(&deletion.metrics);
            let metrics = deletion.metrics.len();
            tracing::info!(resources = deletion.resources, metrics, "deleted resources that ended long ago");
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

fn back(now: Timestamp, age: Duration) -> Timestamp {
    now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX))
}

/// What fails is tried again in the next round.
fn complain(what: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what}");
    }
}
