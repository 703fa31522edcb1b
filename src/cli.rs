//! The command line: what can be said, turned into what the other crates take.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use orzo_tuning::Machine;
use orzo_tuning::blast::{Amount, Api, Mix, Options, Shape, Target};
use uuid::Uuid;

use crate::bench::Bench;
use crate::check::{self, Check};
use crate::commands::backup::{BACKUP_EXAMPLES, Backup, RESTORE_EXAMPLES, Restore};
use crate::commands::doctor::{self, Doctor};
use crate::commands::generate::Generate;
use crate::commands::objects::{self, ArchivePolicy, Metric, Resource};
use crate::commands::query::{self, Query};
use crate::commands::status::{STATUS_EXAMPLES, Status, TOP_EXAMPLES, Top};
use crate::commands::tail::{self, Tail};
use crate::commands::take_over::{self, TakeOver};
use crate::commands::transfer::{EXPORT_EXAMPLES, Export, IMPORT_EXAMPLES, Import};
use crate::config::{self, Problems, RESOURCE_ID, Span};
use crate::series::Series;

const EXAMPLES: &str = "\
Examples:
  orzo serve                                  run with the defaults, data in ./orzo-data
  orzo serve --config /etc/orzo.toml
  orzo config check --config /etc/orzo.toml   say everything that is wrong with a file
  printf 'demo.hits:3|c\\n' | nc -u -w1 127.0.0.1 8125
";

const BLAST_EXAMPLES: &str = "\
Examples:
  orzo blast --lines 1000000 --http http://127.0.0.1:8041 --verify
                                 send a million lines and compare every sum with what is stored
  orzo blast --seconds 20 --rate 100000 --http http://127.0.0.1:8041 --pid $(pidof orzo)
                                 CPU time a line at 100 000 lines a second
  orzo blast --floor --lines 2000000
                                 what a loop costs that receives and only counts newlines
  orzo blast --tcp 127.0.0.1:8125 --lines 1000000 --senders 4 --http http://127.0.0.1:8041 --verify

The exit code is 0 if everything adds up, 1 if something does not, 2 if the run could not be made.
";

/// Collects statsd metrics, keeps their aggregates, serves them over the Gnocchi API.
#[derive(Debug, Parser)]
#[command(name = "orzo", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon until SIGTERM or SIGINT.
    Serve(ConfigFile),
    /// Look at a configuration without running it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the machine: what is wrong with it for this daemon, why it matters, and what mends it.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Doctor),
    /// What the daemon has received, lost and holds.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// The same again and again, with how fast it grows.
    #[command(after_help = TOP_EXAMPLES)]
    Top(Top),
    /// Lines of statsd as they come in.
    #[command(after_help = tail::EXAMPLES)]
    Tail(Tail),
    /// Values of a metric, or of an expression over many.
    #[command(after_help = query::EXAMPLES)]
    Query(Query),
    /// List and show metrics.
    #[command(subcommand, after_help = objects::METRIC_EXAMPLES)]
    Metric(Metric),
    /// List and show resources.
    #[command(subcommand, after_help = objects::RESOURCE_EXAMPLES)]
    Resource(Resource),
    /// List and show archive policies.
    #[command(subcommand, after_help = objects::POLICY_EXAMPLES)]
    ArchivePolicy(ArchivePolicy),
    /// Copy the database of a daemon that runs, as it is at one moment.
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Put a backup where the daemon will look for its database.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Write all objects and values as JSON lines.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Send what was exported to a daemon.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Let the program on disk take the place of the daemon that runs, with its sockets.
    #[command(after_help = take_over::EXAMPLES)]
    TakeOver(TakeOver),
    /// Send statsd lines whose sums are known, and compare with what the daemon received and stored.
    #[command(after_help = BLAST_EXAMPLES)]
    Blast(Box<Blast>),
    /// Measure a running daemon.
    #[command(subcommand)]
    Bench(Bench),
    /// Verify the store of a daemon that does not run: every checksum, and whether all fits together.
    #[command(after_help = check::AFTER_HELP)]
    Check(Check),
    /// Look after many series at once.
    #[command(subcommand)]
    Series(Series),
    /// Write manual pages, completions for shells and the default configuration, for packages.
    #[command(hide = true)]
    Generate(Generate),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration in TOML; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file, if one is named.
    pub fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective values and where each came from, and what the machine makes of "auto"; `orzo doctor` says more of
    /// the machine.
    Print(ConfigFile),
    /// Say everything that is wrong with it; the exit code tells whether anything is.
    Check(ConfigFile),
}

