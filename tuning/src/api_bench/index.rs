//! Resources and metrics: made, listed, found, deleted.

use std::fmt::Write as _;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Ask;
use super::flood::{Timing, flood, timed};
use super::{Aim, Bench, Error, PHASE_MAX, noise};

/// Objects of one page.
const PAGE: u64 = 1000;

/// Metrics made by one batch.
const BATCH_METRICS: u64 = 1000;

const PAGE_AIM: Aim = Aim::P99(20.0);
const SEARCH_AIM: Aim = Aim::P99(150.0);
const CREATION_AIM: Aim = Aim::PerSecond(10_000.0);
const DELETION_AIM: Aim = Aim::PerSecond(50_000.0);

/// Ten attributes of all kinds. None of them has an index.
pub(super) fn resource_type(name: &str) -> Value {
    let text = json!({"type": "string", "required": false});
    let number = json!({"type": "number", "required": false});
    json!({"name": name, "attributes": {
        "host": text, "zone": text, "flavor": text, "rack": text, "label": text, "image": {"type": "uuid", "required": false},
        "cores": number, "memory": number, "on": {"type": "bool", "required": false}, "booted": {"type": "datetime", "required": false}}})
}

/// A hundredth of the resources belong to one project, a tenth are in one zone, a thousandth in one rack.
fn resource(prefix: &str, number: u64) -> Value {
    let chance = noise(number);
    json!({"id": resource_id(prefix, number),
        "project_id": format!("project-{}", number % 100), "user_id": format!("user-{}", chance % 1000),
        "host": format!("host-{number:07}.example.org"), "zone": format!("zone-{}", number % 10),
        "flavor": format!("flavor-{}", chance % 40), "rack": format!("rack-{}", (chance >> 8) % 1000),
        "label": format!("{chance:016x}"), "image": format!("{:08x}-0000-4000-8000-000000000000", chance % 200),
        "cores": 1 << (chance % 6), "memory": 512 * (1 + chance % 64), "on": !chance.is_multiple_of(8),
        "booted": 1_700_000_000 + chance % 50_000_000})
}

fn resource_id(prefix: &str, number: u64) -> String {
    format!("{prefix}-vm-{number}")
}

/// What a listing says of an object.
#[derive(Deserialize)]
struct Listed {
    id: String,
}

