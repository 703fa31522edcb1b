//! Creating, reading and changing resources.

use std::thread;

use super::*;
use crate::index::{Index, ResourcePatch};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    index.create_resource_type(host_type("host")).unwrap();
    index.create_resource_type(host_type("other")).unwrap();
    resources_are_made_whole_or_not_at_all(&*index);
    resources_are_found_by_type(&*index);
    patches_make_revisions(&*index);
    patches_replace_metrics(&*index);
    racing_patches_lose(&*index);
    writers_take_turns(&index);
}

fn resources_are_made_whole_or_not_at_all(index: &dyn Index) {
    let unknown = MetricId::from_bits(7);
    for (bad, text) in [
        (fresh("nope"), "Archive policy nope does not exist".to_owned()),
        (MetricSpec::Existing(unknown), format!("Metric {unknown} does not exist")),
        (
            MetricSpec::New { policy: None, unit: None },
            "No archive policy name specified and no archive policy rule found matching the metric name bad"
                .to_owned(),
        ),
    ] {
        let metrics = vec![("good".to_owned(), fresh("low")), ("bad".to_owned(), bad)];
        refused(index.create_resource(NewResource { metrics, ..new_resource("host", "atom") }), &text);
    }
    refused(index.resource("host", id_of("atom")), &format!("Resource {} does not exist", id_of("atom")));
    assert_eq!(index.metrics_count().unwrap(), 0);
    assert!(index.metrics(&Default::default()).unwrap().is_empty());
    assert!(index.resources(&ResourcePage::all("generic", &Condition::Always)).unwrap().is_empty());

    let made = add(index, "host", "atom", &["good", "better"]);
    assert_eq!(made, index.resource("host", made.id).unwrap());
    assert_eq!((made.started_at, made.revision_start, made.revision_end), (at(10), at(10), None));
    assert_eq!(made.metrics.keys().collect::<Vec<_>>(), ["better", "good"]);
    assert_eq!(index.metrics_count().unwrap(), 2);
    let metric = active(index, made.metrics["good"]).unwrap();
    assert_eq!((metric.name.as_deref(), metric.resource), (Some("good"), Some(made.id)));
    assert_eq!((metric.creator.as_str(), metric.policy.name.as_str()), (ALICE, "low"));
    assert_eq!(metric.created_at, at(10));
}

fn resources_are_found_by_type(index: &dyn Index) {
    let id = id_of("atom");
    for through in ["host", "generic"] {
        assert_eq!(index.resource(through, id).unwrap().original_id, "atom");
    }
    for through in ["other", "nope"] {
        refused(index.resource(through, id), &format!("Resource {id} does not exist"));
        refused(
            index.patch_resource(through, id, ResourcePatch::default()),
            &format!("Resource {id} does not exist"),
        );
        refused(index.delete_resource(through, id, None), &format!("Resource {id} does not exist"));
    }
    refused(index.create_resource(new_resource("other", "atom")), &format!("Resource {id} already exists"));
    refused(index.create_resource(new_resource("nope", "x")), "Resource type nope does not exist");
    let times = |start, end| NewResource {
        started_at: start,
        ended_at: Some(end),
        ..new_resource("generic", "backwards")
    };
    for bad in [times(Some(at(6)), at(5)), times(None, at(9))] {
        refused(index.create_resource(bad), "Start timestamp cannot be after end timestamp");
    }
    assert_eq!(index.create_resource(times(Some(at(5)), at(5))).unwrap().ended_at, Some(at(5)));
}

