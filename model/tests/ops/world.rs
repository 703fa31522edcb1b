//! Metrics as the vectors describe them, rolled up naively: a bucket is a method over all its points.

use std::collections::BTreeMap;

use orzo_model::rollup::{evaluate, sort_values};
use orzo_model::{ArchivePolicy, Column, Granularity, Item, Method};
use serde_json::Value;

use crate::vectors::{at, list, number, text};

pub(crate) struct Metric {
    pub(crate) policy: ArchivePolicy,
    points: BTreeMap<u64, f64>,
}

impl Metric {
    pub(crate) fn new(policy: &Value, batches: &Value) -> Self {
        let policy = parse_policy(policy);
        let mut points = BTreeMap::new();
        for batch in list(batches) {
            let newest = points.last_key_value().map(|(time, _)| at(*time));
            let oldest = newest.map_or(0, |newest| policy.first_block(newest).ns());
            let pairs = list(batch).iter().map(|point| (point[0].as_u64().unwrap(), number(&point[1])));
            points.extend(pairs.filter(|(time, _)| *time >= oldest));
        }
        Metric { policy, points }
    }

    /// What is stored of one method and granularity, cut to the timespan.
    pub(crate) fn column(&self, method: Method, granularity: Granularity) -> Column {
        let points: Vec<(u64, f64)> = self.points.iter().map(|(time, value)| (*time, *value)).collect();
        let points = if method.is_rate() {
            points.windows(2).map(|pair| (pair[1].0, pair[1].1 - pair[0].1)).collect()
        } else {
            points
        };
        let mut buckets: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (time, value) in points {
            buckets.entry(at(time).floor(granularity).ns()).or_default().push(value);
        }
        let rolled = buckets.into_iter().filter_map(|(label, values)| {
            let mut sorted = values.clone();
            sort_values(&mut sorted);
            Some((at(label), evaluate(method.formula(), &values, &sorted)?))
        });
        let column: Column = rolled.collect();
        let span = self.policy.item(granularity).and_then(Item::timespan_ns);
        let last = column.starts.last().map_or(0, |label| label.ns());
        let visible = |label: u64| span.is_none_or(|span| label + span > last);
        column.iter().filter(|(label, _)| visible(label.ns())).collect()
    }
}

fn parse_policy(policy: &Value) -> ArchivePolicy {
    let items = list(&policy["definition"]).iter().map(|item| Item {
        granularity: Granularity::from_ns(item["granularity_ns"].as_u64().unwrap()).unwrap(),
        points: item["points"].as_u64(),
    });
    let methods = list(&policy["aggregation_methods"]).iter();
    ArchivePolicy {
        name: "vector".to_owned(),
        back_window: policy["back_window"].as_u64().unwrap() as u32,
        items: items.collect(),
        methods: methods.map(|name| Method::parse(text(name)).unwrap()).collect(),
    }
}
