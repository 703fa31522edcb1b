//! The obvious evaluator: a table of optional cells, each node a new table. Compared with the engine on
//! random series and expressions.
//!
//! Values are multiples of a half and discontinuous operations stand only over exact ones, so that the
//! order of additions cannot turn into a visible difference.

use std::collections::{BTreeMap, BTreeSet};

use orzo_model::ops::{Answers, EvalError, Expr, Fill, Holes, Limits, Query, evaluate};
use orzo_model::rollup::{evaluate as bucket, sort_values};
use orzo_model::{Column, Granularity, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::vectors::{at, close, list, number, text};

const SECOND: u64 = 1_000_000_000;
const REFERENCES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
struct Table {
    width_ns: u64,
    times: Vec<u64>,
    columns: usize,
    /// One for each time, one cell for each column; NaN is no value.
    rows: Vec<Vec<Option<f64>>>,
    aggregated: bool,
}

enum Operand {
    Number(f64),
    Table(Table),
}

/// The beginning of the reason of a refusal.
type Refused = String;

fn cell(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

impl Table {
    fn column(&self, index: usize) -> Vec<Option<f64>> {
        self.rows.iter().map(|row| row[index]).collect()
    }

    /// Replaces every column by one over other times.
    fn by_column(&self, times: Vec<u64>, of: impl Fn(&[Option<f64>]) -> Vec<Option<f64>>) -> Table {
        let columns: Vec<_> = (0..self.columns).map(|index| of(&self.column(index))).collect();
        let rows = (0..times.len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
        Table { times, rows, ..self.clone() }
    }

    fn by_cell(&self, of: impl Fn(Option<f64>) -> Option<f64>) -> Table {
        self.by_column(self.times.clone(), |column| column.iter().map(|cell| of(*cell)).collect())
    }
}

fn statistic(name: &str, cells: &[Option<f64>]) -> Option<f64> {
    let mut values: Vec<f64> = cells.iter().copied().flatten().collect();
    let (count, sum) = (values.len() as f64, values.iter().sum::<f64>());
    let variance = || values.iter().map(|value| (value - sum / count).powi(2)).sum::<f64>() / count;
    cell(match name {
        "sum" => sum + 0.0,
        "count" => count,
        "mean" => sum / count,
        "var" => variance(),
        "std" => variance().sqrt(),
        "min" => values.iter().copied().fold(f64::NAN, f64::min),
        "max" => values.iter().copied().fold(f64::NAN, f64::max),
        "median" => {
            sort_values(&mut values);
            match values.len() {
                0 => f64::NAN,
                len => (values[(len - 1) / 2] + values[len / 2]) / 2.0,
            }
        }
        other => panic!("{other} is no statistic"),
    })
}

fn combine(name: &str, a: Option<f64>, b: Option<f64>) -> Option<f64> {
    if let (None, None) | (None, Some(_)) | (Some(_), None) = (a, b) {
        return match name {
            "<" | ">" | "<=" | ">=" | "=" => Some(0.0),
            "!=" => Some(1.0),
            "max" => a.or(b),
            _ => None,
        };
    }
    let (a, b) = (a.unwrap(), b.unwrap());
    cell(match name {
        "<" => f64::from(a < b),
        ">" => f64::from(a > b),
        "<=" => f64::from(a <= b),
        ">=" => f64::from(a >= b),
        "=" => f64::from(a == b),
        "!=" => f64::from(a != b),
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a - b * (a / b).floor(),
        "max" | "clip_min" => a.max(b),
        "clip_max" => a.min(b),
        other => panic!("{other} is not generated"),
    })
}

fn difference(column: &[Option<f64>]) -> Vec<Option<f64>> {
    let minus = |pair: &[Option<f64>]| cell(pair[1]? - pair[0]?);
    column.windows(2).map(minus).collect()
}

fn later(times: &[u64]) -> Vec<u64> {
    times.iter().skip(1).copied().collect()
}

fn split_rate(name: &str) -> (&str, bool) {
    name.strip_prefix("rate:").map_or((name, false), |plain| (plain, true))
}

fn table(tree: &Value, input: &Table, references: &[&str]) -> Result<Table, Refused> {
    match eval(tree, input, references)? {
        Operand::Table(table) => Ok(table),
        Operand::Number(_) => panic!("{tree} is not generated"),
    }
}

fn eval(tree: &Value, input: &Table, references: &[&str]) -> Result<Operand, Refused> {
    let Some(parts) = tree.as_array() else { return Ok(Operand::Number(number(tree))) };
    let sub = || table(&parts[parts.len() - 1], input, references);
    let name = text(&parts[0]);
    Ok(Operand::Table(match (name, parts.len()) {
        ("metric", _) => {
            let asked: BTreeSet<&str> = parts[1..].iter().map(|pair| text(&pair[0])).collect();
            let keep = |row: &Vec<Option<f64>>| {
                let named = row.iter().zip(references).filter(|(_, name)| asked.contains(**name));
                named.map(|(cell, _)| *cell).collect()
            };
            Table { columns: asked.len(), rows: input.rows.iter().map(keep).collect(), ..input.clone() }
        }
        ("aggregate", _) => aggregate(text(&parts[1]), &sub()?),
        ("rolling", _) => rolling(text(&parts[1]), parts[2].as_u64().unwrap() as usize, &sub()?)?,
        ("resample", _) => resample(text(&parts[1]), &parts[2], &sub()?),
        ("rateofchange", _) => {
            let sub = sub()?;
            sub.by_column(later(&sub.times), difference)
        }
        ("rateofchangesec", _) => per_second(&sub()?),
        ("abs", _) => sub()?.by_cell(|cell| cell.map(f64::abs)),
        ("neg", _) => sub()?.by_cell(|cell| cell.map(|value| -value)),
        ("floor", _) => sub()?.by_cell(|cell| cell.map(f64::floor)),
        ("ceil", _) => sub()?.by_cell(|cell| cell.map(f64::ceil)),
        ("clip", _) => {
            let bounded = table(&parts[1], input, references)?;
            let (low, high) = (number(&parts[2]), number(&parts[3]));
            bounded.by_cell(|cell| cell.map(|value| value.max(low).min(high)))
        }
        (name, 3) => {
            let (left, right) = (eval(&parts[1], input, references)?, eval(&parts[2], input, references)?);
            return binary(name, left, right);
        }
        (other, _) => panic!("{other} is not generated"),
    }))
}

fn aggregate(name: &str, sub: &Table) -> Table {
    let (plain, rate) = split_rate(name);
    let rows = sub.rows.iter().map(|row| vec![statistic(plain, row)]).collect();
    let one = Table { columns: 1, rows, aggregated: true, ..sub.clone() };
    if rate { one.by_column(later(&one.times), difference) } else { one }
}

fn rolling(name: &str, size: usize, sub: &Table) -> Result<Table, Refused> {
    let (plain, rate) = split_rate(name);
    if size > sub.times.len() {
        return Err(format!("Rolling window '{size}' is greater than serie length '{}'", sub.times.len()));
    }
    let rolled = sub.by_column(sub.times[size - 1..].to_vec(), |column| {
        column.windows(size).map(|window| statistic(plain, window)).collect()
    });
    Ok(if rate { rolled.by_column(later(&rolled.times), difference) } else { rolled })
}

fn resample(name: &str, seconds: &Value, sub: &Table) -> Table {
    let width_ns = (number(seconds) * 1e9) as u64;
    let method = Method::parse(name).unwrap();
    let sub = if method.is_rate() { sub.by_column(later(&sub.times), difference) } else { sub.clone() };
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (row, time) in sub.times.iter().enumerate() {
        groups.entry(time / width_ns * width_ns).or_default().push(row);
    }
    groups.retain(|_, rows| method.to_string() != "std" || rows.len() > 1);
    let of = |column: &[Option<f64>]| {
        let group = |rows: &Vec<usize>| {
            let values: Vec<f64> = rows.iter().map(|row| column[*row].unwrap_or(f64::NAN)).collect();
            let mut sorted = values.clone();
            sort_values(&mut sorted);
            bucket(method.formula(), &values, &sorted).and_then(cell)
        };
        groups.values().map(group).collect()
    };
    Table { width_ns, ..sub.by_column(groups.keys().copied().collect(), of) }
}

fn per_second(sub: &Table) -> Table {
    sub.by_column(sub.times.clone(), |column| {
        let seconds = sub.times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9);
        let rates =
            difference(column).into_iter().zip(seconds).map(|(change, seconds)| Some(change? / seconds));
        column.first().map(|_| None).into_iter().chain(rates).collect()
    })
}

fn binary(name: &str, left: Operand, right: Operand) -> Result<Operand, Refused> {
    let (left, right) = match (left, right) {
        (Operand::Number(a), Operand::Number(b)) => {
            return Ok(Operand::Number(combine(name, cell(a), cell(b)).unwrap_or(f64::NAN)));
        }
        (Operand::Table(table), Operand::Number(b)) => {
            return Ok(Operand::Table(table.by_cell(|a| combine(name, a, cell(b)))));
        }
        (Operand::Number(a), Operand::Table(table)) => {
            return Ok(Operand::Table(table.by_cell(|b| combine(name, cell(a), b))));
        }
        (Operand::Table(left), Operand::Table(right)) => (left, right),
    };
    if left.times != right.times || left.width_ns != right.width_ns {
        return Err("Can't compute timeseries with different granularity".to_owned());
    }
    let (a, b) = (left.columns, right.columns);
    if a != b && a != 1 && b != 1 {
        return Err(format!("Can't pair {a} series with {b}"));
    }
    let columns = a.max(b);
    let pick = |row: &[Option<f64>], index: usize| row[if row.len() == 1 { 0 } else { index }];
    let join = |(l, r): (&Vec<Option<f64>>, &Vec<Option<f64>>)| {
        (0..columns).map(|index| combine(name, pick(l, index), pick(r, index))).collect()
    };
    let rows = left.rows.iter().zip(&right.rows).map(join).collect();
    Ok(Operand::Table(Table { columns, rows, aggregated: true, ..left }))
}

/// The table of all series with holes treated, as the request says.
fn input(case: &Case) -> Result<Table, Refused> {
    let start = case.start.map_or(0, |start| start / SECOND * SECOND);
    let inside = |time: u64| time >= start && case.stop.is_none_or(|stop| time < stop);
    let times: BTreeSet<u64> =
        case.series.iter().flatten().map(|(time, _)| *time).filter(|t| inside(*t)).collect();
    let mut times: Vec<u64> = times.into_iter().collect();
    let lay = |points: &BTreeMap<u64, f64>| fill(case.holes, &times, points);
    let columns: Vec<Vec<Option<f64>>> = case.series.iter().map(lay).collect();
    let mut rows: Vec<Vec<Option<f64>>> =
        (0..times.len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
    if let Holes::Overlap(needed) = case.holes {
        let full: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].iter().all(Option::is_some)).collect();
        if full.is_empty() && needed > 0.0 {
            return Err("No overlap".to_owned());
        }
        if let (Some(first), Some(last)) = (full.first(), full.last()) {
            let first = if case.start.is_none() { *first } else { 0 };
            let end = if case.stop.is_none() { last + 1 } else { rows.len() };
            (times, rows) = (times[first..end].to_vec(), rows[first..end].to_vec());
            let percent = full.len() as f64 * 100.0 / rows.len() as f64;
            if percent < needed {
                return Err(format!(
                    "Less than {needed:.6}% of datapoints overlap in this timespan ({percent:.2}%)"
                ));
            }
        }
    }
    Ok(Table { width_ns: SECOND, times, columns: columns.len(), rows, aggregated: false })
}

fn fill(holes: Holes, times: &[u64], points: &BTreeMap<u64, f64>) -> Vec<Option<f64>> {
    let stored = |time: &u64| points.get(time).copied().and_then(cell);
    let before = |row: usize| times[..=row].iter().rev().find_map(stored);
    let after = |row: usize| times[row..].iter().find_map(stored);
    let one = |row: usize| match holes {
        Holes::Fill(Fill::Forward) => before(row),
        Holes::Fill(Fill::Backward) => after(row),
        Holes::Fill(Fill::FullForward) => before(row).or_else(|| after(row)),
        Holes::Fill(Fill::FullBackward) => after(row).or_else(|| before(row)),
        Holes::Fill(Fill::Number(number)) => cell(points.get(&times[row]).copied().unwrap_or(number)),
        Holes::Fill(Fill::Null | Fill::Drop) | Holes::Overlap(_) => stored(&times[row]),
    };
    (0..times.len()).map(one).collect()
}

#[derive(Clone, Debug)]
struct Case {
    tree: Value,
    series: Vec<BTreeMap<u64, f64>>,
    holes: Holes,
    start: Option<u64>,
    stop: Option<u64>,
}

fn twin(case: &Case, references: &[&str]) -> Result<Table, Refused> {
    table(&case.tree, &input(case)?, references)
}

fn engine(case: &Case, expr: &Expr) -> Result<(Vec<Column>, bool), Refused> {
    let columns: Vec<Column> = case
        .series
        .iter()
        .map(|points| points.iter().map(|(time, value)| (at(*time), *value)).collect())
        .collect();
    let query = Query {
        expr,
        series: &(0..columns.len()).collect::<Vec<_>>(),
        holes: case.holes,
        start: case.start.map(at),
        stop: case.stop.map(at),
        limits: Limits::default(),
    };
    match evaluate(&query, Granularity::from_ns(SECOND).unwrap(), columns.as_slice()) {
        Ok(answer) => match answer.series {
            Answers::Aggregated(column) => Ok((vec![column], true)),
            Answers::Each(columns) => Ok((columns, false)),
        },
        Err(EvalError::Refused(refusal)) => Err(refusal.reason),
        Err(EvalError::Read(never)) => match never {},
    }
}

/// What is printed of a column.
fn printed(table: &Table, index: usize, holes: Holes) -> Vec<(u64, f64)> {
    let all_rows = matches!(holes, Holes::Overlap(_) | Holes::Fill(Fill::Null | Fill::Number(_)));
    let values = table.rows.iter().map(|row| row[index].unwrap_or(f64::NAN));
    table.times.iter().copied().zip(values).filter(|(_, value)| all_rows || value.is_finite()).collect()
}

fn check(mut case: Case) {
    let expr = Expr::parse(&case.tree).unwrap();
    let references: Vec<&str> = expr.references().iter().map(|reference| reference.name.as_str()).collect();
    case.series.truncate(references.len());
    let (expected, got) = (twin(&case, &references), engine(&case, &expr));
    match (expected, got) {
        (Err(expected), Err(got)) => assert!(got.starts_with(&expected), "{got}, expected {expected}"),
        (Ok(table), Ok((columns, aggregated))) => {
            assert_eq!(aggregated, table.aggregated);
            assert_eq!(columns.len(), if aggregated { 1 } else { references.len() });
            for (index, column) in columns.iter().enumerate() {
                let expected = printed(&table, index, case.holes);
                let labels: Vec<u64> = column.starts.iter().map(|start| start.ns()).collect();
                assert_eq!(labels, expected.iter().map(|row| row.0).collect::<Vec<_>>(), "{:?}", case.tree);
                for (got, expected) in column.values.iter().zip(&expected) {
                    assert!(
                        close(*got, expected.1, 1e-10),
                        "{got}, expected {expected:?} of {:?}",
                        case.tree
                    );
                }
            }
        }
        (expected, got) => panic!("{got:?}, expected {expected:?}"),
    }
}

fn pick(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn small() -> impl Strategy<Value = f64> {
    (-8_i32..=8).prop_map(|halves| f64::from(halves) / 2.0)
}

/// References to one to three series.
fn metric() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(&REFERENCES[..], 1..=3).prop_map(|names| {
        let pairs = names.into_iter().map(|name| json!([name, "mean"]));
        Value::Array(std::iter::once(json!("metric")).chain(pairs).collect())
    })
}

const EXACT_ACROSS: [&str; 8] =
    ["sum", "min", "max", "count", "median", "rate:sum", "rate:max", "rate:median"];
const EXACT_RESAMPLE: [&str; 7] = ["sum", "min", "max", "count", "first", "last", "rate:sum"];
const EXACT_BINARY: [&str; 12] =
    ["+", "-", "max", "clip_min", "clip_max", "<", ">", "<=", ">=", "=", "!=", "-"];

/// Expressions whose values are exact whatever the order of additions.
fn exact() -> impl Strategy<Value = Value> {
    metric().prop_recursive(4, 12, 2, |sub| {
        prop_oneof![
            (pick(&EXACT_ACROSS), sub.clone()).prop_map(|(across, sub)| json!(["aggregate", across, sub])),
            (pick(&EXACT_ACROSS), 1..7_u64, sub.clone())
                .prop_map(|(across, size, sub)| json!(["rolling", across, size, sub])),
            (pick(&EXACT_RESAMPLE), 1..6_u64, sub.clone())
                .prop_map(|(method, seconds, sub)| json!(["resample", method, seconds, sub])),
            (pick(&EXACT_BINARY), sub.clone(), sub.clone()).prop_map(|(op, a, b)| json!([op, a, b])),
            (pick(&EXACT_BINARY), sub.clone(), small()).prop_map(|(op, a, b)| json!([op, a, b])),
            (pick(&EXACT_BINARY), small(), sub.clone()).prop_map(|(op, a, b)| json!([op, a, b])),
            (sub.clone(), pick(&["*", "%"]), prop::sample::select(vec![-2.0, 0.5, 4.0]))
                .prop_map(|(a, op, b)| json!([op, a, b])),
            (pick(&["abs", "neg", "floor", "ceil", "rateofchange"]), sub.clone())
                .prop_map(|(op, sub)| json!([op, sub])),
            (sub, small(), small()).prop_map(|(sub, low, high)| json!(["clip", sub, low, high])),
        ]
    })
}

/// Exact ones under one operation that rounds.
fn expression() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => exact(),
        1 => (pick(&["mean", "std", "var", "rate:mean", "rate:std"]), exact())
            .prop_map(|(across, sub)| json!(["aggregate", across, sub])),
        1 => (pick(&["mean", "std", "var", "rate:mean", "rate:var"]), 1..7_u64, exact())
            .prop_map(|(across, size, sub)| json!(["rolling", across, size, sub])),
        1 => (pick(&["mean", "std", "median", "30pct", "95pct", "rate:mean"]), 1..6_u64, exact())
            .prop_map(|(method, seconds, sub)| json!(["resample", method, seconds, sub])),
        1 => (exact(), exact()).prop_map(|(a, b)| json!(["/", a, b])),
        1 => exact().prop_map(|sub| json!(["rateofchangesec", sub])),
    ]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (-40_i32..=40).prop_map(|halves| f64::from(halves) / 2.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ]
}

