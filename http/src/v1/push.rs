//! Writing by name: resources and metrics that other systems push to, made when first seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use hyper::StatusCode;
use indexmap::IndexMap;
use orzo_model::metric::Metric;
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::{GENERIC, Value as AttributeValue};
use orzo_model::{Measure, Measures, MetricId};
use orzo_store::index::{self, Kind, MetricSpec, NewResource};

use super::metric::MetricTarget;
use super::metric_body::check_name;
use super::targets::{Door, Reading, Target};
use crate::call::Call;
use crate::engine::Post;
use crate::error::{ApiError, Outcome};
use crate::json::Value;

/// Attempts while others make the same things.
const ATTEMPTS: usize = 8;

/// What one request pushes, put down point by point as it is read. Nothing is made or stored before all of it is read.
pub(super) struct Intake<'c> {
    call: &'c Call<'c>,
    door: Door<'c>,
    known: Reading<'c>,
    /// Where points go; `None`: to a metric that is looked for, or made, at the end.
    places: Vec<Option<Target>>,
    by_number: Numbered<u32, Place>,
    /// In the order of the body.
    points: Vec<(Place, Measure)>,
    /// By the text that names the resource.
    wanted: IndexMap<String, Wanted>,
    /// Texts of series that were not known.
    met: Vec<(Vec<u8>, Place)>,
}

/// An index of [`Intake::places`].
pub(super) type Place = u32;

/// What is pushed to one resource and not known yet.
#[derive(Debug, Default)]
struct Wanted {
    /// Attributes of the resource, if it has to be made.
    attributes: Vec<(String, AttributeValue)>,
    /// By the name of the metric.
    metrics: IndexMap<String, Place>,
}

impl<'c> Intake<'c> {
    pub(super) fn new(call: &'c Call<'c>, door: Door<'c>) -> Self {
        Intake {
            call,
            door,
            known: call.api.targets.read(door),
            places: Vec::new(),
            by_number: HashMap::default(),
            points: Vec::new(),
            wanted: IndexMap::new(),
            met: Vec::new(),
        }
    }

    /// The place of a series that was met before.
    #[inline]
    pub(super) fn known(&mut self, text: &[u8]) -> Option<Place> {
        let number = self.known.find(text)?;
        Some(match self.by_number.entry(number) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(vacant) => {
                self.places.push(Some(self.known.target(number).clone()));
                *vacant.insert(self.places.len() as Place - 1)
            }
        })
    }

    /// Has a resource made if it is not there.
    pub(super) fn want_resource(
        &mut self,
        resource: &str,
        attributes: impl FnOnce() -> Vec<(String, AttributeValue)>,
    ) {
        // Most are met many times: no text is made for those.
        if !self.wanted.contains_key(resource) {
            let wanted = Wanted { attributes: attributes(), metrics: IndexMap::new() };
            self.wanted.insert(resource.to_owned(), wanted);
        }
    }

    /// The place of a metric of a resource that is wanted.
    pub(super) fn place(&mut self, resource: &str, name: String) -> Place {
        let metrics = &mut self.wanted[resource].metrics;
        *metrics.entry(name).or_insert_with(|| {
            self.places.push(None);
            self.places.len() as Place - 1
        })
    }

    /// Next time the series with this text is known.
    pub(super) fn meet(&mut self, text: Vec<u8>, place: Place) {
        self.met.push((text, place));
    }

    #[inline]
    pub(super) fn put(&mut self, place: Place, measure: Measure) {
        self.points.push((place, measure));
    }

    /// Where [`Intake::back_to`] may go back to.
    pub(super) fn mark(&self) -> usize {
        self.points.len()
    }

    /// Forgets the points that were put since.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.points.truncate(mark);
    }

    /// Whether anything is wanted that is not known.
    pub(super) fn has_news(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Stores everything; the metrics that are made are those of rules.
    pub(super) fn post(self, resource_type: &str) -> Outcome<()> {
        let Intake { call, door, known, mut places, points, wanted, met, .. } = self;
        drop(known);
        for (text, wanted) in &wanted {
            for metric in metrics(call, resource_type, text, wanted)? {
                call.enforce("post measures", &MetricTarget::new(call, &metric))?;
                let place = metric.name.as_ref().and_then(|name| wanted.metrics.get(name));
                place.inspect(|place| places[**place as usize] = Some(Target::from(&metric)));
            }
        }
        if !met.is_empty() {
            let found = met.iter().filter_map(|(text, at)| Some((&text[..], places[*at as usize].as_ref()?)));
            call.api.targets.learn(door, found);
        }
        let posts = posts(places, &points);
        if !posts.is_empty() {
            call.engine().post(posts)?;
        }
        Ok(())
    }
}

