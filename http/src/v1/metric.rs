//! `/v1/metric`: metrics, on their own or of resources.

use std::borrow::Cow;
use std::cell::OnceCell;

use hyper::Method;
use orzo_model::MetricId;
use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, parse_uuid, split_creator};
use orzo_model::resource_type::GENERIC;
use orzo_store::index::{self, MetricPage, NewMetric};

use super::metric_body::{Definition, read_definition};
use super::{reading, show};
use crate::auth::Target;
use crate::call::Call;
use crate::engine::Post;
use crate::error::{ApiError, Outcome};
use crate::json::{Reader, Value};
use crate::measures::read_measures;
use crate::page::Page;
use crate::query::Repeated;
use crate::response::Response;
use crate::schema::Node;

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    let [id, ref rest @ ..] = *below else {
        return call.act(&[(Method::GET, &|| list(call)), (Method::POST, &|| create(call))]);
    };
    let found = match parse_uuid(id) {
        Some(uuid) => index::metric(call.index(), uuid.into())?,
        None => None,
    };
    let metric = found.ok_or_else(|| ApiError::not_found(format!("Metric {id} does not exist")))?;
    route_found(call, &metric, rest)
}

/// What can be done with a metric, however it was found.
pub(super) fn route_found(call: &Call<'_>, metric: &Metric, below: &[&str]) -> Outcome {
    match *below {
        [] => call.act(&[(Method::GET, &|| get(call, metric)), (Method::DELETE, &|| delete(call, metric))]),
        ["measures"] if call.request.method != Method::DELETE => call.act(&[
            (Method::GET, &|| reading::measures(call, metric)),
            (Method::POST, &|| post_measures(call, metric)),
        ]),
        _ => call.nothing_below(&[Method::DELETE]),
    }
}

/// A metric as the target of a rule; its resource is looked up only if the rule asks for it.
pub(super) struct MetricTarget<'a> {
    call: &'a Call<'a>,
    metric: &'a Metric,
    resource: OnceCell<Option<Resource>>,
}

impl<'a> MetricTarget<'a> {
    pub(super) fn new(call: &'a Call<'_>, metric: &'a Metric) -> Self {
        MetricTarget { call, metric, resource: OnceCell::new() }
    }

    /// The resource of the metric. If the index fails, it is none: that allows less, never more.
    pub(super) fn resource(&self) -> Option<&Resource> {
        let load = || self.call.index().resource(GENERIC, self.metric.resource?).ok();
        self.resource.get_or_init(load).as_ref()
    }
}

impl Target for MetricTarget<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let (user, project) = split_creator(&self.metric.creator);
        match name {
            "id" => Some(self.metric.id.to_string().into()),
            "name" => self.metric.name.as_deref().map(Cow::Borrowed),
            "unit" => self.metric.unit.as_deref().map(Cow::Borrowed),
            "creator" => Some(self.metric.creator.as_str().into()),
            "created_by_user_id" => Some(user.into()),
            "created_by_project_id" => Some(project.into()),
            "resource_id" => self.metric.resource.map(|id| id.to_string().into()),
            "archive_policy_name" | "archive_policy.name" => Some(self.metric.policy.name.as_str().into()),
            _ => {
                let name = name.strip_prefix("resource.")?;
                self.resource()?.field(name)
            }
        }
    }
}

fn get(call: &Call<'_>, metric: &Metric) -> Outcome {
    let target = MetricTarget::new(call, metric);
    call.enforce("get metric", &target)?;
    Ok(Response::ok(&show::single_metric(metric, target.resource())))
}

fn delete(call: &Call<'_>, metric: &Metric) -> Outcome {
    call.enforce("delete metric", &MetricTarget::new(call, metric))?;
    let deleted = call.index().delete_metrics(&[metric.id])?;
    if deleted.is_empty() {
        return Err(ApiError::not_found(format!("Metric {} does not exist", metric.id)));
    }
    call.engine().forget(&deleted);
    Ok(Response::no_content())
}

fn post_measures(call: &Call<'_>, metric: &Metric) -> Outcome {
    call.enforce("post measures", &MetricTarget::new(call, metric))?;
    call.request.expect_type("application/json")?;
    let mut reader = Reader::new(&call.request.body)?;
    let measures = read_measures(&mut reader, call.now)?;
    reader.finish()?;
    let measures = measures.map_err(|problem| Node::root(&Value::Null).invalid(problem.to_string()))?;
    if !measures.is_empty() {
        let (policy, kind) = (metric.policy.clone(), metric.kind());
        call.engine().post(vec![Post { metric: metric.id, policy, kind, measures: measures.into() }])?;
    }
    Ok(Response::accepted())
}

