//! Creating and changing resources.

use std::sync::Arc;

use orzo_model::Timestamp;
use orzo_model::resource::{Resource, ResourceId, Revision};
use orzo_model::resource_type::{GENERIC, Value};

use super::KvIndex;
use super::catalog::TypeEntry;
use super::documents::{archive, encode};
use super::keys::{self, Key, Lookup};
use super::orders::StateChange;
use super::rows::{ResourceRow, document, type_text};
use super::search::order_table;
use super::transaction::Transaction;
use crate::error::Error as StoreError;
use crate::index::{Error, Kind, NewResource, Patched, ResourcePatch, Result};
use crate::kv::Family;

/// The grain of the instants of resources.
const MICRO: u64 = 1_000;

impl KvIndex {
    pub(super) fn add_resource(&self, new: NewResource) -> Result<Resource> {
        let mut resource = self.durably(|transaction| transaction.create_resource(&new))?;
        if !new.metrics.is_empty() {
            resource.metrics = self.metric_names(resource.id)?.into_iter().collect();
        }
        Ok(resource)
    }

    pub(super) fn find_resource(&self, resource_type: &str, id: ResourceId) -> Result<Resource> {
        let not_found = || Error::NotFound(Kind::Resource, id.to_string());
        let type_name = self.type_of(id)?.filter(|name| covers(resource_type, name)).ok_or_else(not_found)?;
        let state = self.current(&type_name, id)?.ok_or_else(not_found)?;
        // Read after the state: every type that the state can have is in it.
        self.whole_answer(&self.catalog(), &state)?.ok_or_else(not_found)
    }

    pub(super) fn change_resource(
        &self,
        resource_type: &str,
        id: ResourceId,
        patch: ResourcePatch,
    ) -> Result<Patched> {
        let (mut resource, revised) = self.durably(|transaction| {
            let old = transaction.resource(Some(resource_type), id)?;
            old.expect(patch.expected)?;
            let mut new = old.resource.clone();
            apply(&mut new, &old.entry, &patch)?;
            let revised = transaction.revise(&old, &mut new, patch.now)?;
            if let Some(metrics) = &patch.metrics {
                transaction.replace_metrics(&new, metrics, patch.now)?;
            }
            Ok((new, revised))
        })?;
        resource.metrics = self.metric_names(id)?.into_iter().collect();
        Ok(Patched { resource, revised })
    }
}

/// A current state as a transaction finds it.
pub(super) struct Current {
    pub resource: Resource,
    pub entry: Arc<TypeEntry>,
    /// The document it was read from.
    pub bytes: Vec<u8>,
}

impl Current {
    /// Refuses if the caller saw another revision.
    pub(super) fn expect(&self, revision_start: Option<Timestamp>) -> Result<()> {
        match revision_start {
            Some(seen) if seen != self.resource.revision_start => Err(Error::Conflict),
            _ => Ok(()),
        }
    }
}

impl Transaction<'_> {
    /// A resource, of any type or of one asked for.
    pub(super) fn resource(&self, resource_type: Option<&str>, id: ResourceId) -> Result<Current> {
        let not_found = || Error::NotFound(Kind::Resource, id.to_string());
        let stored = self.get(Family::Index, &keys::type_of(id))?.ok_or_else(not_found)?;
        let type_name = type_text(&stored)?;
        if resource_type.is_some_and(|asked| !covers(asked, &type_name)) {
            return Err(not_found());
        }
        let bytes = self.get(Family::Index, &keys::resource(&type_name, id))?.ok_or_else(not_found)?;
        let entry = self.catalog.types.get(&type_name).cloned();
        let entry = entry.ok_or(StoreError::Corrupt { what: "type of a resource" })?;
        let resource = ResourceRow::read(id, Revision::Current, &entry, &bytes)?.resource()?;
        Ok(Current { resource, entry, bytes })
    }

    pub(super) fn create_resource(&mut self, new: &NewResource) -> Result<Resource> {
        let entry = self.catalog.resource_type(&new.resource_type)?.clone();
        if self.has(Family::Index, &keys::type_of(new.id))? {
            return Err(Error::AlreadyExists(Kind::Resource, new.id.to_string()));
        }
        let resource = first_state(new, &entry)?;
        let type_name = entry.public.name.as_bytes().to_vec();
        self.put(Family::Index, keys::type_of(new.id), type_name);
        self.put_state(None, &resource, &entry);
        for (name, spec) in &new.metrics {
            self.attach(&resource, name, spec, new.now)?;
        }
        Ok(resource)
    }

    /// Begins a revision if `new` differs from the old state, and says whether it does.
    pub(super) fn revise(&mut self, old: &Current, new: &mut Resource, now: Timestamp) -> Result<bool> {
        if *new == old.resource {
            return Ok(false);
        }
        if new.ended_at.is_some_and(|end| end < new.started_at) {
            return Err(Error::EndsBeforeStart);
        }
        // Later than the last one even if the clock stands still: validators are made of it.
        new.revision_start = cut(now).max(old.resource.revision_start.saturating_add(MICRO));
        self.counters.revision += 1;
        let archived = archive(&old.bytes, new.revision_start.ns());
        let key = keys::revision(&new.resource_type, new.id, self.counters.revision);
        self.put(Family::Index, key, archived);
        self.put_state(Some(old), new, &old.entry);
        Ok(true)
    }

    fn put_state(&mut self, old: Option<&Current>, new: &Resource, entry: &TypeEntry) {
        let bytes = encode(&document(new, entry));
        self.note_change(new, old.map(|old| old.bytes.clone()), Some(bytes.clone()));
        self.put(Family::Index, keys::resource(&new.resource_type, new.id), bytes);
        let old_keys = old.map(|old| secondary_keys(&old.resource)).unwrap_or_default();
        let new_keys = secondary_keys(new);
        for key in old_keys.iter().filter(|key| !new_keys.contains(key)) {
            self.delete(Family::IndexBy, key.clone());
        }
        for key in new_keys.into_iter().filter(|key| !old_keys.contains(key)) {
            self.put(Family::IndexBy, key, new.resource_type.as_bytes().to_vec());
        }
    }

    /// Deletes the current state of a resource.
    pub(super) fn delete_state(&mut self, current: Current) {
        let resource = &current.resource;
        self.note_change(resource, Some(current.bytes), None);
        self.delete(Family::Index, keys::type_of(resource.id));
        self.delete(Family::Index, keys::resource(&resource.resource_type, resource.id));
        for key in secondary_keys(resource) {
            self.delete(Family::IndexBy, key);
        }
    }

    fn note_change(&mut self, resource: &Resource, old: Option<Vec<u8>>, new: Option<Vec<u8>>) {
        let (id, type_name) = (resource.id, resource.resource_type.clone());
        self.state_changes.push(StateChange { id, type_name, old, new });
    }
}

