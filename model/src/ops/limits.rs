//! How much one query may compute. Over a limit it is refused, with the limit in the answer.

use serde_json::json;

use super::refusal::Refusal;

/// How deep operations may be nested.
pub const OPERATION_DEPTH: usize = 64;

/// How many operations, references and numbers an expression may hold.
pub const OPERATION_NODES: usize = 4096;

/// Points a query may keep in memory while it is evaluated, for [`ColumnReader`](super::ColumnReader):
/// 128 MiB.
pub const POINTS_KEPT: usize = 8 << 20;

/// How much one evaluation may touch. Any value is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series (references resolved to metrics).
    pub series: usize,
    /// Cells computed for one granularity: distinct times × series, holes included, and counted once for
    /// each place of the expression a series stands in.
    pub points: usize,
}

impl Default for Limits {
    /// 20 000 series; 200 million cells, one to two seconds of one core for a mean.
    fn default() -> Self {
        Limits { series: 20_000, points: 200_000_000 }
    }
}

impl Limits {
    /// Refuses more series than allowed. Worth asking before anything is read.
    pub fn check_series(&self, series: usize) -> Result<(), Refusal> {
        check("series", series, self.series)
    }

    pub(super) fn check_points(&self, times: usize, series: usize) -> Result<(), Refusal> {
        check("points", times.saturating_mul(series), self.points)
    }
}

fn check(what: &str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    let reason = format!("Too many {what}: {found} found, the limit is {limit}");
    Err(Refusal::series(reason, json!({ "limit": what, "maximum": limit })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let limits = Limits { series: 3, points: 12 };
        assert_eq!(limits.check_series(3), Ok(()));
        assert_eq!(limits.check_points(4, 3), Ok(()));
        let refusal = limits.check_series(4).unwrap_err();
        assert_eq!(refusal.reason, "Too many series: 4 found, the limit is 3");
        assert_eq!(refusal.detail, json!({ "limit": "series", "maximum": 3 }));
        assert!(limits.check_points(usize::MAX, 3).is_err());
    }
}
