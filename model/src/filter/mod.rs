//! Filters over resources: what people write, and what is evaluated.
//!
//! Three steps, each in its file: text to the JSON form ([`parse_text`]), the tree [`Filter`] that the
//! JSON form means (its schema, with the wording of its errors, is the API's business), and a
//! [`Condition`] bound to the attributes of one resource type, with operands of the right kind, that
//! rows are tested against or that a back end with a language of its own translates.

mod bind;
mod condition;
mod evaluate;
mod pattern;
mod scalar;
mod text;

pub use bind::{BindContext, BindError, bind};
pub use condition::{Cell, Condition, Field, Test};
pub use evaluate::Row;
pub use pattern::{Glob, Like};
pub use scalar::{Scalar, round_to_micros};
pub use text::{FilterTextError, parse_text};

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`, `==`, `eq`.
    Equal,
    /// `!=`, `≠`, `ne`; also true where the field is null.
    NotEqual,
    /// `<`, `lt`.
    Less,
    /// `<=`, `≤`, `le`.
    LessOrEqual,
    /// `>`, `gt`.
    Greater,
    /// `>=`, `≥`, `ge`.
    GreaterOrEqual,
}

/// A filter as written: attributes by name, operands of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every resource: the empty filter.
    All,
    /// An attribute against a value.
    Compare {
        /// How.
        operator: Operator,
        /// Name of an attribute.
        attribute: String,
        /// The right side.
        operand: Scalar,
    },
    /// An attribute against a pattern of `%`, `_` and `\`.
    Like {
        /// Name of an attribute.
        attribute: String,
        /// The pattern.
        pattern: Scalar,
    },
    /// An attribute against several values.
    In {
        /// Name of an attribute.
        attribute: String,
        /// The values.
        operands: Vec<Scalar>,
    },
    /// All of them; none is true.
    And(Vec<Filter>),
    /// Any of them; none is false.
    Or(Vec<Filter>),
    /// The opposite; of the unknown, the unknown.
    Not(Box<Filter>),
}

impl Filter {
    /// `attribute = text`.
    pub fn equal(attribute: &str, text: &str) -> Filter {
        let operand = Scalar::Text(text.to_owned());
        Filter::Compare { operator: Operator::Equal, attribute: attribute.to_owned(), operand }
    }
}
