//! How objects look in answers.

use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId, split_creator};
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value as AttributeValue};
use orzo_model::timetext::{push_iso_micros, span_text};
use orzo_model::{ArchivePolicy, Timestamp};
use orzo_store::index::Rule;
use uuid::Uuid;

use crate::json::{Object, Value, Writer};

/// A value of a resource that is no list or object: one description, made to a tree or written without one.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Text(&'a str),
    Id(Uuid),
    Time(Timestamp),
    Number(f64),
    Bool(bool),
}

impl<'a> Scalar<'a> {
    fn text_or_null(text: Option<&'a str>) -> Self {
        text.map_or(Scalar::Null, Scalar::Text)
    }

    fn write(self, writer: &mut Writer) {
        match self {
            Scalar::Null => writer.null(),
            Scalar::Text(text) => writer.text(text),
            Scalar::Id(id) => writer.plain_text(|out| push_id(out, id)),
            Scalar::Time(at) => writer.plain_text(|out| push_iso_micros(out, at)),
            Scalar::Number(number) => writer.float(number),
            Scalar::Bool(truth) => writer.bool(truth),
        }
    }
}

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        let pushed = |push: &dyn Fn(&mut String)| {
            let mut text = String::with_capacity(36);
            push(&mut text);
            Value::Text(text)
        };
        match scalar {
            Scalar::Null => Value::Null,
            Scalar::Text(text) => text.into(),
            Scalar::Id(id) => pushed(&|text| push_id(text, id)),
            Scalar::Time(at) => pushed(&|text| push_iso_micros(text, at)),
            Scalar::Number(number) => Value::Float(number),
            Scalar::Bool(truth) => Value::Bool(truth),
        }
    }
}

impl<'a> From<Option<&'a AttributeValue>> for Scalar<'a> {
    fn from(value: Option<&'a AttributeValue>) -> Self {
        match value {
            None => Scalar::Null,
            Some(AttributeValue::Text(text)) => Scalar::Text(text),
            Some(AttributeValue::Uuid(uuid)) => Scalar::Id(*uuid),
            Some(AttributeValue::Number(number)) => Scalar::Number(*number),
            Some(AttributeValue::Bool(truth)) => Scalar::Bool(*truth),
            Some(AttributeValue::Time(at)) => Scalar::Time(*at),
        }
    }
}

fn push_id(out: &mut String, id: Uuid) {
    out.push_str(id.hyphenated().encode_lower(&mut [0; 36]));
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
    let metrics = resource.metrics.iter().map(|(name, id)| (name.clone(), Scalar::Id((*id).into()).into()));
    object.insert("metrics".to_owned(), Value::object(metrics));
    if attributes == Attributes::Shown {
        for (name, value) in &resource.attributes {
            object.insert(name.to_string(), Scalar::from(value.as_ref()).into());
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
            value.write(object.key(key));
        }
        if wanted("metrics") {
            object.key("metrics").object(|metrics| {
                for (name, id) in &resource.metrics {
                    Scalar::Id((*id).into()).write(metrics.key(name));
                }
            });
        }
        let shown =
            resource.attributes.iter().filter(|(name, _)| attributes == Attributes::Shown && wanted(name));
        for (name, value) in shown {
            Scalar::from(value.as_ref()).write(object.key(name));
        }
    });
}

/// What every resource has, without its metrics.
pub(super) fn base_resource(resource: &Resource) -> Object {
    base_entries(resource).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn base_entries(resource: &Resource) -> [(&'static str, Scalar<'_>); 12] {
    let (user, project) = split_creator(&resource.creator);
    [
        ("id", Scalar::Id(resource.id.uuid())),
        ("original_resource_id", Scalar::Text(&resource.original_id)),
        ("type", Scalar::Text(&resource.resource_type)),
        ("creator", Scalar::Text(&resource.creator)),
        ("created_by_user_id", Scalar::Text(user)),
        ("created_by_project_id", Scalar::Text(project)),
        ("user_id", Scalar::text_or_null(resource.user_id.as_deref())),
        ("project_id", Scalar::text_or_null(resource.project_id.as_deref())),
        ("started_at", Scalar::Time(resource.started_at)),
        ("ended_at", resource.ended_at.map_or(Scalar::Null, Scalar::Time)),
        ("revision_start", Scalar::Time(resource.revision_start)),
        ("revision_end", resource.revision_end.map_or(Scalar::Null, Scalar::Time)),
    ]
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
