//! Metrics: creating, attaching, reading by id and by name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId};
use orzo_model::{ArchivePolicy, MetricId, Timestamp};

use super::KvIndex;
use super::catalog::Catalog;
use super::deletion::lookups;
use super::documents::{MetricDocument, ResourceView, decode, encode};
use super::keys::{self, Lookup};
use super::rows::{instant, metric_id, type_text};
use super::scan::{NEXT, scan_prefix};
use super::transaction::Transaction;
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Error, Kind, MetricSpec, NewMetric, Result};
use crate::kv::Family;

impl KvIndex {
    pub(super) fn add_metrics_alone(
        &self,
        new: Vec<NewMetric>,
        now: Timestamp,
    ) -> Result<Vec<Result<Metric>>> {
        self.durably(|transaction| {
            let mut answers = Vec::with_capacity(new.len());
            for wish in new {
                match transaction.create_metric(wish, now) {
                    // A broken store fails all of them.
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    answer => answers.push(answer),
                }
            }
            Ok(answers)
        })
    }

    pub(super) fn add_metrics_to(
        &self,
        resource_type: &str,
        id: ResourceId,
        metrics: &[(String, MetricSpec)],
        now: Timestamp,
    ) -> Result<Vec<Metric>> {
        self.durably(|transaction| {
            let current = transaction.resource(Some(resource_type), id)?;
            for (name, spec) in metrics {
                transaction.attach(&current.resource, name, spec, now)?;
            }
            Ok(())
        })?;
        Ok(self.find_metrics_of(id)?)
    }

    pub(super) fn find_metric(&self, id: MetricId) -> StoreResult<Option<Metric>> {
        match self.metric_document(id)? {
            // The catalog is read after the metric: it has the metric's policy, or the metric is gone.
            Some(document) => read_metric(&self.catalog(), id, document),
            None => Ok(None),
        }
    }

