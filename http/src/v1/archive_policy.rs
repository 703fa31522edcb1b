//! `/v1/archive_policy`: what metrics keep.

use hyper::Method;
use hyper::StatusCode;
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::policy_definition::{
    DefinitionError, ItemDefinition, MethodEntry, check_distinct, resolve_items, resolve_methods,
};
use orzo_model::{ArchivePolicy, Granularity, Item, MethodSet};
use orzo_store::index::PolicyChange;

use super::show;
use crate::auth::Target;
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;
use crate::schema::{Invalid, Node};

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

impl Target for ArchivePolicy {
    fn field(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        (name == "name").then(|| self.name.as_str().into())
    }
}

fn list(call: &Call<'_>) -> Outcome {
    call.enforce("list archive policy", &())?;
    let policies = call.index().policies()?;
    Ok(Response::ok(&Value::list(policies.iter().map(|policy| show::policy(policy)))))
}

fn get(call: &Call<'_>, name: &str) -> Outcome {
    let policy = call.index().policy(name)?;
    call.enforce("get archive policy", &*policy)?;
    Ok(Response::ok(&show::policy(&policy)))
}

fn create(call: &Call<'_>) -> Outcome {
    call.enforce("create archive policy", &())?;
    let body = call.json()?;
    let policy = read_policy(Node::root(&body), call.api.config.default_methods)?;
    let policy = call.index().create_policy(policy)?;
    Ok(call.created(&format!("/v1/archive_policy/{}", policy.name), Response::ok(&show::policy(&policy))))
}

/// A body; `default_methods` are those of a policy that names none.
pub(super) fn read_policy(body: Node<'_>, default_methods: MethodSet) -> Outcome<ArchivePolicy> {
    let wanted = Wanted::read(body, &["name", "back_window", "aggregation_methods", "definition"])?;
    let policy = ArchivePolicy {
        name: body.require("name", wanted.name)?,
        back_window: wanted.back_window.unwrap_or(0),
        items: items(&body.require("definition", wanted.definition)?)?,
        methods: resolve_methods(&wanted.methods, default_methods).map_err(bad_definition)?,
    };
    check_distinct(&policy.items).map_err(bad_definition)?;
    Ok(policy)
}

fn patch(call: &Call<'_>, name: &str) -> Outcome {
    let current = call.index().policy(name)?;
    call.enforce("update archive policy", &*current)?;
    let body = call.json()?;
    let node = Node::root(&body);
    let wanted = Wanted::read(node, &["definition", "back_window"])?;
    let items = items(&node.require("definition", wanted.definition)?)?;
    let policy = call.index().update_policy(name, PolicyChange { items, back_window: wanted.back_window })?;
    call.engine().policy_changed(&policy);
    Ok(Response::ok(&show::policy(&policy)))
}

fn delete(call: &Call<'_>, name: &str) -> Outcome {
    call.enforce("delete archive policy", &())?;
    call.index().delete_policy(name)?;
    Ok(Response::no_content())
}

fn bad_definition(error: DefinitionError) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, error.to_string())
}

fn items(definition: &[ItemDefinition]) -> Outcome<Vec<Item>> {
    resolve_items(definition).map_err(bad_definition)
}

/// A body; which keys are required is the caller's business.
#[derive(Default)]
struct Wanted {
    name: Option<String>,
    back_window: Option<u32>,
    methods: Vec<MethodEntry>,
    definition: Option<Vec<ItemDefinition>>,
}

impl Wanted {
    fn read(body: Node<'_>, keys: &[&str]) -> Result<Wanted, Invalid> {
        let mut wanted = Wanted::default();
        for (key, field) in body.fields()? {
            match key {
                key if !keys.contains(&key) => return Err(field.extra()),
                "name" => wanted.name = Some(field.text_at_most(NAME_CHARS_MAX)?.to_owned()),
                "back_window" => wanted.back_window = Some(field.lenient_int(0..=u32::MAX.into())? as u32),
                "aggregation_methods" => {
                    wanted.methods = field.items()?.map(method).collect::<Result<_, _>>()?
                }
                "definition" => wanted.definition = Some(definition(field)?),
                _ => return Err(field.extra()),
            }
        }
        Ok(wanted)
    }
}

fn method(node: Node<'_>) -> Result<MethodEntry, Invalid> {
    let entry = node.text().ok().and_then(MethodEntry::parse);
    entry.ok_or_else(|| node.invalid("not a valid value"))
}

fn definition(node: Node<'_>) -> Result<Vec<ItemDefinition>, Invalid> {
    let items = node.items()?;
    let count = items.len();
    let items = items.map(item).collect::<Result<_, _>>()?;
    node.check_length(count, 1..=usize::MAX)?;
    Ok(items)
}

fn item(node: Node<'_>) -> Result<ItemDefinition, Invalid> {
    let mut item = ItemDefinition::default();
    for (key, field) in node.fields()? {
        match key {
            "granularity" => item.granularity = Some(field.timespan()?),
            "timespan" => item.timespan_ns = Some(field.timespan().map(Granularity::ns)?),
            "points" => item.points = Some(field.lenient_int(1..=u64::MAX.into())? as u64),
            _ => return Err(field.extra()),
        }
    }
    Ok(item)
}
