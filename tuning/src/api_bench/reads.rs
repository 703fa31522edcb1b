//! Reads of one series and of many, and what they read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Ask;
use super::flood::flood;
use super::series::{id_of, measures};
use super::{Aim, Bench, Error, PHASE_MAX};

/// Five-minute points of a year.
pub(super) const YEAR_POINTS: u64 = 105_120;

/// Points of one write of the year.
const WRITE_POINTS: u64 = 5000;

/// Minutes of an hour and of a day.
const HOUR_POINTS: u64 = 60;
const DAY_POINTS: u64 = 1440;

/// Resources whose measures one request brings.
const OWNERS: u64 = 20;

/// The daemon may take this long to store what it was given.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// A hundred groups, three parts; a fifth of the resources are of the first tier.
pub(super) fn resource_type(name: &str) -> Value {
    let text = json!({"type": "string", "required": false});
    json!({"name": name, "attributes": {"group": text, "part": text, "tier": text}})
}

impl Bench<'_> {
    /// A year of one series, and a day of many.
    pub(super) fn fill(&mut self) -> Result<(), Error> {
        self.fill_year()?;
        self.fill_groups()?;
        self.settle()
    }

    fn fill_year(&self) -> Result<(), Error> {
        let made = self.ask(&Ask::post("/v1/metric", json!({"archive_policy_name": self.name("year")})))?;
        let path = format!("/v1/metric/{}/measures", id_of(&made));
        let start = self.today - YEAR_POINTS * 300;
        for from in (0..YEAR_POINTS).step_by(WRITE_POINTS as usize) {
            let points = WRITE_POINTS.min(YEAR_POINTS - from);
            self.ask(&Ask::post(&path, measures(start + from * 300, points, 300, 1)))?;
        }
        Ok(())
    }

    /// A day of minutes for each of the resources to be grouped.
    fn fill_groups(&mut self) -> Result<(), Error> {
        let (options, path, prefix) =
            (self.options, format!("/v1/resource/{}", self.name("host")), self.name("host"));
        let (first, policy, start) = (options.grouped / 5, self.name("minute"), self.today - 86_400);
        let made = |number| {
            let tier = if number < first { "first" } else { "second" };
            let (group, part) = (format!("group-{}", number % 100), format!("part-{}", number % 3));
            json!({"id": format!("{prefix}-{number}"), "group": group, "part": part, "tier": tier})
        };
        flood(&self.site, options.connections, options.grouped, PHASE_MAX, |number| {
            Ask::post(&path, made(number))
        })?;
        let requests = options.grouped.div_ceil(OWNERS);
        let what = format!("batch of {OWNERS} new metrics with {DAY_POINTS} measures each");
        self.measure(what, Aim::None, Some(OWNERS * DAY_POINTS), |site| {
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

    /// Waits until everything is stored, which takes `store.checkpoint_age`.
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
        let seconds = SETTLE_MAX.as_secs();
        Err(Error::Api(format!(
            "not everything was stored within {seconds} s; let the daemon have a store.checkpoint_age of some seconds"
        )))
    }

    pub(super) fn read(&mut self) -> Result<(), Error> {
        let loads = self.loads()?;
        self.read_one(&loads)?;
        self.read_many(&loads)?;
        let fifth = self.options.grouped / 5;
        let first = json!({"=": {"tier": "first"}});
        self.read_groups("part", 3, fifth, Aim::P50(80.0), &first)?;
        self.read_groups("group", 100, fifth, Aim::P50(120.0), &first)?;
        self.read_groups("group", 100, self.options.grouped, Aim::P50(500.0), &json!({}))
    }

    /// Metrics with a day of minutes: a page of them.
    fn loads(&self) -> Result<Vec<String>, Error> {
        let page = self.ask(&Ask::get(format!("/v1/resource/{}?limit=1000", self.name("host"))))?;
        let ids = page.as_array().into_iter().flatten().filter_map(|one| one["metrics"]["load"].as_str());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        if ids.is_empty() { Err(Error::Api("there is nothing to read: fill first".into())) } else { Ok(ids) }
    }

    fn read_one(&mut self, loads: &[String]) -> Result<(), Error> {
        let (stop, few) = (self.today, 10);
        let path = format!(
            "/v1/metric/{}/measures?aggregation=mean&granularity=60&start={}&stop={stop}",
            loads[0],
            stop - few * 60
        );
        self.repeat(format!("read of {few} points"), Aim::P50(0.2), Some(few), &Ask::get(path))?;
        let years =
            self.ask(&Ask::get(format!("/v1/metric?archive_policy_name={}&limit=1", self.name("year"))))?;
        let path = format!("/v1/metric/{}/measures?aggregation=mean&granularity=300", id_of(&years[0]));
        let what = format!("read of {YEAR_POINTS} points of a year");
        self.repeat(what, Aim::P50(12.0), Some(YEAR_POINTS), &Ask::get(path))
    }

    fn read_many(&mut self, loads: &[String]) -> Result<(), Error> {
        let averaged = &loads[..loads.len().min(200)];
        for (points, aim) in [(HOUR_POINTS, 2.0), (DAY_POINTS, 6.0)] {
            let (series, start, stop) = (averaged.len() as u64, self.today - points * 60, self.today);
            let body = json!({"operations": ["aggregate", "mean", metrics(averaged)]});
            let path = format!("/v1/aggregates?granularity=60&start={start}&stop={stop}");
            let what = format!("mean of {series} x {points} points");
            self.repeat(what, Aim::P50(aim), Some(series * points), &Ask::post(path, body))?;
        }
        let series = loads.len() as u64;
        let body = json!({"operations": ["aggregate", "mean", ["rateofchange", metrics(loads)]]});
        let what = format!("mean of rateofchange, filled, of {series} x {DAY_POINTS} points");
        let ask = Ask::post("/v1/aggregates?granularity=60&fill=0", body);
        self.repeat(what, Aim::None, Some(series * DAY_POINTS), &ask)
    }

    fn read_groups(
        &mut self,
        by: &str,
        groups: u64,
        series: u64,
        aim: Aim,
        search: &Value,
    ) -> Result<(), Error> {
        let body = json!({"operations": "(aggregate mean (metric load mean))", "search": search,
            "resource_type": self.name("host")});
        let what = format!("mean of {series} x {DAY_POINTS} points in {groups} groups");
        let ask = Ask::post(format!("/v1/aggregates?granularity=60&groupby={by}"), body);
        self.repeat(what, aim, Some(series * DAY_POINTS), &ask)
    }
}

/// The means of series, as an operation.
fn metrics(ids: &[String]) -> Value {
    let each = ids.iter().map(|id| json!([id, "mean"]));
    std::iter::once(json!("metric")).chain(each).collect()
}

fn dirty_series(line: &str) -> Option<f64> {
    line.strip_prefix("orzo_series_dirty")?.rsplit_once(' ')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirty_series_are_read_from_the_scrape() {
        assert_eq!(dirty_series("orzo_series_dirty{shard=\"0\"} 12"), Some(12.0));
        assert_eq!(dirty_series("orzo_series{shard=\"0\"} 12"), None);
    }
}
