//! `/v1/resource`: resources, each with its history and its metrics.
//!
//! Types are looked up while routing, resources by the handlers. A text that is no UUID names the
//! resource that the caller would have made of it.

use std::borrow::Cow;

use hyper::Method;
use orzo_model::resource::{Resource, ResourceId, split_creator};
use orzo_model::resource_type::ResourceType;
use orzo_store::index::{self, Kind, NewResource, ResourcePatch};

use super::resource_body::{Purpose, ResourceBody, Terms};
use super::show::{self, Attributes};
use super::{resource_list, resource_metrics};
use crate::auth::Target;
use crate::call::Call;
use crate::conditional::Validators;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;
use crate::schema::Node;

/// Attempts to write a resource while its type is being changed.
const ATTEMPTS: usize = 4;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    let [type_name, ref rest @ ..] = *below else {
        return call.act(&[(Method::GET, &|| list_types(call))]);
    };
    let resource_type = call.index().resource_type(type_name)?;
    let [id, ref rest @ ..] = *rest else {
        return call.act(&[
            (Method::GET, &|| resource_list::list(call, &resource_type)),
            (Method::POST, &|| create(call, &resource_type)),
            (Method::DELETE, &|| resource_list::delete(call, &resource_type)),
        ]);
    };
    let at = At { resource_type: &resource_type, id: resolve(call, id)? };
    match *rest {
        [] => call.act(&[
            (Method::GET, &|| get(call, at)),
            (Method::PATCH, &|| patch(call, at)),
            (Method::DELETE, &|| delete(call, at)),
        ]),
        ["history"] => call.act(&[(Method::GET, &|| resource_list::history(call, at))]),
        ["history", ..] => call.nothing_below(&[Method::GET]),
        ["metric", ref below @ ..] => resource_metrics::route(call, at, below),
        _ => call.nothing_below(&[Method::GET, Method::PATCH, Method::DELETE]),
    }
}

/// Where a URL points: a resource, seen through a type.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) resource_type: &'a ResourceType,
    pub(super) id: ResourceId,
}

impl At<'_> {
    /// The resource as it is now: 404.
    pub(super) fn load(&self, call: &Call<'_>) -> Outcome<Resource> {
        Ok(call.index().resource(&self.resource_type.name, self.id)?)
    }

    /// The resource, if the caller may see it: 404, 403.
    pub(super) fn load_visible(&self, call: &Call<'_>) -> Outcome<Resource> {
        let resource = self.load(call)?;
        if call.allows("get resource", &resource)? {
            return Ok(resource);
        }
        let onlooker = call.onlooker()?;
        if onlooker.has_projects && onlooker.may_see_some("get resource") {
            return Err(index::Error::NotFound(Kind::Resource, self.id.to_string()).into());
        }
        Err(ApiError::forbidden())
    }
}

impl Target for Resource {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let (user, project) = split_creator(&self.creator);
        match name {
            "id" => Some(self.id.to_string().into()),
            "type" | "resource_type" => Some((&*self.resource_type).into()),
            "original_resource_id" => Some(self.original_id.as_str().into()),
            "creator" => Some(self.creator.as_str().into()),
            "created_by_user_id" => Some(user.into()),
            "created_by_project_id" => Some(project.into()),
            "user_id" => self.user_id.as_deref().map(Cow::Borrowed),
            "project_id" => self.project_id.as_deref().map(Cow::Borrowed),
            _ => None,
        }
    }
}

/// A path's text as an id: 401, or 404 with the text if it can be none.
fn resolve(call: &Call<'_>, text: &str) -> Outcome<ResourceId> {
    let creator = call.creator()?;
    ResourceId::derive(text, Some(creator))
        .map_err(|_| index::Error::NotFound(Kind::Resource, text.to_owned()).into())
}

/// Nobody has to say who asks. The names are not encoded.
fn list_types(call: &Call<'_>) -> Outcome {
    let types = call.index().resource_types()?;
    let urls = types.iter().map(|one| {
        (one.name.to_string(), Value::from(format!("{}/v1/resource/{}", call.request.base, one.name)))
    });
    Ok(Response::ok(&Value::object(urls)))
}

fn shown(resource: &Resource, through: &ResourceType) -> Response {
    let attributes = Attributes::through(&through.name, false);
    Response::written(|writer| show::write_resource(writer, resource, attributes, |_| true))
}