fn series() -> impl Strategy<Value = BTreeMap<u64, f64>> {
    prop::collection::btree_map((0..20_u64).prop_map(|second| second * SECOND), value(), 0..16)
}

const FILLS: [&str; 8] = ["null", "dropna", "ffill", "bfill", "full_ffill", "full_bfill", "1.5", "nan"];

fn holes() -> impl Strategy<Value = Holes> {
    prop_oneof![
        4 => pick(&FILLS).prop_map(|text| Holes::Fill(Fill::parse(text).unwrap())),
        1 => prop::sample::select(vec![0.0, 20.0, 50.0]).prop_map(Holes::Overlap),
    ]
}

fn bound() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.3, 0..22_000_000_000_u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn engine_and_twin_agree(
        tree in expression(),
        series in prop::collection::vec(series(), 3),
        holes in holes(),
        start in bound(),
        stop in bound(),
    ) {
        check(Case { tree, series, holes, start, stop });
    }
}

#[test]
fn the_twin_computes_the_worked_example() {
    let points = |values: &[(u64, f64)]| values.iter().map(|(time, value)| (time * SECOND, *value)).collect();
    let tree = json!([
        "*",
        5,
        ["rolling", "mean", 2, ["aggregate", "sum", ["metric", ["a", "mean"], ["b", "mean"]]]]
    ]);
    let case = Case {
        tree,
        series: vec![
            points(&[(1, 43.1), (2, -2.0), (3, 10.0)]),
            points(&[(1, 2.0), (2, 4.5), (3, 12.5), (5, 7.0)]),
        ],
        holes: Holes::Fill(Fill::Drop),
        start: None,
        stop: None,
    };
    let table = twin(&case, &["a", "b"]).unwrap();
    let values: Vec<f64> = table.rows.iter().map(|row| row[0].unwrap()).collect();
    assert_eq!(table.times, [2 * SECOND, 3 * SECOND, 5 * SECOND]);
    assert!(values.iter().zip([119.0, 62.5, 73.75]).all(|(got, expected)| close(*got, expected, 1e-12)));
    assert_eq!(list(&json!(values)).len(), 3);
}
