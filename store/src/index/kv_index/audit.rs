//! The index's part of a check: documents decode, refer to what exists, and have the secondary keys that lead
//! to them; and no secondary key leads nowhere.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use orzo_model::resource::{Resource, ResourceId, Revision};
use orzo_model::{ArchivePolicy, MetricId};

use super::catalog::Catalog;
use super::deletion::lookups;
use super::documents::{Counters, MetricDocument, decode};
use super::keys::{self, Key};
use super::resources::secondary_keys;
use super::rows::{ResourceRow, metric_id, type_text};
use crate::check::{Walk, of_metric, of_text_key};
use crate::error::Result;
use crate::keys::NAMES;
use crate::kv::Family;

const UNREAD: &str = "nobody reads it";
const INVISIBLE: &str = "nobody sees it";

/// The metrics that the index has.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Ascending; without a policy if that is damaged or gone.
    pub(crate) active: Vec<(MetricId, Option<Arc<ArchivePolicy>>)>,
    /// Ascending.
    deleted: Vec<MetricId>,
}

impl Metrics {
    /// An active metric, and its policy if that is known.
    pub(crate) fn active(&self, id: MetricId) -> Option<Option<&Arc<ArchivePolicy>>> {
        let at = self.active.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.active[at].1.as_ref())
    }

    /// Whether a metric is deleted and waits for the janitor.
    pub(crate) fn is_deleted(&self, id: MetricId) -> bool {
        self.deleted.binary_search(&id).is_ok()
    }
}

/// Checks the index and says which metrics there are.
pub(crate) fn audit(walk: &mut Walk<'_>) -> Result<Metrics> {
    let mut audit = Audit::new(catalog(walk)?);
    audit.resource_ids(walk)?;
    audit.resources(walk)?;
    audit.revisions(walk)?;
    audit.metrics(walk)?;
    audit.counters(walk)?;
    rest(walk)?;
    audit.secondary_keys(walk)?;
    Ok(audit.metrics)
}

/// Policies, rules and types that decode. The others are told.
fn catalog(walk: &mut Walk<'_>) -> Result<Catalog> {
    for table in [keys::POLICIES, keys::RULES, keys::TYPES] {
        walk.each(Family::Index, table, |_, _, _| {})?;
    }
    let mut damaged = Vec::new();
    let loaded = Catalog::load(walk.kv(), &mut |key| damaged.push(of_text_key(key)));
    for place in damaged {
        let costs = "whatever refers to it cannot be read until it is made again";
        walk.found(Family::Index, place, "does not decode", costs);
    }
    let catalog = match loaded {
        // The walk has told of the block that the engine cannot read.
        Err(error) if error.is_damage() => Catalog::default(),
        other => other?,
    };
    for compiled in catalog.rules.values() {
        let rule = &compiled.rule;
        if !catalog.policies.contains_key(&rule.policy) {
            let what = format!("names the archive policy {:?}, which is not there", rule.policy);
            walk.found(Family::Index, format!("rule {:?}", rule.name), what, "it matches in vain");
        }
    }
    Ok(catalog)
}

/// Tables that nothing of this release writes: counted only.
fn rest(walk: &mut Walk<'_>) -> Result<()> {
    let known = [
        keys::POLICIES,
        keys::RULES,
        keys::TYPES,
        keys::COUNTERS,
        keys::RESOURCES,
        keys::REVISIONS,
        keys::METRICS,
        keys::DELETED,
        keys::TYPE_OF,
    ];
    let known: Vec<u8> = known.iter().map(|table| table[0]).collect();
    for table in (0..=u8::MAX).filter(|table| !known.contains(table)) {
        walk.each(Family::Index, &[table], |walk, key, _| {
            walk.found(Family::Index, of_text_key(key), "is of no known table", UNREAD);
        })?;
    }
    Ok(())
}

/// Whose secondary key it is.
#[derive(Clone, Copy)]
struct Owner {
    id: [u8; 16],
    table: u8,
}

struct Audit {
    catalog: Catalog,
    hasher: RandomState,
    metrics: Metrics,
    types: HashMap<ResourceId, Arc<str>>,
    /// Resources of which no current state was met yet.
    stateless: HashMap<ResourceId, ()>,
    /// Hashes of the secondary keys, with their values, that documents call for.
    wanted: HashMap<u64, Owner>,
    revision: u64,
}

