//! Which keys a condition lets a search start from instead of reading everything.
//!
//! A plan only narrows: whatever it finds is tested by the whole condition again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orzo_model::filter::{Cell, Condition, Field, Operator, Test};
use orzo_model::resource::ResourceId;

use super::KvIndex;
use super::keys::{self, Key, Lookup};
use super::rows::type_text;
use super::scan::{DONE, NEXT, scan_prefix};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::kv::Family;

/// Where matches may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Probe {
    /// This resource.
    Id(ResourceId),
    /// Those whose ids end the secondary keys that start so.
    Keys(Key),
}

/// Places that hold every resource the condition is true of, or any of whose states, with `history`;
/// `None` if no key helps.
pub(super) fn plan(condition: &Condition, history: bool) -> Option<BTreeSet<Probe>> {
    match condition {
        Condition::Always | Condition::Not(_) => None,
        Condition::Is(field, test) => probes(field, test, history),
        // All must hold, so the narrowest will do.
        Condition::And(parts) => parts.iter().filter_map(|part| plan(part, history)).min_by_key(cost),
        Condition::Or(parts) => {
            let plans: Option<Vec<_>> = parts.iter().map(|part| plan(part, history)).collect();
            Some(plans?.into_iter().flatten().collect())
        }
    }
}

/// Single resources are cheaper than keys of unknown number.
fn cost(probes: &BTreeSet<Probe>) -> usize {
    const KEYS: usize = 1_000;
    probes.iter().map(|probe| if matches!(probe, Probe::Id(_)) { 1 } else { KEYS }).sum()
}

fn probes(field: &Field, test: &Test, history: bool) -> Option<BTreeSet<Probe>> {
    if let (Field::Creator, Test::Like(like)) = (field, test) {
        let end = like.literal_end();
        let (_, project) = end.rsplit_once(':')?;
        return Some(BTreeSet::from([Probe::Keys(Lookup::ResourceCreator.creators_of_project(project))]));
    }
    let operands = match test {
        Test::Compare(Operator::Equal, operand) => std::slice::from_ref(operand),
        Test::In(operands) => operands,
        _ => return None,
    };
    operands.iter().map(|operand| probe(field, operand, history)).collect()
}

fn probe(field: &Field, operand: &Cell<'_>, history: bool) -> Option<Probe> {
    let lookup = match field {
        Field::Id => {
            let Cell::Uuid(uuid) = operand else { return None };
            return Some(Probe::Id((*uuid).into()));
        }
        Field::Creator => Lookup::ResourceCreator,
        Field::OriginalId => Lookup::ResourceOriginal,
        // Keys know current values only.
        Field::UserId if !history => Lookup::ResourceUser,
        Field::ProjectId if !history => Lookup::ResourceProject,
        _ => return None,
    };
    let Cell::Text(text) = operand else { return None };
    Some(Probe::Keys(lookup.prefix(text)))
}

/// The names of the types that matches must have; `None`: any.
pub(super) fn types(condition: &Condition) -> Option<BTreeSet<String>> {
    let text = |cell: &Cell<'_>| if let Cell::Text(text) = cell { Some(text.to_string()) } else { None };
    match condition {
        Condition::Is(Field::Type, Test::Compare(Operator::Equal, operand)) => {
            text(operand).map(|name| BTreeSet::from([name]))
        }
        Condition::Is(Field::Type, Test::In(operands)) => operands.iter().map(text).collect(),
        Condition::And(parts) => parts.iter().find_map(types),
        Condition::Or(parts) => {
            let names: Option<Vec<_>> = parts.iter().map(types).collect();
            Some(names?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// Resources and the names of their types.
pub(super) type Candidates = BTreeMap<ResourceId, Arc<str>>;

impl KvIndex {
    /// The resources that probes lead to; `None` if they are more than `max`.
    pub(super) fn candidates(&self, probes: &BTreeSet<Probe>, max: usize) -> StoreResult<Option<Candidates>> {
        let mut found = Candidates::new();
        for probe in probes {
            match probe {
                Probe::Id(id) => found.extend(self.type_of(*id)?.map(|type_name| (*id, type_name))),
                Probe::Keys(prefix) => self.follow(prefix, max, &mut found)?,
            }
            if found.len() > max {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    fn follow(&self, prefix: &[u8], max: usize, found: &mut Candidates) -> StoreResult<()> {
        scan_prefix(&*self.kv, Family::IndexBy, prefix, &mut |key, value| {
            let id = keys::last_id(key).ok_or(StoreError::Corrupt { what: "key of a resource" })?;
            found.insert(ResourceId::from_bytes(id), type_text(value)?);
            if found.len() > max { DONE } else { NEXT }
        })
    }
}
