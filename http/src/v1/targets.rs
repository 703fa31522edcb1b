//! Where pushes went before: nearly every push is for resources and metrics that the last one was for.
//!
//! What is kept is what the index said and the rules allowed, as of one revision of the index; with another all of it
//! goes. So nothing is ever posted by an answer that a deletion, a rename or a changed policy has made wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use orzo_model::metric::Metric;
use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, MetricId};

use crate::auth::Identity;

/// Metrics kept at most, about 150 bytes each; one more and all go.
const METRICS_MAX: usize = 1 << 17;

/// A metric that somebody may post to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: MetricId,
    pub(crate) kind: SeriesKind,
    pub(crate) policy: Arc<ArchivePolicy>,
}

impl From<&Metric> for Target {
    fn from(metric: &Metric) -> Self {
        Target { id: metric.id, kind: metric.kind(), policy: metric.policy.clone() }
    }
}

/// The metrics of a resource by name, as far as they were pushed to.
pub(crate) type Names = HashMap<String, Target>;

/// Who pushes resources of which type.
#[derive(Clone, Copy)]
pub(crate) struct Door<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) resource_type: &'a str,
    /// Of the index, read before anything else of it.
    pub(crate) revision: u64,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    revision: u64,
    metrics: usize,
    /// Few: one for each agent that pushes. By the text that names the resource.
    doors: Vec<(Identity, String, HashMap<String, Arc<Names>>)>,
}

impl Targets {
    /// What is known of a resource.
    pub(crate) fn find(&self, door: Door<'_>, resource: &str) -> Option<Arc<Names>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revision != door.revision {
            return None;
        }
        let (.., resources) = known.doors.iter().find(|(identity, resource_type, _)| {
            identity == door.identity && resource_type == door.resource_type
        })?;
        resources.get(resource).cloned()
    }

    /// Notes what a resource has; says all that is known of it now.
    pub(crate) fn keep(&self, door: Door<'_>, resource: &str, found: Names) -> Arc<Names> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revision > door.revision {
            return Arc::new(found);
        }
        if known.revision < door.revision || known.metrics + found.len() > METRICS_MAX {
            *known = Known { revision: door.revision, ..Known::default() };
        }
        let Known { metrics, doors, .. } = &mut *known;
        let is_door = |(identity, resource_type, _): &(Identity, String, _)| {
            identity == door.identity && resource_type == door.resource_type
        };
        let at = doors.iter().position(is_door).unwrap_or_else(|| {
            doors.push((door.identity.clone(), door.resource_type.to_owned(), HashMap::new()));
            doors.len() - 1
        });
        let names = doors[at].2.entry(resource.to_owned()).or_default();
        *metrics -= names.len();
        Arc::make_mut(names).extend(found);
        *metrics += names.len();
        names.clone()
    }
}