impl ConfigCommand {
    /// Prints what was asked for, or everything that is wrong with the file and exits with 1.
    pub fn run(&self) -> ExitCode {
        match self.text() {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(problems) => {
                eprintln!("{problems}");
                ExitCode::FAILURE
            }
        }
    }

    fn text(&self) -> Result<String, Problems> {
        match self {
            ConfigCommand::Print(file) => config::load(file.path()).map(|loaded| effective(&loaded)),
            ConfigCommand::Check(file) => config::load(file.path()).map(|_| "nothing is wrong\n".to_owned()),
        }
    }
}

/// The values, and as comments what the plan makes of "auto".
fn effective(loaded: &config::Loaded) -> String {
    let machine = Machine::read();
    let plan = orzo_tuning::plan(&machine, &loaded.config.wishes());
    let mut text = loaded.print();
    text.push_str("\n# On this machine:\n");
    plan.reasons.iter().for_each(|reason| text.push_str(&format!("# {reason}\n")));
    text
}

/// Options of the load generator.
#[derive(Debug, Args)]
pub struct Blast {
    /// Send datagrams to this address.
    #[arg(long, value_name = "ADDRESS", group = "target", default_value = "127.0.0.1:8125")]
    udp: SocketAddr,
    /// Send lines over TCP connections to this address instead.
    #[arg(long, value_name = "ADDRESS", group = "target")]
    tcp: Option<SocketAddr>,
    /// Send datagrams to this unix socket instead.
    #[arg(long, value_name = "PATH", group = "target")]
    unix_datagram: Option<PathBuf>,
    /// Send lines over this unix socket instead.
    #[arg(long, value_name = "PATH", group = "target")]
    unix_stream: Option<PathBuf>,
    /// Send to a loop of this process that only counts newlines, and say what it cost.
    #[arg(long, group = "target", conflicts_with_all = ["http", "pid"])]
    floor: bool,
    /// Permit a target that is not a loopback address.
    #[arg(long)]
    allow_remote: bool,

    /// Stop after this many lines, rounded up to whole datagrams [default: 1000000 unless --seconds is given].
    #[arg(long, value_name = "COUNT")]
    lines: Option<u64>,
    /// Stop after this long.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Lines a second over all senders [default: as fast as it goes].
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Sockets, each with a thread and series of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    senders: usize,
    /// Hand many datagrams of equal length to the kernel as one (UDP_SEGMENT).
    #[arg(long, conflicts_with_all = ["tcp", "unix_datagram", "unix_stream", "floor"])]
    segment: bool,

    /// Distinct series.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    series: u32,
    /// Lines in a datagram.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    lines_per_datagram: usize,
    /// Shares of the types: c, g, ms, h, d, s.
    #[arg(long, value_name = "SHARES", default_value = "c=60,ms=30,g=10")]
    mix: Mix,
    /// DogStatsD tags on each line, 0 to 5.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    tags: usize,
    /// Let counters and timers claim to be one in so many (a power of two).
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    one_in: u32,
    /// First part of every metric's name.
    #[arg(long, value_name = "TEXT", default_value = "blast")]
    prefix: String,
    /// Decides values, order and types: the same seed sends the same bytes.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// The daemon's API, to compare what was sent with what it says it received.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// User of basic authentication.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Read every series back and compare it with what was sent (native profile).
    #[arg(long, requires = "http")]
    verify: bool,
    /// Width of the buckets that are added up, in seconds; the metrics' policies must have it.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    granularity: u64,
    /// The resource that statsd metrics belong to.
    #[arg(long, value_name = "UUID", default_value_t = RESOURCE_ID)]
    resource: Uuid,
    /// How long the daemon may take to show everything.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = Span::from_str)]
    settle: Span,
    /// Divide the CPU time of this process by the lines.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Blast {
    /// The run that was asked for.
    pub fn options(&self) -> Options {
        Options {
            target: self.target(),
            allow_remote: self.allow_remote,
            shape: self.shape(),
            amount: self.amount(),
            rate: self.rate,
            senders: self.senders,
            segment: self.segment,
            api: self.api(),
            verify: self.verify,
            settle: self.settle.0,
            pid: self.pid,
            floor: self.floor,
        }
    }

