//! `orzo status` and `orzo top`: what the daemon receives, loses and holds, once or again and again.

use std::io::{IsTerminal, stdout};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use orzo_tuning::bytes_text;
use orzo_tuning::client::Client;
use orzo_tuning::exposition::Sums;
use serde_json::{Map, Value, json};

use super::api::ApiArgs;
use crate::config::Span;

/// Examples of `orzo status`.
pub const STATUS_EXAMPLES: &str = "\
Examples:
  orzo status
  orzo status --json | jq .kernel_drops
  orzo status --http http://127.0.0.1:9041
";

/// Examples of `orzo top`.
pub const TOP_EXAMPLES: &str = "\
Examples:
  orzo top
  orzo top --interval 10s --count 6 > minute.txt      six plain blocks, for a report
";

/// Options of `orzo status`.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    api: ApiArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Options of `orzo top`.
#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    api: ApiArgs,
    /// Time between two looks.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = <Span as std::str::FromStr>::from_str)]
    interval: Span,
    /// Stop after so many looks [default: never].
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

/// What is shown of a number.
#[derive(Clone, Copy)]
enum Kind {
    /// It only grows: how fast is of interest, too.
    Counter,
    Count,
    Bytes,
    /// The greatest of all threads.
    Seconds,
}

/// A number: its name in JSON, what it is called, the counters it is the sum of.
struct Number(&'static str, &'static str, Kind, &'static [&'static str]);

const NUMBERS: [Number; 19] = [
    Number("datagrams", "datagrams received", Kind::Counter, &["orzo_statsd_datagrams_total"]),
    Number("lines", "lines received", Kind::Counter, &["orzo_statsd_lines_total"]),
    Number("bytes", "bytes received", Kind::Counter, &["orzo_statsd_bytes_total"]),
    Number(
        "kernel_drops",
        "datagrams dropped by the kernel",
        Kind::Counter,
        &["orzo_statsd_kernel_drops_total"],
    ),
    Number("lines_refused", "lines refused", Kind::Counter, &["orzo_statsd_dropped_total"]),
    Number("samples_refused", "samples refused", Kind::Counter, &["orzo_samples_dropped_total"]),
    Number("samples_applied", "samples applied", Kind::Counter, &["orzo_samples_applied_total"]),
    Number("samples_pending", "samples pending", Kind::Count, &["orzo_samples_pending"]),
    Number("measures", "measures over HTTP", Kind::Counter, &["orzo_measures_accepted_total"]),
    Number("measures_refused", "measures refused", Kind::Counter, &["orzo_measures_refused_total"]),
    Number("connections", "statsd connections", Kind::Count, &["orzo_statsd_connections"]),
    Number("statsd_series", "statsd series", Kind::Count, &["orzo_statsd_series"]),
    Number("series_in_memory", "series in memory", Kind::Count, &["orzo_series"]),
    Number("series_dirty", "series not yet stored", Kind::Count, &["orzo_series_dirty"]),
    Number("oldest_dirty_seconds", "oldest of them", Kind::Seconds, &["orzo_oldest_dirty_seconds"]),
    Number("backlog_bytes", "bytes to the log", Kind::Counter, &["orzo_backlog_bytes_total"]),
    Number("damaged", "damaged values passed over", Kind::Counter, &["orzo_damaged_total"]),
    Number("store_failed", "stores that take no writes", Kind::Count, &["orzo_store_failed"]),
    Number("memory_bytes", "memory of the daemon", Kind::Bytes, &["orzo_memory_bytes"]),
];

/// Counters that have a reason each.
const REASONS: [(&str, &str); 2] =
    [("lines", "orzo_statsd_dropped_total"), ("samples", "orzo_samples_dropped_total")];

impl Number {
    fn read(&self, sums: &Sums) -> f64 {
        match self.2 {
            Kind::Seconds => self.3.iter().map(|name| sums.greatest(name)).fold(0.0, f64::max),
            _ => self.3.iter().map(|name| sums.total(name)).sum(),
        }
    }

    fn text(&self, value: f64) -> String {
        match self.2 {
            Kind::Counter | Kind::Count => grouped(value as u64),
            Kind::Bytes => bytes_text(value as u64),
            Kind::Seconds => format!("{value:.1} s"),
        }
    }
}

