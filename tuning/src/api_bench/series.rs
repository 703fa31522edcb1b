//! Measures: small requests, large writes, and reads of one series and of many.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Ask;
use super::flood::flood;
use super::{Aim, Bench, Error, PHASE_MAX, noise};

/// Five-minute points of a year.
pub(super) const YEAR_POINTS: u64 = 105_120;

/// Minutes of a day.
const DAY_POINTS: u64 = 1440;

/// Measures of a large write.
const WRITE_POINTS: u64 = 5000;

/// Series that large writes go to, in turn.
const WRITTEN: u64 = 64;

/// Series that are averaged.
const AVERAGED: u64 = 200;

/// Resources whose measures one request brings.
const OWNERS: u64 = 20;

/// The daemon may take this long to store what it was given.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// A hundred groups; a fifth of the resources are of one tier.
pub(super) fn resource_type(name: &str) -> Value {
    let text = json!({"type": "string", "required": false});
    json!({"name": name, "attributes": {"group": text, "tier": text}})
}

impl Bench<'_> {
    pub(super) fn request(&mut self) -> Result<(), Error> {
        let options = self.options;
        let body = json!({"archive_policy_name": self.name("minute")});
        let made: Result<Vec<_>, Error> =
            (0..WRITTEN).map(|_| self.ask(&Ask::post("/v1/metric", &body))).collect();
        let ids: Vec<String> = made?.iter().map(id_of).collect();
        for connections in [1, options.connections] {
            let what = format!("GET of a metric, {connections} connections");
            self.measure(what, Aim::None, Some(1), |site| {
                flood(site, connections, u64::MAX, options.time, |number| {
                    Ask::get(format!("/v1/metric/{}", ids[(number % WRITTEN) as usize]))
                })
            })?;
        }
        // Of the last days, each later than the one before, as many as the time can take.
        let span = WRITE_POINTS * 60;
        let bodies: Vec<String> =
            (0..100).map(|back| measures(self.today - (100 - back) * span, WRITE_POINTS, 60, back)).collect();
        for connections in [1, options.connections] {
            let what = format!("POST of {WRITE_POINTS} measures, {connections} connections");
            self.measure(what, Aim::None, Some(1), |site| {
                flood(site, connections, u64::MAX, options.time, |number| {
                    let path = format!("/v1/metric/{}/measures", ids[(number % WRITTEN) as usize]);
                    Ask::post(path, &bodies[(number / WRITTEN) as usize % bodies.len()])
                })
            })?;
        }
        Ok(())
    }

    pub(super) fn read(&mut self) -> Result<(), Error> {
        let year = self.fill_year()?;
        self.fill_groups()?;
        self.settle()?;
        let path = format!("/v1/metric/{year}/measures?aggregation=mean&granularity=300");
        self.repeat(format!("read of {YEAR_POINTS} points of a year"), Aim::P50(12.0), &Ask::get(path))?;
        self.read_mean()?;
        let small = self.options.grouped / 5;
        self.read_groups(small, Aim::P50(80.0), &json!({"=": {"tier": "first"}}))?;
        self.read_groups(self.options.grouped, Aim::P50(500.0), &json!({}))
    }

    fn fill_year(&self) -> Result<String, Error> {
        let made = self.ask(&Ask::post("/v1/metric", json!({"archive_policy_name": self.name("year")})))?;
        let id = id_of(&made);
        let start = self.today - YEAR_POINTS * 300;
        for from in (0..YEAR_POINTS).step_by(WRITE_POINTS as usize) {
            let points = WRITE_POINTS.min(YEAR_POINTS - from);
            let body = measures(start + from * 300, points, 300, 1);
            self.ask(&Ask::post(format!("/v1/metric/{id}/measures"), body))?;
        }
        Ok(id)
    }

    /// A day of minutes for each of the resources to be grouped.
    fn fill_groups(&mut self) -> Result<(), Error> {
        let (options, path, prefix) =
            (self.options, format!("/v1/resource/{}", self.name("host")), self.name("host"));
        let (first, policy, start) = (options.grouped / 5, self.name("minute"), self.today - 86_400);
        let made = |number| {
            let tier = if number < first { "first" } else { "second" };
            json!({"id": format!("{prefix}-{number}"), "group": format!("group-{}", number % 100), "tier": tier})
        };
        flood(&self.site, options.connections, options.grouped, PHASE_MAX, |number| {
            Ask::post(&path, made(number))
        })?;
        let requests = options.grouped.div_ceil(OWNERS);
        let what = format!("batch of {OWNERS} new metrics with {DAY_POINTS} measures each");
        self.measure(what, Aim::None, Some(1), |site| {
            flood(site, options.connections, requests, PHASE_MAX, |request| {
                let owners = request * OWNERS..((request + 1) * OWNERS).min(options.grouped);
                let metric = |number| {
                    let measures = measures(start, DAY_POINTS, 60, number);
                    format!(
                        "\"{prefix}-{number}\": {{\"load\": {{\"archive_policy_name\": \"{policy}\", \"measures\": {measures}}}}}"
                    )
                };
                let body = format!("{{{}}}", owners.map(metric).collect::<Vec<_>>().join(", "));
                Ask::post("/v1/batch/resources/metrics/measures?create_metrics=true", body)
            })
        })
    }

    /// Waits until everything is stored.
    fn settle(&self) -> Result<(), Error> {
        let (deadline, mut connection) = (Instant::now() + SETTLE_MAX, self.site.connect()?);
        while Instant::now() < deadline {
            let scrape = connection.ask(&Ask::get("/metrics"))?;
            let dirty = String::from_utf8_lossy(&scrape).lines().filter_map(dirty_series).sum::<f64>();
            if dirty == 0.0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(Error::Api(format!("not everything was stored within {} s", SETTLE_MAX.as_secs())))
    }

    fn read_mean(&mut self) -> Result<(), Error> {
        let page = self.ask(&Ask::get(format!("/v1/resource/{}?limit={AVERAGED}", self.name("host"))))?;
        let ids = page.as_array().into_iter().flatten().map(|one| json!([one["metrics"]["load"], "mean"]));
        let metrics: Vec<Value> = std::iter::once(json!("metric")).chain(ids).collect();
        let what = format!("mean of {} x {DAY_POINTS} points", metrics.len() - 1);
        let body = json!({"operations": ["aggregate", "mean", metrics]});
        self.repeat(what, Aim::P50(6.0), &Ask::post("/v1/aggregates?granularity=60", body))
    }

    fn read_groups(&mut self, resources: u64, aim: Aim, search: &Value) -> Result<(), Error> {
        let body = json!({"operations": "(aggregate mean (metric load mean))", "search": search,
            "resource_type": self.name("host")});
        let what = format!("mean of {resources} x {DAY_POINTS} points by group");
        self.repeat(what, aim, &Ask::post("/v1/aggregates?granularity=60&groupby=group", body))
    }
}