/// One post a metric, in the order of the body, though several places may lead to it. Points without a target are of
/// metrics that were deleted meanwhile.
fn posts(places: Vec<Option<Target>>, points: &[(Place, Measure)]) -> Vec<Post> {
    let mut counts = vec![0; places.len()];
    points.iter().for_each(|(place, _)| counts[*place as usize] += 1);
    let mut posts: Vec<Post> = Vec::with_capacity(places.len());
    let mut by_id: Numbered<MetricId, usize> = HashMap::default();
    let post_of = |(target, count): (Option<Target>, usize)| {
        let Target { id, kind, policy } = target.filter(|_| count > 0)?;
        Some(*by_id.entry(id).or_insert_with(|| {
            posts.push(Post { metric: id, policy, kind, measures: Measures::with_capacity(count) });
            posts.len() - 1
        }))
    };
    let post_of: Vec<Option<usize>> = places.into_iter().zip(counts).map(post_of).collect();
    for (place, measure) in points {
        if let Some(post) = post_of[*place as usize] {
            posts[post].measures.push(*measure);
        }
    }
    posts
}

/// A map by numbers that nobody outside chooses.
type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Hashes numbers that count up or are random.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are single numbers");
    }

    fn write_u32(&mut self, number: u32) {
        // The golden ratio spreads them over all bits.
        self.0 = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u32((number ^ (number >> 32) ^ (number >> 64) ^ (number >> 96)) as u32);
    }
}

/// The metrics that are wanted of a resource, made if need be.
fn metrics(call: &Call<'_>, type_name: &str, text: &str, wanted: &Wanted) -> Outcome<Vec<Metric>> {
    let id =
        ResourceId::derive(text, Some(call.creator()?)).map_err(|error| ApiError::bad(error.to_string()))?;
    for name in wanted.metrics.keys() {
        check_name(name)?;
    }
    for _ in 0..ATTEMPTS {
        if let Some(metrics) = attempt(call, type_name, (text, id), wanted)? {
            return Ok(metrics);
        }
    }
    Err(ApiError::unavailable("The resource is being changed. Please try again."))
}

/// `None`: somebody else was faster, look again.
fn attempt(
    call: &Call<'_>,
    type_name: &str,
    (text, id): (&str, ResourceId),
    wanted: &Wanted,
) -> Outcome<Option<Vec<Metric>>> {
    let by_rule = |name: &str| (name.to_owned(), MetricSpec::New { policy: None, unit: None });
    let names = || wanted.metrics.keys().map(String::as_str);
    let done = match call.index().resource(type_name, id) {
        Ok(resource) => {
            call.enforce("update resource", &resource)?;
            let missing: Vec<_> =
                names().filter(|name| !resource.metrics.contains_key(*name)).map(by_rule).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                call.index().add_metrics(type_name, id, missing, call.now).map(drop)
            }
        }
        Err(index::Error::NotFound(Kind::Resource, _)) => {
            let creator = call.creator()?;
            call.enforce("create resource", &[("creator", creator), ("resource_type", type_name)])?;
            let new = NewResource {
                id,
                original_id: text.to_owned(),
                resource_type: type_name.to_owned(),
                creator: creator.to_owned(),
                user_id: None,
                project_id: None,
                started_at: None,
                ended_at: None,
                attributes: wanted.attributes.clone(),
                metrics: names().map(by_rule).collect(),
                now: call.now,
            };
            call.index().create_resource(new).map(drop)
        }
        Err(other) => Err(other),
    };
    match done {
        Ok(()) => {}
        Err(index::Error::AlreadyExists(Kind::Resource, _)) => {
            return check_type(call, type_name, id).map(|()| None);
        }
        Err(index::Error::NamedMetricExists(_) | index::Error::NotFound(Kind::Resource, _)) => {
            return Ok(None);
        }
        Err(index::Error::Outdated(_)) => {
            return Err(ApiError::bad(format!("Resource type {type_name} requires other attributes")));
        }
        Err(other) => return Err(other.into()),
    }
    let pairs: Vec<_> = names().map(|name| (id, name)).collect();
    Ok(call.index().metrics_by_name(&pairs)?.into_iter().collect())
}

/// 409 if the id belongs to a resource of another type.
fn check_type(call: &Call<'_>, type_name: &str, id: ResourceId) -> Outcome<()> {
    match call.index().resource(GENERIC, id) {
        Ok(other) if &*other.resource_type != type_name => {
            let entries =
                [("cause", "Resource already exists".into()), ("detail", Value::from(id.to_string()))];
            Err(ApiError::object(StatusCode::CONFLICT, entries))
        }
        Ok(_) | Err(index::Error::NotFound(..)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
