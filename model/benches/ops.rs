//! `aggregate` over many series: 200 of a day of minutes each, from memory, so without decoding.
//!
//! Throughput is in cells (times × series); the aim is 15 ns each for the mean.

use criterion::{BenchmarkId, Criterion, Throughput};
use orzo_model::ops::{Answer, Expr, Fill, Holes, Limits, Query, evaluate};
use orzo_model::{Column, Granularity, SECOND, Timestamp};
use serde_json::json;

const SERIES: usize = 200;
const MINUTES: u64 = 1440;

/// `keep` of every eight minutes.
fn columns(keep: u64) -> Vec<Column> {
    let start = 1_704_067_200 * SECOND;
    let value = |series: u64, minute: u64| ((series * 31 + minute * 17) % 1009) as f64 / 8.0;
    let column = |series: u64| {
        let minutes = (0..MINUTES).filter(|minute| (minute + series) % 8 < keep);
        minutes
            .map(|minute| {
                (Timestamp::saturating_from_ns(start + minute * 60 * SECOND), value(series, minute))
            })
            .collect()
    };
    (0..SERIES as u64).map(column).collect()
}

fn run(expr: &Expr, fill: Fill, columns: &[Column]) -> Answer {
    let query = Query {
        expr,
        series: &(0..columns.len()).collect::<Vec<_>>(),
        holes: Holes::Fill(fill),
        start: None,
        stop: None,
        limits: Limits::default(),
    };
    let minute = Granularity::from_ns(60 * SECOND).expect("a minute is a width");
    evaluate(&query, minute, columns).expect("nothing is out of order")
}

fn expression(template: &str) -> Expr {
    let references = (0..SERIES).map(|series| format!(" (m{series} mean)")).collect::<String>();
    let metric = format!("(metric{references})");
    Expr::parse(&json!(template.replace("METRIC", &metric))).expect("the expression is valid")
}

fn across(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("across");
    group.throughput(Throughput::Elements(SERIES as u64 * MINUTES));
    let (complete, sparse) = (columns(8), columns(5));
    for statistic in ["mean", "sum", "max", "std", "median"] {
        let expr = expression(&format!("(aggregate {statistic} METRIC)"));
        group.bench_function(BenchmarkId::new(statistic, "complete"), |bencher| {
            bencher.iter(|| run(&expr, Fill::Drop, &complete));
        });
        group.bench_function(BenchmarkId::new(statistic, "holes"), |bencher| {
            bencher.iter(|| run(&expr, Fill::Drop, &sparse));
        });
    }
    let expr = expression("(aggregate sum METRIC)");
    group.bench_function("sum/ffill", |bencher| bencher.iter(|| run(&expr, Fill::Forward, &sparse)));
    group.finish();
}

fn along(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("along");
    group.throughput(Throughput::Elements(SERIES as u64 * MINUTES));
    let complete = columns(8);
    for (name, template) in [
        ("arithmetic", "(* (+ METRIC 1) 2)"),
        ("rolling mean", "(rolling mean 60 METRIC)"),
        ("rolling median", "(rolling median 60 METRIC)"),
        ("resample mean", "(resample mean 1h METRIC)"),
    ] {
        let expr = expression(template);
        group.bench_function(name, |bencher| bencher.iter(|| run(&expr, Fill::Drop, &complete)));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    across(&mut criterion);
    along(&mut criterion);
    criterion.final_summary();
}
