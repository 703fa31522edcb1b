//! One writer at a time: what it reads includes what it is about to write, and nothing is written
//! before everything is known to be right.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use orzo_model::MetricId;
use orzo_model::resource::ResourceId;
use parking_lot::MutexGuard;

use super::KvIndex;
use super::catalog::Catalog;
use super::documents::{Counters, encode};
use super::keys::{self, Key};
use super::orders::StateChange;
use super::prefixes::Prefixes;
use crate::error::Result as StoreResult;
use crate::index::Result;
use crate::index::put_off::owe;
use crate::kv::{Batch, Change, Family, Kv, WhenStalled};

/// What only the writer knows.
#[derive(Debug)]
pub(super) struct Writer {
    pub counters: Counters,
    /// Active metrics of resources that a statsd door writes to under a limit.
    metrics_of: HashMap<ResourceId, u64>,
    /// `None`: no door has a limit on prefixes.
    prefixes: Option<Prefixes>,
}

/// Changes under way. Dropping it forgets them.
pub(super) struct Transaction<'a> {
    index: &'a KvIndex,
    writer: MutexGuard<'a, Writer>,
    /// As it will be.
    pub counters: Counters,
    /// As it is.
    pub catalog: Arc<Catalog>,
    new_catalog: Option<Catalog>,
    pending: [(Family, Changes); 2],
    /// What becomes of [`Writer::metrics_of`]; `None`: not known any more.
    counts: HashMap<ResourceId, Option<u64>>,
    /// Creators of resources, as they were met; no resource changes hands.
    pub creators: HashMap<ResourceId, Option<String>>,
    /// For the orders in memory.
    pub state_changes: Vec<StateChange>,
    /// What becomes of [`Writer::prefixes`].
    pub prefix_changes: HashMap<Box<str>, i64>,
    /// Whether anything goes.
    takes_away: bool,
}

/// What keys get; `None`: they go.
type Changes = HashMap<Key, Option<Vec<u8>>>;

impl Writer {
    pub(super) fn new(counters: Counters) -> Self {
        Writer { counters, metrics_of: HashMap::new(), prefixes: None }
    }
}

impl KvIndex {
    pub(super) fn begin(&self) -> Transaction<'_> {
        let writer = self.writer.lock();
        Transaction {
            index: self,
            counters: writer.counters,
            writer,
            catalog: self.catalog(),
            new_catalog: None,
            pending: [Family::Index, Family::IndexBy].map(|family| (family, Changes::new())),
            counts: HashMap::new(),
            creators: HashMap::new(),
            state_changes: Vec::new(),
            prefix_changes: HashMap::new(),
            takes_away: false,
        }
    }

    /// Runs `change`, and makes it durable if it succeeds, unless the caller does. Others may write while this one syncs.
    pub(super) fn durably<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut transaction = self.begin();
        let result = change(&mut transaction)?;
        if transaction.commit()? && !owe() {
            self.kv.sync()?;
        }
        Ok(result)
    }
}

impl<'a> Transaction<'a> {
    pub(super) fn get(&self, family: Family, key: &[u8]) -> StoreResult<Option<Vec<u8>>> {
        let pending = self.pending.iter().find(|(own, _)| *own == family);
        match pending.and_then(|(_, changes)| changes.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.index.kv.get(family, key),
        }
    }

    pub(super) fn has(&self, family: Family, key: &[u8]) -> StoreResult<bool> {
        Ok(self.get(family, key)?.is_some())
    }

    pub(super) fn put(&mut self, family: Family, key: Key, value: Vec<u8>) {
        self.change(family, key, Some(value));
    }

    pub(super) fn delete(&mut self, family: Family, key: Key) {
        self.takes_away = true;
        self.change(family, key, None);
    }

    fn change(&mut self, family: Family, key: Key, value: Option<Vec<u8>>) {
        let pending = self.pending.iter_mut().find(|(own, _)| *own == family);
        let (_, changes) = pending.expect("the index writes to its own two families");
        changes.insert(key, value);
    }

    /// How many active metrics a resource has, if that is known.
    pub(super) fn known_count(&self, id: ResourceId) -> Option<u64> {
        self.counts.get(&id).copied().unwrap_or_else(|| self.writer.metrics_of.get(&id).copied())
    }

    pub(super) fn set_count(&mut self, id: ResourceId, count: Option<u64>) {
        self.counts.insert(id, count);
    }

    pub(super) fn prefixes(&self) -> Option<&Prefixes> {
        self.writer.prefixes.as_ref()
    }

    /// Counted from what is written, so nothing of this transaction may be pending.
    pub(super) fn set_prefixes(&mut self, prefixes: Prefixes) {
        self.writer.prefixes = Some(prefixes);
    }

    /// The snapshot that this transaction is going to publish.
    pub(super) fn catalog_mut(&mut self) -> &mut Catalog {
        self.new_catalog.get_or_insert_with(|| Catalog::clone(&self.catalog))
    }

    pub(super) fn draw_id(&self) -> MetricId {
        (self.index.draw_id)()
    }

    /// What is written already.
    pub(super) fn index(&self) -> &'a KvIndex {
        self.index
    }

    /// What is written already.
    pub(super) fn kv(&self) -> &'a dyn Kv {
        &*self.index.kv
    }

    /// What is pending, by family and key: an engine takes ascending keys faster, and runs of a simulation are the same.
    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        for (family, changes) in &mut self.pending {
            let mut changes: Vec<_> = changes.drain().collect();
            changes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            batch.changes.extend(changes.into_iter().map(|(key, value)| match value {
                Some(value) => (*family, Change::Put(key, value)),
                None => (*family, Change::Delete(key)),
            }));
        }
        batch
    }

    /// Writes everything; says whether there was anything.
    pub(super) fn commit(mut self) -> Result<bool> {
        if self.counters != self.writer.counters {
            let counters = encode(&self.counters);
            self.put(Family::Index, keys::COUNTERS.to_vec(), counters);
        }
        let batch = self.batch();
        // What was counted without changing anything is counted again when it matters.
        if batch.is_empty() {
            return Ok(false);
        }
        if let Err(error) = self.index.kv.write(batch, WhenStalled::Wait) {
            // It may have happened all the same.
            self.index.orders.clear();
            self.index.revise();
            return Err(error.into());
        }
        // Before anybody is told, so that whoever was told finds it.
        self.index.orders.change(&self.catalog, &self.state_changes);
        self.writer.counters = self.counters;
        // A gauge: nothing is ordered by it.
        self.index.metrics_count.store(self.counters.metrics, Ordering::Relaxed);
        for (id, count) in self.counts.drain() {
            match count {
                Some(count) => self.writer.metrics_of.insert(id, count),
                None => self.writer.metrics_of.remove(&id),
            };
        }
        if !self.prefix_changes.is_empty()
            && let Some(prefixes) = &mut self.writer.prefixes
        {
            prefixes.apply(self.prefix_changes);
        }
        if let Some(catalog) = self.new_catalog.take() {
            self.index.orders.keep_types_of(&catalog);
            *self.index.catalog.write() = Arc::new(catalog);
            self.takes_away = true;
        }
        if self.takes_away {
            self.index.revise();
        }
        Ok(true)
    }
}
