//! How objects look in answers.

use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId, split_creator};
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value as AttributeValue};
use orzo_model::timetext::{push_iso_micros, span_text};
use orzo_model::{ArchivePolicy, Timestamp};
use orzo_store::index::Rule;

use crate::json::{Object, Value, Writer};

/// An instant of a resource.
pub(super) fn date(at: Timestamp) -> Value {
    let mut text = String::with_capacity(32);
    push_iso_micros(&mut text, at);
    Value::Text(text)
}

/// An archive policy.
pub(super) fn policy(policy: &ArchivePolicy) -> Value {
    let items = policy.items.iter().map(|item| {
        Value::object([
            ("timespan", Value::text_or_null(item.timespan_ns().map(span_text))),
            ("granularity", span_text(item.granularity.ns()).into()),
            ("points", item.points.map_or(Value::Null, Value::from)),
        ])
    });
    Value::object([
        ("name", policy.name.as_str().into()),
        ("back_window", u64::from(policy.back_window).into()),
        ("definition", Value::list(items)),
        ("aggregation_methods", Value::list(policy.methods.iter().map(|method| method.to_string()))),
    ])
}

/// An archive policy rule.
pub(super) fn rule(rule: &Rule) -> Value {
    Value::object([
        ("name", rule.name.as_str().into()),
        ("metric_pattern", rule.pattern.as_str().into()),
        ("archive_policy_name", rule.policy.as_str().into()),
    ])
}

/// A resource type.
pub(super) fn resource_type(resource_type: &ResourceType) -> Value {
    let attributes = resource_type.attributes.iter().map(|(name, spec)| (name.as_ref(), attribute(spec)));
    Value::object([
        ("name", resource_type.name.as_ref().into()),
        ("state", "active".into()),
        ("attributes", Value::object(attributes)),
    ])
}

/// The definition of an attribute.
pub(super) fn attribute(attribute: &Attribute) -> Value {
    let mut entries = vec![("type", attribute.kind.name().into()), ("required", attribute.required.into())];
    match attribute.kind {
        AttributeKind::Text { min_length, max_length } => {
            entries.push(("min_length", u64::from(min_length).into()));
            entries.push(("max_length", u64::from(max_length).into()));
        }
        AttributeKind::Number { min, max } => {
            entries.push(("min", bound(min)));
            entries.push(("max", bound(max)));
        }
        AttributeKind::Uuid | AttributeKind::Bool | AttributeKind::Time => {}
    }
    Value::object(entries)
}

/// A bound of a number as it was most likely written: the reference keeps it, and clients compare texts.
fn bound(bound: Option<f64>) -> Value {
    const EXACT_MAX: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    match bound {
        None => Value::Null,
        Some(whole) if whole.fract() == 0.0 && whole.abs() <= EXACT_MAX => Value::Int(whole as i128),
        Some(number) => Value::Float(number),
    }
}

/// Which keys of a resource are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attributes {
    /// The base and the attributes of its type.
    Shown,
    /// Only what every resource has.
    Hidden,
}

impl Attributes {
    /// What a URL of a type shows: `generic` hides attributes unless details are asked for.
    pub(super) fn through(resource_type: &str, details: bool) -> Self {
        if details || resource_type != orzo_model::resource_type::GENERIC {
            Attributes::Shown
        } else {
            Attributes::Hidden
        }
    }
}

/// A resource or one of its revisions, metrics included.
pub(super) fn resource(resource: &Resource, attributes: Attributes) -> Object {
    let mut object = base_resource(resource);
    let metrics = resource.metrics.iter().map(|(name, id)| (name.clone(), Value::from(id.to_string())));
    object.insert("metrics".to_owned(), Value::object(metrics));
    if attributes == Attributes::Shown {
        for (name, value) in &resource.attributes {
            object.insert(name.to_string(), value.as_ref().map_or(Value::Null, attribute_value));
        }
    }
    object
}

/// Writes what [`resource`] makes, but for keys that are not wanted: lists have a thousand of them.
pub(super) fn write_resource(
    writer: &mut Writer,
    resource: &Resource,
    attributes: Attributes,
    wanted: impl Fn(&str) -> bool,
) {
    writer.object(|object| {
        for (key, value) in base_entries(resource).into_iter().filter(|(key, _)| wanted(key)) {
            object.key(key).value(&value);
        }
        if wanted("metrics") {
            object.key("metrics").object(|metrics| {
                resource.metrics.iter().for_each(|(name, id)| metrics.key(name).text(&id.to_string()));
            });
        }
        let shown =
            resource.attributes.iter().filter(|(name, _)| attributes == Attributes::Shown && wanted(name));
        for (name, value) in shown {
            object.key(name).value(&value.as_ref().map_or(Value::Null, attribute_value));
        }
    });
}

