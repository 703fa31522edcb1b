//! What the index writes: JSON documents with structs of their own, so that a change of a domain type
//! cannot change the disk. Drawn in `docs/format/index.md`.
//!
//! Texts are borrowed from the bytes where JSON allows. Resources, of which a search reads a hundred
//! thousand, are not even read: see [`ResourceView`].

use std::borrow::Cow;
use std::fmt;

use orzo_model::filter::Cell;
use orzo_model::metric::StatsdSeries;
use orzo_model::resource_type::{Attribute, AttributeKind, Value};
use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, Granularity, Item, Method, Timestamp};
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::flat::{Members, integer, text};
use crate::error::{Error, Result};

/// Writes a document.
pub(super) fn encode<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents have text keys and no failing parts")
}

/// Reads a document that keeps nothing of the bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| Error::Corrupt { what })
}

/// Text, borrowed if it has no escapes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A value of an attribute. Which kind it is, the attribute says: instants are integers, UUIDs and
/// numbers that JSON lacks are texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StoredValue<'a> {
    Text(Text<'a>),
    Float(f64),
    Integer(u64),
    Bool(bool),
}

impl<'a> StoredValue<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => StoredValue::Text(text.as_str().into()),
            Value::Uuid(uuid) => StoredValue::owned(uuid.to_string()),
            Value::Number(number) if number.is_finite() => StoredValue::Float(*number),
            Value::Number(number) => StoredValue::owned(number.to_string()),
            Value::Bool(truth) => StoredValue::Bool(*truth),
            Value::Time(at) => StoredValue::Integer(at.ns()),
        }
    }

    fn owned(text: String) -> Self {
        StoredValue::Text(Text(Cow::Owned(text)))
    }

    /// As what it is; `None` if it is no value of the kind.
    pub(super) fn into_cell(self, kind: &AttributeKind) -> Option<Cell<'a>> {
        Some(match (kind, self) {
            (AttributeKind::Text { .. }, StoredValue::Text(text)) => Cell::Text(text.0),
            (AttributeKind::Uuid, StoredValue::Text(text)) => Cell::Uuid(Uuid::parse_str(&text.0).ok()?),
            (AttributeKind::Number { .. }, StoredValue::Float(number)) => Cell::Number(number),
            (AttributeKind::Number { .. }, StoredValue::Integer(number)) => Cell::Number(number as f64),
            (AttributeKind::Number { .. }, StoredValue::Text(text)) => Cell::Number(text.0.parse().ok()?),
            (AttributeKind::Bool, StoredValue::Bool(truth)) => Cell::Bool(truth),
            (AttributeKind::Time, StoredValue::Integer(ns)) => Cell::Time(Timestamp::from_ns(ns)?),
            _ => return None,
        })
    }
}

/// The cell of an attribute as its value.
pub(super) fn value_of(cell: Cell<'_>) -> Option<Value> {
    Some(match cell {
        Cell::Text(text) => Value::Text(text.into_owned()),
        Cell::Uuid(uuid) => Value::Uuid(uuid),
        Cell::Number(number) => Value::Number(number),
        Cell::Bool(truth) => Value::Bool(truth),
        Cell::Time(at) => Value::Time(at),
        Cell::Integer(_) => return None,
    })
}

impl Serialize for StoredValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            StoredValue::Text(text) => text.serialize(serializer),
            StoredValue::Float(number) => serializer.serialize_f64(*number),
            StoredValue::Integer(number) => serializer.serialize_u64(*number),
            StoredValue::Bool(truth) => serializer.serialize_bool(*truth),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StoredValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = StoredValue<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, number or truth")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::Text(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::owned(text.to_owned()))
            }
            fn visit_f64<E>(self, number: f64) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::Float(number))
            }
            fn visit_u64<E>(self, number: u64) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::Integer(number))
            }
            fn visit_i64<E>(self, number: i64) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::Float(number as f64))
            }
            fn visit_bool<E>(self, truth: bool) -> std::result::Result<Self::Value, E> {
                Ok(StoredValue::Bool(truth))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// A state of a resource, to be written: one flat object, so that [`ResourceView`] can read it
/// piecemeal. Instants are nanoseconds; attributes are members named by the numbers of their slots.
pub(super) struct ResourceDocument<'a> {
    pub original: &'a str,
    pub creator: &'a str,
    pub user: Option<&'a str>,
    pub project: Option<&'a str>,
    pub started: u64,
    pub ended: Option<u64>,
    pub since: u64,
    /// Version of the type that the values were written by.
    pub schema: u32,
    pub values: Vec<(u32, StoredValue<'a>)>,
}

impl Serialize for ResourceDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("original", self.original)?;
        map.serialize_entry("creator", self.creator)?;
        for (key, text) in [("user", self.user), ("project", self.project)] {
            text.map_or(Ok(()), |text| map.serialize_entry(key, text))?;
        }
        map.serialize_entry("started", &self.started)?;
        self.ended.map_or(Ok(()), |ended| map.serialize_entry("ended", &ended))?;
        map.serialize_entry("since", &self.since)?;
        map.serialize_entry("schema", &self.schema)?;
        for (slot, value) in &self.values {
            map.serialize_entry(slot, value)?;
        }
        map.end()
    }
}

