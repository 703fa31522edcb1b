//! The predicate on values of `POST /v1/search/metric`: `{"and": [{">=": 10}, {"<": 20}]}`.

use serde_json::{Map, Value};

use super::expr::Binary;
use super::limits::{OPERATION_DEPTH, OPERATION_NODES};
use super::refusal::{Refusal, Step};

/// A condition on the value of a measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate(Condition);

/// Why a body is no predicate: 400.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PredicateError {
    /// It does not have the form; printed as an object.
    #[error(transparent)]
    Form(#[from] Refusal),
    /// It has the form but `not` has no meaning; printed as this text.
    #[error("Unknown operator {0}")]
    UnknownOperator(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// Holds if it is not zero.
    Term(Term),
}

/// A number made of the value.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Value,
    Number(f64),
    Binary(Binary, Box<Term>, Box<Term>),
}

impl Predicate {
    /// Reads the body of a request.
    ///
    /// ```
    /// use orzo_model::ops::Predicate;
    /// use serde_json::json;
    ///
    /// let predicate = Predicate::parse(&json!({ ">=": [{ "+": 5 }, 20] }))?;
    /// assert!(predicate.holds(15.0) && !predicate.holds(14.0));
    /// # Ok::<(), orzo_model::ops::PredicateError>(())
    /// ```
    pub fn parse(body: &Value) -> Result<Self, PredicateError> {
        let mut parser = Parser { path: Vec::new(), nodes: 0, has_not: false };
        let condition = parser.condition(body)?;
        if parser.has_not {
            return Err(PredicateError::UnknownOperator("not"));
        }
        Ok(Predicate(condition))
    }

    /// Whether a value fulfils it.
    pub fn holds(&self, value: f64) -> bool {
        self.0.holds(value)
    }
}

impl Condition {
    fn holds(&self, value: f64) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(value)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(value)),
            // NaN is true, as in the reference's language.
            Condition::Term(term) => term.of(value) != 0.0,
        }
    }
}

impl Term {
    fn of(&self, value: f64) -> f64 {
        match self {
            Term::Value => value,
            Term::Number(number) => *number,
            Term::Binary(operator, left, right) => operator.function()(left.of(value), right.of(value)),
        }
    }
}

/// Reads a body and knows where it is.
struct Parser<'a> {
    path: Vec<Step<'a>>,
    nodes: usize,
    /// `not` passes the form, whatever is inside; it is complained about only if the rest is in order.
    has_not: bool,
}

impl<'a> Parser<'a> {
    fn condition(&mut self, value: &'a Value) -> Result<Condition, Refusal> {
        let (key, operand) = self.single(value)?;
        match key {
            "and" | "∧" => Ok(Condition::All(self.conditions(key, operand)?)),
            "or" | "∨" => Ok(Condition::Any(self.conditions(key, operand)?)),
            "not" => {
                self.has_not = true;
                Ok(Condition::All(self.conditions(key, operand)?))
            }
            _ => Ok(Condition::Term(self.operation(key, operand)?)),
        }
    }

    /// The only member of an object.
    fn single(&mut self, value: &'a Value) -> Result<(&'a str, &'a Value), Refusal> {
        self.nodes += 1;
        if self.nodes > OPERATION_NODES || self.path.len() > 2 * OPERATION_DEPTH {
            return Err(self.refuse("too many or too deeply nested operators"));
        }
        let Value::Object(members) = value else { return Err(self.refuse("expected a dictionary")) };
        let mut members: serde_json::map::Iter<'a> = Map::iter(members);
        match (members.next(), members.next()) {
            (None, _) => Err(self.refuse("length of value must be at least 1")),
            (Some(_), Some(_)) => Err(self.refuse("length of value must be at most 1")),
            (Some((key, operand)), None) => Ok((key, operand)),
        }
    }

    fn conditions(&mut self, key: &'a str, operand: &'a Value) -> Result<Vec<Condition>, Refusal> {
        self.inside(Step::Key(key), |parser| {
            let Value::Array(parts) = operand else { return Err(parser.refuse("expected a list")) };
            let parts = parts.iter().enumerate();
            parts.map(|(index, part)| parser.inside(Step::Index(index), |p| p.condition(part))).collect()
        })
    }

    /// With one number the other side is the value.
    fn operation(&mut self, key: &'a str, operand: &'a Value) -> Result<Term, Refusal> {
        self.inside(Step::Key(key), |parser| {
            let Some(operator) = Binary::spelled(key).map(|spelled| spelled.op).filter(is_searchable) else {
                return Err(parser.refuse("not a valid value"));
            };
            let (left, right) = match operand {
                Value::Array(operands) => match operands.as_slice() {
                    [left, right] => (parser.operand(0, left)?, parser.operand(1, right)?),
                    [] | [_] => return Err(parser.refuse("length of value must be at least 2")),
                    _ => return Err(parser.refuse("length of value must be at most 2")),
                },
                other => (Term::Value, parser.number(other)?),
            };
            Ok(Term::Binary(operator, Box::new(left), Box::new(right)))
        })
    }