/// What every resource has, without its metrics.
pub(super) fn base_resource(resource: &Resource) -> Object {
    base_entries(resource).into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn base_entries(resource: &Resource) -> [(&'static str, Value); 12] {
    let (user, project) = split_creator(&resource.creator);
    [
        ("id", resource.id.to_string().into()),
        ("original_resource_id", resource.original_id.as_str().into()),
        ("type", resource.resource_type.as_ref().into()),
        ("creator", resource.creator.as_str().into()),
        ("created_by_user_id", user.into()),
        ("created_by_project_id", project.into()),
        ("user_id", Value::text_or_null(resource.user_id.as_deref())),
        ("project_id", Value::text_or_null(resource.project_id.as_deref())),
        ("started_at", date(resource.started_at)),
        ("ended_at", resource.ended_at.map_or(Value::Null, date)),
        ("revision_start", date(resource.revision_start)),
        ("revision_end", resource.revision_end.map_or(Value::Null, date)),
    ]
}

/// The value of an attribute.
pub(super) fn attribute_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Uuid(uuid) => uuid.to_string().into(),
        AttributeValue::Number(number) => Value::Float(*number),
        AttributeValue::Bool(truth) => Value::Bool(*truth),
        AttributeValue::Time(at) => date(*at),
    }
}

/// A metric just made: its policy by name, its resource by id.
pub(super) fn new_metric(metric: &Metric) -> Value {
    let mut object = metric_base(metric);
    object.insert("resource_id".to_owned(), resource_id(metric.resource));
    object.insert("archive_policy_name".to_owned(), metric.policy.name.as_str().into());
    Value::Object(object)
}

/// A metric in a list: its whole policy, its resource by id.
pub(super) fn listed_metric(metric: &Metric) -> Value {
    let mut object = metric_base(metric);
    object.insert("resource_id".to_owned(), resource_id(metric.resource));
    object.insert("archive_policy".to_owned(), policy(&metric.policy));
    Value::Object(object)
}

/// A metric alone: its whole policy, its whole resource.
pub(super) fn single_metric(metric: &Metric, resource: Option<&Resource>) -> Value {
    let mut object = metric_base(metric);
    let resource = resource.map_or(Value::Null, |resource| Value::Object(base_resource(resource)));
    object.insert("resource".to_owned(), resource);
    object.insert("archive_policy".to_owned(), policy(&metric.policy));
    Value::Object(object)
}

fn metric_base(metric: &Metric) -> Object {
    let (user, project) = split_creator(&metric.creator);
    let entries = [
        ("id", metric.id.to_string().into()),
        ("name", Value::text_or_null(metric.name.as_deref())),
        ("unit", Value::text_or_null(metric.unit.as_deref())),
        ("creator", metric.creator.as_str().into()),
        ("created_by_user_id", user.into()),
        ("created_by_project_id", project.into()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn resource_id(id: Option<ResourceId>) -> Value {
    Value::text_or_null(id.map(|id| id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use orzo_model::MetricId;
    use orzo_model::resource::Revision;

    use super::*;

    #[test]
    fn a_resource_is_written_as_it_is_made() {
        let number = AttributeValue::Number(0.5);
        let shown = Resource {
            id: ResourceId::derive("r", None).unwrap(),
            original_id: "r\"1".to_owned(),
            resource_type: "host".into(),
            creator: "u:p".to_owned(),
            user_id: None,
            project_id: Some("p".to_owned()),
            started_at: Timestamp::EPOCH,
            ended_at: None,
            revision: Revision::Current,
            revision_start: Timestamp::EPOCH,
            revision_end: None,
            attributes: vec![("load".into(), Some(number)), ("rack".into(), None)],
            metrics: BTreeMap::from([("cpu%".to_owned(), MetricId::from_bits(7))]),
        };
        let keys: [&[&str]; 3] = [&[], &["id", "metrics"], &["rack", "started_at"]];
        for attributes in [Attributes::Shown, Attributes::Hidden] {
            for keys in keys {
                let wanted = |key: &str| keys.is_empty() || keys.contains(&key);
                let mut object = resource(&shown, attributes);
                object.retain(|key, _| wanted(key));
                let mut writer = Writer::new();
                write_resource(&mut writer, &shown, attributes, wanted);
                assert_eq!(writer.finish(), Value::Object(object).to_text());
            }
        }
    }
}
