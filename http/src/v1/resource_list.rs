//! Lists of resources: all of a type, found by a filter, or the history of one; and deletion by filter.

use orzo_model::filter::{BindContext, Condition, Filter, bind};
use orzo_model::resource::Resource;
use orzo_model::resource_type::ResourceType;
use orzo_store::index::{self, ResourcePage, SortKey};

use super::filter_body;
use super::resource::At;
use super::show::{self, Attributes};
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::page::Page;
use crate::response::Response;

/// Last modified last.
pub(super) const DEFAULT_SORT: [&str; 2] = ["revision_start:asc", "started_at:asc"];

/// What a resource with some attributes and metrics takes in a list.
const RESOURCE_BYTES: usize = 1 << 10;

/// `GET /v1/resource/{type}`
pub(super) fn list(call: &Call<'_>, resource_type: &ResourceType) -> Outcome {
    let listing = Listing::of(call)?;
    listing.answer(call, resource_type, call.onlooker()?.resources("list resource")?)
}

/// `POST /v1/search/resource/{type}`
pub(super) fn search(call: &Call<'_>, resource_type: &ResourceType) -> Outcome {
    let filter = filter_body::of_request(call)?;
    let listing = Listing::of(call)?;
    let visible = call.onlooker()?.resources("search resource")?;
    let condition = bound(call, resource_type, listing.history, &filter)?;
    listing.answer(call, resource_type, visible.and(condition))
}

/// `DELETE /v1/resource/{type}`: never without a filter, it would delete everything.
pub(super) fn delete(call: &Call<'_>, resource_type: &ResourceType) -> Outcome {
    let filter = filter_body::of_request(call)?;
    if filter == Filter::All {
        return Err(ApiError::bad("caution: the query can not be empty, or it will delete entire database"));
    }
    let deletable = call.onlooker()?.deletable()?;
    let condition = deletable.and(bound(call, resource_type, false, &filter)?);
    let deletion = call.index().delete_resources(&resource_type.name, &condition)?;
    call.engine().forget(&deletion.metrics);
    Ok(Response::ok(&Value::object([("deleted", deletion.resources.into())])))
}

/// `GET /v1/resource/{type}/{id}/history`
pub(super) fn history(call: &Call<'_>, at: At<'_>) -> Outcome {
    let details = call.query().flag("details", false)?;
    let page = Page::of(call.query(), call.api.config.max_limit, &DEFAULT_SORT)?;
    at.load_visible(call)?;
    let listing = Listing { page, details, history: true, keys: Vec::new() };
    let revisions = call.index().history(at.id, &listing.wanted(at.resource_type, &Condition::Always))?;
    Ok(listing.show(call, at.resource_type, &revisions))
}

/// What a filter means for the resources of a type.
pub(super) fn bound(
    call: &Call<'_>,
    resource_type: &ResourceType,
    history: bool,
    filter: &Filter,
) -> Outcome<Condition> {
    Ok(bind(filter, &BindContext { resource_type, history, creator: call.creator()?, now: call.now })?)
}

/// What part of a list is wanted, and what of each item.
struct Listing {
    page: Page,
    details: bool,
    history: bool,
    /// Keys to show; none: all.
    keys: Vec<String>,
}

impl Listing {
    fn of(call: &Call<'_>) -> Outcome<Listing> {
        let query = call.query();
        Ok(Listing {
            details: query.flag("details", false)?,
            history: query.flag("history", false)?,
            page: Page::of(query, call.api.config.max_limit, &DEFAULT_SORT)?,
            keys: query.all("attrs").into_iter().map(str::to_owned).collect(),
        })
    }

    fn answer(&self, call: &Call<'_>, resource_type: &ResourceType, condition: Condition) -> Outcome {
        let resources = call.index().resources(&self.wanted(resource_type, &condition))?;
        Ok(self.show(call, resource_type, &resources))
    }

    fn wanted<'a>(&'a self, resource_type: &'a ResourceType, condition: &'a Condition) -> ResourcePage<'a> {
        ResourcePage {
            resource_type: &resource_type.name,
            condition,
            history: self.history,
            order: Some(&self.page.order),
            marker: self.page.marker.as_deref(),
            limit: Some(self.page.limit),
            metrics: self.shows("metrics"),
        }
    }

    fn shows(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|own| own == key)
    }

    fn show(&self, call: &Call<'_>, through: &ResourceType, resources: &[Resource]) -> Response {
        let attributes = Attributes::through(&through.name, self.details);
        let response = Response::written(|writer| {
            writer.reserve(resources.len() * RESOURCE_BYTES);
            writer.list(|list| {
                for resource in resources {
                    show::write_resource(list, resource, attributes, |key| self.shows(key));
                }
            });
        });
        match resources.last() {
            Some(last) if resources.len() >= self.page.limit => {
                let (name, link) = self.page.link(call.request, self.marker(last));
                response.with_header(name, link)
            }
            _ => response,
        }
    }

    fn marker(&self, last: &Resource) -> String {
        if self.history { format!("{}@{}", last.id, last.revision.number()) } else { last.id.to_string() }
    }
}

/// All resources of a type that meet a condition, in an order, with their metrics.
pub(super) fn all(
    call: &Call<'_>,
    resource_type: &ResourceType,
    condition: &Condition,
    order: &[SortKey],
) -> index::Result<Vec<Resource>> {
    let page = ResourcePage { order: Some(order), ..ResourcePage::all(&resource_type.name, condition) };
    call.index().resources(&page)
}
