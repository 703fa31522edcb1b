//! Where everything lies. Drawn in `docs/format/index.md`.
//!
//! A key is a table's letter and parts of it. Parts of fixed length are plain big-endian bytes; a text
//! that is not the last part is preceded by its length, so that no text is a prefix of another.

use orzo_model::resource::ResourceId;
use orzo_model::{MetricId, Timestamp};
use uuid::Uuid;

use crate::keys::NAMES;

/// A key, or the common start of keys.
pub(super) type Key = Vec<u8>;

// Documents: `Family::Index`.
pub(super) const POLICIES: &[u8] = b"P";
pub(super) const RULES: &[u8] = b"R";
pub(super) const TYPES: &[u8] = b"T";
pub(super) const TYPE_OF: &[u8] = b"i";
pub(super) const COUNTERS: &[u8] = b"c";
pub(super) const RESOURCES: &[u8] = b"r";
pub(super) const REVISIONS: &[u8] = b"h";
pub(super) const METRICS: &[u8] = b"m";
pub(super) const DELETED: &[u8] = b"d";

// Secondary keys without a document: `Family::IndexBy`.
pub(super) const BURNED: &[u8] = b"B";

/// Longest text that a key of equality holds as it is; of longer ones it holds a digest. Whoever finds
/// such a key compares the text itself in any case.
const TEXT_BYTES_MAX: usize = 254;

/// A text whose equals are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lookup {
    /// Resources by creator: its project, then its user.
    ResourceCreator,
    /// Resources by `user_id`.
    ResourceUser,
    /// Resources by `project_id`.
    ResourceProject,
    /// Resources by the text that named them.
    ResourceOriginal,
    /// Metrics by policy, deleted ones included.
    MetricPolicy,
    /// Metrics by creator: its project, then its user. May hold deleted ones.
    MetricCreator,
    /// Metrics by name. May hold deleted ones.
    MetricName,
}

impl Lookup {
    const fn table(self) -> u8 {
        match self {
            Lookup::ResourceCreator => b'C',
            Lookup::ResourceUser => b'U',
            Lookup::ResourceProject => b'J',
            Lookup::ResourceOriginal => b'O',
            Lookup::MetricPolicy => b'p',
            Lookup::MetricCreator => b'k',
            Lookup::MetricName => b'l',
        }
    }

    /// The common start of the keys of a text's equals.
    pub(super) fn prefix(self, text: &str) -> Key {
        let mut key = vec![self.table()];
        if matches!(self, Lookup::ResourceCreator | Lookup::MetricCreator) {
            let (user, project) = creator_parts(text);
            push_digestible(&mut key, project);
            push_digestible(&mut key, user);
        } else {
            push_digestible(&mut key, text);
        }
        key
    }

    /// The common start of the keys of all creators of a project.
    pub(super) fn creators_of_project(self, project: &str) -> Key {
        let mut key = vec![self.table()];
        push_digestible(&mut key, project);
        key
    }

    /// The key of one of a text's equals.
    pub(super) fn key(self, text: &str, id: [u8; 16]) -> Key {
        let mut key = self.prefix(text);
        key.extend(id);
        key
    }
}

/// User and project of a principal, split at its *last* colon: what ends with `:p` has the project `p`.
fn creator_parts(creator: &str) -> (&str, &str) {
    creator.rsplit_once(':').unwrap_or((creator, ""))
}

fn push_digestible(key: &mut Key, text: &str) {
    if text.len() <= TEXT_BYTES_MAX {
        key.push(text.len() as u8);
        key.extend(text.as_bytes());
    } else {
        key.push(u8::MAX);
        key.extend(Uuid::new_v5(&Uuid::nil(), text.as_bytes()).as_bytes());
    }
}

fn push_name(key: &mut Key, name: &str) {
    let length = u16::try_from(name.len()).expect("names have at most 255 characters");
    key.extend(length.to_be_bytes());
    key.extend(name.as_bytes());
}

fn named(table: &[u8], name: &str) -> Key {
    [table, name.as_bytes()].concat()
}

pub(super) fn policy(name: &str) -> Key {
    named(POLICIES, name)
}

pub(super) fn rule(name: &str) -> Key {
    named(RULES, name)
}

pub(super) fn resource_type(name: &str) -> Key {
    named(TYPES, name)
}

/// Holds the name of the type of a resource.
pub(super) fn type_of(id: ResourceId) -> Key {
    [TYPE_OF, &id.to_bytes()].concat()
}

/// The common start of the keys of a type in [`RESOURCES`] or [`REVISIONS`].
pub(super) fn of_type(table: &[u8], type_name: &str) -> Key {
    let mut key = table.to_vec();
    push_name(&mut key, type_name);
    key
}

pub(super) fn resource(type_name: &str, id: ResourceId) -> Key {
    let mut key = of_type(RESOURCES, type_name);
    key.extend(id.to_bytes());
    key
}

/// The common start of the keys of a resource's archived states.
pub(super) fn revisions(type_name: &str, id: ResourceId) -> Key {
    let mut key = of_type(REVISIONS, type_name);
    key.extend(id.to_bytes());
    key
}

