//! How much one query may compute. Over a limit it is refused, with the limit in the answer.

use serde_json::json;

use super::refusal::Refusal;

/// How deep operations may be nested.
pub const OPERATION_DEPTH: usize = 64;

/// How many operations, references and numbers an expression may hold.
pub const OPERATION_NODES: usize = 4096;

/// Points a query may keep in memory while it is evaluated: 128 MiB. Columns beyond are read again.
pub const POINTS_KEPT: usize = 8 << 20;

/// What to do about a query that is over a limit.
pub const HOW_TO_NARROW: &str =
    "Narrow it: a shorter range (start, stop), a coarser granularity, or fewer metrics";

/// How much a query may touch. Any value is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series (references resolved to metrics).
    pub series: usize,
    /// Points read; and cells computed for one granularity: distinct times × series, holes included, and
    /// counted once for each place of the expression a series stands in.
    pub points: usize,
}

impl Default for Limits {
    /// 20 000 series; 50 million points, half a second of one core for a mean, 3 GB of JSON if all are shown.
    fn default() -> Self {
        Limits { series: 20_000, points: 50_000_000 }
    }
}

impl Limits {
    /// Refuses more series than allowed. Worth asking before anything is read.
    pub fn check_series(&self, series: usize) -> Result<(), Refusal> {
        check("series", series, self.series)
    }

    /// Refuses more points than allowed.
    pub fn check_points(&self, points: usize) -> Result<(), Refusal> {
        check("points", points, self.points)
    }
}

fn check(what: &str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    let name = format!("query_{what}");
    let reason = format!("Too many {what}: {found} found, the limit {name} is {limit}. {HOW_TO_NARROW}");
    Err(Refusal { cause: "Query over its limit", reason, detail: json!({ "limit": name, "maximum": limit }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let limits = Limits { series: 3, points: 12 };
        assert_eq!(limits.check_series(3), Ok(()));
        assert_eq!(limits.check_points(12), Ok(()));
        let refusal = limits.check_series(4).unwrap_err();
        let expected = format!("Too many series: 4 found, the limit query_series is 3. {HOW_TO_NARROW}");
        assert_eq!(refusal.reason, expected);
        assert_eq!(refusal.detail, json!({ "limit": "query_series", "maximum": 3 }));
        assert!(limits.check_points(13).is_err());
    }
}
