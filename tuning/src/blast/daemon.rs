//! The daemon's API as the load generator needs it: counters, and the stored aggregates of every series.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Api;
use super::error::Error;
use super::lines::{Kind, Shape};
use super::scrape::Scrape;
use super::verify::Stored;
use crate::client::Client;

/// Threads that read series back.
const READERS: usize = 4;

/// A daemon to ask.
pub(super) struct Daemon {
    client: Client,
    api: Api,
}

#[derive(Deserialize)]
struct Metric {
    id: String,
    name: Option<String>,
}

/// Timestamp, granularity, value.
type Measure = (IgnoredAny, IgnoredAny, f64);

impl Daemon {
    pub(super) fn new(api: &Api) -> Self {
        Daemon { client: Client::new(&api.url, &api.user), api: api.clone() }
    }

    /// The counters now.
    pub(super) fn scrape(&self) -> Result<Scrape, Error> {
        let (status, text) = self.get("/metrics")?;
        if status == 200 { Ok(Scrape::parse(&text)) } else { Err(unexpected("/metrics", status, &text)) }
    }

    /// What is stored of every series, in order of their numbers; nothing for those not there yet.
    pub(super) fn read_all(&self, shape: &Shape) -> Result<Vec<Stored>, Error> {
        let ids = self.metric_ids()?;
        let mut stored = vec![Stored::default(); shape.series as usize];
        let part = stored.len().div_ceil(READERS);
        std::thread::scope(|scope| {
            let mut readers = Vec::new();
            for (number, part_of) in stored.chunks_mut(part).enumerate() {
                let first = (number * part) as u32;
                let ids = &ids;
                readers.push(scope.spawn(move || self.read_part(shape, ids, first, part_of)));
            }
            readers.into_iter().try_for_each(|reader| reader.join().expect("a reader does not panic"))
        })?;
        Ok(stored)
    }

    fn read_part(
        &self,
        shape: &Shape,
        ids: &HashMap<String, String>,
        first: u32,
        stored: &mut [Stored],
    ) -> Result<(), Error> {
        for (series, stored) in (first..).zip(stored) {
            if let Some(id) = ids.get(&shape.stored_name(series)) {
                *stored = self.read(id, shape.kind(series))?;
            }
        }
        Ok(())
    }

    fn read(&self, id: &str, kind: Kind) -> Result<Stored, Error> {
        let sum = |method: &str| self.column(id, method).map(|column| column.iter().sum());
        Ok(match kind {
            Kind::Gauge => Stored { last: self.column(id, "last")?.last().copied(), ..Stored::default() },
            Kind::Set => {
                let max = self.column(id, "max")?.into_iter().reduce(f64::max);
                Stored { sum: sum("sum")?, last: max, ..Stored::default() }
            }
            _ => Stored { count: sum("count")?, sum: sum("sum")?, last: None },
        })
    }

    /// The values of all buckets.
    fn column(&self, id: &str, method: &str) -> Result<Vec<f64>, Error> {
        let path =
            format!("/v1/metric/{id}/measures?aggregation={method}&granularity={}", self.api.granularity);
        let measures: Vec<Measure> = self.json(&path)?;
        Ok(measures.into_iter().map(|(_, _, value)| value).collect())
    }

    /// Ids by name of the metrics of the statsd resource; none if it does not exist yet.
    fn metric_ids(&self) -> Result<HashMap<String, String>, Error> {
        let path = format!("/v1/resource/generic/{}/metric", self.api.resource);
        let (status, text) = self.get(&path)?;
        if status == 404 {
            return Ok(HashMap::new());
        }
        let metrics: Vec<Metric> = decode(&path, status, &text)?;
        Ok(metrics.into_iter().filter_map(|metric| Some((metric.name?, metric.id))).collect())
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, Error> {
        let (status, text) = self.get(path)?;
        decode(path, status, &text)
    }

    fn get(&self, path: &str) -> Result<(u16, String), Error> {
        self.client.send("GET", path, None).map_err(|why| Error::Api(why.to_string()))
    }
}

fn decode<T: for<'de> Deserialize<'de>>(path: &str, status: u16, text: &str) -> Result<T, Error> {
    if status != 200 {
        return Err(unexpected(path, status, text));
    }
    serde_json::from_str(text).map_err(|why| Error::Api(format!("GET {path}: {why}")))
}

fn unexpected(path: &str, status: u16, text: &str) -> Error {
    let start: String = text.chars().take(200).collect();
    Error::Api(format!("GET {path}: status {status}: {start}"))
}
