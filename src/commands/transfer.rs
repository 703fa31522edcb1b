//! `orzo export` and `orzo import`: what the API shows, as JSON lines, from one daemon into another.
//!
//! Each line is an object with one key that says what it is: `archive_policy`, `archive_policy_rule`, `resource_type`,
//! `resource`, `metric`, `measures`; what is referred to comes first. Of a metric's values the finest buckets of one
//! method go along, since the API has no raw measures: an import makes one measure of each bucket. What must be the same
//! to the last bit is for `orzo backup`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use orzo_tuning::client::Client;
use serde_json::{Map, Value, json};

use super::api::{ApiArgs, segment};
use super::progress::{Progress, count};

/// Examples of `orzo export`.
pub const EXPORT_EXAMPLES: &str = "\
Examples:
  orzo export > all.jsonl
  orzo export --output all.jsonl --aggregation sum
  orzo export --no-measures | grep '^{\"archive_policy\"'
";

/// Examples of `orzo import`.
pub const IMPORT_EXAMPLES: &str = "\
Examples:
  orzo import all.jsonl --http http://127.0.0.1:9041
  ssh old orzo export | orzo import -

What exists already stays as it is; measures are added to it. Metrics get new ids.
";

/// Measures in one line, and in one request.
const POINTS: usize = 5000;
/// What every resource has and an import must not, or need not, set.
const FIXED: [&str; 9] = [
    "type",
    "creator",
    "created_by_user_id",
    "created_by_project_id",
    "original_resource_id",
    "revision_start",
    "revision_end",
    "metrics",
    "resource_type",
];

/// Options of `orzo export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    api: ApiArgs,
    /// Where to write [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Method whose buckets go along; a metric that does not have it goes without values.
    #[arg(long, value_name = "METHOD", default_value = "mean")]
    aggregation: String,
    /// Leave the values out.
    #[arg(long)]
    no_measures: bool,
}

/// Options of `orzo import`.
#[derive(Debug, Args)]
pub struct Import {
    /// What `orzo export` has written; - for standard input.
    input: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
}

impl Export {
    /// Writes everything.
    pub fn run(&self) -> Result<()> {
        let out: Box<dyn Write> = match &self.output {
            Some(path) => {
                Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
            }
            None => Box::new(io::stdout().lock()),
        };
        let mut out = Lines { out: BufWriter::new(out), progress: Progress::new("lines", None, count) };
        let client = self.api.client();
        for (path, kind) in [
            ("/v1/archive_policy", "archive_policy"),
            ("/v1/archive_policy_rule", "archive_policy_rule"),
            ("/v1/resource_type", "resource_type"),
        ] {
            let list = client.get(path)?;
            list.as_array().into_iter().flatten().try_for_each(|one| out.line(kind, one))?;
        }
        client.each("/v1/resource/generic?details=true", |resource| out.line("resource", &resource))?;
        client.each("/v1/metric", |metric| self.metric(&client, &metric, &mut out))?;
        out.out.flush()?;
        out.progress.end();
        Ok(())
    }

    fn metric(&self, client: &Client, metric: &Value, out: &mut Lines) -> Result<()> {
        let policy = policy_name(metric);
        let fields = json!({"id": metric["id"], "name": metric["name"], "unit": metric["unit"], "archive_policy_name": policy, "resource_id": metric["resource_id"]});
        out.line("metric", &fields)?;
        if self.no_measures {
            return Ok(());
        }
        let id = metric["id"].as_str().unwrap_or_default();
        let path = format!("/v1/metric/{id}/measures?aggregation={}", segment(&self.aggregation));
        let (status, text) = client.send("GET", &path, None)?;
        // The policy does not have the method, or the metric was deleted meanwhile.
        if status != 200 {
            return Ok(());
        }
        let rows: Vec<(Value, f64, f64)> = serde_json::from_str(&text).with_context(|| path.clone())?;
        let finest = rows.iter().map(|(_, width, _)| *width).fold(f64::INFINITY, f64::min);
        let rows: Vec<_> = rows.into_iter().filter(|(_, width, _)| *width == finest).collect();
        for part in rows.chunks(POINTS) {
            let points: Vec<Value> =
                part.iter().map(|(at, _, value)| json!({"timestamp": at, "value": value})).collect();
            out.line("measures", &json!({"metric": id, "points": points}))?;
        }
        Ok(())
    }
}

fn policy_name(metric: &Value) -> &Value {
    let nested = &metric["archive_policy"]["name"];
    if nested.is_null() { &metric["archive_policy_name"] } else { nested }
}

struct Lines {
    out: BufWriter<Box<dyn Write>>,
    progress: Progress,
}

impl Lines {
    fn line(&mut self, kind: &str, value: &Value) -> Result<()> {
        let mut line = Map::new();
        line.insert(kind.to_owned(), value.clone());
        writeln!(self.out, "{}", Value::Object(line)).context("cannot write the export")?;
        self.progress.add(1);
        Ok(())
    }
}

