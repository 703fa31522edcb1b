//! Evaluation of expressions over stored columns, one granularity at a time.
//!
//! All series of a query share one time grid, the union of their labels. A node of the tree is not a
//! matrix: it knows its grid and computes any one of its columns when asked. So `aggregate` adds up one
//! column after the other, and memory is a few rows of the grid plus the answer, however many series
//! there are. (The median, which needs whole cells, gathers a bounded tile of rows at a time.)
//!
//! Contract: `queries.md` 5.5 to 7.

mod across;
mod columns;
mod grid;
mod median;
mod plan;
mod rolling;
mod series;

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Value, json};

pub use columns::{ColumnReader, Columns};

use super::expr::Expr;
use super::fill::Holes;
use super::limits::Limits;
use super::period::Period;
use super::refusal::Refusal;
use crate::column::Column;
use crate::time::{Granularity, Timestamp};
use grid::Bounds;
use series::Series;

/// What is evaluated; the same for every granularity.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The operations.
    pub expr: &'a Expr,
    /// For each series, in the order of the answer, the reference ([`Expr::references`]) it stands for.
    /// Several series may stand for one reference, and none for another; there is at least one.
    pub series: &'a [usize],
    /// How holes are treated.
    pub holes: Holes,
    /// Inclusive; floored to the granularity.
    pub start: Option<Timestamp>,
    /// Exclusive.
    pub stop: Option<Timestamp>,
    /// How much may be computed.
    pub limits: Limits,
}

/// The answer for one granularity.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What to print as granularity: that of the query unless resampled.
    pub period: Period,
    /// The series that came out.
    pub series: Answers,
}

/// The series of an [`Answer`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// One, of an expression that [aggregates](Expr::is_aggregated).
    Aggregated(Column),
    /// One for each series of the query, in their order.
    Each(Vec<Column>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError<E> {
    /// The client's doing: 400.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A column could not be read.
    #[error("a column could not be read")]
    Read(E),
}

/// Evaluates a query over the columns of one granularity.
///
/// # Errors
/// [`EvalError::Refused`] if the series overlap too little, a rolling window is longer than the grid,
/// operands do not fit together, or a limit is passed.
pub fn evaluate<C: Columns + ?Sized>(
    query: &Query<'_>,
    granularity: Granularity,
    columns: &C,
) -> Result<Answer, EvalError<C::Error>> {
    query.limits.check_series(query.series.len())?;
    let inputs = Inputs { query, bounds: Bounds::new(query.start, query.stop, granularity), columns };
    let times = inputs.trim(inputs.grid()?)?;
    let inputs = Laid { inputs, times: times.into(), leaves: Cell::new(0) };
    let root = inputs.plan(query.expr.root(), Period::Span(granularity))?;
    let series = inputs.answers(&root)?;
    Ok(Answer { period: root.period, series })
}

/// The series of a query before they are laid on a grid.
struct Inputs<'a, C: ?Sized> {
    query: &'a Query<'a>,
    bounds: Bounds,
    columns: &'a C,
}

impl<C: Columns + ?Sized> Inputs<'_, C> {
    /// The union of all labels.
    fn grid(&self) -> Result<Vec<Timestamp>, EvalError<C::Error>> {
        let mut times = Vec::new();
        for series in 0..self.query.series.len() {
            let column = self.columns.read(series).map_err(EvalError::Read)?;
            grid::unite(&mut times, &column.starts[self.bounds.of(&column.starts)]);
            self.query.limits.check_points(times.len().saturating_mul(self.query.series.len()))?;
        }
        Ok(times)
    }

    /// Checks the overlap if one is needed, and cuts what lies outside of it where the query is open.
    fn trim(&self, mut times: Vec<Timestamp>) -> Result<Vec<Timestamp>, EvalError<C::Error>> {
        let Holes::Overlap(needed) = self.query.holes else { return Ok(times) };
        let overlap = self.overlap(&times)?;
        let (Some(&first), Some(&last)) = (overlap.first(), overlap.last()) else {
            return if needed > 0.0 { Err(self.refuse("No overlap".to_owned()).into()) } else { Ok(times) };
        };
        if self.query.stop.is_none() {
            times.truncate(last + 1);
        }
        if self.query.start.is_none() {
            times.drain(..first);
        }
        let percent = overlap.len() as f64 * 100.0 / times.len() as f64;
        if percent < needed {
            let reason =
                format!("Less than {needed:.6}% of datapoints overlap in this timespan ({percent:.2}%)");
            return Err(self.refuse(reason).into());
        }
        Ok(times)
    }

    /// Positions at which every series has a value.
    fn overlap(&self, times: &[Timestamp]) -> Result<Vec<usize>, EvalError<C::Error>> {
        let mut complete = vec![true; times.len()];
        for series in 0..self.query.series.len() {
            let column = self.columns.read(series).map_err(EvalError::Read)?;
            let cells = grid::place(column, times, self.query.holes.fill());
            complete.iter_mut().zip(&*cells).for_each(|(all, cell)| *all &= !cell.is_nan());
        }
        Ok((0..times.len()).filter(|position| complete[*position]).collect())
    }

    fn refuse(&self, reason: String) -> Refusal {
        Refusal::series(reason, self.detail())
    }

    /// The reference of each series, as written.
    fn detail(&self) -> Value {
        let references = self.query.expr.references();
        let pair = |series: &usize| json!([references[*series].name, references[*series].method]);
        self.query.series.iter().map(pair).collect()
    }
}

/// The series of a query on their grid.
struct Laid<'a, C: ?Sized> {
    inputs: Inputs<'a, C>,
    times: Rc<[Timestamp]>,
    /// Columns that the references in the tree planned so far stand for.
    leaves: Cell<usize>,
}

impl<C: Columns + ?Sized> Laid<'_, C> {
    fn answers(&self, root: &Series) -> Result<Answers, EvalError<C::Error>> {
        let query = self.inputs.query;
        if query.expr.is_aggregated() {
            return Ok(Answers::Aggregated(self.answer(root, 0)?));
        }
        let each = (0..query.series.len()).map(|series| self.answer(root, series));
        Ok(Answers::Each(each.collect::<Result<_, _>>()?))
    }

    fn answer(&self, root: &Series, series: usize) -> Result<Column, EvalError<C::Error>> {
        let values = self.column(root, series)?;
        let finite_only = self.inputs.query.holes.keeps_finite_only();
        if finite_only && !values.iter().all(|value| value.is_finite()) {
            let rows = root.times.iter().copied().zip(values.iter().copied());
            return Ok(rows.filter(|(_, value)| value.is_finite()).collect());
        }
        Ok(Column { starts: root.times.to_vec(), values: values.into_owned() })
    }
}
