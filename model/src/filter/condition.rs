//! A filter bound to the fields of one resource type.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use crate::filter::{Like, Operator};
use crate::resource_type::{ResourceType, Value};
use crate::time::Timestamp;

/// Something a resource has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Its id. UUID.
    Id,
    /// The name of its type. Text.
    Type,
    /// The principal who made it. Text.
    Creator,
    /// Instant.
    StartedAt,
    /// Instant, null while it lives.
    EndedAt,
    /// Instant.
    RevisionStart,
    /// Instant, null in the current state.
    RevisionEnd,
    /// Integer, −1 for the current state.
    Revision,
    /// Text or null.
    UserId,
    /// Text or null.
    ProjectId,
    /// Text.
    OriginalId,
    /// `ended_at − started_at` in nanoseconds, null while it lives. Integer.
    Lifespan,
    /// An attribute of its type, by name.
    Attribute(Arc<str>),
}

/// What a field holds, or an operand of the kind of its field.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Compared bytewise.
    Text(Cow<'a, str>),
    /// Compared bytewise.
    Uuid(Uuid),
    /// NaN equals itself and is greater than every number.
    Number(f64),
    /// False is less than true.
    Bool(bool),
    /// An instant.
    Time(Timestamp),
    /// A revision number or nanoseconds.
    Integer(i64),
}

/// A test of one field; unknown where the field is null, unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Whether it has no value. Never unknown.
    IsNull,
    /// Whether it has a value. Never unknown.
    IsNotNull,
    /// The operand is of the field's kind. `NotEqual` is true of null.
    Compare(Operator, Cell<'static>),
    /// Operands are of the field's kind.
    In(Vec<Cell<'static>>),
    /// Of text fields.
    Like(Like),
}

/// A filter bound to the fields of one resource type.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// True of every resource.
    Always,
    /// A test of a field.
    Is(Field, Test),
    /// True if all are, false if any is, else unknown.
    And(Vec<Condition>),
    /// True if any is, false if all are, else unknown.
    Or(Vec<Condition>),
    /// Of the unknown, the unknown.
    Not(Box<Condition>),
}

impl Field {
    /// The field that the API calls `name`; `None` if resources of this type, or (with or without
    /// archived states) these rows, have none. Virtual names are none.
    pub fn named(name: &str, resource_type: &ResourceType, history: bool) -> Option<Field> {
        Some(match name {
            "id" => Field::Id,
            "type" => Field::Type,
            "creator" => Field::Creator,
            "started_at" => Field::StartedAt,
            "ended_at" => Field::EndedAt,
            "revision_start" => Field::RevisionStart,
            "revision_end" if history => Field::RevisionEnd,
            "revision" if history => Field::Revision,
            "user_id" => Field::UserId,
            "project_id" => Field::ProjectId,
            "original_resource_id" => Field::OriginalId,
            _ => Field::Attribute(resource_type.attributes.get_key_value(name)?.0.clone()),
        })
    }
}

impl Condition {
    /// Both.
    pub fn and(self, other: Condition) -> Condition {
        match (self, other) {
            (Condition::Always, other) | (other, Condition::Always) => other,
            (this, other) => Condition::And(vec![this, other]),
        }
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Value::Uuid(uuid) => Cell::Uuid(*uuid),
            Value::Number(number) => Cell::Number(*number),
            Value::Bool(truth) => Cell::Bool(*truth),
            Value::Time(at) => Cell::Time(*at),
        }
    }
}
