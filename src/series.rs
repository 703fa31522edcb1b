//! `orzo series`: what becomes of many series at once, over the API of a running daemon.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use orzo_model::filter::Glob;
use parking_lot::Mutex;
use serde::Deserialize;

const PURGE_EXAMPLES: &str = "\
Examples:
  orzo series purge 'app.*.tmp' --dry-run     say how many there are, and name some
  orzo series purge 'app.*.tmp'               delete them
  orzo series purge 'app.*@host=web1*'        with an @, the pattern covers the tags, too

A pattern covers the whole name: * any text, ? one character, [a-z] one of these. Quote it.
A series that speaks again after it was deleted comes back as a new one.
";

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Metrics of one page of a list.
const PAGE: usize = 1000;
/// Deletions under way at a time: they share the syncs of the store.
const CONNECTIONS: usize = 4;
/// Names that a dry run shows.
const SHOWN: usize = 10;

/// What to do with many series.
#[derive(Debug, Subcommand)]
pub enum Series {
    /// Delete the series whose names match a pattern.
    #[command(after_help = PURGE_EXAMPLES)]
    Purge(Purge),
}

/// Which series to delete.
#[derive(Debug, Args)]
pub struct Purge {
    /// Which names; without an @ in it, tags are left aside.
    #[arg(value_name = "PATTERN")]
    pattern: String,
    /// Delete nothing: say how many there are, and name the first ones.
    #[arg(long)]
    dry_run: bool,
    /// The daemon's API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8041")]
    http: String,
    /// User of basic authentication.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Creator of statsd's metrics (`statsd.creator`); metrics of other creators are not looked at.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    creator: String,
}

impl Series {
    /// Does it and says what was done. The exit code is 2 if that broke off.
    pub fn run(&self) -> ExitCode {
        let Series::Purge(purge) = self;
        match purge.run() {
            Ok(said) => {
                print!("{said}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("orzo series purge: {why:#}");
                ExitCode::from(2)
            }
        }
    }
}

#[derive(Deserialize)]
struct Metric {
    id: String,
    name: Option<String>,
    resource_id: Option<String>,
}

impl Purge {
    fn run(&self) -> Result<String> {
        let found = self.find()?;
        if self.dry_run {
            let names =
                found.iter().take(SHOWN).filter_map(|metric| Some(format!("  {}\n", metric.name.as_ref()?)));
            return Ok(format!("{} series match\n{}", found.len(), names.collect::<String>()));
        }
        let count = found.len();
        let deleted = self.delete(found)?;
        Ok(format!(
            "{deleted} series deleted{}\n",
            if deleted < count { ", the others were gone already" } else { "" }
        ))
    }

    /// Page after page of the creator's metrics; those that match.
    fn find(&self) -> Result<Vec<Metric>> {
        let wanted = Wanted::new(&self.pattern);
        let agent = agent();
        let mut found = Vec::new();
        let mut marker = String::new();
        loop {
            let creator = encoded(&self.creator);
            let path = format!("/v1/metric?creator={creator}&limit={PAGE}{marker}");
            let (status, text) = self.ask(&agent, "GET", &path)?;
            if status != 200 {
                bail!("GET {}{path}: status {status}: {text}", self.http);
            }
            let page: Vec<Metric> = serde_json::from_str(&text).with_context(|| format!("GET {path}"))?;
            let Some(last) = page.last() else { return Ok(found) };
            marker = format!("&marker={}", last.id);
            found.extend(page.into_iter().filter(|metric| wanted.is(metric)));
        }
    }

    /// Deletes from several connections; says how many were there.
    fn delete(&self, metrics: Vec<Metric>) -> Result<usize> {
        let waiting: Mutex<VecDeque<Metric>> = Mutex::new(metrics.into());
        let delete_some = || -> Result<usize> {
            let agent = agent();
            let mut deleted = 0;
            loop {
                let Some(metric) = waiting.lock().pop_front() else { return Ok(deleted) };
                let path = format!("/v1/metric/{}", metric.id);
                match self.ask(&agent, "DELETE", &path)? {
                    (204, _) => deleted += 1,
                    (404, _) => {}
                    (status, text) => bail!("DELETE {}{path}: status {status}: {text}", self.http),
                }
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(delete_some)).collect();
            threads.into_iter().map(|thread| thread.join().expect("deleting does not panic")).sum()
        })
    }

    fn ask(&self, agent: &ureq::Agent, method: &str, path: &str) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.http.trim_end_matches('/'));
        let request = ureq::http::Request::builder().method(method).uri(&url);
        let request = request.header("Authorization", basic(&self.user)).body(())?;
        let mut response = agent.run(request).with_context(|| format!("{method} {url}"))?;
        let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        Ok((response.status().as_u16(), text))
    }
}

/// Which metrics are meant.
struct Wanted {
    glob: Glob,
    with_tags: bool,
}

impl Wanted {
    fn new(pattern: &str) -> Self {
        Wanted { glob: Glob::new(pattern), with_tags: pattern.contains('@') }
    }

    /// Series of statsd have a name and a resource.
    fn is(&self, metric: &Metric) -> bool {
        let (Some(name), Some(_)) = (&metric.name, &metric.resource_id) else { return false };
        let without_tags = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
        self.glob.matches(if self.with_tags { name } else { without_tags })
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

fn basic(user: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:")))
}

/// A value in a query.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        let metric = |resource_id: Option<&str>| Metric {
            id: String::new(),
            name: Some(name.to_owned()),
            resource_id: resource_id.map(str::to_owned),
        };
        assert_eq!(Wanted::new(pattern).is(&metric(Some("r"))), expected, "{pattern} {name}");
        assert!(!Wanted::new(pattern).is(&metric(None)), "no series of statsd");
    }

    #[test]
    fn patterns_cover_whole_names_with_tags_only_if_they_name_some() {
        check("app.*.tmp", "app.x.y.tmp", true);
        check("app.*.tmp", "app.x.tmp@host=a", true);
        check("app.*.tmp", "app.x.tmp2", false);
        check("app.*.tmp", "my.app.x.tmp", false);
        check("app.*@host=a", "app.x@host=a", true);
        check("app.*@host=a", "app.x@host=ab", false);
        check("app.*@host=a", "app.x", false);
        check("a?[xy]", "a.y", true);
    }

    #[test]
    fn a_value_of_a_query_says_nothing_else() {
        assert_eq!(encoded("u:p&x=é"), "u%3Ap%26x%3D%C3%A9");
    }
}
