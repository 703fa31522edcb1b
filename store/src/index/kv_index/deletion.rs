//! Deleting resources and metrics, and expunging what is deleted.
//!
//! A deleted metric's document moves from the active ones to the deleted ones and its name is free at
//! once; the keys that only narrow searches stay until it is expunged, which keeps deletion cheap.

use orzo_model::filter::Condition;
use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};
use uuid::Uuid;

use super::KvIndex;
use super::documents::{MetricDocument, decode};
use super::keys::{self, Lookup};
use super::rows::{ResourceRow, metric_id};
use super::scan::{DONE, NEXT, scan, scan_prefix};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{DeletedMetric, Deletion, Error, Result};
use crate::kv::{Family, prefix_end};

/// Deletions that go into one write: enough to make writes cheap, few enough not to hold others up.
const CHUNK: usize = 10_000;

impl KvIndex {
    pub(super) fn remove_resource(
        &self,
        resource_type: &str,
        id: ResourceId,
        expected: Option<Timestamp>,
    ) -> Result<Deletion> {
        self.durably(|transaction| {
            let current = transaction.resource(Some(resource_type), id)?;
            current.expect(expected)?;
            transaction.delete_state(&current)?;
            Ok(Deletion { resources: 1, metrics: transaction.delete_metrics_of(id)? })
        })
    }

    pub(super) fn remove_resources(&self, resource_type: &str, condition: &Condition) -> Result<Deletion> {
        let mut deletion = Deletion::default();
        let found = self.find_ids(resource_type, condition)?;
        let mut rest = found.iter();
        while rest.len() > 0 {
            let mut transaction = self.begin();
            let start = deletion.metrics.len() + deletion.resources as usize;
            while deletion.metrics.len() + (deletion.resources as usize) < start + CHUNK {
                let Some((id, _)) = rest.next() else { break };
                if transaction.delete_if(*id, resource_type, condition)? {
                    deletion.resources += 1;
                    deletion.metrics.extend(transaction.delete_metrics_of(*id)?);
                }
            }
            transaction.commit()?;
        }
        if deletion.resources > 0 {
            self.kv.sync()?;
        }
        Ok(deletion)
    }

