//! What callers hand in to change resources, metrics and policies, and what comes back.

use orzo_model::resource::{Resource, ResourceId};
use orzo_model::resource_type::Value;
use orzo_model::{Item, MetricId, Timestamp};

/// A change of an archive policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// All items, in their new order; granularities differ.
    pub items: Vec<Item>,
    /// `None`: as it was.
    pub back_window: Option<u32>,
}

/// A metric to be attached to a resource under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricSpec {
    /// An active metric of the resource's creator. It is renamed, and detached from where it was.
    Existing(MetricId),
    /// A new one; the resource's creator becomes its own.
    New {
        /// `None`: by rule.
        policy: Option<String>,
        /// What its values count.
        unit: Option<String>,
    },
}

/// A resource to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewResource {
    /// Derived from `original_id` and `creator`.
    pub id: ResourceId,
    /// The text it was asked for by, verbatim.
    pub original_id: String,
    /// The name of its type.
    pub resource_type: String,
    /// The principal.
    pub creator: String,
    /// Free text.
    pub user_id: Option<String>,
    /// Free text.
    pub project_id: Option<String>,
    /// `None`: `now`.
    pub started_at: Option<Timestamp>,
    /// `None`: it lives.
    pub ended_at: Option<Timestamp>,
    /// Checked by the type, required ones included.
    pub attributes: Vec<(String, Value)>,
    /// Names differ.
    pub metrics: Vec<(String, MetricSpec)>,
    /// When the first revision starts.
    pub now: Timestamp,
}

/// A change of a resource; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourcePatch {
    /// New user, or none.
    pub user_id: Option<Option<String>>,
    /// New project, or none.
    pub project_id: Option<Option<String>>,
    /// New start.
    pub started_at: Option<Timestamp>,
    /// New end.
    pub ended_at: Option<Timestamp>,
    /// New values of these attributes, checked by the type.
    pub attributes: Vec<(String, Value)>,
    /// The metrics it has from now on. Those it had and that are not listed are detached; names differ.
    pub metrics: Option<Vec<(String, MetricSpec)>>,
    /// The `revision_start` that the caller saw; the patch fails if the resource has another by now.
    pub expected: Option<Timestamp>,
    /// When the new revision, if any, starts.
    pub now: Timestamp,
}

/// What a patch left.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// The current state, with its metrics.
    pub resource: Resource,
    /// Whether a new revision began.
    pub revised: bool,
}

/// What a deletion took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// How many resources.
    pub resources: u64,
    /// Their metrics.
    pub metrics: Vec<MetricId>,
}

/// A metric to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMetric {
    /// Required with a resource.
    pub name: Option<String>,
    /// What its values count.
    pub unit: Option<String>,
    /// `None`: by rule.
    pub policy: Option<String>,
    /// The resource, of any type, it is attached to.
    pub resource: Option<ResourceId>,
    /// The principal.
    pub creator: String,
}

/// A metric whose data may still be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedMetric {
    /// Its id.
    pub id: MetricId,
    /// The policy it keeps from being deleted.
    pub policy: String,
}

/// Some of the resources that have no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivingPage {
    /// By id.
    pub living: Vec<ResourceId>,
    /// The last resource looked at, living or not; `None`: there are no more.
    pub last: Option<ResourceId>,
}

/// The last batch that came for a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whose.
    pub metric: MetricId,
    /// When it came.
    pub arrived: Timestamp,
    /// Its newest measure.
    pub newest: Timestamp,
}