impl Audit {
    fn new(catalog: Catalog) -> Self {
        Audit {
            catalog,
            hasher: RandomState::new(),
            metrics: Metrics::default(),
            types: HashMap::new(),
            stateless: HashMap::new(),
            wanted: HashMap::new(),
            revision: 0,
        }
    }

    fn want(&mut self, id: [u8; 16], key: &Key, value: &[u8]) {
        let table = key.first().copied().unwrap_or_default();
        self.wanted.insert(self.hasher.hash_one((key.as_slice(), value)), Owner { id, table });
    }

    fn resource_ids(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        walk.each(Family::Index, keys::TYPE_OF, |walk, key, value| {
            let id = keys::last_id(key).filter(|_| key.len() == 17).map(ResourceId::from_bytes);
            let known = type_text(value).ok().filter(|name| self.catalog.types.contains_key(name));
            match (id, known) {
                (Some(id), Some(name)) => {
                    self.stateless.insert(id, ());
                    self.types.insert(id, name);
                }
                _ => walk.found(Family::Index, of_text_key(key), "names no resource type", INVISIBLE),
            }
        })
    }

    fn resources(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        walk.each(Family::Index, keys::RESOURCES, |walk, key, value| {
            match self.state(key, keys::last_id(key), Revision::Current, value) {
                Ok(resource) => {
                    self.stateless.remove(&resource.id);
                    for secondary in secondary_keys(&resource) {
                        let name = resource.resource_type.as_bytes().to_vec();
                        self.want(resource.id.to_bytes(), &secondary, &name);
                    }
                }
                Err(what) => walk.found(Family::Index, of_text_key(key), what, INVISIBLE),
            }
        })?;
        for id in std::mem::take(&mut self.stateless).into_keys() {
            walk.found(Family::Index, format!("resource {id}"), "has no state that can be read", INVISIBLE);
        }
        Ok(())
    }

