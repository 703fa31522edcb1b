//! Finding or making the metrics of statsd series.
//!
//! A series finds its metric by resource and name, so the id that its name hashes to is only a wish:
//! metrics made over HTTP keep theirs, and an id that was ever deleted is not given again.

use orzo_model::metric::{NAME_CHARS_MAX, UNIT_CHARS_MAX};
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::{AttributeKind, Value};
use orzo_model::{MetricId, Timestamp};

use super::KvIndex;
use super::documents::{MetricDocument, StatsdDocument, encode};
use super::keys;
use super::rows::metric_id;
use super::transaction::Transaction;
use crate::error::Result as StoreResult;
use crate::index::{Admit, Error, NewResource, NewSeries, Refusal, Resolved, Result, StatsdHome};
use crate::kv::Family;

impl KvIndex {
    /// Series whose metrics exist need no writer; the others go together into one write.
    pub(super) fn resolve_series(
        &self,
        home: &StatsdHome,
        new: &[NewSeries],
        admit: &mut Admit<'_>,
        now: Timestamp,
    ) -> Result<Vec<Resolved>> {
        let mut resolved: Vec<Option<Resolved>> = Vec::with_capacity(new.len());
        for series in new {
            resolved.push(self.known(home, series)?);
        }
        if resolved.iter().any(Option::is_none) {
            let mut transaction = self.begin();
            if let Some(limit) = home.prefix_max {
                transaction.count_prefixes(limit.segments)?;
            }
            for (slot, series) in resolved.iter_mut().zip(new) {
                if slot.is_none() {
                    *slot = Some(transaction.resolve(home, series, admit, now)?);
                }
            }
            transaction.commit()?;
        }
        Ok(resolved.into_iter().flatten().collect())
    }

    fn known(&self, home: &StatsdHome, series: &NewSeries) -> Result<Option<Resolved>> {
        let resource = match check(home, series) {
            Ok(resource) => resource,
            Err(refusal) => return Ok(Some(Resolved::Refused(refusal))),
        };
        for (name, renamed) in series.names() {
            let found = self.kv.get(Family::IndexBy, &keys::metric_named(resource, &name))?;
            let Some(id) = found.as_deref().and_then(metric_id) else { continue };
            let Some(document) = self.metric_document(id)? else { continue };
            if series.owns(&document)
                && let Some(policy) = self.catalog().policies.get(&document.policy).cloned()
            {
                return Ok(Some(Resolved::Metric { id, policy, created: false, renamed }));
            }
        }
        Ok(None)
    }
}

/// The resource of a series whose names are all right.
fn check(home: &StatsdHome, series: &NewSeries) -> std::result::Result<ResourceId, Refusal> {
    let text = series.resource.as_deref().unwrap_or(&home.default_resource);
    let longest = series.names()[1].0.chars().count();
    let unit_length = series.unit.as_ref().map_or(0, |unit| unit.chars().count());
    if series.name.is_empty()
        || series.name.contains('/')
        || longest > NAME_CHARS_MAX
        || unit_length > UNIT_CHARS_MAX
    {
        return Err(Refusal::Name);
    }
    ResourceId::derive(text, Some(&home.creator)).map_err(|_| Refusal::Resource)
}

impl NewSeries {
    /// What its metric may be called, and whether that is the second choice.
    fn names(&self) -> [(String, bool); 2] {
        [(self.name.clone(), false), (format!("{}|{}", self.name, self.series.type_text), true)]
    }

    fn owns(&self, metric: &MetricDocument) -> bool {
        metric.statsd.as_ref().is_some_and(|statsd| statsd.type_text == self.series.type_text)
    }

    /// Metrics made over HTTP belong to the first type that comes.
    fn may_own(&self, metric: &MetricDocument) -> bool {
        metric.statsd.is_none() || self.owns(metric)
    }
}

