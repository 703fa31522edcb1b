//! Archive policies and rules.

use std::sync::Arc;

use orzo_model::ArchivePolicy;
use orzo_model::policy_definition::check_change;

use super::KvIndex;
use super::documents::{PolicyDocument, RuleDocument, encode};
use super::keys::{self, Lookup};
use super::scan::any;
use super::transaction::Transaction;
use crate::index::{Error, Kind, PolicyChange, Result, Rule};
use crate::kv::Family;

impl KvIndex {
    pub(super) fn add_policy(&self, policy: ArchivePolicy) -> Result<Arc<ArchivePolicy>> {
        self.durably(|transaction| {
            if transaction.catalog.policies.contains_key(&policy.name) {
                return Err(Error::AlreadyExists(Kind::Policy, policy.name));
            }
            Ok(transaction.put_policy(policy))
        })
    }

    pub(super) fn change_policy(&self, name: &str, change: PolicyChange) -> Result<Arc<ArchivePolicy>> {
        self.durably(|transaction| {
            let old = transaction.catalog.policy(name)?.clone();
            check_change(&old.items, &change.items).map_err(|reason| Error::UnsupportedChange {
                kind: Kind::Policy,
                name: name.to_owned(),
                reason: reason.to_string(),
            })?;
            let back_window = change.back_window.unwrap_or(old.back_window);
            let new = ArchivePolicy { back_window, items: change.items, ..ArchivePolicy::clone(&old) };
            Ok(if new == *old { old } else { transaction.put_policy(new) })
        })
    }

    pub(super) fn remove_policy(&self, name: &str) -> Result<()> {
        self.durably(|transaction| {
            transaction.catalog.policy(name)?;
            let has_rule = transaction.catalog.rules.values().any(|compiled| compiled.rule.policy == name);
            let metrics = Lookup::MetricPolicy.prefix(name);
            if has_rule || any(transaction.kv(), Family::IndexBy, &metrics)? {
                return Err(Error::InUse(Kind::Policy, name.to_owned()));
            }
            transaction.delete(Family::Index, keys::policy(name));
            transaction.catalog_mut().policies.remove(name);
            Ok(())
        })
    }

    pub(super) fn add_rule(&self, rule: Rule) -> Result<Arc<Rule>> {
        self.durably(|transaction| {
            if transaction.catalog.rule(&rule.name).is_ok() {
                return Err(Error::AlreadyExists(Kind::Rule, rule.name));
            }
            if !transaction.catalog.policies.contains_key(&rule.policy) {
                return Err(Error::UnknownPolicy(rule.policy));
            }
            Ok(transaction.put_rule(rule))
        })
    }

    pub(super) fn change_rule_name(&self, name: &str, new_name: &str) -> Result<Arc<Rule>> {
        self.durably(|transaction| {
            let rule = transaction.catalog.rule(name)?.clone();
            if name == new_name {
                return Ok(rule);
            }
            if transaction.catalog.rule(new_name).is_ok() {
                let reason = format!("Archive policy rule {new_name} already exists.");
                return Err(Error::UnsupportedChange { kind: Kind::Rule, name: name.to_owned(), reason });
            }
            transaction.delete_rule(&rule);
            Ok(transaction.put_rule(Rule { name: new_name.to_owned(), ..Rule::clone(&rule) }))
        })
    }

    pub(super) fn remove_rule(&self, name: &str) -> Result<()> {
        self.durably(|transaction| {
            let rule = transaction.catalog.rule(name)?.clone();
            transaction.delete_rule(&rule);
            Ok(())
        })
    }
}

impl Transaction<'_> {
    fn put_policy(&mut self, policy: ArchivePolicy) -> Arc<ArchivePolicy> {
        self.put(Family::Index, keys::policy(&policy.name), encode(&PolicyDocument::from(&policy)));
        let policy = Arc::new(policy);
        self.catalog_mut().policies.insert(policy.name.clone(), policy.clone());
        policy
    }

    fn put_rule(&mut self, rule: Rule) -> Arc<Rule> {
        let document = RuleDocument { pattern: rule.pattern.clone(), policy: rule.policy.clone() };
        self.put(Family::Index, keys::rule(&rule.name), encode(&document));
        let rule = Arc::new(rule);
        self.catalog_mut().insert_rule(rule.clone());
        rule
    }

    fn delete_rule(&mut self, rule: &Rule) {
        self.delete(Family::Index, keys::rule(&rule.name));
        self.catalog_mut().remove_rule(rule);
    }
}
