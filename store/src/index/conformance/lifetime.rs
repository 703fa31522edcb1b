//! Ends of resources: found missing, cleared by measures, and the reason to be deleted.

use super::*;
use crate::index::{Deletion, Heard, Index};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    index.create_resource_type(host_type("host")).unwrap();
    pages_of_living_resources_leave_nobody_out(&*index);
    names_of_metrics_come_in_pages(&*index);
    silence_ends_what_has_no_end(&*index);
    a_measure_clears_the_end_it_does_not_precede(&*index);
    what_came_before_the_end_was_set_clears_nothing(&*index);
    only_resources_that_ended_before_are_deleted(&*index);
}

fn end(index: &dyn Index, id: ResourceId, seconds: u64, now: u64) {
    let patch = crate::index::ResourcePatch {
        // Before its start nothing ends.
        started_at: Some(at(1)),
        ended_at: Some(at(seconds)),
        now: at(now),
        ..Default::default()
    };
    assert!(index.patch_resource("generic", id, patch).unwrap().revised);
}

fn silence_ends_what_has_no_end(index: &dyn Index) {
    let ids = ["s0", "s1", "s2"].map(|text| add(index, "host", text, &[]).id);
    end(index, ids[1], 15, 15);
    let born_later = NewResource { started_at: Some(at(99)), ..new_resource("host", "s3") };
    let born_later = index.create_resource(born_later).unwrap().id;
    let asked = [ids[0], ids[1], id_of("nobody"), ids[2], born_later];
    assert_eq!(index.end_resources(&asked, at(20)).unwrap(), 2);
    assert_eq!(index.end_resources(&asked, at(30)).unwrap(), 0);
    let ends = |id: ResourceId| -> Vec<Option<Timestamp>> {
        history_of(index, id).iter().map(|state| state.ended_at).collect()
    };
    assert_eq!(ends(ids[0]), [None, Some(at(20))]);
    assert_eq!(ends(ids[1]), [None, Some(at(15))]);
    assert_eq!(ends(born_later), [None]);
    index.delete_resources("generic", &Condition::Always).unwrap();
}

/// All living resources, two looked at a time.
fn living(index: &dyn Index) -> Vec<ResourceId> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = index.living(after, 2).unwrap();
        assert!(page.living.len() <= 2);
        found.extend(page.living);
        match page.last {
            Some(last) => after = Some(last),
            None => return found,
        }
    }
}

fn pages_of_living_resources_leave_nobody_out(index: &dyn Index) {
    let mut ids: Vec<ResourceId> = Vec::new();
    for number in 0..7 {
        let resource_type = if number % 2 == 0 { "generic" } else { "host" };
        ids.push(add(index, resource_type, &format!("l{number}"), &[]).id);
    }
    end(index, ids[3], 50, 60);
    end(index, ids[4], 50, 60);
    let mut expected = ids.clone();
    expected.drain(3..5);
    expected.sort_unstable();
    assert_eq!(living(index), expected);
    index.delete_resources("generic", &Condition::Always).unwrap();
    assert_eq!(living(index), []);
}

fn names_of_metrics_come_in_pages(index: &dyn Index) {
    let made = add(index, "host", "pages", &["b", "a", "c"]);
    let page = |after, limit| index.metric_ids(made.id, after, limit).unwrap();
    assert_eq!(page(None, 2), [("a".to_owned(), made.metrics["a"]), ("b".to_owned(), made.metrics["b"])]);
    assert_eq!(page(Some("b"), 2), [("c".to_owned(), made.metrics["c"])]);
    assert_eq!(page(Some("c"), 2), []);
    index.delete_resource("host", made.id, None).unwrap();
}

fn a_measure_clears_the_end_it_does_not_precede(index: &dyn Index) {
    let made = add(index, "host", "woken", &["a", "b"]);
    let heard =
        |name: &str, newest: u64| Heard { metric: made.metrics[name], arrived: at(200), newest: at(newest) };
    assert_eq!(index.revive(&[heard("a", 100)], at(200)).unwrap(), 0, "nobody has an end");
    end(index, made.id, 100, 150);
    assert_eq!(index.revive(&[heard("a", 99)], at(200)).unwrap(), 0, "it is older");
    let stranger = Heard { metric: MetricId::from_bits(1), ..heard("a", 100) };
    assert_eq!(index.revive(&[stranger, heard("b", 99), heard("a", 100)], at(200)).unwrap(), 1);
    let now = index.resource("host", made.id).unwrap();
    assert_eq!((now.ended_at, now.revision_start), (None, at(200)));
    assert_eq!(living(index), [made.id]);
    assert_eq!(history_of(index, made.id).len(), 3, "made, ended, going on");
    assert_eq!(index.revive(&[heard("a", 100)], at(201)).unwrap(), 0, "once is enough");
    index.delete_resource("host", made.id, None).unwrap();
}

fn what_came_before_the_end_was_set_clears_nothing(index: &dyn Index) {
    let made = add(index, "host", "ended later", &["a"]);
    end(index, made.id, 100, 150);
    let heard = |arrived: u64| Heard { metric: made.metrics["a"], arrived: at(arrived), newest: at(120) };
    assert_eq!(index.revive(&[heard(149)], at(200)).unwrap(), 0);
    assert_eq!(index.revive(&[heard(150)], at(200)).unwrap(), 1);
    index.delete_resource("host", made.id, None).unwrap();
}

fn only_resources_that_ended_before_are_deleted(index: &dyn Index) {
    for (number, ended) in [30, 10, 20, 40].into_iter().enumerate() {
        let made = add(index, "host", &format!("e{number}"), &["m"]);
        end(index, made.id, ended, 50);
        // A change of the end takes its key along.
        end(index, made.id, ended + 1, 60);
    }
    add(index, "generic", "alive", &["m"]);
    assert_eq!(index.delete_ended(at(11), 9).unwrap(), Deletion::default(), "the bound itself stays");
    let first = index.delete_ended(at(32), 2).unwrap();
    assert_eq!((first.resources, first.metrics.len()), (2, 2));
    let left = index.resources(&ResourcePage::all("generic", &Condition::Always)).unwrap();
    assert_eq!(names(&left), ["alive", "e0", "e3"], "the first to end went first");
    assert!(history_of_none(index, id_of("e1")));
    assert_eq!(index.delete_ended(at(32), 9).unwrap().resources, 1);
    assert_eq!(index.delete_ended(at(32), 9).unwrap(), Deletion::default());
    index.delete_resources("generic", &Condition::Always).unwrap();
    assert_eq!(index.delete_ended(Timestamp::MAX, 9).unwrap(), Deletion::default(), "its key went with it");
}

fn history_of_none(index: &dyn Index, id: ResourceId) -> bool {
    index.history(id, &ResourcePage::all("generic", &Condition::Always)).is_err()
}
