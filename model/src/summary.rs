//! What events add up to: the mergeable summary of any set of weighted events.
//!
//! An event (statsd counter increment, timer, histogram or distribution value) always counts, even when
//! two share an arrival time. Formulas: contract, `ingest.md` 4.

use crate::codec::{Corrupt, Reader};
use crate::method::{Formula, Method, MethodSet};
use crate::packed::{difference, number, put_difference, put_number};
use crate::rollup::nan_max;
use crate::spread::Spread;
use crate::time::Timestamp;

/// The summary of at least one event.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct Summary {
    /// Events by weight.
    count: f64,
    sum: f64,
    /// If a policy asks for `std`.
    deviation: Option<Deviation>,
    min: f64,
    max: f64,
    first: (Timestamp, f64),
    last: (Timestamp, f64),
    spread: Spread,
}

/// Weighted mean of the values and sum of their squared distances from it (West, 1979).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Deviation {
    mean: f64,
    squares: f64,
}

/// What a summary keeps beyond the cheap: some policies never ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// For `std`.
    pub deviation: bool,
    /// For the median and percentiles.
    pub values: bool,
}

impl Wants {
    /// Everything: whoever asks is not known yet.
    pub const ALL: Wants = Wants { deviation: true, values: true };

    /// What a set of methods asks for.
    pub fn of(methods: &MethodSet) -> Self {
        Wants { deviation: methods.contains(Method::STD), values: methods.needs_values() }
    }
}

/// How the weight 1 / sample rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// Counters: an increment counts once, its value is scaled up.
    Value,
    /// Timers, histograms, distributions: the event counts `weight` times.
    Event,
}

impl Summary {
    /// The summary of one event.
    #[inline]
    pub fn of(at: Timestamp, value: f64, weight: f64, weighing: Weighing, wants: Wants) -> Self {
        let count = if weighing == Weighing::Event { weight } else { 1.0 };
        Summary {
            count,
            sum: value * weight,
            deviation: wants.deviation.then_some(Deviation { mean: value, squares: 0.0 }),
            min: value,
            max: value,
            first: (at, value),
            last: (at, value),
            spread: if wants.values { Spread::of(value, count) } else { Spread::None },
        }
    }

    /// Adds one more event. Of equal times it counts as the later; batches of several listeners may come a
    /// little out of order.
    #[inline]
    pub fn add(&mut self, at: Timestamp, value: f64, weight: f64, weighing: Weighing) {
        let count = if weighing == Weighing::Event { weight } else { 1.0 };
        self.count += count;
        self.sum += value * weight;
        if let Some(Deviation { mean, squares }) = &mut self.deviation {
            let delta = value - *mean;
            *mean += delta * (count / self.count);
            *squares += count * delta * (value - *mean);
        }
        self.min = self.min.min(value);
        self.max = nan_max(self.max, value);
        if at < self.first.0 {
            self.first = (at, value);
        }
        if at >= self.last.0 {
            self.last = (at, value);
        }
        self.spread.add(value, count);
    }

    /// Adds all of another. Of equal times the other one counts as the later.
    pub fn merge(&mut self, other: &Summary) {
        self.deviation = self.deviation.zip(other.deviation).map(|(mine, theirs)| {
            let total = self.count + other.count;
            let delta = theirs.mean - mine.mean;
            let between = delta * delta * (self.count * other.count / total);
            Deviation {
                mean: mine.mean + delta * (other.count / total),
                // From an infinity there is no distance: as if one by one.
                squares: mine.squares + theirs.squares + if delta.is_finite() { between } else { f64::NAN },
            }
        });
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = nan_max(self.max, other.max);
        if other.first.0 < self.first.0 {
            self.first = other.first;
        }
        if other.last.0 >= self.last.0 {
            self.last = other.last;
        }
        self.spread.merge(&other.spread);
    }

    /// When its first event arrived.
    pub fn at(&self) -> Timestamp {
        self.first.0
    }

    /// When its last event arrived.
    pub fn until(&self) -> Timestamp {
        self.last.0
    }

    /// Sum of the weighted values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The values themselves, as far as they are kept.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }

    /// How many values, or groups of like values, it keeps for percentiles.
    pub fn kept(&self) -> usize {
        self.spread.kept()
    }

    /// One method; `None` where it yields no value.
    pub fn evaluate(&self, formula: Formula) -> Option<f64> {
        Some(match formula {
            Formula::Count => self.count,
            Formula::Sum => self.sum,
            Formula::Mean => self.sum / self.count,
            Formula::Min => self.min,
            Formula::Max => self.max,
            Formula::First => self.first.1,
            Formula::Last => self.last.1,
            Formula::Std => {
                let squares = self.deviation.filter(|_| self.count > 1.0)?.squares;
                (squares / (self.count - 1.0)).sqrt()
            }
            Formula::Median => return self.spread.percentile(50.0),
            Formula::Percentile(percent) => return self.spread.percentile(f64::from(percent)),
        })
    }

    /// Whether all its values are the same to the bit: most summaries are of one event.
    fn is_level(&self) -> bool {
        let level = |value: f64| value.to_bits() == self.min.to_bits();
        let Deviation { mean, squares } =
            self.deviation.unwrap_or(Deviation { mean: self.min, squares: 0.0 });
        [self.max, self.first.1, self.last.1, mean].into_iter().all(level) && squares.to_bits() == 0
    }

