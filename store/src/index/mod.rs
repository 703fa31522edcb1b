//! The index: who exists. Archive policies, rules, resource types, resources with their history, and
//! metrics; everything but points.
//!
//! [`Index`] is what the API, the statsd doors and the janitor need of it. Calls block and may come
//! from any thread. A write is all or nothing, and durable when it returns (but for
//! [`Index::resolve`], and within [`put_off`]). Nothing assumes that this process is alone: what a caller read may be gone
//! when it writes, so a write checks everything itself and says what it missed. Conditions and orders
//! are values, so a back end with a query language can translate them.
//!
//! Left to callers: who may do what, the shapes of requests and answers, lengths of names, wording.
//! Clocks: "now" is an argument. Instants of resources are cut to microseconds here.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod error;
mod kv_index;
mod put_off;
mod query;
mod resource;
mod rule;
mod statsd;

use std::sync::Arc;

use orzo_model::filter::Condition;
use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId};
use orzo_model::resource_type::{ResourceType, TypeChange};
use orzo_model::{ArchivePolicy, MetricId, Timestamp};

pub use error::{Error, Kind, Result};
pub use kv_index::KvIndex;
pub(crate) use kv_index::audit;
pub use put_off::put_off;
pub use query::{Arrangement, MetricPage, NullsAt, ResourcePage, SortKey, Visibility};
pub use resource::{
    DeletedMetric, Deletion, Heard, LivingPage, MetricSpec, NewMetric, NewResource, Patched, PolicyChange,
    ResourcePatch,
};
pub use rule::Rule;
pub use statsd::{Admit, NewSeries, PrefixLimit, Refusal, Resolved, StatsdHome};

/// What exists, and how it changes.
pub trait Index: Send + Sync {
    // --- archive policies

    /// All policies, by name.
    fn policies(&self) -> Result<Vec<Arc<ArchivePolicy>>>;

    /// A policy. Errors: `NotFound(Policy)`.
    fn policy(&self, name: &str) -> Result<Arc<ArchivePolicy>>;

    /// Adds a policy. Errors: `AlreadyExists(Policy)`.
    fn create_policy(&self, policy: ArchivePolicy) -> Result<Arc<ArchivePolicy>>;

    /// Changes the points, their order, or the back window of a policy; the set of granularities must
    /// stay. Errors: `NotFound(Policy)`, `UnsupportedChange(Policy)`.
    fn update_policy(&self, name: &str, change: PolicyChange) -> Result<Arc<ArchivePolicy>>;

    /// Takes a policy away. Errors: `NotFound(Policy)`; `InUse(Policy)` while a rule or a metric, even
    /// a deleted one that is not expunged, refers to it.
    fn delete_policy(&self, name: &str) -> Result<()>;

    // --- archive policy rules

    /// All rules in the order in which they are tried: patterns descending, then names ascending.
    fn rules(&self) -> Result<Vec<Arc<Rule>>>;

    /// A rule. Errors: `NotFound(Rule)`.
    fn rule(&self, name: &str) -> Result<Arc<Rule>>;

    /// Adds a rule. Errors: `AlreadyExists(Rule)`, `UnknownPolicy`.
    fn create_rule(&self, rule: Rule) -> Result<Arc<Rule>>;

    /// Gives a rule another name; its own is fine. Errors: `NotFound(Rule)`; `UnsupportedChange(Rule)`
    /// if another has it.
    fn rename_rule(&self, name: &str, new_name: &str) -> Result<Arc<Rule>>;

    /// Takes a rule away. Errors: `NotFound(Rule)`.
    fn delete_rule(&self, name: &str) -> Result<()>;

    /// The policy of the first rule that matches a metric's name (none is the empty text).
    /// Errors: `NoRuleMatches`.
    fn policy_by_rule(&self, metric_name: &str) -> Result<Arc<ArchivePolicy>>;

    // --- resource types

    /// All types, by name; `generic` always exists.
    fn resource_types(&self) -> Result<Vec<Arc<ResourceType>>>;

