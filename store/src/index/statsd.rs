//! Statsd series on their way to a metric.

use std::sync::Arc;

use orzo_model::metric::StatsdSeries;
use orzo_model::{ArchivePolicy, MetricId};

/// Where the metrics of a statsd door live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsdHome {
    /// The type of resources made for it. It must exist and require no attributes.
    pub resource_type: String,
    /// The type of resources that are made of attributes. It must exist; attributes that it does not have as text are
    /// left out.
    pub attribute_type: String,
    /// The principal who makes resources and metrics.
    pub creator: String,
    /// Names the resource of series that name none.
    pub default_resource: String,
    /// At most so many active metrics in the whole index may be made by the door; `None`: no limit.
    pub metrics_max: Option<u64>,
    /// At most so many active metrics on one resource may be made by the door; `None`: no limit.
    pub metrics_per_resource_max: Option<u64>,
    /// How many active metrics of doors may share the start of their names; `None`: any number.
    pub prefix_max: Option<PrefixLimit>,
}

/// How many metrics may share the start of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLimit {
    /// What is counted as the start, see [`orzo_model::metric::prefix`].
    pub segments: usize,
    /// At most so many.
    pub max: u64,
}

/// Asked before a metric is made for a series that has none; may refuse.
pub type Admit<'a> = dyn FnMut(&NewSeries) -> Result<(), Refusal> + 'a;

/// A series nobody in this process has resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSeries {
    /// Derived from the name; becomes the metric's id unless the name has one, or this one is burned.
    pub hash_id: MetricId,
    /// Text that names the resource; `None`: the door's default one.
    pub resource: Option<String>,
    /// What that resource gets if it is made now.
    pub attributes: Vec<(String, String)>,
    /// Name of the metric, tags included.
    pub name: String,
    /// What its values count.
    pub unit: Option<String>,
    /// Its type. Another type that owns the name already keeps it; this one becomes `name|type`.
    pub series: StatsdSeries,
    /// The policy configured for its type; `None`: by rule.
    pub policy: Option<String>,
}

/// What became of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// It has a metric.
    Metric {
        /// The id its points are stored by.
        id: MetricId,
        /// What is kept of it.
        policy: Arc<ArchivePolicy>,
        /// Whether it was made now.
        created: bool,
        /// Whether it is called `name|type` because another type owns the name.
        renamed: bool,
    },
    /// It gets none now.
    Refused(Refusal),
}

/// Why a series gets no metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The configured policy does not exist, or none is configured and no rule matches.
    NoPolicy,
    /// The index or the resource has as many metrics as the door may make.
    Limit,
    /// Its prefix has as many metrics as doors may make for one.
    PrefixLimit,
    /// Too many were made in this second.
    Rate,
    /// Too many of its prefix were made in this second.
    PrefixRate,
    /// Its resource cannot be named so, or not be made: the type is missing or requires attributes.
    Resource,
    /// The name is empty, too long or contains `/`; or the unit is too long.
    Name,
}
