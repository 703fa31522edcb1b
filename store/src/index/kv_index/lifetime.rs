//! Ends of resources: who has none, who gets rid of one, and who is deleted because of one.
//!
//! Resources with an end have a key that sorts by it. So deleting costs by what goes, and the question
//! whether any resource has an end at all costs one look.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};

use super::KvIndex;
use super::documents::{MetricDocument, ResourceView, decode};
use super::keys;
use super::rows::{metric_id, type_text};
use super::scan::{DONE, NEXT, any, scan};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Deletion, Error, Heard, LivingPage, Result};
use crate::kv::{Family, prefix_end};

impl KvIndex {
    pub(super) fn find_living(&self, after: Option<ResourceId>, limit: usize) -> StoreResult<LivingPage> {
        let from = after.map_or_else(|| keys::TYPE_OF.to_vec(), |id| keys::after(keys::type_of(id)));
        let mut seen: Vec<(ResourceId, Arc<str>)> = Vec::new();
        scan(&*self.kv, Family::Index, &from, &prefix_end(keys::TYPE_OF), &mut |key, value| {
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a resource" })?;
            seen.push((ResourceId::from_bytes(id), type_text(value)?));
            if seen.len() >= limit { DONE } else { NEXT }
        })?;
        let last = seen.last().map(|(id, _)| *id).filter(|_| seen.len() >= limit);
        let mut living = Vec::new();
        for (id, type_name) in seen {
            if let Some(state) = self.current(&type_name, id)?
                && ResourceView::decode(&state.bytes)?.ended.is_none()
            {
                living.push(id);
            }
        }
        Ok(LivingPage { living, last })
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
            let name = String::from_utf8(key[prefix.len()..].to_vec()).ok();
            names.push(name.zip(metric_id(value)).ok_or(StoreError::Corrupt { what: "metric name" })?);
            NEXT
        })?;
        Ok(names)
    }

    pub(super) fn clear_ends(&self, heard: &[Heard], now: Timestamp) -> Result<u64> {
        if !any(&*self.kv, Family::IndexBy, keys::ENDED)? {
            return Ok(0);
        }
        let mut by_resource: BTreeMap<ResourceId, Vec<Heard>> = BTreeMap::new();
        for heard in heard {
            let Some(bytes) = self.kv.get(Family::Index, &keys::metric(heard.metric))? else { continue };
            let document: MetricDocument = decode(&bytes, "metric")?;
            if let Some(resource) = document.resource {
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
        let Some(type_name) = self.type_of(id)? else { return Ok(false) };
        let Some(state) = self.current(&type_name, id)? else { return Ok(false) };
        let document = ResourceView::decode(&state.bytes)?;
        let wakes = |heard: &Heard| is_woken(document.ended, document.since, heard);
        Ok(heard.iter().any(wakes))
    }

    pub(super) fn remove_ended(&self, before: Timestamp, limit: usize) -> Result<Deletion> {
        self.durably(|transaction| {
            let mut deletion = Deletion::default();
            for id in transaction.ended_before(before, limit)? {
                let current = transaction.resource(None, id)?;
                transaction.delete_state(&current.resource)?;
                deletion.resources += 1;
                deletion.metrics.extend(transaction.delete_metrics_of(id)?);
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
    fn clear_end(&mut self, id: ResourceId, heard: &[Heard], now: Timestamp) -> Result<bool> {
        let old = match self.resource(None, id) {
            Ok(old) => old,
            Err(Error::NotFound(..)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let (ended, since) = (old.resource.ended_at.map(Timestamp::ns), old.resource.revision_start.ns());
        if !heard.iter().any(|heard| is_woken(ended, since, heard)) {
            return Ok(false);
        }
        let mut new = old.resource.clone();
        new.ended_at = None;
        self.revise(&old, &mut new, now)
    }

    fn ended_before(&self, before: Timestamp, limit: usize) -> StoreResult<Vec<ResourceId>> {
        let mut found = Vec::new();
        let to = keys::ended_before(before);
        scan(self.kv(), Family::IndexBy, keys::ENDED, &to, &mut |key, _| {
            if found.len() >= limit {
                return DONE;
            }
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a resource" })?;
            found.push(ResourceId::from_bytes(id));
            NEXT
        })?;
        Ok(found)
    }
}