    /// A type. Errors: `NotFound(ResourceType)`.
    fn resource_type(&self, name: &str) -> Result<Arc<ResourceType>>;

    /// Adds a type (its version is set to 0). Errors: `AlreadyExists(ResourceType)`.
    fn create_resource_type(&self, resource_type: ResourceType) -> Result<Arc<ResourceType>>;

    /// Applies a change planned on the type as it was read, to the type and, by and by, to all its
    /// resources and their history; readers see it at once. An empty change is none.
    /// Errors: `NotFound(ResourceType)`; `Outdated` if the type has changed since.
    fn change_resource_type(&self, change: &TypeChange) -> Result<Arc<ResourceType>>;

    /// Takes a type away. Errors: `NotFound(ResourceType)`; `InUse(ResourceType)` while it has
    /// resources, and always for `generic`.
    fn delete_resource_type(&self, name: &str) -> Result<()>;

    // --- resources

    /// Creates a resource and its metrics, or nothing. Errors: `NotFound(ResourceType)`;
    /// `AlreadyExists(Resource)` whatever the type of the other; `EndsBeforeStart`; `Outdated` if the
    /// attributes do not fit the type (any more); of its metrics `UnknownMetric`, `UnknownPolicy`,
    /// `NoRuleMatches`.
    fn create_resource(&self, new: NewResource) -> Result<Resource>;

    /// The current state of a resource, asked for through its type or `generic`.
    /// Errors: `NotFound(Resource)`, also for an unknown type.
    fn resource(&self, resource_type: &str, id: ResourceId) -> Result<Resource>;

    /// Changes a resource, all or nothing. A new revision begins if a field really changes; metrics
    /// never begin one. Errors: `NotFound(Resource)`; `Conflict` if `expected` is no longer current;
    /// `EndsBeforeStart`; `Outdated`; of its metrics as [`Index::create_resource`].
    fn patch_resource(&self, resource_type: &str, id: ResourceId, patch: ResourcePatch) -> Result<Patched>;

    /// Deletes a resource, its history and its metrics. `expected` as in [`ResourcePatch`].
    /// Errors: `NotFound(Resource)`, `Conflict`.
    fn delete_resource(
        &self,
        resource_type: &str,
        id: ResourceId,
        expected: Option<Timestamp>,
    ) -> Result<Deletion>;

