//! The index over an ordered key-value engine: documents by key, secondary keys beside them, all of a
//! change in one batch.
//!
//! One writer at a time, under a mutex that is not held while syncing; readers go straight to the
//! engine and are never blocked. Readers see each document whole, and what they read one after the
//! other may differ by what was written in between: what vanished is left out.
//!
//! Orders other than the default one are kept in memory while somebody asks for them, see [`orders`].
//!
//! The layout is drawn in `docs/format/index.md`; keys are made in [`keys`] alone, documents in
//! [`documents`] alone.

pub(crate) mod audit;
mod catalog;
mod damage;
mod deletion;
mod documents;
mod flat;
mod glance;
mod keys;
mod lifetime;
mod listing;
mod metrics;
mod needle;
mod order;
mod orders;
mod plan;
mod policies;
mod prefixes;
mod resources;
mod rows;
mod scan;
mod search;
mod statsd;
mod transaction;
mod types;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orzo_model::filter::Condition;
use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId};
use orzo_model::resource_type::{ResourceType, TypeChange};
use orzo_model::{ArchivePolicy, MetricId, Timestamp};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use self::catalog::Catalog;
use self::damage::Damage;
use self::documents::{Counters, decode};
use self::orders::Orders;
use self::transaction::Writer;
use super::{
    Admit, DeletedMetric, Deletion, Heard, Index, LivingPage, MetricPage, MetricSpec, NewMetric, NewResource,
    NewSeries, Patched, PolicyChange, Resolved, ResourcePage, ResourcePatch, Result, Rule, StatsdHome,
};
use crate::error::Result as StoreResult;
use crate::kv::{Family, Kv};
use crate::limits;

/// How many documents a search reads one by one before it looks for another way. Reading in sequence
/// costs about a fifth of that, and a database has some 100 000 resources.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// So many are read one by one without a thought.
    few: usize,
    /// More than this, and reading everything in sequence is taken to be cheaper.
    many: usize,
}

const EFFORT: Effort = Effort { few: 2_048, many: 16_384 };

/// The index of one process, alone with its engine.
pub struct KvIndex {
    kv: Arc<dyn Kv>,
    effort: Effort,
    /// Draws the id of a metric that nobody derives one for.
    draw_id: fn() -> MetricId,
    /// Read after what refers to it; replaced by writers, after the write.
    catalog: RwLock<Arc<Catalog>>,
    writer: Mutex<Writer>,
    /// What pages that are sorted by other keys than by default are read from.
    orders: Orders,
    /// [`Counters::metrics`], for readers.
    metrics_count: AtomicU64,
    revision: AtomicU64,
    damage: Damage,
}

impl KvIndex {
    /// Opens the index that the engine holds; an empty engine is an empty index.
    pub fn open(kv: Arc<dyn Kv>) -> StoreResult<Self> {
        let damage = Damage::default();
        let catalog = Catalog::load(&*kv, &mut |key| damage.note(key))?;
        let counters = match kv.get(Family::Index, keys::COUNTERS)? {
            Some(bytes) => decode(&bytes, "counters").or_else(|_| {
                damage.note(keys::COUNTERS);
                Counters::counted(&*kv)
            })?,
            None => Counters::default(),
        };
        let metrics_count = AtomicU64::new(counters.metrics);
        let writer = Mutex::new(Writer::new(counters));
        let catalog = RwLock::new(Arc::new(catalog));
        let orders = Orders::new(limits::ORDERS_BYTES, limits::ORDERS);
        let revision = AtomicU64::new(0);
        let (effort, draw_id) = (EFFORT, random_id as fn() -> MetricId);
        Ok(KvIndex { kv, effort, draw_id, catalog, writer, orders, metrics_count, revision, damage })
    }

    /// Draws ids otherwise: a simulation takes them from its seed.
    pub fn with_ids(self, draw_id: fn() -> MetricId) -> Self {
        KvIndex { draw_id, ..self }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    /// Answers from before may be wrong now.
    fn revise(&self) {
        // ORDER: Release, so that whoever reads the new number finds what was written before.
        self.revision.fetch_add(1, Ordering::Release);
    }
}

fn random_id() -> MetricId {
    Uuid::new_v4().into()
}

impl Index for KvIndex {
    fn policies(&self) -> Result<Vec<Arc<ArchivePolicy>>> {
        Ok(self.catalog().policies.values().cloned().collect())
    }

