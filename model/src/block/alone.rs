//! The shortest way to store values by themselves.

use super::FEW_MAX;
use super::digits::{DIGITS_MAX, Digits};
use super::draft::Draft;
use super::form::Form;
use super::fraction::{self, Fraction};
use super::grid::Grid;
use super::ordered::{off, ordered};
use super::points::{Leftovers, Points};
use super::scale::{Scale, Unit};
use super::stream::Stream;

/// Bits a value from which on decimals are not the end of the search.
const LONG: f64 = 30.0;
/// Bits a value from which on a dictionary can be shorter.
const SHORT: f64 = 8.0;
/// Values looked at to find a unit.
const SAMPLE: usize = 64;
/// Decimal places tried: with more, a double is shorter as it is.
const PLACES_MAX: u8 = 15;
/// More places tried for the sake of values that the sample missed.
const MORE_PLACES: u8 = 3;
/// Smaller numbers are told apart by a double, whatever the unit.
const NUMBER_MAX: u64 = 1 << 53;
/// Chance alone puts a double near a decimal of this size.
const CHANCE_MIN: u64 = 1 << 42;

/// The shortest way.
pub(super) fn shortest(values: &[f64]) -> Draft {
    let mut best = decimal(values);
    let longer = |best: &Option<Draft>, bits: f64| {
        best.as_ref().is_none_or(|draft| draft.bits() > bits * values.len() as f64)
    };
    if longer(&best, LONG) {
        let binary = exponent(values).and_then(|exponent| Grid::even(Unit::Binary { exponent }));
        let grids = binary.into_iter().chain([Grid::Bits(trailing_zeros(values))]);
        let found = grids.map(|grid| on_grid(grid, values)).chain(fractions(values));
        best = best.into_iter().chain(found).reduce(Draft::or);
    }
    if longer(&best, SHORT) {
        best = best.into_iter().chain(few(values)).reduce(Draft::or);
    }
    best.expect("all values are on the grid of bits")
}

fn on_grid(grid: Grid, values: &[f64]) -> Draft {
    Draft::of_points(Form::Grid(grid), points(grid, values))
}

fn points(grid: Grid, values: &[f64]) -> Points {
    let found = values.iter().map(|value| {
        let number = grid.number(*value);
        (number, grid.value(number))
    });
    Points::collect(values, found)
}

/// On the decimal grid of the fewest places, or of some more if that saves exceptions.
fn decimal(values: &[f64]) -> Option<Draft> {
    let places = places(values)?;
    let mut best = on_decimal_grid(values, places)?;
    for more in places + 1..=PLACES_MAX.min(places + MORE_PLACES) {
        if !best.has_finite_exceptions() {
            break;
        }
        best = best.or(on_decimal_grid(values, more)?);
    }
    Some(best)
}

fn on_decimal_grid(values: &[f64], places: u8) -> Option<Draft> {
    let even = Grid::even(Unit::Decimal { places, multiple: 1 })?;
    let mut points = points(even, values);
    let significant = significant(&points.numbers, places);
    let grid = multiples(&mut points.numbers, places).unwrap_or(even);
    let draft = Draft::of_points(Form::Grid(grid), points);
    Some(match significant {
        Some((grid, numbers)) => draft.or_as(Form::Grid(grid), Stream::new(numbers)),
        None => draft,
    })
}

/// The grid of numbers with few significant digits, if these are such, and their positions on it.
fn significant(numbers: &[i64], places: u8) -> Option<(Grid, Vec<i64>)> {
    let largest = numbers.iter().map(|number| number.unsigned_abs()).max()?;
    let mut digits = 1;
    for number in numbers {
        digits = digits.max(Digits::of(*number));
        if digits > DIGITS_MAX || largest < 10u64.pow(u32::from(digits)) {
            return None;
        }
    }
    let counted = Digits::new(digits)?;
    let positions = numbers.iter().map(|number| counted.position(*number)).collect();
    Some((Grid::significant(places, digits)?, positions))
}

