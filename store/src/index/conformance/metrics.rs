//! Creating, finding and listing metrics.

use orzo_model::filter::Like;

use super::*;
use crate::index::{Arrangement, Index, MetricPage, NullsAt, SortKey, Visibility};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    add_policy(&*index, "high");
    metrics_are_made_one_by_one(&*index);
    metrics_are_added_to_resources(&*index);
    lists_are_filtered(&*index);
    lists_are_sorted_and_paged(&*index);
    only_visible_ones_are_listed(&*index);
}

fn metrics_are_made_one_by_one(index: &dyn Index) {
    let on =
        |text: &str, name: &str| NewMetric { resource: Some(id_of(text)), ..alone(Some(name), Some("low")) };
    add(index, "generic", "r1", &["cpu"]);
    let wishes = vec![
        on("r1", "mem"),
        on("r1", "mem"),
        on("r1", "cpu"),
        on("nobody", "cpu"),
        alone(Some("x"), Some("nope")),
        alone(Some("x"), None),
        alone(None, Some("high")),
    ];
    let answers = index.create_metrics(wishes, at(15)).unwrap();
    let said: Vec<String> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or_else(ToString::to_string, |metric| metric.policy.name.clone()))
        .collect();
    assert_eq!(
        said,
        [
            "low",
            "Named metric mem already exists",
            "Named metric cpu already exists",
            &format!("Resource {} does not exist", id_of("nobody")),
            "Archive policy nope does not exist",
            "No archive policy name specified and no archive policy rule found matching the metric name x",
            "high",
        ]
    );
    let mem = answers[0].as_ref().unwrap();
    assert_eq!((mem.created_at, mem.statsd.as_ref()), (at(15), None));
    let unknown = MetricId::from_bits(5);
    let found = index.metrics_by_id(&[unknown, mem.id, mem.id]).unwrap();
    assert_eq!(found, [None, Some(mem.clone()), Some(mem.clone())]);
    let found = index.metrics_by_name(&[(id_of("r1"), "mem"), (id_of("r1"), "me"), (id_of("nobody"), "mem")]);
    assert_eq!(found.unwrap(), [Some(mem.clone()), None, None]);
    assert_eq!(index.metrics_count().unwrap(), 3);
    // Names of stand-alone metrics may repeat.
    for _ in 0..2 {
        add_metric(index, alone(Some("twin"), Some("low"))).unwrap();
    }
}

fn metrics_are_added_to_resources(index: &dyn Index) {
    let r2 = add(index, "generic", "r2", &["cpu"]);
    let add_all = |metrics: Vec<(&str, MetricSpec)>| {
        let metrics = metrics.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect();
        index.add_metrics("generic", r2.id, metrics, at(20))
    };
    let existing = MetricSpec::Existing(r2.metrics["cpu"]);
    assert_eq!(add_all(Vec::new()).unwrap().len(), 1);
    assert_eq!(add_all(vec![("cpu", existing.clone())]).unwrap().len(), 1, "it is there already");
    refused(add_all(vec![("new", fresh("low")), ("cpu", fresh("low"))]), "Named metric cpu already exists");
    refused(add_all(vec![("x", fresh("nope"))]), "Archive policy nope does not exist");
    assert_eq!(index.metrics_of(r2.id).unwrap().len(), 1, "all or nothing");
    let all = add_all(vec![("disk", fresh("high")), ("moved", existing)]).unwrap();
    assert!(all.is_sorted_by_key(|metric| metric.id));
    let mut names: Vec<_> = all.iter().filter_map(|metric| metric.name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["disk", "moved"]);
    assert!(history_of(index, r2.id).len() == 1, "metrics begin no revision");
    refused(
        index.add_metrics("generic", id_of("nobody"), Vec::new(), at(20)),
        &format!("Resource {} does not exist", id_of("nobody")),
    );
}

fn lists_are_filtered(index: &dyn Index) {
    let bobs = NewMetric {
        creator: "bob:p1".to_owned(),
        unit: Some("MB".to_owned()),
        ..alone(Some("twin"), Some("high"))
    };
    let bobs = add_metric(index, bobs).unwrap();
    let count = |page: MetricPage<'_>| index.metrics(&page).unwrap().len();
    assert_eq!(count(MetricPage::default()), 8);
    assert_eq!(count(MetricPage { name: Some("twin"), ..Default::default() }), 3);
    assert_eq!(count(MetricPage { name: Some("twin"), creator: Some("bob:p1"), ..Default::default() }), 1);
    assert_eq!(count(MetricPage { creator: Some("bob"), ..Default::default() }), 0);
    assert_eq!(count(MetricPage { policy: Some("high"), ..Default::default() }), 3);
    assert_eq!(count(MetricPage { unit: Some("MB"), ..Default::default() }), 1);
    assert_eq!(count(MetricPage { id: Some(bobs.id), ..Default::default() }), 1);
    assert_eq!(count(MetricPage { id: Some(bobs.id), name: Some("cpu"), ..Default::default() }), 0);
    assert_eq!(count(MetricPage { resource: Some(id_of("r2")), ..Default::default() }), 2);
}

