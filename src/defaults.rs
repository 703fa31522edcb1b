//! What a database starts with: an empty one with archive policies, and the rule that everything else is `low`; any with
//! the resource type of tags that become attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use orzo_model::policy_definition::{built_in_policies, statsd_policies};
use orzo_model::resource::RESOURCE_ID_CHARS_MAX;
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, TypeChange, WantedAttribute};
use orzo_model::{MethodSet, Timestamp};
use orzo_store::Index;
use orzo_store::index::Rule;

/// Makes the default policies and the default rule, if there are no policies and no rules at all.
pub(crate) fn create(index: &dyn Index, methods: MethodSet) -> Result<()> {
    if !index.policies()?.is_empty() || !index.rules()?.is_empty() {
        return Ok(());
    }
    for policy in built_in_policies(methods).into_iter().chain(statsd_policies()) {
        index.create_policy(policy)?;
    }
    index.create_rule(Rule { name: "default".into(), pattern: "*".into(), policy: "low".into() })?;
    tracing::info!("made the default archive policies");
    Ok(())
}

/// What a tag becomes. Its text is part of the resource's own, which bounds it.
pub(crate) const ATTRIBUTE: Attribute = Attribute {
    kind: AttributeKind::Text { min_length: 0, max_length: RESOURCE_ID_CHARS_MAX as u16 },
    required: false,
};

/// Sees to it that there is a resource type with these attributes, as text.
pub(crate) fn create_attribute_type(
    index: &dyn Index,
    name: &str,
    tags: &[String],
    now: Timestamp,
) -> Result<()> {
    let Ok(existing) = index.resource_type(name) else {
        let attributes = tags.iter().map(|tag| (tag.as_str().into(), ATTRIBUTE)).collect();
        index.create_resource_type(ResourceType { name: name.into(), version: 0, attributes })?;
        tracing::info!(name, ?tags, "made the resource type of statsd's tags");
        return Ok(());
    };
    let stays = |attribute: &Attribute| WantedAttribute { attribute: *attribute, fill: None };
    let mut wanted: BTreeMap<Arc<str>, WantedAttribute> =
        existing.attributes.iter().map(|(name, attribute)| (name.clone(), stays(attribute))).collect();
    for tag in tags {
        let attribute = wanted.entry(tag.as_str().into()).or_insert_with(|| stays(&ATTRIBUTE)).attribute;
        if !matches!(attribute.kind, AttributeKind::Text { .. }) {
            bail!("the attribute {tag} of the resource type {name} is no string, so a tag cannot become it");
        }
    }
    let change = TypeChange::plan(&existing, &wanted, now)?;
    if !change.is_empty() {
        index.change_resource_type(&change)?;
        tracing::info!(name, ?tags, "added attributes to the resource type of statsd's tags");
    }
    Ok(())
}
