//! Resource types. A change rewrites no resource: states remember the version of the type they were
//! written by, and what was filled in or removed since is seen when they are read.

use std::sync::Arc;

use orzo_model::resource_type::{GENERIC, ResourceType, TypeChange};

use super::KvIndex;
use super::catalog::{Slot, TypeEntry};
use super::documents::encode;
use super::keys;
use super::scan::any;
use super::transaction::Transaction;
use crate::index::{Error, Kind, Result};
use crate::kv::Family;

impl KvIndex {
    pub(super) fn add_type(&self, resource_type: ResourceType) -> Result<Arc<ResourceType>> {
        self.durably(|transaction| {
            if transaction.catalog.types.contains_key(&resource_type.name) {
                return Err(Error::AlreadyExists(Kind::ResourceType, resource_type.name.to_string()));
            }
            Ok(transaction.put_type(TypeEntry::new(ResourceType { version: 0, ..resource_type })))
        })
    }

    pub(super) fn change_type(&self, change: &TypeChange) -> Result<Arc<ResourceType>> {
        self.durably(|transaction| {
            let old = transaction.catalog.resource_type(&change.name)?.clone();
            if old.public.version != change.base || !fits(&old, change) {
                return Err(Error::Outdated(change.name.to_string()));
            }
            if change.is_empty() {
                return Ok(old.public.clone());
            }
            if &*change.name == GENERIC {
                return Err(Error::UnsupportedChange {
                    kind: Kind::ResourceType,
                    name: GENERIC.to_owned(),
                    reason: "it has no attributes".to_owned(),
                });
            }
            Ok(transaction.put_type(changed(&old, change)))
        })
    }

    pub(super) fn remove_type(&self, name: &str) -> Result<()> {
        self.durably(|transaction| {
            transaction.catalog.resource_type(name)?;
            let resources = keys::of_type(keys::RESOURCES, name);
            if name == GENERIC || any(transaction.kv(), Family::Index, &resources)? {
                return Err(Error::InUse(Kind::ResourceType, name.to_owned()));
            }
            transaction.delete(Family::Index, keys::resource_type(name));
            transaction.catalog_mut().types.remove(name);
            Ok(())
        })
    }
}

/// Whether the change was planned on this very type, not on an earlier one of its name.
fn fits(old: &TypeEntry, change: &TypeChange) -> bool {
    let has = |name: &Arc<str>| old.slots.contains_key(name);
    change.changed.keys().chain(&change.removed).all(has) && !change.added.keys().any(has)
}

fn changed(old: &TypeEntry, change: &TypeChange) -> TypeEntry {
    let version = old.public.version + 1;
    let mut slots = old.slots.clone();
    let mut next_slot = old.next_slot;
    for name in &change.removed {
        slots.remove(name);
    }
    for (name, wish) in &change.added {
        let slot = Slot { number: next_slot, attribute: wish.attribute, fills: Vec::new() };
        slots.insert(name.clone(), slot);
        next_slot += 1;
    }
    for (name, wish) in change.added.iter().chain(&change.changed) {
        if let Some(slot) = slots.get_mut(name) {
            slot.attribute = wish.attribute;
            slot.fills.extend(wish.fill.clone().map(|value| (version, value)));
        }
    }
    TypeEntry::publish(&old.public.name, version, next_slot, slots)
}

impl Transaction<'_> {
    fn put_type(&mut self, entry: TypeEntry) -> Arc<ResourceType> {
        self.put(Family::Index, keys::resource_type(&entry.public.name), encode(&entry.document()));
        let public = entry.public.clone();
        self.catalog_mut().insert_type(entry);
        public
    }
}
