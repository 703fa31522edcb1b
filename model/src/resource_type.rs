//! Resource types: which attributes a resource has, what their values may be, and how a type changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::filter::Scalar;
use crate::resource::parse_uuid;
use crate::time::Timestamp;
use crate::timetext::TimeTextError;

/// The type every database has; it has no attributes and lists the resources of all types.
pub const GENERIC: &str = "generic";

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a `string`.
    Text(String),
    /// Of a `uuid`.
    Uuid(Uuid),
    /// Of a `number`; NaN and infinities are legal.
    Number(f64),
    /// Of a `bool`.
    Bool(bool),
    /// Of a `datetime`, in whole microseconds.
    Time(Timestamp),
}

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttributeKind {
    /// Text, bounds in characters, both inclusive.
    Text {
        /// At least.
        min_length: u16,
        /// At most.
        max_length: u16,
    },
    /// UUID text in, canonical text out.
    Uuid,
    /// A number; `None`: no bound. Bounds are inclusive.
    Number {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// `true` or `false`.
    Bool,
    /// An instant.
    Time,
}

impl AttributeKind {
    /// The API's word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            AttributeKind::Text { .. } => "string",
            AttributeKind::Uuid => "uuid",
            AttributeKind::Number { .. } => "number",
            AttributeKind::Bool => "bool",
            AttributeKind::Time => "datetime",
        }
    }
}

/// An attribute of a type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
    /// What its values are.
    pub kind: AttributeKind,
    /// Whether a resource must have it.
    pub required: bool,
}

/// A resource type.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceType {
    /// Unique.
    pub name: Arc<str>,
    /// Grows with every change of the type; 0 in a new one.
    pub version: u32,
    /// By name.
    pub attributes: BTreeMap<Arc<str>, Attribute>,
}

/// Why a value is none of an attribute. The display form is the API's wording.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidValue {
    /// Another kind of JSON value.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Shorter than this many characters.
    #[error("length of value must be at least {0}")]
    TooShort(u16),
    /// Longer than this many characters.
    #[error("length of value must be at most {0}")]
    TooLong(u16),
    /// Less than this.
    #[error("value must be at least {0}")]
    TooSmall(f64),
    /// More than this.
    #[error("value must be at most {0}")]
    TooGreat(f64),
    /// No UUID text.
    #[error("badly formed hexadecimal UUID string")]
    NotAUuid,
    /// No instant.
    #[error("{0}")]
    NotATime(#[from] TimeTextError),
}

impl AttributeKind {
    /// Reads a value of this kind; `input` is `None` for a list or an object.
    pub fn read(&self, input: Option<&Scalar>, now: Timestamp) -> Result<Value, InvalidValue> {
        match (self, input) {
            (AttributeKind::Text { min_length, max_length }, Some(Scalar::Text(text))) => {
                check_length(text, *min_length, *max_length)?;
                Ok(Value::Text(text.clone()))
            }
            (AttributeKind::Text { .. }, _) => Err(InvalidValue::Expected("str")),
            (AttributeKind::Uuid, Some(Scalar::Text(text))) => {
                parse_uuid(text).map(Value::Uuid).ok_or(InvalidValue::NotAUuid)
            }
            (AttributeKind::Uuid, _) => Err(InvalidValue::NotAUuid),
            (AttributeKind::Number { min, max }, Some(scalar @ (Scalar::Integer(_) | Scalar::Float(_)))) => {
                let number = scalar.to_number().ok_or(InvalidValue::Expected("Real"))?;
                check_bounds(number, *min, *max)?;
                Ok(Value::Number(number))
            }
            (AttributeKind::Number { .. }, _) => Err(InvalidValue::Expected("Real")),
            (AttributeKind::Bool, Some(Scalar::Bool(truth))) => Ok(Value::Bool(*truth)),
            (AttributeKind::Bool, _) => Err(InvalidValue::Expected("bool")),
            (AttributeKind::Time, input) => {
                let scalar = input.ok_or(TimeTextError::NotATimestamp)?;
                Ok(Value::Time(scalar.to_time(now)?))
            }
        }
    }

    /// Whether a value is of this kind; bounds are not looked at.
    pub fn is_kind_of(&self, value: &Value) -> bool {
        matches!(
            (self, value),
            (AttributeKind::Text { .. }, Value::Text(_))
                | (AttributeKind::Uuid, Value::Uuid(_))
                | (AttributeKind::Number { .. }, Value::Number(_))
                | (AttributeKind::Bool, Value::Bool(_))
                | (AttributeKind::Time, Value::Time(_))
        )
    }
}

fn check_length(text: &str, min: u16, max: u16) -> Result<(), InvalidValue> {
    let length = text.chars().count();
    if length < usize::from(min) {
        return Err(InvalidValue::TooShort(min));
    }
    if length > usize::from(max) { Err(InvalidValue::TooLong(max)) } else { Ok(()) }
}

fn check_bounds(number: f64, min: Option<f64>, max: Option<f64>) -> Result<(), InvalidValue> {
    // Written so that NaN, which is neither, fits no bound.
    if let Some(min) = min.filter(|min| !(number >= *min)) {
        return Err(InvalidValue::TooSmall(min));
    }
    match max.filter(|max| !(number <= *max)) {
        Some(max) => Err(InvalidValue::TooGreat(max)),
        None => Ok(()),
    }
}

/// Names that fields of every resource have, or that filters give a meaning of their own.
const RESERVED_NAMES: [&str; 16] = [
    "id",
    "type",
    "metrics",
    "revision",
    "revision_start",
    "revision_end",
    "started_at",
    "ended_at",
    "user_id",
    "project_id",
    "created_by_user_id",
    "created_by_project_id",
    "get_metric",
    "creator",
    "original_resource_id",
    "lifespan",
];

