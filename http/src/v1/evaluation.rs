//! Computing over stored series: the one place where expressions meet the engine.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use hyper::StatusCode;
use orzo_model::metric::Metric;
use orzo_model::ops::{
    Answer, Columns, EvalError, Expr, GranularityError, Holes, POINTS_KEPT, Query, Resolved,
    common_granularities, evaluate,
};
use orzo_model::{Column, Granularity, Method, Timestamp};

use crate::call::Call;
use crate::engine;
use crate::error::{ApiError, Outcome};
use crate::json::Value;

/// Series asked of the engine at a time: enough to keep all cores at work.
const SERIES_READ_TOGETHER: usize = 256;

/// A series to compute with.
pub(super) struct Input<'a> {
    pub(super) metric: &'a Metric,
    /// What errors call it: its id, or its name where resources are searched.
    pub(super) name: &'a str,
    /// Which reference of the expression it stands for.
    pub(super) reference: usize,
}

/// What to compute.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) expr: &'a Expr,
    pub(super) granularity: Option<Granularity>,
    pub(super) holes: Holes,
    pub(super) start: Option<Timestamp>,
    pub(super) stop: Option<Timestamp>,
    /// How many are computed side by side, this one among them.
    pub(super) beside: usize,
}

/// Computes over at least one series, in each common granularity, coarsest first.
pub(super) fn compute(
    call: &Call<'_>,
    task: Task<'_>,
    inputs: &[Input<'_>],
) -> Outcome<Vec<(Granularity, Answer)>> {
    let references = task.expr.references();
    let resolved: Vec<Resolved<'_>> = inputs
        .iter()
        .map(|input| Resolved::new(&references[input.reference], input.name, &input.metric.policy))
        .collect();
    let granularities = common_granularities(&resolved, task.granularity).map_err(|error| match error {
        GranularityError::UnknownMethod(position) => unknown_method(&inputs[position], &resolved[position]),
        GranularityError::NoMatch(refusal) | GranularityError::Missing(_, refusal) => refusal.into(),
    })?;
    compute_in(call, task, inputs, granularities)
}

/// Computes in granularities that are known to be common, of methods that are known to be there.
pub(super) fn compute_in(
    call: &Call<'_>,
    task: Task<'_>,
    inputs: &[Input<'_>],
    granularities: Vec<Granularity>,
) -> Outcome<Vec<(Granularity, Answer)>> {
    call.allowance.take_series(inputs.len())?;
    let series: Vec<usize> = inputs.iter().map(|input| input.reference).collect();
    let query = Query {
        expr: task.expr,
        series: &series,
        holes: task.holes,
        start: task.start,
        stop: task.stop,
        limits: call.allowance.limits(),
    };
    granularities
        .into_iter()
        .map(|granularity| {
            let stored = Stored::new(call, task, inputs, granularity);
            let answer = evaluate(&query, granularity, &stored).map_err(|error| match error {
                EvalError::Refused(refusal) => refusal.into(),
                EvalError::Read(error) => error,
            })?;
            Ok((granularity, answer))
        })
        .collect()
}

/// 404: the policy of a metric lacks the method.
fn unknown_method(input: &Input<'_>, resolved: &Resolved<'_>) -> ApiError {
    let pair = Value::list([input.metric.id.to_string(), resolved.method.to_owned()]);
    let entries = [("cause", "Metrics with unknown aggregation".into()), ("detail", Value::List(vec![pair]))];
    ApiError::object(StatusCode::NOT_FOUND, entries)
}

/// The columns of one granularity, read when needed and kept while there is room.
struct Stored<'a> {
    call: &'a Call<'a>,
    task: Task<'a>,
    inputs: &'a [Input<'a>],
    granularity: Granularity,
    kept: Vec<OnceCell<Column>>,
    room: Cell<usize>,
}

impl<'a> Stored<'a> {
    fn new(call: &'a Call<'a>, task: Task<'a>, inputs: &'a [Input<'a>], granularity: Granularity) -> Self {
        let kept = inputs.iter().map(|_| OnceCell::new()).collect();
        Stored { call, task, inputs, granularity, kept, room: Cell::new(POINTS_KEPT / task.beside) }
    }

    fn query(&self, series: usize) -> engine::Query {
        let input = &self.inputs[series];
        let method = &self.task.expr.references()[input.reference].method;
        engine::Query {
            metric: input.metric.id,
            policy: input.metric.policy.clone(),
            method: Method::parse(method).expect("common granularities are found only of known methods"),
            granularity: self.granularity,
            start: self.task.start.map(|start| start.floor(self.granularity)),
            stop: self.task.stop,
        }
    }

    /// The series to read together with this one: what comes next, while there is room to keep it.
    fn with_next(&self, series: usize) -> Vec<usize> {
        let together = if self.room.get() == 0 { 1 } else { SERIES_READ_TOGETHER };
        let end = (series + together).min(self.inputs.len());
        (series..end).filter(|next| self.kept[*next].get().is_none()).collect()
    }

    /// Keeps a column, or gives it back and keeps none any more.
    fn keep(&self, series: usize, column: Column) -> Option<Column> {
        match self.room.get().checked_sub(column.len()) {
            Some(room) => {
                self.room.set(room);
                self.kept[series].set(column).err()
            }
            None => {
                self.room.set(0);
                Some(column)
            }
        }
    }
}

impl Columns for Stored<'_> {
    type Error = ApiError;

    fn read(&self, series: usize) -> Result<Cow<'_, Column>, ApiError> {
        if let Some(column) = self.kept[series].get() {
            return Ok(Cow::Borrowed(column));
        }
        let wanted = self.with_next(series);
        let queries: Vec<engine::Query> = wanted.iter().map(|series| self.query(*series)).collect();
        let mut owned = None;
        for (read, column) in wanted.into_iter().zip(self.call.read_all(&queries, self.task.beside)?) {
            let refused = self.keep(read, column);
            if read == series {
                owned = refused;
            }
        }
        match (owned, self.kept[series].get()) {
            (None, Some(column)) => Ok(Cow::Borrowed(column)),
            (owned, _) => Ok(Cow::Owned(owned.unwrap_or_default())),
        }
    }
}
