//! Archive policy rules: which policy a metric gets that asks for none.

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique.
    pub name: String,
    /// A shell pattern over whole names of metrics.
    pub pattern: String,
    /// The policy it gives.
    pub policy: String,
}