    /// Appends the stored form, with times as distances from `base`; see `docs/format/backlog.md`.
    pub fn encode(&self, base: Timestamp, out: &mut Vec<u8>) {
        let level = self.is_level();
        out.push(u8::from(self.deviation.is_some()) | u8::from(level) << 1 | self.spread.code() << 2);
        put_difference(out, self.first.0.ns() as i64 - base.ns() as i64);
        put_difference(out, self.last.0.ns() as i64 - self.first.0.ns() as i64);
        let numbers = [self.count, self.sum, self.min, self.max, self.first.1, self.last.1];
        let told = if level { 3 } else { numbers.len() };
        numbers[..told].iter().for_each(|number| put_number(out, *number));
        if let Some(Deviation { mean, squares }) = self.deviation.filter(|_| !level) {
            put_number(out, mean);
            put_number(out, squares);
        }
        self.spread.encode(out);
    }

    /// Reads what [`Summary::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode.
    pub fn decode(base: Timestamp, reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let head = reader.byte()?;
        let first_ns = (base.ns() as i64).checked_add(difference(reader)?).ok_or(Corrupt)?;
        let last_ns = first_ns.checked_add(difference(reader)?).ok_or(Corrupt)?;
        let at = |ns| u64::try_from(ns).ok().and_then(Timestamp::from_ns).ok_or(Corrupt);
        let (count, sum, min) = (number(reader)?, number(reader)?, number(reader)?);
        let (mut max, mut first, mut last) = (min, min, min);
        let mut deviation = Deviation { mean: min, squares: 0.0 };
        let (kept, level) = (head & 1 != 0, head & 2 != 0);
        if !level {
            (max, first, last) = (number(reader)?, number(reader)?, number(reader)?);
            if kept {
                deviation = Deviation { mean: number(reader)?, squares: number(reader)? };
            }
        }
        Ok(Summary {
            count,
            sum,
            deviation: kept.then_some(deviation),
            min,
            max,
            first: (at(first_ns)?, first),
            last: (at(last_ns)?, last),
            spread: Spread::decode(head >> 2, reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollup;
    use proptest::prelude::*;

    fn at(index: usize) -> Timestamp {
        Timestamp::from_ns(index as u64).unwrap()
    }

    fn summary(values: &[f64], from: usize) -> Summary {
        let mut all = Summary::of(at(from), values[0], 1.0, Weighing::Event, Wants::ALL);
        for (index, value) in values.iter().enumerate().skip(1) {
            all.add(at(from + index), *value, 1.0, Weighing::Event);
        }
        all
    }

    proptest! {
        /// The twin: the plain formulas over all values.
        #[test]
        fn split_anywhere_it_equals_the_plain_formulas(
            values in proptest::collection::vec(-1e6f64..1e6, 2..100), split: usize,
        ) {
            let split = 1 + split % (values.len() - 1);
            let mut left = summary(&values[..split], 0);
            left.merge(&summary(&values[split..], split));
            let mut out = Vec::new();
            left.encode(at(7), &mut out);
            let left = Summary::decode(at(7), &mut Reader::new(&out)).unwrap();
            let mut sorted = values.clone();
            rollup::sort_values(&mut sorted);
            for method in Method::all().filter(|method| !method.is_rate()) {
                let exact = rollup::evaluate(method.formula(), &values, &sorted).unwrap();
                let got = left.evaluate(method.formula()).unwrap();
                prop_assert!((got - exact).abs() <= 1e-9 * exact.abs().max(1.0), "{method}: {got}, {exact}");
            }
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>) {
            let _ = Summary::decode(at(7), &mut Reader::new(&bytes));
        }
    }

    #[test]
    fn first_and_last_go_by_time_not_by_order() {
        let event = |at_ns, value| Summary::of(at(at_ns), value, 1.0, Weighing::Event, Wants::ALL);
        let mut summary = event(5, 1.0);
        for (at_ns, value) in [(3, 2.0), (5, 3.0), (3, 4.0)] {
            summary.add(at(at_ns), value, 1.0, Weighing::Event);
        }
        assert_eq!((summary.at(), summary.evaluate(Formula::First)), (at(3), Some(2.0)));
        assert_eq!((summary.until(), summary.evaluate(Formula::Last)), (at(5), Some(3.0)));
    }

    #[test]
    fn infinities_have_no_deviation_however_they_come() {
        for values in [[1.0, f64::INFINITY], [f64::INFINITY; 2], [f64::NEG_INFINITY, f64::INFINITY]] {
            let mut merged = summary(&values[..1], 0);
            merged.merge(&summary(&values[1..], 1));
            for all in [merged, summary(&values, 0)] {
                assert!(all.evaluate(Formula::Std).unwrap().is_nan(), "{values:?}");
            }
        }
    }

    #[test]
    fn weights_follow_the_contract() {
        let mut timer = Summary::of(at(0), 10.0, 10.0, Weighing::Event, Wants::ALL);
        timer.add(at(1), 20.0, 1.0, Weighing::Event);
        assert_eq!(timer.evaluate(Formula::Count), Some(11.0));
        assert_eq!(timer.evaluate(Formula::Sum), Some(120.0));
        assert_eq!(timer.evaluate(Formula::Median), Some(10.0));
        assert_eq!(timer.evaluate(Formula::Max), Some(20.0));
        let mut counter =
            Summary::of(at(0), 3.0, 10.0, Weighing::Value, Wants { deviation: true, values: false });
        counter.add(at(1), 1.0, 1.0, Weighing::Value);
        assert_eq!(counter.evaluate(Formula::Count), Some(2.0));
        assert_eq!(counter.evaluate(Formula::Sum), Some(31.0));
        assert_eq!(counter.evaluate(Formula::Median), None);
    }
}
