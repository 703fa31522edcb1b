//! Archive policies and rules.

use std::sync::Arc;

use orzo_model::{ArchivePolicy, Granularity, Item, SECOND};

use super::*;
use crate::index::{Index, PolicyChange};

pub(super) fn run(database: &Database) {
    let index = database();
    policies_come_and_change(&*index);
    rules_are_tried_in_order(&*index);
    policies_in_use_stay(&*index);
}

fn policies_come_and_change(index: &dyn Index) {
    for name in ["medium", "low", "é ✔"] {
        assert_eq!(*index.create_policy(policy(name)).unwrap(), policy(name));
    }
    let listed: Vec<String> = index.policies().unwrap().iter().map(|policy| policy.name.clone()).collect();
    assert_eq!(listed, ["low", "medium", "é ✔"]);
    assert_eq!(*index.policy("é ✔").unwrap(), policy("é ✔"));
    refused(index.policy("nope"), "Archive policy nope does not exist");
    refused(index.create_policy(policy("low")), "Archive policy low already exists");

    let seconds = |seconds: u64, points| Item {
        granularity: Granularity::from_ns(seconds * SECOND).unwrap(),
        points: Some(points),
    };
    let change = |items: &[Item], back_window| PolicyChange { items: items.to_vec(), back_window };
    let reordered = [seconds(300, 7), seconds(60, 8)];
    let changed = index.update_policy("low", change(&reordered, None)).unwrap();
    assert_eq!((changed.items.as_slice(), changed.back_window), (&reordered[..], 1));
    let changed = index.update_policy("low", change(&reordered, Some(0))).unwrap();
    assert_eq!(changed.back_window, 0);
    assert_eq!(index.policy("low").unwrap(), changed);
    refused(
        index.update_policy("low", change(&reordered[..1], None)),
        "Archive policy low does not support change: Cannot add or drop granularities",
    );
    refused(
        index.update_policy("low", change(&[seconds(300, 7), seconds(1, 8)], None)),
        "Archive policy low does not support change: 60.0 granularity interval was changed",
    );
    refused(index.update_policy("nope", change(&reordered, None)), "Archive policy nope does not exist");
    index.delete_policy("é ✔").unwrap();
    refused(index.delete_policy("é ✔"), "Archive policy é ✔ does not exist");
}

fn rules_are_tried_in_order(index: &dyn Index) {
    let none = "No archive policy name specified and no archive policy rule found matching the metric name ";
    refused(index.policy_by_rule("disk.io"), &format!("{none}disk.io"));
    for (name, pattern, policy) in [
        ("star", "*", "low"),
        ("disk", "disk.*", "medium"),
        ("a", "disk.io.*", "low"),
        ("b", "disk.io.*", "medium"),
        ("set", "[ab]?x", "medium"),
    ] {
        index.create_rule(rule(name, pattern, policy)).unwrap();
    }
    let listed = |index: &dyn Index| -> Vec<String> {
        index.rules().unwrap().iter().map(|rule| rule.name.clone()).collect()
    };
    assert_eq!(listed(index), ["a", "b", "disk", "set", "star"]);
    let by_rule = |name: &str| -> Arc<ArchivePolicy> { index.policy_by_rule(name).unwrap() };
    assert_eq!(by_rule("disk.io.read").name, "low");
    assert_eq!(by_rule("disk.space").name, "medium");
    assert_eq!(by_rule("").name, "low");

    refused(index.create_rule(rule("a", "*", "low")), "Archive policy rule a already exists");
    assert!(
        matches!(index.create_rule(rule("c", "*", "nope")), Err(Error::UnknownPolicy(name)) if name == "nope")
    );
    assert_eq!(index.rename_rule("a", "a").unwrap().name, "a");
    refused(
        index.rename_rule("a", "b"),
        "Archive policy rule a does not support change: Archive policy rule b already exists.",
    );
    refused(index.rename_rule("nope", "c"), "Archive policy rule nope does not exist");
    assert_eq!(*index.rename_rule("a", "c").unwrap(), rule("c", "disk.io.*", "low"));
    assert_eq!(listed(index), ["b", "c", "disk", "set", "star"]);
    assert_eq!(index.rule("c").unwrap().name, "c");
    refused(index.rule("a"), "Archive policy rule a does not exist");
    index.delete_rule("b").unwrap();
    refused(index.delete_rule("b"), "Archive policy rule b does not exist");
}

fn policies_in_use_stay(index: &dyn Index) {
    refused(index.delete_policy("medium"), "Archive policy medium is still in use");
    index.delete_rule("disk").unwrap();
    index.delete_rule("set").unwrap();
    let metric = add_metric(index, alone(None, Some("medium"))).unwrap();
    refused(index.delete_policy("medium"), "Archive policy medium is still in use");
    assert_eq!(index.delete_metrics(&[metric.id]).unwrap(), [metric.id]);
    refused(index.delete_policy("medium"), "Archive policy medium is still in use");
    index.expunge(&[metric.id]).unwrap();
    index.delete_policy("medium").unwrap();
}
