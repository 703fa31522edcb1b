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
            (Test::In(operands), Some(cell)) => {
                Some(operands.iter().any(|operand| cell.order(operand).is_eq()))
            }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::Like;

    /// `user_id` and `project_id` are letters, `revision` a small number; each may be null.
    #[derive(Clone, Debug)]
    struct Small(Option<char>, Option<char>, Option<i64>);

    impl Row for Small {
        fn cell(&self, field: &Field) -> Option<Cell<'_>> {
            let letter = |letter: char| Cell::Text(letter.to_string().into());
            match field {
                Field::UserId => self.0.map(letter),
                Field::ProjectId => self.1.map(letter),
                _ => self.2.map(Cell::Integer),
            }
        }
    }

    /// Kleene's numbers: 0 is false, 1 unknown, 2 true; `and` is the least, `or` the greatest.
    fn naive(condition: &Condition, row: &Small) -> u8 {
        match condition {
            Condition::Always => 2,
            Condition::And(parts) => parts.iter().map(|part| naive(part, row)).min().unwrap_or(2),
            Condition::Or(parts) => parts.iter().map(|part| naive(part, row)).max().unwrap_or(0),
            Condition::Not(part) => 2 - naive(part, row),
            Condition::Is(field, test) => {
                let value = match field {
                    Field::UserId => row.0.map(code),
                    Field::ProjectId => row.1.map(code),
                    _ => row.2,
                };
                naive_test(test, value)
            }
        }
    }

    fn code(letter: char) -> i64 {
        i64::from(u32::from(letter))
    }

    fn number(cell: &Cell<'_>) -> i64 {
        match cell {
            Cell::Text(text) => text.chars().next().map_or(0, code),
            Cell::Integer(integer) => *integer,
            other => panic!("not in these tests: {other:?}"),
        }
    }

    fn naive_test(test: &Test, value: Option<i64>) -> u8 {
        let truth = |truth: bool| if truth { 2 } else { 0 };
        let Some(value) = value else {
            return match test {
                Test::IsNull | Test::Compare(Operator::NotEqual, _) => 2,
                Test::IsNotNull => 0,
                _ => 1,
            };
        };
        match test {
            Test::IsNull => 0,
            Test::IsNotNull => 2,
            Test::Like(like) => truth(like.source() == "%" || value == code('a')),
            Test::In(operands) => truth(operands.iter().any(|operand| number(operand) == value)),
            Test::Compare(operator, operand) => truth(match operator {
                Operator::Equal => value == number(operand),
                Operator::NotEqual => value != number(operand),
                Operator::Less => value < number(operand),
                Operator::LessOrEqual => value <= number(operand),
                Operator::Greater => value > number(operand),
                Operator::GreaterOrEqual => value >= number(operand),
            }),
        }
    }

    const OPERATORS: [Operator; 6] = [
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ];

    fn leaf() -> impl Strategy<Value = Condition> {
        let field = prop::sample::select(vec![Field::UserId, Field::ProjectId, Field::Revision]);
        (field, 0usize..10, prop::collection::vec(0u8..3, 1..3)).prop_map(|(field, kind, seeds)| {
            let text = field != Field::Revision;
            let cell = |seed: &u8| match text {
                true => Cell::Text(char::from(b'a' + seed).to_string().into()),
                false => Cell::Integer(i64::from(*seed)),
            };
            let test = match kind {
                0..6 => Test::Compare(OPERATORS[kind], cell(&seeds[0])),
                6 => Test::IsNull,
                7 => Test::IsNotNull,
                8 if text => Test::Like(Like::new(if seeds[0] == 0 { "%" } else { "a" })),
                _ => Test::In(seeds.iter().map(cell).collect()),
            };
            Condition::Is(field, test)
        })
    }

    fn condition() -> impl Strategy<Value = Condition> {
        prop_oneof![9 => leaf(), 1 => Just(Condition::Always)].prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::And),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::Or),
                inner.prop_map(|part| Condition::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn logic_is_kleenes(
            condition in condition(),
            user in prop::option::of(prop::sample::select(vec!['a', 'b', 'c'])),
            project in prop::option::of(prop::sample::select(vec!['a', 'b', 'c'])),
            revision in prop::option::of(0i64..3),
        ) {
            let row = Small(user, project, revision);
            let expected = [Some(false), None, Some(true)][usize::from(naive(&condition, &row))];
            prop_assert_eq!(condition.evaluate(&row), expected);
            prop_assert_eq!(condition.holds(&row), expected == Some(true));
        }
    }

    #[test]
    fn not_equal_takes_nulls_and_its_opposite_does_not() {
        let null = Small(None, None, None);
        let is_a = |operator| Condition::Is(Field::UserId, Test::Compare(operator, Cell::Text("a".into())));
        assert!(is_a(Operator::NotEqual).holds(&null));
        assert!(!Condition::Not(Box::new(is_a(Operator::Equal))).holds(&null));
    }

    #[test]
    fn numbers_are_in_total_order() {
        let order = |a: f64, b: f64| Cell::Number(a).order(&Cell::Number(b));
        assert_eq!(order(f64::NAN, f64::NAN), Ordering::Equal);
        assert_eq!(order(f64::NAN, f64::INFINITY), Ordering::Greater);
        assert_eq!(order(-1.0, f64::NAN), Ordering::Less);
        assert_eq!(order(-0.0, 0.0), Ordering::Equal);
    }
}
