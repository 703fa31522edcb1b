//! Resource types, and what their changes do to resources and history.

use orzo_model::resource_type::{TypeChange, WantedAttribute};

use super::*;
use crate::index::{Index, ResourcePatch};

pub(super) fn run(database: &Database) {
    let index = database();
    types_come_and_go(&*index);
    fills_reach_every_state(&*index);
    removed_values_stay_gone(&*index);
    plans_on_old_versions_are_refused(&*index);
}

fn types_come_and_go(index: &dyn Index) {
    let names = |index: &dyn Index| -> Vec<String> {
        index.resource_types().unwrap().iter().map(|found| found.name.to_string()).collect()
    };
    assert_eq!(names(index), ["generic"]);
    let made = index.create_resource_type(host_type("my host")).unwrap();
    assert_eq!(*made, host_type("my host"));
    assert_eq!(names(index), ["generic", "my host"]);
    assert_eq!(index.resource_type("my host").unwrap(), made);
    refused(index.resource_type("nope"), "Resource type nope does not exist");
    refused(index.create_resource_type(host_type("my host")), "Resource type my host already exists");
    refused(index.create_resource_type(host_type("generic")), "Resource type generic already exists");
    refused(index.delete_resource_type("generic"), "Resource type generic is still in use");
    refused(index.delete_resource_type("nope"), "Resource type nope does not exist");

    let id = add(index, "my host", "h1", &[]).id;
    refused(index.delete_resource_type("my host"), "Resource type my host is still in use");
    index.delete_resource("my host", id, None).unwrap();
    index.delete_resource_type("my host").unwrap();
    index.create_resource_type(host_type("my host")).unwrap();
    index.delete_resource_type("my host").unwrap();
    refused(index.resource("my host", id), &format!("Resource {id} does not exist"));
}

/// Changes a type so that it has exactly these text attributes.
fn change(index: &dyn Index, wanted: &[(&str, Option<&str>)]) -> Arc<ResourceType> {
    index.change_resource_type(&plan(index, wanted)).unwrap()
}

fn plan(index: &dyn Index, wanted: &[(&str, Option<&str>)]) -> TypeChange {
    let wish = |(name, fill): &(&str, Option<&str>)| {
        let fill = fill.map(|text| Some(Scalar::Text(text.to_owned())));
        (Arc::from(*name), WantedAttribute { attribute: text_attribute(), fill })
    };
    let current = index.resource_type("changing").unwrap();
    TypeChange::plan(&current, &wanted.iter().map(wish).collect(), at(10)).unwrap()
}

fn texts(resource: &Resource) -> Vec<(&str, Option<&str>)> {
    let pairs = resource.attributes.iter().map(|(name, value)| match value {
        Some(Value::Text(text)) => (&**name, Some(text.as_str())),
        _ => (&**name, None),
    });
    pairs.collect()
}

fn fills_reach_every_state(index: &dyn Index) {
    let empty = ResourceType { name: "changing".into(), version: 0, attributes: BTreeMap::new() };
    index.create_resource_type(empty).unwrap();
    let old = add(index, "changing", "old", &[]).id;
    patch_user(index, old, "u", 20);
    let changed = change(index, &[("a", Some("one")), ("b", None)]);
    assert_eq!((changed.version, changed.attributes.len()), (1, 2));
    for state in history_of(index, old) {
        assert_eq!(texts(&state), [("a", Some("one")), ("b", None)]);
    }
    let young = add(index, "changing", "young", &[]).id;
    let current = |id| index.resource("changing", id).unwrap();
    assert_eq!(texts(&current(young)), [("a", None), ("b", None)], "made after the fill");

    let set_b = ResourcePatch {
        attributes: vec![("b".to_owned(), Value::Text("set".to_owned()))],
        now: at(30),
        ..ResourcePatch::default()
    };
    assert!(index.patch_resource("changing", old, set_b).unwrap().revised);
    change(index, &[("a", Some("two")), ("b", Some("late"))]);
    assert_eq!(texts(&current(old)), [("a", Some("one")), ("b", Some("set"))], "only nulls are filled");
    assert_eq!(texts(&current(young)), [("a", Some("two")), ("b", Some("late"))]);
    let history = history_of(index, old);
    let states: Vec<_> = history.iter().map(|state| texts(state)[1].1).collect();
    assert_eq!(states, [Some("late"), Some("late"), Some("set")]);
    let filled = condition(index, "changing", false, "b = late");
    assert_eq!(super::names(&index.resources(&ResourcePage::all("changing", &filled)).unwrap()), ["young"]);

    let unchanged = index.resource_type("changing").unwrap();
    assert_eq!(change(index, &[("a", None), ("b", None)]), unchanged);
}

fn removed_values_stay_gone(index: &dyn Index) {
    let old = id_of("old");
    change(index, &[("a", None)]);
    assert_eq!(texts(&index.resource("changing", old).unwrap()), [("a", Some("one"))]);
    change(index, &[("a", None), ("b", None)]);
    for state in history_of(index, old) {
        assert_eq!(texts(&state)[1], ("b", None));
    }
}

fn plans_on_old_versions_are_refused(index: &dyn Index) {
    let stale = plan(index, &[("c", None)]);
    change(index, &[("a", None)]);
    assert!(matches!(index.change_resource_type(&stale), Err(Error::Outdated(name)) if name == "changing"));
    let wrong = NewResource {
        attributes: vec![("a".to_owned(), Value::Bool(true))],
        ..new_resource("changing", "wrong")
    };
    assert!(matches!(index.create_resource(wrong), Err(Error::Outdated(_))));
    let unknown = NewResource {
        attributes: vec![("zz".to_owned(), Value::Bool(true))],
        ..new_resource("changing", "unknown")
    };
    assert!(matches!(index.create_resource(unknown), Err(Error::Outdated(_))));
    let required = Attribute { required: true, ..text_attribute() };
    let strict = ResourceType {
        name: "strict".into(),
        version: 0,
        attributes: BTreeMap::from([(Arc::from("must"), required)]),
    };
    index.create_resource_type(strict).unwrap();
    assert!(matches!(index.create_resource(new_resource("strict", "lacks")), Err(Error::Outdated(_))));
}