impl Bench<'_> {
    fn vms(&self) -> String {
        format!("/v1/resource/{}", self.name("vm"))
    }

    /// Metrics of each resource.
    fn metrics_each(&self) -> u64 {
        (self.options.metrics / self.options.resources).max(1)
    }

    pub(super) fn make_resources(&mut self) -> Result<(), Error> {
        let (options, path) = (self.options, self.vms());
        let what = format!("make {} resources, {} connections", options.resources, options.connections);
        self.measure(what, CREATION_AIM, Some(1), |site| {
            flood(site, options.connections, options.resources, PHASE_MAX, |number| {
                Ask::post(&path, resource(&options.prefix, number))
            })
        })
    }

    pub(super) fn make_metrics(&mut self) -> Result<(), Error> {
        let (options, each, policy, at) =
            (self.options, self.metrics_each(), self.name("minute"), self.today);
        let owners = (BATCH_METRICS / each).max(1);
        let requests = (options.metrics / each).min(options.resources).div_ceil(owners);
        let what = format!("make {} metrics in batches of {}", requests * owners * each, owners * each);
        let made = Some(owners * each);
        self.measure(what, CREATION_AIM, made, |site| {
            flood(site, options.connections, requests, PHASE_MAX, |request| {
                let owners = request * owners..(request + 1) * owners;
                let owners = owners.map(|number| resource_id(&options.prefix, number % options.resources));
                Ask::post(
                    "/v1/batch/resources/metrics/measures?create_metrics=true",
                    batch(owners, each, &policy, at),
                )
            })
        })
    }

    pub(super) fn list(&mut self) -> Result<(), Error> {
        let page = format!("{}?limit={PAGE}", self.vms());
        self.repeat("page of 1000 resources", PAGE_AIM, None, &Ask::get(&page))?;
        let middle = self.walk(&page)?;
        self.repeat(
            "page of 1000 behind nine tenths",
            PAGE_AIM,
            None,
            &Ask::get(format!("{page}&marker={middle}")),
        )?;
        let sorted = format!("{page}&sort=rack:asc");
        self.repeat("page of 1000 by an attribute", PAGE_AIM, None, &Ask::get(&sorted))?;
        let ask = Ask::get(format!("{sorted}&marker={middle}"));
        self.repeat("page of 1000 by an attribute, behind a marker", PAGE_AIM, None, &ask)?;
        self.search("project_id of a hundredth", PAGE_AIM, &json!({"=": {"project_id": "project-7"}}))?;
        self.search("attribute of a thousandth", SEARCH_AIM, &json!({"=": {"rack": "rack-7"}}))?;
        self.search("part of an attribute", SEARCH_AIM, &json!({"like": {"host": "%77%"}}))?;
        self.search("attribute that nobody has", SEARCH_AIM, &json!({"=": {"label": "none"}}))?;
        self.list_metrics()
    }

    fn search(&mut self, what: &str, aim: Aim, filter: &Value) -> Result<(), Error> {
        let path = format!("/v1/search/resource/{}?limit={PAGE}", self.name("vm"));
        self.repeat(format!("search by {what}"), aim, None, &Ask::post(path, filter))
    }

    fn list_metrics(&mut self) -> Result<(), Error> {
        let page = format!("/v1/metric?limit={PAGE}");
        self.repeat("page of 1000 metrics", PAGE_AIM, None, &Ask::get(&page))?;
        let last = last_of(&serde_json::to_vec(&self.ask(&Ask::get(&page))?).expect("it was JSON"))?;
        if let Some(last) = last {
            self.repeat(
                "page of 1000 metrics behind a marker",
                PAGE_AIM,
                None,
                &Ask::get(format!("{page}&marker={last}")),
            )?;
        }
        self.repeat(
            "page of 1000 metrics of a name",
            PAGE_AIM,
            None,
            &Ask::get(format!("{page}&name=metric.0")),
        )
    }

    /// Goes through all pages by their markers. Returns the marker of the page nine tenths down.
    fn walk(&mut self, page: &str) -> Result<String, Error> {
        let mut markers = Vec::new();
        let time = 4 * self.options.time;
        self.measure("all pages of 1000, one after the other", PAGE_AIM, Some(PAGE), |site| {
            let (mut connection, mut latencies, start) = (site.connect()?, Vec::new(), Instant::now());
            let mut ask = Ask::get(page);
            while start.elapsed() < time {
                let (latency, body) = timed(&mut connection, &ask)?;
                latencies.push(latency);
                let Some(last) = last_of(&body)? else { break };
                ask = Ask::get(format!("{page}&marker={last}"));
                markers.push(last);
            }
            Ok(Timing::new(latencies, start.elapsed()))
        })?;
        let middle = markers.len() * 9 / 10;
        markers.into_iter().nth(middle).ok_or_else(|| Error::Api("there are no resources".into()))
    }

    pub(super) fn delete(&mut self) -> Result<(), Error> {
        let (site, path) = (self.site.clone(), self.vms());
        let body = json!({"=": {"zone": "zone-3"}}).to_string();
        let ask = Ask { method: "DELETE", path, body };
        let expected = self.options.resources.div_ceil(10);
        let what = format!("delete {} metrics with {expected} resources", expected * self.metrics_each());
        let things = Some(expected * self.metrics_each());
        self.measure(what, DELETION_AIM, things, |_| {
            let (latency, _) = timed(&mut site.connect()?, &ask)?;
            Ok(Timing::new(vec![latency], latency))
        })
    }
}

fn last_of(page: &[u8]) -> Result<Option<String>, Error> {
    let listed: Vec<Listed> =
        serde_json::from_slice(page).map_err(|why| Error::Api(format!("a page: {why}")))?;
    Ok(listed.into_iter().last().map(|last| last.id))
}

/// One measure for each metric of each owner.
fn batch(owners: impl Iterator<Item = String>, each: u64, policy: &str, at: u64) -> String {
    let mut text = String::from("{");
    for owner in owners {
        let _ = write!(text, "{}\"{owner}\": {{", if text.len() > 1 { ", " } else { "" });
        for number in 0..each {
            let comma = if number > 0 { ", " } else { "" };
            let _ = write!(
                text,
                "{comma}\"metric.{number}\": {{\"archive_policy_name\": \"{policy}\", \
                 \"measures\": [{{\"timestamp\": {at}, \"value\": {number}.5}}]}}"
            );
        }
        text.push('}');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_json() {
        let owners = ["a", "b"].map(str::to_owned).into_iter();
        let batch: Value = serde_json::from_str(&batch(owners, 3, "p", 1_700_000_000)).unwrap();
        assert_eq!(batch.as_object().unwrap().len(), 2);
        let metric =
            json!({"archive_policy_name": "p", "measures": [{"timestamp": 1_700_000_000, "value": 2.5}]});
        assert_eq!(batch["b"]["metric.2"], metric);
    }

    #[test]
    fn every_attribute_of_a_resource_is_one_of_its_type() {
        let kind = resource_type("vm");
        let made = resource("p", 12);
        let attributes = made
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| !["id", "project_id", "user_id"].contains(&key.as_str()));
        assert_eq!(attributes.filter(|key| kind["attributes"].get(key.as_str()).is_some()).count(), 10);
    }
}