fn id_of(made: &Value) -> String {
    made["id"].as_str().unwrap_or_default().to_owned()
}

fn dirty_series(line: &str) -> Option<f64> {
    line.strip_prefix("orzo_series_dirty")?.rsplit_once(' ')?.1.parse().ok()
}

/// A list of measures: a gauge with one decimal that wanders.
fn measures(start: u64, points: u64, step: u64, seed: u64) -> String {
    let mut text = String::with_capacity(points as usize * 48);
    let mut value = 500;
    for point in 0..points {
        value = (value + (noise(seed << 32 | point) % 21) as i64 - 10).clamp(0, 1000);
        let at = start + point * step;
        let comma = if point > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{{\"timestamp\": {at}, \"value\": {}.{}}}", value / 10, value % 10);
    }
    format!("[{text}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_json_and_the_same_each_time() {
        let text = measures(1_700_000_000, 3, 60, 7);
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list[2]["timestamp"], 1_700_000_120);
        assert!(list[0]["value"].is_number());
        assert_eq!(text, measures(1_700_000_000, 3, 60, 7));
    }

    #[test]
    fn dirty_series_are_read_from_the_scrape() {
        assert_eq!(dirty_series("orzo_series_dirty{shard=\"0\"} 12"), Some(12.0));
        assert_eq!(dirty_series("orzo_series{shard=\"0\"} 12"), None);
    }
}
