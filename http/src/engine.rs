//! What the API needs of the time series engine. The root crate implements it over the shards.
//!
//! Calls block: handlers run on blocking threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, Column, Granularity, Measures, Method, MetricId, Timestamp};

/// Measures of one metric in one request: one batch, in the order of the body.
#[derive(Clone, Debug)]
pub struct Post {
    /// The metric, known to be active.
    pub metric: MetricId,
    /// Its policy.
    pub policy: Arc<ArchivePolicy>,
    /// What its values are.
    pub kind: SeriesKind,
    /// At least one.
    pub measures: Measures,
}

/// One method of one granularity of one metric.
#[derive(Clone, Debug)]
pub struct Query {
    /// The metric, known to be active.
    pub metric: MetricId,
    /// Its policy.
    pub policy: Arc<ArchivePolicy>,
    /// In the policy.
    pub method: Method,
    /// In the policy.
    pub granularity: Granularity,
    /// Inclusive; already floored by the caller to what it wants. `None`: from the oldest kept.
    pub start: Option<Timestamp>,
    /// Exclusive, compared with the starts of buckets. `None`: to the newest.
    pub stop: Option<Timestamp>,
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Queues are full. Nothing was stored of what is refused; 503 with `Retry-After`.
    #[error("the server is too busy to take more measures now")]
    Busy,
    /// The store failed. 503 until an operator steps in.
    #[error("{0}")]
    Failed(String),
}

/// Numbers of the status page.
#[derive(Clone, Debug, Default)]
pub struct EngineStatus {
    /// Batches accepted and not yet applied, by metric.
    pub waiting: BTreeMap<MetricId, u64>,
    /// Live shards, `host.shard`.
    pub processors: Vec<String>,
    /// By shard, then by name.
    pub statistics: BTreeMap<String, BTreeMap<String, f64>>,
    /// Damaged values met so far, by the family they are in.
    pub damaged: BTreeMap<String, u64>,
    /// Prefixes of names whose new series are refused most often, because there are too many; most often first.
    pub refused_prefixes: Vec<(String, u64)>,
}

/// The engine.
pub trait Engine: Send + Sync {
    /// Stores measures; on return they are as durable as configured and every read shows them.
    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError>;

    /// Reads buckets, clipped to the policy's timespan counted from the newest bucket of the series.
    fn read(&self, query: &Query) -> Result<Column, EngineError>;

    /// Reads many, in the order asked. `_beside`: how many callers share the machine, this one among them.
    fn read_all(&self, queries: &[Query], _beside: usize) -> Result<Vec<Column>, EngineError> {
        queries.iter().map(|query| self.read(query)).collect()
    }

    /// Drops the live state and the data of metrics that the index no longer lists.
    fn forget(&self, metrics: &[MetricId]);

    /// Applies a changed policy to all its metrics.
    fn policy_changed(&self, policy: &Arc<ArchivePolicy>);

    /// What waits and who works.
    fn status(&self) -> EngineStatus;

    /// Why the store takes no writes now; `None` if it does.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Counters of the whole daemon in Prometheus text format.
    fn scrape(&self) -> String;
}