/// Longest name of an attribute, in characters.
const ATTRIBUTE_NAME_CHARS_MAX: usize = 63;

/// Why a type cannot be so, or not become so. The display form is the API's wording.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidType {
    /// Too long, reserved, or starts with neither an ASCII letter nor a digit.
    #[error("Invalid input: Resource attribute name {0} is invalid")]
    Name(String),
    /// The lower bound is above the upper one.
    #[error(
        "Invalid input: Resource attribute value min (or min_length) {min} must be less  than or equal to \
         max (or max_length) {max}!"
    )]
    Bounds {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
    /// Resources that lack a required attribute need a value for it.
    #[error(
        "Invalid input: Option 'fill' of resource attribute {0} is invalid: must not be empty if required=True"
    )]
    FillMissing(String),
    /// The fill is no value of the attribute.
    #[error("Invalid input: Option 'fill' of resource attribute {attribute} is invalid: {reason}")]
    Fill {
        /// Name of the attribute.
        attribute: String,
        /// Why not.
        reason: InvalidValue,
    },
    /// Attributes keep their kind.
    #[error(
        "Type update is not available yet. Changing {old} to {new} for attribute {attribute} of resource \
         {resource_type}"
    )]
    KindChanged {
        /// The kind it has.
        old: &'static str,
        /// The kind asked for.
        new: &'static str,
        /// Name of the attribute.
        attribute: String,
        /// Name of the type.
        resource_type: String,
    },
}

impl Attribute {
    /// Whether an attribute may be called so and be so.
    pub fn check(&self, name: &str) -> Result<(), InvalidType> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let short = name.chars().count() <= ATTRIBUTE_NAME_CHARS_MAX;
        if !starts_well || !short || RESERVED_NAMES.contains(&name) {
            return Err(InvalidType::Name(name.to_owned()));
        }
        let bounds = match self.kind {
            AttributeKind::Text { min_length, max_length } => Some((min_length.into(), max_length.into())),
            AttributeKind::Number { min, max } => min.zip(max),
            _ => None,
        };
        match bounds {
            Some((min, max)) if min > max => Err(InvalidType::Bounds { min, max }),
            _ => Ok(()),
        }
    }
}

/// An attribute that a changed type is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedAttribute {
    /// What it is to be.
    pub attribute: Attribute,
    /// A value for resources that have none. `None`: not given, or null; the inner `None`: a list or
    /// an object.
    pub fill: Option<Option<Scalar>>,
}

/// What an attribute becomes, and what resources without a value of it get.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeChange {
    /// What it becomes.
    pub attribute: Attribute,
    /// The value for resources and archived states that have none.
    pub fill: Option<Value>,
}

/// A checked change of a resource type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeChange {
    /// Name of the type.
    pub name: Arc<str>,
    /// The version of the type it was checked against.
    pub base: u32,
    /// New attributes.
    pub added: BTreeMap<Arc<str>, AttributeChange>,
    /// Attributes that stay, but differ or are filled.
    pub changed: BTreeMap<Arc<str>, AttributeChange>,
    /// Attributes that go, with all their values.
    pub removed: Vec<Arc<str>>,
}

impl TypeChange {
    /// Plans how `current` comes to have exactly the attributes wanted.
    pub fn plan(
        current: &ResourceType,
        wanted: &BTreeMap<Arc<str>, WantedAttribute>,
        now: Timestamp,
    ) -> Result<TypeChange, InvalidType> {
        let removed = current.attributes.keys().filter(|name| !wanted.contains_key(*name)).cloned();
        let mut plan = TypeChange {
            name: current.name.clone(),
            base: current.version,
            added: BTreeMap::new(),
            changed: BTreeMap::new(),
            removed: removed.collect(),
        };
        for (name, wish) in wanted {
            wish.attribute.check(name)?;
            let old = current.attributes.get(name);
            wish.check_kind(old, name, &current.name)?;
            let fill = wish.read_fill(name, now)?;
            let change = AttributeChange { attribute: wish.attribute, fill };
            match old {
                None => {
                    change.check_fill(name)?;
                    plan.added.insert(name.clone(), change);
                }
                Some(old) if *old == change.attribute && change.fill.is_none() => {}
                Some(_) => {
                    change.check_fill(name)?;
                    plan.changed.insert(name.clone(), change);
                }
            }
        }
        Ok(plan)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl WantedAttribute {
    fn read_fill(&self, name: &str, now: Timestamp) -> Result<Option<Value>, InvalidType> {
        let Some(input) = &self.fill else { return Ok(None) };
        match self.attribute.kind.read(input.as_ref(), now) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => Err(InvalidType::Fill { attribute: name.to_owned(), reason }),
        }
    }

    fn check_kind(&self, old: Option<&Attribute>, name: &str, resource_type: &str) -> Result<(), InvalidType> {
        let new = self.attribute.kind.name();
        let Some(old) = old.map(|old| old.kind.name()).filter(|old| *old != new) else { return Ok(()) };
        let (attribute, resource_type) = (name.to_owned(), resource_type.to_owned());
        Err(InvalidType::KindChanged { old, new, attribute, resource_type })
    }
}

impl AttributeChange {
    fn check_fill(&self, name: &str) -> Result<(), InvalidType> {
        if self.attribute.required && self.fill.is_none() {
            return Err(InvalidType::FillMissing(name.to_owned()));
        }
        Ok(())
    }
}
