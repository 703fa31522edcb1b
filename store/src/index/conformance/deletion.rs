//! Deleting resources and metrics, and expunging.

use super::*;
use crate::index::{Deletion, Index};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    index.create_resource_type(host_type("host")).unwrap();
    resources_go_with_all_they_have(&*index);
    resources_go_by_condition(&*index);
    metrics_go_in_two_steps(&*index);
}

fn resources_go_with_all_they_have(index: &dyn Index) {
    let made = add(index, "host", "gone", &["a", "b"]);
    patch_user(index, made.id, "u", 20);
    let mut ids: Vec<MetricId> = made.metrics.values().copied().collect();
    let mut deletion = index.delete_resource("generic", made.id, None).unwrap();
    ids.sort_unstable();
    deletion.metrics.sort_unstable();
    assert_eq!(deletion, Deletion { resources: 1, metrics: ids.clone() });
    for through in ["host", "generic"] {
        refused(index.resource(through, made.id), &format!("Resource {} does not exist", made.id));
        let mut page = ResourcePage::all(through, &Condition::Always);
        page.history = true;
        assert!(index.resources(&page).unwrap().is_empty());
    }
    assert!(index.metrics_by_id(&ids).unwrap().iter().all(Option::is_none));
    assert!(index.metrics_of(made.id).unwrap().is_empty());
    let again = add(index, "host", "gone", &["a"]);
    assert_eq!(history_of(index, made.id).len(), 1, "old history does not come back");
    assert_ne!(again.metrics["a"], made.metrics["a"]);
    index.delete_resource("host", made.id, None).unwrap();
    assert_eq!(index.metrics_count().unwrap(), 0);
}

fn resources_go_by_condition(index: &dyn Index) {
    for number in 0..50 {
        let project_id = Some(format!("p{}", number % 2));
        let metrics = vec![("m".to_owned(), fresh("low"))];
        let text = format!("r{number}");
        let resource_type = if number % 5 == 0 { "generic" } else { "host" };
        let new = NewResource { project_id, metrics, ..new_resource(resource_type, &text) };
        index.create_resource(new).unwrap();
    }
    let odd = condition(index, "host", false, "project_id = p1");
    let deletion = index.delete_resources("host", &odd).unwrap();
    assert_eq!((deletion.resources, deletion.metrics.len()), (20, 20));
    assert_eq!(index.delete_resources("host", &odd).unwrap(), Deletion::default());
    let left = index.resources(&ResourcePage::all("generic", &Condition::Always)).unwrap();
    assert_eq!(left.len(), 30, "and nothing is left of them anywhere");
    assert_eq!(index.metrics_count().unwrap(), 30);
    let named = condition(index, "generic", false, "id in [r0, r2, nobody]");
    assert_eq!(index.delete_resources("generic", &named).unwrap().resources, 2);
    refused(index.delete_resources("nope", &named), "Resource type nope does not exist");
    assert_eq!(index.delete_resources("generic", &Condition::Always).unwrap().resources, 28);
    assert_eq!(index.metrics_count().unwrap(), 0);
}

fn metrics_go_in_two_steps(index: &dyn Index) {
    while let found @ [_, ..] = index.deleted_metrics(None, 7).unwrap().as_slice() {
        let ids: Vec<MetricId> = found.iter().map(|metric| metric.id).collect();
        index.expunge(&ids).unwrap();
    }
    let made = add(index, "host", "two steps", &["a", "b"]);
    let ids: Vec<MetricId> = made.metrics.values().copied().collect();
    let stranger = MetricId::from_bits(1);
    assert_eq!(index.delete_metrics(&[ids[0], stranger, ids[0]]).unwrap(), [ids[0]]);
    assert_eq!(active(index, ids[0]), None);
    assert_eq!(index.metrics_by_name(&[(made.id, "a")]).unwrap(), [None]);
    assert_eq!(index.resource("host", made.id).unwrap().metrics.len(), 1);
    for page in [
        crate::index::MetricPage { name: Some("a"), ..Default::default() },
        crate::index::MetricPage { creator: Some(ALICE), policy: Some("low"), ..Default::default() },
    ] {
        assert!(index.metrics(&page).unwrap().iter().all(|metric| metric.id != ids[0]));
    }
    let again = index.add_metrics("host", made.id, vec![("a".to_owned(), fresh("low"))], at(20)).unwrap();
    assert_eq!(again.len(), 2, "the name is free at once");

    index.delete_metrics(&[ids[1]]).unwrap();
    let deleted = index.deleted_metrics(None, 10).unwrap();
    assert_eq!(deleted.len(), 2);
    assert!(deleted[0].id < deleted[1].id && deleted.iter().all(|metric| metric.policy == "low"));
    assert_eq!(index.deleted_metrics(Some(deleted[0].id), 10).unwrap(), deleted[1..]);
    assert_eq!(index.deleted_metrics(None, 1).unwrap(), deleted[..1]);
    let living = again.iter().map(|metric| metric.id).find(|id| *id != ids[1]).unwrap();
    index.expunge(&[ids[0], ids[1], stranger, living]).unwrap();
    assert!(index.deleted_metrics(None, 10).unwrap().is_empty());
    assert!(active(index, living).is_some(), "only deleted metrics are expunged");
}