impl Status {
    /// Looks once.
    pub fn run(&self) -> Result<()> {
        let sums = look(&self.api.client())?;
        if self.json {
            println!("{}", json(&sums));
        } else {
            print!("{}", block(&sums, None));
        }
        Ok(())
    }
}

impl Top {
    /// Looks again and again.
    pub fn run(&self) -> Result<()> {
        let client = self.api.client();
        let on_terminal = stdout().is_terminal();
        let (mut before, mut seen_at) = (look(&client)?, Instant::now());
        let mut looks = 0;
        while self.count.is_none_or(|count| looks < count) {
            sleep(self.interval.0);
            let (sums, at) = (look(&client)?, Instant::now());
            let text = block(&sums, Some((&before, at - seen_at)));
            if on_terminal {
                // Home, the text with every line's rest erased, and what was below.
                print!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"));
                std::io::Write::flush(&mut stdout())?;
            } else {
                println!("{text}");
            }
            (before, seen_at) = (sums, at);
            looks += 1;
        }
        Ok(())
    }
}

fn look(client: &Client) -> Result<Sums> {
    Ok(Sums::of(&client.text("GET", "/metrics", None)?))
}

fn json(sums: &Sums) -> Value {
    let mut object = Map::new();
    for number in &NUMBERS {
        let value = number.read(sums);
        let whole = !matches!(number.2, Kind::Seconds);
        object.insert(number.0.to_owned(), if whole { json!(value as u64) } else { json!(value) });
    }
    for (what, name) in REASONS {
        let reasons = sums.reasons(name).map(|(reason, value)| (reason.to_owned(), json!(value as u64)));
        object.insert(format!("{what}_refused_by_reason"), Value::Object(reasons.collect()));
    }
    Value::Object(object)
}

/// One line a number; with an earlier look, also how fast it grows.
fn block(sums: &Sums, before: Option<(&Sums, Duration)>) -> String {
    let mut text = String::new();
    let mut line = |title: &str, value: String, grown: Option<f64>| {
        let rate = grown.zip(before).map(|(grown, (_, time))| {
            // Less than before: the daemon was started anew.
            format!("{:>14}/s", grouped((grown.max(0.0) / time.as_secs_f64()) as u64))
        });
        text.push_str(format!("{title:32} {value:>16} {}", rate.unwrap_or_default()).trim_end());
        text.push('\n');
    };
    for number in &NUMBERS {
        let value = number.read(sums);
        let counter = matches!(number.2, Kind::Counter);
        let grown = before.filter(|_| counter).map(|(before, _)| value - number.read(before));
        line(number.1, number.text(value), grown);
    }
    for (what, name) in REASONS {
        for (reason, value) in sums.reasons(name) {
            let earlier = before.and_then(|(before, _)| before.reasons(name).find(|(one, _)| *one == reason));
            let grown = before.map(|_| value - earlier.map_or(0.0, |(_, earlier)| earlier));
            line(&format!("  {what} refused: {reason}"), grouped(value as u64), grown);
        }
    }
    text
}

/// `1 234 567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "orzo_statsd_lines_total{listener=\"0\"} 1000\n\
        orzo_statsd_dropped_total{listener=\"0\",reason=\"bad_value\"} 1\n";
    const AFTER: &str = "orzo_statsd_lines_total{listener=\"0\"} 1501000\n\
        orzo_statsd_dropped_total{listener=\"0\",reason=\"bad_value\"} 5\n\
        orzo_oldest_dirty_seconds{shard=\"0\"} 3.25\norzo_oldest_dirty_seconds{shard=\"1\"} 1\n";

    #[test]
    fn numbers_are_shown_with_their_speed() {
        let text = block(&Sums::of(AFTER), Some((&Sums::of(BEFORE), Duration::from_secs(2))));
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        assert!(line("lines received").ends_with("1 501 000        750 000/s"), "{text}");
        assert!(line("  lines refused: bad_value").ends_with(" 5              2/s"), "{text}");
        assert!(line("oldest").ends_with("3.2 s"), "{text}");
    }

    #[test]
    fn json_has_every_number_and_reason() {
        let json = json(&Sums::of(AFTER));
        assert_eq!((&json["lines"], &json["oldest_dirty_seconds"]), (&json!(1501000), &json!(3.25)));
        assert_eq!(json["lines_refused_by_reason"], json!({"bad_value": 5}));
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!(["0", "999", "1 000", "12 345 678"], [0, 999, 1000, 12_345_678].map(grouped).as_slice());
    }
}
