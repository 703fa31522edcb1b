//! Writing: the ways to store one column, and the shortest of them.

use std::collections::BTreeSet;

use super::deviation::Bucket;
use super::estimate::{self, Estimate};
use super::fit::{self, Fit, Points};
use super::form::{ABSENCES, CORRECTIONS, EXCEPTIONS, Form};
use super::fraction::{self, Fraction};
use super::grid::Grid;
use super::ordered::{off, ordered};
use super::predict::Prediction;
use super::presence::{Presence, Stored};
use super::scale::{Scale, Unit};
use super::{FEW_MAX, stream};
use crate::codec::put_varint;

/// One way to store a column.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) form: Form,
    streams: Vec<(Vec<i64>, Prediction)>,
    corrections: Vec<i64>,
    exceptions: Vec<(usize, f64)>,
    /// What it takes, about.
    pub(super) bits: f64,
}

/// Bits of the parts of a column that are no streams, about.
const HEAD_BITS: f64 = 24.0;
/// Bits of an exception: its own and those of its position.
const EXCEPTION_BITS: f64 = 76.0;

impl Draft {
    pub(super) fn exact(form: Form) -> Draft {
        Draft { form, streams: Vec::new(), corrections: Vec::new(), exceptions: Vec::new(), bits: HEAD_BITS }
    }

    fn add_stream(&mut self, numbers: Vec<i64>) {
        let Estimate { prediction, bits } = estimate::best(&numbers);
        self.bits += bits;
        self.streams.push((numbers, prediction));
    }

    fn with_leftovers(mut self, fit: &Points, values: &[f64]) -> Draft {
        self.exceptions = fit.exceptions.iter().map(|at| (*at, values[*at])).collect();
        self.corrections = fit.corrections.clone();
        self.bits += EXCEPTION_BITS * fit.exceptions.len() as f64;
        self.bits += if fit.corrections.is_empty() { 0.0 } else { estimate::best(&fit.corrections).bits };
        self
    }

    /// Values on a grid, each by itself.
    fn on_grid(fit: &Fit, values: &[f64]) -> Draft {
        let mut draft = Draft::exact(Form::Grid(fit.grid)).with_leftovers(&fit.points, values);
        draft.add_stream(fit.points.numbers.clone());
        draft
    }

    /// Values on a grid, by their distance from another column.
    pub(super) fn near(fit: &Fit, values: &[f64], index: u8, other: &[f64]) -> Draft {
        let mut draft = Draft::exact(Form::Near(fit.grid, index)).with_leftovers(&fit.points, values);
        let distance = |(number, other): (&i64, &f64)| number.wrapping_sub(fit.grid.number(*other));
        let mut distances: Vec<i64> = fit.points.numbers.iter().zip(other).map(distance).collect();
        for at in &fit.points.exceptions {
            distances[*at] = if *at == 0 { 0 } else { distances[*at - 1] };
        }
        draft.add_stream(distances);
        draft
    }

    fn few(values: &[f64]) -> Option<Draft> {
        let mut entries = BTreeSet::new();
        for value in values {
            entries.insert(ordered(*value));
            if entries.len() > FEW_MAX || entries.len() > 8 + values.len() / 4 {
                return None;
            }
        }
        let entries: Vec<i64> = entries.into_iter().collect();
        let index = |value: &f64| entries.binary_search(&ordered(*value)).unwrap_or(0) as i64;
        let indexes = values.iter().map(index).collect();
        let mut draft = Draft::exact(Form::Dictionary);
        draft.add_stream(entries);
        draft.add_stream(indexes);
        Some(draft)
    }

    /// Values as fractions, with one divisor for all or each with its own.
    fn fractions(values: &[f64]) -> Vec<Draft> {
        let Some(places) = fraction::places(values) else { return Vec::new() };
        let Some(scale) = (Unit::Decimal { places, multiple: 1 }).scale() else { return Vec::new() };
        let found: Vec<Option<Fraction>> = values.iter().map(|value| Fraction::of(*value, scale)).collect();
        let common = fraction::common_divisor(found.iter().flatten().copied());
        let whole = |divisor| {
            let fractions =
                values.iter().map(|value| Fraction { number: scale.number(value * divisor as f64), divisor });
            Draft::of_fractions(values, places, scale, fractions)
        };
        let mut divisor = 1;
        let own = found.iter().map(|fraction| {
            let fraction = fraction.unwrap_or(Fraction { number: 0, divisor });
            divisor = fraction.divisor;
            fraction
        });
        let own = Draft::of_fractions(values, places, scale, own);
        common.map(whole).into_iter().chain([own]).collect()
    }

