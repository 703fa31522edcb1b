//! Checking bodies: a [`Node`] is a value and the path to it, its methods take the value as what it
//! should be or say what it is not, in the reference's words.
//!
//! Only the first problem is reported: keys are looked at in the order of the body, and what is missing
//! comes last. So a schema is a loop over [`Node::fields`] with a `match` on the key.

use std::fmt;
use std::ops::RangeInclusive;

use orzo_model::Granularity;
use orzo_model::filter::Scalar;
use orzo_model::timetext::{parse_timespan, timespan_from_seconds};

use crate::json::{Object, Value};

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    message: String,
    /// Whether the thing at the path is wrong, not its key.
    of_value: bool,
    path: Vec<Step>,
}

impl Invalid {
    /// Complains about a value met while reading a body without a tree.
    pub fn value_at(message: impl Into<String>, path: Vec<Step>) -> Self {
        Invalid { message: message.into(), of_value: true, path }
    }

    /// Complains about a key met while reading a body without a tree.
    pub fn key_at(message: impl Into<String>, path: Vec<Step>) -> Self {
        Invalid { message: message.into(), of_value: false, path }
    }

    /// The path as a list of texts.
    pub fn path_texts(&self) -> Value {
        Value::list(self.path.iter().map(|step| match step {
            Step::Key(key) => Value::from(key.as_str()),
            Step::Index(index) => Value::from(index.to_string()),
        }))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.of_value && matches!(self.path.last(), Some(Step::Key(_))) {
            f.write_str(" for dictionary value")?;
        }
        if self.path.is_empty() {
            return Ok(());
        }
        f.write_str(" @ data")?;
        self.path.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, "['{key}']"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn steps(&self) -> Vec<Step> {
        match self {
            Path::Root => Vec::new(),
            Path::Key(parent, key) => with(parent.steps(), Step::Key((*key).to_owned())),
            Path::Index(parent, index) => with(parent.steps(), Step::Index(*index)),
        }
    }
}

fn with(mut steps: Vec<Step>, last: Step) -> Vec<Step> {
    steps.push(last);
    steps
}

/// A value of a body and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: Path<'a>,
}

type Checked<T> = Result<T, Invalid>;

impl<'a> Node<'a> {
    /// A whole body.
    pub(crate) fn root(value: &'a Value) -> Self {
        Node { value, path: Path::Root }
    }

    /// The value as it is.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Complains about the value.
    pub(crate) fn invalid(&self, message: impl Into<String>) -> Invalid {
        Invalid { message: message.into(), of_value: true, path: self.path.steps() }
    }

    /// Complains about the key that leads to the value.
    pub(crate) fn invalid_key(&self, message: impl Into<String>) -> Invalid {
        Invalid { of_value: false, ..self.invalid(message) }
    }

    /// Complains that the key is unknown.
    pub(crate) fn extra(&self) -> Invalid {
        self.invalid_key("extra keys not allowed")
    }

    /// The value of a required key, as found by the caller.
    pub(crate) fn require<T>(&self, key: &str, found: Option<T>) -> Checked<T> {
        let path = || with(self.path.steps(), Step::Key(key.to_owned()));
        let message = || "required key not provided".to_owned();
        found.ok_or_else(|| Invalid { message: message(), of_value: false, path: path() })
    }

