//! Deleting resources and metrics, and expunging what is deleted.
//!
//! A deleted metric's document moves from the active ones to the deleted ones and its name is free at
//! once; the keys that only narrow searches stay until it is expunged, which keeps deletion cheap.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use orzo_model::filter::Condition;
use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};
use uuid::Uuid;

use super::KvIndex;
use super::catalog::Catalog;
use super::documents::{BuriedDocument, MetricDocument, decode, encode};
use super::keys::{self, Key, Lookup};
use super::resources::Current;
use super::rows::{ResourceRow, metric_id, metric_policy};
use super::scan::{DONE, NEXT, scan, scan_under};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{DeletedMetric, Deletion, Result};
use crate::kv::{Family, prefix_end};

/// Deletions that go into one write: enough to make writes cheap, few enough not to hold others up.
const CHUNK: usize = 10_000;

/// Resources that are read together.
const ROUND: usize = 64;

/// Rounds that are read before they are deleted.
const READ_AHEAD: usize = 2;

/// Which documents of metrics are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Documents {
    /// Those of metrics whose names do not tell enough.
    AsNeeded,
    All,
}

/// A resource with all that goes with it.
pub(super) struct Whole {
    current: Current,
    /// The keys of its archived states.
    revisions: Vec<Key>,
    /// The keys of the names of its metrics.
    names: Vec<Key>,
    /// Its active metrics, with the documents of what will be deleted ones.
    metrics: Vec<(MetricId, Vec<u8>)>,
}

impl Whole {
    fn of(current: Current) -> Self {
        Whole { current, revisions: Vec::new(), names: Vec::new(), metrics: Vec::new() }
    }

