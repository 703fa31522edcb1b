//! What a run found, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::floor::Counted;
use super::lines::Pool;
use super::scrape::Scrape;
use super::verify::Comparison;

/// Failures shown in text; JSON has them all.
const FAILURES_SHOWN: usize = 10;

/// Everything a run found. It passed if nothing failed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What went out.
    pub sent: SentReport,
    /// What the counting loop saw, in a floor run.
    pub floor: Option<FloorReport>,
    /// What the daemon says it received.
    pub daemon: Option<DaemonReport>,
    /// What the daemon stored.
    pub stored: Option<StoredReport>,
    /// What it cost the daemon.
    pub cpu: Option<CpuReport>,
    /// Whatever does not add up, a sentence each.
    pub failures: Vec<String>,
}

/// What went out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SentReport {
    /// Datagrams, or pieces of a stream.
    pub datagrams: u64,
    /// Lines.
    pub lines: u64,
    /// Payload.
    pub bytes: u64,
    /// Time from the first to the last.
    pub seconds: f64,
    /// Over that time.
    pub lines_per_second: f64,
}

/// What the counting loop saw.
#[derive(Clone, Debug, Serialize)]
pub struct FloorReport {
    /// Datagrams.
    pub datagrams: u64,
    /// Lines.
    pub lines: u64,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: u64,
    /// Share of the lines sent that did not arrive.
    pub lost_percent: f64,
    /// User and system time.
    pub cpu_seconds: f64,
    /// The same for each line received.
    pub nanoseconds_per_line: f64,
}

/// What the daemon says it received, since the run began.
#[derive(Clone, Debug, Serialize)]
pub struct DaemonReport {
    /// Datagrams.
    pub datagrams: u64,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: u64,
    /// Lines.
    pub lines: u64,
    /// Samples that reached their series.
    pub applied: u64,
    /// Lines refused, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Samples refused behind the listener, by reason.
    pub samples_dropped: BTreeMap<String, u64>,
}

/// What the daemon stored.
#[derive(Clone, Debug, Serialize)]
pub struct StoredReport {
    /// Series compared.
    pub series: usize,
    /// Series exactly as sent.
    pub exact: usize,
    /// Lines missing from counters and timers.
    pub missing_lines: u64,
    /// Lines that were lost on the way, by the daemon's own count.
    pub lost_lines: u64,
}

/// What it cost the daemon.
#[derive(Clone, Debug, Serialize)]
pub struct CpuReport {
    /// The process.
    pub pid: u32,
    /// User and system time of all its threads, from before the load until the daemon was quiet.
    pub seconds: f64,
    /// The same for each line received.
    pub nanoseconds_per_line: f64,
}

impl Report {
    pub(super) fn new(pools: &[Pool], sent: &[u64], elapsed: Duration) -> Self {
        Report {
            sent: SentReport::new(pools, sent, elapsed),
            floor: None,
            daemon: None,
            stored: None,
            cpu: None,
            failures: Vec::new(),
        }
    }

    /// Whether everything adds up.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has only text keys")
    }

    /// Lines sent that no series got, by the daemon's count.
    fn lost_lines(&self) -> u64 {
        self.daemon.as_ref().map_or(0, |daemon| self.sent.lines.saturating_sub(daemon.applied))
    }

    /// Whether the daemon says that it got everything.
    pub(super) fn is_lossless(&self) -> bool {
        self.lost_lines() == 0
    }

    pub(super) fn compare_stored(&mut self, compared: &Comparison) {
        let lost_lines = self.lost_lines();
        self.failures.extend(compared.failures(lost_lines));
        let Comparison { series, exact, missing_lines, .. } = *compared;
        self.stored = Some(StoredReport { series, exact, missing_lines, lost_lines });
    }
}

