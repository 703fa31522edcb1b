//! The guard against too many new series: how many may be made in a second, in all and of one prefix, and
//! who was refused.
//!
//! The resolver asks it once for each series that is about to be made, never for a line. What a prefix is:
//! [`orzo_model::metric::prefix`].

use std::collections::HashMap;

use orzo_model::metric::prefix;
use orzo_model::{SECOND, Timestamp};
use orzo_store::index::Refusal;
use parking_lot::Mutex;

use crate::limits::{OFFENDERS, OFFENDERS_REMEMBERED};

/// How fast series may be made.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Dotted segments of a name that make its prefix.
    pub segments: usize,
    /// In a second; `None`: any number.
    pub per_second: Option<u64>,
    /// In a second, of one prefix; `None`: any number.
    pub per_prefix: Option<u64>,
}

impl Default for Rates {
    fn default() -> Self {
        Rates { segments: 1, per_second: None, per_prefix: None }
    }
}

/// Prefixes whose series were refused most often, and how often; then how often all others were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offenders {
    /// Most often first, at most [`OFFENDERS`].
    pub prefixes: Vec<(String, u64)>,
    /// The rest.
    pub others: u64,
}

/// Counts who comes and who is refused.
#[derive(Debug, Default)]
pub struct Guard {
    rates: Rates,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is counted in: whole seconds since the epoch.
    second: u64,
    made: u64,
    made_of: HashMap<Box<str>, u64>,
    refused: Refused,
}

/// The most frequent prefixes among more than are remembered: who comes anew takes the place, and the
/// count, of the least frequent one, so a count is at most that much too high and no frequent one is missed.
#[derive(Debug, Default)]
struct Refused {
    counts: HashMap<Box<str>, u64>,
    total: u64,
}

impl Guard {
    /// A guard who has seen nobody yet.
    pub fn new(rates: Rates) -> Self {
        Guard { rates, state: Mutex::default() }
    }

    /// Whether a series may be made now; if so it is counted.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, name: &str, now: Timestamp) -> Result<(), Refusal> {
        let Rates { segments, per_second, per_prefix } = self.rates;
        if per_second.is_none() && per_prefix.is_none() {
            return Ok(());
        }
        let mut state = self.state.lock();
        state.turn_to(now.ns() / SECOND);
        if per_second.is_some_and(|max| state.made >= max) {
            return Err(Refusal::Rate);
        }
        if let Some(max) = per_prefix {
            let made = state.made_of.entry(prefix(name, segments).into()).or_default();
            if *made >= max {
                return Err(Refusal::PrefixRate);
            }
            *made += 1;
        }
        state.made += 1;
        Ok(())
    }

    /// Counts a series that was refused because there are too many.
    pub fn refused(&self, name: &str) {
        self.state.lock().refused.add(prefix(name, self.rates.segments));
    }

    /// Who was refused most often since the start.
    pub fn offenders(&self) -> Offenders {
        self.state.lock().refused.top()
    }
}

impl State {
    fn turn_to(&mut self, second: u64) {
        if self.second != second {
            (self.second, self.made) = (second, 0);
            self.made_of.clear();
        }
    }
}

impl Refused {
    fn add(&mut self, prefix: &str) {
        self.total += 1;
        // Nobody could be told from all others by it.
        if prefix.is_empty() {
            return;
        }
        if let Some(count) = self.counts.get_mut(prefix) {
            *count += 1;
            return;
        }
        let mut count = 1;
        if self.counts.len() >= OFFENDERS_REMEMBERED
            && let Some(least) = self.counts.iter().min_by_key(|(_, count)| **count)
        {
            let least = least.0.clone();
            count += self.counts.remove(&least).unwrap_or(0);
        }
        self.counts.insert(prefix.into(), count);
    }

    fn top(&self) -> Offenders {
        let mut prefixes: Vec<(String, u64)> =
            self.counts.iter().map(|(prefix, count)| (prefix.to_string(), *count)).collect();
        prefixes.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        prefixes.truncate(OFFENDERS);
        let named: u64 = prefixes.iter().map(|(_, count)| count).sum();
        Offenders { prefixes, others: self.total.saturating_sub(named) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn guard(per_second: Option<u64>, per_prefix: Option<u64>) -> Guard {
        Guard::new(Rates { segments: 1, per_second, per_prefix })
    }

    #[test]
    fn so_many_in_a_second_and_not_one_more() {
        let guard = guard(Some(3), None);
        let admitted = |second| (0..5).filter(|n| guard.admit(&format!("a.{n}"), at(second)).is_ok()).count();
        assert_eq!((admitted(1), admitted(1), admitted(2)), (3, 0, 3));
        assert_eq!(guard.admit("b", at(2)), Err(Refusal::Rate));
        assert_eq!(admitted(1), 3, "a clock that was set back is another second");
    }

    #[test]
    fn a_prefix_does_not_take_the_room_of_others() {
        let guard = guard(Some(4), Some(2));
        let admit = |name| guard.admit(name, at(1));
        assert_eq!([admit("a.1"), admit("a.2")], [Ok(()); 2]);
        assert_eq!(admit("a.3"), Err(Refusal::PrefixRate));
        assert_eq!([admit("b"), admit("b@t=a.x")], [Ok(()); 2], "who was refused is not counted");
        assert_eq!(admit("c"), Err(Refusal::Rate));
    }

    #[test]
    fn without_limits_everybody_may_come() {
        assert!((0..10_000).all(|_| guard(None, None).admit("a", at(1)).is_ok()));
    }

    #[test]
    fn the_worst_are_named_however_many_there_are() {
        let guard = guard(None, None);
        for round in 0..200 {
            for number in 0..3 {
                guard.refused(&format!("worst{number}.{round}"));
            }
            guard.refused(&format!("once{round}.x"));
            guard.refused(".x");
        }
        let Offenders { prefixes, others } = guard.offenders();
        assert_eq!(prefixes.len(), OFFENDERS);
        assert_eq!(prefixes[..3], ["worst0", "worst1", "worst2"].map(|name| (name.to_owned(), 200)));
        assert_eq!(prefixes.iter().map(|(_, count)| count).sum::<u64>() + others, 1000);
        assert!(guard.state.lock().refused.counts.len() <= OFFENDERS_REMEMBERED);
    }
}