impl Import {
    /// Reads everything and sends it.
    pub fn run(&self) -> Result<()> {
        let input: Box<dyn io::Read> = if self.input.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let opened = File::open(&self.input);
            Box::new(opened.with_context(|| format!("cannot read {}", self.input.display()))?)
        };
        let mut importer = Importer { client: self.api.client(), metrics: HashMap::new() };
        let mut progress = Progress::new("lines", None, count);
        for (number, line) in BufReader::new(input).lines().enumerate() {
            let line = line.context("cannot read the export")?;
            importer.line(&line).with_context(|| format!("line {}", number + 1))?;
            progress.add(1);
        }
        progress.end();
        Ok(())
    }
}

struct Importer {
    client: Client,
    /// Ids there by ids here.
    metrics: HashMap<String, String>,
}

impl Importer {
    fn line(&mut self, line: &str) -> Result<()> {
        let Ok(Value::Object(line)) = serde_json::from_str(line) else { bail!("this is no JSON object") };
        let Some((kind, value)) = line.into_iter().next() else { bail!("the object is empty") };
        match kind.as_str() {
            "archive_policy" => self.make("/v1/archive_policy", &policy(&value)),
            "archive_policy_rule" => self.make("/v1/archive_policy_rule", &value),
            // Every daemon has it.
            "resource_type" if value["name"] == "generic" => Ok(()),
            "resource_type" => {
                let fields = json!({"name": value["name"], "attributes": value["attributes"]});
                self.make("/v1/resource_type", &fields)
            }
            "resource" => {
                let kind = value["type"].as_str().unwrap_or("generic");
                self.make(&format!("/v1/resource/{}", segment(kind)), &resource(&value))
            }
            "metric" => self.metric(&value),
            "measures" => self.measures(&value),
            other => bail!("there is no \"{other}\""),
        }
    }

    /// Makes something, unless it is there.
    fn make(&self, path: &str, body: &Value) -> Result<()> {
        match self.client.post(path, body) {
            Err(orzo_tuning::client::Error::Refused { status: 409, .. }) => Ok(()),
            made => Ok(made.map(drop)?),
        }
    }

    fn metric(&mut self, metric: &Value) -> Result<()> {
        let Some(id) = metric["id"].as_str() else { bail!("a metric has no id") };
        let existing = self.existing(metric)?;
        let there = match existing {
            Some(there) => there,
            None => {
                let mut body = metric.as_object().cloned().unwrap_or_default();
                body.remove("id");
                body.retain(|_, value| !value.is_null());
                let made = self.client.post("/v1/metric", &Value::Object(body))?;
                made["id"].as_str().context("a metric was made without an id")?.to_owned()
            }
        };
        self.metrics.insert(id.to_owned(), there);
        Ok(())
    }

    /// The metric of that name, if the resource has one.
    fn existing(&self, metric: &Value) -> Result<Option<String>> {
        let (Some(resource), Some(name)) = (metric["resource_id"].as_str(), metric["name"].as_str()) else {
            return Ok(None);
        };
        let path = format!("/v1/resource/generic/{resource}/metric/{}", segment(name));
        match self.client.get(&path) {
            Ok(found) => Ok(found["id"].as_str().map(str::to_owned)),
            Err(orzo_tuning::client::Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn measures(&self, measures: &Value) -> Result<()> {
        let id = measures["metric"].as_str().unwrap_or_default();
        let there = self.metrics.get(id).context("measures of a metric that did not come before")?;
        self.client.post(&format!("/v1/metric/{there}/measures"), &measures["points"])?;
        Ok(())
    }
}

/// Without the number of points, which follows from the rest.
fn policy(shown: &Value) -> Value {
    let mut policy = shown.clone();
    for item in policy["definition"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if item.get("timespan").is_some_and(|timespan| !timespan.is_null()) {
            item.remove("points");
        }
        item.retain(|_, value| !value.is_null());
    }
    policy
}

/// What may be set of a resource.
fn resource(shown: &Value) -> Value {
    let fields = shown.as_object().cloned().unwrap_or_default().into_iter();
    fields
        .filter(|(name, value)| !FIXED.contains(&name.as_str()) && !value.is_null())
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_set_is_sent() {
        let shown =
            json!({"id": "i", "type": "instance", "creator": "admin", "ended_at": null, "host": "web"});
        assert_eq!(resource(&shown), json!({"id": "i", "host": "web"}));
        let shown = json!({"name": "p", "definition": [{"granularity": "0:01:00", "points": 60, "timespan": "1:00:00"}, {"granularity": "1:00:00", "points": null, "timespan": null}]});
        let sent = json!({"name": "p", "definition": [{"granularity": "0:01:00", "timespan": "1:00:00"}, {"granularity": "1:00:00"}]});
        assert_eq!(policy(&shown), sent);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused() {
        let mut importer =
            Importer { client: Client::new("http://127.0.0.1:1", "admin"), metrics: HashMap::new() };
        for line in ["", "[]", "{}", r#"{"moon": 1}"#, r#"{"measures": {"metric": "x", "points": []}}"#] {
            assert!(importer.line(line).is_err(), "{line}");
        }
    }
}
