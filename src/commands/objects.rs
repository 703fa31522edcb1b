//! `orzo resource|metric|archive-policy list|show`.

use std::io::{IsTerminal, Write, stdout};

use anyhow::Result;
use clap::{Args, Subcommand};
use orzo_tuning::client::Client;
use serde_json::Value;
use uuid::Uuid;

use super::api::{ApiArgs, segment};
use super::table::{Table, plain};

/// Examples of `orzo metric`.
pub const METRIC_EXAMPLES: &str = "\
Examples:
  orzo metric list --limit 20
  orzo metric show app.hits                  a metric of the resource \"statsd\"
  orzo metric show cpu --resource web-1
  orzo metric list --json | jq -r .name      one JSON object a line
";

/// Examples of `orzo resource`.
pub const RESOURCE_EXAMPLES: &str = "\
Examples:
  orzo resource list
  orzo resource list --type instance
  orzo resource show statsd
";

/// Examples of `orzo archive-policy`.
pub const POLICY_EXAMPLES: &str = "\
Examples:
  orzo archive-policy list
  orzo archive-policy show statsd --json
";

/// What to do with metrics.
#[derive(Debug, Subcommand)]
pub enum Metric {
    /// All metrics.
    List(List),
    /// One metric.
    Show {
        /// Its name or id.
        metric: String,
        /// The resource of a named metric, id or name.
        #[arg(long, value_name = "RESOURCE", default_value = "statsd")]
        resource: String,
        /// Which daemon, and in which form.
        #[command(flatten)]
        show: Show,
    },
}

/// What to do with resources.
#[derive(Debug, Subcommand)]
pub enum Resource {
    /// All resources.
    List {
        /// Only those of this type, with its attributes.
        #[arg(long = "type", value_name = "TYPE", default_value = "generic")]
        resource_type: String,
        /// Which daemon, how many, and in which form.
        #[command(flatten)]
        list: List,
    },
    /// One resource.
    Show {
        /// Its id or name.
        resource: String,
        /// Which daemon, and in which form.
        #[command(flatten)]
        show: Show,
    },
}

/// What to do with archive policies.
#[derive(Debug, Subcommand)]
pub enum ArchivePolicy {
    /// All archive policies.
    List(List),
    /// One archive policy.
    Show {
        /// Its name.
        name: String,
        /// Which daemon, and in which form.
        #[command(flatten)]
        show: Show,
    },
}

/// Options of lists.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    api: ApiArgs,
    /// Only so many [default: all].
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Options of what shows one object.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Metric {
    /// Asks and prints.
    pub fn run(&self) -> Result<()> {
        match self {
            Metric::List(list) => list.run(
                "/v1/metric",
                &["id", "name", "resource_id", "archive_policy_name", "unit"],
                metric_cells,
            ),
            Metric::Show { metric, resource, show } => {
                let name = segment(metric);
                show.run(&match Uuid::parse_str(metric) {
                    Ok(_) => format!("/v1/metric/{name}"),
                    Err(_) => format!("/v1/resource/generic/{}/metric/{name}", segment(resource)),
                })
            }
        }
    }
}

fn metric_cells(metric: &Value) -> Vec<String> {
    let policy = &metric["archive_policy"]["name"];
    let policy = if policy.is_null() { &metric["archive_policy_name"] } else { policy };
    [&metric["id"], &metric["name"], &metric["resource_id"], policy, &metric["unit"]].map(plain).to_vec()
}

impl Resource {
    /// Asks and prints.
    pub fn run(&self) -> Result<()> {
        match self {
            Resource::List { resource_type, list } => {
                let path = format!("/v1/resource/{}", segment(resource_type));
                list.run(&path, &["id", "name", "type", "metrics", "started_at", "ended_at"], resource_cells)
            }
            Resource::Show { resource, show } => {
                show.run(&format!("/v1/resource/generic/{}", segment(resource)))
            }
        }
    }
}

fn resource_cells(resource: &Value) -> Vec<String> {
    let metrics = resource["metrics"].as_object().map_or(0, |metrics| metrics.len());
    let cell = |name: &str| plain(&resource[name]);
    let (id, name, kind) = (cell("id"), cell("original_resource_id"), cell("type"));
    vec![id, name, kind, metrics.to_string(), cell("started_at"), cell("ended_at")]
}

impl ArchivePolicy {
    /// Asks and prints.
    pub fn run(&self) -> Result<()> {
        match self {
            ArchivePolicy::List(list) => list.run(
                "/v1/archive_policy",
                &["name", "definition", "methods", "back_window"],
                policy_cells,
            ),
            ArchivePolicy::Show { name, show } => show.run(&format!("/v1/archive_policy/{}", segment(name))),
        }
    }
}

fn policy_cells(policy: &Value) -> Vec<String> {
    let items = policy["definition"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let items = items.map(|item| format!("{} for {}", plain(&item["granularity"]), plain(&item["timespan"])));
    let definition = items.collect::<Vec<_>>().join(", ");
    vec![
        plain(&policy["name"]),
        definition,
        plain(&policy["aggregation_methods"]),
        plain(&policy["back_window"]),
    ]
}

/// Why a list ends early.
enum End {
    Enough,
    Failed(anyhow::Error),
}

impl From<orzo_tuning::client::Error> for End {
    fn from(error: orzo_tuning::client::Error) -> Self {
        End::Failed(error.into())
    }
}

impl List {
    fn run(&self, path: &str, heading: &[&str], cells: fn(&Value) -> Vec<String>) -> Result<()> {
        let client = self.api.client();
        let mut table = Table::new(heading);
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut out = stdout().lock();
        let mut show = |entry: Value| {
            let Some(less) = left.checked_sub(1) else { return Err(End::Enough) };
            left = less;
            if self.json {
                return writeln!(out, "{entry}").map_err(|why| End::Failed(why.into()));
            }
            table.row(cells(&entry));
            Ok(())
        };
        let listed = entries(&client, path, &mut show);
        match listed {
            Ok(()) | Err(End::Enough) => {}
            // Whoever reads, as `head` does, has seen enough.
            Err(End::Failed(why)) if is_broken_pipe(&why) => return Ok(()),
            Err(End::Failed(why)) => return Err(why),
        }
        if !self.json {
            print!("{}", table.text());
        }
        Ok(())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|why| why.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Archive policies come all at once, everything else in pages.
fn entries(client: &Client, path: &str, show: &mut impl FnMut(Value) -> Result<(), End>) -> Result<(), End> {
    if path != "/v1/archive_policy" {
        return client.each(path, show);
    }
    let Value::Array(policies) = client.get(path)? else { return Ok(()) };
    policies.into_iter().try_for_each(show)
}

impl Show {
    fn run(&self, path: &str) -> Result<()> {
        let value = self.api.client().get(path)?;
        if self.json || !stdout().is_terminal() {
            println!("{value:#}");
            return Ok(());
        }
        let mut table = Table::new(&["field", "value"]);
        for (name, value) in value.as_object().into_iter().flatten() {
            let text = if value.is_object() { format!("{value}") } else { plain(value) };
            table.row([name.clone(), text]);
        }
        print!("{}", table.text());
        Ok(())
    }
}