/// All pages of a list.
fn paged(index: &dyn Index, page: &MetricPage<'_>) -> Vec<Metric> {
    let mut all: Vec<Metric> = Vec::new();
    loop {
        let marker = all.last().map(|metric| metric.id.to_string());
        let next = MetricPage { marker: marker.as_deref(), limit: Some(3), ..page.clone() };
        let found = index.metrics(&next).unwrap();
        if found.is_empty() {
            return all;
        }
        all.extend(found);
    }
}

fn lists_are_sorted_and_paged(index: &dyn Index) {
    let everything = index.metrics(&MetricPage::default()).unwrap();
    assert!(everything.is_sorted_by_key(|metric| metric.id));
    assert_eq!(paged(index, &MetricPage::default()), everything);
    let by_policy = MetricPage { policy: Some("low"), ..Default::default() };
    assert_eq!(paged(index, &by_policy), index.metrics(&by_policy).unwrap());
    let of_resource = MetricPage { resource: Some(id_of("r1")), ..Default::default() };
    let pair = index.metrics(&of_resource).unwrap();
    let marker = pair[0].id.to_string();
    let rest = MetricPage { marker: Some(&marker), ..of_resource };
    assert_eq!(index.metrics(&rest).unwrap(), pair[1..]);

    let descending =
        |key: &str, nulls| SortKey { key: key.to_owned(), arrangement: Arrangement::Descending, nulls };
    let keys = ["id", "name", "unit", "creator", "resource_id", "archive_policy_name", "status"];
    for key in keys {
        for nulls in [None, Some(NullsAt::First), Some(NullsAt::Last)] {
            let order = [descending(key, nulls)];
            let page = MetricPage { order: Some(&order), ..Default::default() };
            let sorted = index.metrics(&page).unwrap();
            assert_eq!(sorted.len(), everything.len());
            assert_eq!(paged(index, &page), sorted, "{key}");
        }
    }
    let names = |order: &[SortKey]| -> Vec<Option<String>> {
        let page = MetricPage { order: Some(order), limit: Some(2), ..Default::default() };
        index.metrics(&page).unwrap().into_iter().map(|metric| metric.name).collect()
    };
    let twin = || Some("twin".to_owned());
    assert_eq!(names(&[SortKey::ascending("name")])[..1], [Some("cpu".to_owned())]);
    assert_eq!(names(&[descending("name", None)]), [None, twin()], "null is greater than everything");
    assert_eq!(names(&[descending("name", Some(NullsAt::Last))]), [twin(), twin()]);

    for bad in ["nope", "01234567-0123-0123-0123-012345678901"] {
        let page = MetricPage { marker: Some(bad), ..Default::default() };
        refused(index.metrics(&page), &format!("Invalid pagination: `Invalid marker: `{bad}''"));
    }
    let order = [SortKey::ascending("nope")];
    let page = MetricPage { order: Some(&order), ..Default::default() };
    refused(index.metrics(&page), "Invalid pagination: `Sort key supplied is invalid: nope'");
}

fn only_visible_ones_are_listed(index: &dyn Index) {
    let owned = NewResource { project_id: Some("p1".to_owned()), ..new_resource("generic", "owned") };
    let owned = index.create_resource(owned).unwrap();
    index.add_metrics("generic", owned.id, vec![("mine".to_owned(), fresh("low"))], at(20)).unwrap();
    let visibility = Visibility {
        creator: Some(Like::ends_with(":p1")),
        resource: condition(index, "generic", false, "project_id = p1 or created_by_project_id = p1"),
    };
    for order in [None, Some([SortKey::ascending("creator")])] {
        let page = MetricPage {
            visible: Some(&visibility),
            order: order.as_ref().map(<_>::as_ref),
            ..Default::default()
        };
        let mut names: Vec<_> = index.metrics(&page).unwrap().into_iter().filter_map(|m| m.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["mine", "twin"]);
        let narrowed = MetricPage { name: Some("mine"), ..page };
        assert_eq!(index.metrics(&narrowed).unwrap().len(), 1);
    }
    let nobody = Visibility { creator: None, resource: condition(index, "generic", false, "not id = owned") };
    let page = MetricPage { visible: Some(&nobody), ..Default::default() };
    let listed = index.metrics(&page).unwrap();
    assert!(
        !listed.is_empty() && listed.iter().all(|metric| metric.resource.is_some_and(|id| id != owned.id))
    );
}