    /// Many, in the order asked.
    pub(super) fn find_many(&self, ids: &[MetricId]) -> StoreResult<Vec<Option<Metric>>> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| keys::metric(*id)).collect();
        let documents = match self.kv.get_all(Family::Index, &keys) {
            // One that cannot be read costs none of the others.
            Err(error) if error.is_damage() => return ids.iter().map(|id| self.find_metric(*id)).collect(),
            read => read?,
        };
        let catalog = self.catalog();
        let read = |((id, key), bytes): ((&MetricId, &Vec<u8>), Option<Vec<u8>>)| {
            let Some(bytes) = bytes else { return Ok(None) };
            match self.sound(key, decode(&bytes, "metric"))? {
                Some(document) => read_metric(&catalog, *id, document),
                None => Ok(None),
            }
        };
        ids.iter().zip(&keys).zip(documents).map(read).collect()
    }

    /// The document of an active metric, unless it is damaged.
    pub(super) fn metric_document(&self, id: MetricId) -> StoreResult<Option<MetricDocument>> {
        let key = keys::metric(id);
        let read = |bytes: Option<Vec<u8>>| bytes.map(|bytes| decode(&bytes, "metric")).transpose();
        let found = self.kv.get(Family::Index, &key).and_then(read);
        Ok(self.sound(&key, found)?.flatten())
    }

    pub(super) fn find_metric_named(&self, id: ResourceId, name: &str) -> StoreResult<Option<Metric>> {
        match self.kv.get(Family::IndexBy, &keys::metric_named(id, name))? {
            Some(bytes) => {
                let Some(metric) = metric_id(&bytes) else { return Ok(None) };
                // Between the two reads it may have got another name.
                let found = self.find_metric(metric)?;
                Ok(found.filter(|metric| metric.resource == Some(id) && metric.name.as_deref() == Some(name)))
            }
            None => Ok(None),
        }
    }

    pub(super) fn find_metrics_of(&self, id: ResourceId) -> StoreResult<Vec<Metric>> {
        let names = self.metric_names(id)?;
        let ids: BTreeSet<MetricId> = names.into_iter().map(|(_, metric)| metric).collect();
        let found = ids.into_iter().map(|metric| self.find_metric(metric));
        Ok(found.collect::<StoreResult<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// A metric as an answer; `None` if its policy, and so the metric, is gone by now.
pub(super) fn read_metric(
    catalog: &Catalog,
    id: MetricId,
    document: MetricDocument,
) -> StoreResult<Option<Metric>> {
    let Some(policy) = catalog.policies.get(&document.policy).cloned() else { return Ok(None) };
    Ok(Some(answer(id, policy, document)?))
}

fn answer(id: MetricId, policy: Arc<ArchivePolicy>, document: MetricDocument) -> StoreResult<Metric> {
    Ok(Metric {
        id,
        name: document.name,
        unit: document.unit,
        creator: document.creator,
        resource: document.resource.map(ResourceId::from),
        policy,
        statsd: document.statsd.map(Into::into),
        created_at: instant(document.created)?,
    })
}

impl Transaction<'_> {
    /// An active metric.
    pub(super) fn metric(&self, id: MetricId) -> StoreResult<Option<MetricDocument>> {
        let found = self.get(Family::Index, &keys::metric(id))?;
        found.map(|bytes| decode(&bytes, "metric")).transpose()
    }

    /// The active metric of a name.
    pub(super) fn metric_named(&self, id: ResourceId, name: &str) -> StoreResult<Option<MetricId>> {
        let found = self.get(Family::IndexBy, &keys::metric_named(id, name))?;
        let read = |bytes: Vec<u8>| metric_id(&bytes).ok_or(StoreError::Corrupt { what: "metric name" });
        found.map(read).transpose()
    }

    fn create_metric(&mut self, wish: NewMetric, now: Timestamp) -> Result<Metric> {
        if let Some(resource) = wish.resource {
            if !self.has(Family::Index, &keys::type_of(resource))? {
                return Err(Error::NotFound(Kind::Resource, resource.to_string()));
            }
            self.expect_free(resource, wish.name.as_deref().unwrap_or_default())?;
        }
        let name = wish.name.as_deref().unwrap_or_default();
        let policy = self.catalog.policy_for(wish.policy.as_deref(), name)?.clone();
        let document = MetricDocument {
            name: wish.name,
            unit: wish.unit,
            creator: wish.creator,
            resource: wish.resource.map(ResourceId::uuid),
            policy: policy.name.clone(),
            statsd: None,
            created: now.ns(),
        };
        let id = self.draw_id();
        self.insert_metric(id, &document)?;
        Ok(answer(id, policy, document)?)
    }

    /// Attaches a metric, new or existing, to a resource under a name that must be free.
    pub(super) fn attach(
        &mut self,
        resource: &Resource,
        name: &str,
        spec: &MetricSpec,
        now: Timestamp,
    ) -> Result<()> {
        match spec {
            MetricSpec::Existing(id) => self.attach_existing(resource, name, *id),
            MetricSpec::New { policy, unit } => {
                let policy = self.catalog.policy_for(policy.as_deref(), name)?.name.clone();
                self.expect_free(resource.id, name)?;
                let document = MetricDocument {
                    name: Some(name.to_owned()),
                    unit: unit.clone(),
                    creator: resource.creator.clone(),
                    resource: Some(resource.id.uuid()),
                    policy,
                    statsd: None,
                    created: now.ns(),
                };
                let id = self.draw_id();
                Ok(self.insert_metric(id, &document)?)
            }
        }
    }

    fn attach_existing(&mut self, resource: &Resource, name: &str, id: MetricId) -> Result<()> {
        let own = self.metric(id)?.filter(|document| document.creator == resource.creator);
        let document = own.ok_or(Error::UnknownMetric(id))?;
        let here = document.resource == Some(resource.id.uuid());
        if here && document.name.as_deref() == Some(name) {
            return Ok(());
        }
        self.expect_free(resource.id, name)?;
        Ok(self.move_metric(id, document, Some((resource.id, name)))?)
    }

    fn expect_free(&self, id: ResourceId, name: &str) -> Result<()> {
        match self.metric_named(id, name)? {
            Some(_) => Err(Error::NamedMetricExists(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Makes a resource have exactly these metrics.
    pub(super) fn replace_metrics(
        &mut self,
        resource: &Resource,
        metrics: &[(String, MetricSpec)],
        now: Timestamp,
    ) -> Result<()> {
        for (name, id) in self.index().metric_names(resource.id)? {
            let stays =
                |(wished, spec): &(String, MetricSpec)| *wished == name && *spec == MetricSpec::Existing(id);
            if !metrics.iter().any(stays)
                && let Some(document) = self.metric(id)?
            {
                self.move_metric(id, document, None)?;
            }
        }
        for (name, spec) in metrics {
            self.attach(resource, name, spec, now)?;
        }
        Ok(())
    }

    pub(super) fn insert_metric(&mut self, id: MetricId, document: &MetricDocument) -> StoreResult<()> {
        self.put(Family::Index, keys::metric(id), encode(document));
        for (lookup, text) in lookups(document) {
            self.put(Family::IndexBy, lookup.key(text, id.to_bytes()), Vec::new());
        }
        if let (Some(resource), Some(name)) = (document.resource, &document.name) {
            self.put_name(resource.into(), name, id, document)?;
        }
        self.counters.metrics += 1;
        self.note_prefix(document, 1);
        Ok(())
    }

    fn put_name(
        &mut self,
        resource: ResourceId,
        name: &str,
        id: MetricId,
        document: &MetricDocument,
    ) -> StoreResult<()> {
        let mut value = id.to_bytes().to_vec();
        if self.creator_of(resource)? == Some(document.creator.as_str()) {
            value.extend(document.policy.as_bytes());
        }
        self.put(Family::IndexBy, keys::metric_named(resource, name), value);
        self.set_count(resource, None);
        Ok(())
    }

    /// Who made a resource, if that can be read.
    fn creator_of(&mut self, id: ResourceId) -> StoreResult<Option<&str>> {
        if !self.creators.contains_key(&id) {
            let creator = self.index().sound(&keys::type_of(id), self.read_creator(id))?;
            self.creators.insert(id, creator.flatten());
        }
        Ok(self.creators[&id].as_deref())
    }

    fn read_creator(&self, id: ResourceId) -> StoreResult<Option<String>> {
        let Some(type_name) = self.get(Family::Index, &keys::type_of(id))? else { return Ok(None) };
        let state = self.get(Family::Index, &keys::resource(&type_text(&type_name)?, id))?;
        let Some(state) = state else { return Ok(None) };
        Ok(ResourceView::decode(&state)?.creator().map(Cow::into_owned))
    }

    /// Detaches a metric from where it is, and attaches it, renamed, elsewhere.
    fn move_metric(
        &mut self,
        id: MetricId,
        mut document: MetricDocument,
        to: Option<(ResourceId, &str)>,
    ) -> StoreResult<()> {
        if let (Some(resource), Some(name)) = (document.resource, &document.name) {
            self.delete(Family::IndexBy, keys::metric_named(resource.into(), name));
            self.set_count(resource.into(), None);
        }
        document.resource = to.map(|(resource, _)| resource.uuid());
        self.note_prefix(&document, -1);
        if let Some((resource, name)) = to {
            if let Some(old) = document.name.replace(name.to_owned()) {
                self.delete(Family::IndexBy, Lookup::MetricName.key(&old, id.to_bytes()));
            }
            self.put(Family::IndexBy, Lookup::MetricName.key(name, id.to_bytes()), Vec::new());
            self.put_name(resource, name, id, &document)?;
        }
        self.note_prefix(&document, 1);
        self.put(Family::Index, keys::metric(id), encode(&document));
        Ok(())
    }

    /// How many active metrics a resource has, counted up to `max`.
    pub(super) fn count_metrics_of(&mut self, id: ResourceId, max: u64) -> StoreResult<u64> {
        if let Some(count) = self.known_count(id) {
            return Ok(count);
        }
        let mut count = 0;
        scan_prefix(self.kv(), Family::IndexBy, &keys::metrics_of(id), &mut |_, _| {
            count += 1;
            if count >= max { super::scan::DONE } else { NEXT }
        })?;
        self.set_count(id, Some(count));
        Ok(count)
    }
}