/// Divides numbers by what they have in common; the grid of what is left, if that is anything.
fn multiples(numbers: &mut [i64], places: u8) -> Option<Grid> {
    if numbers.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let mut multiple = 0;
    for number in &*numbers {
        multiple = fraction::common_factor(multiple, number.unsigned_abs());
        if multiple == 1 {
            return None;
        }
    }
    let grid = Grid::even(Unit::Decimal { places, multiple })?;
    numbers.iter_mut().for_each(|number| *number /= multiple as i64);
    Some(grid)
}

/// The fewest decimal places that most values have; `None` if they are no decimals.
fn places(values: &[f64]) -> Option<u8> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<f64> = values.iter().step_by(step).copied().filter(|value| value.is_finite()).collect();
    (0..=PLACES_MAX).find(|places| {
        let Some(scale) = (Unit::Decimal { places: *places, multiple: 1 }).scale() else { return false };
        let misses = sample.iter().filter(|value| !is_decimal(**value, scale));
        misses.take(sample.len() / 8 + 1).count() <= sample.len() / 8
    })
}

fn is_decimal(value: f64, scale: Scale) -> bool {
    let number = scale.number(value);
    let off = off(value, scale.value(number)).unsigned_abs();
    let size = number.unsigned_abs();
    if off == 0 { size < NUMBER_MAX } else { off <= 4 && size < CHANCE_MIN }
}

/// The exponent of the last bit that any value has; `None` if the values span more than 62 bits.
fn exponent(values: &[f64]) -> Option<i16> {
    let (mut last, mut first) = (i16::MAX, i16::MIN);
    for value in values.iter().filter(|value| value.is_normal()) {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i16 - 1023;
        first = first.max(exponent);
        last = last.min(exponent - 52 + (bits | (1 << 52)).trailing_zeros() as i16);
    }
    (first >= last && first - last < 62).then_some(last)
}

/// Zero bits that all values end in.
fn trailing_zeros(values: &[f64]) -> u8 {
    let all = values.iter().fold(0, |all, value| all | value.to_bits());
    all.trailing_zeros().min(63) as u8
}

/// As fractions, with one divisor for all or each with its own.
fn fractions(values: &[f64]) -> Option<Draft> {
    let places = fraction::places(values)?;
    let scale = Unit::Decimal { places, multiple: 1 }.scale()?;
    let mut divisor = 1;
    let found = values.iter().map(|value| {
        let fraction = Fraction::of(*value, scale).unwrap_or(Fraction { number: 0, divisor });
        divisor = fraction.divisor;
        fraction
    });
    let found: Vec<Fraction> = found.collect();
    let draft = of_fractions(values, places, scale, &found);
    let Some(divisor) = fraction::common_divisor(&found) else { return Some(draft) };
    let common = |value: &f64| Fraction { number: scale.number(value * divisor as f64), divisor };
    let found: Vec<Fraction> = values.iter().map(common).collect();
    Some(draft.or(of_fractions(values, places, scale, &found)))
}

fn of_fractions(values: &[f64], places: u8, scale: Scale, found: &[Fraction]) -> Draft {
    let meant = found.iter().map(|fraction| (fraction.number, fraction.value(scale)));
    let Points { numbers, leftovers } = Points::collect(values, meant);
    let divisors = found.iter().map(|fraction| fraction.divisor).collect();
    Draft::of(Form::Fraction { places }, vec![Stream::new(divisors), Stream::new(numbers)], leftovers)
}

/// As entries of a dictionary; `None` if there are too many different ones.
fn few(values: &[f64]) -> Option<Draft> {
    let mut entries: Vec<i64> = Vec::new();
    for value in values {
        if let Err(at) = entries.binary_search(&ordered(*value)) {
            entries.insert(at, ordered(*value));
        }
        if entries.len() > FEW_MAX.min(2 + values.len() / 4) {
            return None;
        }
    }
    let index = |value: &f64| entries.binary_search(&ordered(*value)).unwrap_or(0) as i64;
    let indexes = values.iter().map(index).collect();
    let form = Form::Dictionary { more: u8::try_from(entries.len().checked_sub(1)?).ok()? };
    Some(Draft::of(form, vec![Stream::new(entries), Stream::new(indexes)], Leftovers::default()))
}
