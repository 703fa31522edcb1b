//! Resources in bodies: what is common to creating and patching.

use orzo_model::Timestamp;
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::{AttributeKind, ResourceType, Value as AttributeValue};
use orzo_store::index::MetricSpec;

use super::metric_body::{read_metrics, read_resource_id};
use crate::error::Outcome;
use crate::schema::{Invalid, Node};

/// What a body says of a resource; what is `None` it does not mention.
#[derive(Debug, Default)]
pub(super) struct ResourceBody {
    /// The text, and what it means.
    pub(super) id: Option<(String, ResourceId)>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) user_id: Option<Option<String>>,
    pub(super) project_id: Option<Option<String>>,
    pub(super) metrics: Option<Vec<(String, MetricSpec)>>,
    pub(super) attributes: Vec<(String, AttributeValue)>,
}

/// What a body is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `id` and required attributes must be there.
    Create,
    /// `id` must not be there.
    Patch,
}

/// What the words of a body mean.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) resource_type: &'a ResourceType,
    pub(super) purpose: Purpose,
    /// The principal whose words resource ids are.
    pub(super) creator: &'a str,
    pub(super) now: Timestamp,
}

impl ResourceBody {
    /// Reads a body.
    pub(super) fn read(node: Node<'_>, terms: Terms<'_>) -> Outcome<ResourceBody> {
        let mut body = ResourceBody::default();
        for (key, field) in node.fields()? {
            match key {
                "id" if terms.purpose == Purpose::Create => {
                    let id = read_resource_id(&field, terms.creator)?;
                    body.id = Some((field.text()?.to_owned(), id));
                }
                "started_at" => body.started_at = Some(read_date(&field, terms.now)?),
                "ended_at" => body.ended_at = Some(read_date(&field, terms.now)?),
                "user_id" => body.user_id = Some(read_owner(&field)?),
                "project_id" => body.project_id = Some(read_owner(&field)?),
                "metrics" => body.metrics = Some(read_metrics(field, terms.creator)?),
                _ => body.attributes.push(read_attribute(key, &field, terms)?),
            }
        }
        if terms.purpose == Purpose::Create {
            body.check_required(&node, terms.resource_type)?;
        }
        Ok(body)
    }

    fn check_required(&self, node: &Node<'_>, resource_type: &ResourceType) -> Result<(), Invalid> {
        node.require("id", self.id.as_ref())?;
        let required = resource_type.attributes.iter().filter(|(_, attribute)| attribute.required);
        for (name, _) in required {
            node.require(name, self.attributes.iter().find(|(own, _)| own.as_str() == &**name))?;
        }
        Ok(())
    }
}

fn read_attribute(
    name: &str,
    field: &Node<'_>,
    terms: Terms<'_>,
) -> Result<(String, AttributeValue), Invalid> {
    let attribute = terms.resource_type.attributes.get(name).ok_or_else(|| field.extra())?;
    let value = attribute.kind.read(field.scalar().as_ref(), terms.now);
    Ok((name.to_owned(), value.map_err(|error| field.invalid(error.to_string()))?))
}

fn read_date(field: &Node<'_>, now: Timestamp) -> Result<Timestamp, Invalid> {
    match AttributeKind::Time.read(field.scalar().as_ref(), now) {
        Ok(AttributeValue::Time(at)) => Ok(at),
        _ => Err(field.invalid("not a valid value")),
    }
}

fn read_owner(field: &Node<'_>) -> Result<Option<String>, Invalid> {
    let text = field.text_or_null()?;
    field.check_length(text.map_or(0, |text| text.chars().count()), 0..=NAME_CHARS_MAX)?;
    Ok(text.map(str::to_owned))
}