    fn of_fractions(
        values: &[f64],
        places: u8,
        scale: Scale,
        fractions: impl ExactSizeIterator<Item = Fraction>,
    ) -> Draft {
        let mut divisors = Vec::with_capacity(values.len());
        let points = Points::collect(values.iter().zip(fractions).map(|(value, fraction)| {
            divisors.push(fraction.divisor);
            (fraction.number, off(*value, fraction.value(scale)))
        }));
        let mut draft = Draft::exact(Form::Fraction { places }).with_leftovers(&points, values);
        draft.add_stream(divisors);
        draft.add_stream(points.numbers);
        draft
    }

    pub(super) fn quotient(values: &[f64], indexes: (u8, u8), dividend: &[f64], divisor: &[f64]) -> Draft {
        let mut draft = Draft::exact(Form::Quotient(indexes.0, indexes.1));
        let off = |((value, a), b): ((&f64, &f64), &f64)| off(*value, *a / *b);
        let corrections: Vec<i64> = values.iter().zip(dividend).zip(divisor).map(off).collect();
        if corrections.iter().any(|correction| *correction != 0) {
            draft.bits += estimate::best(&corrections).bits;
            draft.corrections = corrections;
        }
        draft
    }

    pub(super) fn deviation(
        values: &[f64],
        unit: Unit,
        indexes: (u8, u8),
        means: &[f64],
        counts: &[f64],
    ) -> Option<Draft> {
        let scale = unit.scale()?;
        let found = values.iter().zip(means).zip(counts).map(|((value, mean), count)| {
            let Some(bucket) = Bucket::new(scale, *mean, *count) else { return (0, off(*value, 0.0)) };
            let number = bucket.number(*value);
            (number, off(*value, bucket.deviation(number)))
        });
        let points = Points::collect(found);
        let form = Form::Deviation { mean: indexes.0, count: indexes.1, unit };
        let mut draft = Draft::exact(form).with_leftovers(&points, values);
        draft.add_stream(points.numbers);
        Some(draft)
    }

    /// Appends the column.
    pub(super) fn encode(&self, out: &mut Vec<u8>, presence: Option<Stored>, has: &Presence, buckets: usize) {
        let flag = |flag: u8, set: bool| if set { flag } else { 0 };
        let head = self.form.code()
            | flag(ABSENCES, presence.is_some())
            | flag(CORRECTIONS, !self.corrections.is_empty())
            | flag(EXCEPTIONS, !self.exceptions.is_empty());
        out.push(head);
        if let Some(presence) = presence {
            presence.encode(out, has, buckets);
        }
        self.form.encode(out);
        if !self.exceptions.is_empty() {
            put_varint(out, self.exceptions.len() as u64);
            stream::encode(out, &self.exceptions.iter().map(|(at, _)| *at as i64).collect::<Vec<_>>());
            stream::encode(
                out,
                &self.exceptions.iter().map(|(_, value)| ordered(*value)).collect::<Vec<_>>(),
            );
        }
        if matches!(self.form, Form::Dictionary) {
            out.push((self.streams[0].0.len() - 1) as u8);
        }
        for (numbers, prediction) in &self.streams {
            stream::encode_predicted(out, numbers, *prediction);
        }
        if !self.corrections.is_empty() {
            stream::encode(out, &self.corrections);
        }
    }
}

/// The shortest way to store values by themselves, and how they lie on its grid.
pub(super) fn alone(values: &[f64]) -> (Draft, Option<Fit>) {
    let mut fits = Vec::new();
    if let Some(grid) =
        fit::places(values).and_then(|places| Grid::even(Unit::Decimal { places, multiple: 1 }))
    {
        let fit = Fit::on(grid, values);
        fits.extend(fit.significant());
        fits.push(fit.multiples());
    }
    let mut drafts: Vec<(Draft, Option<Fit>)> =
        fits.into_iter().map(|fit| (Draft::on_grid(&fit, values), Some(fit))).collect();
    let shortest = |drafts: &[(Draft, Option<Fit>)]| {
        drafts.iter().map(|(draft, _)| draft.bits).fold(f64::INFINITY, f64::min)
    };
    // Decimals of few digits are not looked at any further.
    if shortest(&drafts) > 30.0 * values.len() as f64 + HEAD_BITS {
        let exponent = fit::exponent(values).and_then(|exponent| Grid::even(Unit::Binary { exponent }));
        for grid in exponent.into_iter().chain([Grid::Bits(fit::trailing_zeros(values))]) {
            let fit = Fit::on(grid, values);
            drafts.push((Draft::on_grid(&fit, values), Some(fit)));
        }
        drafts.extend(Draft::fractions(values).into_iter().map(|draft| (draft, None)));
    }
    if shortest(&drafts) > 8.0 * values.len() as f64 + HEAD_BITS {
        drafts.extend(Draft::few(values).map(|draft| (draft, None)));
    }
    drafts
        .into_iter()
        .min_by(|a, b| a.0.bits.total_cmp(&b.0.bits))
        .expect("all values are on the grid of bits")
}
