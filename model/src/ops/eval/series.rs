//! Series-valued nodes: a grid, and columns computed on demand.

use std::borrow::Cow;
use std::rc::Rc;

use super::rolling::Window;
use super::{Columns, EvalError, Laid, grid};
use crate::ops::expr::{Binary, Change, Unary};
use crate::ops::period::Period;
use crate::ops::resample::{Groups, differences};
use crate::time::{SECOND, Timestamp};

/// `width` columns over one grid.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) times: Rc<[Timestamp]>,
    pub(super) period: Period,
    pub(super) width: usize,
    pub(super) source: Source,
}

/// Where the columns of a [`Series`] come from.
#[derive(Debug)]
pub(super) enum Source {
    /// These series of the query.
    Inputs(Vec<usize>),
    /// Computed already; one column.
    Ready(Vec<f64>),
    /// Each column of another, transformed.
    Mapped(Box<Series>, Map),
    /// Column with column; or with the one of the other side.
    Paired(Binary, Box<Series>, Box<Series>),
}

/// What is done to one column. Some shorten it: the grid of the [`Series`] fits the result.
#[derive(Debug)]
pub(super) enum Map {
    Unary(Unary),
    /// The number stands on the right.
    Number(Binary, f64),
    /// The number stands on the left.
    NumberFirst(Binary, f64),
    Change(Change),
    Rolling(Window),
    Resample(Groups),
}

impl<C: Columns + ?Sized> Laid<'_, C> {
    /// The values of one column, as many as `series.times`.
    pub(super) fn column<'s>(
        &'s self,
        series: &'s Series,
        index: usize,
    ) -> Result<Cow<'s, [f64]>, EvalError<C::Error>> {
        match &series.source {
            Source::Inputs(inputs) => self.input(inputs[index]),
            Source::Ready(values) => Ok(Cow::Borrowed(values)),
            Source::Mapped(of, map) => {
                let values = self.column(of, index)?;
                Ok(Cow::Owned(map.apply(values, &of.times)))
            }
            Source::Paired(operator, left, right) => {
                let column_of = |side: &'s Series| self.column(side, if side.width == 1 { 0 } else { index });
                let (mut left, right) = (column_of(left)?.into_owned(), column_of(right)?);
                let function = operator.function();
                left.iter_mut().zip(&*right).for_each(|(a, b)| *a = function(*a, *b));
                Ok(Cow::Owned(left))
            }
        }
    }

    fn input(&self, series: usize) -> Result<Cow<'_, [f64]>, EvalError<C::Error>> {
        let column = self.inputs.columns.read(series).map_err(EvalError::Read)?;
        Ok(grid::place(column, &self.times, self.inputs.query.holes.fill()))
    }
}

impl Map {
    fn apply(&self, values: Cow<'_, [f64]>, times: &[Timestamp]) -> Vec<f64> {
        match self {
            Map::Unary(operator) => in_place(values, operator.function()),
            Map::Number(operator, number) => {
                let function = operator.function();
                in_place(values, |value| function(value, *number))
            }
            Map::NumberFirst(operator, number) => {
                let function = operator.function();
                in_place(values, |value| function(*number, value))
            }
            Map::Change(Change::Plain) => differences(&values),
            Map::Change(Change::PerSecond) => per_second(&values, times),
            Map::Rolling(window) => window.apply(&values),
            Map::Resample(groups) => groups.apply(&values),
        }
    }
}

fn in_place(values: Cow<'_, [f64]>, function: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut values = values.into_owned();
    values.iter_mut().for_each(|value| *value = function(*value));
    values
}

/// Differences by the seconds they took; the first time has NaN.
fn per_second(values: &[f64], times: &[Timestamp]) -> Vec<f64> {
    let seconds = times.windows(2).map(|pair| (pair[1].ns() - pair[0].ns()) as f64 / SECOND as f64);
    let rates = differences(values).into_iter().zip(seconds).map(|(change, seconds)| change / seconds);
    let first = values.first().map(|_| f64::NAN);
    first.into_iter().chain(rates).collect()
}
