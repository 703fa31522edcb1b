//! Small requests, and large writes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::Ask;
use super::flood::flood;
use super::{Aim, Bench, Error, noise};

/// Measures of a large write.
const WRITE_POINTS: u64 = 5000;

/// Series that large writes go to, in turn.
const WRITTEN: u64 = 64;

impl Bench<'_> {
    pub(super) fn request(&mut self) -> Result<(), Error> {
        let (options, today) = (self.options, self.today);
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
        // Before all that follow: what is too old is not taken.
        for connections in [1, options.connections] {
            let what = format!("POST of one measure, {connections} connections");
            self.measure(what, Aim::None, Some(1), |site| {
                flood(site, connections, u64::MAX, options.time, |number| {
                    let path = format!("/v1/metric/{}/measures", ids[(number % WRITTEN) as usize]);
                    Ask::post(path, measures(today - 400 * 86_400 + number, 1, 1, number))
                })
            })?;
        }
        // Of the last year, each later than the one before, as many as the time can take.
        let span = WRITE_POINTS * 60;
        let bodies: Vec<String> =
            (0..100).map(|back| measures(today - (100 - back) * span, WRITE_POINTS, 60, back)).collect();
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
}

pub(super) fn id_of(made: &Value) -> String {
    made["id"].as_str().unwrap_or_default().to_owned()
}

/// A list of measures: a gauge with one decimal that wanders.
pub(super) fn measures(start: u64, points: u64, step: u64, seed: u64) -> String {
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
}
