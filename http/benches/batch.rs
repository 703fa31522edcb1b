//! What a measure costs in the HTTP layer: a batch of 5 000, as numbers and as texts, into an engine
//! that throws it away. Budget: 400 ns a measure with index look-ups, 200 ns for reading the body.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use hyper::body::Bytes;
use orzo_http::{Api, Config, Ctx, Engine, EngineError, EngineStatus, Patience, Post, Query};
use orzo_model::{ArchivePolicy, Column, MetricId, SECOND, Timestamp};
use orzo_store::index::KvIndex;
use orzo_store::memory::MemoryKv;

const MEASURES: usize = 5_000;

struct Nowhere;

impl Engine for Nowhere {
    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError> {
        drop(black_box(posts));
        Ok(())
    }

    fn read(&self, _: &Query) -> Result<Column, EngineError> {
        Ok(Column::default())
    }

    fn forget(&self, _: &[MetricId]) {}

    fn policy_changed(&self, _: &Arc<ArchivePolicy>) {}

    fn status(&self) -> EngineStatus {
        EngineStatus::default()
    }

    fn scrape(&self) -> String {
        String::new()
    }
}

fn clock() -> Timestamp {
    Timestamp::from_ns(1_704_067_200 * SECOND).expect("it is before 2262")
}

fn post(api: &Api, path: &str, body: &Bytes) -> Bytes {
    let request =
        hyper::Request::builder().method("POST").uri(path).header("authorization", "Basic YWRtaW46");
    let request = request.header("content-type", "application/json").body(()).expect("a request");
    let response = api.handle(request.into_parts().0, body.clone(), &Patience::default());
    assert!(response.status.is_success(), "{:?}", response.body);
    response.body
}

fn api() -> Api {
    let index = Arc::new(KvIndex::open(Arc::new(MemoryKv::new())).expect("memory opens"));
    let api =
        Api::new(Config::default(), Ctx { index, engine: Arc::new(Nowhere), clock }).expect("default rules");
    let policy = r#"{"name": "low", "definition": [{"granularity": 60}]}"#;
    post(&api, "/v1/archive_policy", &Bytes::from_static(policy.as_bytes()));
    api
}

/// An id of a new metric.
fn metric(api: &Api) -> String {
    let made = post(api, "/v1/metric", &Bytes::from_static(br#"{"archive_policy_name": "low"}"#));
    let made: serde_json::Value = serde_json::from_slice(&made).expect("JSON");
    made["id"].as_str().expect("an id").to_owned()
}

/// A body of so many metrics, `MEASURES` in all.
fn body(ids: &[String], as_text: bool) -> Bytes {
    let each = MEASURES / ids.len();
    let entries = ids.iter().map(|id| {
        let measures = (0..each).map(|index| {
            let mut out = String::new();
            let (minute, second) = (index / 60 % 60, index % 60);
            let value = index as f64 * 0.37 + 12.5;
            if as_text {
                write!(out, r#"{{"timestamp": "2024-01-01T12:{minute:02}:{second:02}", "value": {value}}}"#)
            } else {
                write!(out, r#"{{"timestamp": {}, "value": {value}}}"#, 1_704_067_200 + index)
            }
            .expect("writing to a string succeeds");
            out
        });
        format!("\"{id}\": [{}]", measures.collect::<Vec<_>>().join(", "))
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", ")).into()
}

fn batches(criterion: &mut Criterion) {
    let api = api();
    let ids: Vec<String> = (0..MEASURES).map(|_| metric(&api)).collect();
    let mut group = criterion.benchmark_group("batch of 5000 measures");
    group.throughput(Throughput::Elements(MEASURES as u64));
    for (name, ids, as_text) in [
        ("numbers, 10 metrics", &ids[..10], false),
        ("texts, 10 metrics", &ids[..10], true),
        ("numbers, 5000 metrics", &ids[..], false),
    ] {
        let body = body(ids, as_text);
        group.bench_function(name, |bencher| {
            bencher.iter(|| post(&api, "/v1/batch/metrics/measures", &body));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    batches(&mut criterion);
    criterion.final_summary();
}
