//! The tree of an expression, and what can be said of it without data.

use super::operators::{Across, Binary, Change, Spelled, Unary};
use crate::method::Method;
use crate::ops::period::Period;

/// One operation, reference or number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Number(f64),
    Metric(Metric),
    Aggregate(Across, Box<Node>),
    Rolling(Across, u64, Box<Node>),
    Resample(Method, Period, Box<Node>),
    Change(Change, Box<Node>),
    Unary(Spelled<Unary>, Box<Node>),
    Binary(Spelled<Binary>, Box<Node>, Box<Node>),
    /// Series, lower bound, upper bound.
    Clip(Box<Node>, Box<Node>, Option<Box<Node>>),
}

/// Series asked for, by position among the references of the expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) references: Vec<usize>,
    /// Whether it was written as pairs: `["metric", ["a", "mean"]]`.
    pub(crate) pairs: bool,
}

/// What a node evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Series,
}

impl Node {
    /// All of `count` references.
    pub(super) fn metrics(count: usize) -> Self {
        Node::Metric(Metric { references: (0..count).collect(), pairs: true })
    }

    /// What it evaluates to; or what it cannot take, and where.
    pub(crate) fn kind(&self) -> Result<Kind, (String, &Node)> {
        match self {
            Node::Number(_) => Ok(Kind::Number),
            Node::Metric(_) => Ok(Kind::Series),
            Node::Aggregate(_, sub) => self.of_series("aggregate", sub),
            Node::Rolling(_, _, sub) => self.of_series("rolling", sub),
            Node::Resample(_, _, sub) => self.of_series("resample", sub),
            Node::Change(change, sub) => self.of_series(change.text(), sub),
            Node::Unary(_, sub) => sub.kind(),
            Node::Binary(_, left, right) => Ok(left.kind()?.or(right.kind()?)),
            Node::Clip(series, low, high) => {
                let high = high.as_ref().map_or(Ok(Kind::Number), |high| high.kind())?;
                let kinds = [series.kind()?, low.kind()?, high];
                // The reference has no answer here: one side would be neither listed nor aggregated.
                if kinds.iter().filter(|kind| **kind == Kind::Series).count() == 2 {
                    let reason = "'clip' takes one series or three; 'clip_min' and 'clip_max' take two";
                    return Err((reason.to_owned(), self));
                }
                Ok(kinds[0].or(kinds[1]).or(kinds[2]))
            }
        }
    }

    fn of_series<'a>(&'a self, name: &str, sub: &'a Node) -> Result<Kind, (String, &'a Node)> {
        match sub.kind()? {
            Kind::Series => Ok(Kind::Series),
            Kind::Number => Err((format!("'{name}' needs a series, not a number"), self)),
        }
    }

    /// Whether one series comes out whatever goes in. Then only the first column counts: pairing two
    /// lists of series gives the first pair, as in the reference.
    pub(crate) fn is_aggregated(&self) -> bool {
        match self {
            Node::Number(_) | Node::Metric(_) => false,
            Node::Aggregate(..) => true,
            Node::Rolling(_, _, sub) | Node::Resample(_, _, sub) => sub.is_aggregated(),
            Node::Change(_, sub) | Node::Unary(_, sub) => sub.is_aggregated(),
            Node::Binary(_, left, right) => joins(&[left, right]),
            Node::Clip(series, low, None) => joins(&[series, low]),
            Node::Clip(series, low, Some(high)) => joins(&[series, low, high]),
        }
    }
}

/// Whether series are joined here, or were below.
fn joins(operands: &[&Node]) -> bool {
    let series = operands.iter().filter(|operand| operand.kind() == Ok(Kind::Series));
    series.count() > 1 || operands.iter().any(|operand| operand.is_aggregated())
}

impl Kind {
    fn or(self, other: Kind) -> Kind {
        if self == Kind::Series { self } else { other }
    }
}
