//! `/v1/resource_type`: which attributes resources have.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::Method;
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::resource_type::{
    Attribute, AttributeKind, GENERIC, InvalidType, ResourceType, TypeChange, WantedAttribute,
};
use orzo_store::index;

use super::{show, type_patch};
use crate::auth::Target;
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;
use crate::schema::{Invalid, Node};

/// Attempts to change a type that others change at the same time.
const ATTEMPTS: usize = 4;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        [] => call.act(&[(Method::GET, &|| list(call)), (Method::POST, &|| create(call))]),
        [name] => call.act(&[
            (Method::GET, &|| get(call, name)),
            (Method::PATCH, &|| patch(call, name)),
            (Method::DELETE, &|| delete(call, name)),
        ]),
        _ => call.nothing_below(&[Method::GET, Method::PATCH, Method::DELETE]),
    }
}

impl Target for ResourceType {
    fn field(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        (name == "name").then(|| (&*self.name).into())
    }
}

fn list(call: &Call<'_>) -> Outcome {
    call.enforce("list resource type", &())?;
    let types = call.index().resource_types()?;
    Ok(Response::ok(&Value::list(types.iter().map(|one| show::resource_type(one)))))
}

fn get(call: &Call<'_>, name: &str) -> Outcome {
    let resource_type = call.index().resource_type(name)?;
    call.enforce("get resource type", &*resource_type)?;
    Ok(Response::ok(&show::resource_type(&resource_type)))
}

/// The body is checked before the rights.
fn create(call: &Call<'_>) -> Outcome {
    let body = call.json()?;
    let wanted = read_type(Node::root(&body))?;
    for (name, attribute) in &wanted.attributes {
        attribute.check(name).map_err(bad_type)?;
    }
    call.enforce("create resource type", &wanted)?;
    let made = call.index().create_resource_type(wanted)?;
    Ok(call.created(&format!("/v1/resource_type/{}", made.name), Response::ok(&show::resource_type(&made))))
}

fn patch(call: &Call<'_>, name: &str) -> Outcome {
    let current = call.index().resource_type(name)?;
    call.enforce("update resource type", &*current)?;
    let body = call.request.json_of_type("application/json-patch+json")?;
    let steps = type_patch::read(Node::root(&body))?;
    if name == GENERIC {
        return Err(ApiError::bad("Resource type generic cannot be changed"));
    }
    for _ in 1..ATTEMPTS {
        match apply(call, name, &steps) {
            Err(Failure::Index(index::Error::Outdated(_))) => {}
            other => return other.map_err(ApiError::from),
        }
    }
    Ok(apply(call, name, &steps)?)
}

/// Why a change was not made.
enum Failure {
    Api(ApiError),
    Index(index::Error),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Api(error) => error,
            Failure::Index(error) => error.into(),
        }
    }
}

fn apply(call: &Call<'_>, name: &str, steps: &[type_patch::Step]) -> Result<Response, Failure> {
    let current = call.index().resource_type(name).map_err(Failure::Index)?;
    let plan = plan(call, &current, steps).map_err(Failure::Api)?;
    if plan.is_empty() {
        return Ok(Response::ok(&show::resource_type(&current)));
    }
    let changed = call.index().change_resource_type(&plan).map_err(Failure::Index)?;
    Ok(Response::ok(&show::resource_type(&changed)))
}

fn plan(call: &Call<'_>, current: &ResourceType, steps: &[type_patch::Step]) -> Outcome<TypeChange> {
    let attributes = type_patch::apply(current, steps)?;
    let document = Value::object([("attributes", Value::Object(attributes))]);
    let wanted = read_wanted(Node::root(&document))
        .map_err(|error| ApiError::bad(format!("Invalid input: {error}")))?;
    TypeChange::plan(current, &wanted, call.now).map_err(bad_type)
}

fn delete(call: &Call<'_>, name: &str) -> Outcome {
    let current = call.index().resource_type(name)?;
    call.enforce("delete resource type", &*current)?;
    call.index().delete_resource_type(name)?;
    Ok(Response::no_content())
}

fn bad_type(error: InvalidType) -> ApiError {
    ApiError::bad(error.to_string())
}

pub(super) fn read_type(body: Node<'_>) -> Result<ResourceType, Invalid> {
    let mut name = None;
    let mut attributes = BTreeMap::new();
    for (key, field) in body.fields()? {
        match key {
            "name" => name = Some(field.text_at_most(NAME_CHARS_MAX)?.into()),
            "attributes" => {
                for (name, definition) in field.fields()? {
                    attributes.insert(name.into(), read_attribute(definition, Options::Refused)?.attribute);
                }
            }
            _ => return Err(field.extra()),
        }
    }
    Ok(ResourceType { name: body.require("name", name)?, version: 0, attributes })
}

/// The attributes of a patched type, with their options.
fn read_wanted(document: Node<'_>) -> Result<BTreeMap<Arc<str>, WantedAttribute>, Invalid> {
    let mut wanted = BTreeMap::new();
    for (_, attributes) in document.fields()? {
        for (name, definition) in attributes.fields()? {
            wanted.insert(name.into(), read_attribute(definition, Options::Allowed)?);
        }
    }
    Ok(wanted)
}

/// Whether a definition may say how resources are to be filled.
#[derive(Clone, Copy, PartialEq)]
enum Options {
    Allowed,
    Refused,
}

fn read_attribute(node: Node<'_>, options: Options) -> Result<WantedAttribute, Invalid> {
    let mut kind = None;
    for (_, field) in node.fields()?.filter(|(key, _)| *key == "type") {
        kind = Some(default_kind(field.text().ok()).ok_or_else(|| field.invalid("not a valid value"))?);
    }
    let mut kind = node.require("type", kind)?;
    let (mut required, mut fill) = (true, None);
    for (key, field) in node.fields()? {
        match (key, &mut kind) {
            ("type", _) => {}
            ("required", _) => required = field.bool()?,
            ("options", _) if options == Options::Allowed => fill = read_fill(field)?,
            ("min_length", AttributeKind::Text { min_length, .. }) => {
                *min_length = field.int(0..=256)? as u16
            }
            ("max_length", AttributeKind::Text { max_length, .. }) => {
                *max_length = field.int(1..=256)? as u16
            }
            ("min", AttributeKind::Number { min, .. }) => *min = field.real_or_null()?,
            ("max", AttributeKind::Number { max, .. }) => *max = field.real_or_null()?,
            _ => return Err(field.extra()),
        }
    }
    Ok(WantedAttribute { attribute: Attribute { kind, required }, fill })
}

fn default_kind(name: Option<&str>) -> Option<AttributeKind> {
    Some(match name? {
        "string" => AttributeKind::Text { min_length: 0, max_length: 256 },
        "uuid" => AttributeKind::Uuid,
        "number" => AttributeKind::Number { min: None, max: None },
        "bool" => AttributeKind::Bool,
        "datetime" => AttributeKind::Time,
        _ => return None,
    })
}

/// `{"fill": value}`; null fills nothing.
fn read_fill(options: Node<'_>) -> Result<Option<Option<orzo_model::filter::Scalar>>, Invalid> {
    let mut fill = None;
    for (key, field) in options.fields()? {
        match key {
            "fill" if *field.value() == Value::Null => fill = None,
            "fill" => fill = Some(field.scalar()),
            _ => return Err(field.extra()),
        }
    }
    Ok(fill)
}
