//! Series of statsd doors and their metrics.

use orzo_model::metric::StatsdSeries;
use orzo_model::series::SeriesKind;
use uuid::Uuid;

use super::*;
use crate::index::{Index, NewSeries, PrefixLimit, Refusal, Resolved, StatsdHome};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    add_policy(&*index, "high");
    index.create_rule(rule("disk", "disk.*", "high")).unwrap();
    series_get_metrics(&*index);
    another_type_gets_another_name(&*index);
    metrics_made_over_http_are_used(&*index);
    deleted_ids_are_burned(&*index);
    refusals_have_reasons(&*index);
    prefixes_have_room_for_so_many(&*index);
    only_what_is_made_asks_for_admission(&*index);
}

fn home() -> StatsdHome {
    StatsdHome {
        resource_type: "generic".to_owned(),
        attribute_type: "statsd".to_owned(),
        creator: "statsd".to_owned(),
        default_resource: "default".to_owned(),
        metrics_max: None,
        metrics_per_resource_max: None,
        prefix_max: None,
    }
}

fn hash(name: &str) -> MetricId {
    MetricId::from_name(9, name.as_bytes())
}

fn series(name: &str, type_text: &str) -> NewSeries {
    NewSeries {
        hash_id: hash(&format!("{name}{type_text}")),
        resource: None,
        attributes: Vec::new(),
        name: name.to_owned(),
        unit: None,
        series: StatsdSeries { type_text: type_text.to_owned(), kind: SeriesKind::Event },
        policy: Some("low".to_owned()),
    }
}

fn resolve(index: &dyn Index, series: &[NewSeries]) -> Vec<Resolved> {
    index.resolve(&home(), series, &mut |_| Ok(()), at(10)).unwrap()
}

