//! Blocks written by the first release of the format, and what they say. They are never written anew:
//! a change of the format gets a version byte and a directory of its own.

use std::path::Path;

use orzo_model::run::Run;
use orzo_model::{Granularity, Timestamp, block};

const NAMES: [&str; 8] = ["empty", "example", "gaps", "grids", "host", "long", "orders", "single"];

fn read(name: &str, kind: &str) -> String {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/block-1"));
    std::fs::read_to_string(directory.join(format!("{name}.{kind}"))).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| (high * 16 + low) as u8).collect()
}

/// A line for each bucket: its start and its values, `-` where there is none.
fn text(seq: u64, run: &Run) -> String {
    let value = |value: Option<f64>| match value {
        None => "-".to_string(),
        Some(nan) if nan.is_nan() => format!("{:#x}", nan.to_bits()),
        Some(number) => format!("{number:?}"),
    };
    let bucket = |(bucket, start): (usize, &Timestamp)| {
        let values = run.columns().map(|(_, values)| value(values.get(bucket)));
        line([start.ns().to_string()].into_iter().chain(values))
    };
    let head = [line(["width".to_string(), run.width().ns().to_string(), format!("seq {seq}")])];
    let names =
        line(["start".to_string()].into_iter().chain(run.columns().map(|(method, _)| method.to_string())));
    head.into_iter().chain([names]).chain(run.starts().iter().enumerate().map(bucket)).collect()
}

fn line(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().collect::<Vec<_>>().join(" ") + "\n"
}

#[test]
fn blocks_of_the_first_release_can_be_read() {
    for name in NAMES {
        let (stored, expected) = (bytes(&read(name, "hex")), read(name, "txt"));
        let width = expected.split(' ').nth(1).unwrap().parse().unwrap();
        let width = Granularity::from_ns(width).unwrap();
        let (seq, run) = block::decode_run(&stored, width).unwrap();
        assert_eq!(text(seq, &run), expected, "{name}");
        for (method, _) in run.columns() {
            assert_eq!(block::decode(&stored, width, method).unwrap().column.len(), run.column(method).len());
        }
    }
}

#[test]
fn the_example_of_the_format_page_is_one_of_them() {
    let page = include_str!("../../../docs/format/block.md");
    let stored = read("example", "hex").replace('\n', "");
    assert!(page.lines().any(|line| line == stored));
}
