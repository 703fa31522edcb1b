//! `/v1/aggregates`: operations over the worlds of the vectors.

use std::collections::BTreeMap;

use globset::GlobBuilder;
use orzo_model::ops::{
    Answers, EvalError, Expr, Fill, GranularityError, Holes, Limits, Query, Refusal, Resolved,
    common_granularities, evaluate,
};
use orzo_model::{Column, Granularity, Method};
use serde_json::{Value, json};

use crate::vectors::{Row, assert_rows, list, load, maybe_at, rows, text};
use crate::world::Metric;

/// The metrics of a setup.
struct World(Vec<Named>);

pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) resource: Option<String>,
    pub(crate) metric: Metric,
}

impl World {
    fn new(setup: &Value) -> Self {
        let named = |metric: &Value| Named {
            id: text(&metric["id"]).to_owned(),
            name: text(&metric["name"]).to_owned(),
            resource: metric["resource_id"].as_str().map(str::to_owned),
            metric: Metric::new(&metric["policy"], &metric["batches"]),
        };
        World(list(&setup["metrics"]).iter().map(named).collect())
    }

    /// Series in the order of the answer, with the reference each stands for. `None`: some reference is
    /// no known metric, which is for the caller of the engine to find.
    fn resolve(&self, expr: &Expr, query: &Value) -> Option<Vec<(usize, &Named)>> {
        if let Some(resources) = query["resources"].as_array() {
            return self.search(expr, resources);
        }
        let known = |name: &str| self.0.iter().find(|metric| metric.id == name);
        expr.references().iter().enumerate().map(|(index, one)| Some((index, known(&one.name)?))).collect()
    }

    fn search(&self, expr: &Expr, resources: &[Value]) -> Option<Vec<(usize, &Named)>> {
        let mut found = Vec::new();
        for resource in resources {
            for (index, reference) in expr.references().iter().enumerate() {
                let glob = GlobBuilder::new(&reference.name).build().unwrap().compile_matcher();
                let here = |metric: &&Named| metric.resource.as_deref() == resource.as_str();
                let metrics = self.0.iter().filter(here).filter(|metric| glob.is_match(&metric.name));
                found.extend(metrics.map(|metric| (index, metric)));
            }
        }
        (!found.is_empty()).then_some(found)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) aggregated: Vec<Row>,
    /// By resource (or nothing), metric and method.
    each: BTreeMap<[String; 3], Vec<Row>>,
}

#[derive(Debug)]
pub(crate) enum Failed {
    /// 400.
    Refused(Refusal),
    /// 404, the metric and the method.
    Method(Value),
    /// For the HTTP layer.
    Unresolved,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Failed::Refused(refusal)
    }
}

fn holes(query: &Value) -> Result<Holes, Refusal> {
    let fill = match &query["fill"] {
        Value::Null => None,
        Value::String(name) => Some(Fill::parse(name)?),
        number => Some(Fill::parse(&number.to_string())?),
    };
    Ok(Holes::of_aggregates(fill, query["needed_overlap"].as_f64()))
}

fn run(world: &World, query: &Value) -> Result<Printed, Failed> {
    let holes = holes(query)?;
    let expr = Expr::parse(&query["operations"])?;
    let series = world.resolve(&expr, query).ok_or(Failed::Unresolved)?;
    answer(&expr, &series, query, holes)
}

