//! JSON as the API speaks it: bare `NaN` and `Infinity` are numbers in both directions, of duplicate
//! keys the last wins, integers and floats stay apart, and output has a blank after `,` and `:`
//! (clients search the raw text). General JSON libraries know no such dialect, so reader and writer
//! are our own, tested against one.
//!
//! [`Reader`] pulls tokens without a tree, for bodies that may be large; [`Value`] is the tree for the
//! others.

mod read;
mod write;

use indexmap::IndexMap;

pub(crate) use read::{Kind, ReadError, Reader};
pub(crate) use write::{Writer, push_float};

/// A JSON object; a key keeps the place where it first came.
pub(crate) type Object = IndexMap<String, Value>;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i128),
    /// Any other number, also NaN and the infinities.
    Float(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// An object of these entries.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Object(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A list of these values.
    pub fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }

    /// A string, or `null`.
    pub fn text_or_null(text: Option<impl Into<String>>) -> Value {
        text.map_or(Value::Null, |text| Value::Text(text.into()))
    }

    /// Reads a whole body.
    pub fn parse(body: &[u8]) -> Result<Value, ReadError> {
        let mut reader = Reader::new(body)?;
        let value = reader.value()?;
        reader.finish()?;
        Ok(value)
    }

    /// The whole as text.
    pub fn to_text(&self) -> String {
        let mut writer = Writer::new();
        writer.value(self);
        writer.finish()
    }
}

/// Numbers that JSON does not know become their texts.
impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(small), _) => small.into(),
                (_, Ok(great)) => great.into(),
                _ => float(*number as f64),
            },
            Value::Float(number) => float(*number),
            Value::Text(text) => Self::String(text.clone()),
            Value::List(values) => values.iter().map(Self::from).collect(),
            Value::Object(entries) => {
                Self::Object(entries.iter().map(|(key, value)| (key.clone(), value.into())).collect())
            }
        }
    }
}

fn float(number: f64) -> serde_json::Value {
    match serde_json::Number::from_f64(number) {
        Some(finite) => finite.into(),
        None => number.to_string().into(),
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Value::Int(integer.into()),
                (None, Some(integer)) => Value::Int(integer.into()),
                (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(values) => Value::List(values.iter().map(Value::from).collect()),
            serde_json::Value::Object(entries) => {
                Value::object(entries.iter().map(|(key, value)| (key.clone(), value.into())))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Int(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}
