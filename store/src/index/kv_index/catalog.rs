//! What is few and asked for all the time, kept in memory: policies, rules and types. A snapshot is
//! never changed; a change makes a new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::ArchivePolicy;
use orzo_model::filter::{Cell, Glob};
use orzo_model::resource_type::{Attribute, GENERIC, ResourceType, Value};

use super::documents::{AttributeDocument, PolicyDocument, ResourceView, RuleDocument, TypeDocument, decode};
use super::keys;
use super::scan::{NEXT, scan_prefix};
use super::values::{StoredValue, value_of};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Error, Kind, Result, Rule};
use crate::kv::{Family, Kv};

/// Policies, rules and types at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub policies: BTreeMap<String, Arc<ArchivePolicy>>,
    pub rules: BTreeMap<RuleRank, CompiledRule>,
    pub types: BTreeMap<Arc<str>, Arc<TypeEntry>>,
}

/// Orders rules as they are tried: patterns descending, then names ascending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleRank(std::cmp::Reverse<String>, String);

#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    pub rule: Arc<Rule>,
    glob: Glob,
}

/// A type and where the values of its attributes lie.
#[derive(Clone, Debug)]
pub(super) struct TypeEntry {
    pub public: Arc<ResourceType>,
    pub next_slot: u32,
    pub slots: BTreeMap<Arc<str>, Slot>,
}

/// Where the values of an attribute lie. An attribute removed and added again gets another number, so
/// its old values stay gone.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub number: u32,
    pub attribute: Attribute,
    /// Oldest first: version of the type, and the value for states written by an older version.
    pub fills: Vec<(u32, Value)>,
}

impl Slot {
    /// The value a state has, or was given by a fill since it was written.
    pub(super) fn cell<'a>(&'a self, document: &ResourceView<'a>) -> Option<Cell<'a>> {
        if document.has(self.number) {
            return document.cell(self.number, &self.attribute.kind);
        }
        self.fill_since(document.schema).map(Cell::from)
    }

    /// The fill that came first after `version` of the type. Later ones found no null any more.
    pub(super) fn fill_since(&self, version: u32) -> Option<&Value> {
        self.fills.iter().find(|(since, _)| *since > version).map(|(_, value)| value)
    }
}

impl TypeEntry {
    pub(super) fn new(public: ResourceType) -> Self {
        let numbered = public.attributes.iter().zip(0..);
        let slots: BTreeMap<_, _> = numbered
            .map(|((name, attribute), number)| {
                (name.clone(), Slot { number, attribute: *attribute, fills: Vec::new() })
            })
            .collect();
        TypeEntry { next_slot: slots.len() as u32, slots, public: Arc::new(public) }
    }

    fn generic() -> Self {
        TypeEntry::new(ResourceType { name: GENERIC.into(), version: 0, attributes: BTreeMap::new() })
    }

    /// Makes [`TypeEntry::public`] say what the slots say.
    pub(super) fn publish(
        name: &Arc<str>,
        version: u32,
        next_slot: u32,
        slots: BTreeMap<Arc<str>, Slot>,
    ) -> Self {
        let attributes = slots.iter().map(|(name, slot)| (name.clone(), slot.attribute)).collect();
        let public = Arc::new(ResourceType { name: name.clone(), version, attributes });
        TypeEntry { public, next_slot, slots }
    }

    pub(super) fn document(&self) -> TypeDocument<'_> {
        let attribute = |(name, slot): (&Arc<str>, &'_ Slot)| AttributeDocument {
            name: name.to_string(),
            slot: slot.number,
            kind: slot.attribute.kind.into(),
            required: slot.attribute.required,
            fills: Vec::new(),
        };
        let mut attributes: Vec<AttributeDocument<'_>> = self.slots.iter().map(attribute).collect();
        for (document, slot) in attributes.iter_mut().zip(self.slots.values()) {
            document.fills =
                slot.fills.iter().map(|(since, value)| (*since, StoredValue::of(value))).collect();
        }
        TypeDocument { version: self.public.version, next_slot: self.next_slot, attributes }
    }

    fn read(name: String, bytes: &[u8]) -> StoreResult<Self> {
        let document = TypeDocument::decode(bytes)?;
        let mut slots = BTreeMap::new();
        for stored in document.attributes {
            let attribute = stored.attribute();
            let fill = |(since, value): (u32, StoredValue<'_>)| {
                Some((since, value_of(value.into_cell(&attribute.kind)?)?))
            };
            let fills = stored.fills.into_iter().map(fill).collect::<Option<Vec<_>>>();
            let fills = fills.ok_or(StoreError::Corrupt { what: "resource type" })?;
            slots.insert(stored.name.into(), Slot { number: stored.slot, attribute, fills });
        }
        Ok(TypeEntry::publish(&name.into(), document.version, document.next_slot, slots))
    }
}

