//! The API under load: how fast things are made, listed, found, written, read and deleted, with the aims beside.
//!
//! The phases go over one database, in order; a later one needs what the earlier ones made. Each may be run by itself, so
//! that the daemon can be started anew in between and its files be weighed. Only a daemon on this machine is asked, and
//! everything is bounded: numbers of objects by the options, everything else by their time.

mod client;
mod daemon;
mod flood;
mod index;
mod reads;
mod report;
mod series;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub use crate::blast::Error;
pub use report::{Aim, Report, Row, Size};

use client::{Ask, Site};
use daemon::Outside;
use flood::{Timing, flood};

/// No request of a phase is sent later than this after the first.
const PHASE_MAX: Duration = Duration::from_secs(3600);

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Makes resources, each by a request of its own.
    Resources,
    /// Makes metrics of them, through the batch endpoint.
    Metrics,
    /// Lists and searches.
    Lists,
    /// Small reads and large writes from many connections.
    Requests,
    /// Writes the series that the next phase reads, and waits until they are stored.
    Fill,
    /// Reads series, one and many. May be repeated, for instance after a start, when nothing is in memory.
    Reads,
    /// Deletes a tenth of the resources with their metrics.
    Deletion,
}

impl Phase {
    /// All, in their order.
    pub const ALL: [Phase; 7] = [
        Phase::Resources,
        Phase::Metrics,
        Phase::Lists,
        Phase::Requests,
        Phase::Fill,
        Phase::Reads,
        Phase::Deletion,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Resources => "resources",
            Phase::Metrics => "metrics",
            Phase::Lists => "lists",
            Phase::Requests => "requests",
            Phase::Fill => "fill",
            Phase::Reads => "reads",
            Phase::Deletion => "deletion",
        }
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Phase::ALL.into_iter().find(|phase| phase.name() == text);
        found.ok_or_else(|| format!("\"{text}\" is no phase"))
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://host:port`, with the prefix if there is one; loopback only.
    pub url: String,
    /// User of basic authentication.
    pub user: String,
    /// Process whose CPU time and memory are told.
    pub pid: Option<u32>,
    /// Directory whose bytes are told.
    pub data_dir: Option<PathBuf>,
    /// What to do, in this order.
    pub phases: Vec<Phase>,
    /// Resources of a type with ten attributes.
    pub resources: u64,
    /// Their metrics, as many of each.
    pub metrics: u64,
    /// Resources with one metric of a day of minutes, for grouped reads.
    pub grouped: u64,
    /// Connections of whatever is sent from many.
    pub connections: usize,
    /// How often each kind of request is sent from one connection, unless time is up before.
    pub repeats: u64,
    /// How long each kind of request is repeated at most.
    pub time: Duration,
    /// First part of all names.
    pub prefix: String,
}

/// Makes the run.
///
/// # Errors
/// What kept it from happening, or broke it off. A missed aim is none.
pub fn run(options: &Options) -> Result<Report, Error> {
    let mut bench = Bench::new(options)?;
    bench.prepare()?;
    for phase in &options.phases {
        match phase {
            Phase::Resources => bench.make_resources()?,
            Phase::Metrics => bench.make_metrics()?,
            Phase::Lists => bench.list()?,
            Phase::Requests => bench.request()?,
            Phase::Fill => bench.fill()?,
            Phase::Reads => bench.read()?,
            Phase::Deletion => bench.delete()?,
        }
        let (memory, disk) = (bench.outside.memory(), bench.outside.disk());
        bench.report.sizes.push(Size { after: phase.name().to_owned(), memory, disk });
    }
    Ok(bench.report)
}

/// A run under way.
struct Bench<'o> {
    options: &'o Options,
    site: Site,
    outside: Outside,
    report: Report,
    /// Seconds since the epoch, of a whole day: data lie before it.
    today: u64,
}

impl<'o> Bench<'o> {
    fn new(options: &'o Options) -> Result<Self, Error> {
        if options.connections == 0 || options.resources == 0 || options.grouped < 5 {
            return Err(Error::Options("there is nothing to do without connections and resources".into()));
        }
        let outside = Outside { pid: options.pid, data_dir: options.data_dir.clone() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let site = Site::new(&options.url, &options.user)?;
        Ok(Bench { options, site, outside, report: Report::default(), today: now - now % 86_400 })
    }

    /// A name of ours.
    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.options.prefix)
    }

    /// Sends one request that is not measured.
    fn ask(&self, ask: &Ask) -> Result<Value, Error> {
        let body = self.site.connect()?.ask(ask)?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|why| Error::Api(format!("{}: {why}", ask.path)))
    }

    /// Policies and types that all phases need; those of an earlier run are taken as they are.
    fn prepare(&self) -> Result<(), Error> {
        let policy = |what: &str, seconds: u64, points: u64| {
            let definition = [json!({"granularity": seconds, "points": points})];
            json!({"name": self.name(what), "definition": definition, "aggregation_methods": ["mean"]})
        };
        self.ensure("/v1/archive_policy", &policy("minute", 60, 10_080))?;
        self.ensure("/v1/archive_policy", &policy("year", 300, 2 * reads::YEAR_POINTS))?;
        self.ensure("/v1/resource_type", &index::resource_type(&self.name("vm")))?;
        self.ensure("/v1/resource_type", &reads::resource_type(&self.name("host")))
    }

    fn ensure(&self, path: &str, object: &Value) -> Result<(), Error> {
        let name = object["name"].as_str().expect("it has a name");
        if self.ask(&Ask::get(format!("{path}/{name}"))).is_ok() {
            return Ok(());
        }
        self.ask(&Ask::post(path, object)).map(drop)
    }

    /// Measures requests of one kind; `things` is how many things a request does.
    fn measure(
        &mut self,
        what: impl Into<String>,
        aim: Aim,
        things: Option<u64>,
        send: impl FnOnce(&Site) -> Result<Timing, Error>,
    ) -> Result<(), Error> {
        let before = self.outside.cpu()?;
        let memory = self.outside.reset_peak_memory();
        let timing = send(&self.site)?;
        let spent = self.outside.cpu()?.zip(before).map(|(after, before)| after.saturating_sub(before));
        let mut row = Row::new(what, &timing, spent, aim);
        row.memory_growth =
            self.outside.peak_memory().zip(memory).map(|(peak, before)| peak.saturating_sub(before));
        row.per_second = things.map(|things| timing.rate(things * timing.requests() as u64));
        eprintln!("{row}");
        self.report.rows.push(row);
        Ok(())
    }

    /// Measures one request, sent again and again from one connection; `things` as in [`Bench::measure`].
    fn repeat(
        &mut self,
        what: impl Into<String>,
        aim: Aim,
        things: Option<u64>,
        ask: &Ask,
    ) -> Result<(), Error> {
        let Options { repeats, time, .. } = *self.options;
        self.measure(what, aim, things, |site| flood(site, 1, repeats, time, |_| ask.clone()))
    }
}

/// A number that looks like chance and is the same in every run.
fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
