//! Pages of resources and metrics: which, in what order, from where, how many.

use orzo_model::MetricId;
use orzo_model::filter::{Condition, Like};
use orzo_model::resource::ResourceId;

/// Where nulls go in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NullsAt {
    /// Before everything.
    First,
    /// After everything.
    Last,
}

/// Which way a key orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrangement {
    /// Small to great.
    Ascending,
    /// Great to small.
    Descending,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// An API name of a field: `started_at`, `archive_policy_name`, an attribute, …
    pub key: String,
    /// Which way.
    pub arrangement: Arrangement,
    /// `None`: nulls are greater than everything.
    pub nulls: Option<NullsAt>,
}

impl SortKey {
    /// An ascending key.
    pub fn ascending(key: &str) -> Self {
        SortKey { key: key.to_owned(), arrangement: Arrangement::Ascending, nulls: None }
    }
}

/// A page of resources or revisions.
#[derive(Clone, Debug)]
pub struct ResourcePage<'a> {
    /// Only resources of this type; `generic`: of all types.
    pub resource_type: &'a str,
    /// Only those it is true of. Bound to the same type.
    pub condition: &'a Condition,
    /// Whether archived states are items too, each tested by its own values.
    pub history: bool,
    /// The order; unique keys are added. `None`: `revision_start`, then `started_at`, ascending.
    /// Attributes only if the type has them, `revision` and `revision_end` only with history.
    pub order: Option<&'a [SortKey]>,
    /// The last item of the page before: a UUID, with history `uuid@revision`. It need not meet the
    /// condition.
    pub marker: Option<&'a str>,
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
    /// Whether the answer names the metrics of the resources.
    pub metrics: bool,
}

impl<'a> ResourcePage<'a> {
    /// Everything of a type that meets a condition, with its metrics, in default order.
    pub fn all(resource_type: &'a str, condition: &'a Condition) -> Self {
        let (order, marker, limit) = (None, None, None);
        ResourcePage { resource_type, condition, history: false, order, marker, limit, metrics: true }
    }
}

/// Whose metrics a caller may see: those whose creator is like a pattern, and those of resources that
/// meet a condition.
#[derive(Clone, Debug)]
pub struct Visibility {
    /// Of the creator of the metric; `None`: of none.
    pub creator: Option<Like>,
    /// Of the resource of the metric, bound to `generic`.
    pub resource: Condition,
}

/// A page of active metrics. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct MetricPage<'a> {
    /// With this id.
    pub id: Option<MetricId>,
    /// Of this name.
    pub name: Option<&'a str>,
    /// Of this unit.
    pub unit: Option<&'a str>,
    /// Of this archive policy.
    pub policy: Option<&'a str>,
    /// Made by this principal.
    pub creator: Option<&'a str>,
    /// Attached to this resource.
    pub resource: Option<ResourceId>,
    /// That this allows to see; `None`: any.
    pub visible: Option<&'a Visibility>,
    /// The order over `id`, `name`, `unit`, `creator`, `resource_id`, `archive_policy_name`, `status`;
    /// unique keys are added. `None`: by id.
    pub order: Option<&'a [SortKey]>,
    /// The id of the last item of the page before.
    pub marker: Option<&'a str>,
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
}
