//! Where pushes went before: nearly every push is for series that the last one was for.
//!
//! A series is known by its text as it came, raw, so that nothing is taken apart, unescaped, sorted or put together to
//! find it; the same series in another spelling is another text that leads to the same metric.
//!
//! What is kept is what the index said and the rules allowed, as of one revision of the index; with another all of it
//! goes. So nothing is ever posted by an answer that a deletion, a rename or a changed policy has made wrong.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use orzo_model::metric::Metric;
use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, MetricId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::auth::Identity;

/// Series kept at most, about 100 bytes each and their texts; one more and all go.
const SERIES_MAX: usize = 1 << 18;
/// Bytes of their texts at most.
const TEXTS_MAX: usize = 32 << 20;
/// Who pushes what in which way at most.
const DOORS_MAX: usize = 64;

/// A metric that somebody may post to.
#[derive(Clone, Debug, PartialEq)]
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

/// What texts of series are, and what they depend on that is not in them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Texts {
    /// Ids of metrics, as bytes.
    Ids,
    /// What a line of InfluxDB says before the value.
    Lines {
        /// Of the resources.
        resource_type: String,
        /// Names the resource.
        tag: String,
    },
    /// Encoded labels of Prometheus.
    Labels,
}

/// Who pushes what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) texts: &'a Texts,
    /// Of the index, read before anything else of it.
    pub(crate) revision: u64,
}

/// What is kept.
#[derive(Debug)]
pub(crate) struct Targets {
    known: RwLock<Known>,
    /// Of the hashes: nobody can make texts up that share one.
    seed: u64,
}

#[derive(Debug, Default)]
struct Known {
    revision: u64,
    /// Few: one for each agent that pushes.
    doors: Vec<(Identity, Texts, Series)>,
}

/// The series that came through a door.
#[derive(Debug, Default)]
struct Series {
    table: HashTable<Entry>,
    /// All of them, one behind the other.
    texts: Vec<u8>,
    targets: Vec<Target>,
    by_id: HashMap<MetricId, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Of its text, where it begins and how long it is.
    at: u32,
    len: u32,
    target: u32,
}

impl Default for Targets {
    fn default() -> Self {
        Targets { known: RwLock::default(), seed: RandomState::new().hash_one(()) }
    }
}

impl Targets {
    /// What is known now. Nothing can be learned before it is dropped.
    pub(crate) fn read(&self, door: Door<'_>) -> Reading<'_> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let at = known.at(door).filter(|_| known.revision == door.revision);
        Reading { known, at, seed: self.seed }
    }

    /// Notes which series lead to which metrics.
    pub(crate) fn learn<'a>(&self, door: Door<'_>, found: impl Iterator<Item = (&'a [u8], &'a Target)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.revision > door.revision {
            return;
        }
        if known.revision < door.revision {
            *known = Known { revision: door.revision, ..Known::default() };
        }
        for (text, target) in found {
            if known.is_full(door, text) {
                *known = Known { revision: door.revision, ..Known::default() };
            }
            let at = known.at(door).unwrap_or_else(|| {
                known.doors.push((door.identity.clone(), door.texts.clone(), Series::default()));
                known.doors.len() - 1
            });
            known.doors[at].2.insert(text, target, self.seed);
        }
    }
}

impl Known {
    fn at(&self, door: Door<'_>) -> Option<usize> {
        self.doors.iter().position(|(identity, texts, _)| identity == door.identity && texts == door.texts)
    }

    /// Whether one series more is too much.
    fn is_full(&self, door: Door<'_>, text: &[u8]) -> bool {
        let series: usize = self.doors.iter().map(|(.., series)| series.table.len()).sum();
        let bytes: usize = self.doors.iter().map(|(.., series)| series.texts.len()).sum();
        let has_room = self.doors.len() < DOORS_MAX || self.at(door).is_some();
        !has_room || series >= SERIES_MAX || bytes + text.len() > TEXTS_MAX
    }
}

impl Series {
    fn insert(&mut self, text: &[u8], target: &Target, seed: u64) {
        let hash = xxh3_64_with_seed(text, seed);
        if text.len() > TEXTS_MAX || self.find(text, hash).is_some() {
            return;
        }
        let entry = Entry {
            at: self.texts.len() as u32,
            len: text.len() as u32,
            target: *self.by_id.entry(target.id).or_insert_with(|| {
                self.targets.push(target.clone());
                self.targets.len() as u32 - 1
            }),
        };
        self.texts.extend_from_slice(text);
        let texts = &self.texts;
        self.table.insert_unique(hash, entry, |entry| xxh3_64_with_seed(entry.text(texts), seed));
    }

