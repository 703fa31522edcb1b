//! The pure part of the query engine: expressions, their evaluation, resampling, predicates.
//!
//! Nothing here reads a store or speaks HTTP. The contract is `queries.md`; where an error is the
//! client's fault it is a [`Refusal`], whose three fields the API prints as they are, with status 400.
//!
//! # Measures of one metric (`resample=`)
//!
//! 1. [`Period::parse`] the parameter: a span or a calendar letter.
//! 2. [`Resample::new`]; fetch from [`Resample::read_start`] to [`Resample::read_stop`], which is more
//!    than the client asked for; [`Resample::apply`] groups and cuts.
//!
//! # `/v1/aggregates`
//!
//! 1. Parameters, in the order in which errors are reported: [`parse_overlap`], start, stop, granularity,
//!    [`Fill::parse`]; then [`Holes::of_aggregates`].
//! 2. [`Expr::parse`] the member `operations`. [`Expr::references`] are the series asked for.
//! 3. Resolve them. The result is a list of series, each with the position of the reference it stands
//!    for: one per reference with ids; with resources, for each resource, for each reference, each metric
//!    that matches. Call [`Limits::check_series`] before reading. A group of a `groupby` is such a list.
//! 4. [`common_granularities`] over all of them.
//! 5. For each granularity [`evaluate`] a [`Query`] over [`Columns`], which are in memory
//!    (`[Column]`) or read as needed ([`ColumnReader`], with [`POINTS_KEPT`] or so). Bounds are applied
//!    by the evaluation: reading more than the range is safe.
//! 6. Print [`Answers::Aggregated`] as `aggregated`, or [`Answers::Each`] under the ids of the series,
//!    with [`Answer::period`] as granularity.
//!
//! With `use_history`: [`spans`] of the revisions of each resource; evaluate each revision over its own
//! [`Span`]; add to the [`Total`] of its group. It needs an [`Expr::is_aggregated`] expression; of any
//! other, every group is empty.
//!
//! # `/v1/aggregation`
//!
//! The same with [`Expr::legacy`] and [`Holes::of_aggregation`], if there are several metrics.
//!
//! # `/v1/search/metric`
//!
//! [`Predicate::parse`] the body, then [`Predicate::holds`] of each value.

mod eval;
mod expr;
mod fill;
mod granularities;
mod history;
mod limits;
mod period;
mod predicate;
mod refusal;
mod resample;

pub use eval::{Answer, Answers, ColumnReader, Columns, EvalError, Query, evaluate};
pub use expr::{Expr, Reference};
pub use fill::{Fill, Holes, parse_overlap};
pub use granularities::{GranularityError, Resolved, common_granularities};
pub use history::{Revision, Span, Total, spans};
pub use limits::{HOW_TO_NARROW, Limits, OPERATION_DEPTH, OPERATION_NODES, POINTS_KEPT};
pub use period::{Calendar, Period};
pub use predicate::{Predicate, PredicateError};
pub use refusal::Refusal;
pub use resample::Resample;