impl Catalog {
    /// Reads the snapshot that the store holds, but for what does not decode: of that `damaged` is told.
    pub(super) fn load(kv: &dyn Kv, damaged: &mut dyn FnMut(&[u8])) -> StoreResult<Self> {
        let mut catalog = Catalog::default();
        each_named(kv, keys::POLICIES, damaged, |name, bytes| {
            let document: PolicyDocument = decode(bytes, "archive policy")?;
            catalog.policies.insert(name.clone(), Arc::new(document.policy(name)?));
            Ok(())
        })?;
        each_named(kv, keys::RULES, damaged, |name, bytes| {
            let RuleDocument { pattern, policy } = decode(bytes, "archive policy rule")?;
            catalog.insert_rule(Arc::new(Rule { name, pattern, policy }));
            Ok(())
        })?;
        catalog.insert_type(TypeEntry::generic());
        each_named(kv, keys::TYPES, damaged, |name, bytes| {
            catalog.insert_type(TypeEntry::read(name, bytes)?);
            Ok(())
        })?;
        Ok(catalog)
    }

    pub(super) fn insert_rule(&mut self, rule: Arc<Rule>) {
        let glob = Glob::new(&rule.pattern);
        self.rules.insert(RuleRank::of(&rule), CompiledRule { rule, glob });
    }

    pub(super) fn remove_rule(&mut self, rule: &Rule) {
        self.rules.remove(&RuleRank::of(rule));
    }

    pub(super) fn insert_type(&mut self, entry: TypeEntry) {
        self.types.insert(entry.public.name.clone(), Arc::new(entry));
    }

    pub(super) fn policy(&self, name: &str) -> Result<&Arc<ArchivePolicy>> {
        self.policies.get(name).ok_or_else(|| Error::NotFound(Kind::Policy, name.to_owned()))
    }

    pub(super) fn rule(&self, name: &str) -> Result<&Arc<Rule>> {
        let rules = self.rules.values().map(|compiled| &compiled.rule);
        let mut named = rules.filter(|rule| rule.name == name);
        named.next().ok_or_else(|| Error::NotFound(Kind::Rule, name.to_owned()))
    }

    pub(super) fn policy_by_rule(&self, metric_name: &str) -> Result<&Arc<ArchivePolicy>> {
        let mut matching = self.rules.values().filter(|compiled| compiled.glob.matches(metric_name));
        match matching.next() {
            Some(compiled) => self.policy(&compiled.rule.policy),
            None => Err(Error::NoRuleMatches(metric_name.to_owned())),
        }
    }

    /// The policy a request asks for, or that the rules have for the name.
    pub(super) fn policy_for(&self, policy: Option<&str>, metric_name: &str) -> Result<&Arc<ArchivePolicy>> {
        match policy {
            Some(name) => self.policies.get(name).ok_or_else(|| Error::UnknownPolicy(name.to_owned())),
            None => self.policy_by_rule(metric_name),
        }
    }

    pub(super) fn resource_type(&self, name: &str) -> Result<&Arc<TypeEntry>> {
        self.types.get(name).ok_or_else(|| Error::NotFound(Kind::ResourceType, name.to_owned()))
    }
}

impl RuleRank {
    fn of(rule: &Rule) -> Self {
        RuleRank(std::cmp::Reverse(rule.pattern.clone()), rule.name.clone())
    }
}

/// Visits the documents of a table by name, and tells of those that do not decode.
fn each_named(
    kv: &dyn Kv,
    table: &[u8],
    damaged: &mut dyn FnMut(&[u8]),
    mut visit: impl FnMut(String, &[u8]) -> StoreResult<()>,
) -> StoreResult<()> {
    scan_prefix(kv, Family::Index, table, &mut |key, value| {
        let name = String::from_utf8(key[table.len()..].to_vec());
        let name = name.map_err(|_| StoreError::Corrupt { what: "name" });
        match name.and_then(|name| visit(name, value)) {
            Err(StoreError::Corrupt { .. }) => damaged(key),
            other => other?,
        }
        NEXT
    })
}
