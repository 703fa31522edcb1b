//! Testing a row against a condition, in SQL's three-valued logic.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::filter::{Cell, Condition, Field, Operator, Test};

/// Something with fields.
pub trait Row {
    /// What a field holds; `None`: null, or no such field.
    fn cell(&self, field: &Field) -> Option<Cell<'_>>;
}

impl Condition {
    /// Whether it is true of the row. The unknown is not.
    pub fn holds(&self, row: &dyn Row) -> bool {
        self.evaluate(row) == Some(true)
    }

    /// True, false, or unknown (`None`).
    pub fn evaluate(&self, row: &dyn Row) -> Option<bool> {
        match self {
            Condition::Always => Some(true),
            Condition::Is(field, test) => test.evaluate(row.cell(field)),
            Condition::And(parts) => all_are(parts, row, true),
            Condition::Or(parts) => all_are(parts, row, false),
            Condition::Not(part) => part.evaluate(row).map(|truth| !truth),
        }
    }
}

/// `neutral` if all parts are, its opposite if any part is that, else unknown.
fn all_are(parts: &[Condition], row: &dyn Row, neutral: bool) -> Option<bool> {
    let mut result = Some(neutral);
    for part in parts {
        match part.evaluate(row) {
            Some(truth) if truth == neutral => {}
            Some(opposite) => return Some(opposite),
            None => result = None,
        }
    }
    result
}

impl Test {
    fn evaluate(&self, cell: Option<Cell<'_>>) -> Option<bool> {
        match (self, cell) {
            (Test::IsNull, cell) => Some(cell.is_none()),
            (Test::IsNotNull, cell) => Some(cell.is_some()),
            (Test::Compare(Operator::NotEqual, _), None) => Some(true),
            (_, None) => None,
            (Test::Compare(operator, operand), Some(cell)) => Some(operator.admits(cell.order(operand))),
            (Test::In(operands), Some(cell)) => Some(operands.iter().any(|operand| cell.order(operand).is_eq())),
            (Test::Like(like), Some(cell)) => match cell {
                Cell::Text(text) => Some(like.matches(&text)),
                _ => Some(false),
            },
        }
    }
}

impl Operator {
    /// Whether it is true of a left side that compares so with the right side.
    pub fn admits(self, ordering: Ordering) -> bool {
        match self {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Cell<'_> {
    /// A total order: bytes for text and UUIDs, false before true, NaN equal to itself and last, both
    /// zeros equal. Kinds are never mixed by a bound condition; if they are, the kind decides.
    pub fn order(&self, other: &Cell<'_>) -> Ordering {
        match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Uuid(a), Cell::Uuid(b)) => a.cmp(b),
            (Cell::Number(a), Cell::Number(b)) => order_numbers(*a, *b),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
            (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Cell::Text(_) => 0,
            Cell::Uuid(_) => 1,
            Cell::Number(_) => 2,
            Cell::Bool(_) => 3,
            Cell::Time(_) => 4,
            Cell::Integer(_) => 5,
        }
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Uuid(uuid) => Cell::Uuid(uuid),
            Cell::Number(number) => Cell::Number(number),
            Cell::Bool(truth) => Cell::Bool(truth),
            Cell::Time(at) => Cell::Time(at),
            Cell::Integer(integer) => Cell::Integer(integer),
        }
    }
}

fn order_numbers(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
