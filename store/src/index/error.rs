//! Why the index did not do it; one variant for each thing the API has to say.

use std::fmt;

use orzo_model::MetricId;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An archive policy.
    Policy,
    /// An archive policy rule.
    Rule,
    /// A resource type.
    ResourceType,
    /// A resource; its name is its UUID.
    Resource,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Policy => "Archive policy",
            Kind::Rule => "Archive policy rule",
            Kind::ResourceType => "Resource type",
            Kind::Resource => "Resource",
        })
    }
}

/// Why nothing was changed, or nothing found. The display forms are the API's wording where it has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing asked for is not there.
    #[error("{0} {1} does not exist")]
    NotFound(Kind, String),
    /// The name is taken.
    #[error("{0} {1} already exists")]
    AlreadyExists(Kind, String),
    /// Others refer to it.
    #[error("{0} {1} is still in use")]
    InUse(Kind, String),
    /// It can be changed, but not so.
    #[error("{kind} {name} does not support change: {reason}")]
    UnsupportedChange {
        /// What.
        kind: Kind,
        /// Which.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A request names a policy that does not exist.
    #[error("Archive policy {0} does not exist")]
    UnknownPolicy(String),
    /// No policy was named, and no rule has one for this name.
    #[error("No archive policy name specified and no archive policy rule found matching the metric name {0}")]
    NoRuleMatches(String),
    /// A request names a metric that is not active, or not of the resource's creator.
    #[error("Metric {0} does not exist")]
    UnknownMetric(MetricId),
    /// The resource has an active metric of this name.
    #[error("Named metric {0} already exists")]
    NamedMetricExists(String),
    /// A resource would end before it starts.
    #[error("Start timestamp cannot be after end timestamp")]
    EndsBeforeStart,
    /// The resource has another revision than the one expected.
    #[error("the resource has changed")]
    Conflict,
    /// The resource type changed since the request was checked against it: read it and check again.
    #[error("resource type {0} has changed")]
    Outdated(String),
    /// No item has this marker.
    #[error("Invalid pagination: `Invalid marker: `{0}''")]
    InvalidMarker(String),
    /// Items have no such key.
    #[error("Invalid pagination: `Sort key supplied is invalid: {0}'")]
    InvalidSortKey(String),
    /// The store failed, or holds what it should not.
    #[error(transparent)]
    Store(#[from] crate::Error),
}

/// A result of the index.
pub type Result<T> = std::result::Result<T, Error>;