    fn policy(&self, name: &str) -> Result<Arc<ArchivePolicy>> {
        self.catalog().policy(name).cloned()
    }

    fn create_policy(&self, policy: ArchivePolicy) -> Result<Arc<ArchivePolicy>> {
        self.add_policy(policy)
    }

    fn update_policy(&self, name: &str, change: PolicyChange) -> Result<Arc<ArchivePolicy>> {
        self.change_policy(name, change)
    }

    fn delete_policy(&self, name: &str) -> Result<()> {
        self.remove_policy(name)
    }

    fn rules(&self) -> Result<Vec<Arc<Rule>>> {
        Ok(self.catalog().rules.values().map(|compiled| compiled.rule.clone()).collect())
    }

    fn rule(&self, name: &str) -> Result<Arc<Rule>> {
        self.catalog().rule(name).cloned()
    }

    fn create_rule(&self, rule: Rule) -> Result<Arc<Rule>> {
        self.add_rule(rule)
    }

    fn rename_rule(&self, name: &str, new_name: &str) -> Result<Arc<Rule>> {
        self.change_rule_name(name, new_name)
    }

    fn delete_rule(&self, name: &str) -> Result<()> {
        self.remove_rule(name)
    }

    fn policy_by_rule(&self, metric_name: &str) -> Result<Arc<ArchivePolicy>> {
        self.catalog().policy_by_rule(metric_name).cloned()
    }

    fn resource_types(&self) -> Result<Vec<Arc<ResourceType>>> {
        Ok(self.catalog().types.values().map(|entry| entry.public.clone()).collect())
    }

    fn resource_type(&self, name: &str) -> Result<Arc<ResourceType>> {
        Ok(self.catalog().resource_type(name)?.public.clone())
    }

    fn create_resource_type(&self, resource_type: ResourceType) -> Result<Arc<ResourceType>> {
        self.add_type(resource_type)
    }

    fn change_resource_type(&self, change: &TypeChange) -> Result<Arc<ResourceType>> {
        self.change_type(change)
    }

    fn delete_resource_type(&self, name: &str) -> Result<()> {
        self.remove_type(name)
    }

    fn create_resource(&self, new: NewResource) -> Result<Resource> {
        self.add_resource(new)
    }

    fn resource(&self, resource_type: &str, id: ResourceId) -> Result<Resource> {
        self.find_resource(resource_type, id)
    }

    fn patch_resource(&self, resource_type: &str, id: ResourceId, patch: ResourcePatch) -> Result<Patched> {
        let done = self.change_resource(resource_type, id, patch);
        self.revise();
        done
    }

    fn delete_resource(
        &self,
        resource_type: &str,
        id: ResourceId,
        expected: Option<Timestamp>,
    ) -> Result<Deletion> {
        self.remove_resource(resource_type, id, expected)
    }

    fn resources(&self, page: &ResourcePage<'_>) -> Result<Vec<Resource>> {
        self.find_resources(page)
    }

    fn history(&self, id: ResourceId, page: &ResourcePage<'_>) -> Result<Vec<Resource>> {
        self.find_history(id, page)
    }

    fn delete_resources(&self, resource_type: &str, condition: &Condition) -> Result<Deletion> {
        self.remove_resources(resource_type, condition)
    }

    fn create_metrics(&self, new: Vec<NewMetric>, now: Timestamp) -> Result<Vec<Result<Metric>>> {
        self.add_metrics_alone(new, now)
    }

    fn add_metrics(
        &self,
        resource_type: &str,
        id: ResourceId,
        metrics: Vec<(String, MetricSpec)>,
        now: Timestamp,
    ) -> Result<Vec<Metric>> {
        self.add_metrics_to(resource_type, id, &metrics, now)
    }

    fn metrics_by_id(&self, ids: &[MetricId]) -> Result<Vec<Option<Metric>>> {
        Ok(self.find_many(ids)?)
    }

    fn metrics_by_name(&self, names: &[(ResourceId, &str)]) -> Result<Vec<Option<Metric>>> {
        let found = names.iter().map(|(id, name)| self.find_metric_named(*id, name));
        Ok(found.collect::<StoreResult<_>>()?)
    }

    fn metrics_of(&self, id: ResourceId) -> Result<Vec<Metric>> {
        Ok(self.find_metrics_of(id)?)
    }

    fn metrics(&self, page: &MetricPage<'_>) -> Result<Vec<Metric>> {
        self.find_metrics(page)
    }