/// The document of an archived state: of the state as it was, and when it ended.
pub(super) fn archive(document: &[u8], until: u64) -> Vec<u8> {
    let body = document.strip_suffix(b"}").unwrap_or(document);
    [body, format!(",\"until\":{until}}}").as_bytes()].concat()
}

/// A stored state of a resource, split but not read.
pub(super) struct ResourceView<'a> {
    original: &'a [u8],
    creator: &'a [u8],
    user: Option<&'a [u8]>,
    project: Option<&'a [u8]>,
    pub started: u64,
    pub ended: Option<u64>,
    pub since: u64,
    pub until: Option<u64>,
    pub schema: u32,
    /// Raw values with the numbers of their slots.
    values: Vec<(u32, &'a [u8])>,
}

impl<'a> ResourceView<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self> {
        Self::split(bytes).ok_or(Error::Corrupt { what: "resource" })
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (mut original, mut creator, mut user, mut project) = (None, None, None, None);
        let (mut started, mut ended, mut since, mut until, mut schema) = (None, None, None, None, None);
        let mut values = Vec::with_capacity(16);
        for member in Members::of(bytes) {
            let (key, raw) = member?;
            match key {
                b"original" => original = Some(raw),
                b"creator" => creator = Some(raw),
                b"user" => user = Some(raw),
                b"project" => project = Some(raw),
                b"started" => started = Some(integer(raw)?),
                b"ended" => ended = Some(integer(raw)?),
                b"since" => since = Some(integer(raw)?),
                b"until" => until = Some(integer(raw)?),
                b"schema" => schema = Some(integer(raw)?.try_into().ok()?),
                slot => values.push((integer(slot)?.try_into().ok()?, raw)),
            }
        }
        let (original, creator, schema) = (original?, creator?, schema?);
        let (started, since) = (started?, since?);
        Some(ResourceView { original, creator, user, project, started, ended, since, until, schema, values })
    }

    pub(super) fn original(&self) -> Option<Cow<'a, str>> {
        text(self.original)
    }

    pub(super) fn creator(&self) -> Option<Cow<'a, str>> {
        text(self.creator)
    }

    pub(super) fn user(&self) -> Option<Cow<'a, str>> {
        self.user.and_then(text)
    }

    pub(super) fn project(&self) -> Option<Cow<'a, str>> {
        self.project.and_then(text)
    }

    /// Whether it has a value in a slot.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.values.iter().any(|(own, _)| *own == slot)
    }

    /// The value in a slot, of an attribute of this kind.
    pub(super) fn cell(&self, slot: u32, kind: &AttributeKind) -> Option<Cell<'a>> {
        let (_, raw) = self.values.iter().find(|(own, _)| *own == slot)?;
        match kind {
            AttributeKind::Text { .. } => text(raw).map(Cell::Text),
            _ => serde_json::from_slice::<StoredValue<'a>>(raw).ok()?.into_cell(kind),
        }
    }
}

/// A metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MetricDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub creator: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "uuid_text")]
    pub resource: Option<Uuid>,
    pub policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statsd: Option<StatsdDocument>,
    pub created: u64,
}

/// UUIDs as texts.
mod uuid_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        uuid: &Option<Uuid>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        uuid.map(|uuid| uuid.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Option<Uuid>, D::Error> {
        let text = Option::<Text<'de>>::deserialize(deserializer)?;
        text.map(|text| Uuid::parse_str(&text.0).map_err(D::Error::custom)).transpose()
    }
}

/// Who feeds a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StatsdDocument {
    #[serde(rename = "type")]
    pub type_text: String,
    pub event: bool,
}

impl From<&StatsdSeries> for StatsdDocument {
    fn from(series: &StatsdSeries) -> Self {
        StatsdDocument { type_text: series.type_text.clone(), event: series.kind == SeriesKind::Event }
    }
}

