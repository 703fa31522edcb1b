//! Scans whose visitors may fail.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::kv::{Direction, Family, Kv, prefix_end};

/// Goes on with a scan.
pub(super) const NEXT: Result<ControlFlow<()>> = Ok(ControlFlow::Continue(()));
/// Ends a scan.
pub(super) const DONE: Result<ControlFlow<()>> = Ok(ControlFlow::Break(()));

/// Called with each key and value; an error ends the scan and comes out of it.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// Called with the number of a prefix, and each key and value under it; as [`Visit`].
pub(super) type VisitUnder<'a> = dyn FnMut(usize, &[u8], &[u8]) -> Result<()> + 'a;

/// Visits the keys in `[from, to)`, ascending.
pub(super) fn scan(kv: &dyn Kv, family: Family, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
    let mut failure = Ok(());
    kv.scan(family, from, to, Direction::Forward, &mut |key, value| match visit(key, value) {
        Ok(flow) => flow,
        Err(error) => {
            failure = Err(error);
            ControlFlow::Break(())
        }
    })?;
    failure
}

/// Visits the keys that start with `prefix`, ascending.
pub(super) fn scan_prefix(kv: &dyn Kv, family: Family, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
    scan(kv, family, prefix, &prefix_end(prefix), visit)
}

/// Visits the keys under each of some prefixes, none of which starts another; the visitor is told the number of the prefix.
pub(super) fn scan_under(
    kv: &dyn Kv,
    family: Family,
    mut prefixes: Vec<Vec<u8>>,
    visit: &mut VisitUnder<'_>,
) -> Result<()> {
    let mut numbers: Vec<usize> = (0..prefixes.len()).collect();
    numbers.sort_unstable_by(|a, b| prefixes[*a].cmp(&prefixes[*b]));
    prefixes.sort_unstable();
    let mut failure = Ok(());
    kv.scan_under(family, &prefixes, &mut |place, key, value| match visit(numbers[place], key, value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Err(error);
            ControlFlow::Break(())
        }
    })?;
    failure
}

/// Whether any key starts with `prefix`.
pub(super) fn any(kv: &dyn Kv, family: Family, prefix: &[u8]) -> Result<bool> {
    let mut found = false;
    scan_prefix(kv, family, prefix, &mut |_, _| {
        found = true;
        DONE
    })?;
    Ok(found)
}