    /// An object.
    pub(crate) fn object(&self) -> Checked<&'a Object> {
        match self.value {
            Value::Object(entries) => Ok(entries),
            _ => Err(self.invalid("expected a dictionary")),
        }
    }

    /// The entries of an object.
    pub(crate) fn fields(&self) -> Checked<impl Iterator<Item = (&'a str, Node<'_>)>> {
        let entries = self.object()?.iter();
        Ok(entries.map(|(key, value)| (key.as_str(), Node { value, path: Path::Key(&self.path, key) })))
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Checked<impl ExactSizeIterator<Item = Node<'_>>> {
        match self.value {
            Value::List(values) => Ok(values
                .iter()
                .enumerate()
                .map(|(index, value)| Node { value, path: Path::Index(&self.path, index) })),
            _ => Err(self.invalid("expected a list")),
        }
    }

    /// A string.
    pub(crate) fn text(&self) -> Checked<&'a str> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.invalid("expected str")),
        }
    }

    /// A string or null.
    pub(crate) fn text_or_null(&self) -> Checked<Option<&'a str>> {
        match self.value {
            // The reference's alternatives are tried in this order, and the first failure is told.
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.invalid("not a valid value")),
        }
    }

    /// A string of at most so many characters.
    pub(crate) fn text_at_most(&self, chars: usize) -> Checked<&'a str> {
        let text = self.text()?;
        self.check_length(text.chars().count(), 0..=chars)?;
        Ok(text)
    }

    /// `true` or `false`.
    pub(crate) fn bool(&self) -> Checked<bool> {
        match self.value {
            Value::Bool(truth) => Ok(*truth),
            _ => Err(self.invalid("expected bool")),
        }
    }

    /// An integer within bounds.
    pub(crate) fn int(&self, bounds: RangeInclusive<i128>) -> Checked<i128> {
        match self.value {
            Value::Int(number) => self.check_bounds(*number, bounds),
            _ => Err(self.invalid("expected int")),
        }
    }

    /// What reads as an integer (`60`, `"60"`, `60.7`), within bounds.
    pub(crate) fn lenient_int(&self, bounds: RangeInclusive<i128>) -> Checked<i128> {
        let number = match self.value {
            Value::Int(number) => Some(*number),
            Value::Bool(truth) => Some(i128::from(*truth)),
            Value::Float(number) if number.is_finite() => Some(*number as i128),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        self.check_bounds(number.ok_or_else(|| self.invalid("expected int"))?, bounds)
    }

    /// A number or null.
    pub(crate) fn real_or_null(&self) -> Checked<Option<f64>> {
        match self.value {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number as f64)),
            Value::Float(number) => Ok(Some(*number)),
            _ => Err(self.invalid("not a valid value")),
        }
    }

    /// A span greater than zero: a number of seconds or an expression.
    pub(crate) fn timespan(&self) -> Checked<Granularity> {
        let span = match self.value {
            Value::Null => return Err(self.invalid("Invalid timespan")),
            Value::Text(text) => parse_timespan(text),
            other => match seconds(other) {
                Some(seconds) => timespan_from_seconds(seconds),
                None => return Err(self.invalid("Unable to parse timespan")),
            },
        };
        span.map_err(|error| self.invalid(error.to_string()))
    }

    /// A scalar; `None` for a list or an object.
    pub(crate) fn scalar(&self) -> Option<Scalar> {
        Some(match self.value {
            Value::Null => Scalar::Null,
            Value::Bool(truth) => Scalar::Bool(*truth),
            Value::Int(number) => Scalar::Integer(*number),
            Value::Float(number) => Scalar::Float(*number),
            Value::Text(text) => Scalar::Text(text.clone()),
            Value::List(_) | Value::Object(_) => return None,
        })
    }

    /// Complains unless `length` (of a string, list or object) is within bounds.
    pub(crate) fn check_length(&self, length: usize, bounds: RangeInclusive<usize>) -> Checked<()> {
        if length < *bounds.start() {
            Err(self.invalid(format!("length of value must be at least {}", bounds.start())))
        } else if length > *bounds.end() {
            Err(self.invalid(format!("length of value must be at most {}", bounds.end())))
        } else {
            Ok(())
        }
    }

    fn check_bounds(&self, number: i128, bounds: RangeInclusive<i128>) -> Checked<i128> {
        if number < *bounds.start() {
            Err(self.invalid(format!("value must be at least {}", bounds.start())))
        } else if number > *bounds.end() {
            Err(self.invalid(format!("value must be at most {}", bounds.end())))
        } else {
            Ok(number)
        }
    }
}

/// A number or truth as seconds.
fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, reason: &str, path: &str, schema: fn(Node<'_>) -> Checked<()>) {
        let value = Value::parse(body.as_bytes()).unwrap();
        let invalid = schema(Node::root(&value)).unwrap_err();
        assert_eq!(invalid.to_string(), reason);
        assert_eq!(invalid.path_texts().to_text(), path);
    }

    fn policy(node: Node<'_>) -> Checked<()> {
        let mut name = None;
        for (key, field) in node.fields()? {
            match key {
                "name" => name = Some(field.text_at_most(3)?),
                "definition" => {
                    for item in field.items()? {
                        for (_, points) in item.fields()? {
                            points.lenient_int(1..=9)?;
                        }
                    }
                }
                "span" => drop(field.timespan()?),
                _ => return Err(field.extra()),
            }
        }
        node.require("name", name).map(drop)
    }

    #[test]
    fn messages_and_paths() {
        check("[]", "expected a dictionary", "[]", policy);
        check("{}", "required key not provided @ data['name']", r#"["name"]"#, policy);
        check(r#"{"x": 1}"#, "extra keys not allowed @ data['x']", r#"["x"]"#, policy);
        check(r#"{"name": 1}"#, "expected str for dictionary value @ data['name']", r#"["name"]"#, policy);
        check(
            r#"{"name": "abcd"}"#,
            "length of value must be at most 3 for dictionary value @ data['name']",
            r#"["name"]"#,
            policy,
        );
        check(
            r#"{"definition": [{"points": "0"}]}"#,
            "value must be at least 1 for dictionary value @ data['definition'][0]['points']",
            r#"["definition", "0", "points"]"#,
            policy,
        );
        check(
            r#"{"definition": [1]}"#,
            "expected a dictionary @ data['definition'][0]",
            r#"["definition", "0"]"#,
            policy,
        );
        check(
            r#"{"span": null}"#,
            "Invalid timespan for dictionary value @ data['span']",
            r#"["span"]"#,
            policy,
        );
        check(
            r#"{"span": -1}"#,
            "Timespan must be positive for dictionary value @ data['span']",
            r#"["span"]"#,
            policy,
        );
        check(
            r#"{"span": []}"#,
            "Unable to parse timespan for dictionary value @ data['span']",
            r#"["span"]"#,
            policy,
        );
    }

    #[test]
    fn integers_may_come_in_disguise() {
        let read = |value: Value| Node::root(&value).lenient_int(0..=100).ok();
        assert_eq!(read(Value::from("60")), Some(60));
        assert_eq!(read(Value::Float(60.7)), Some(60));
        assert_eq!(read(Value::Float(f64::NAN)), None);
        assert_eq!(read(Value::from("x")), None);
        assert_eq!(read(Value::Int(101)), None);
    }
}