impl From<StatsdDocument> for StatsdSeries {
    fn from(document: StatsdDocument) -> Self {
        let kind = if document.event { SeriesKind::Event } else { SeriesKind::Sampled };
        StatsdSeries { type_text: document.type_text, kind }
    }
}

/// An archive policy; its name is in the key.
#[derive(Serialize, Deserialize)]
pub(super) struct PolicyDocument {
    back_window: u32,
    items: Vec<ItemDocument>,
    methods: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ItemDocument {
    granularity_ns: u64,
    points: Option<u64>,
}

impl From<&ArchivePolicy> for PolicyDocument {
    fn from(policy: &ArchivePolicy) -> Self {
        let item = |item: &Item| ItemDocument { granularity_ns: item.granularity.ns(), points: item.points };
        PolicyDocument {
            back_window: policy.back_window,
            items: policy.items.iter().map(item).collect(),
            methods: policy.methods.iter().map(|method| method.to_string()).collect(),
        }
    }
}

impl PolicyDocument {
    pub(super) fn policy(self, name: String) -> Result<ArchivePolicy> {
        const CORRUPT: Error = Error::Corrupt { what: "archive policy" };
        let item = |item: &ItemDocument| {
            Granularity::from_ns(item.granularity_ns)
                .map(|granularity| Item { granularity, points: item.points })
        };
        let items = self.items.iter().map(item).collect::<Option<Vec<_>>>().ok_or(CORRUPT)?;
        let methods = self.methods.iter().map(|name| Method::parse(name)).collect::<Option<_>>();
        if items.is_empty() {
            return Err(CORRUPT);
        }
        Ok(ArchivePolicy { name, back_window: self.back_window, items, methods: methods.ok_or(CORRUPT)? })
    }
}

/// A rule; its name is in the key.
#[derive(Serialize, Deserialize)]
pub(super) struct RuleDocument {
    pub pattern: String,
    pub policy: String,
}

/// A resource type; its name is in the key.
#[derive(Serialize, Deserialize)]
pub(super) struct TypeDocument<'a> {
    pub version: u32,
    pub next_slot: u32,
    #[serde(borrow)]
    pub attributes: Vec<AttributeDocument<'a>>,
}

impl<'a> TypeDocument<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| Error::Corrupt { what: "resource type" })
    }
}

/// An attribute of a type.
#[derive(Serialize, Deserialize)]
pub(super) struct AttributeDocument<'a> {
    pub name: String,
    pub slot: u32,
    pub kind: KindDocument,
    pub required: bool,
    /// Version of the type, value for states written by an older one.
    #[serde(borrow)]
    pub fills: Vec<(u32, StoredValue<'a>)>,
}

/// What the values of an attribute are.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindDocument {
    String { min_length: u16, max_length: u16 },
    Uuid,
    Number { min: Option<Bound>, max: Option<Bound> },
    Bool,
    Datetime,
}

/// A bound of a number; infinities are texts.
#[derive(Clone, Copy)]
pub(super) struct Bound(f64);

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        StoredValue::of(&Value::Number(self.0)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let number = AttributeKind::Number { min: None, max: None };
        match StoredValue::deserialize(deserializer)?.into_cell(&number) {
            Some(Cell::Number(bound)) => Ok(Bound(bound)),
            _ => Err(D::Error::custom("no number")),
        }
    }
}

impl From<AttributeKind> for KindDocument {
    fn from(kind: AttributeKind) -> Self {
        match kind {
            AttributeKind::Text { min_length, max_length } => KindDocument::String { min_length, max_length },
            AttributeKind::Uuid => KindDocument::Uuid,
            AttributeKind::Number { min, max } => {
                KindDocument::Number { min: min.map(Bound), max: max.map(Bound) }
            }
            AttributeKind::Bool => KindDocument::Bool,
            AttributeKind::Time => KindDocument::Datetime,
        }
    }
}

impl AttributeDocument<'_> {
    pub(super) fn attribute(&self) -> Attribute {
        let kind = match self.kind {
            KindDocument::String { min_length, max_length } => AttributeKind::Text { min_length, max_length },
            KindDocument::Uuid => AttributeKind::Uuid,
            KindDocument::Number { min, max } => {
                AttributeKind::Number { min: min.map(|bound| bound.0), max: max.map(|bound| bound.0) }
            }
            KindDocument::Bool => AttributeKind::Bool,
            KindDocument::Datetime => AttributeKind::Time,
        };
        Attribute { kind, required: self.required }
    }
}

/// Numbers of the whole index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Number of the last archived state.
    pub revision: u64,
    /// Active metrics.
    pub metrics: u64,
}
