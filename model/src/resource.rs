//! Resources: who they are, and one state of one of them.
//!
//! Text of any shape names a resource; [`ResourceId::derive`] turns it into the UUID that does. Which
//! attributes a resource may have is the business of [`resource_type`](crate::resource_type).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::id::MetricId;
use crate::resource_type::Value;
use crate::time::Timestamp;

/// Namespace of the ids made from text, the reference's own.
const NAMESPACE: Uuid = Uuid::from_u128(0x0a7a15ff_aa13_4ac2_897c_9bdf30ce175b);

/// Longest text a resource can be named by, in characters.
pub const RESOURCE_ID_CHARS_MAX: usize = 289;

/// Identifies a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Uuid);

/// Why a text names no resource. The display form is the API's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceIdError {
    /// It could never be addressed in a path.
    #[error("'/' is not supported in resource id")]
    Slash,
    /// More than [`RESOURCE_ID_CHARS_MAX`].
    #[error("transformable resource id >{RESOURCE_ID_CHARS_MAX} max allowed characters")]
    TooLong,
}

impl ResourceId {
    /// The id that `text` means when `creator` says it: UUID text means itself, any other text a UUID
    /// made from both. Without a creator (impossible over HTTP) the creator's text is one NUL.
    pub fn derive(text: &str, creator: Option<&str>) -> Result<Self, ResourceIdError> {
        if text.contains('/') {
            return Err(ResourceIdError::Slash);
        }
        if let Some(uuid) = parse_uuid(text) {
            return Ok(ResourceId(uuid));
        }
        if text.chars().count() > RESOURCE_ID_CHARS_MAX {
            return Err(ResourceIdError::TooLong);
        }
        let name = [text, "\0", creator.unwrap_or("\0")].concat();
        Ok(ResourceId(Uuid::new_v5(&NAMESPACE, name.as_bytes())))
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// Big-endian bytes, the form used in keys.
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// Reads the form written by [`ResourceId::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        ResourceId(Uuid::from_bytes(bytes))
    }
}

impl From<Uuid> for ResourceId {
    fn from(uuid: Uuid) -> Self {
        ResourceId(uuid)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads UUID text as the API does: `urn:` and `uuid:`, braces around and hyphens anywhere are dropped;
/// 32 hexadecimal digits must be left.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    // Nearly always one of the usual spellings.
    if let Ok(uuid) = Uuid::try_parse(text) {
        return Some(uuid);
    }
    // Longer than any spelling that people write; spares long texts the work below.
    const LONGEST: usize = 128;
    if text.len() > LONGEST {
        return None;
    }
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let digits = bare.trim_matches(['{', '}']).replace('-', "");
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(Uuid::from_u128)
}

/// The user and the project of a principal: the texts before and after its first `:`.
pub fn split_creator(creator: &str) -> (&str, &str) {
    creator.split_once(':').unwrap_or((creator, ""))
}

/// Which state of a resource: the current one or an archived one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// Superseded; numbers grow over the whole database, from 1.
    Archived(u64),
    /// Shown to clients as −1.
    Current,
}

impl Revision {
    /// The number clients know.
    pub const fn number(self) -> i64 {
        match self {
            Revision::Archived(number) => number as i64,
            Revision::Current => -1,
        }
    }

    /// Reads the number clients know.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            -1 => Some(Revision::Current),
            1.. => Some(Revision::Archived(number as u64)),
            _ => None,
        }
    }
}

/// One state of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Unique over all types.
    pub id: ResourceId,
    /// The text by which its creator named it, verbatim.
    pub original_id: String,
    /// The name of its type.
    pub resource_type: Arc<str>,
    /// The principal who made it.
    pub creator: String,
    /// Free text.
    pub user_id: Option<String>,
    /// Free text.
    pub project_id: Option<String>,
    /// In whole microseconds, like every instant here.
    pub started_at: Timestamp,
    /// `None`: it lives.
    pub ended_at: Option<Timestamp>,
    /// Which state this is.
    pub revision: Revision,
    /// Since when this state holds. Grows with every revision of the resource.
    pub revision_start: Timestamp,
    /// `None` for the current state.
    pub revision_end: Option<Timestamp>,
    /// Every attribute of the type, by name; `None` where the resource has none.
    pub attributes: Vec<(Arc<str>, Option<Value>)>,
    /// The active metrics attached now (also to archived states), by name. Empty if not asked for.
    pub metrics: BTreeMap<String, MetricId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_may_be_decorated() {
        let uuid = Uuid::from_u128(0x12345678_1234_1234_1234_123456789ABC);
        for text in [
            "12345678-1234-1234-1234-123456789ABC",
            "12345678123412341234123456789abc",
            "{12345678-1234-1234-1234-123456789abc}",
            "urn:uuid:12345678-1234-1234-1234-123456789abc",
            "1-2345678123412341234123456789ab-c",
        ] {
            assert_eq!(parse_uuid(text), Some(uuid), "{text}");
        }
        for text in ["", "12345678", "+2345678123412341234123456789abc", "g2345678123412341234123456789abc"] {
            assert_eq!(parse_uuid(text), None, "{text}");
        }
    }

    #[test]
    fn revisions_have_numbers() {
        for number in [-1, 1, 2, i64::MAX] {
            assert_eq!(Revision::from_number(number).map(Revision::number), Some(number));
        }
        assert_eq!(Revision::from_number(0), None);
        assert_eq!(Revision::from_number(-2), None);
    }

    #[test]
    fn principals_split_at_the_first_colon() {
        assert_eq!(split_creator("u:p:q"), ("u", "p:q"));
        assert_eq!(split_creator("admin"), ("admin", ""));
    }

    #[test]
    fn ids_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/archive-policy.json");
        let text = std::fs::read_to_string(path).expect("the vectors are in the tree");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("the vectors are JSON");
        let mut checked = 0;
        for case in vectors["cases"].as_array().expect("a list") {
            if case["op"] != "resource_uuid" {
                continue;
            }
            let input = case["input"].as_str().expect("a text");
            let text = match input.split_once('*') {
                Some((letter, times)) => letter.repeat(times.parse().expect("a count")),
                None => input.to_owned(),
            };
            let got = ResourceId::derive(&text, case["creator"].as_str());
            match case["error"].as_str() {
                Some(error) => assert_eq!(got.unwrap_err().to_string(), error, "{case}"),
                None => assert_eq!(got.unwrap().to_string(), case["uuid"].as_str().unwrap(), "{case}"),
            }
            checked += 1;
        }
        assert!(checked > 40, "{checked} vectors");
    }
}