    #[inline]
    fn find(&self, text: &[u8], hash: u64) -> Option<u32> {
        self.table.find(hash, |entry| entry.text(&self.texts) == text).map(|entry| entry.target)
    }
}

impl Entry {
    #[inline]
    fn text(self, texts: &[u8]) -> &[u8] {
        &texts[self.at as usize..][..self.len as usize]
    }
}

/// A look at what is known of a door.
pub(crate) struct Reading<'a> {
    known: RwLockReadGuard<'a, Known>,
    /// The door; `None`: nothing is known of it.
    at: Option<usize>,
    seed: u64,
}

impl Reading<'_> {
    /// The number of the target of a series: the same for all texts that lead to it.
    #[inline]
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        self.known.doors[self.at?].2.find(text, xxh3_64_with_seed(text, self.seed))
    }

    /// The target of a number that was found.
    pub(crate) fn target(&self, number: u32) -> &Target {
        let at = self.at.expect("nothing is found behind no door");
        &self.known.doors[at].2.targets[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: u128) -> Target {
        let policy = ArchivePolicy {
            name: "p".into(),
            back_window: 0,
            items: vec![],
            methods: [].into_iter().collect(),
        };
        Target { id: MetricId::from_bits(id), kind: SeriesKind::Sampled, policy: Arc::new(policy) }
    }

    fn found(targets: &Targets, door: Door<'_>, text: &str) -> Option<MetricId> {
        let reading = targets.read(door);
        reading.find(text.as_bytes()).map(|number| reading.target(number).id)
    }

    fn learn(targets: &Targets, door: Door<'_>, text: &str, id: u128) {
        targets.learn(door, [(text.as_bytes(), &target(id))].into_iter());
    }

    #[test]
    fn spellings_of_one_metric_share_a_target() {
        let (targets, identity) = (Targets::default(), Identity::default());
        let door = Door { identity: &identity, texts: &Texts::Labels, revision: 1 };
        for (text, id) in [("a", 1), ("b", 2), ("c", 1), ("a", 2)] {
            learn(&targets, door, text, id);
        }
        let reading = targets.read(door);
        assert_eq!(reading.find(b"a"), reading.find(b"c"));
        assert_ne!(reading.find(b"a"), reading.find(b"b"));
        assert_eq!(reading.find(b"ab"), None);
        assert_eq!(reading.target(reading.find(b"a").unwrap()).id, MetricId::from_bits(1), "the first stays");
    }

    #[test]
    fn another_revision_knows_nothing() {
        let (targets, identity) = (Targets::default(), Identity::default());
        let door = |revision| Door { identity: &identity, texts: &Texts::Ids, revision };
        learn(&targets, door(2), "a", 1);
        assert_eq!(found(&targets, door(1), "a"), None);
        assert_eq!(found(&targets, door(3), "a"), None);
        assert!(found(&targets, door(2), "a").is_some());
        learn(&targets, door(1), "b", 1);
        assert_eq!(found(&targets, door(2), "b"), None, "what was learned before is not trusted");
        learn(&targets, door(3), "b", 1);
        assert_eq!((found(&targets, door(3), "a"), found(&targets, door(2), "a")), (None, None));
    }

    #[test]
    fn doors_do_not_share() {
        let (targets, identity) = (Targets::default(), Identity::default());
        let other = Identity { creator: "other".into(), ..Identity::default() };
        let lines = |tag: &str| Texts::Lines { resource_type: "t".into(), tag: tag.into() };
        let (host, site) = (lines("host"), lines("site"));
        let door = Door { identity: &identity, texts: &host, revision: 1 };
        learn(&targets, door, "a", 1);
        assert!(found(&targets, door, "a").is_some());
        assert_eq!(found(&targets, Door { texts: &site, ..door }, "a"), None);
        assert_eq!(found(&targets, Door { identity: &other, ..door }, "a"), None);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (targets, identity) = (Targets::default(), Identity::default());
        let door = Door { identity: &identity, texts: &Texts::Labels, revision: 1 };
        let long = "x".repeat(TEXTS_MAX / 2);
        for text in ["a", "b", "c"] {
            learn(&targets, door, &format!("{text}{long}"), 1);
        }
        assert_eq!(found(&targets, door, &format!("a{long}")), None);
        assert!(found(&targets, door, &format!("c{long}")).is_some());
        learn(&targets, door, &"y".repeat(TEXTS_MAX + 1), 1);
        learn(&targets, door, "d", 2);
        assert!(found(&targets, door, "d").is_some());
    }
}