    fn delete_metrics(&self, ids: &[MetricId]) -> Result<Vec<MetricId>> {
        self.remove_metrics(ids)
    }

    fn deleted_metrics(&self, after: Option<MetricId>, limit: usize) -> Result<Vec<DeletedMetric>> {
        self.find_deleted(after, limit)
    }

    fn expunge(&self, ids: &[MetricId]) -> Result<()> {
        self.forget_metrics(ids)
    }

    fn living(&self, after: Option<ResourceId>, limit: usize) -> Result<LivingPage> {
        Ok(self.find_living(after, limit)?)
    }

    fn metric_ids(
        &self,
        id: ResourceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, MetricId)>> {
        Ok(self.find_metric_ids(id, after, limit)?)
    }

    fn end_resources(&self, ids: &[ResourceId], now: Timestamp) -> Result<u64> {
        self.set_ends(ids, now)
    }

    fn revive(&self, heard: &[Heard], now: Timestamp) -> Result<u64> {
        self.clear_ends(heard, now)
    }

    fn delete_ended(&self, before: Timestamp, limit: usize) -> Result<Deletion> {
        self.remove_ended(before, limit)
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    fn metrics_count(&self) -> Result<u64> {
        Ok(self.metrics_count.load(Ordering::Relaxed))
    }

    fn damaged(&self) -> u64 {
        self.damage.met()
    }

    fn sync(&self) -> Result<()> {
        Ok(self.kv.sync()?)
    }

    fn resolve(
        &self,
        home: &StatsdHome,
        new: &[NewSeries],
        admit: &mut Admit<'_>,
        now: Timestamp,
    ) -> Result<Vec<Resolved>> {
        self.resolve_series(home, new, admit, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::conformance::{Database, index_conformance};
    use crate::memory::MemoryKv;

    fn memory(effort: Effort, orders_bytes: usize, orders: usize) -> Database {
        let kv: Arc<dyn Kv> = Arc::new(MemoryKv::new());
        Box::new(move || {
            let index = KvIndex::open(kv.clone()).unwrap();
            Arc::new(KvIndex { effort, orders: Orders::new(orders_bytes, orders), ..index })
        })
    }

    #[test]
    fn conforms_in_memory() {
        index_conformance(|| memory(EFFORT, limits::ORDERS_BYTES, limits::ORDERS));
    }

    /// So few that every way of searching is taken, and given up, with the suite's few resources.
    #[test]
    fn conforms_with_little_effort() {
        index_conformance(|| memory(Effort { few: 2, many: 5 }, limits::ORDERS_BYTES, limits::ORDERS));
    }

    /// Orders that are made are kept current, go, and grow too large.
    #[test]
    fn conforms_with_little_room_for_orders() {
        for (bytes, orders) in [(limits::ORDERS_BYTES, 1_000), (6_000, 3), (0, 1)] {
            index_conformance(|| memory(Effort { few: 1, many: 1_000 }, bytes, orders));
        }
    }

    /// Readers of the API were told that it happened.
    #[test]
    fn acknowledged_changes_survive_a_power_cut() {
        use crate::index::conformance::{add, add_policy, patch_user};
        use crate::index::put_off;
        let kv = Arc::new(MemoryKv::new());
        let index = KvIndex::open(kv.clone()).unwrap();
        add_policy(&index, "low");
        let (kept, gone) = (add(&index, "generic", "kept", &["m"]), add(&index, "generic", "gone", &["m"]));
        let kept = patch_user(&index, kept.id, "u", 20);
        index.delete_resource("generic", gone.id, None).unwrap();
        index.delete_metrics(&[kept.metrics["m"]]).unwrap();
        assert_eq!(kv.unsynced_batches(), 0);
        let (put_off, owed) = put_off(|| add(&index, "generic", "late", &[]));
        assert!(owed && kv.unsynced_batches() == 1);
        index.sync().unwrap();
        kv.power_cut(0);
        let index = KvIndex::open(kv).unwrap();
        assert!(index.resource("generic", put_off.id).is_ok());
        let read = index.resource("generic", kept.id).unwrap();
        assert_eq!(read, Resource { metrics: Default::default(), ..kept });
        assert!(index.resource("generic", gone.id).is_err());
        assert_eq!(index.metrics_count().unwrap(), 0);
        assert_eq!(index.deleted_metrics(None, 9).unwrap().len(), 2);
    }
}
