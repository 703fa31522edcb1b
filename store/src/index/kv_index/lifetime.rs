//! Ends of resources: who has none, who gets rid of one, and who is deleted because of one.
//!
//! Resources with an end have a key that sorts by it. So deleting costs by what goes, and the question
//! whether any resource has an end at all costs one look.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};

use super::KvIndex;
use super::documents::ResourceView;
use super::keys::{self, Key};
use super::resources::{Current, cut};
use super::rows::{metric_name, type_text};
use super::scan::{DONE, NEXT, any, scan};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Deletion, Error, Heard, LivingPage, Result};
use crate::kv::{Family, prefix_end};

impl KvIndex {
    pub(super) fn find_living(&self, after: Option<ResourceId>, limit: usize) -> StoreResult<LivingPage> {
        let from = after.map_or_else(|| keys::TYPE_OF.to_vec(), |id| keys::after(keys::type_of(id)));
        let mut seen: Vec<(ResourceId, Arc<str>)> = Vec::new();
        let (mut last, mut looked_at) = (None, 0);
        scan(&*self.kv, Family::Index, &from, &prefix_end(keys::TYPE_OF), &mut |key, value| {
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a resource" })?;
            last = Some(ResourceId::from_bytes(id));
            let type_name = self.sound(key, type_text(value))?;
            seen.extend(last.zip(type_name));
            looked_at += 1;
            if looked_at >= limit { DONE } else { NEXT }
        })?;
        let mut living = Vec::new();
        for (id, type_name) in seen {
            if let Some((ended, _)) = self.end_of(&type_name, id)?
                && ended.is_none()
            {
                living.push(id);
            }
        }
        Ok(LivingPage { living, last: last.filter(|_| looked_at >= limit) })
    }

    /// The end of a resource, if it has one, and since when that is so; `None` if there is no such resource.
    fn end_of(&self, type_name: &Arc<str>, id: ResourceId) -> StoreResult<Option<(Option<u64>, u64)>> {
        let Some(state) = self.current(type_name, id)? else { return Ok(None) };
        let key = keys::resource(type_name, id);
        let document = self.sound(&key, ResourceView::decode(&state.bytes))?;
        Ok(document.map(|document| (document.ended, document.since)))
    }

    pub(super) fn find_metric_ids(
        &self,
        id: ResourceId,
        after: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<(String, MetricId)>> {
        let prefix = keys::metrics_of(id);
        let from = after.map_or_else(|| prefix.clone(), |name| keys::after(keys::metric_named(id, name)));
        let mut names = Vec::new();
        scan(&*self.kv, Family::IndexBy, &from, &prefix_end(&prefix), &mut |key, value| {
            if names.len() >= limit {
                return DONE;
            }
            names.extend(self.sound(key, metric_name(key, value))?);
            NEXT
        })?;
        Ok(names)
    }

    pub(super) fn set_ends(&self, ids: &[ResourceId], now: Timestamp) -> Result<u64> {
        self.durably(|transaction| {
            ids.iter().try_fold(0, |ended, id| Ok(ended + u64::from(transaction.set_end(*id, now)?)))
        })
    }

    pub(super) fn clear_ends(&self, heard: &[Heard], now: Timestamp) -> Result<u64> {
        if !any(&*self.kv, Family::IndexBy, keys::ENDED)? {
            return Ok(0);
        }
        let mut by_resource: BTreeMap<ResourceId, Vec<Heard>> = BTreeMap::new();
        for heard in heard {
            let document = self.metric_document(heard.metric)?;
            if let Some(resource) = document.and_then(|document| document.resource) {
                by_resource.entry(resource.into()).or_default().push(*heard);
            }
        }
        let mut wakes = Vec::new();
        for (id, heard) in by_resource {
            if self.wakes(id, &heard)? {
                wakes.push((id, heard));
            }
        }
        if wakes.is_empty() {
            return Ok(0);
        }
        self.durably(|transaction| {
            wakes.iter().try_fold(0, |cleared, (id, heard)| {
                Ok(cleared + u64::from(transaction.clear_end(*id, heard, now)?))
            })
        })
    }

    /// Whether one of these ends the end, as it looks from outside a transaction.
    fn wakes(&self, id: ResourceId, heard: &[Heard]) -> Result<bool> {
        let key = keys::type_of(id);
        let Some(type_name) = self.sound(&key, self.type_of(id))?.flatten() else { return Ok(false) };
        let Some((ended, since)) = self.end_of(&type_name, id)? else { return Ok(false) };
        Ok(heard.iter().any(|heard| is_woken(ended, since, heard)))
    }

    pub(super) fn remove_ended(&self, before: Timestamp, limit: usize) -> Result<Deletion> {
        self.durably(|transaction| {
            let mut deletion = Deletion::default();
            for (key, id) in transaction.ended_before(before, limit)? {
                let Some(current) = transaction.still_there(id)? else {
                    // Only after damage: what leads nowhere must not stand in the way of the others.
                    transaction.delete(Family::IndexBy, key);
                    continue;
                };
                let whole = transaction.whole(current)?;
                deletion.metrics.extend(transaction.delete_whole(whole));
                deletion.resources += 1;
            }
            Ok(deletion)
        })
    }
}

/// A measure says that a resource goes on if it is no older than the end, and came when that was set already.
fn is_woken(ended_ns: Option<u64>, since_ns: u64, heard: &Heard) -> bool {
    ended_ns.is_some_and(|ended| heard.newest.ns() >= ended) && heard.arrived.ns() >= since_ns
}

impl Transaction<'_> {
    /// A resource, unless it is gone or damaged.
    fn still_there(&self, id: ResourceId) -> Result<Option<Current>> {
        match self.resource(None, id) {
            Ok(current) => Ok(Some(current)),
            Err(Error::NotFound(..)) => Ok(None),
            Err(Error::Store(error)) => Ok(self.index().sound(&keys::type_of(id), Err(error))?),
            Err(error) => Err(error),
        }
    }

    fn set_end(&mut self, id: ResourceId, now: Timestamp) -> Result<bool> {
        let Some(old) = self.still_there(id)? else { return Ok(false) };
        let mut new = old.resource.clone();
        if new.ended_at.is_some() || new.started_at > cut(now) {
            return Ok(false);
        }
        new.ended_at = Some(cut(now));
        self.revise(&old, &mut new, now)
    }

    fn clear_end(&mut self, id: ResourceId, heard: &[Heard], now: Timestamp) -> Result<bool> {
        let Some(old) = self.still_there(id)? else { return Ok(false) };
        let (ended, since) = (old.resource.ended_at.map(Timestamp::ns), old.resource.revision_start.ns());
        if !heard.iter().any(|heard| is_woken(ended, since, heard)) {
            return Ok(false);
        }
        let mut new = old.resource.clone();
        new.ended_at = None;
        self.revise(&old, &mut new, now)
    }

    fn ended_before(&self, before: Timestamp, limit: usize) -> StoreResult<Vec<(Key, ResourceId)>> {
        let mut found = Vec::new();
        let to = keys::ended_before(before);
        scan(self.kv(), Family::IndexBy, keys::ENDED, &to, &mut |key, _| {
            if found.len() >= limit {
                return DONE;
            }
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a resource" })?;
            found.push((key.to_vec(), ResourceId::from_bytes(id)));
            NEXT
        })?;
        Ok(found)
    }
}