    /// The document of a deleted metric, from the key of its name: `None` if that does not tell enough.
    fn buried(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let name = std::str::from_utf8(key.get(keys::NAME_START..)?).ok()?;
        let creator = &self.current.resource.creator;
        Some(encode(&BuriedDocument { name, creator, policy: metric_policy(value)? }))
    }
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
        let mut rest = &found[..];
        while !rest.is_empty() {
            let mut transaction = self.begin();
            let deleted = transaction.delete_first(rest, condition, &mut deletion)?;
            transaction.commit()?;
            rest = &rest[deleted..];
        }
        if deletion.resources > 0 {
            self.kv.sync()?;
        }
        Ok(deletion)
    }

    /// Those of some resources that still meet a condition, with all that goes with them.
    fn wholes(
        &self,
        catalog: &Catalog,
        found: &[(ResourceId, Arc<str>)],
        condition: &Condition,
        documents: Documents,
    ) -> StoreResult<Vec<Whole>> {
        let mut wholes = Vec::with_capacity(found.len());
        for state in self.current_all(found)?.into_iter().flatten() {
            let entry = catalog.types.get(&state.type_name).cloned();
            let entry = entry.ok_or(StoreError::Corrupt { what: "type of a resource" })?;
            let row = ResourceRow::read(state.id, state.revision, &entry, &state.bytes)?;
            if condition.holds(&row) {
                let resource = row.resource()?;
                wholes.push(Whole::of(Current { resource, entry, bytes: state.bytes }));
            }
        }
        self.complete(&mut wholes, documents)?;
        Ok(wholes)
    }

    /// Adds to resources what goes with them.
    fn complete(&self, wholes: &mut [Whole], documents: Documents) -> StoreResult<()> {
        let revisions =
            |whole: &Whole| keys::revisions(&whole.current.resource.resource_type, whole.current.resource.id);
        let prefixes = wholes.iter().map(revisions).collect();
        scan_under(&*self.kv, Family::Index, prefixes, &mut |number, key, _| {
            wholes[number].revisions.push(key.to_vec());
            Ok(())
        })?;
        let mut owners = BTreeMap::new();
        let prefixes = wholes.iter().map(|whole| keys::metrics_of(whole.current.resource.id)).collect();
        scan_under(&*self.kv, Family::IndexBy, prefixes, &mut |number, key, value| {
            let id = metric_id(value).ok_or(StoreError::Corrupt { what: "metric name" })?;
            let whole = &mut wholes[number];
            match whole.buried(key, value).filter(|_| documents == Documents::AsNeeded) {
                Some(document) => whole.metrics.push((id, document)),
                None => drop(owners.insert(id, number)),
            }
            whole.names.push(key.to_vec());
            Ok(())
        })?;
        let metrics: Vec<Key> = owners.keys().map(|metric| keys::metric(*metric)).collect();
        let documents = self.kv.get_all(Family::Index, &metrics)?;
        for ((id, number), document) in owners.into_iter().zip(documents) {
            wholes[number].metrics.extend(document.map(|document| (id, document)));
        }
        Ok(())
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
    /// Deletes those of some resources that still meet a condition, until enough is deleted; says how many it came to.
    /// While this thread deletes, another reads what is next: both take about as long.
    fn delete_first(
        &mut self,
        found: &[(ResourceId, Arc<str>)],
        condition: &Condition,
        deletion: &mut Deletion,
    ) -> Result<usize> {
        let (index, catalog, documents) = (self.index(), self.catalog.clone(), self.documents());
        let (send, wholes) = mpsc::sync_channel(READ_AHEAD);
        let read = move || -> StoreResult<usize> {
            let (mut come_to, mut things) = (0, 0);
            for round in found.chunks(ROUND) {
                let wholes = index.wholes(&catalog, round, condition, documents)?;
                come_to += round.len();
                things += wholes.iter().map(|whole| 1 + whole.metrics.len()).sum::<usize>();
                if send.send(wholes).is_err() || things >= CHUNK {
                    break;
                }
            }
            Ok(come_to)
        };
        std::thread::scope(|scope| {
            let reader = scope.spawn(read);
            for whole in wholes.into_iter().flatten() {
                deletion.resources += 1;
                deletion.metrics.extend(self.delete_whole(whole));
            }
            Ok(reader.join().expect("reading does not panic")?)
        })
    }

    /// A resource with all that goes with it. Nothing of that may have been changed by this transaction.
    pub(super) fn whole(&self, current: Current) -> StoreResult<Whole> {
        let mut whole = Whole::of(current);
        self.index().complete(std::slice::from_mut(&mut whole), self.documents())?;
        Ok(whole)
    }

    /// Only a document says whether its metric was counted.
    fn documents(&self) -> Documents {
        if self.prefixes().is_some() { Documents::All } else { Documents::AsNeeded }
    }

    /// Deletes a resource, its history and its metrics, and says which metrics.
    pub(super) fn delete_whole(&mut self, whole: Whole) -> Vec<MetricId> {
        let id = whole.current.resource.id;
        self.delete_state(whole.current);
        whole.revisions.into_iter().for_each(|key| self.delete(Family::Index, key));
        whole.names.into_iter().for_each(|key| self.delete(Family::IndexBy, key));
        self.set_count(id, None);
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
    use crate::faulty::FaultyKv;
    use crate::index::conformance::{fresh, id_of, new_resource, policy};
    use crate::index::{Index, MetricSpec, NewMetric, NewResource, ResourcePage, ResourcePatch};
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
        let never = Condition::Not(Box::new(Condition::Always));
        let found = ["nobody", "r"].map(|name| (id_of(name), Arc::from("generic")));
        for (condition, expected) in [(&never, 0), (&Condition::Always, 1)] {
            let (mut transaction, mut deletion) = (index.begin(), Deletion::default());
            assert_eq!(transaction.delete_first(&found, condition, &mut deletion).unwrap(), 2);
            assert_eq!((deletion.resources, deletion.metrics.len()), (expected, 2 * expected as usize));
        }
    }

    /// More than goes into one write, and the disk is full at the second.
    #[test]
    fn each_resource_goes_as_a_whole() {
        let kv = Arc::new(FaultyKv::default());
        let index = KvIndex::open(kv.clone()).unwrap();
        index.create_policy(policy("low")).unwrap();
        let (resources, each) = (3 * ROUND, 80);
        for number in 0..resources {
            let metrics = (0..each).map(|name| (format!("m{name}"), fresh("low"))).collect();
            let new = new_resource("generic", &number.to_string());
            index.create_resource(NewResource { metrics, ..new }).unwrap();
        }
        kv.fail_writes_after(1, "full");
        assert!(index.delete_resources("generic", &Condition::Always).is_err());
        let left = index.resources(&ResourcePage::all("generic", &Condition::Always)).unwrap();
        assert!(left.iter().all(|resource| resource.metrics.len() == each));
        assert_eq!(left.len(), ROUND, "{CHUNK} are reached in the second round");
        assert_eq!(index.metrics_count().unwrap(), (ROUND * each) as u64);
        kv.fail_writes(None);
        let deletion = index.delete_resources("generic", &Condition::Always).unwrap();
        assert_eq!((deletion.resources, deletion.metrics.len()), (ROUND as u64, ROUND * each));
        assert_eq!(index.deleted_metrics(None, usize::MAX).unwrap().len(), resources * each);
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
        // Of another creator than the resource.
        let strange = NewMetric {
            name: Some("s".to_owned()),
            unit: None,
            policy: Some("low".to_owned()),
            resource: Some(made.id),
            creator: "stranger".to_owned(),
        };
        index.create_metrics(vec![strange], Timestamp::EPOCH).unwrap().remove(0).unwrap();
        index.delete_resource("generic", made.id, None).unwrap();
        index.delete_metrics(&[made.metrics["b"]]).unwrap();
        let deleted: Vec<MetricId> =
            index.deleted_metrics(None, 9).unwrap().into_iter().map(|metric| metric.id).collect();
        assert_eq!(deleted.len(), 3);
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
