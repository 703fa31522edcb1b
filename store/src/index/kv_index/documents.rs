//! What the index writes: JSON documents with structs of their own, so that a change of a domain type
//! cannot change the disk. Drawn in `docs/format/index.md`.
//!
//! Texts are borrowed from the bytes where JSON allows. Resources, of which a search reads a hundred
//! thousand, are not even read: see [`ResourceView`].

use std::borrow::Cow;

use orzo_model::filter::Cell;
use orzo_model::metric::StatsdSeries;
use orzo_model::resource_type::{Attribute, AttributeKind, Value};
use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, Granularity, Item, Method};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::flat::{Members, integer, text};
use super::values::{StoredValue, Text};
use crate::error::{Error, Result};

/// Writes a document.
pub(super) fn encode<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents have text keys and no failing parts")
}

/// Reads a document that keeps nothing of the bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| Error::Corrupt { what })
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
        value_cell(raw, kind)
    }
}

/// The raw value of an attribute of this kind.
pub(super) fn value_cell<'a>(raw: &'a [u8], kind: &AttributeKind) -> Option<Cell<'a>> {
    match kind {
        AttributeKind::Text { .. } => text(raw).map(Cell::Text),
        _ => serde_json::from_slice::<StoredValue<'a>>(raw).ok()?.into_cell(kind),
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
    /// Deleted ones may lack it.
    #[serde(default)]
    pub created: u64,
}

/// What of a deleted metric is needed to expunge it: members of a [`MetricDocument`].
#[derive(Serialize)]
pub(super) struct BuriedDocument<'a> {
    pub name: &'a str,
    pub creator: &'a str,
    pub policy: &'a str,
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

#[cfg(test)]
mod tests {
    use orzo_model::MethodSet;

    use super::*;

    fn written<T: Serialize>(document: &T) -> String {
        String::from_utf8(encode(document)).unwrap()
    }

    const RESOURCE: &str = r#"{"original":"web1","creator":"u:p","user":"u1","project":"p1","started":1000,"ended":2000,"since":3000,"schema":1,"0":"r2","7":1.5}"#;

    /// What `docs/format/index.md` shows: databases in the field are written so.
    #[test]
    fn documents_are_written_as_drawn() {
        let item = Item { granularity: Granularity::from_ns(60_000_000_000).unwrap(), points: Some(10) };
        let policy = ArchivePolicy {
            name: "low".to_owned(),
            back_window: 1,
            items: vec![item],
            methods: MethodSet::from_iter([Method::MEAN, Method::parse("rate:95pct").unwrap()]),
        };
        let text = r#"{"back_window":1,"items":[{"granularity_ns":60000000000,"points":10}],"methods":["mean","rate:95pct"]}"#;
        assert_eq!(written(&PolicyDocument::from(&policy)), text);
        let read: PolicyDocument = decode(text.as_bytes(), "archive policy").unwrap();
        assert_eq!(read.policy("low".to_owned()).unwrap(), policy);

        let text = r#"{"name":"cpu","unit":"%","creator":"u:p","resource":"00000000-0000-0000-0000-000000000007","policy":"low","statsd":{"type":"c","event":true},"created":3000}"#;
        let metric = MetricDocument {
            name: Some("cpu".to_owned()),
            unit: Some("%".to_owned()),
            creator: "u:p".to_owned(),
            resource: Some(Uuid::from_u128(7)),
            policy: "low".to_owned(),
            statsd: Some(StatsdDocument { type_text: "c".to_owned(), event: true }),
            created: 3_000,
        };
        assert_eq!(written(&metric), text);
        assert_eq!(decode::<MetricDocument>(text.as_bytes(), "metric").unwrap(), metric);
        let text = r#"{"creator":"","policy":"low","created":0,"younger":"member"}"#;
        assert_eq!(decode::<MetricDocument>(text.as_bytes(), "metric").unwrap().name, None);
        assert_eq!(written(&Counters { revision: 7, metrics: 12 }), r#"{"revision":7,"metrics":12}"#);
    }

    #[test]
    fn types_are_written_as_drawn() {
        let text = r#"{"version":1,"next_slot":2,"attributes":[{"name":"rack","slot":0,"kind":{"string":{"min_length":0,"max_length":256}},"required":false,"fills":[[1,"r1"]]},{"name":"load","slot":1,"kind":{"number":{"min":-1.5,"max":"inf"}},"required":true,"fills":[]}]}"#;
        let document = TypeDocument::decode(text.as_bytes()).unwrap();
        assert_eq!(written(&document), text);
        let kind = AttributeKind::Number { min: Some(-1.5), max: Some(f64::INFINITY) };
        assert_eq!(document.attributes[1].attribute(), Attribute { kind, required: true });
        for kind in ["uuid", "bool", "datetime"] {
            let read: KindDocument = serde_json::from_str(&format!("{kind:?}")).unwrap();
            assert_eq!(written(&read), format!("{kind:?}"));
        }
    }

    #[test]
    fn states_are_written_as_drawn() {
        let document = ResourceDocument {
            original: "web1",
            creator: "u:p",
            user: Some("u1"),
            project: Some("p1"),
            started: 1_000,
            ended: Some(2_000),
            since: 3_000,
            schema: 1,
            values: vec![(0, StoredValue::Text("r2".into())), (7, StoredValue::Float(1.5))],
        };
        assert_eq!(written(&document), RESOURCE);
        let archived = archive(RESOURCE.as_bytes(), 4_000);
        let view = ResourceView::decode(&archived).unwrap();
        assert_eq!(
            (view.started, view.ended, view.since, view.until, view.schema),
            (1_000, Some(2_000), 3_000, Some(4_000), 1)
        );
        assert_eq!(view.cell(7, &AttributeKind::Number { min: None, max: None }), Some(Cell::Number(1.5)));
        assert_eq!(view.user().as_deref(), Some("u1"));
        assert!(!view.has(1));
        for bad in [
            "{}",
            r#"{"original":"a"}"#,
            &RESOURCE.replace("1000", "-1"),
            &RESOURCE.replace("\"0\"", "\"x\""),
        ] {
            assert!(ResourceView::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
