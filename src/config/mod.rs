//! The configuration: one tree of structs ([`Config`]), read from an optional TOML file.
//!
//! [`load`] promises: an unknown key is an error; all problems come back together, with key and line; what it returns
//! has passed every check, so that nobody re-checks. No file at all is a working configuration. What depends on the
//! machine stays [`Auto`] here and is worked out by `orzo_tuning::plan`.

mod check;
mod plan;
mod print;
mod problem;
mod read;
mod statsd;
mod tree;
mod values;

#[cfg(test)]
mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use problem::{Problem, Problems};
pub use statsd::{GaugeDialect, PolicyByType, Profile, RESOURCE_ID, RESOURCE_NAME, Statsd, UdpSpread};
pub use tree::{
    ArchivePolicies, Auth, AuthMode, Config, Durability, Http, Influxdb, Janitor, Log, LogFormat, LogLevel,
    Prometheus, Store, Threads,
};
pub use values::{Auto, ByteSize, Mode, Span};

/// A configuration that passed every check, and where its values came from.
#[derive(Debug)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    file: Option<PathBuf>,
    /// Line of each key that the file sets.
    lines: BTreeMap<String, usize>,
}

/// Reads a file, or takes the defaults.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(file: Option<&Path>) -> Result<Loaded, Problems> {
    let Some(path) = file else { return Ok(parse("").expect("the defaults pass their own checks")) };
    let found = |problems| Problems { file: path.to_owned(), problems };
    let text = std::fs::read_to_string(path).map_err(|why| found(vec![Problem::whole(why.to_string())]))?;
    let loaded = parse(&text).map_err(found)?;
    Ok(Loaded { file: Some(path.to_owned()), ..loaded })
}

/// The same, from text.
fn parse(text: &str) -> Result<Loaded, Vec<Problem>> {
    let read::Read { config, lines, mut problems } = read::read(text)?;
    let misfits = check::check(&config);
    problems.extend(misfits.into_iter().map(|problem| problem.at(&lines)));
    if problems.is_empty() {
        return Ok(Loaded { config, file: None, lines });
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_the_defaults() {
        assert_eq!(load(None).unwrap().config, Config::default());
        assert_eq!(parse("# nothing\n").unwrap().config, Config::default());
    }

    #[test]
    fn a_missing_file_is_a_problem_with_its_name() {
        let problems = load(Some(Path::new("/nonexistent/orzo.toml"))).unwrap_err();
        assert!(problems.to_string().contains("/nonexistent/orzo.toml"), "{problems}");
    }

    #[test]
    fn all_problems_come_together_in_order_of_lines() {
        let text = "shutdown_deadline = \"soon\"\n[http]\nlisten = \"localhost\"\nmax_limit = 0\nport = 80\n[statsd]\nudp = 8125\n[threads]\nshards = 3\n";
        let problems = parse(text).unwrap_err();
        let found: Vec<_> = problems.iter().map(|p| (p.line, p.key.as_str())).collect();
        let expected = [
            (Some(1), "shutdown_deadline"),
            (Some(3), "http.listen"),
            (Some(4), "http.max_limit"),
            (Some(5), "http.port"),
            (Some(7), "statsd.udp"),
            (Some(9), "threads.shards"),
        ];
        assert_eq!(found, expected, "{problems:#?}");
    }

    /// The keys by which other programs start the daemon.
    #[test]
    fn the_keys_of_the_starting_contract_are_taken() {
        let text = r#"
            data_dir = "/tmp/x/data"
            [http]
            listen = "127.0.0.1:8041"
            prefix = "/gnocchi"
            max_limit = 7
            proxy_headers = true
            cors_allowed_origins = ["http://foobar.com"]
            [auth]
            mode = "remoteuser"
            [statsd]
            udp = ["127.0.0.1:8125"]
            tcp = ["127.0.0.1:8125"]
            flush_interval = "1s"
            [archive_policies]
            create_defaults = false
        "#;
        let config = parse(text).unwrap().config;
        assert_eq!((config.http.max_limit, config.auth.mode), (7, AuthMode::Remoteuser));
        assert_eq!(config.statsd.flush_interval, Span::seconds(1));
        assert!(!config.archive_policies.create_defaults && config.http.proxy_headers);
    }
}
