//! What evaluations read, and what they refuse.

use std::cell::RefCell;

use orzo_model::ops::{
    Answers, ColumnReader, EvalError, Expr, Fill, Holes, Limits, Query, Refusal, evaluate,
};
use orzo_model::{Column, Granularity, SECOND};
use serde_json::json;

use crate::vectors::at;

const THREE: &str = "(metric (a mean) (b mean) (c mean))";

fn second() -> Granularity {
    Granularity::from_ns(SECOND).unwrap()
}

fn column(series: usize) -> Column {
    (0..10).map(|second| (at(second * SECOND), (series * 10) as f64 + second as f64)).collect()
}

fn query<'a>(expr: &'a Expr, series: &'a [usize]) -> Query<'a> {
    let (holes, limits) = (Holes::Fill(Fill::Drop), Limits::default());
    Query { expr, series, holes, start: None, stop: None, limits }
}

/// Reads of an expression over three series, in order.
fn reads(operations: &str, room_points: usize) -> Vec<usize> {
    let expr = Expr::parse(&json!(operations.replace("THREE", THREE))).unwrap();
    let reads = RefCell::new(Vec::new());
    let reader = ColumnReader::new(3, room_points, |series| {
        reads.borrow_mut().push(series);
        Ok::<_, ()>(column(series))
    });
    evaluate(&query(&expr, &[0, 1, 2]), second(), &reader).unwrap();
    reads.into_inner()
}

#[test]
fn columns_are_read_one_after_the_other() {
    assert_eq!(reads("(aggregate mean THREE)", 0), [0, 1, 2, 0, 1, 2]);
    assert_eq!(reads("(abs THREE)", 0), [0, 1, 2, 0, 1, 2]);
    assert_eq!(reads("(- THREE (aggregate min THREE))", 0), [0, 1, 2, 0, 1, 2, 0], "one column comes out");
    let share = "(aggregate max (/ THREE (aggregate sum THREE)))";
    assert_eq!(reads(share, 0), [0, 1, 2, 0, 1, 2, 0, 1, 2], "the sum is computed once");
}

#[test]
fn what_fits_is_read_once() {
    assert_eq!(reads("(aggregate mean THREE)", 30), [0, 1, 2]);
    assert_eq!(reads("(aggregate mean THREE)", 29), [0, 1, 2, 2]);
}

#[test]
fn errors_of_reading_come_through() {
    let expr = Expr::parse(&json!("(metric a mean)")).unwrap();
    let reader = ColumnReader::new(1, 0, |_| Err::<Column, _>("disk"));
    assert_eq!(evaluate(&query(&expr, &[0]), second(), &reader), Err(EvalError::Read("disk")));
}

fn refused(operations: &str, series: &[usize], limits: Limits) -> Refusal {
    let expr = Expr::parse(&json!(operations)).unwrap();
    let columns: Vec<Column> = (0..series.len()).map(column).collect();
    let query = Query { limits, ..query(&expr, series) };
    match evaluate(&query, second(), columns.as_slice()) {
        Err(EvalError::Refused(refusal)) => refusal,
        other => panic!("{operations}: {other:?}"),
    }
}

#[test]
fn limits_are_named() {
    let limits = |series, points| Limits { series, points };
    let series = refused("(metric a mean)", &[0, 0, 0], limits(2, 1000));
    assert!(series.reason.starts_with("Too many series: 3 found, the limit query_series is 2"));
    let points = refused("(metric a mean)", &[0, 0, 0], limits(3, 29));
    assert!(points.reason.starts_with("Too many points: 30 found, the limit query_points is 29"));
    let twice = refused("(+ (metric a mean) (metric a mean))", &[0, 0, 0], limits(3, 59));
    assert!(twice.reason.starts_with("Too many points: 60 found, the limit query_points is 59"));
    assert_eq!(twice.cause, "Query over its limit");
}

#[test]
fn operands_must_fit_together() {
    let all = Limits::default();
    let shapes = refused("(- (metric (a mean) (b mean)) (metric (c mean)))", &[0, 1, 2, 2, 2], all);
    assert!(shapes.reason.starts_with("Can't pair 2 series with 3: ['metric', ['a', 'mean']"), "{shapes}");
    assert_eq!(shapes.detail.as_array().map(Vec::len), Some(5));
    let none = refused("(- (metric a mean) (metric b mean))", &[0, 0], all);
    assert!(none.reason.starts_with("An operand has no series"), "{none}");
    let grids = refused("(clip (metric a mean) (metric a mean) (rateofchange (metric a mean)))", &[0], all);
    assert!(grids.reason.starts_with("Can't compute timeseries with different granularity"), "{grids}");
}

#[test]
fn a_reference_without_series_is_an_empty_column() {
    let expr = Expr::parse(&json!("(+ (aggregate count (metric nothing mean)) (metric a mean))")).unwrap();
    let answer = evaluate(&query(&expr, &[1]), second(), [column(0)].as_slice()).unwrap();
    assert_eq!(answer.series, Answers::Aggregated(column(0)));
}

#[test]
fn legacy_expressions_resample_first() {
    let reference = |name: &str| orzo_model::ops::Reference { name: name.into(), method: "max".into() };
    let references = || vec![reference("a"), reference("b")];
    let method = orzo_model::Method::MAX;
    let month = orzo_model::ops::Period::parse("M").unwrap();
    let expr = Expr::legacy(references(), "sum", Some((method, month))).unwrap();
    assert_eq!(
        expr.to_string(),
        "['aggregate', 'sum', ['resample', 'max', 'M', ['metric', ['a', 'max'], ['b', 'max']]]]"
    );
    let columns = [column(0), column(1)];
    let answer = evaluate(&query(&expr, &[0, 1]), second(), columns.as_slice()).unwrap();
    assert_eq!(answer.period, month);
    assert_eq!(answer.series, Answers::Aggregated([(at(0), 9.0 + 19.0)].into_iter().collect()));
    let refusal = Expr::legacy(references(), "95pct", None).unwrap_err();
    assert_eq!(refusal.detail, "reaggregation");
    let rate = orzo_model::Method::parse("rate:mean").unwrap();
    assert_eq!(Expr::legacy(references(), "mean", Some((rate, month))).unwrap_err().detail, "resample");
}
