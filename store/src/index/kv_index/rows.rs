//! Stored states of resources: as rows that filters and orders look at, and as answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_base::parallel::try_map;
use orzo_model::filter::{Cell, Field, Row};
use orzo_model::resource::{Resource, ResourceId, Revision};
use orzo_model::resource_type::Value;
use orzo_model::{MetricId, Timestamp};

use super::KvIndex;
use super::catalog::{Catalog, Slot, TypeEntry};
use super::documents::{ResourceDocument, ResourceView};
use super::keys::{self, Key};
use super::scan::{NEXT, scan_prefix, scan_under};
use super::values::{StoredValue, value_of};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::kv::Family;

/// States that one thread reads at a time; fewer are not worth another thread.
const STATES_TOGETHER: usize = 64;

/// A stored state, not yet read.
#[derive(Clone, Debug)]
pub(super) struct StoredState {
    pub id: ResourceId,
    pub revision: Revision,
    pub type_name: Arc<str>,
    pub bytes: Vec<u8>,
}

/// A state as a row.
pub(super) struct ResourceRow<'a> {
    pub id: ResourceId,
    pub revision: Revision,
    pub entry: &'a TypeEntry,
    pub document: ResourceView<'a>,
}

impl<'a> ResourceRow<'a> {
    pub(super) fn read(
        id: ResourceId,
        revision: Revision,
        entry: &'a TypeEntry,
        bytes: &'a [u8],
    ) -> StoreResult<Self> {
        Ok(ResourceRow { id, revision, entry, document: ResourceView::decode(bytes)? })
    }

    /// The state as an answer, without its metrics.
    pub(super) fn resource(&self) -> StoreResult<Resource> {
        const CORRUPT: StoreError = StoreError::Corrupt { what: "resource" };
        let document = &self.document;
        let value = |slot: &Slot| slot.cell(document).and_then(value_of);
        let attributes = self.entry.slots.iter().map(|(name, slot)| (name.clone(), value(slot)));
        Ok(Resource {
            id: self.id,
            original_id: document.original().ok_or(CORRUPT)?.into_owned(),
            resource_type: self.entry.public.name.clone(),
            creator: document.creator().ok_or(CORRUPT)?.into_owned(),
            user_id: document.user().map(Cow::into_owned),
            project_id: document.project().map(Cow::into_owned),
            started_at: instant(document.started)?,
            ended_at: document.ended.map(instant).transpose()?,
            revision: self.revision,
            revision_start: instant(document.since)?,
            revision_end: document.until.map(instant).transpose()?,
            attributes: attributes.collect(),
            metrics: BTreeMap::new(),
        })
    }

    /// Its key in a table of the default order.
    pub(super) fn order_key(&self, type_name: Option<&str>) -> StoreResult<Key> {
        let (since, started) = (instant(self.document.since)?, instant(self.document.started)?);
        Ok(keys::in_order(type_name, since, started, self.id))
    }
}

impl Row for ResourceRow<'_> {
    fn cell(&self, field: &Field) -> Option<Cell<'_>> {
        let time = |ns: u64| Cell::Time(Timestamp::saturating_from_ns(ns));
        let document = &self.document;
        match field {
            Field::Id => Some(Cell::Uuid(self.id.uuid())),
            Field::Type => Some(Cell::Text(Cow::Borrowed(&self.entry.public.name))),
            Field::Creator => document.creator().map(Cell::Text),
            Field::StartedAt => Some(time(document.started)),
            Field::EndedAt => document.ended.map(time),
            Field::RevisionStart => Some(time(document.since)),
            Field::RevisionEnd => document.until.map(time),
            Field::Revision => Some(Cell::Integer(self.revision.number())),
            Field::UserId => document.user().map(Cell::Text),
            Field::ProjectId => document.project().map(Cell::Text),
            Field::OriginalId => document.original().map(Cell::Text),
            Field::Lifespan => document.ended.map(|end| Cell::Integer(end as i64 - document.started as i64)),
            Field::Attribute(name) => self.entry.slots.get(name)?.cell(document),
        }
    }
}

/// Reads an instant of a document.
pub(super) fn instant(ns: u64) -> StoreResult<Timestamp> {
    Timestamp::from_ns(ns).ok_or(StoreError::Corrupt { what: "instant" })
}

/// The document of a current state.
pub(super) fn document<'a>(resource: &'a Resource, entry: &TypeEntry) -> ResourceDocument<'a> {
    let value = |(name, value): &'a (Arc<str>, Option<Value>)| {
        Some((entry.slots.get(name)?.number, StoredValue::of(value.as_ref()?)))
    };
    ResourceDocument {
        original: &resource.original_id,
        creator: &resource.creator,
        user: resource.user_id.as_deref(),
        project: resource.project_id.as_deref(),
        started: resource.started_at.ns(),
        ended: resource.ended_at.map(Timestamp::ns),
        since: resource.revision_start.ns(),
        schema: entry.public.version,
        values: resource.attributes.iter().filter_map(value).collect(),
    }
}

impl KvIndex {
    /// The name of the type of a resource.
    pub(super) fn type_of(&self, id: ResourceId) -> StoreResult<Option<Arc<str>>> {
        let found = self.kv.get(Family::Index, &keys::type_of(id))?;
        found.map(|bytes| type_text(&bytes)).transpose()
    }

    /// The current state of a resource of a type.
    pub(super) fn current(&self, type_name: &Arc<str>, id: ResourceId) -> StoreResult<Option<StoredState>> {
        let found = self.kv.get(Family::Index, &keys::resource(type_name, id))?;
        Ok(found.map(|bytes| StoredState {
            id,
            revision: Revision::Current,
            type_name: type_name.clone(),
            bytes,
        }))
    }

