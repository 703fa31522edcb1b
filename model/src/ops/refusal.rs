//! Why a query is not answered, in the shape the API prints.

use std::fmt;

use serde_json::{Value, json};

/// A client error: 400 with an object of these fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The kind of error; clients compare it.
    pub cause: &'static str,
    /// What exactly; clients compare how it begins.
    pub reason: String,
    /// Where: a path, a parameter's name, or the references concerned.
    pub detail: Value,
}

impl Refusal {
    /// A query parameter that does not do.
    pub fn argument(name: &str, reason: impl Into<String>) -> Self {
        Refusal { cause: "Argument value error", reason: reason.into(), detail: json!(name) }
    }

    /// A body that does not match its schema; `path` leads to the place.
    pub(super) fn input(message: &str, path: &[Step<'_>]) -> Self {
        let detail: Vec<String> = path.iter().map(ToString::to_string).collect();
        Refusal { cause: "Invalid input", reason: message.to_owned() + &place(path), detail: json!(detail) }
    }

    /// Series that cannot be computed with; `detail` lists references.
    pub(super) fn series(reason: impl Into<String>, detail: Value) -> Self {
        Refusal { cause: "Metrics cannot be aggregated", reason: reason.into(), detail }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// One step of a path into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into a list.
    Index(usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "{index}"),
        }
    }
}

/// ` for dictionary value @ data['operations'][0]`, as the reference's schema library words it.
fn place(path: &[Step<'_>]) -> String {
    let kind = if let Some(Step::Key(_)) = path.last() { " for dictionary value" } else { "" };
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => format!("['{key}']"),
        Step::Index(index) => format!("[{index}]"),
    });
    if path.is_empty() { String::new() } else { format!("{kind} @ data{}", steps.collect::<String>()) }
}
