//! Ends the resources all of whose metrics have fallen silent.
//!
//! When a metric was last heard is known by its series: in memory, and in its window since the last
//! checkpoint, which is written anyway. So no measure costs a record, and to know whether a resource is
//! silent its metrics have to be looked at. One that was heard settles it, and nearly always that is one of
//! the first, in memory. The walk over the resources takes one page a round, however many there are, and
//! goes on where it left off; if there is more, the next page comes earlier, but the walk never takes more
//! than a fiftieth of one core.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use orzo_model::metric::Metric;
use orzo_model::resource::ResourceId;
use orzo_model::series::Series;
use orzo_model::{MetricId, Timestamp};
use orzo_store::index::{Error, Result};

use super::{Janitor, back};

/// Resources that are asked about together.
const GROUP: usize = 256;
/// Metrics of each that are asked about first.
const FIRST_METRICS: usize = 8;
/// Metrics of a resource looked at together, if the first ones are silent.
const METRICS: usize = 1024;
/// After a start nothing ends for so long, or for `metric_inactive_after` if that is shorter: while the daemon
/// was away nobody could be heard.
const LISTENING_FIRST: Duration = Duration::from_secs(3600);
/// The share of a core that the walk takes is one in so many.
const SHARE: u32 = 50;

/// How far the walk over the resources has come.
pub(super) struct Walk {
    started: Timestamp,
    after: Option<ResourceId>,
    /// When the next page may be looked at.
    due: Instant,
}

impl Walk {
    pub(super) fn starting(now: Timestamp) -> Self {
        Walk { started: now, after: None, due: Instant::now() }
    }

    #[cfg(test)]
    pub(super) fn due_now(&mut self) {
        self.due = Instant::now();
    }
}

impl Janitor {
    /// Looks at a page of resources, if it is time, and ends the silent ones.
    pub(super) fn end_silent(&mut self) -> Result<()> {
        let Some(age) = self.rules.inactive_after else { return Ok(()) };
        let now = self.now();
        if self.walk.started > back(now, age.min(LISTENING_FIRST)) || Instant::now() < self.walk.due {
            return Ok(());
        }
        let began = Instant::now();
        let page = self.index.living(self.walk.after, self.rules.batch)?;
        let since = back(now, age);
        for group in page.living.chunks(GROUP) {
            let silent = self.silent(group, since)?;
            let ended = self.index.end_resources(&silent, self.now())?;
            if ended > 0 {
                tracing::info!(resources = ended, "ended resources whose metrics are silent");
            }
        }
        self.walk.after = page.last;
        self.walk.due = began + began.elapsed() * SHARE;
        Ok(())
    }

    /// Whether a page waits to be looked at.
    pub(super) fn walks_on(&self) -> bool {
        self.walk.after.is_some() && Instant::now() >= self.walk.due
    }

    /// Those of some resources of which no metric was heard since.
    fn silent(&self, group: &[ResourceId], since: Timestamp) -> Result<Vec<ResourceId>> {
        let first = |id: &ResourceId| Ok((*id, self.metrics_after(*id, None, FIRST_METRICS)?.0));
        let first: Vec<(ResourceId, Vec<MetricId>)> = group.iter().map(first).collect::<Result<_>>()?;
        let asked: Vec<MetricId> = first.iter().flat_map(|(_, metrics)| metrics).copied().collect();
        let heard = self.handle.heard(&asked).into_iter().filter(|heard| heard.arrived >= since);
        let heard: HashSet<MetricId> = heard.map(|heard| heard.metric).collect();
        let mut silent = Vec::new();
        for (id, metrics) in first {
            if !metrics.iter().any(|metric| heard.contains(metric)) && self.is_silent(id, since)? {
                silent.push(id);
            }
        }
        Ok(silent)
    }

    /// A resource without metrics is not silent: nothing is to be heard of it.
    fn is_silent(&self, id: ResourceId, since: Timestamp) -> Result<bool> {
        let mut after = None;
        loop {
            let (metrics, last) = self.metrics_after(id, after.as_deref(), METRICS)?;
            if metrics.is_empty() {
                return Ok(after.is_some());
            }
            if self.any_heard(&metrics, since)? {
                return Ok(false);
            }
            after = last;
        }
    }

    /// Metrics of a resource after a name, and the name of the last of them.
    fn metrics_after(
        &self,
        id: ResourceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<MetricId>, Option<String>)> {
        let mut names = self.index.metric_ids(id, after, limit)?;
        let metrics = names.iter().map(|(_, metric)| *metric).collect();
        Ok((metrics, names.pop().map(|(name, _)| name)))
    }

    fn any_heard(&self, metrics: &[MetricId], since: Timestamp) -> Result<bool> {
        let heard = self.handle.heard(metrics);
        if heard.iter().any(|heard| heard.arrived >= since) {
            return Ok(true);
        }
        let present: HashSet<MetricId> = heard.into_iter().map(|heard| heard.metric).collect();
        let away: Vec<MetricId> = metrics.iter().copied().filter(|id| !present.contains(id)).collect();
        for metric in self.index.metrics_by_id(&away)?.into_iter().flatten() {
            if self.last_heard(metric)? >= since {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When a metric was heard that is not in memory; if never, when it was made.
    fn last_heard(&self, metric: Metric) -> Result<Timestamp> {
        let window = self.backlog.window(metric.id).map_err(Error::Store)?;
        // A window that does not decode is counted where it is used.
        let series = window.and_then(|window| Series::decode(&window, metric.policy).ok());
        Ok(series.map_or(Timestamp::EPOCH, |series| series.heard().0).max(metric.created_at))
    }
}