fn get(call: &Call<'_>, at: At<'_>) -> Outcome {
    let resource = at.load_visible(call)?;
    let validators = Validators::of(&resource);
    if let Some(not_modified) = validators.check(call.request)? {
        return Ok(not_modified);
    }
    Ok(validators.put_on(shown(&resource, at.resource_type)))
}

fn create(call: &Call<'_>, resource_type: &ResourceType) -> Outcome {
    let creator = call.creator()?;
    let body = call.json()?;
    let resource = with_current_type(call, resource_type, |resource_type| {
        let terms = Terms { resource_type, purpose: Purpose::Create, creator, now: call.now };
        let body = ResourceBody::read(Node::root(&body), terms)?;
        call.enforce("create resource", &[("creator", creator), ("resource_type", &resource_type.name)])?;
        let (original_id, id) = body.id.expect("required");
        let new = NewResource {
            id,
            original_id,
            resource_type: resource_type.name.to_string(),
            creator: creator.to_owned(),
            user_id: body.user_id.flatten(),
            project_id: body.project_id.flatten(),
            started_at: body.started_at,
            ended_at: body.ended_at,
            attributes: body.attributes,
            metrics: body.metrics.unwrap_or_default(),
            now: call.now,
        };
        Ok(call.index().create_resource(new))
    })?;
    let path = format!("/v1/resource/{}/{}", resource_type.name, resource.id);
    Ok(Validators::of(&resource).put_on(call.created(&path, shown(&resource, resource_type))))
}

fn patch(call: &Call<'_>, at: At<'_>) -> Outcome {
    let current = at.load(call)?;
    call.enforce("update resource", &current)?;
    let validators = Validators::of(&current);
    validators.check(call.request)?;
    let body = call.json()?;
    if Node::root(&body).object()?.is_empty() {
        return Ok(validators.put_on(shown(&current, at.resource_type)));
    }
    // Between the check above and the write others may write.
    let expected = Validators::asked_for(call.request).then_some(current.revision_start);
    let mut sets_metrics = false;
    let patched = with_current_type(call, at.resource_type, |resource_type| {
        let terms =
            Terms { resource_type, purpose: Purpose::Patch, creator: &current.creator, now: call.now };
        let body = ResourceBody::read(Node::root(&body), terms)?;
        sets_metrics = body.metrics.is_some();
        let end = body.ended_at.or(current.ended_at);
        let patch = ResourcePatch {
            user_id: body.user_id,
            project_id: body.project_id,
            started_at: body.started_at,
            ended_at: body.ended_at,
            attributes: body.attributes,
            metrics: body.metrics,
            expected,
            now: call.now,
        };
        match call.index().patch_resource(&resource_type.name, at.id, patch) {
            Err(index::Error::EndsBeforeStart) => Err(ends_before_start(end, &current)),
            result => Ok(result),
        }
    })?;
    let response = shown(&patched.resource, at.resource_type);
    // Who changed nothing is told nothing.
    if !patched.revised && !sets_metrics {
        return Ok(response);
    }
    Ok(Validators::of(&patched.resource).put_on(response))
}

fn ends_before_start(end: Option<orzo_model::Timestamp>, current: &Resource) -> ApiError {
    let mut text = String::new();
    end.iter().for_each(|end| orzo_model::timetext::push_iso_micros(&mut text, *end));
    let resource_type = &current.resource_type;
    ApiError::bad(format!("Value {text} for attribute ended_at on resource type {resource_type} is invalid"))
}

fn delete(call: &Call<'_>, at: At<'_>) -> Outcome {
    let current = at.load(call)?;
    call.enforce("delete resource", &current)?;
    Validators::of(&current).check(call.request)?;
    let expected = Validators::asked_for(call.request).then_some(current.revision_start);
    let deletion = call.index().delete_resource(&at.resource_type.name, at.id, expected)?;
    call.engine().forget(&deletion.metrics);
    Ok(Response::no_content())
}

/// Does a write that depends on a type, again with the new type while it changes underneath.
fn with_current_type<T>(
    call: &Call<'_>,
    known: &ResourceType,
    mut write: impl FnMut(&ResourceType) -> Outcome<index::Result<T>>,
) -> Outcome<T> {
    let mut result = write(known)?;
    for _ in 1..ATTEMPTS {
        let Err(index::Error::Outdated(_)) = result else { break };
        result = write(&*call.index().resource_type(&known.name)?)?;
    }
    Ok(result?)
}
