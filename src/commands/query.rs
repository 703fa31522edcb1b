//! `orzo query`: the values of a metric, or of an expression over many.

use std::io::{IsTerminal, stdout};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{ApiArgs, segment};
use super::table::{Table, plain};

/// Examples of `orzo query`.
pub const EXAMPLES: &str = "\
Examples:
  orzo query app.hits                                   newest values of a statsd metric
  orzo query app.hits --aggregation sum --granularity 60 --limit 0
  orzo query cpu --resource 1d3c5d2e-5d7f-4c6a-9a38-000000000001 --start 2026-05-01T00:00
  orzo query 5685f18a-afaa-54f4-9b82-d17a21aa6741       a metric by its id
  orzo query '(* 8 (aggregate sum (metric bytes mean)))' --search \"host like 'web%'\" --type instance
";

/// Options of `orzo query`.
#[derive(Debug, Args)]
pub struct Query {
    /// A metric's name or id, or an expression in parentheses.
    what: String,
    #[command(flatten)]
    api: ApiArgs,
    /// The resource of a named metric, id or name.
    #[arg(long, value_name = "RESOURCE", default_value = "statsd")]
    resource: String,
    /// Method of a metric's values.
    #[arg(long, value_name = "METHOD", default_value = "mean")]
    aggregation: String,
    /// Width of the buckets, such as 60 or 1h [default: each that there is].
    #[arg(long, value_name = "TIME")]
    granularity: Option<String>,
    /// First instant, ISO 8601 or such as -1h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// First instant that is left out.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    stop: Option<String>,
    /// Which resources an expression is about, such as \"host like 'web%'\".
    #[arg(long, value_name = "FILTER")]
    search: Option<String>,
    /// Type of those resources.
    #[arg(long = "type", value_name = "TYPE", default_value = "generic")]
    resource_type: String,
    /// Only so many of the newest rows, 0 for all.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// Print the API's answer as it is. So it is, too, where no terminal is.
    #[arg(long)]
    json: bool,
    /// Print a table even where no terminal is.
    #[arg(long, conflicts_with = "json")]
    table: bool,
}

impl Query {
    /// Asks and prints.
    pub fn run(&self) -> Result<()> {
        let is_expression = self.what.starts_with('(');
        let answer = if is_expression { self.expression()? } else { self.metric()? };
        if self.json || !(self.table || stdout().is_terminal()) {
            println!("{answer}");
        } else if is_expression {
            print!("{}", self.tables(&answer));
        } else {
            print!("{}", self.rows(&answer).text());
        }
        Ok(())
    }

    fn metric(&self) -> Result<Value> {
        if self.search.is_some() {
            bail!("--search is for expressions: a metric is found by --resource, or by its id");
        }
        let name = segment(&self.what);
        let metric = match Uuid::parse_str(&self.what) {
            Ok(_) => format!("/v1/metric/{name}"),
            Err(_) => format!("/v1/resource/generic/{}/metric/{name}", segment(&self.resource)),
        };
        let mut arguments = vec![format!("aggregation={}", segment(&self.aggregation))];
        arguments.extend(self.times());
        Ok(self.api.client().get(&format!("{metric}/measures?{}", arguments.join("&")))?)
    }

    fn expression(&self) -> Result<Value> {
        let mut body = json!({ "operations": self.what });
        if let Some(search) = &self.search {
            body["search"] = json!(search);
            body["resource_type"] = json!(self.resource_type);
        }
        Ok(self.api.client().post(&format!("/v1/aggregates?{}", self.times().join("&")), &body)?)
    }

    fn times(&self) -> Vec<String> {
        let named = [("granularity", &self.granularity), ("start", &self.start), ("stop", &self.stop)];
        let given = named.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("{name}={}", segment(value))).collect()
    }

    /// Of `[[time, granularity, value], …]`.
    fn rows(&self, measures: &Value) -> Table {
        let mut table = Table::new(&["time", "granularity", "value"]);
        let rows = measures.as_array().map_or(&[][..], Vec::as_slice);
        let skipped = if self.limit == 0 { 0 } else { rows.len().saturating_sub(self.limit) };
        for row in &rows[skipped..] {
            table.row([plain(&row[0]), plain(&row[1]), plain(&row[2])]);
        }
        table
    }

    /// Of every series in an answer: arrays of rows, however deep they lie.
    fn tables(&self, answer: &Value) -> String {
        let mut text = String::new();
        each_series(answer, "", &mut |title, rows| {
            text.push_str(&format!("{title}\n{}\n", self.rows(rows).text()));
        });
        text
    }
}

fn each_series(value: &Value, title: &str, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Array(rows) if rows.iter().all(|row| row.is_array()) => visit(title, value),
        Value::Array(groups) => {
            for group in groups {
                each_series(&group["measures"], &plain(&group["group"]), visit);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "references") {
                let name = if name == "measures" { "" } else { name };
                let title =
                    [title, name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
                each_series(value, &title, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_however_deep() {
        let answer = json!({"measures": {"aggregated": [["t", 60.0, 1.0]], "id": {"mean": [["t", 60.0, 2.0]]}}, "references": []});
        let mut found = Vec::new();
        each_series(&answer, "", &mut |title, rows| found.push((title.to_owned(), rows[0][2].clone())));
        assert_eq!(found, [("aggregated".to_owned(), json!(1.0)), ("id mean".to_owned(), json!(2.0))]);
    }
}
