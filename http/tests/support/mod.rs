//! An engine in memory: every batch goes into a series that is never checkpointed, every read computes
//! its rows anew. Slow, and hard to get wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use orzo_http::{Engine, EngineError, EngineStatus, Post, Query};
use orzo_model::series::{Series, SeriesKind};
use orzo_model::{ArchivePolicy, Column, MetricId};

/// The engine.
#[derive(Default)]
pub(crate) struct MemoryEngine {
    series: Mutex<HashMap<MetricId, (Series, u64)>>,
}

impl MemoryEngine {
    fn series(&self) -> MutexGuard<'_, HashMap<MetricId, (Series, u64)>> {
        self.series.lock().expect("no holder of the lock panics")
    }
}

impl Engine for MemoryEngine {
    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError> {
        let mut all = self.series();
        for mut post in posts {
            let new = || (Series::new(SeriesKind::Sampled, post.policy.clone()), 0);
            let (series, seq) = all.entry(post.metric).or_insert_with(new);
            *seq += 1;
            series.insert(*seq, &mut post.measures);
        }
        Ok(())
    }

    fn read(&self, query: &Query) -> Result<Column, EngineError> {
        let all = self.series();
        let Some((series, _)) = all.get(&query.metric) else { return Ok(Column::default()) };
        let column = series.column(query.granularity, query.method);
        let oldest =
            query.policy.item(query.granularity).and_then(|item| item.timespan_ns()).and_then(|span| {
                let newest = *column.starts.last()?;
                Some(newest.saturating_add(query.granularity.ns()).saturating_sub(span))
            });
        let inside = |at| oldest.is_none_or(|oldest| at >= oldest);
        let asked =
            |at| query.start.is_none_or(|start| at >= start) && query.stop.is_none_or(|stop| at < stop);
        Ok(column.iter().filter(|(at, _)| inside(*at) && asked(*at)).collect())
    }

    fn forget(&self, metrics: &[MetricId]) {
        let mut all = self.series();
        metrics.iter().for_each(|id| drop(all.remove(id)));
    }

    fn policy_changed(&self, policy: &Arc<ArchivePolicy>) {
        let mut all = self.series();
        for (series, _) in all.values_mut().filter(|(series, _)| series.policy().name == policy.name) {
            series.set_policy(policy.clone());
        }
    }

    fn status(&self) -> EngineStatus {
        EngineStatus {
            waiting: BTreeMap::new(),
            processors: vec!["memory.0".to_owned()],
            ..Default::default()
        }
    }

    fn scrape(&self) -> String {
        "orzo_up 1\n".to_owned()
    }
}