    /// Lists or searches resources, or their revisions. Errors: `NotFound(ResourceType)`,
    /// `InvalidMarker`, `InvalidSortKey`.
    fn resources(&self, page: &ResourcePage<'_>) -> Result<Vec<Resource>>;

    /// Lists the revisions of one resource: `page.resource_type` is checked, `page.history` is implied.
    /// Errors: those of [`Index::resources`] and `NotFound(Resource)`.
    fn history(&self, id: ResourceId, page: &ResourcePage<'_>) -> Result<Vec<Resource>>;

    /// Looks at the resources after one, by id, at most `limit` of them, and finds those without an end.
    fn living(&self, after: Option<ResourceId>, limit: usize) -> Result<LivingPage>;

    /// Sets the end of resources of any type that have none to `now`, each as a new revision; those that are
    /// gone or start later are passed over. Says of how many.
    fn end_resources(&self, ids: &[ResourceId], now: Timestamp) -> Result<u64>;

    /// Clears the end of each resource of which a metric was heard after the end was set, with a measure at
    /// or after it; a new revision begins. Says of how many. Costs next to nothing while no resource has an
    /// end.
    fn revive(&self, heard: &[Heard], now: Timestamp) -> Result<u64>;

    /// Deletes resources that ended before an instant, the first ones first and at most `limit`, with their
    /// history and metrics. Costs by what it deletes.
    fn delete_ended(&self, before: Timestamp, limit: usize) -> Result<Deletion>;

    /// Deletes the resources of a type that meet a condition, with their history and metrics. Each
    /// resource goes as a whole; a failure may leave some of them. Errors: `NotFound(ResourceType)`.
    fn delete_resources(&self, resource_type: &str, condition: &Condition) -> Result<Deletion>;

    // --- metrics

    /// Creates metrics, each on its own: the answers are in the order of the wishes. Errors of one
    /// metric: `NotFound(Resource)`, `NamedMetricExists`, `UnknownPolicy`, `NoRuleMatches`.
    fn create_metrics(&self, new: Vec<NewMetric>, now: Timestamp) -> Result<Vec<Result<Metric>>>;

    /// Adds metrics to a resource, all or nothing, and lists all it has then, by id.
    /// Errors: `NotFound(Resource)`, `NamedMetricExists`, `UnknownMetric`, `UnknownPolicy`,
    /// `NoRuleMatches`.
    fn add_metrics(
        &self,
        resource_type: &str,
        id: ResourceId,
        metrics: Vec<(String, MetricSpec)>,
        now: Timestamp,
    ) -> Result<Vec<Metric>>;

    /// Active metrics by id; `None` where there is none.
    fn metrics_by_id(&self, ids: &[MetricId]) -> Result<Vec<Option<Metric>>>;

    /// Active metrics by resource and name; `None` where there is none.
    fn metrics_by_name(&self, names: &[(ResourceId, &str)]) -> Result<Vec<Option<Metric>>>;

    /// The active metrics of a resource, by id; empty if there is no such resource.
    fn metrics_of(&self, id: ResourceId) -> Result<Vec<Metric>>;

    /// Names and ids of active metrics of a resource, by name, after one if given, at most `limit`.
    fn metric_ids(
        &self,
        id: ResourceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, MetricId)>>;

    /// Lists active metrics. Errors: `InvalidMarker`, `InvalidSortKey`.
    fn metrics(&self, page: &MetricPage<'_>) -> Result<Vec<Metric>>;

    /// Deletes active metrics and says which: at once for every reader, their data later. Others are
    /// passed over.
    fn delete_metrics(&self, ids: &[MetricId]) -> Result<Vec<MetricId>>;

    /// Metrics that are deleted and not expunged, by id, at most `limit`, after `after` if given.
    fn deleted_metrics(&self, after: Option<MetricId>, limit: usize) -> Result<Vec<DeletedMetric>>;

    /// Forgets deleted metrics whose data is gone; others are passed over. Ids derived from statsd
    /// names stay burned.
    fn expunge(&self, ids: &[MetricId]) -> Result<()>;

    /// Changes with whatever can make an answer wrong that was right before: not with what is only added. Who keeps
    /// answers reads it before he asks, and throws them away when it is another.
    fn revision(&self) -> u64;

    /// How many metrics are active.
    fn metrics_count(&self) -> Result<u64>;

    /// How many damaged values were met; each is passed over as if it were not there.
    fn damaged(&self) -> u64;

    /// Makes durable what was written before, but for what is durable anyway. See [`put_off`].
    fn sync(&self) -> Result<()>;

    // --- statsd

    /// Finds or makes the metrics of statsd series, in the order asked. Only what is about to be made meets
    /// limits and `admit`. Idempotent. Survives the death of the process on return, that of the machine only
    /// after a later durable write.
    fn resolve(
        &self,
        home: &StatsdHome,
        new: &[NewSeries],
        admit: &mut Admit<'_>,
        now: Timestamp,
    ) -> Result<Vec<Resolved>>;
}

/// Reads one metric. See [`Index::metrics_by_id`].
pub fn metric(index: &dyn Index, id: MetricId) -> Result<Option<Metric>> {
    Ok(index.metrics_by_id(&[id])?.into_iter().flatten().next())
}

/// Reads one metric of a resource. See [`Index::metrics_by_name`].
pub fn metric_named(index: &dyn Index, id: ResourceId, name: &str) -> Result<Option<Metric>> {
    Ok(index.metrics_by_name(&[(id, name)])?.into_iter().flatten().next())
}
