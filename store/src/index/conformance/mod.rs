//! What every index must do; each back end runs it.

// A suite is a test, whoever compiles it.
#![allow(clippy::unwrap_used)]

mod deletion;
mod lifetime;
mod metrics;
mod naive;
mod policies;
mod resources;
mod search;
mod statsd;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::filter::{BindContext, Condition, Filter, Operator, Scalar, bind, parse_text};
use orzo_model::metric::Metric;
use orzo_model::resource::{Resource, ResourceId};
use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value};
use orzo_model::{ArchivePolicy, Granularity, Item, Method, MethodSet, MetricId, SECOND, Timestamp};

use super::{Error, Index, MetricSpec, NewMetric, NewResource, ResourcePage, Result, Rule};

/// A database that can be opened again after everybody has let go of it.
pub type Database = Box<dyn Fn() -> Arc<dyn Index>>;

/// Runs everything; `make` gives an empty database each time.
pub fn index_conformance(make: impl Fn() -> Database) {
    let tests: [fn(&Database); 9] = [
        policies::run,
        types::run,
        resources::run,
        deletion::run,
        lifetime::run,
        metrics::run,
        statsd::run,
        search::run,
        everything_survives_reopening,
    ];
    tests.iter().for_each(|test| test(&make()));
    search::random_searches(&make);
}

fn everything_survives_reopening(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    index.create_rule(rule("all", "*", "low")).unwrap();
    index.create_resource_type(host_type("host")).unwrap();
    let id = add(&*index, "host", "web1", &["cpu"]).id;
    patch_user(&*index, id, "u1", 20);
    let read = |index: &dyn Index| {
        (
            index.policies().unwrap(),
            index.rules().unwrap(),
            index.resource_types().unwrap(),
            history_of(index, id),
            index.metrics_of(id).unwrap(),
            index.metrics_count().unwrap(),
        )
    };
    let before = read(&*index);
    drop(index);
    let index = database();
    assert_eq!(read(&*index), before);
    patch_user(&*index, id, "u2", 30);
    let numbers: Vec<i64> =
        history_of(&*index, id).iter().map(|resource| resource.revision.number()).collect();
    assert_eq!(numbers, [1, 2, -1], "numbers go on where they were");
}

// --- what the tests are made of

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns(seconds * SECOND).unwrap()
}

pub(super) fn policy(name: &str) -> ArchivePolicy {
    let item = |seconds: u64, points| Item {
        granularity: Granularity::from_ns(seconds * SECOND).unwrap(),
        points: Some(points),
    };
    ArchivePolicy {
        name: name.to_owned(),
        back_window: 1,
        items: vec![item(60, 10), item(300, 5)],
        methods: MethodSet::from_iter([Method::MEAN, Method::parse("rate:95pct").unwrap()]),
    }
}

pub(super) fn add_policy(index: &dyn Index, name: &str) {
    index.create_policy(policy(name)).unwrap();
}

pub(super) fn rule(name: &str, pattern: &str, policy: &str) -> Rule {
    Rule { name: name.to_owned(), pattern: pattern.to_owned(), policy: policy.to_owned() }
}

pub(super) fn text_attribute() -> Attribute {
    Attribute { kind: AttributeKind::Text { min_length: 0, max_length: 256 }, required: false }
}

/// A type with an optional attribute of each kind.
pub(super) fn host_type(name: &str) -> ResourceType {
    let optional = |kind| Attribute { kind, required: false };
    let attributes = BTreeMap::from([
        (Arc::from("rack"), text_attribute()),
        (Arc::from("serial"), optional(AttributeKind::Uuid)),
        (Arc::from("load"), optional(AttributeKind::Number { min: None, max: None })),
        (Arc::from("virtual"), optional(AttributeKind::Bool)),
        (Arc::from("bought"), optional(AttributeKind::Time)),
    ]);
    ResourceType { name: name.into(), version: 0, attributes }
}

pub(super) const ALICE: &str = "alice";

pub(super) fn id_of(text: &str) -> ResourceId {
    ResourceId::derive(text, Some(ALICE)).unwrap()
}

