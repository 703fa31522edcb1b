//! Who answers many callers at a time may sync once for all of them, instead of waiting on a thread for each.
//!
//! Writes of the index sync before they return. Within [`put_off`] they leave that to the caller, who must
//! [sync](super::Index::sync) before telling anybody. The scope is the calling thread, as calls of the index block.

use std::cell::Cell;

thread_local! {
    /// Whether a sync is owed; `None` where syncs are not put off.
    static OWED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Does some work, and says whether it wrote what has yet to be synced.
pub fn put_off<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let scope = Scope { outer: OWED.replace(Some(false)) };
    let result = work();
    let owed = OWED.get() == Some(true);
    drop(scope);
    (result, owed)
}

/// Ends even if the work panics: the thread may go on to other work.
struct Scope {
    outer: Option<bool>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        OWED.set(self.outer);
    }
}

/// Takes note of a sync to come; `false` if nobody will see to it.
pub(super) fn owe() -> bool {
    let put_off = OWED.get().is_some();
    if put_off {
        OWED.set(Some(true));
    }
    put_off
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inside_something_is_owed() {
        assert!(!owe());
        assert_eq!(put_off(|| 1), (1, false));
        assert_eq!(put_off(owe), (true, true));
        assert!(std::panic::catch_unwind(|| put_off(|| panic!("on the way"))).is_err());
        assert!(!owe());
    }
}
