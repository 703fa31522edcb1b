//! `orzo check`: verifies the store of a daemon that does not run, and says what is damaged and what that costs.

use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use orzo_aggregator::record;
use orzo_model::MetricId;
use orzo_store::check::{Event, Summary, Tally, check};
use orzo_store::{Error, Family};
use orzo_store_rocks::{RocksKv, Tuning};

/// What `--help` says behind the options.
pub const AFTER_HELP: &str = "\
Reads every value, checks every checksum, and compares what families say of each other. Changes nothing.
The exit code is 0 if all is sound, 1 if something is damaged, 2 if the store could not be checked.
";

/// Options of `orzo check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The daemon's data_dir. The daemon must not run on it.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Time between two reports of progress.
const PROGRESS: Duration = Duration::from_millis(200);

impl Check {
    /// Checks and prints what it finds.
    pub fn run(&self) -> ExitCode {
        match self.check() {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(why) => {
                eprintln!("orzo check: {why:#}");
                ExitCode::from(2)
            }
        }
    }

    /// How many things were found.
    fn check(&self) -> Result<u64> {
        let directory = crate::stores::directory(&self.dir);
        ensure!(directory.join("CURRENT").exists(), "there is no store in {}", directory.display());
        if let Some(pid) = holder(&directory)? {
            bail!("process {pid} uses {}: stop it first", directory.display());
        }
        let started = Instant::now();
        let kv = match RocksKv::open_read_only(&directory, &Tuning::default()) {
            Ok(kv) => kv,
            Err(damage @ Error::Unreadable { .. }) => {
                println!("store: {}; nothing of it can be read", damage.reason());
                return Ok(1);
            }
            Err(other) => return Err(other).with_context(|| format!("cannot open {}", directory.display())),
        };
        let mut progress = Progress::new();
        let summary = check(&kv, metrics_of, &mut |event| progress.tell(event));
        progress.clear();
        let summary = summary.context("the check broke off")?;
        print!("{}", conclusion(&summary, started.elapsed()));
        Ok(summary.findings)
    }
}

/// Series of which a blob holds batches. Of those that it does not name another one did.
fn metrics_of(blob: &[u8]) -> Option<Vec<MetricId>> {
    record::named(blob).ok()
}

/// The process that has the store open, by the kernel's list of locks.
fn holder(directory: &Path) -> Result<Option<u32>> {
    let lock = match fs::metadata(directory.join("LOCK")) {
        Ok(lock) => lock,
        Err(_) => return Ok(None),
    };
    let locks = fs::read_to_string("/proc/locks").context("cannot tell whether a daemon runs")?;
    let inode = format!(":{}", lock.ino());
    let holds = |line: &str| {
        // 1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let file = words.iter().position(|word| word.ends_with(&inode))?;
        words.get(file.checked_sub(1)?)?.parse().ok()
    };
    Ok(locks.lines().find_map(holds))
}

/// Findings as lines; on a terminal, how far it is.
struct Progress {
    terminal: bool,
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        Progress { terminal: std::io::stderr().is_terminal(), told: Instant::now() }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Found(finding) => {
                self.clear();
                let family = finding.family.name();
                println!("{family}: {}: {}. Costs: {}.", finding.place, finding.what, finding.costs);
            }
            Event::Walked(family, tally) if self.terminal && self.told.elapsed() >= PROGRESS => {
                self.told = Instant::now();
                eprint!("\r\x1b[K{}: {} values, {}", family.name(), tally.values, megabytes(tally.bytes));
                // A terminal that is gone shows nothing.
                let _ = std::io::stderr().flush();
            }
            Event::Walked(..) => {}
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn conclusion(summary: &Summary, took: Duration) -> String {
    let mut text = String::new();
    let mut all = Tally::default();
    for family in Family::ALL {
        let tally = summary.tallies.get(&family).copied().unwrap_or_default();
        let state = match tally.findings {
            0 => "sound".to_owned(),
            findings => format!("{findings} damaged"),
        };
        let (name, size) = (family.name(), megabytes(tally.bytes));
        text.push_str(&format!("{name:<9} {:>12} values {size:>12}  {state}\n", tally.values));
        all.values += tally.values;
        all.bytes += tally.bytes;
    }
    let seconds = took.as_secs_f64().max(1e-3);
    let rate = megabytes((all.bytes as f64 / seconds) as u64);
    text.push_str(&format!(
        "{} metrics, {} values, {} in {seconds:.1} s: {rate}/s, {:.0} values/s\n",
        summary.metrics,
        all.values,
        megabytes(all.bytes),
        all.values as f64 / seconds,
    ));
    text.push_str(&match summary.findings {
        0 => "the store is sound\n".to_owned(),
        1 => "1 thing is damaged\n".to_owned(),
        many => format!("{many} things are damaged\n"),
    });
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