pub(super) fn new_resource(resource_type: &str, text: &str) -> NewResource {
    NewResource {
        id: id_of(text),
        original_id: text.to_owned(),
        resource_type: resource_type.to_owned(),
        creator: ALICE.to_owned(),
        user_id: None,
        project_id: None,
        started_at: None,
        ended_at: None,
        attributes: Vec::new(),
        metrics: Vec::new(),
        now: at(10),
    }
}

pub(super) fn fresh(policy: &str) -> MetricSpec {
    MetricSpec::New { policy: Some(policy.to_owned()), unit: None }
}

/// Adds a resource with metrics of the policy `low`.
pub(super) fn add(index: &dyn Index, resource_type: &str, text: &str, metrics: &[&str]) -> Resource {
    let metrics = metrics.iter().map(|name| ((*name).to_owned(), fresh("low"))).collect();
    index.create_resource(NewResource { metrics, ..new_resource(resource_type, text) }).unwrap()
}

pub(super) fn patch_user(index: &dyn Index, id: ResourceId, user: &str, seconds: u64) -> Resource {
    let patch =
        super::ResourcePatch { user_id: Some(Some(user.to_owned())), now: at(seconds), ..Default::default() };
    index.patch_resource("generic", id, patch).unwrap().resource
}

/// All revisions of a resource, oldest first.
pub(super) fn history_of(index: &dyn Index, id: ResourceId) -> Vec<Resource> {
    let mut page = ResourcePage::all("generic", &Condition::Always);
    page.history = true;
    index.history(id, &page).unwrap()
}

pub(super) fn alone(name: Option<&str>, policy: Option<&str>) -> NewMetric {
    NewMetric {
        name: name.map(str::to_owned),
        policy: policy.map(str::to_owned),
        creator: ALICE.to_owned(),
        ..NewMetric::default()
    }
}

pub(super) fn add_metric(index: &dyn Index, new: NewMetric) -> Result<Metric> {
    index.create_metrics(vec![new], at(10)).unwrap().remove(0)
}

pub(super) fn active(index: &dyn Index, id: MetricId) -> Option<Metric> {
    super::metric(index, id).unwrap()
}

pub(super) fn attribute<'a>(resource: &'a Resource, name: &str) -> Option<&'a Value> {
    let found = resource.attributes.iter().find(|(own, _)| **own == *name);
    found.unwrap_or_else(|| panic!("no attribute {name}")).1.as_ref()
}

/// The texts that the resources of an answer were made by.
pub(super) fn names(resources: &[Resource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.original_id.as_str()).collect()
}

/// Checks that something was refused, and how it is said.
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T>, text: &str) -> Error {
    let error = result.expect_err(text);
    assert_eq!(error.to_string(), text);
    error
}

/// A condition from the string form, bound to a type.
pub(super) fn condition(index: &dyn Index, resource_type: &str, history: bool, text: &str) -> Condition {
    let filter = filter(&parse_text(text).unwrap());
    let resource_type = index.resource_type(resource_type).unwrap();
    let context = BindContext { resource_type: &resource_type, history, creator: ALICE, now: at(1_000) };
    bind(&filter, &context).unwrap()
}

/// The tree of a JSON form that is known to be right.
fn filter(json: &serde_json::Value) -> Filter {
    let (key, operand) = json.as_object().unwrap().iter().next().unwrap();
    let parts = || operand.as_array().unwrap().iter().map(filter).collect();
    let operator = match key.as_str() {
        "and" => return Filter::And(parts()),
        "or" => return Filter::Or(parts()),
        "not" => return Filter::Not(Box::new(filter(operand))),
        "=" => Some(Operator::Equal),
        "!=" => Some(Operator::NotEqual),
        "<" => Some(Operator::Less),
        "<=" => Some(Operator::LessOrEqual),
        ">" => Some(Operator::Greater),
        ">=" => Some(Operator::GreaterOrEqual),
        _ => None,
    };
    let (attribute, operand) = operand.as_object().unwrap().iter().next().unwrap();
    let attribute = attribute.clone();
    match operator {
        Some(operator) => {
            Filter::Compare { operator, attribute, operand: Scalar::from_json(operand).unwrap() }
        }
        None if key == "like" => Filter::Like { attribute, pattern: Scalar::from_json(operand).unwrap() },
        None => {
            let operands = operand.as_array().unwrap().iter().map(|one| Scalar::from_json(one).unwrap());
            Filter::In { attribute, operands: operands.collect() }
        }
    }
}
