//! The reference's own answers: every roll-up vector, fed batch by batch, with checkpoints after each
//! batch, after all of them, and never.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::series::{Series, SeriesKind};
use orzo_model::{ArchivePolicy, Granularity, Item, Measure, Method, Timestamp};
use serde_json::Value;

type Rows = BTreeMap<(Method, u64), BTreeMap<u64, f64>>;

fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["cases"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn policy(case: &Value) -> Arc<ArchivePolicy> {
    let items = case["definition"].as_array().unwrap().iter().map(|item| Item {
        granularity: Granularity::from_ns(item["granularity_ns"].as_u64().unwrap()).unwrap(),
        points: item["points"].as_u64(),
    });
    let methods = case["aggregation_methods"].as_array().unwrap().iter();
    Arc::new(ArchivePolicy {
        name: "vector".into(),
        back_window: case["back_window"].as_u64().unwrap() as u32,
        items: items.collect(),
        methods: methods.map(|name| Method::parse(name.as_str().unwrap()).unwrap()).collect(),
    })
}

fn measures(batch: &Value) -> Vec<Measure> {
    let pair = |pair: &Value| Measure {
        at: Timestamp::from_ns(pair[0].as_u64().unwrap()).unwrap(),
        value: number(&pair[1]),
    };
    batch.as_array().into_iter().flatten().map(pair).collect()
}

/// A store in two lines: runs replace buckets, absent values leave what was there.
fn store(rows: &mut Rows, series: &mut Series) {
    let Some(checkpoint) = series.begin_checkpoint() else { return };
    for run in checkpoint.runs() {
        for (method, values) in run.columns() {
            let column = rows.entry((method, run.width().ns())).or_default();
            let buckets = run.starts().iter().enumerate();
            column.extend(buckets.filter_map(|(at, start)| Some((start.ns(), values.get(at)?))));
        }
    }
    let policy = series.policy().clone();
    let reloaded = Series::decode(&checkpoint.window(), policy).unwrap();
    series.end_checkpoint();
    let kept = |series: &Series| format!("{:?}", series.raw());
    assert_eq!(kept(&reloaded), kept(series), "what is stored is what is kept");
}

fn visible(rows: &Rows, series: &Series, method: Method, item: &Item) -> Vec<(u64, f64)> {
    let mut column = rows.get(&(method, item.granularity.ns())).cloned().unwrap_or_default();
    let fresh = series.column(item.granularity, method);
    column.extend(fresh.iter().map(|(start, value)| (start.ns(), value)));
    let last = column.keys().next_back().copied().unwrap_or(0);
    let horizon = item.timespan_ns().map(|span| last as i128 - i128::from(span));
    column.into_iter().filter(|(start, _)| horizon.is_none_or(|cut| i128::from(*start) > cut)).collect()
}

fn close(method: Method, got: f64, expected: f64) -> bool {
    let exact = ["count", "min", "max", "first", "last", "sum"].contains(&method.to_string().as_str());
    let tolerance = if exact { 0.0 } else { 1e-9 };
    got == expected
        || (got.is_nan() && expected.is_nan())
        || (got - expected).abs() <= (tolerance * expected.abs()).max(if exact { 0.0 } else { 1e-12 })
}

/// Where the contract decides for the streaming model. With rates it never does: those follow the
/// reference to the letter.
fn differs(case: &Value, series: &Series, method: Method, width: u64) -> bool {
    let list = case["stream_model"]["differs"].as_array();
    let known = list.is_some_and(|list| list.contains(&Value::from(format!("{method}@{width}"))));
    known && !series.policy().methods.has_rate()
}

fn run(case: &Value, checkpoint_every: usize) -> Vec<String> {
    let mut series = Series::new(SeriesKind::Sampled, policy(&case["policy"]));
    let mut rows = Rows::new();
    let mut wrong = Vec::new();
    for (step_number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        if step["policy"].is_object() {
            series.set_policy(policy(&step["policy"]));
        }
        let mut batch = measures(&step["batch"]);
        let sent = batch.len();
        if !batch.is_empty() {
            let taken = series.insert(step_number as u64 + 1, &mut batch);
            if let Some(accepted) = step["accepted"].as_u64()
                && sent - taken.refused != accepted as usize
            {
                wrong.push(format!("step {step_number}: accepted {} of {accepted}", sent - taken.refused));
            }
        }
        if checkpoint_every > 0 && (step_number + 1) % checkpoint_every == 0 {
            store(&mut rows, &mut series);
        }
        let Some(expected) = step["expect"]["series"].as_object() else { continue };
        for item in &series.policy().clone().items {
            for method in series.policy().methods.iter() {
                let width = item.granularity.ns();
                let want = &expected[&method.to_string()][&width.to_string()];
                let want: Vec<(u64, f64)> = want
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|p| (p[0].as_u64().unwrap(), number(&p[1])))
                    .collect();
                let got = visible(&rows, &series, method, item);
                let same = got.len() == want.len()
                    && got.iter().zip(&want).all(|(g, w)| g.0 == w.0 && close(method, g.1, w.1));
                if !same && !differs(case, &series, method, width) {
                    wrong.push(format!("step {step_number} {method}@{width}: {got:?}, expected {want:?}"));
                }
            }
        }
    }
    wrong
}

/// Cases in which Orzo does otherwise on purpose; each with its reason.
const OURS: [(&str, &str); 1] = [(
    "back-window-grow-overwrites",
    "raw measures of the reopened bucket are gone: the reference overwrites its row, Orzo refuses",
)];

fn check(name: &str) {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in vectors(name) {
        let id = case["id"].as_str().unwrap();
        let corrupts = case["steps"].as_array().unwrap().iter().any(|step| !step["corrupt"].is_null());
        if corrupts || OURS.iter().any(|(known, _)| *known == id) {
            continue;
        }
        ran += 1;
        for checkpoint_every in [0, 1, 2, 3] {
            for wrong in run(&case, checkpoint_every) {
                failures.push(format!("{id} (checkpoint every {checkpoint_every}): {wrong}"));
            }
        }
    }
    assert!(ran > 10, "only {ran} cases");
    assert!(
        failures.is_empty(),
        "{} wrong:\n{}",
        failures.len(),
        failures[..failures.len().min(30)].join("\n")
    );
}

#[test]
fn edge_cases() {
    check("rollup-edge");
}

#[test]
fn random_series() {
    check("rollup-random");
}

#[test]
fn retention() {
    check("rollup-retention");
}
