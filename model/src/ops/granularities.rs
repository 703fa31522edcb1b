//! Which granularities a query over several metrics is answered in.

use serde_json::json;

use super::expr::Reference;
use super::refusal::Refusal;
use crate::method::Method;
use crate::policy::ArchivePolicy;
use crate::time::Granularity;

/// A series a query asks for, resolved to a metric.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// Id of the metric, or its name where resources are searched: what errors show.
    pub name: &'a str,
    /// The method as written.
    pub method: &'a str,
    /// The policy of the metric.
    pub policy: &'a ArchivePolicy,
}

impl<'a> Resolved<'a> {
    /// The metric called `name` as the series a reference stands for.
    pub fn new(reference: &'a Reference, name: &'a str, policy: &'a ArchivePolicy) -> Self {
        Resolved { name, method: &reference.method, policy }
    }

    fn has_method(&self) -> bool {
        Method::parse(self.method).is_some_and(|method| self.policy.methods.contains(method))
    }
}

/// Why there is no granularity to answer in.
#[derive(Clone, Debug, PartialEq)]
pub enum GranularityError {
    /// No granularity in common: 400.
    NoMatch(Refusal),
    /// The method of this series (its position) is not in the policy of its metric: 404.
    UnknownMethod(usize),
    /// The granularity asked for is not in the policy of this series (its position) and perhaps others:
    /// 400 with the refusal, which lists them all; the legacy endpoint has a 404 about this one.
    Missing(usize, Refusal),
}

/// The granularity asked for if every policy has it, or else all that every policy has; coarsest first.
/// Metrics without data count. There is at least one series.
pub fn common_granularities(
    series: &[Resolved<'_>],
    asked: Option<Granularity>,
) -> Result<Vec<Granularity>, GranularityError> {
    let common = asked.map_or_else(|| intersection(series), |granularity| vec![granularity]);
    if common.is_empty() {
        let detail = series.iter().map(|one| json!([one.name, one.method])).collect();
        return Err(GranularityError::NoMatch(Refusal::series("No granularity match", detail)));
    }
    if let Some(position) = series.iter().position(|one| !one.has_method()) {
        return Err(GranularityError::UnknownMethod(position));
    }
    let lacks = |one: &Resolved<'_>| asked.filter(|granularity| one.policy.item(*granularity).is_none());
    let Some(first) = series.iter().position(|one| lacks(one).is_some()) else { return Ok(common) };
    let missing = |one: &Resolved<'_>| Some(json!([one.name, one.method, lacks(one)?.seconds()]));
    let detail = series.iter().filter_map(missing).collect();
    Err(GranularityError::Missing(first, Refusal::series("Granularities are missing", detail)))
}

fn intersection(series: &[Resolved<'_>]) -> Vec<Granularity> {
    let Some((first, others)) = series.split_first() else { return Vec::new() };
    let everywhere =
        |granularity: &Granularity| others.iter().all(|one| one.policy.item(*granularity).is_some());
    let mut common: Vec<Granularity> =
        first.policy.items.iter().map(|item| item.granularity).filter(everywhere).collect();
    common.sort_unstable_by(|a, b| b.cmp(a));
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Item;
    use crate::time::SECOND;

    fn policy(seconds: &[u64]) -> ArchivePolicy {
        let granularity = |seconds: &u64| Granularity::from_ns(seconds * SECOND).unwrap();
        ArchivePolicy {
            name: "p".to_owned(),
            back_window: 0,
            items: seconds.iter().map(|s| Item { granularity: granularity(s), points: None }).collect(),
            methods: [Method::MEAN].into_iter().collect(),
        }
    }

    fn seconds(found: Result<Vec<Granularity>, GranularityError>) -> Vec<f64> {
        found.unwrap().into_iter().map(Granularity::seconds).collect()
    }

    fn refusal(found: Result<Vec<Granularity>, GranularityError>) -> Refusal {
        match found.unwrap_err() {
            GranularityError::NoMatch(refusal) | GranularityError::Missing(_, refusal) => refusal,
            GranularityError::UnknownMethod(position) => panic!("unknown method of {position}"),
        }
    }

    #[test]
    fn common_ones_come_coarsest_first() {
        let (a, b) = (policy(&[1, 60, 300]), policy(&[300, 1, 3600]));
        let series = [&a, &b].map(|policy| Resolved { name: "m", method: "mean", policy });
        assert_eq!(seconds(common_granularities(&series, None)), [300.0, 1.0]);
        assert_eq!(seconds(common_granularities(&series, Granularity::from_ns(SECOND))), [1.0]);
        let missing = refusal(common_granularities(&series, Granularity::from_ns(60 * SECOND)));
        assert_eq!(missing.reason, "Granularities are missing");
        assert_eq!(missing.detail, json!([["m", "mean", 60.0]]));
    }

    #[test]
    fn no_match_is_found_before_unknown_methods() {
        let (a, b) = (policy(&[1]), policy(&[5]));
        let series = [
            Resolved { name: "a", method: "mean", policy: &a },
            Resolved { name: "b", method: "wtf", policy: &b },
        ];
        let none = refusal(common_granularities(&series, None));
        assert_eq!(none.reason, "No granularity match");
        assert_eq!(none.detail, json!([["a", "mean"], ["b", "wtf"]]));
        let asked = common_granularities(&series, Granularity::from_ns(SECOND));
        assert_eq!(asked, Err(GranularityError::UnknownMethod(1)));
    }
}