    fn operand(&mut self, index: usize, value: &'a Value) -> Result<Term, Refusal> {
        self.inside(Step::Index(index), |parser| match value {
            Value::Object(_) => {
                let (key, operand) = parser.single(value)?;
                parser.operation(key, operand)
            }
            other => parser.number(other),
        })
    }

    fn number(&self, value: &Value) -> Result<Term, Refusal> {
        let number = match value {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            other => other.as_f64(),
        };
        number.map(Term::Number).ok_or_else(|| self.refuse("expected float"))
    }

    fn inside<T>(
        &mut self,
        step: Step<'a>,
        read: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.path.push(step);
        let read = read(self)?;
        self.path.pop();
        Ok(read)
    }

    fn refuse(&self, message: &str) -> Refusal {
        Refusal::input(message, &self.path)
    }
}

/// Expressions have more operators than searches.
fn is_searchable(operator: &Binary) -> bool {
    !matches!(operator, Binary::Max | Binary::ClipMin | Binary::ClipMax)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(body: Value, yes: &[f64], no: &[f64]) {
        let predicate = Predicate::parse(&body).unwrap();
        yes.iter().for_each(|value| assert!(predicate.holds(*value), "{body} of {value}"));
        no.iter().for_each(|value| assert!(!predicate.holds(*value), "{body} of {value}"));
    }

    #[test]
    fn comparisons_and_combiners() {
        check(json!({ "=": 12 }), &[12.0], &[11.0, f64::NAN]);
        check(json!({ "≠": 12 }), &[11.0, f64::NAN], &[12.0]);
        check(json!({ "and": [{ ">=": 10 }, { "<": 20 }] }), &[10.0, 19.0], &[9.0, 20.0]);
        check(json!({ "∧": [{ "≥": 10 }, { "∨": [{ "lt": 12 }, { "gt": 18.5 }] }] }), &[11.0, 19.0], &[15.0]);
        check(json!({ "and": [] }), &[0.0], &[]);
        check(json!({ "or": [] }), &[], &[0.0]);
    }

    #[test]
    fn arithmetic_is_true_unless_zero() {
        check(json!({ "+": 5 }), &[0.0, f64::NAN], &[-5.0]);
        check(json!({ ">=": [{ "+": 5 }, 20] }), &[15.0], &[14.0]);
        check(json!({ "==": [{ "%": 3 }, 2] }), &[5.0, -1.0], &[-2.0]);
        check(json!({ "=": [{ "+": [{ ">": 3 }, 1] }, 2] }), &[4.0], &[3.0]);
        check(json!({ "<": [1, 2] }), &[100.0], &[]);
    }

    fn refused(body: Value) -> (String, Value) {
        match Predicate::parse(&body) {
            Err(PredicateError::Form(refusal)) => (refusal.reason, refusal.detail),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(refused(json!([])), ("expected a dictionary".to_owned(), json!([])));
        assert_eq!(refused(json!({})).0, "length of value must be at least 1");
        assert_eq!(refused(json!({ "<": 1, ">": 2 })).0, "length of value must be at most 1");
        assert_eq!(
            refused(json!({ "max": 1 })),
            ("not a valid value for dictionary value @ data['max']".to_owned(), json!(["max"]))
        );
        assert_eq!(
            refused(json!({ "and": [{ "<": 1 }, { "<": "x" }] })),
            (
                "expected float for dictionary value @ data['and'][1]['<']".to_owned(),
                json!(["and", "1", "<"])
            )
        );
        assert_eq!(refused(json!({ "<": [1, [2]] })).0, "expected float @ data['<'][1]");
        assert_eq!(refused(json!({ "<": [1, { "and": [] }] })).1, json!(["<", "1", "and"]));
        assert_eq!(
            refused(json!({ "or": { "<": 1 } })).0,
            "expected a list for dictionary value @ data['or']"
        );
        assert_eq!(
            refused(json!({ "<": [1] })).0,
            "length of value must be at least 2 for dictionary value @ data['<']"
        );
    }

    #[test]
    fn not_is_refused_by_name() {
        let error = Predicate::parse(&json!({ "not": [{ "<": 1 }] })).unwrap_err();
        assert_eq!(error.to_string(), "Unknown operator not");
        refused(json!({ "not": { "<": 1 } }));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = (0..2 * OPERATION_DEPTH).fold(json!({ "<": 1 }), |inner, _| json!({ "and": [inner] }));
        assert!(refused(nested).0.starts_with("too many or too deeply"));
    }
}