/// Whether a resource of type `type_name` is found through `asked`.
fn covers(asked: &str, type_name: &str) -> bool {
    asked == GENERIC || asked == type_name
}

fn first_state(new: &NewResource, entry: &TypeEntry) -> Result<Resource> {
    let now = cut(new.now);
    let mut resource = Resource {
        id: new.id,
        original_id: new.original_id.clone(),
        resource_type: entry.public.name.clone(),
        creator: new.creator.clone(),
        user_id: new.user_id.clone(),
        project_id: new.project_id.clone(),
        started_at: new.started_at.map_or(now, cut),
        ended_at: new.ended_at.map(cut),
        revision: Revision::Current,
        revision_start: now,
        revision_end: None,
        attributes: entry.slots.keys().map(|name| (name.clone(), None)).collect(),
        metrics: Default::default(),
    };
    if resource.ended_at.is_some_and(|end| end < resource.started_at) {
        return Err(Error::EndsBeforeStart);
    }
    set_attributes(&mut resource, entry, &new.attributes)?;
    let lacks = |(name, value): &(Arc<str>, Option<Value>)| {
        value.is_none() && entry.slots.get(name).is_some_and(|slot| slot.attribute.required)
    };
    if resource.attributes.iter().any(lacks) {
        return Err(Error::Outdated(new.resource_type.clone()));
    }
    Ok(resource)
}

fn apply(resource: &mut Resource, entry: &TypeEntry, patch: &ResourcePatch) -> Result<()> {
    if let Some(user_id) = &patch.user_id {
        resource.user_id.clone_from(user_id);
    }
    if let Some(project_id) = &patch.project_id {
        resource.project_id.clone_from(project_id);
    }
    resource.started_at = patch.started_at.map_or(resource.started_at, cut);
    resource.ended_at = patch.ended_at.map(cut).or(resource.ended_at);
    set_attributes(resource, entry, &patch.attributes)
}

/// Sets attributes that the type has, to values of their kind.
fn set_attributes(resource: &mut Resource, entry: &TypeEntry, values: &[(String, Value)]) -> Result<()> {
    let outdated = || Error::Outdated(entry.public.name.to_string());
    for (name, value) in values {
        let slot = entry.slots.get(name.as_str()).ok_or_else(outdated)?;
        let own = resource.attributes.iter_mut().find(|(own, _)| **own == **name).ok_or_else(outdated)?;
        if !slot.attribute.kind.is_kind_of(value) {
            return Err(outdated());
        }
        let value = if let Value::Time(at) = value { Value::Time(cut(*at)) } else { value.clone() };
        own.1 = Some(value);
    }
    Ok(())
}

/// Cuts an instant to the grain.
pub(super) fn cut(at: Timestamp) -> Timestamp {
    at.saturating_sub(at.ns() % MICRO)
}

/// The secondary keys of a current state. All hold the name of its type.
pub(super) fn secondary_keys(resource: &Resource) -> Vec<Key> {
    let id = resource.id.to_bytes();
    let in_order = |table: Option<&str>| {
        keys::in_order(table, resource.revision_start, resource.started_at, resource.id)
    };
    let mut keys = vec![
        in_order(None),
        Lookup::ResourceCreator.key(&resource.creator, id),
        Lookup::ResourceOriginal.key(&resource.original_id, id),
    ];
    keys.extend(order_table(&resource.resource_type).map(|table| in_order(Some(table))));
    keys.extend(resource.ended_at.map(|end| keys::ended(end, resource.id)));
    keys.extend(resource.user_id.as_deref().map(|user| Lookup::ResourceUser.key(user, id)));
    keys.extend(resource.project_id.as_deref().map(|project| Lookup::ResourceProject.key(project, id)));
    keys
}