fn create(call: &Call<'_>) -> Outcome {
    let creator = call.creator()?.to_owned();
    let body = call.json()?;
    let definition = read_definition(Node::root(&body), &creator)?;
    if definition.policy.is_none() {
        call.index().policy_by_rule(definition.name.as_deref().unwrap_or(""))?;
    }
    check_resource(call, &definition)?;
    call.enforce("create metric", &[("creator", creator.as_str())])?;
    let Definition { name, unit, policy, resource } = definition;
    let new = NewMetric { name, unit, policy, resource, creator };
    let created = call.index().create_metrics(vec![new], call.now)?.into_iter().next();
    let metric = created.expect("as many answers as wishes").map_err(|error| match error {
        index::Error::NamedMetricExists(name) => {
            ApiError::bad_object([("cause", "Named metric already exists".into()), ("detail", name.into())])
        }
        other => other.into(),
    })?;
    Ok(call.created(&format!("/v1/metric/{}", metric.id), Response::ok(&show::new_metric(&metric))))
}

/// A metric of a resource needs a name, the resource, and the right to change it.
fn check_resource(call: &Call<'_>, definition: &Definition) -> Outcome<()> {
    let Some(id) = definition.resource else { return Ok(()) };
    if definition.name.is_none() {
        return Err(ApiError::bad_object([
            ("cause", "Attribute value error".into()),
            ("detail", "name".into()),
            ("reason", "Name cannot be null if resource_id is not null".into()),
        ]));
    }
    call.enforce("update resource", &call.index().resource(GENERIC, id)?)
}

/// The filters of the list, as they were given.
#[derive(Default)]
struct Filters<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    unit: Option<&'a str>,
    policy: Option<&'a str>,
    creator: Option<String>,
    status: Option<&'a str>,
}

impl<'a> Filters<'a> {
    fn of(call: &Call<'a>) -> Outcome<Self> {
        let one = |name: &'static str| {
            call.query().one(name).map_err(|Repeated| {
                ApiError::bad(format!("Invalid input: expected str for dictionary value @ data['{name}']"))
            })
        };
        let status = one("status")?;
        if status.is_some_and(|status| status != "active" && status != "delete") {
            return Err(ApiError::bad(
                "Invalid input: not a valid value for dictionary value @ data['status']",
            ));
        }
        let creator = match (one("user_id")?, one("project_id")?) {
            (None, None) => one("creator")?.map(str::to_owned),
            (user, project) => Some(format!("{}:{}", user.unwrap_or(""), project.unwrap_or(""))),
        };
        Ok(Filters {
            id: one("id")?,
            name: one("name")?,
            unit: one("unit")?,
            policy: one("archive_policy_name")?,
            creator,
            status,
        })
    }
}

fn list(call: &Call<'_>) -> Outcome {
    let onlooker = call.onlooker()?;
    let filters = Filters::of(call)?;
    let page = Page::of(call.query(), call.api.config.max_limit, &["id:asc"])?;
    let visible = onlooker.metrics()?;
    let id = filters.id.map(parse_uuid);
    // Deleted metrics are never shown, and no metric has an id that is none.
    if filters.status == Some("delete") || id == Some(None) {
        return Ok(Response::ok(&Value::List(Vec::new())));
    }
    let metrics = call.index().metrics(&MetricPage {
        id: id.flatten().map(MetricId::from),
        name: filters.name,
        unit: filters.unit,
        policy: filters.policy,
        creator: filters.creator.as_deref(),
        resource: None,
        visible: visible.as_ref(),
        order: Some(&page.order),
        marker: page.marker.as_deref(),
        limit: Some(page.limit),
    })?;
    let response = Response::written(|writer| {
        writer.list(|list| metrics.iter().for_each(|metric| list.value(&show::listed_metric(metric))));
    });
    match metrics.last() {
        Some(last) if metrics.len() >= page.limit => {
            let (name, link) = page.link(call.request, last.id.to_string());
            Ok(response.with_header(name, link))
        }
        _ => Ok(response),
    }
}