    /// The current states of resources of some types, in their order.
    pub(super) fn current_all(
        &self,
        wanted: &[(ResourceId, Arc<str>)],
    ) -> StoreResult<Vec<Option<StoredState>>> {
        let parts: Vec<_> = wanted.chunks(STATES_TOGETHER).collect();
        let read = |part: &&[(ResourceId, Arc<str>)], _| {
            let keys: Vec<Key> = part.iter().map(|(id, type_name)| keys::resource(type_name, *id)).collect();
            self.kv.get_all(Family::Index, &keys)
        };
        let documents = try_map(&parts, 1, read)?.into_iter().flatten();
        let state = |((id, type_name), bytes): (&(ResourceId, Arc<str>), Option<Vec<u8>>)| {
            let type_name = type_name.clone();
            Some(StoredState { id: *id, revision: Revision::Current, type_name, bytes: bytes? })
        };
        Ok(wanted.iter().zip(documents).map(state).collect())
    }

    /// A state as an answer, without its metrics; `None` if its type, and so the resource, is gone by now.
    fn answer(&self, catalog: &Catalog, state: &StoredState) -> StoreResult<Option<Resource>> {
        let Some(entry) = catalog.types.get(&state.type_name) else { return Ok(None) };
        ResourceRow::read(state.id, state.revision, entry, &state.bytes)?.resource().map(Some)
    }

    /// A state as an answer; `None` if its type, and so the resource, is gone by now.
    pub(super) fn whole_answer(
        &self,
        catalog: &Catalog,
        state: &StoredState,
    ) -> StoreResult<Option<Resource>> {
        let Some(mut resource) = self.answer(catalog, state)? else { return Ok(None) };
        resource.metrics = self.metric_names(state.id)?.into_iter().collect();
        Ok(Some(resource))
    }

    /// States as answers, in their order, but for those that are gone by now or damaged.
    pub(super) fn answers(
        &self,
        catalog: &Catalog,
        states: &[StoredState],
        with_metrics: bool,
    ) -> StoreResult<Vec<Resource>> {
        let parts: Vec<_> = states.chunks(STATES_TOGETHER).collect();
        let answers = try_map(&parts, 1, |part, _| self.answer_part(catalog, part, with_metrics))?;
        Ok(answers.into_iter().flatten().collect())
    }

    fn answer_part(
        &self,
        catalog: &Catalog,
        states: &[StoredState],
        with_metrics: bool,
    ) -> StoreResult<Vec<Resource>> {
        let each = |answer: &dyn Fn(&StoredState) -> StoreResult<Option<Resource>>| {
            let sound = |state: &StoredState| {
                self.sound(&keys::resource(&state.type_name, state.id), answer(state)).map(Option::flatten)
            };
            states.iter().filter_map(|state| sound(state).transpose()).collect::<StoreResult<Vec<Resource>>>()
        };
        let mut resources = each(&|state| self.answer(catalog, state))?;
        match with_metrics.then(|| self.add_names(&mut resources)) {
            // What cannot be read costs none of the others.
            Some(Err(error)) if error.is_damage() => each(&|state| self.whole_answer(catalog, state)),
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(resources),
        }
    }

    /// Adds their metrics to resources, of which some may be states of the same one.
    fn add_names(&self, resources: &mut [Resource]) -> StoreResult<()> {
        let mut by_id: Vec<&mut Resource> = resources.iter_mut().collect();
        by_id.sort_by_key(|resource| resource.id);
        let mut groups: Vec<_> = by_id.chunk_by_mut(|a, b| a.id == b.id).collect();
        let prefixes = groups.iter().map(|group| keys::metrics_of(group[0].id)).collect();
        scan_under(&*self.kv, Family::IndexBy, prefixes, &mut |number, key, value| {
            let Some((name, id)) = self.sound(key, metric_name(key, value))? else { return Ok(()) };
            if let Some((last, others)) = groups[number].split_last_mut() {
                for other in others {
                    other.metrics.insert(name.clone(), id);
                }
                last.metrics.insert(name, id);
            }
            Ok(())
        })
    }

    /// Names and ids of the active metrics of a resource, by name.
    pub(super) fn metric_names(&self, id: ResourceId) -> StoreResult<Vec<(String, MetricId)>> {
        let prefix = keys::metrics_of(id);
        let mut names = Vec::new();
        scan_prefix(&*self.kv, Family::IndexBy, &prefix, &mut |key, value| {
            names.extend(self.sound(key, metric_name(key, value))?);
            NEXT
        })?;
        Ok(names)
    }
}

/// The name of a metric of a resource, and its id, from the key and the value that hold them.
pub(super) fn metric_name(key: &[u8], value: &[u8]) -> StoreResult<(String, MetricId)> {
    let name = key.get(keys::NAME_START..).and_then(|name| String::from_utf8(name.to_vec()).ok());
    name.zip(metric_id(value)).ok_or(StoreError::Corrupt { what: "metric name" })
}

/// The metric that the value of a name's key leads to.
pub(super) fn metric_id(bytes: &[u8]) -> Option<MetricId> {
    bytes.first_chunk().copied().map(MetricId::from_bytes)
}

/// What the value of a name's key tells besides: the metric's policy. Then its creator is that of the resource, and whoever
/// deletes both need not read its document.
pub(super) fn metric_policy(bytes: &[u8]) -> Option<&str> {
    let policy = std::str::from_utf8(bytes.get(16..)?).ok()?;
    (!policy.is_empty()).then_some(policy)
}

/// Reads the name of a type.
pub(super) fn type_text(bytes: &[u8]) -> StoreResult<Arc<str>> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| StoreError::Corrupt { what: "name of a type" })
}
