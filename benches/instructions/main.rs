//! How many instructions the hot path takes: the same on a busy machine as on a quiet one, so that two commits can be
//! compared.
//!
//! Each case runs twice under callgrind, in a process of its own, once with more rounds; the difference is what the rounds
//! take. `cargo bench --workspace --bench instructions` prints a table. Without valgrind it says so and ends well: counts
//! are for who wants them.

#[path = "../../aggregator/benches/shard/setup.rs"]
mod setup;

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use orzo_ingest::{ListenerCounters, Naming, Parser, Sink};
use orzo_model::{Profile, Sample};

const SERIES: u64 = 10_000;
const LINES: u64 = 20;
/// Rounds of the shorter and of the longer run.
const ROUNDS: [u64; 2] = [2, 12];

/// A case by name: what a round is counted by, and what makes rounds.
type Case = (&'static str, u64, fn(u64));

const CASES: [Case; 6] = [
    ("plain line", 100 * LINES, |rounds| parse(rounds, |n| format!("service.{n:02}.requests:{}|c", 123 + n))),
    ("line with a fraction and a rate", 100 * LINES, |rounds| {
        parse(rounds, |n| format!("service.{n:02}.latency:{}.25|ms|@0.5", 123 + n));
    }),
    ("line with three tags", 100 * LINES, |rounds| {
        parse(rounds, |n| format!("requests:{n}|c|#env:prod,region:eu-west-1,pod:web-{n:02}"));
    }),
    ("line with five tags", 100 * LINES, |rounds| {
        parse(rounds, |n| {
            format!("requests:{n}|c|#env:prod,region:eu-west-1,pod:web-{n:02},zone:b,tier:gold")
        });
    }),
    ("sample into its slot", SERIES, samples),
    ("series of a second into blob and window", SERIES, seconds),
];

/// Looks at each sample and keeps nothing.
struct Blackhole;

impl Sink for Blackhole {
    fn push(&mut self, sample: &Sample, name: &[u8]) {
        black_box((sample, name));
    }
}

/// Each round a hundred datagrams.
fn parse(rounds: u64, line: impl Fn(u64) -> String) {
    let datagram = (0..LINES).map(line).collect::<Vec<_>>().join("\n").into_bytes();
    let (mut parser, counters) = (Parser::new(Naming::new(7)), ListenerCounters::default());
    for _ in 0..100 * rounds {
        parser.text(Profile::Native, black_box(&datagram), &counters, &mut Blackhole);
    }
}

fn samples(rounds: u64) {
    let mut shard = setup::shard(SERIES);
    let batches = setup::batches(SERIES, setup::at(2));
    (0..rounds).for_each(|_| batches.iter().for_each(|batch| shard.samples(batch)));
}

/// The samples are in it, and what makes them is not: see the case before.
fn seconds(rounds: u64) {
    let mut shard = setup::shard(SERIES);
    let all: Vec<_> = (2..2 + ROUNDS[1]).map(|second| setup::batches(SERIES, setup::at(second))).collect();
    for (second, batches) in (2..).zip(&all).take(rounds as usize) {
        batches.iter().for_each(|batch| shard.samples(batch));
        setup::commit(&mut shard, second + 1);
    }
}

/// Instructions of one run of a case; `None` if there is no valgrind.
fn count(case: usize, rounds: u64) -> Option<u64> {
    let own = env::current_exe().expect("a running program has a path");
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let run =
        Command::new("valgrind").args(options).arg(own).arg(format!("{case}x{rounds}")).output().ok()?;
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    let counted = text.lines().find_map(|line| line.split_once("Collected :"));
    let counted = counted.and_then(|(_, number)| number.trim().parse().ok());
    Some(counted.unwrap_or_else(|| panic!("callgrind does not count:\n{text}")))
}

fn main() -> ExitCode {
    let asked = env::args().nth(1).and_then(|text| {
        let (case, rounds) = text.split_once('x')?;
        Some((case.parse::<usize>().ok()?, rounds.parse().ok()?))
    });
    if let Some((case, rounds)) = asked {
        CASES[case].2(rounds);
        return ExitCode::SUCCESS;
    }
    println!("| | instructions |\n| --- | --- |");
    for (case, (name, things, _)) in CASES.iter().enumerate() {
        let [Some(few), Some(many)] = ROUNDS.map(|rounds| count(case, rounds)) else {
            println!("valgrind is not installed: nothing is counted");
            break;
        };
        let each = (many - few) as f64 / ((ROUNDS[1] - ROUNDS[0]) * things) as f64;
        println!("| {name} | {each:.0} |");
    }
    ExitCode::SUCCESS
}