/// All granularities, printed.
pub(crate) fn answer(
    expr: &Expr,
    series: &[(usize, &Named)],
    query: &Value,
    holes: Holes,
) -> Result<Printed, Failed> {
    let references = expr.references();
    let name_of =
        |named: &Named| if named.resource.is_some() { named.name.clone() } else { named.id.clone() };
    let names: Vec<String> = series.iter().map(|(_, named)| name_of(named)).collect();
    let resolved: Vec<Resolved<'_>> = series
        .iter()
        .zip(&names)
        .map(|((reference, named), name)| Resolved::new(&references[*reference], name, &named.metric.policy))
        .collect();
    let asked = query["granularity_ns"].as_u64().and_then(Granularity::from_ns);
    let granularities = common_granularities(&resolved, asked).map_err(|error| match error {
        GranularityError::NoMatch(refusal) | GranularityError::Missing(_, refusal) => {
            Failed::Refused(refusal)
        }
        GranularityError::UnknownMethod(position) => {
            Failed::Method(json!([[series[position].1.id, resolved[position].method]]))
        }
    })?;
    let positions: Vec<usize> = series.iter().map(|(reference, _)| *reference).collect();
    let query = Query {
        expr,
        series: &positions,
        holes,
        start: maybe_at(&query["start_ns"]),
        stop: maybe_at(&query["stop_ns"]),
        limits: Limits::default(),
    };
    let mut printed = Printed::default();
    for granularity in granularities {
        let method = |reference: usize| Method::parse(&references[reference].method).unwrap();
        let columns: Vec<Column> = series
            .iter()
            .map(|(reference, named)| named.metric.column(method(*reference), granularity))
            .collect();
        let answer = evaluate(&query, granularity, columns.as_slice()).map_err(|error| match error {
            EvalError::Refused(refusal) => refusal,
            EvalError::Read(never) => match never {},
        })?;
        match answer.series {
            Answers::Aggregated(column) => printed.aggregated.extend(rows(answer.period, &column)),
            Answers::Each(each) => {
                assert!(!expr.is_aggregated());
                for ((column, (reference, named)), name) in each.iter().zip(series).zip(&names) {
                    let resource = named.resource.clone().unwrap_or_default();
                    let key = [resource, name.clone(), references[*reference].method.clone()];
                    printed.each.entry(key).or_default().extend(rows(answer.period, column));
                }
            }
        }
    }
    Ok(printed)
}

fn check(case: &Value, got: Result<Printed, Failed>, relative: f64) {
    let (expect, context) = (&case["expect"], text(&case["id"]));
    match got {
        Ok(printed) => {
            assert_eq!(expect["status"], 200, "{context}: {printed:?}");
            assert_eq!(expect.get("aggregated").is_some(), expect.get("measures").is_none());
            assert_rows(&printed.aggregated, &expect["aggregated"], relative, context);
            check_each(&printed, &expect["measures"], relative, context);
        }
        Err(Failed::Refused(refusal)) => {
            assert_eq!(expect["status"], 400, "{context}: {refusal}");
            // Where the reference fails with 500 the text is ours.
            if expect["reference_http_status"].is_null() {
                let got = json!([refusal.cause, refusal.reason, refusal.detail]);
                assert_eq!(got, json!([expect["cause"], expect["reason"], expect["detail"]]), "{context}");
            }
        }
        Err(Failed::Method(detail)) => {
            assert_eq!(expect["status"], 404, "{context}");
            assert_eq!(expect["cause"], "Metrics with unknown aggregation", "{context}");
            assert_eq!(expect["detail"], detail, "{context}");
        }
        Err(Failed::Unresolved) => {
            let known = ["err-unknown-metric", "err-bad-uuid", "res-missing"];
            assert!(known.contains(&context), "{context} has metrics");
        }
    }
}

fn check_each(printed: &Printed, expected: &Value, relative: f64, context: &str) {
    let mut found = 0;
    for (key, got) in &printed.each {
        let [resource, name, method] = key;
        let of_resource = if resource.is_empty() { expected } else { &expected[resource] };
        assert_rows(got, &of_resource[name][method], relative, context);
        found += 1;
    }
    let leaves = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
    let of_ids =
        |value: &Value| value.as_object().into_iter().flatten().map(|(_, v)| leaves(v)).sum::<usize>();
    let searched = printed.each.keys().any(|key| !key[0].is_empty());
    let wanted = match searched {
        true => expected.as_object().into_iter().flatten().map(|(_, value)| of_ids(value)).sum(),
        false => of_ids(expected),
    };
    assert_eq!(found, wanted, "{context}");
}

fn run_file(name: &str, relative: f64) -> usize {
    let file = load(name);
    let setups = file["setups"].as_object().unwrap();
    let worlds: BTreeMap<&str, World> =
        setups.iter().map(|(name, setup)| (name.as_str(), World::new(setup))).collect();
    let cases = list(&file["cases"]);
    for case in cases {
        check(case, run(&worlds[text(&case["setup"])], &case["query"]), relative);
    }
    cases.len()
}

#[test]
fn operations_equal_the_reference() {
    assert_eq!(run_file("aggregates-operations", 1e-12), 238);
}

#[test]
fn random_expressions_equal_the_reference() {
    assert_eq!(run_file("aggregates-random", 1e-9), 180);
}
