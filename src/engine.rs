//! The API's view of shards and stores: the one place where fresh buckets meet stored ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use orzo_aggregator::{Handle, PostError, ReadKey};
use orzo_http::{EngineError, EngineStatus, Post, Query};
use orzo_model::{ArchivePolicy, Column, MetricId, Timestamp};
use orzo_store::{Aggregates, RowQuery};

use crate::scrape::Scrape;
use crate::stores::Stores;

/// Shards and stores together.
pub(crate) struct Engine {
    pub(crate) handle: Handle,
    pub(crate) aggregates: Arc<dyn Aggregates>,
    pub(crate) stores: Stores,
    pub(crate) scrape: Scrape,
    pub(crate) host: String,
    /// How many threads a large query may keep at work.
    pub(crate) threads: usize,
}

/// Fewer are not worth a thread.
const SERIES_PER_THREAD: usize = 8;

impl orzo_http::Engine for Engine {
    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError> {
        let posts =
            posts.into_iter().filter(|post| !post.measures.is_empty()).map(|post| orzo_aggregator::Post {
                id: post.metric,
                policy: post.policy,
                kind: post.kind,
                measures: post.measures,
            });
        self.handle.post(posts.collect()).map_err(|error| match error {
            PostError::Busy => EngineError::Busy,
            PostError::Failed(why) => EngineError::Failed(why),
        })
    }

    fn read(&self, query: &Query) -> Result<Column, EngineError> {
        let columns = self.read_all(std::slice::from_ref(query), 1)?;
        Ok(columns.into_iter().next().unwrap_or_default())
    }

    fn read_all(&self, queries: &[Query], beside: usize) -> Result<Vec<Column>, EngineError> {
        let key =
            |query: &Query| ReadKey { id: query.metric, width: query.granularity, method: query.method };
        // ORDER: memory first, then the store. What is missing from memory was stored before the store is
        // read, so nothing falls in between.
        let fresh = self.handle.read(&queries.iter().map(key).collect::<Vec<_>>());
        let mut jobs: Vec<(&Query, Column)> = queries.iter().zip(fresh).collect();
        let threads = self.threads.div_ceil(beside);
        let each = jobs.len().div_ceil(threads).max(SERIES_PER_THREAD);
        let mut parts: Vec<_> = jobs.chunks_mut(each).collect();
        let Some(own) = parts.pop() else { return Ok(Vec::new()) };
        thread::scope(|scope| {
            let others: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| self.complete(part))).collect();
            self.complete(own)?;
            others.into_iter().try_for_each(|part| part.join().expect("reading does not panic"))
        })?;
        Ok(jobs.into_iter().map(|(_, column)| column).collect())
    }

    fn forget(&self, metrics: &[MetricId]) {
        self.handle.forget(metrics);
    }

    fn policy_changed(&self, policy: &Arc<ArchivePolicy>) {
        self.handle.policy_changed(policy);
    }

    /// A measure is applied before it is acknowledged, so nothing ever waits.
    fn status(&self) -> EngineStatus {
        let name = |shard: usize| format!("{}.{shard}", self.host);
        let shards = 0..self.handle.shards();
        EngineStatus {
            waiting: BTreeMap::new(),
            processors: shards.clone().map(name).collect(),
            statistics: shards.map(|shard| (name(shard), self.scrape.shard_statistics(shard))).collect(),
            damaged: self.scrape.damaged().map(|(family, damaged)| (family.to_owned(), damaged)).into(),
            refused_prefixes: self.scrape.guard.offenders().prefixes,
        }
    }

    fn failure(&self) -> Option<String> {
        self.stores.kv.failure().map(|failure| failure.reason)
    }

    fn scrape(&self) -> String {
        self.scrape.text()
    }
}

impl Engine {
    /// Puts what the store has under what memory had.
    fn complete(&self, jobs: &mut [(&Query, Column)]) -> Result<(), EngineError> {
        for (query, column) in jobs {
            let fresh = std::mem::take(column);
            *column = self.complete_one(query, fresh)?;
        }
        Ok(())
    }

    fn complete_one(&self, query: &Query, fresh: Column) -> Result<Column, EngineError> {
        let start = query.start.unwrap_or_default();
        let stored = self.aggregates.read(&RowQuery {
            id: query.metric,
            width: query.granularity,
            method: query.method,
            start,
            stop: query.stop,
        });
        let stored = stored.map_err(failed)?;
        let horizon = self.horizon(query, &fresh, &stored)?;
        let mut column = overlay(stored, fresh);
        // The first bucket that is wanted, and the first after them.
        let from = horizon.map_or(start, |horizon| start.max(horizon.saturating_add(1)));
        column.clip(from, query.stop);
        Ok(column)
    }

    /// Buckets at or before it have expired: the policy's timespan back from the newest bucket of the
    /// series, whatever the query asks for.
    fn horizon(
        &self,
        query: &Query,
        fresh: &Column,
        stored: &Column,
    ) -> Result<Option<Timestamp>, EngineError> {
        let Some(timespan_ns) = query.policy.item(query.granularity).and_then(|item| item.timespan_ns())
        else {
            return Ok(None);
        };
        let newest_stored = match query.stop {
            None => stored.starts.last().copied(),
            Some(_) => {
                // A horizon before the start of the query changes nothing.
                let since = query.start.unwrap_or_default().saturating_add(timespan_ns);
                let newest = self.aggregates.newest(query.metric, query.granularity, query.method, since);
                newest.map_err(failed)?
            }
        };
        let newest = newest_stored.max(fresh.starts.last().copied());
        Ok(newest.and_then(|newest| newest.ns().checked_sub(timespan_ns)).and_then(Timestamp::from_ns))
    }
}

fn failed(error: orzo_store::Error) -> EngineError {
    EngineError::Failed(error.reason())
}

/// Both, ascending; fresh buckets replace stored ones.
fn overlay(mut stored: Column, fresh: Column) -> Column {
    let Some(first) = fresh.starts.first() else { return stored };
    // Most of what is stored is older than anything in memory.
    let beside = stored.split_off(stored.starts.partition_point(|start| start < first));
    let mut fresh = fresh.iter().peekable();
    for (at, value) in beside.iter() {
        while let Some((at, value)) = fresh.next_if(|(fresh_at, _)| *fresh_at < at) {
            stored.push(at, value);
        }
        match fresh.next_if(|(fresh_at, _)| *fresh_at == at) {
            Some((at, value)) => stored.push(at, value),
            None => stored.push(at, value),
        }
    }
    fresh.for_each(|(at, value)| stored.push(at, value));
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(buckets: &[(u64, f64)]) -> Column {
        buckets.iter().map(|(at, value)| (Timestamp::from_ns(*at).unwrap(), *value)).collect()
    }

    #[test]
    fn fresh_buckets_win() {
        let stored = column(&[(1, 1.0), (2, 2.0), (4, 4.0)]);
        let fresh = column(&[(0, 9.0), (2, 9.0), (3, 9.0), (5, 9.0)]);
        let expected = column(&[(0, 9.0), (1, 1.0), (2, 9.0), (3, 9.0), (4, 4.0), (5, 9.0)]);
        assert_eq!(overlay(stored, fresh), expected);
    }
}