    pub(super) fn remove_metrics(&self, ids: &[MetricId]) -> Result<Vec<MetricId>> {
        let mut deleted = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            let mut transaction = self.begin();
            for id in chunk {
                if transaction.delete_metric(*id)? {
                    deleted.push(*id);
                }
            }
            transaction.commit()?;
        }
        if !deleted.is_empty() {
            self.kv.sync()?;
        }
        Ok(deleted)
    }

    pub(super) fn find_deleted(&self, after: Option<MetricId>, limit: usize) -> Result<Vec<DeletedMetric>> {
        let from = after.map_or_else(|| keys::DELETED.to_vec(), |id| keys::after(keys::deleted_metric(id)));
        let mut found = Vec::new();
        scan(&*self.kv, Family::Index, &from, &prefix_end(keys::DELETED), &mut |key, value| {
            if found.len() >= limit {
                return DONE;
            }
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a metric" })?;
            // Its data goes even if nobody can tell by which policy it came.
            let document: Option<MetricDocument> = self.sound(key, decode(value, "metric"))?;
            let policy = document.map(|document| document.policy).unwrap_or_default();
            found.push(DeletedMetric { id: MetricId::from_bytes(id), policy });
            NEXT
        })?;
        Ok(found)
    }

    /// Not synced: what a power cut brings back is expunged again.
    pub(super) fn forget_metrics(&self, ids: &[MetricId]) -> Result<()> {
        for chunk in ids.chunks(CHUNK) {
            let mut transaction = self.begin();
            for id in chunk {
                transaction.expunge_metric(*id)?;
            }
            transaction.commit()?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Deletes a resource, but for its metrics, if it still meets the condition.
    fn delete_if(&mut self, id: ResourceId, resource_type: &str, condition: &Condition) -> Result<bool> {
        let current = match self.resource(Some(resource_type), id) {
            Ok(current) => current,
            Err(Error::NotFound(..)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let row = ResourceRow::read(id, current.resource.revision, &current.entry, current.bytes())?;
        if !condition.holds(&row) {
            return Ok(false);
        }
        self.delete_state(&current)?;
        Ok(true)
    }

    /// Deletes the metrics of a resource that this transaction has attached none to.
    pub(super) fn delete_metrics_of(&mut self, id: ResourceId) -> StoreResult<Vec<MetricId>> {
        let mut found = Vec::new();
        scan_prefix(self.kv(), Family::IndexBy, &keys::metrics_of(id), &mut |key, value| {
            let metric = metric_id(value).ok_or(StoreError::Corrupt { what: "metric name" })?;
            found.push((key.to_vec(), metric));
            NEXT
        })?;
        let mut deleted = Vec::with_capacity(found.len());
        for (name_key, metric) in found {
            self.delete(Family::IndexBy, name_key);
            if let Some(bytes) = self.get(Family::Index, &keys::metric(metric))? {
                self.bury(metric, bytes);
                deleted.push(metric);
            }
        }
        self.set_count(id, None);
        Ok(deleted)
    }

    fn delete_metric(&mut self, id: MetricId) -> StoreResult<bool> {
        let Some(bytes) = self.get(Family::Index, &keys::metric(id))? else { return Ok(false) };
        let document: Option<MetricDocument> =
            self.index().sound(&keys::metric(id), decode(&bytes, "metric"))?;
        self.bury(id, bytes);
        // The name of a damaged one leads nowhere from now on, which is no harm.
        if let Some(MetricDocument { resource: Some(resource), name: Some(name), .. }) = document {
            self.delete(Family::IndexBy, keys::metric_named(resource.into(), &name));
            self.set_count(resource.into(), None);
        }
        Ok(true)
    }

    /// Moves the document of an active metric to the deleted ones.
    fn bury(&mut self, id: MetricId, document: Vec<u8>) {
        self.note_prefix_of(&document, -1);
        self.delete(Family::Index, keys::metric(id));
        self.put(Family::Index, keys::deleted_metric(id), document);
        self.counters.metrics = self.counters.metrics.saturating_sub(1);
    }

    fn expunge_metric(&mut self, id: MetricId) -> StoreResult<()> {
        let Some(bytes) = self.get(Family::Index, &keys::deleted_metric(id))? else { return Ok(()) };
        let key = keys::deleted_metric(id);
        let document: Option<MetricDocument> = self.index().sound(&key, decode(&bytes, "metric"))?;
        self.delete(Family::Index, key);
        for (lookup, text) in document.iter().flat_map(lookups) {
            self.delete(Family::IndexBy, lookup.key(text, id.to_bytes()));
        }
        if is_derived(id) {
            self.put(Family::IndexBy, keys::burned(id), Vec::new());
        }
        Ok(())
    }

    /// Deletes all keys that start so, of which this transaction has put none.
    pub(super) fn delete_all(&mut self, family: Family, prefix: &[u8]) -> StoreResult<()> {
        let mut found = Vec::new();
        scan_prefix(self.kv(), family, prefix, &mut |key, _| {
            found.push(key.to_vec());
            NEXT
        })?;
        found.into_iter().for_each(|key| self.delete(family, key));
        Ok(())
    }
}

/// The keys of equality of a metric, and their texts.
pub(super) fn lookups(document: &MetricDocument) -> impl Iterator<Item = (Lookup, &str)> {
    let name = document.name.as_deref().map(|name| (Lookup::MetricName, name));
    let others = [
        (Lookup::MetricPolicy, document.policy.as_str()),
        (Lookup::MetricCreator, document.creator.as_str()),
    ];
    others.into_iter().chain(name)
}

/// Whether an id was made from a statsd name, and would be made again.
fn is_derived(id: MetricId) -> bool {
    Uuid::from(id).get_version_num() == 8
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::index::conformance::{fresh, id_of, new_resource, policy};
    use crate::index::{Index, MetricSpec, NewResource, ResourcePatch};
    use crate::kv::Kv;
    use crate::memory::MemoryKv;

    fn with_a_resource() -> (Arc<MemoryKv>, KvIndex) {
        let kv = Arc::new(MemoryKv::new());
        let index = KvIndex::open(kv.clone()).unwrap();
        index.create_policy(policy("low")).unwrap();
        let metrics = vec![("a".to_owned(), fresh("low")), ("b".to_owned(), fresh("low"))];
        index.create_resource(NewResource { metrics, ..new_resource("generic", "r") }).unwrap();
        (kv, index)
    }

    #[test]
    fn what_no_longer_meets_the_condition_stays() {
        let (_, index) = with_a_resource();
        let mut transaction = index.begin();
        let never = Condition::Not(Box::new(Condition::Always));
        assert!(!transaction.delete_if(id_of("r"), "generic", &never).unwrap());
        assert!(!transaction.delete_if(id_of("nobody"), "generic", &Condition::Always).unwrap());
        assert!(transaction.delete_if(id_of("r"), "generic", &Condition::Always).unwrap());
    }

    /// Renamed, detached, changed, deleted and expunged: no key is forgotten.
    #[test]
    fn nothing_is_left_behind() {
        let (kv, index) = with_a_resource();
        let made = index.resource("generic", id_of("r")).unwrap();
        let patch = ResourcePatch {
            user_id: Some(Some("u".to_owned())),
            project_id: Some(Some("p".to_owned())),
            metrics: Some(vec![("c".to_owned(), MetricSpec::Existing(made.metrics["a"]))]),
            now: Timestamp::saturating_from_ns(u64::MAX),
            ..Default::default()
        };
        index.patch_resource("generic", made.id, patch).unwrap();
        index.delete_resource("generic", made.id, None).unwrap();
        index.delete_metrics(&[made.metrics["b"]]).unwrap();
        let deleted: Vec<MetricId> =
            index.deleted_metrics(None, 9).unwrap().into_iter().map(|metric| metric.id).collect();
        assert_eq!(deleted.len(), 2);
        index.expunge(&deleted).unwrap();
        index.delete_policy("low").unwrap();
        let mut left = Vec::new();
        for family in Family::ALL {
            scan(&*kv as &dyn Kv, family, &[], &[], &mut |key, _| {
                left.push(key.to_vec());
                NEXT
            })
            .unwrap();
        }
        assert_eq!(left, [keys::COUNTERS]);
    }
}
