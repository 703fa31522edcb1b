use super::datasets::{self, MIX, SHAPES};
use orzo_model::run::Run;
use orzo_model::{Column, Granularity, Measure, Method, MethodSet, SECOND, Timestamp, block, rollup};
use std::time::Instant;

const START: u64 = 1_767_225_600;

fn methods(names: &str) -> MethodSet {
    names.split(',').map(|name| Method::parse(name).unwrap()).collect()
}

fn rolled(values: &[f64], step: u64, slot: u64, names: &str) -> Run {
    let points: Vec<Measure> = (0..)
        .zip(values)
        .map(|(i, value)| Measure {
            at: Timestamp::from_ns((START + i * step) * SECOND).unwrap(),
            value: *value,
        })
        .collect();
    rollup::rollup(&points, Granularity::from_ns(slot * SECOND).unwrap(), &methods(names), Timestamp::EPOCH)
}

fn check(run: &Run, bytes: &[u8], method: Method) {
    let found = block::decode(bytes, run.width(), method).unwrap().column;
    let expected = run.column(method);
    let bits = |column: &Column| column.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(found.starts, expected.starts);
    assert_eq!(bits(&found), bits(&expected));
}

fn measure(name: &str, index: usize, hours: usize, slot: u64, names: &str) -> (f64, f64, f64) {
    let values = datasets::series(name, index, hours, 10);
    let run = rolled(&values, 10, slot, names);
    let t = Instant::now();
    let bytes = block::encode(&run, 7);
    let encode = t.elapsed().as_nanos() as f64;
    let mut decode = 0.0;
    for method in methods(names).iter() {
        check(&run, &bytes, method);
        let t = Instant::now();
        let _ = std::hint::black_box(block::decode(&bytes, run.width(), method));
        decode += t.elapsed().as_nanos() as f64;
    }
    let n = run.starts().len() as f64;
    (bytes.len() as f64 / n, encode / n, decode / n)
}

fn average(name: &str, indexes: std::ops::Range<usize>, hours: usize, slot: u64, names: &str) {
    let k = indexes.len() as f64;
    let mut sum = (0.0, 0.0, 0.0);
    for index in indexes {
        let (a, b, c) = measure(name, index, hours, slot, names);
        sum = (sum.0 + a / k, sum.1 + b / k, sum.2 + c / k);
    }
    println!(
        "{name:10} {hours}h slot {slot:3} {names:28} {:7.3} B  encode {:6.1} ns  decode {:5.1} ns",
        sum.0, sum.1, sum.2
    );
}

#[test]
fn table() {
    let hours = std::env::var("H").map_or(12, |h| h.parse().unwrap());
    for (name, _) in SHAPES {
        average(name, 0..20, hours, 10, "mean");
    }
    average("mix", 0..200, hours, 10, "mean");
    let six = "mean,min,max,sum,std,count";
    average("mix", 0..200, hours, 10, six);
    average("mix", 0..200, hours, 60, six);
    for k in 0..20 {
        print!("{:18}", MIX[k].0);
        average("mix", k..k + 1, hours, 10, "mean");
    }
    for k in 0..20 {
        print!("{:18}", MIX[k].0);
        average("mix", k..k + 1, hours, 60, six);
    }
}

fn directory(bytes: &[u8]) -> Vec<(Method, usize, u8)> {
    let mut r = orzo_model::codec::Reader::new(&bytes[1..]);
    let (_, _, _, missing) =
        (r.varint().unwrap(), r.varint().unwrap(), r.varint().unwrap(), r.varint().unwrap());
    assert_eq!(missing, 0);
    let n = r.varint().unwrap();
    let d: Vec<_> = (0..n)
        .map(|_| (Method::from_index(r.byte().unwrap()).unwrap(), r.varint().unwrap() as usize))
        .collect();
    d.into_iter().map(|(m, len)| (m, len, r.take(len).unwrap()[0])).collect()
}

#[test]
fn columns() {
    let six = "mean,min,max,sum,std,count";
    for k in 0..20 {
        let values = datasets::series("mix", k, 24, 10);
        let run = rolled(&values, 10, 60, six);
        let bytes = block::encode(&run, 7);
        print!("{:18}", MIX[k].0);
        for (m, len, head) in directory(&bytes) {
            print!(" {m} {:.2} ({head:02x})", len as f64 / run.starts().len() as f64);
        }
        println!();
    }
}