fn resolve_one(index: &dyn Index, series: NewSeries) -> (MetricId, bool, bool) {
    match resolve(index, &[series]).remove(0) {
        Resolved::Metric { id, created, renamed, .. } => (id, created, renamed),
        Resolved::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn statsd_resource(text: &str) -> ResourceId {
    ResourceId::derive(text, Some("statsd")).unwrap()
}

fn series_get_metrics(index: &dyn Index) {
    let hits = series("hits", "c");
    let rule = NewSeries { policy: None, unit: Some("B".to_owned()), ..series("disk.io", "g") };
    let elsewhere = NewSeries { resource: Some("web1".to_owned()), ..series("hits", "c") };
    let elsewhere = NewSeries { hash_id: hash("elsewhere"), ..elsewhere };
    let asked = [hits.clone(), rule.clone(), hits.clone(), elsewhere.clone()];
    let resolved = resolve(index, &asked);
    let said: Vec<_> = resolved
        .iter()
        .map(|resolved| match resolved {
            Resolved::Metric { id, policy, created, renamed } => {
                (*id, policy.name.as_str(), *created, *renamed)
            }
            Resolved::Refused(refusal) => panic!("refused: {refusal:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            (hits.hash_id, "low", true, false),
            (rule.hash_id, "high", true, false),
            (hits.hash_id, "low", false, false),
            (elsewhere.hash_id, "low", true, false),
        ]
    );
    let again: Vec<_> = resolve(index, &asked)
        .iter()
        .map(|resolved| matches!(resolved, Resolved::Metric { created: false, .. }))
        .collect();
    assert_eq!(again, [true; 4]);

    let resource = index.resource("generic", statsd_resource("default")).unwrap();
    assert_eq!((resource.original_id.as_str(), resource.creator.as_str()), ("default", "statsd"));
    assert_eq!(resource.metrics.keys().collect::<Vec<_>>(), ["disk.io", "hits"]);
    let metric = active(index, rule.hash_id).unwrap();
    assert_eq!((metric.unit.as_deref(), metric.creator.as_str()), (Some("B"), "statsd"));
    assert_eq!(metric.statsd, Some(rule.series));
    assert_eq!(metric.resource, Some(resource.id));
}

fn another_type_gets_another_name(index: &dyn Index) {
    let (owner, ..) = resolve_one(index, series("busy", "c"));
    let (timer, created, renamed) = resolve_one(index, series("busy", "ms"));
    assert_eq!((created, renamed), (true, true));
    assert_eq!(active(index, timer).unwrap().name.as_deref(), Some("busy|ms"));
    assert_eq!(resolve_one(index, series("busy", "ms")), (timer, false, true));
    index.delete_metrics(&[owner]).unwrap();
    assert_eq!(resolve_one(index, series("busy", "ms")), (timer, false, true), "once and for good");
    let (new_owner, created, renamed) = resolve_one(index, series("busy", "c"));
    assert_eq!((created, renamed), (true, false));
    assert_ne!(new_owner, owner);
    let both = resolve(index, &[series("pair", "g"), series("pair", "s")]);
    let renamed: Vec<_> =
        both.iter().map(|one| matches!(one, Resolved::Metric { renamed: true, .. })).collect();
    assert_eq!(renamed, [false, true], "also within one call");
}

fn metrics_made_over_http_are_used(index: &dyn Index) {
    let resource = statsd_resource("default");
    let made = NewMetric { resource: Some(resource), ..alone(Some("manual"), Some("high")) };
    let made = add_metric(index, made).unwrap();
    let resolved = resolve(index, &[series("manual", "c")]).remove(0);
    let Resolved::Metric { id, policy, created, renamed } = resolved else { panic!("refused") };
    assert_eq!((id, policy.name.as_str(), created, renamed), (made.id, "high", false, false));
    assert_eq!(active(index, made.id).unwrap().statsd.unwrap().type_text, "c", "the first to come owns it");
    assert!(resolve_one(index, series("manual", "g")).2);
}

fn deleted_ids_are_burned(index: &dyn Index) {
    let wish = series("phoenix", "c");
    let mut ids = vec![resolve_one(index, wish.clone()).0];
    assert_eq!(ids, [wish.hash_id]);
    for expunged in [false, true, true] {
        index.delete_metrics(&ids[ids.len() - 1..]).unwrap();
        if expunged {
            index.expunge(&ids).unwrap();
        }
        let (id, created, _) = resolve_one(index, wish.clone());
        assert!(created && !ids.contains(&id), "an id is given once");
        assert_eq!(id.bits() & 0xfff, wish.hash_id.bits() & 0xfff, "its partition is the same");
        assert_eq!(Uuid::from(id).get_version_num(), 4);
        ids.push(id);
    }
    // Moved over HTTP, the metric keeps its id, and the name needs another.
    let moved = add(index, "generic", "thief", &[]);
    let stolen = NewResource {
        creator: "statsd".to_owned(),
        metrics: vec![("other".to_owned(), MetricSpec::Existing(hash("hitsc")))],
        ..new_resource("generic", "thief2")
    };
    index.create_resource(stolen).unwrap();
    assert_ne!(resolve_one(index, series("hits", "c")).0, hash("hitsc"));
    index.delete_resource("generic", moved.id, None).unwrap();
}

fn refusals_have_reasons(index: &dyn Index) {
    let refusal = |home: &StatsdHome, series: NewSeries| match index
        .resolve(home, &[series], &mut |_| Ok(()), at(10))
        .unwrap()[0]
    {
        Resolved::Refused(refusal) => refusal,
        Resolved::Metric { .. } => panic!("not refused"),
    };
    let by = |policy: Option<&str>| NewSeries { policy: policy.map(str::to_owned), ..series("nope", "c") };
    assert_eq!(refusal(&home(), by(None)), Refusal::NoPolicy);
    assert_eq!(refusal(&home(), by(Some("nope"))), Refusal::NoPolicy);
    let on = |text: &str| NewSeries { resource: Some(text.to_owned()), ..series("new", "c") };
    assert_eq!(refusal(&home(), on("a/b")), Refusal::Resource);
    let missing = StatsdHome { resource_type: "nope".to_owned(), ..home() };
    assert_eq!(refusal(&missing, on("fresh")), Refusal::Resource);
    for bad in ["", "a/b", &"x".repeat(300)] {
        assert_eq!(refusal(&home(), series(bad, "c")), Refusal::Name);
    }
    let unit = NewSeries { unit: Some("u".repeat(32)), ..series("new", "c") };
    assert_eq!(refusal(&home(), unit), Refusal::Name);

    let full = StatsdHome { metrics_max: Some(index.metrics_count().unwrap()), ..home() };
    assert_eq!(refusal(&full, series("new", "c")), Refusal::Limit);
    let known = index.resolve(&full, &[series("hits", "c")], &mut |_| Ok(()), at(10)).unwrap();
    assert!(matches!(known[0], Resolved::Metric { created: false, .. }), "old names live on");

    let narrow = StatsdHome { metrics_per_resource_max: Some(2), ..home() };
    let crowd: Vec<_> = ["one", "two", "three"]
        .map(|name| NewSeries { resource: Some("small".to_owned()), ..series(name, "c") })
        .into();
    let made = |resolved: Vec<Resolved>| -> Vec<Option<MetricId>> {
        let id = |one: Resolved| if let Resolved::Metric { id, .. } = one { Some(id) } else { None };
        resolved.into_iter().map(id).collect()
    };
    let first = made(index.resolve(&narrow, &crowd, &mut |_| Ok(()), at(10)).unwrap());
    assert_eq!(first.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(made(index.resolve(&narrow, &crowd, &mut |_| Ok(()), at(10)).unwrap()), first);
    index.delete_metrics(&[first[0].unwrap()]).unwrap();
    let again = made(index.resolve(&narrow, &crowd[1..], &mut |_| Ok(()), at(10)).unwrap());
    assert!(again.iter().all(Option::is_some), "a deleted metric makes room");

    let on_two = |name: &str| NewSeries { resource: Some("two".to_owned()), ..series(name, "c") };
    index.resolve(&narrow, &[on_two("one")], &mut |_| Ok(()), at(10)).unwrap();
    let second = NewMetric { resource: Some(statsd_resource("two")), ..alone(Some("second"), Some("low")) };
    add_metric(index, second).unwrap();
    assert_eq!(refusal(&narrow, on_two("three")), Refusal::Limit, "metrics made over HTTP count");
}

/// Whether each of some series has a metric, or why not.
fn outcomes(index: &dyn Index, home: &StatsdHome, names: &[&str]) -> Vec<Option<Refusal>> {
    let asked: Vec<NewSeries> = names.iter().map(|name| series(name, "c")).collect();
    let resolved = index.resolve(home, &asked, &mut |_| Ok(()), at(10)).unwrap();
    let refusal = |one: Resolved| if let Resolved::Refused(refusal) = one { Some(refusal) } else { None };
    resolved.into_iter().map(refusal).collect()
}

fn prefixes_have_room_for_so_many(index: &dyn Index) {
    const FULL: Option<Refusal> = Some(Refusal::PrefixLimit);
    assert_eq!(outcomes(index, &home(), &["app.before"]), [None]);
    let limited = |segments| StatsdHome { prefix_max: Some(PrefixLimit { segments, max: 2 }), ..home() };
    let one = limited(1);
    let asked = ["app.a", "app.b@x=y.z", "app", "apple", "web.a", "app.a", "app.before"];
    assert_eq!(outcomes(index, &one, &asked), [None, FULL, FULL, None, None, None, None]);
    assert_eq!(outcomes(index, &one, &["web.b", "web.c"]), [None, FULL], "what was written counts");
    let two = limited(2);
    assert_eq!(outcomes(index, &two, &["app.x.1", "app.x.2", "app.x.3", "app.y"]), [None, None, FULL, None]);
    // Deleted alone, with the resource, or moved away: there is room again.
    let id = |name: &str| {
        index.metrics_by_name(&[(statsd_resource("default"), name)]).unwrap()[0].clone().unwrap().id
    };
    index.delete_metrics(&[id("app.x.1")]).unwrap();
    assert_eq!(outcomes(index, &two, &["app.x.3", "app.x.4"]), [None, FULL]);
    let moved = vec![("elsewhere".to_owned(), MetricSpec::Existing(id("app.x.3")))];
    let thief =
        NewResource { creator: "statsd".to_owned(), metrics: moved, ..new_resource("generic", "mover") };
    let thief = index.create_resource(thief).unwrap().id;
    assert_eq!(outcomes(index, &two, &["app.x.4", "app.x.5"]), [None, FULL]);
    index.delete_resource("generic", thief, None).unwrap();
    index.delete_resource("generic", statsd_resource("default"), None).unwrap();
    assert_eq!(outcomes(index, &two, &["app.x.5", "app.x.6", "app.x.7"]), [None, None, FULL]);
}

fn only_what_is_made_asks_for_admission(index: &dyn Index) {
    let asked = ["gate.a", "gate.b", "gate.a"].map(|name| series(name, "c"));
    let mut seen = Vec::new();
    let resolved = index.resolve(
        &home(),
        &asked,
        &mut |series| {
            seen.push(series.name.clone());
            if series.name == "gate.b" { Err(Refusal::Rate) } else { Ok(()) }
        },
        at(10),
    );
    assert_eq!(seen, ["gate.a", "gate.b"]);
    assert_eq!(resolved.unwrap()[1], Resolved::Refused(Refusal::Rate));
    assert_eq!(outcomes(index, &home(), &["gate.b"]), [None], "nothing was made of it");
}
