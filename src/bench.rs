//! The command line of `orzo bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};
use orzo_tuning::api_bench::{self, Options, Phase};

use crate::config::Span;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// The API of a running daemon on this machine: objects made, listed, found and deleted, series written and read.
    Api(Box<Api>),
}

impl Bench {
    /// Measures and prints. The exit code is 2 if that broke off; a missed aim is none.
    pub fn run(&self) -> ExitCode {
        let Bench::Api(api) = self;
        match api_bench::run(&api.options()) {
            Ok(report) if api.json => println!("{}", report.json()),
            Ok(report) => print!("{report}"),
            Err(why) => {
                eprintln!("orzo bench: {why}");
                return ExitCode::from(2);
            }
        }
        ExitCode::SUCCESS
    }
}

/// Options of `orzo bench api`.
#[derive(Debug, Args)]
pub struct Api {
    /// The daemon's API; it had better be empty.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8041")]
    http: String,
    /// User of basic authentication.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Tell CPU time and memory of this process.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Tell the bytes of this directory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to do, in this order, out of resources, metrics, lists, requests, fill, reads, deletion; later ones need
    /// what earlier ones made [default: all].
    #[arg(long, value_name = "PHASES", value_delimiter = ',', value_parser = Phase::from_str)]
    phases: Vec<Phase>,
    /// Resources of a type with ten attributes.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    resources: u64,
    /// Their metrics.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    metrics: u64,
    /// Resources with a day of minutes each, for grouped reads.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(5..=1_000_000))]
    grouped: u64,
    /// Connections of whatever is sent from many.
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How often each kind of request is sent from one connection, unless time is up before.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    repeats: u64,
    /// How long each kind of request is repeated at most.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = Span::from_str)]
    time: Span,
    /// First part of all names.
    #[arg(long, value_name = "TEXT", default_value = "bench")]
    prefix: String,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Api {
    /// The run that was asked for.
    pub fn options(&self) -> Options {
        Options {
            url: self.http.clone(),
            user: self.user.clone(),
            pid: self.pid,
            data_dir: self.data_dir.clone(),
            phases: if self.phases.is_empty() { Phase::ALL.to_vec() } else { self.phases.clone() },
            resources: self.resources,
            metrics: self.metrics,
            grouped: self.grouped,
            connections: usize::from(self.connections),
            repeats: self.repeats,
            time: self.time.0,
            prefix: self.prefix.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn api(words: &str) -> Result<Options, clap::Error> {
        let words = ["orzo", "bench", "api"].into_iter().chain(words.split_whitespace());
        Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Bench(Bench::Api(api)) => api.options(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn nothing_said_does_everything() {
        let options = api("").unwrap();
        assert_eq!(options.phases, Phase::ALL);
        assert_eq!((options.resources, options.metrics, options.connections), (100_000, 1_000_000, 8));
    }

    #[test]
    fn phases_are_named_in_order() {
        assert_eq!(api("--phases lists,deletion").unwrap().phases, [Phase::Lists, Phase::Deletion]);
        assert!(api("--phases naps").is_err());
        assert!(api("--connections 0").is_err());
    }
}
