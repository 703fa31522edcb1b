//! Metrics in bodies: the one of `POST /v1/metric`, and those of a resource by name.

use orzo_model::metric::{NAME_CHARS_MAX, UNIT_CHARS_MAX};
use orzo_model::resource::{ResourceId, parse_uuid};
use orzo_store::index::MetricSpec;

use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::schema::{Invalid, Node};

/// What a metric is to be; all optional.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    /// Free of `/`.
    pub(super) name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) resource: Option<ResourceId>,
}

/// Reads a definition; `creator` is the principal whose words resource ids are.
pub(super) fn read_definition(node: Node<'_>, creator: &str) -> Outcome<Definition> {
    let definition = read_fields(node, creator, NameField::Read)?;
    definition.name.as_deref().map_or(Ok(()), check_name)?;
    Ok(definition)
}

/// Reads the metrics of a resource, by name: ids of existing ones, or definitions.
pub(super) fn read_metrics(node: Node<'_>, creator: &str) -> Outcome<Vec<(String, MetricSpec)>> {
    let mut metrics = Vec::new();
    for (name, field) in node.fields()? {
        check_key(&field, name)?;
        metrics.push((name.to_owned(), read_spec(name, field, creator)?));
    }
    Ok(metrics)
}

fn read_spec(name: &str, field: Node<'_>, creator: &str) -> Outcome<MetricSpec> {
    match field.value() {
        Value::Object(_) => {
            let definition = read_fields(field, creator, NameField::Ignored)?;
            check_name(name)?;
            Ok(MetricSpec::New { policy: definition.policy, unit: definition.unit })
        }
        Value::Text(text) => match parse_uuid(text) {
            Some(uuid) => Ok(MetricSpec::Existing(uuid.into())),
            None => Err(field.invalid("not a valid value").into()),
        },
        _ => Err(field.invalid("not a valid value").into()),
    }
}

/// Keys become names: 400 if too long.
pub(super) fn check_key(field: &Node<'_>, name: &str) -> Result<(), Invalid> {
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(field.invalid_key(format!("length of value must be at most {NAME_CHARS_MAX}")));
    }
    Ok(())
}

/// 400 for a name that no path could lead to.
pub(super) fn check_name(name: &str) -> Outcome<()> {
    if name.contains('/') { Err(ApiError::bad("'/' is not supported in metric name")) } else { Ok(()) }
}

#[derive(Clone, Copy, PartialEq)]
enum NameField {
    Read,
    /// The key in front of the definition is the name.
    Ignored,
}

fn read_fields(node: Node<'_>, creator: &str, name_field: NameField) -> Result<Definition, Invalid> {
    let mut definition = Definition::default();
    for (key, field) in node.fields()? {
        match key {
            "name" if name_field == NameField::Ignored => {}
            "name" => definition.name = Some(field.text_at_most(NAME_CHARS_MAX)?.to_owned()),
            "unit" => definition.unit = Some(field.text_at_most(UNIT_CHARS_MAX)?.to_owned()),
            "archive_policy_name" => definition.policy = Some(field.text()?.to_owned()),
            "resource_id" => definition.resource = Some(read_resource_id(&field, creator)?),
            _ => return Err(field.extra()),
        }
    }
    Ok(definition)
}

/// A resource id in any form.
pub(super) fn read_resource_id(field: &Node<'_>, creator: &str) -> Result<ResourceId, Invalid> {
    ResourceId::derive(field.text()?, Some(creator)).map_err(|error| field.invalid(error.to_string()))
}
