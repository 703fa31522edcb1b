//! Expressions of `/v1/aggregates`: one tree for the list form, the string form and the legacy endpoint.
//!
//! An [`Expr`] is valid: every operator has operands it can take. What remains to be found out when it
//! is evaluated are shapes and grids, which depend on the data.

mod node;
mod operators;
mod parse;
mod print;
mod text;

use serde_json::Value;

pub(super) use node::Node;
pub(super) use operators::{Across, Binary, Change, Statistic, Unary};

use super::period::Period;
use super::refusal::Refusal;
use super::resample::check_rate;
use crate::method::Method;

/// A series an expression asks for, as written: `["metric", name, method]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Id of a metric, or a pattern of names where resources are searched.
    pub name: String,
    /// Should be a stored method; not checked, since the answer differs with the metric.
    pub method: String,
}

/// A valid expression with at least one reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    root: Node,
    references: Vec<Reference>,
}

impl Expr {
    /// Reads the member `operations` of a request, list or string.
    ///
    /// ```
    /// use orzo_model::ops::Expr;
    /// use serde_json::json;
    ///
    /// let list = Expr::parse(&json!(["*", ["metric", "a", "mean"], 2]))?;
    /// assert_eq!(list, Expr::parse(&json!("(* (metric a mean) 2)"))?);
    /// assert_eq!(list.to_string(), "['*', ['metric', 'a', 'mean'], 2.0]");
    /// # Ok::<(), orzo_model::ops::Refusal>(())
    /// ```
    pub fn parse(operations: &Value) -> Result<Self, Refusal> {
        let (root, references) = match operations {
            Value::String(text) => parse::tree(&text::parse(text).map_err(unreadable)?)?,
            list => parse::tree(list)?,
        };
        let expr = Expr { root, references };
        if expr.references.is_empty() {
            return Err(invalid("At least one 'metric' is required", expr.to_json()));
        }
        expr.root.kind().map_err(|(reason, node)| invalid(reason, print::json(node, &expr.references)))?;
        Ok(expr)
    }

    /// What the legacy endpoint computes over several metrics: each resampled if wanted, then
    /// aggregated to one series. `reaggregation` is the client's parameter.
    pub fn legacy(
        references: Vec<Reference>,
        reaggregation: &str,
        resample: Option<(Method, Period)>,
    ) -> Result<Self, Refusal> {
        let Some(across) = Across::parse(reaggregation) else {
            return Err(Refusal::argument(
                "reaggregation",
                "Must be mean, median, std, min, max, sum, var or count, or 'rate:' and one of these",
            ));
        };
        let mut series = Node::metrics(references.len());
        if let Some((method, period)) = resample {
            check_rate(method, period)?;
            series = Node::Resample(method, period, Box::new(series));
        }
        Ok(Expr { root: Node::Aggregate(across, Box::new(series)), references })
    }

    /// The series asked for, without repetitions, in order of first appearance. Never empty.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Whether the answer is one series (`aggregated`) rather than one for each series asked for.
    pub fn is_aggregated(&self) -> bool {
        self.root.is_aggregated()
    }

    /// The list form.
    pub fn to_json(&self) -> Value {
        print::json(&self.root, &self.references)
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// The reference's text form of a part of the tree, for errors.
    pub(super) fn text_of(&self, node: &Node) -> String {
        print::text(&print::json(node, &self.references))
    }
}

fn unreadable(detail: String) -> Refusal {
    let reason = "Fail to parse the operations string".to_owned();
    Refusal { cause: "Invalid operations", reason, detail: Value::from(detail) }
}

fn invalid(reason: impl Into<String>, tree: Value) -> Refusal {
    Refusal { cause: "Operations is invalid", reason: reason.into(), detail: tree }
}
