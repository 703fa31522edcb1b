//! From the list form to a tree. Errors have the causes, paths and texts of the reference's schema.

use indexmap::IndexSet;
use serde_json::Value;

use super::Reference;
use super::node::{Metric, Node};
use super::operators::{Across, Binary, Change, Unary, resample_method};
use super::print;
use crate::ops::limits::{OPERATION_DEPTH, OPERATION_NODES};
use crate::ops::period::Period;
use crate::ops::refusal::{Refusal, Step};
use crate::timetext::{parse_timespan, timespan_from_seconds};

/// Reads operations; the references are those of the tree.
pub(super) fn tree(operations: &Value) -> Result<(Node, Vec<Reference>), Refusal> {
    let mut parser = Parser { references: IndexSet::new(), depth: 0, nodes: 0 };
    let root = parser.root(operations).map_err(|fault| fault.refusal(operations))?;
    Ok((root, parser.references.into_iter().collect()))
}

/// Where all of it stands in the body.
const OPERATIONS: Step<'static> = Step::Key("operations");

/// Why a list is no operation. The outermost list is to blame, unless the fault is a member of a
/// `metric`: the reference reports the longest path.
enum Fault {
    /// No alternative fits.
    Operation,
    /// This member of a `metric` is not a pair of texts.
    Member(usize, &'static str),
    /// The outermost value is no list of an operation, or all of it is too large.
    Whole(String),
}

impl Fault {
    fn refusal(self, operations: &Value) -> Refusal {
        match self {
            Fault::Member(index, message) => Refusal::input(message, &[OPERATIONS, Step::Index(index)]),
            Fault::Whole(message) => Refusal::input(&message, &[OPERATIONS]),
            Fault::Operation => {
                let name = operations.get(0).map(print::plain_text).unwrap_or_default();
                Refusal::input(&format!("'{name}' operation invalid"), &[OPERATIONS])
            }
        }
    }
}

struct Parser {
    references: IndexSet<Reference>,
    depth: usize,
    nodes: usize,
}

impl Parser {
    fn root(&mut self, value: &Value) -> Result<Node, Fault> {
        let Value::Array(list) = value else {
            let kind = print::type_name(value);
            return Err(Fault::Whole(format!("Expected a tuple/list, got a <class '{kind}'>")));
        };
        match list.len() {
            0 => Err(Fault::Whole("Operation must not be empty".to_owned())),
            1 => Err(Fault::Whole("Operation need at least one argument".to_owned())),
            _ => self.operation(list),
        }
    }

    /// An operand: an operation, or anything a float parser takes.
    fn operand(&mut self, value: &Value) -> Result<Box<Node>, Fault> {
        self.nodes += 1;
        if self.nodes > OPERATION_NODES {
            return Err(Fault::Whole(format!("More than {OPERATION_NODES} operations")));
        }
        let node = match value {
            Value::Array(list) => self.operation(list)?,
            other => Node::Number(number(other).ok_or(Fault::Operation)?),
        };
        Ok(Box::new(node))
    }

    fn operation(&mut self, list: &[Value]) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > OPERATION_DEPTH {
            return Err(Fault::Whole(format!("Operations nested more than {OPERATION_DEPTH} deep")));
        }
        let node = match list {
            [Value::String(name), arguments @ ..] => self.named(name, arguments),
            _ => Err(Fault::Operation),
        };
        self.depth -= 1;
        node
    }

    fn named(&mut self, name: &str, arguments: &[Value]) -> Result<Node, Fault> {
        match (name, arguments) {
            ("metric", [_, ..]) => self.metric(arguments),
            ("aggregate", [across, sub]) => Ok(Node::Aggregate(parse_across(across)?, self.operand(sub)?)),
            ("rolling", [across, window, sub]) => {
                let (across, window) = (parse_across(across)?, parse_window(window)?);
                Ok(Node::Rolling(across, window, self.operand(sub)?))
            }
            ("resample", [method, period, sub]) => {
                let method = method.as_str().and_then(resample_method).ok_or(Fault::Operation)?;
                Ok(Node::Resample(method, parse_period(period)?, self.operand(sub)?))
            }
            ("clip", [series, low, high]) => {
                let (series, low) = (self.operand(series)?, self.operand(low)?);
                Ok(Node::Clip(series, low, Some(self.operand(high)?)))
            }
            ("clip", [series, low]) => Ok(Node::Clip(self.operand(series)?, self.operand(low)?, None)),
            (_, [left, right]) => {
                let operator = Binary::spelled(name).ok_or(Fault::Operation)?;
                Ok(Node::Binary(operator, self.operand(left)?, self.operand(right)?))
            }
            (_, [sub]) => self.one_operand(name, sub),
            _ => Err(Fault::Operation),
        }
    }

    fn one_operand(&mut self, name: &str, sub: &Value) -> Result<Node, Fault> {
        if let Some(operator) = Unary::spelled(name) {
            return Ok(Node::Unary(operator, self.operand(sub)?));
        }
        let change = Change::parse(name).ok_or(Fault::Operation)?;
        Ok(Node::Change(change, self.operand(sub)?))
    }

    fn metric(&mut self, members: &[Value]) -> Result<Node, Fault> {
        if let [Value::String(name), Value::String(method)] = members {
            let references = vec![self.reference(name, method)];
            return Ok(Node::Metric(Metric { references, pairs: false }));
        }
        let pairs =
            members.iter().enumerate().map(|(index, member)| match member.as_array().map(Vec::as_slice) {
                Some([Value::String(name), Value::String(method)]) => Ok(self.reference(name, method)),
                Some([_, _]) => Err(Fault::Member(index, "expected str")),
                _ => Err(Fault::Member(index, "None")),
            });
        Ok(Node::Metric(Metric { references: pairs.collect::<Result<_, _>>()?, pairs: true }))
    }

    fn reference(&mut self, name: &str, method: &str) -> usize {
        self.references.insert_full(Reference { name: name.to_owned(), method: method.to_owned() }).0
    }
}

fn parse_across(value: &Value) -> Result<Across, Fault> {
    value.as_str().and_then(Across::parse).ok_or(Fault::Operation)
}

/// A whole number from 1 on; a fraction is cut, but not in a text.
fn parse_window(value: &Value) -> Result<u64, Fault> {
    let window = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => number(other).map(|window| window as u64),
    };
    window.filter(|window| *window >= 1).ok_or(Fault::Operation)
}

fn parse_period(value: &Value) -> Result<Period, Fault> {
    let span = match value {
        Value::String(text) => parse_timespan(text).ok(),
        other => number(other).and_then(|seconds| timespan_from_seconds(seconds).ok()),
    };
    span.map(Period::Span).ok_or(Fault::Operation)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
