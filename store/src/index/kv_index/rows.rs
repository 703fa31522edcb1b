//! Stored states of resources: as rows that filters and orders look at, and as answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::filter::{Cell, Field, Row};
use orzo_model::resource::{Resource, ResourceId, Revision};
use orzo_model::resource_type::Value;
use orzo_model::{MetricId, Timestamp};

use super::KvIndex;
use super::catalog::{Catalog, Slot, TypeEntry};
use super::documents::{ResourceDocument, ResourceView};
use super::keys::{self, Key};
use super::scan::{NEXT, scan_prefix};
use super::values::{StoredValue, value_of};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::kv::Family;

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

    /// A state as an answer; `None` if its type, and so the resource, is gone by now.
    pub(super) fn answer(
        &self,
        catalog: &Catalog,
        state: &StoredState,
        with_metrics: bool,
    ) -> StoreResult<Option<Resource>> {
        let Some(entry) = catalog.types.get(&state.type_name) else { return Ok(None) };
        let mut resource = ResourceRow::read(state.id, state.revision, entry, &state.bytes)?.resource()?;
        if with_metrics {
            resource.metrics = self.metric_names(state.id)?.into_iter().collect();
        }
        Ok(Some(resource))
    }

    /// Names and ids of the active metrics of a resource, by name.
    pub(super) fn metric_names(&self, id: ResourceId) -> StoreResult<Vec<(String, MetricId)>> {
        let prefix = keys::metrics_of(id);
        let mut names = Vec::new();
        scan_prefix(&*self.kv, Family::IndexBy, &prefix, &mut |key, value| {
            let name = String::from_utf8(key[prefix.len()..].to_vec()).ok();
            let read = name.zip(metric_id(value)).ok_or(StoreError::Corrupt { what: "metric name" });
            names.extend(self.sound(key, read)?);
            NEXT
        })?;
        Ok(names)
    }
}

/// Reads a metric's id.
pub(super) fn metric_id(bytes: &[u8]) -> Option<MetricId> {
    bytes.try_into().ok().map(MetricId::from_bytes)
}

/// Reads the name of a type.
pub(super) fn type_text(bytes: &[u8]) -> StoreResult<Arc<str>> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| StoreError::Corrupt { what: "name of a type" })
}