impl SentReport {
    fn new(pools: &[Pool], sent: &[u64], elapsed: Duration) -> Self {
        let sums =
            |each: fn(&Pool, u64) -> u64| pools.iter().zip(sent).map(|(pool, sent)| each(pool, *sent)).sum();
        let lines = sums(|pool, sent| sent * pool.lines_per_datagram() as u64);
        let seconds = elapsed.as_secs_f64();
        SentReport {
            datagrams: sent.iter().sum(),
            lines,
            bytes: sums(bytes_sent),
            seconds,
            lines_per_second: ratio(lines as f64, seconds),
        }
    }
}

fn bytes_sent(pool: &Pool, sent: u64) -> u64 {
    let size = |count: usize| if count == 0 { 0 } else { pool.run(0, count).len() as u64 };
    let len = pool.len() as u64;
    sent / len * size(pool.len()) + size((sent % len) as usize)
}

impl FloorReport {
    pub(super) fn new(counted: Counted, sent: &SentReport) -> Self {
        FloorReport {
            datagrams: counted.datagrams,
            lines: counted.lines,
            kernel_drops: counted.kernel_drops,
            lost_percent: 100.0 - ratio(100.0 * counted.lines as f64, sent.lines as f64),
            cpu_seconds: counted.cpu.as_secs_f64(),
            nanoseconds_per_line: ratio(counted.cpu.as_secs_f64() * 1e9, counted.lines as f64),
        }
    }
}

impl DaemonReport {
    pub(super) fn new(received: Scrape) -> Self {
        DaemonReport {
            datagrams: received.datagrams,
            kernel_drops: received.kernel_drops,
            lines: received.lines,
            applied: received.applied,
            dropped: received.dropped,
            samples_dropped: received.samples_dropped,
        }
    }
}

impl CpuReport {
    pub(super) fn new(pid: u32, time: Duration, lines: u64) -> Self {
        let seconds = time.as_secs_f64();
        CpuReport { pid, seconds, nanoseconds_per_line: ratio(seconds * 1e9, lines as f64) }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sent)?;
        if let Some(floor) = &self.floor {
            writeln!(f, "{floor}")?;
        }
        if let Some(daemon) = &self.daemon {
            writeln!(f, "{daemon}")?;
        }
        if let Some(stored) = &self.stored {
            writeln!(f, "{stored}")?;
        }
        if let Some(cpu) = &self.cpu {
            writeln!(f, "{cpu}")?;
        }
        for failure in self.failures.iter().take(FAILURES_SHOWN) {
            writeln!(f, "WRONG     {failure}")?;
        }
        match self.failures.len() {
            0 => write!(f, "everything adds up"),
            count => write!(f, "{count} things do not add up"),
        }
    }
}

impl fmt::Display for SentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SentReport { lines, datagrams, bytes, seconds, lines_per_second } = self;
        write!(f, "sent      {lines} lines in {datagrams} datagrams, {bytes} bytes, {seconds:.3} s, ")?;
        write!(f, "{lines_per_second:.0} lines/s")
    }
}

impl fmt::Display for FloorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FloorReport { lines, lost_percent, nanoseconds_per_line, .. } = self;
        write!(
            f,
            "floor     {lines} lines counted, {lost_percent:.2} % lost, {nanoseconds_per_line:.0} ns of CPU a line"
        )
    }
}

impl fmt::Display for DaemonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DaemonReport { lines, datagrams, kernel_drops, applied, .. } = self;
        write!(
            f,
            "received  {lines} lines in {datagrams} datagrams, {kernel_drops} dropped by the kernel, "
        )?;
        write!(f, "{applied} samples applied")?;
        let mut reasons = self.dropped.iter().chain(&self.samples_dropped);
        reasons.try_for_each(|(reason, count)| write!(f, ", {count} {reason}"))
    }
}

impl fmt::Display for StoredReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoredReport { series, exact, missing_lines, lost_lines } = self;
        write!(
            f,
            "stored    {exact} of {series} series exactly as sent; {missing_lines} lines missing, {lost_lines} lost"
        )
    }
}

impl fmt::Display for CpuReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuReport { pid, seconds, nanoseconds_per_line } = self;
        write!(f, "cpu       {nanoseconds_per_line:.0} ns a line ({seconds:.2} s by process {pid})")
    }
}