fn values() -> Vec<(String, Value)> {
    let serial = uuid::Uuid::from_u128(77);
    let values = [
        ("rack", Value::Text("\"é\0".to_owned())),
        ("serial", Value::Uuid(serial)),
        ("load", Value::Number(-1.5)),
        ("virtual", Value::Bool(false)),
        ("bought", Value::Time(at(3))),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

fn patches_make_revisions(index: &dyn Index) {
    let id = add(index, "host", "patched", &["m"]).id;
    let patch = |patch: ResourcePatch| index.patch_resource("host", id, patch).unwrap();
    assert!(!patch(ResourcePatch { now: at(20), ..Default::default() }).revised);
    let same =
        ResourcePatch { user_id: Some(None), started_at: Some(at(10)), now: at(20), ..Default::default() };
    assert!(!patch(same).revised);

    let first = patch(ResourcePatch { attributes: values(), now: at(20), ..Default::default() });
    assert!(first.revised);
    assert_eq!((first.resource.revision_start, first.resource.started_at), (at(20), at(10)));
    for (name, value) in values() {
        assert_eq!(attribute(&first.resource, &name), Some(&value));
    }
    assert_eq!(first.resource, index.resource("host", id).unwrap());
    assert!(!patch(ResourcePatch { attributes: values(), now: at(21), ..Default::default() }).revised);

    // The clock stands still, and nobody can tell the revisions apart by it; so it must not.
    let user = Some(Some("u".to_owned()));
    let second = patch(ResourcePatch { user_id: user, now: at(20), ..Default::default() });
    assert!(second.resource.revision_start > first.resource.revision_start);
    let history = history_of(index, id);
    let ends: Vec<_> = history.iter().map(|state| (state.revision_start, state.revision_end)).collect();
    let start = second.resource.revision_start;
    assert_eq!(ends, [(at(10), Some(at(20))), (at(20), Some(start)), (start, None)]);
    assert_eq!(attribute(&history[0], "rack"), None);
    assert_eq!(history.iter().map(|state| state.user_id.is_some()).collect::<Vec<_>>(), [false, false, true]);
    assert!(history.iter().all(|state| state.metrics.contains_key("m")), "history shows today's metrics");

    let ended = ResourcePatch { ended_at: Some(at(9)), now: at(30), ..Default::default() };
    refused(index.patch_resource("host", id, ended), "Start timestamp cannot be after end timestamp");
    let gone = patch(ResourcePatch {
        user_id: Some(None),
        ended_at: Some(at(40)),
        now: at(30),
        ..Default::default()
    });
    assert_eq!((gone.resource.user_id, gone.resource.ended_at), (None, Some(at(40))));
    let micros = at(50).saturating_add(1_999);
    let cut = patch(ResourcePatch { ended_at: Some(micros), now: at(31), ..Default::default() });
    assert_eq!(cut.resource.ended_at, Some(at(50).saturating_add(1_000)));
}

fn patches_replace_metrics(index: &dyn Index) {
    let made = add(index, "host", "replaced", &["keep", "drop", "rename"]);
    let other = add(index, "host", "robbed", &["taken"]);
    let foreign = NewMetric { creator: "bob".to_owned(), ..alone(Some("bobs"), Some("low")) };
    let foreign = add_metric(index, foreign).unwrap();
    let replace = |metrics: Vec<(&str, MetricSpec)>, user: Option<&str>| {
        let metrics = metrics.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect();
        let user_id = user.map(|user| Some(user.to_owned()));
        let patch = ResourcePatch { metrics: Some(metrics), user_id, now: at(20), ..Default::default() };
        index.patch_resource("host", made.id, patch)
    };
    refused(
        replace(vec![("a", fresh("low")), ("b", MetricSpec::Existing(foreign.id))], Some("half")),
        &format!("Metric {} does not exist", foreign.id),
    );
    assert_eq!(index.resource("host", made.id).unwrap(), made, "nothing was half done");

    let existing = |name: &str| MetricSpec::Existing(made.metrics[name]);
    let wanted = vec![
        ("keep", existing("keep")),
        ("renamed", existing("rename")),
        ("taken", MetricSpec::Existing(other.metrics["taken"])),
        ("drop", fresh("low")),
    ];
    let patched = replace(wanted, None).unwrap();
    assert!(!patched.revised, "metrics begin no revision");
    let metrics = &patched.resource.metrics;
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["drop", "keep", "renamed", "taken"]);
    assert_eq!(metrics["keep"], made.metrics["keep"]);
    assert_eq!(metrics["renamed"], made.metrics["rename"]);
    assert_ne!(metrics["drop"], made.metrics["drop"], "a definition makes a new metric");
    let detached = active(index, made.metrics["drop"]).unwrap();
    assert_eq!((detached.resource, detached.name.as_deref()), (None, Some("drop")));
    assert!(index.resource("host", other.id).unwrap().metrics.is_empty());
    let renamed = active(index, made.metrics["rename"]).unwrap();
    assert_eq!(renamed.name.as_deref(), Some("renamed"));

    let twice = vec![("x", existing("keep")), ("y", existing("keep"))];
    let patched = replace(twice, None).unwrap();
    assert_eq!(patched.resource.metrics, BTreeMap::from([("y".to_owned(), made.metrics["keep"])]));
    assert!(replace(Vec::new(), None).unwrap().resource.metrics.is_empty());
}

fn racing_patches_lose(index: &dyn Index) {
    let made = add(index, "host", "raced", &[]);
    let patch = |user: &str, expected| ResourcePatch {
        user_id: Some(Some(user.to_owned())),
        expected: Some(expected),
        now: at(20),
        ..Default::default()
    };
    let won = index.patch_resource("host", made.id, patch("first", made.revision_start)).unwrap().resource;
    let lost = index.patch_resource("host", made.id, patch("second", made.revision_start));
    assert!(matches!(lost, Err(Error::Conflict)));
    let lost = index.delete_resource("host", made.id, Some(made.revision_start));
    assert!(matches!(lost, Err(Error::Conflict)));
    assert_eq!(index.resource("host", made.id).unwrap(), won);
}

/// Threads that do the same at once: each thing happens once, and each change is a revision.
fn writers_take_turns(index: &Arc<dyn Index>) {
    const THREADS: u64 = 8;
    let made: usize = thread::scope(|scope| {
        let create = || index.create_resource(new_resource("host", "contested")).is_ok();
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(made, 1);
    let id = id_of("contested");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for turn in 0..5 {
                    patch_user(&**index, id, &format!("{thread}.{turn}"), 20);
                }
            });
        }
    });
    let history = history_of(&**index, id);
    assert_eq!(history.len() as u64, THREADS * 5 + 1);
    let linked = history.windows(2).all(|pair| pair[0].revision_end == Some(pair[1].revision_start));
    assert!(linked, "states follow each other without gaps");
}
