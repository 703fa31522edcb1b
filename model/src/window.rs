//! The raw window of a sampled series: the only place where its raw measures live.
//!
//! Everything stored about the series is a pure function of the window (see `rollup`), so late and
//! repeated measures are right by construction. Acceptance follows the contract, `timeseries.md` 4 and 8.

use crate::codec::{Corrupt, Reader, put_varint};
use crate::points::Points;
use crate::policy::ArchivePolicy;
use crate::time::{Measure, Timestamp};

/// Ascending raw measures with unique timestamps, and the threshold below which they were let go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    points: Points,
    /// Nothing older is accepted, whatever the policy says today: below it raw measures are let go. When they
    /// are makes no difference.
    floor: Timestamp,
    /// The oldest measure that is not below it.
    lowest: Option<Timestamp>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many measures were older than the window and refused.
    pub refused: usize,
    /// The oldest one taken; `None` if none was.
    pub earliest: Option<Timestamp>,
}

impl Window {
    /// A window that has let go of everything before an instant.
    pub fn after(floor: Timestamp) -> Self {
        Window { floor, ..Window::default() }
    }

    /// The raw measures.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// When the newest was taken.
    pub fn newest(&self) -> Option<Timestamp> {
        self.points.last().map(|point| point.at)
    }

    /// Below it nothing is accepted any more, whatever the policy says.
    pub fn floor(&self) -> Timestamp {
        self.floor
    }

    /// The oldest instant accepted now.
    pub fn threshold(&self, policy: &ArchivePolicy) -> Timestamp {
        self.newest().map_or(self.floor, |newest| self.floor.max(policy.first_block(newest)))
    }

    /// Takes a batch in. The threshold is that of before the batch. On equal timestamps the smallest
    /// value of the batch wins (a number wins over NaN), and replaces what the window had.
    pub fn insert(&mut self, batch: &mut [Measure], policy: &ArchivePolicy) -> Accepted {
        let threshold = self.threshold(policy);
        batch.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| order(a.value, b.value)));
        let refused = batch.partition_point(|measure| measure.at < threshold);
        let accepted = first_of_each(&mut batch[refused..]);
        let earliest = accepted.first().map(|measure| measure.at);
        self.points.merge(accepted);
        if earliest.is_some() {
            self.lowest = [self.lowest, earliest].into_iter().flatten().min();
            self.raise_floor(policy);
        }
        Accepted { refused, earliest }
    }

    /// If the threshold has passed raw measures, there is no way back.
    fn raise_floor(&mut self, policy: &ArchivePolicy) {
        let threshold = self.threshold(policy);
        if self.lowest.is_some_and(|lowest| lowest < threshold) {
            self.floor = threshold;
            self.lowest = self.points.first_since(threshold);
        }
    }

    /// From where raw measures must be kept: the start of the oldest bucket of any granularity that
    /// can still change.
    fn cut(&self, threshold: Timestamp, policy: &ArchivePolicy) -> Timestamp {
        let starts = policy.items.iter().map(|item| threshold.floor(item.granularity));
        starts.min().unwrap_or(threshold)
    }

    /// Lets raw measures go that no future batch can need, and none from the buckets of `keep_from` on,
    /// whose rows are not stored yet.
    pub fn truncate(&mut self, policy: &ArchivePolicy, keep_from: Option<Timestamp>) {
        let cut = self.cut(keep_from.map_or(self.floor, |keep| keep.min(self.floor)), policy);
        self.points.drop_before(cut);
    }

    /// Appends the stored form; see `docs/format/window.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.floor.ns());
        self.points.encode(out);
    }

    /// Reads what [`Window::encode`] wrote, or did before its version 3.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode.
    pub fn decode(reader: &mut Reader<'_>, interleaved: bool) -> Result<Self, Corrupt> {
        let floor = Timestamp::from_ns(reader.varint()?).ok_or(Corrupt)?;
        let points = Points::decode(reader, interleaved)?;
        let lowest = points.first_since(floor);
        Ok(Window { points, floor, lowest })
    }
}