    /// Makes the run and prints what it found. The exit code is 1 if something does not add up, 2 if there was no run.
    pub fn run(&self) -> ExitCode {
        match orzo_tuning::blast::run(&self.options()) {
            Ok(report) => {
                println!("{}", if self.json { report.json() } else { report.to_string() });
                ExitCode::from(u8::from(!report.passed()))
            }
            Err(why) => {
                eprintln!("orzo blast: {why}");
                ExitCode::from(2)
            }
        }
    }

    fn target(&self) -> Target {
        match (&self.tcp, &self.unix_datagram, &self.unix_stream) {
            (Some(address), ..) => Target::Tcp(*address),
            (_, Some(path), _) => Target::UnixDatagram(path.clone()),
            (.., Some(path)) => Target::UnixStream(path.clone()),
            _ => Target::Udp(self.udp),
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            series: self.series,
            lines_per_datagram: self.lines_per_datagram,
            mix: self.mix.clone(),
            tags: self.tags,
            one_in: self.one_in,
            prefix: self.prefix.clone(),
            seed: self.seed,
        }
    }

    fn amount(&self) -> Amount {
        const LINES: u64 = 1_000_000;
        let time = self.seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO));
        Amount { lines: self.lines.or_else(|| time.is_none().then_some(LINES)), time }
    }

    fn api(&self) -> Option<Api> {
        let url = self.http.clone()?;
        Some(Api { url, user: self.user.clone(), resource: self.resource, granularity: self.granularity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn blast(words: &str) -> Result<Options, clap::Error> {
        let words = ["orzo", "blast"].into_iter().chain(words.split_whitespace());
        Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Blast(blast) => blast.options(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_said_sends_a_million_lines_over_udp() {
        let options = blast("").unwrap();
        assert_eq!(options.target, Target::Udp("127.0.0.1:8125".parse().unwrap()));
        assert_eq!((options.amount.lines, options.amount.time), (Some(1_000_000), None));
        assert!(options.api.is_none() && !options.floor);
    }

    #[test]
    fn a_time_alone_has_no_count_of_lines() {
        let options = blast("--seconds 2.5 --tcp 127.0.0.1:1").unwrap();
        assert_eq!(options.target, Target::Tcp("127.0.0.1:1".parse().unwrap()));
        assert_eq!((options.amount.lines, options.amount.time), (None, Some(Duration::from_millis(2500))));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(blast("--tcp 127.0.0.1:1 --unix-stream /x").is_err());
        assert!(blast("--verify").is_err());
        assert!(blast("--floor --http http://127.0.0.1:1").is_err());
        assert!(blast("--mix q=1").is_err());
        assert!(blast("--rate 0").is_err());
    }

    #[test]
    fn a_configuration_is_optional() {
        let file = |words: &[&str]| match Cli::try_parse_from(words).unwrap().command {
            Command::Serve(file)
            | Command::Config(ConfigCommand::Print(file) | ConfigCommand::Check(file)) => file.config,
            other => panic!("{other:?}"),
        };
        assert_eq!(file(&["orzo", "serve"]), None);
        assert_eq!(file(&["orzo", "config", "check", "--config", "x.toml"]), Some("x.toml".into()));
    }
}
