//! Metrics as the index knows them: everything about a series but its points.

use std::sync::Arc;

use crate::id::MetricId;
use crate::policy::ArchivePolicy;
use crate::resource::ResourceId;
use crate::series::SeriesKind;
use crate::time::Timestamp;

/// Longest name of a metric, policy, rule or resource type, in characters.
pub const NAME_CHARS_MAX: usize = 255;
/// Longest unit, in characters.
pub const UNIT_CHARS_MAX: usize = 31;

/// What a statsd door said about a metric it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsdSeries {
    /// The type's text: `c`, `g`, `ms`, `cT`, …
    pub type_text: String,
    /// How its points come about.
    pub kind: SeriesKind,
}

/// The first dotted segments of a statsd series' name, without its tags: what limits on prefixes count by.
///
/// # Examples
/// ```
/// use orzo_model::metric::prefix;
/// assert_eq!(prefix("app.web.hits@host=a.b", 2), "app.web");
/// assert_eq!(prefix("app@host=a.b", 2), "app");
/// ```
pub fn prefix(name: &str, segments: usize) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let end = name.match_indices('.').nth(segments.saturating_sub(1)).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

/// An active metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Unique, for ever.
    pub id: MetricId,
    /// Unique among the metrics of its resource; free without one.
    pub name: Option<String>,
    /// What its values count.
    pub unit: Option<String>,
    /// The principal who made it, or the creator of the resource it was made in.
    pub creator: String,
    /// The resource it is attached to.
    pub resource: Option<ResourceId>,
    /// As it was when the metric was read.
    pub policy: Arc<ArchivePolicy>,
    /// Who feeds it, if a statsd door does.
    pub statsd: Option<StatsdSeries>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Metric {
    /// What its values are: events only where a statsd door says so.
    pub fn kind(&self) -> SeriesKind {
        self.statsd.as_ref().map_or(SeriesKind::Sampled, |statsd| statsd.kind)
    }
}
