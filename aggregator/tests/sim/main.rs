//! A whole node in one thread, from a seed: clients, crashes, power cuts, a store that stalls and fails; and an
//! oracle that computes everything anew.
//!
//! `ORZO_SIM_SEEDS=n` runs that many seeds, `ORZO_SIM_SEED=n` only that one.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod clients;
mod coverage;
mod crashes;
mod formulas;
mod helpers;
mod kv;
mod log;
mod node;
mod oracle;
mod reads;
mod rng;
mod setup;
mod slot;
mod steps;
mod turns;
mod twin;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use coverage::Coverage;
use world::World;

const SEEDS: u64 = 200;
const COMMAND: &str = "cargo test --release --workspace --test sim";
/// How many of its last actions a failure tells, if it is one of many.
const TRACE: usize = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Runs one seed; what it came across, or whether it failed.
fn run(seed: u64, trace_max: usize) -> Option<Coverage> {
    let mut world = World::new(seed, trace_max);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    if outcome.is_err() {
        eprintln!("seed {seed} failed at step {}; its setup and last actions:", world.step);
        eprintln!("{:?}", world.setup);
        world.trace.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("to see it again, with all its actions: ORZO_SIM_SEED={seed} {COMMAND}");
    }
    outcome.ok().map(|()| world.coverage)
}

/// Runs seeds on all cores until one fails; what they came across, and which failed.
fn run_all(seeds: u64) -> (Coverage, Vec<u64>) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((Coverage::default(), Vec::new()));
    let work = || {
        while found.lock().unwrap().1.is_empty() {
            // Relaxed: each number is drawn once, in whatever order.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let outcome = run(seed, TRACE);
            let (covered, failed) = &mut *found.lock().unwrap();
            match outcome {
                Some(coverage) => covered.add(&coverage),
                None => failed.push(seed),
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, |workers| workers.get());
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().unwrap()
}

#[test]
fn a_node_keeps_its_promises() {
    if let Some(seed) = number("ORZO_SIM_SEED") {
        println!("{}", run(seed, usize::MAX).expect("the seed fails"));
        return;
    }
    let seeds = number("ORZO_SIM_SEEDS").unwrap_or(SEEDS);
    let (covered, failed) = run_all(seeds);
    assert_eq!(failed, [0; 0], "these seeds fail");
    println!("{seeds} seeds came across\n{covered}");
    if seeds >= SEEDS {
        assert_eq!(covered.missing(), [""; 0], "never met");
    }
}

/// Or a failure could not be seen again.
#[test]
fn a_seed_is_always_the_same_run() {
    let trace = |seed| {
        let mut world = World::new(seed, usize::MAX);
        world.run();
        world.trace
    };
    (0..4).for_each(|seed| assert_eq!(trace(seed), trace(seed), "seed {seed}"));
}
