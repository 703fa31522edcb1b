//! Which grid values lie on, and what is left over where they do not.

use super::digits::{DIGITS_MAX, Digits};
use super::fraction::divisor;
use super::grid::Grid;
use super::ordered::off;
use super::scale::{Scale, Unit};

/// Values as integers and what is left over.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    /// One per value; of an exception, the one before.
    pub(super) numbers: Vec<i64>,
    /// What values are above the grid's, in the last bits; empty if all are on it.
    pub(super) corrections: Vec<i64>,
    /// Positions of values that are nowhere near.
    pub(super) exceptions: Vec<usize>,
}

impl Points {
    /// Sorts numbers, and the distances of the values from theirs, into a fit.
    pub(super) fn collect(found: impl ExactSizeIterator<Item = (i64, i64)>) -> Points {
        let count = found.len();
        let mut points = Points { numbers: Vec::with_capacity(count), ..Points::default() };
        for (at, (number, off)) in found.enumerate() {
            if off.unsigned_abs() > CORRECTION_MAX {
                points.numbers.push(points.numbers.last().copied().unwrap_or(0));
                points.exceptions.push(at);
                continue;
            }
            points.numbers.push(number);
            if off != 0 {
                points.corrections.resize(count, 0);
                points.corrections[at] = off;
            }
        }
        points
    }
}

/// Values put on a grid.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) grid: Grid,
    pub(super) points: Points,
}

/// Rounding errors of a short sum or a deviation are below it; a value further off is an exception.
const CORRECTION_MAX: u64 = 1 << 16;
/// Values looked at to find a unit.
const SAMPLE: usize = 64;
/// Places tried: beyond it a double is shorter as it is.
const PLACES_MAX: u8 = 15;
/// Numbers up to here are told apart by a double of any unit.
const NUMBER_MAX: u64 = 1 << 53;
/// Chance alone puts a double near a decimal of this size.
const CHANCE_MIN: u64 = 1 << 42;

impl Fit {
    /// Puts values on a grid.
    pub(super) fn on(grid: Grid, values: &[f64]) -> Fit {
        let found = values.iter().map(|value| {
            let number = grid.number(*value);
            (number, off(*value, grid.value(number)))
        });
        Fit { grid, points: Points::collect(found) }
    }

    /// Without loss, if the numbers have fewer digits than places: on the grid of such numbers.
    pub(super) fn significant(&self) -> Option<Fit> {
        let Grid::Even(Unit::Decimal { places, multiple: 1 }, _) = self.grid else { return None };
        let numbers = &self.points.numbers;
        let largest = numbers.iter().map(|number| number.unsigned_abs()).max()?;
        let mut digits = 1;
        for number in numbers {
            digits = digits.max(Digits::of(*number));
            if digits > DIGITS_MAX || largest < 10u64.pow(u32::from(digits)) {
                return None;
            }
        }
        let (grid, counted) = (Grid::significant(places, digits)?, Digits::new(digits)?);
        let numbers = numbers.iter().map(|number| counted.position(*number)).collect();
        Some(Fit { grid, points: Points { numbers, ..self.points.clone() } })
    }

    /// In multiples, if the numbers have a common divisor.
    pub(super) fn multiples(mut self) -> Fit {
        let Grid::Even(Unit::Decimal { places, .. }, _) = self.grid else { return self };
        let mut multiple = 0;
        for number in &self.points.numbers {
            multiple = divisor(multiple, number.unsigned_abs());
            if multiple == 1 {
                return self;
            }
        }
        let constant = self.points.numbers.windows(2).all(|pair| pair[0] == pair[1]);
        let grid = Grid::even(Unit::Decimal { places, multiple });
        if let Some(grid) = grid.filter(|_| multiple > 1 && !constant) {
            self.points.numbers.iter_mut().for_each(|number| *number /= multiple as i64);
            self.grid = grid;
        }
        self
    }
}

/// The fewest decimal places that most values have; `None` if they are no decimals.
pub(super) fn places(values: &[f64]) -> Option<u8> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<f64> = values.iter().step_by(step).copied().filter(|value| value.is_finite()).collect();
    let enough = sample.len() - sample.len() / 8;
    (0..=PLACES_MAX).find(|places| {
        let scale = Unit::Decimal { places: *places, multiple: 1 }.scale();
        scale.is_some_and(|scale| sample.iter().filter(|value| is_decimal(**value, scale)).count() >= enough)
    })
}

fn is_decimal(value: f64, scale: Scale) -> bool {
    let number = scale.number(value);
    let off = off(value, scale.value(number)).unsigned_abs();
    let size = number.unsigned_abs();
    if off == 0 { size < NUMBER_MAX } else { off <= 4 && size < CHANCE_MIN }
}

/// The exponent of the last bit that any value has; `None` if the values span more than 62 bits.
pub(super) fn exponent(values: &[f64]) -> Option<i16> {
    let normal = values.iter().filter(|value| value.is_normal());
    let (mut last, mut first) = (i16::MAX, i16::MIN);
    for value in normal {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i16 - 1023;
        first = first.max(exponent);
        last = last.min(exponent - 52 + (bits | (1 << 52)).trailing_zeros() as i16);
    }
    (first >= last && first - last < 62).then_some(last)
}

/// Zero bits that all values end in.
pub(super) fn trailing_zeros(values: &[f64]) -> u8 {
    let all = values.iter().fold(0, |all, value| all | value.to_bits());
    all.trailing_zeros().min(63) as u8
}
