//! Deleting resources and metrics, and expunging what is deleted.
//!
//! A deleted metric's document moves from the active ones to the deleted ones and its name is free at
//! once; the keys that only narrow searches stay until it is expunged, which keeps deletion cheap.

use std::collections::BTreeSet;
use std::sync::Arc;

use orzo_model::filter::Condition;
use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};
use uuid::Uuid;

use super::KvIndex;
use super::documents::{MetricDocument, decode};
use super::keys::{self, Key, Lookup};
use super::resources::Current;
use super::rows::{ResourceRow, metric_id};
use super::scan::{DONE, NEXT, scan, scan_prefix};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{DeletedMetric, Deletion, Error, Result};
use crate::kv::{Family, prefix_end};

/// Deletions that go into one write: enough to make writes cheap, few enough not to hold others up.
const CHUNK: usize = 10_000;

/// Resources that are read together.
const ROUND: usize = 64;

/// A resource with all that goes with it.
pub(super) struct Whole {
    current: Current,
    /// The keys of its archived states.
    revisions: Vec<Key>,
    /// The keys of the names of its metrics.
    names: Vec<Key>,
    /// Its active metrics, with their documents.
    metrics: Vec<(MetricId, Vec<u8>)>,
}

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
            let whole = transaction.whole(current)?;
            Ok(Deletion { resources: 1, metrics: transaction.delete_whole(whole) })
        })
    }

    pub(super) fn remove_resources(&self, resource_type: &str, condition: &Condition) -> Result<Deletion> {
        let mut deletion = Deletion::default();
        let found = self.find_ids(resource_type, condition)?;
        let mut rounds = found.chunks(ROUND);
        while rounds.len() > 0 {
            let mut transaction = self.begin();
            let start = deletion.metrics.len() + deletion.resources as usize;
            while deletion.metrics.len() + (deletion.resources as usize) < start + CHUNK {
                let Some(round) = rounds.next() else { break };
                for whole in transaction.wholes(round, resource_type, condition)? {
                    deletion.resources += 1;
                    deletion.metrics.extend(transaction.delete_whole(whole));
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
    /// Those of some resources that still are of a type and meet a condition. Two threads read, since that is most of a
    /// deletion.
    fn wholes(
        &self,
        found: &[(ResourceId, Arc<str>)],
        resource_type: &str,
        condition: &Condition,
    ) -> Result<Vec<Whole>> {
        let read = |part: &[(ResourceId, Arc<str>)]| -> Result<Vec<Whole>> {
            let wholes = part.iter().map(|(id, _)| self.whole_if(*id, resource_type, condition));
            wholes.filter_map(Result::transpose).collect()
        };
        let (first, second) = found.split_at(found.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| read(first));
            let second = read(second)?;
            let mut wholes = other.join().expect("reading does not panic")?;
            wholes.extend(second);
            Ok(wholes)
        })
    }

    fn whole_if(&self, id: ResourceId, resource_type: &str, condition: &Condition) -> Result<Option<Whole>> {
        let current = match self.resource(Some(resource_type), id) {
            Ok(current) => current,
            Err(Error::NotFound(..)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let row = ResourceRow::read(id, current.resource.revision, &current.entry, current.bytes())?;
        if condition.holds(&row) { Ok(Some(self.whole(current)?)) } else { Ok(None) }
    }

    /// A resource with all that goes with it. Nothing of that may have been changed by this transaction.
    pub(super) fn whole(&self, current: Current) -> StoreResult<Whole> {
        let (id, kv) = (current.resource.id, self.kv());
        let mut revisions = Vec::new();
        let prefix = keys::revisions(&current.resource.resource_type, id);
        scan_prefix(kv, Family::Index, &prefix, &mut |key, _| {
            revisions.push(key.to_vec());
            NEXT
        })?;
        let (mut names, mut metrics) = (Vec::new(), BTreeSet::new());
        scan_prefix(kv, Family::IndexBy, &keys::metrics_of(id), &mut |key, value| {
            metrics.insert(metric_id(value).ok_or(StoreError::Corrupt { what: "metric name" })?);
            names.push(key.to_vec());
            NEXT
        })?;
        let metric_keys: Vec<Key> = metrics.iter().map(|metric| keys::metric(*metric)).collect();
        let documents = kv.get_all(Family::Index, &metric_keys)?;
        let metrics = metrics.into_iter().zip(documents).filter_map(|(id, found)| Some((id, found?)));
        Ok(Whole { metrics: metrics.collect(), current, revisions, names })
    }

    /// Deletes a resource, its history and its metrics, and says which metrics.
    pub(super) fn delete_whole(&mut self, whole: Whole) -> Vec<MetricId> {
        self.delete_state(&whole.current);
        whole.revisions.into_iter().for_each(|key| self.delete(Family::Index, key));
        whole.names.into_iter().for_each(|key| self.delete(Family::IndexBy, key));
        self.set_count(whole.current.resource.id, None);
        let bury = |(id, document)| {
            self.bury(id, document);
            id
        };
        whole.metrics.into_iter().map(bury).collect()
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
        let transaction = index.begin();
        let never = Condition::Not(Box::new(Condition::Always));
        let reads =
            |name, condition| transaction.whole_if(id_of(name), "generic", condition).unwrap().is_some();
        assert!(!reads("r", &never));
        assert!(!reads("nobody", &Condition::Always));
        assert!(reads("r", &Condition::Always));
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