/// The first of each instant, out of measures in order of time, at their front.
fn first_of_each(sorted: &mut [Measure]) -> &[Measure] {
    let mut count = 0;
    for place in 0..sorted.len() {
        if count == 0 || sorted[count - 1].at != sorted[place].at {
            sorted[count] = sorted[place];
            count += 1;
        }
    }
    &sorted[..count]
}

/// Ascending by value; NaN after every number.
fn order(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{Method, MethodSet};
    use crate::policy::Item;
    use crate::time::{Granularity, SECOND};
    use proptest::prelude::*;

    fn policy(back_window: u32) -> ArchivePolicy {
        let granularity = Granularity::from_ns(60 * SECOND).unwrap();
        ArchivePolicy {
            name: "p".into(),
            back_window,
            items: vec![Item { granularity, points: None }],
            methods: MethodSet::from_iter([Method::MEAN]),
        }
    }

    fn measures(list: &[(u64, f64)]) -> Vec<Measure> {
        let at = |seconds: u64| Timestamp::from_ns(seconds * SECOND).unwrap();
        list.iter().map(|(seconds, value)| Measure { at: at(*seconds), value: *value }).collect()
    }

    fn values(window: &Window) -> Vec<(u64, f64)> {
        window
            .points()
            .since(Timestamp::EPOCH)
            .iter()
            .map(|point| (point.at.ns() / SECOND, point.value))
            .collect()
    }

    #[test]
    fn batch_beats_window_and_smallest_beats_batch() {
        let mut window = Window::default();
        window.insert(&mut measures(&[(10, 9.0), (20, 1.0)]), &policy(0));
        window.insert(&mut measures(&[(10, 50.0), (10, 20.0), (10, f64::NAN), (5, 3.0)]), &policy(0));
        assert_eq!(values(&window), [(5, 3.0), (10, 20.0), (20, 1.0)]);
    }

    #[test]
    fn the_threshold_is_that_of_before_the_batch() {
        let mut window = Window::default();
        window.insert(&mut measures(&[(70, 1.0)]), &policy(0));
        let taken = window.insert(&mut measures(&[(600, 2.0), (61, 3.0), (59, 4.0)]), &policy(0));
        assert_eq!(taken.refused, 1);
        assert_eq!(taken.earliest, Timestamp::from_ns(61 * SECOND));
        window.truncate(&policy(0), None);
        assert_eq!(values(&window), [(600, 2.0)]);
        assert_eq!(window.insert(&mut measures(&[(599, 1.0)]), &policy(0)).refused, 1);
    }

    #[test]
    fn a_grown_back_window_does_not_reopen_buckets_without_raw_measures() {
        let mut window = Window::default();
        window.insert(&mut measures(&[(0, 1.0), (500, 1.0)]), &policy(0));
        window.truncate(&policy(0), None);
        assert_eq!(window.insert(&mut measures(&[(10, 7.0)]), &policy(50)).refused, 1);
    }

    proptest! {
        /// A replay starts from a window that was cut at a checkpoint, the live one is cut when the checkpoint
        /// has ended: both must accept the same, whatever becomes of the back window.
        #[test]
        fn when_raw_measures_are_let_go_makes_no_difference(
            batches in proptest::collection::vec(
                (0u32..4, proptest::collection::vec((0u64..2000, -9.0f64..9.0), 1..5), any::<bool>()), 1..20,
            ),
        ) {
            let (mut early, mut late) = (Window::default(), Window::default());
            for (back_window, batch, cut) in batches {
                let policy = policy(back_window);
                let taken = early.insert(&mut measures(&batch), &policy);
                prop_assert_eq!(taken, late.insert(&mut measures(&batch), &policy));
                early.truncate(&policy, None);
                if cut {
                    late.truncate(&policy, None);
                }
                prop_assert_eq!(early.floor(), late.floor());
                let kept = values(&late);
                prop_assert!(kept.ends_with(&values(&early)), "{kept:?}");
            }
        }
    }

    #[test]
    fn stored_form_round_trips() {
        let mut window = Window::default();
        window.insert(&mut measures(&[(70, 1.5), (3, f64::INFINITY), (71, -0.0)]), &policy(3));
        window.truncate(&policy(3), None);
        let mut out = Vec::new();
        window.encode(&mut out);
        assert_eq!(Window::decode(&mut Reader::new(&out), false), Ok(window));
    }
}
