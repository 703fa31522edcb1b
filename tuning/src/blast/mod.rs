//! The load generator: sends statsd lines whose sums it knows exactly, and compares them with what the daemon says it
//! received and stored.
//!
//! Everything is drawn from a seed and rendered before the first byte is sent, so that sending costs little and what
//! was sent can be told afterwards from the number of datagrams alone. Traffic stays on this machine unless told
//! otherwise. The same tool has the floor to compare with: a loop that receives and only counts newlines.

pub(crate) mod cpu;
mod daemon;
mod error;
mod floor;
mod ledger;
mod lines;
mod report;
mod scrape;
mod send;
mod verify;

use std::time::{Duration, Instant};

use uuid::Uuid;

pub use error::Error;
pub use lines::{Mix, Shape};
pub use report::{CpuReport, DaemonReport, FloorReport, Report, SentReport, StoredReport};
pub use send::{Amount, Target};

use cpu::process_cpu;
use daemon::Daemon;
use floor::Floor;
use ledger::{Expected, ledger};
use lines::Pool;
use scrape::Scrape;
use verify::Stored;

/// Time between two looks at a daemon that is still busy.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to send; a floor run makes its own.
    pub target: Target,
    /// Whether the target may be another machine.
    pub allow_remote: bool,
    /// What the lines look like.
    pub shape: Shape,
    /// When to stop.
    pub amount: Amount,
    /// Lines a second over all senders; `None`: as fast as it goes.
    pub rate: Option<u64>,
    /// Sockets, each with a thread and series of its own; at least 1.
    pub senders: usize,
    /// Whether the kernel gets many datagrams as one piece; UDP only.
    pub segment: bool,
    /// The daemon's API, to compare with what it received.
    pub api: Option<Api>,
    /// Whether to read every series back.
    pub verify: bool,
    /// How long the daemon may take to show what was sent.
    pub settle: Duration,
    /// Process whose CPU time is divided by the lines.
    pub pid: Option<u32>,
    /// Whether to send to a loop of our own that only counts.
    pub floor: bool,
}

/// Where and as whom to ask the daemon.
#[derive(Clone, Debug)]
pub struct Api {
    /// `http://host:port`, with the prefix if there is one.
    pub url: String,
    /// User of basic authentication.
    pub user: String,
    /// The resource that statsd metrics belong to.
    pub resource: Uuid,
    /// Width of the buckets to add up, in seconds; the policy must have it.
    pub granularity: u64,
}

/// Sends, waits, compares.
///
/// # Errors
/// What kept the run from happening. Anything that does not add up is in the report instead.
pub fn run(options: &Options) -> Result<Report, Error> {
    let floor = options.floor.then(Floor::start).transpose()?;
    let target = floor.as_ref().map_or_else(|| options.target.clone(), |floor| Target::Udp(floor.address()));
    target.check(options.allow_remote)?;
    let mut pools = lines::render(&options.shape, options.senders, target.is_stream())?;
    if options.segment {
        pools.iter_mut().for_each(Pool::pad);
    }
    let before = Before::look(options)?;
    let started = Instant::now();
    let sent = send::send(&pools, &target, options.amount, options.rate, options.segment)?;
    let mut report = Report::new(&pools, &sent, started.elapsed());
    report.floor = floor.map(|floor| floor.stop(&report.sent));
    before.compare(options, &target, &pools, &sent, &mut report)?;
    Ok(report)
}

/// What the daemon showed before the load.
struct Before {
    daemon: Option<(Daemon, Scrape)>,
    stored: Option<Vec<Stored>>,
    cpu: Option<Duration>,
}

impl Before {
    fn look(options: &Options) -> Result<Self, Error> {
        let daemon = options.api.as_ref().map(Daemon::new);
        let stored = match &daemon {
            Some(daemon) if options.verify => Some(daemon.read_all(&options.shape)?),
            _ => None,
        };
        let with_scrape = |daemon: Daemon| daemon.scrape().map(|scrape| (daemon, scrape));
        let daemon = daemon.map(with_scrape).transpose()?;
        Ok(Before { daemon, stored, cpu: options.pid.map(process_cpu).transpose()? })
    }

    fn compare(
        self,
        options: &Options,
        target: &Target,
        pools: &[Pool],
        sent: &[u64],
        report: &mut Report,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + options.settle;
        if let Some((daemon, before)) = &self.daemon {
            let received = settle(daemon, before, &report.sent, target, deadline)?;
            report.failures.extend(verify::counters(&report.sent, &received, target));
            report.daemon = Some(DaemonReport::new(received));
        }
        if let (Some(pid), Some(before)) = (options.pid, self.cpu) {
            let lines = report.daemon.as_ref().map_or(report.sent.lines, |daemon| daemon.lines);
            report.cpu = Some(CpuReport::new(pid, process_cpu(pid)?.saturating_sub(before), lines));
        }
        if let (Some((daemon, _)), Some(before)) = (&self.daemon, self.stored) {
            let expected = ledger(pools, sent, options.shape.series as usize);
            report.compare_stored(&read_back(daemon, &options.shape, &expected, &before, report, deadline)?);
        }
        Ok(())
    }
}

/// Waits until the daemon has seen everything; gauges and sets are applied with the next flush.
fn settle(
    daemon: &Daemon,
    before: &Scrape,
    sent: &SentReport,
    target: &Target,
    deadline: Instant,
) -> Result<Scrape, Error> {
    loop {
        let received = daemon.scrape()?.since(before);
        if verify::arrived(sent, &received, target) || Instant::now() >= deadline {
            return Ok(received);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Reads every series back, again and again until all is there or time is up: gauges and sets are stored with the next
/// flush.
fn read_back(
    daemon: &Daemon,
    shape: &Shape,
    expected: &[Expected],
    before: &[Stored],
    report: &Report,
    deadline: Instant,
) -> Result<verify::Comparison, Error> {
    loop {
        let after = daemon.read_all(shape)?;
        let compared = verify::compare(shape, expected, before, &after);
        if compared.is_exact() || !report.is_lossless() || Instant::now() >= deadline {
            return Ok(compared);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor_run() -> Options {
        Options {
            target: Target::Udp("127.0.0.1:8125".parse().unwrap()),
            allow_remote: false,
            shape: lines::tests::shape(100, "c=3,g=1"),
            amount: Amount { lines: Some(20_000), time: None },
            rate: Some(200_000),
            senders: 2,
            segment: false,
            api: None,
            verify: false,
            settle: Duration::from_secs(1),
            pid: Some(std::process::id()),
            floor: true,
        }
    }

    #[test]
    fn the_floor_counts_every_line_that_the_kernel_did_not_drop() {
        let report = run(&floor_run()).unwrap();
        let floor = report.floor.as_ref().unwrap();
        assert_eq!(report.sent.lines, 20_000);
        assert_eq!(floor.datagrams + floor.kernel_drops, report.sent.datagrams);
        assert_eq!(floor.lines, 5 * floor.datagrams);
        assert!(report.passed());
        assert!(report.json().contains("\"lines\":20000"), "{}", report.json());
        assert!(report.to_string().contains("sent      20000 lines"), "{report}");
    }

    #[test]
    fn a_run_without_an_end_is_refused() {
        let endless = Options { amount: Amount { lines: None, time: None }, ..floor_run() };
        assert!(matches!(run(&endless), Err(Error::Options(_))));
    }
}
