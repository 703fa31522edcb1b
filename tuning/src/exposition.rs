//! Pages in Prometheus text format, as `/metrics` answers them.

use std::collections::BTreeMap;

/// One line: `name{labels} value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// What is counted.
    pub name: &'a str,
    /// As they stand between the braces.
    pub labels: &'a str,
    /// How much.
    pub value: f64,
}

impl<'a> Sample<'a> {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        let value = |label: &'a str| label.strip_prefix(name)?.strip_prefix('=');
        self.labels.split(',').find_map(value).map(|value| value.trim_matches('"'))
    }
}

/// Every line that is not a comment.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some(Sample { name, labels: labels.trim_end_matches('}'), value: value.parse().ok()? })
    })
}

/// The sums of a page.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    totals: BTreeMap<String, f64>,
    greatest: BTreeMap<String, f64>,
    by_reason: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Sums {
    /// Adds up listeners and shards.
    pub fn of(text: &str) -> Self {
        let mut sums = Sums::default();
        for sample in samples(text) {
            *sums.totals.entry(sample.name.to_owned()).or_default() += sample.value;
            let greatest = sums.greatest.entry(sample.name.to_owned()).or_default();
            *greatest = greatest.max(sample.value);
            if let Some(reason) = sample.label("reason") {
                let reasons = sums.by_reason.entry(sample.name.to_owned()).or_default();
                *reasons.entry(reason.to_owned()).or_default() += sample.value;
            }
        }
        sums
    }

    /// Over all labels; 0 if there is none.
    pub fn total(&self, name: &str) -> f64 {
        self.totals.get(name).copied().unwrap_or(0.0)
    }

    /// The greatest over all labels: of ages, a sum says nothing.
    pub fn greatest(&self, name: &str) -> f64 {
        self.greatest.get(name).copied().unwrap_or(0.0)
    }

    /// Those that are not zero, by reason.
    pub fn reasons(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let reasons = self.by_reason.get(name).into_iter().flatten();
        reasons.filter(|(_, value)| **value > 0.0).map(|(reason, value)| (reason.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a Lines.\n# TYPE a counter\na{listener=\"0\",reason=\"x\"} 2\n\
        a{listener=\"1\",reason=\"x\"} 1\na{listener=\"1\",reason=\"y\"} 0\nage{shard=\"0\"} 1.5\nage{shard=\"1\"} 0.5\nb 1.2e1\n";

    #[test]
    fn labels_are_added_up() {
        let sums = Sums::of(TEXT);
        assert_eq!((sums.total("a"), sums.total("b"), sums.total("c")), (3.0, 12.0, 0.0));
        assert_eq!((sums.greatest("age"), sums.total("age")), (1.5, 2.0));
        assert_eq!(sums.reasons("a").collect::<Vec<_>>(), [("x", 3.0)]);
    }
}
