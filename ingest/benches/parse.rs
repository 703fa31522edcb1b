//! What a line costs between the socket and the batch: parsing, naming, hashing, routing.

#![allow(missing_docs)] // of what criterion's macros make

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orzo_base::Exchange;
use orzo_ingest::{ListenerCounters, Naming, Parser, Router, Routes, Sink};
use orzo_model::{Batch, Partitions, Profile, Sample};

const LINES: u64 = 20;

/// Looks at each sample and keeps nothing.
struct Blackhole;

impl Sink for Blackhole {
    fn push(&mut self, sample: &Sample, name: &[u8]) {
        black_box((sample, name));
    }
}

fn datagram(line: impl Fn(u64) -> String) -> Vec<u8> {
    (0..LINES).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

fn parse(criterion: &mut Criterion) {
    let datagrams = [
        ("plain", datagram(|n| format!("service.{n:02}.requests:{}|c", 123 + n))),
        ("float", datagram(|n| format!("service.{n:02}.latency:{}.25|ms|@0.5", 123 + n))),
        ("tagged", datagram(|n| format!("requests:{n}|c|#env:prod,region:eu-west-1,pod:web-{n:02}"))),
        ("influx", datagram(|n| format!("requests,env=prod,region=eu-west-1,host=web-{n:02}:{n}|g"))),
    ];
    let counters = ListenerCounters::default();
    let mut group = criterion.benchmark_group("parse_datagram_of_20");
    group.throughput(Throughput::Elements(LINES));
    for (name, datagram) in &datagrams {
        let mut parser = Parser::new(Naming::new(7));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| parser.text(Profile::Native, black_box(datagram), &counters, &mut Blackhole));
        });
    }
    // The same lines where two of the three tags become attributes of a resource.
    let attribute_tags = ["env", "region"].map(|tag| Box::from(tag.as_bytes())).into();
    let mut parser = Parser::new(Naming { attribute_tags, ..Naming::new(7) });
    let (_, tagged) = &datagrams[2];
    group.bench_function("attributes", |bencher| {
        bencher.iter(|| parser.text(Profile::Native, black_box(tagged), &counters, &mut Blackhole));
    });
    group.finish();
}

fn route(criterion: &mut Criterion) {
    const SHARDS: usize = 2;
    let datagram = datagram(|n| format!("service.{n:02}.requests:{}|c", 123 + n));
    let counters = Arc::default();
    let (mut producers, consumers) = Exchange::open(1, SHARDS, Batch::new);
    let routes = Routes::even(Partitions::DEFAULT, SHARDS);
    let mut router = Router::new(producers.remove(0), routes, Arc::clone(&counters));
    let mut parser = Parser::new(Naming::new(7));
    let mut group = criterion.benchmark_group("parse_and_route_datagram_of_20");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("plain", |bencher| {
        bencher.iter(|| {
            parser.text(Profile::Native, black_box(&datagram), &counters, &mut router);
            for consumer in &consumers {
                while let Some(batch) = consumer.receive() {
                    consumer.give_back(batch.home(), batch);
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, parse, route);
criterion_main!(benches);