impl Transaction<'_> {
    fn resolve(
        &mut self,
        home: &StatsdHome,
        series: &NewSeries,
        admit: &mut Admit<'_>,
        now: Timestamp,
    ) -> Result<Resolved> {
        let resource = match check(home, series) {
            Ok(resource) => resource,
            Err(refusal) => return Ok(Resolved::Refused(refusal)),
        };
        let [(plain, _), (typed, _)] = series.names();
        let (owner, stand_in) = (self.found(resource, &plain)?, self.found(resource, &typed)?);
        match (owner, stand_in) {
            (Some((id, metric)), _) if series.owns(&metric) => self.take(id, metric, series, false),
            // A type that was turned away once stays away, even if the name is free by now.
            (_, Some((id, metric))) if series.may_own(&metric) => self.take(id, metric, series, true),
            (_, Some(_)) => Ok(Resolved::Refused(Refusal::Name)),
            (Some((id, metric)), None) if series.may_own(&metric) => self.take(id, metric, series, false),
            (owner, None) => match self.admit(home, series, resource, admit)? {
                Some(refusal) => Ok(Resolved::Refused(refusal)),
                None if owner.is_some() => self.make(home, series, resource, typed, true, now),
                None => self.make(home, series, resource, plain, false, now),
            },
        }
    }

    fn found(&self, resource: ResourceId, name: &str) -> StoreResult<Option<(MetricId, MetricDocument)>> {
        let key = keys::metric_named(resource, name);
        let Some(id) = self.index().sound(&key, self.metric_named(resource, name))?.flatten() else {
            return Ok(None);
        };
        // Of a damaged metric the series gets another, and with it the name.
        let document = self.index().sound(&keys::metric(id), self.metric(id))?.flatten();
        Ok(document.map(|document| (id, document)))
    }

    /// Uses an existing metric; the first type to come owns it.
    fn take(
        &mut self,
        id: MetricId,
        mut document: MetricDocument,
        series: &NewSeries,
        renamed: bool,
    ) -> Result<Resolved> {
        // Only if it was damaged: a policy stays as long as a metric has it.
        let Some(policy) = self.catalog.policies.get(&document.policy).cloned() else {
            return Ok(Resolved::Refused(Refusal::NoPolicy));
        };
        if document.statsd.is_none() {
            document.statsd = Some(StatsdDocument::from(&series.series));
            self.note_prefix(&document, 1);
            self.put(Family::Index, keys::metric(id), encode(&document));
        }
        Ok(Resolved::Metric { id, policy, created: false, renamed })
    }

    fn make(
        &mut self,
        home: &StatsdHome,
        series: &NewSeries,
        resource: ResourceId,
        name: String,
        renamed: bool,
        now: Timestamp,
    ) -> Result<Resolved> {
        let Ok(policy) = self.catalog.policy_for(series.policy.as_deref(), &series.name).cloned() else {
            return Ok(Resolved::Refused(Refusal::NoPolicy));
        };
        if !self.ensure_resource(home, series, resource, now)? {
            return Ok(Resolved::Refused(Refusal::Resource));
        }
        let document = MetricDocument {
            name: Some(name),
            unit: series.unit.clone(),
            creator: home.creator.clone(),
            resource: Some(resource.uuid()),
            policy: policy.name.clone(),
            statsd: Some(StatsdDocument::from(&series.series)),
            created: now.ns(),
        };
        let id = self.free_id(series.hash_id)?;
        let count = self.known_count(resource);
        self.insert_metric(id, &document)?;
        self.set_count(resource, count.map(|count| count + 1));
        Ok(Resolved::Metric { id, policy, created: true, renamed })
    }

    /// Why nothing may be made for a series, if so. What `admit` lets in it may count: it is asked last.
    fn admit(
        &mut self,
        home: &StatsdHome,
        series: &NewSeries,
        resource: ResourceId,
        admit: &mut Admit<'_>,
    ) -> StoreResult<Option<Refusal>> {
        if self.catalog.policy_for(series.policy.as_deref(), &series.name).is_err() {
            return Ok(Some(Refusal::NoPolicy));
        }
        if self.is_full(home, resource)? {
            return Ok(Some(Refusal::Limit));
        }
        if home.prefix_max.is_some_and(|limit| self.metrics_with_prefix_of(&series.name) >= limit.max) {
            return Ok(Some(Refusal::PrefixLimit));
        }
        Ok(admit(series).err())
    }

    fn is_full(&mut self, home: &StatsdHome, resource: ResourceId) -> StoreResult<bool> {
        if home.metrics_max.is_some_and(|max| self.counters.metrics >= max) {
            return Ok(true);
        }
        match home.metrics_per_resource_max {
            Some(max) => Ok(self.count_metrics_of(resource, max)? >= max),
            None => Ok(false),
        }
    }

    /// Makes the resource unless it exists, of whatever type; `false` if it cannot be made.
    fn ensure_resource(
        &mut self,
        home: &StatsdHome,
        series: &NewSeries,
        id: ResourceId,
        now: Timestamp,
    ) -> Result<bool> {
        if self.has(Family::Index, &keys::type_of(id))? {
            return Ok(true);
        }
        let text = series.resource.as_deref().unwrap_or(&home.default_resource);
        let resource_type =
            if series.attributes.is_empty() { &home.resource_type } else { &home.attribute_type };
        let made = self.create_resource(&NewResource {
            id,
            original_id: text.to_owned(),
            resource_type: resource_type.clone(),
            creator: home.creator.clone(),
            user_id: None,
            project_id: None,
            started_at: None,
            ended_at: None,
            attributes: self.attributes(resource_type, series),
            metrics: Vec::new(),
            now,
        });
        match made {
            Ok(_) => Ok(true),
            Err(Error::NotFound(..) | Error::Outdated(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Those attributes of a series that its resource's type has.
    fn attributes(&self, resource_type: &str, series: &NewSeries) -> Vec<(String, Value)> {
        let Ok(entry) = self.catalog.resource_type(resource_type) else { return Vec::new() };
        let is_text = |name: &str| {
            let attribute = entry.public.attributes.get(name);
            attribute.is_some_and(|attribute| matches!(attribute.kind, AttributeKind::Text { .. }))
        };
        let known = series.attributes.iter().filter(|(name, _)| is_text(name));
        known.map(|(name, value)| (name.clone(), Value::Text(value.clone()))).collect()
    }

    /// The id wished for, unless it is in use or burned; else a random one of the same partition.
    fn free_id(&self, wish: MetricId) -> StoreResult<MetricId> {
        let taken = self.has(Family::Index, &keys::metric(wish))?
            || self.has(Family::Index, &keys::deleted_metric(wish))?
            || self.has(Family::IndexBy, &keys::burned(wish))?;
        Ok(if taken { in_partition_of(wish, self.draw_id()) } else { wish })
    }
}

/// Moves an id to the partition of another, however many partitions there are.
fn in_partition_of(other: MetricId, id: MetricId) -> MetricId {
    const PARTITION: u128 = 0xffff;
    MetricId::from_bits((id.bits() & !PARTITION) | (other.bits() & PARTITION))
}
