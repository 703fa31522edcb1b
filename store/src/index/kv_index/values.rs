//! Values of attributes as JSON scalars.

use std::borrow::Cow;
use std::fmt;

use orzo_model::Timestamp;
use orzo_model::filter::Cell;
use orzo_model::resource_type::{AttributeKind, Value};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_read_back() {
        let number = AttributeKind::Number { min: None, max: None };
        for (kind, value) in [
            (AttributeKind::Text { min_length: 0, max_length: 9 }, Value::Text("\"é\0\\".to_owned())),
            (AttributeKind::Uuid, Value::Uuid(Uuid::from_u128(7))),
            (number, Value::Number(-0.1)),
            (number, Value::Number(3.0)),
            (number, Value::Number(f64::NEG_INFINITY)),
            (AttributeKind::Bool, Value::Bool(false)),
            (AttributeKind::Time, Value::Time(Timestamp::MAX)),
        ] {
            let bytes = written(&StoredValue::of(&value));
            let read: StoredValue<'_> = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read.into_cell(&kind).and_then(value_of), Some(value));
        }
        let nan = written(&StoredValue::of(&Value::Number(f64::NAN)));
        let nan: StoredValue<'_> = serde_json::from_slice(&nan).unwrap();
        assert!(matches!(nan.into_cell(&number), Some(Cell::Number(number)) if number.is_nan()));
    }

    fn written(value: &StoredValue<'_>) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }
}
