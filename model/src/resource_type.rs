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
    // NaN lies within no bound.
    if let Some(min) = min.filter(|min| number < *min || number.is_nan()) {
        return Err(InvalidValue::TooSmall(min));
    }
    match max.filter(|max| number > *max || number.is_nan()) {
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
    /// A value for resources that have none. `None` and null: not given; the inner `None`: a list or an
    /// object.
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
        let input = match &self.fill {
            None | Some(Some(Scalar::Null)) => return Ok(None),
            Some(input) => input,
        };
        match self.attribute.kind.read(input.as_ref(), now) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => Err(InvalidType::Fill { attribute: name.to_owned(), reason }),
        }
    }

    fn check_kind(
        &self,
        old: Option<&Attribute>,
        name: &str,
        resource_type: &str,
    ) -> Result<(), InvalidType> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    const TEXT: AttributeKind = AttributeKind::Text { min_length: 1, max_length: 3 };
    const NUMBER: AttributeKind = AttributeKind::Number { min: Some(0.0), max: Some(2.5) };

    fn now() -> Timestamp {
        Timestamp::saturating_from_ns(1_000)
    }

    #[test]
    fn values_are_read() {
        let uuid = parse_uuid("12345678-1234-1234-1234-123456789abc").unwrap();
        for (kind, input, value) in [
            (TEXT, text("é☃x"), Value::Text("é☃x".to_owned())),
            (AttributeKind::Uuid, text("12345678123412341234123456789ABC"), Value::Uuid(uuid)),
            (NUMBER, Scalar::Integer(2), Value::Number(2.0)),
            (NUMBER, Scalar::Float(2.5), Value::Number(2.5)),
            (AttributeKind::Bool, Scalar::Bool(true), Value::Bool(true)),
            (
                AttributeKind::Time,
                Scalar::Integer(3),
                Value::Time(Timestamp::saturating_from_ns(3_000_000_000)),
            ),
        ] {
            let read = kind.read(Some(&input), now());
            assert!(kind.is_kind_of(&value));
            assert_eq!(read, Ok(value));
        }
    }

    #[test]
    fn other_values_are_refused() {
        let unbound = AttributeKind::Number { min: None, max: None };
        for (kind, input, expected) in [
            (TEXT, Some(text("")), "length of value must be at least 1"),
            (TEXT, Some(text("éééé")), "length of value must be at most 3"),
            (TEXT, Some(Scalar::Integer(1)), "expected str"),
            (TEXT, Some(Scalar::Null), "expected str"),
            (TEXT, None, "expected str"),
            (AttributeKind::Uuid, Some(text("x")), "badly formed hexadecimal UUID string"),
            (NUMBER, Some(Scalar::Float(-0.5)), "value must be at least 0"),
            (NUMBER, Some(Scalar::Integer(3)), "value must be at most 2.5"),
            (NUMBER, Some(Scalar::Float(f64::NAN)), "value must be at least 0"),
            (unbound, Some(text("1")), "expected Real"),
            (unbound, Some(Scalar::Bool(true)), "expected Real"),
            (unbound, None, "expected Real"),
            (AttributeKind::Bool, Some(Scalar::Integer(1)), "expected bool"),
            (AttributeKind::Time, Some(text("x")), "Unable to convert timestamps"),
            (AttributeKind::Time, None, "Unable to convert timestamps"),
        ] {
            let error = kind.read(input.as_ref(), now()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{kind:?} {input:?}");
        }
        assert!(unbound.read(Some(&Scalar::Float(f64::NAN)), now()).is_ok());
    }

    fn attribute(kind: AttributeKind, required: bool) -> Attribute {
        Attribute { kind, required }
    }

    #[test]
    fn definitions_are_checked() {
        for good in ["a", "0", "new-attr", "a b", "a.b", &"x".repeat(63)] {
            assert_eq!(attribute(TEXT, true).check(good), Ok(()));
        }
        for bad in ["", "_a", "é", "id", "lifespan", "original_resource_id", &"x".repeat(64)] {
            let error = attribute(TEXT, true).check(bad).unwrap_err().to_string();
            assert_eq!(error, format!("Invalid input: Resource attribute name {bad} is invalid"));
        }
        let error =
            attribute(AttributeKind::Text { min_length: 3, max_length: 2 }, true).check("a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid input: Resource attribute value min (or min_length) 3 must be less  than or equal to max \
             (or max_length) 2!"
        );
        assert!(
            attribute(AttributeKind::Number { min: Some(1.0), max: Some(0.0) }, true).check("a").is_err()
        );
        assert!(attribute(AttributeKind::Number { min: Some(1.0), max: None }, true).check("a").is_ok());
    }

    fn planned(wanted: &[(&str, AttributeKind, bool, Option<Scalar>)]) -> Result<TypeChange, InvalidType> {
        let attributes = [("old", attribute(TEXT, true)), ("free", attribute(AttributeKind::Bool, false))];
        let attributes = attributes.map(|(name, attribute)| (Arc::from(name), attribute)).into();
        let current = ResourceType { name: "host".into(), version: 4, attributes };
        let wanted = wanted.iter().map(|(name, kind, required, fill)| {
            let fill = fill.clone().map(Some);
            (Arc::from(*name), WantedAttribute { attribute: attribute(*kind, *required), fill })
        });
        TypeChange::plan(&current, &wanted.collect(), now())
    }

    #[test]
    fn changes_are_differences() {
        let same = [("old", TEXT, true, None), ("free", AttributeKind::Bool, false, None)];
        assert!(planned(&same).unwrap().is_empty());
        let wider = AttributeKind::Text { min_length: 0, max_length: 9 };
        let change = planned(&[
            ("old", wider, true, Some(text("x"))),
            ("new", NUMBER, false, Some(Scalar::Integer(1))),
        ]);
        let change = change.unwrap();
        assert_eq!((change.base, change.removed.as_slice()), (4, &[Arc::from("free")][..]));
        assert_eq!(change.added["new"].fill, Some(Value::Number(1.0)));
        assert_eq!(change.changed["old"].attribute, attribute(wider, true));
        let filled =
            planned(&[same[0].clone(), ("free", AttributeKind::Bool, false, Some(Scalar::Bool(true)))]);
        assert_eq!(filled.unwrap().changed.len(), 1, "a fill alone is a change");
    }

    #[test]
    fn impossible_changes_are_refused() {
        let fill = |name: &str, why: &str| {
            format!("Invalid input: Option 'fill' of resource attribute {name} is invalid: {why}")
        };
        let empty = "must not be empty if required=True";
        let wider = AttributeKind::Text { min_length: 0, max_length: 9 };
        for (wish, expected) in [
            (("new", TEXT, true, None), fill("new", empty)),
            (("old", wider, true, None), fill("old", empty)),
            (("new", NUMBER, true, Some(text("x"))), fill("new", "expected Real")),
            (("new", TEXT, true, Some(text("xxxx"))), fill("new", "length of value must be at most 3")),
            (("new", AttributeKind::Bool, true, Some(Scalar::Null)), fill("new", empty)),
            (
                ("old", NUMBER, true, Some(text("x"))),
                "Type update is not available yet. Changing string to number for attribute old of resource host"
                    .to_owned(),
            ),
            (("id", TEXT, false, None), "Invalid input: Resource attribute name id is invalid".to_owned()),
        ] {
            assert_eq!(planned(&[wish]).unwrap_err().to_string(), expected);
        }
    }
}