pub(super) fn revision(type_name: &str, id: ResourceId, number: u64) -> Key {
    let mut key = revisions(type_name, id);
    key.extend(number.to_be_bytes());
    key
}

pub(super) fn metric(id: MetricId) -> Key {
    [METRICS, &id.to_bytes()].concat()
}

pub(super) fn deleted_metric(id: MetricId) -> Key {
    [DELETED, &id.to_bytes()].concat()
}

// Secondary keys: `Family::IndexBy`.

/// Ids of statsd names that were deleted and expunged.
pub(super) fn burned(id: MetricId) -> Key {
    [BURNED, &id.to_bytes()].concat()
}

/// Where the name begins in a key of a metric's name.
pub(super) const NAME_START: usize = 1 + 16;

/// The common start of the keys of a resource's metrics, by name. They hold the metric's id.
pub(super) fn metrics_of(id: ResourceId) -> Key {
    [&[NAMES], id.to_bytes().as_slice()].concat()
}

pub(super) fn metric_named(id: ResourceId, name: &str) -> Key {
    let mut key = metrics_of(id);
    key.extend(name.as_bytes());
    key
}

/// The common start of the keys that have the resources of one type, or of all types (`None`), in
/// default order.
pub(super) fn order(type_name: Option<&str>) -> Key {
    match type_name {
        None => b"a".to_vec(),
        Some(name) => {
            let mut key = b"o".to_vec();
            push_name(&mut key, name);
            key
        }
    }
}

/// Holds the name of the resource's type.
pub(super) fn in_order(
    type_name: Option<&str>,
    revision_start: Timestamp,
    started_at: Timestamp,
    id: ResourceId,
) -> Key {
    let mut key = order(type_name);
    key.extend(revision_start.ns().to_be_bytes());
    key.extend(started_at.ns().to_be_bytes());
    key.extend(id.to_bytes());
    key
}

/// The common start of the keys that have the resources with an end, by it.
pub(super) const ENDED: &[u8] = b"e";

/// Holds the name of the resource's type.
pub(super) fn ended(at: Timestamp, id: ResourceId) -> Key {
    let mut key = ended_before(at);
    key.extend(id.to_bytes());
    key
}

/// The first key after those of the resources that ended before an instant.
pub(super) fn ended_before(at: Timestamp) -> Key {
    [ENDED, &at.ns().to_be_bytes()].concat()
}

/// `revision_start` of a key made by [`in_order`].
pub(super) fn order_start(key: &[u8]) -> Option<Timestamp> {
    let at = key.len().checked_sub(32)?;
    let bytes: [u8; 8] = key.get(at..at + 8)?.try_into().ok()?;
    Timestamp::from_ns(u64::from_be_bytes(bytes))
}

/// The last 16 bytes of a key: an id.
pub(super) fn last_id(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}

/// Resource and revision number of a key made by [`revision`].
pub(super) fn revision_parts(key: &[u8]) -> Option<(ResourceId, u64)> {
    let (rest, number) = key.split_last_chunk::<8>()?;
    Some((ResourceId::from_bytes(*rest.last_chunk()?), u64::from_be_bytes(*number)))
}

/// The name of the type in a key of [`RESOURCES`] or [`REVISIONS`].
pub(super) fn type_name(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.get(1..)?.split_first_chunk::<2>()?;
    std::str::from_utf8(rest.get(..usize::from(u16::from_be_bytes(*length)))?).ok()
}

/// The first key after `key`.
pub(super) fn after(mut key: Key) -> Key {
    key.push(0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_prefix_of_another() {
        let keys = |lookup: Lookup| ["", "a", "ab", "a\0", &"x".repeat(300)].map(|text| lookup.prefix(text));
        for lookup in [Lookup::ResourceUser, Lookup::MetricName] {
            for a in keys(lookup) {
                let starts = keys(lookup).iter().filter(|b| b.starts_with(&a)).count();
                assert_eq!(starts, 1, "{a:?}");
            }
        }
    }

    #[test]
    fn creators_of_a_project_lie_together() {
        let project = Lookup::ResourceCreator.creators_of_project("p");
        assert!(Lookup::ResourceCreator.prefix("u:p").starts_with(&project));
        assert!(Lookup::ResourceCreator.prefix("u:v:p").starts_with(&project));
        assert!(!Lookup::ResourceCreator.prefix("u:pp").starts_with(&project));
        assert!(!Lookup::ResourceCreator.prefix("p").starts_with(&project));
    }

    #[test]
    fn parts_read_back() {
        let id = ResourceId::from(Uuid::from_u128(7));
        let start = Timestamp::saturating_from_ns(5);
        let key = revision("instance", id, 9);
        assert_eq!((type_name(&key), revision_parts(&key)), (Some("instance"), Some((id, 9))));
        let key = in_order(Some("t"), start, Timestamp::EPOCH, id);
        assert_eq!((order_start(&key), last_id(&key)), (Some(start), Some(id.to_bytes())));
        assert_eq!(last_id(b"short"), None);
    }
}