    /// A state of a resource, or what is wrong with it.
    fn state(
        &self,
        key: &[u8],
        id: Option<[u8; 16]>,
        revision: Revision,
        bytes: &[u8],
    ) -> std::result::Result<Resource, &'static str> {
        let id = id.map(ResourceId::from_bytes).ok_or("is no key of a resource")?;
        let name = keys::type_name(key).ok_or("is no key of a resource")?;
        let entry = self.catalog.types.get(name).ok_or("is of a resource type that is not there")?;
        if self.types.get(&id).is_none_or(|own| **own != *name) {
            return Err("is not known by its id under this type");
        }
        let row = ResourceRow::read(id, revision, entry, bytes).map_err(|_| "does not decode")?;
        row.resource().map_err(|_| "does not decode")
    }

    fn revisions(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        walk.each(Family::Index, keys::REVISIONS, |walk, key, value| {
            let parts = keys::revision_parts(key);
            let (id, number) = parts.map_or((None, 0), |(id, number)| (Some(id.to_bytes()), number));
            self.revision = self.revision.max(number);
            if let Err(what) = self.state(key, id, Revision::Archived(number), value) {
                walk.found(Family::Index, of_text_key(key), what, "one state of the resource's history");
            }
        })
    }

    fn metrics(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        walk.each(Family::Index, keys::METRICS, |walk, key, value| {
            let Some(id) = metric_of(walk, key) else { return };
            let document = self.metric(walk, id, value);
            let policy = document.and_then(|document| self.catalog.policies.get(&document.policy).cloned());
            self.metrics.active.push((id, policy));
        })?;
        walk.each(Family::Index, keys::DELETED, |walk, key, value| {
            let Some(id) = metric_of(walk, key) else { return };
            if let Ok(document) = decode::<MetricDocument>(value, "metric") {
                self.want_lookups(id, &document);
            } else {
                let costs = "its rows are never let go";
                walk.found(Family::Index, of_metric(id), "is deleted, and does not decode", costs);
            }
            self.metrics.deleted.push(id);
        })
    }

    fn metric(&mut self, walk: &mut Walk<'_>, id: MetricId, bytes: &[u8]) -> Option<MetricDocument> {
        let mut found = |what: &str, costs| walk.found(Family::Index, of_metric(id), what, costs);
        let Ok(document) = decode::<MetricDocument>(bytes, "metric") else {
            found("does not decode", "it cannot be read or written");
            return None;
        };
        if !self.catalog.policies.contains_key(&document.policy) {
            let what = format!("names the archive policy {:?}, which is not there", document.policy);
            found(&what, "it cannot be read or written until that is made again");
        }
        if let Some(resource) = document.resource.map(ResourceId::from) {
            if !self.types.contains_key(&resource) {
                found(
                    &format!("is of resource {resource}, which is not there"),
                    "it is found by its id only",
                );
            }
            if let Some(name) = &document.name {
                self.want(id.to_bytes(), &keys::metric_named(resource, name), &id.to_bytes());
            }
        }
        self.want_lookups(id, &document);
        Some(document)
    }

    fn want_lookups(&mut self, id: MetricId, document: &MetricDocument) {
        for (lookup, text) in lookups(document) {
            self.want(id.to_bytes(), &lookup.key(text, id.to_bytes()), b"");
        }
    }

    fn counters(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        let active = self.metrics.active.len() as u64;
        walk.each(Family::Index, keys::COUNTERS, |walk, key, value| {
            let mut found = |what: &str, costs| walk.found(Family::Index, of_text_key(key), what, costs);
            let Ok(counters) = decode::<Counters>(value, "counters") else {
                return found("does not decode", "nothing: the next start counts again");
            };
            if counters.metrics != active {
                let what = format!("counts {} metrics, there are {active}", counters.metrics);
                found(&what, "limits on metrics are judged by it");
            }
            if counters.revision < self.revision {
                let what = format!("knows revision {}, there is {}", counters.revision, self.revision);
                found(&what, "the history of resources is overwritten");
            }
        })
    }

    /// Secondary keys against documents, and then documents against secondary keys.
    fn secondary_keys(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        for table in 0..=u8::MAX {
            walk.each(Family::IndexBy, &[table], |walk, key, value| {
                let (to, agrees) = if table == NAMES { self.named(value) } else { (value, true) };
                let leads = self.wanted.remove(&self.hasher.hash_one((key, to))).is_some() && agrees;
                if !leads && !self.is_burned(key) {
                    let costs = "searches meet it and pass on";
                    walk.found(Family::IndexBy, of_text_key(key), "leads to nothing that says so", costs);
                }
            })?;
        }
        for owner in std::mem::take(&mut self.wanted).into_values() {
            let (kind, by) = described(owner.table);
            let place = format!("{kind} {}", MetricId::from_bytes(owner.id));
            let what = format!("has no secondary key by {by}");
            walk.found(Family::IndexBy, place, what, "it is not found that way");
        }
        Ok(())
    }

    /// The id that a name leads to, and whether what it says of the metric's policy is true.
    fn named<'v>(&self, value: &'v [u8]) -> (&'v [u8], bool) {
        let (id, policy) = value.split_at_checked(16).unwrap_or((value, b""));
        let metric = metric_id(id).and_then(|id| self.metrics.active(id)).flatten();
        (id, policy.is_empty() || metric.is_none_or(|known| known.name.as_bytes() == policy))
    }

    fn is_burned(&self, key: &[u8]) -> bool {
        let id = key.strip_prefix(keys::BURNED).and_then(|id| id.try_into().ok()).map(MetricId::from_bytes);
        id.is_some_and(|id| self.metrics.active(id).is_none() && !self.metrics.is_deleted(id))
    }
}

/// The id in the key of a metric.
fn metric_of(walk: &mut Walk<'_>, key: &[u8]) -> Option<MetricId> {
    let id = key.get(1..).and_then(|id| id.try_into().ok()).map(MetricId::from_bytes);
    if id.is_none() {
        walk.found(Family::Index, of_text_key(key), "is no key of a metric", UNREAD);
    }
    id
}

/// What a table of secondary keys finds, and by what.
fn described(table: u8) -> (&'static str, &'static str) {
    match table {
        NAMES => ("metric", "resource and name"),
        b'p' => ("metric", "archive policy"),
        b'k' => ("metric", "creator"),
        b'l' => ("metric", "name"),
        b'a' | b'o' => ("resource", "time"),
        b'C' => ("resource", "creator"),
        b'U' => ("resource", "user"),
        b'J' => ("resource", "project"),
        _ => ("resource", "original id"),
    }
}
