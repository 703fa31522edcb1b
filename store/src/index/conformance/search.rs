//! Searching, sorting and paging, by example and against the naive twin.

use orzo_model::resource::Revision;

use super::naive::{Question, answer, compare};
use super::*;
use crate::index::{Arrangement, Index, NullsAt, ResourcePatch, SortKey};

pub(super) fn run(database: &Database) {
    let index = database();
    add_policy(&*index, "low");
    index.create_resource_type(host_type("host")).unwrap();
    default_order_is_last_changed_last(&*index);
    markers_and_keys_are_checked(&*index);
    metrics_come_if_asked_for(&*index);
    history_is_searched_by_its_own_values(&*index);
}

fn find(index: &dyn Index, resource_type: &str, text: &str) -> Vec<String> {
    let condition = condition(index, resource_type, false, text);
    let found = index.resources(&ResourcePage::all(resource_type, &condition)).unwrap();
    super::names(&found).into_iter().map(str::to_owned).collect()
}

fn default_order_is_last_changed_last(index: &dyn Index) {
    for (second, (resource_type, text)) in (10..).zip([("host", "b"), ("generic", "a"), ("host", "c")]) {
        let new = NewResource { now: at(second), ..new_resource(resource_type, text) };
        index.create_resource(new).unwrap();
    }
    let all = |through: &str, limit, marker: Option<&str>| -> Vec<String> {
        let mut page = ResourcePage::all(through, &Condition::Always);
        (page.limit, page.marker) = (limit, marker);
        index.resources(&page).unwrap().into_iter().map(|resource| resource.original_id).collect()
    };
    assert_eq!(all("generic", None, None), ["b", "a", "c"]);
    assert_eq!(all("host", Some(5), None), ["b", "c"]);
    patch_user(index, id_of("b"), "u", 20);
    assert_eq!(all("generic", Some(5), None), ["a", "c", "b"]);
    assert_eq!(all("host", Some(1), None), ["c"]);
    assert_eq!(all("generic", Some(2), Some(&id_of("a").to_string())), ["c", "b"]);
    assert_eq!(all("generic", Some(2), Some(&id_of("b").to_string())), [""; 0]);
    assert_eq!(find(index, "generic", "type = host"), ["c", "b"]);
    assert_eq!(find(index, "generic", "type = nope"), [""; 0]);
    assert_eq!(find(index, "generic", "id in [a, b, nobody]"), ["a", "b"]);
    assert_eq!(find(index, "generic", "creator = alice and user_id = u"), ["b"]);
    assert_eq!(find(index, "generic", "user_id != u"), ["a", "c"]);
    assert_eq!(find(index, "generic", "not user_id = u"), [""; 0]);
}

fn markers_and_keys_are_checked(index: &dyn Index) {
    let order = [SortKey::ascending("rack")];
    let mut page = ResourcePage::all("generic", &Condition::Always);
    page.order = Some(&order);
    refused(index.resources(&page), "Invalid pagination: `Sort key supplied is invalid: rack'");
    page.resource_type = "host";
    assert_eq!(index.resources(&page).unwrap().len(), 2);
    page.order = None;
    let a = id_of("a");
    for bad in ["nope".to_owned(), a.to_string(), format!("{a}@-1"), id_of("nobody").to_string()] {
        let page = ResourcePage { marker: Some(&bad), ..page.clone() };
        refused(index.resources(&page), &format!("Invalid pagination: `Invalid marker: `{bad}''"));
    }
    page.resource_type = "nope";
    refused(index.resources(&page), "Resource type nope does not exist");
    let mut history = ResourcePage::all("generic", &Condition::Always);
    history.history = true;
    for bad in [a.to_string(), format!("{a}@7"), format!("{a}@x"), format!("{a}@0")] {
        let page = ResourcePage { marker: Some(&bad), ..history.clone() };
        refused(index.resources(&page), &format!("Invalid pagination: `Invalid marker: `{bad}''"));
    }
    let nobody = id_of("nobody");
    refused(index.history(nobody, &history), &format!("Resource {nobody} does not exist"));
    history.resource_type = "host";
    refused(index.history(a, &history), &format!("Resource {a} does not exist"));
}

fn metrics_come_if_asked_for(index: &dyn Index) {
    let made = add(index, "host", "measured", &["x", "y"]);
    let only = condition(index, "host", false, "original_resource_id = measured");
    let mut page = ResourcePage::all("host", &only);
    assert_eq!(index.resources(&page).unwrap(), std::slice::from_ref(&made));
    page.metrics = false;
    assert_eq!(index.resources(&page).unwrap(), [Resource { metrics: BTreeMap::new(), ..made }]);
}

fn history_is_searched_by_its_own_values(index: &dyn Index) {
    let rack = |text: &str, second| ResourcePatch {
        attributes: vec![("rack".to_owned(), Value::Text(text.to_owned()))],
        user_id: Some(Some(text.to_owned())),
        now: at(second),
        ..Default::default()
    };
    let id = id_of("c");
    index.patch_resource("host", id, rack("r1", 30)).unwrap();
    index.patch_resource("generic", id, rack("r2", 40)).unwrap();
    let search = |text: &str| {
        let condition = condition(index, "host", true, text);
        let mut page = ResourcePage::all("host", &condition);
        page.history = true;
        let found = index.resources(&page).unwrap();
        found.iter().map(|state| state.revision == Revision::Current).collect::<Vec<_>>()
    };
    assert_eq!(search("rack = r1"), [false]);
    assert_eq!(search("user_id = r1 and id = c"), [false], "not by the current values");
    assert_eq!(search("rack = r2"), [true]);
    assert_eq!(search("id = c and (rack = r1 or not revision = -1)"), [false, false]);
    assert_eq!(search("id = c and revision_end = null"), [true]);
}

// --- against the twin

/// SplitMix64: the same questions everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len() as u64) as usize]
    }
}

const PEOPLE: [&str; 4] = ["alice", "u1:p1", "u2:p1", "u1:p2"];
const TYPES: [&str; 3] = ["generic", "host", "other"];

pub(super) fn random_searches(make: &impl Fn() -> Database) {
    for seed in 0..8 {
        let database = make();
        let index = database();
        for name in ["host", "other"] {
            index.create_resource_type(host_type(name)).unwrap();
        }
        let mut dice = Dice(seed);
        let mut states = Vec::new();
        for round in 0..4 {
            for step in 0..30 {
                change(&*index, &mut dice, &mut states, 100 + round * 30 + step);
            }
            for question in 0..60 {
                ask(&*index, &mut dice, &states, &format!("seed {seed} round {round} question {question}"));
            }
        }
    }
}

fn change(index: &dyn Index, dice: &mut Dice, states: &mut Vec<Resource>, second: u64) {
    let current: Vec<Resource> =
        states.iter().filter(|state| state.revision == Revision::Current).cloned().collect();
    match dice.roll(6) {
        0..3 => states.push(create(index, dice, states.len(), second)),
        3 | 4 if !current.is_empty() => {
            let old = dice.pick(&current).clone();
            patch(index, dice, old, states, second);
        }
        5 if !current.is_empty() && dice.roll(3) == 0 => {
            let id = dice.pick(&current).id;
            index.delete_resource("generic", id, None).unwrap();
            states.retain(|state| state.id != id);
        }
        _ => {}
    }
}

fn random_text(dice: &mut Dice) -> Option<String> {
    [None, Some("p1"), Some("p2"), Some("u1")][dice.roll(4) as usize].map(str::to_owned)
}

fn random_values(dice: &mut Dice) -> Vec<(String, Value)> {
    let mut values = Vec::new();
    if dice.roll(2) == 0 {
        values.push(("rack".to_owned(), Value::Text((*dice.pick(&["r1", "r2", "R%", ""])).to_owned())));
    }
    if dice.roll(2) == 0 {
        let number = *dice.pick(&[-1.0, 0.0, 2.5, f64::INFINITY]);
        values.push(("load".to_owned(), Value::Number(number)));
    }
    if dice.roll(2) == 0 {
        values.push(("virtual".to_owned(), Value::Bool(dice.roll(2) == 0)));
    }
    if dice.roll(3) == 0 {
        values.push(("bought".to_owned(), Value::Time(at(dice.roll(3)))));
    }
    if dice.roll(3) == 0 {
        values.push(("serial".to_owned(), Value::Uuid(uuid::Uuid::from_u128(dice.roll(3).into()))));
    }
    values
}

fn create(index: &dyn Index, dice: &mut Dice, number: usize, second: u64) -> Resource {
    let resource_type = *dice.pick(&TYPES);
    let creator = *dice.pick(&PEOPLE);
    let text = format!("r{number}-{second}");
    let started_at = at(dice.roll(5));
    let new = NewResource {
        id: ResourceId::derive(&text, Some(creator)).unwrap(),
        creator: creator.to_owned(),
        user_id: random_text(dice),
        project_id: random_text(dice),
        started_at: Some(started_at),
        ended_at: (dice.roll(2) == 0).then(|| started_at.saturating_add(dice.roll(3) * SECOND)),
        attributes: if resource_type == "generic" { Vec::new() } else { random_values(dice) },
        // Few instants, so that orders have ties.
        now: at(second / 7),
        ..new_resource(resource_type, &text)
    };
    index.create_resource(new).unwrap()
}

fn patch(index: &dyn Index, dice: &mut Dice, old: Resource, states: &mut Vec<Resource>, second: u64) {
    let change = ResourcePatch {
        user_id: (dice.roll(2) == 0).then(|| random_text(dice)),
        project_id: (dice.roll(2) == 0).then(|| random_text(dice)),
        attributes: if &*old.resource_type == "generic" { Vec::new() } else { random_values(dice) },
        now: at(second / 7),
        ..Default::default()
    };
    let patched = index.patch_resource("generic", old.id, change).unwrap();
    states.retain(|state| state.id != old.id);
    let all = history_of(index, old.id);
    if patched.revised {
        let archived = &all[all.len() - 2];
        let ended = Resource {
            revision: archived.revision,
            revision_end: Some(patched.resource.revision_start),
            ..old
        };
        assert_eq!(*archived, ended);
    }
    assert_eq!(all.last(), Some(&patched.resource));
    states.extend(all);
}

fn random_filter(dice: &mut Dice, typed: bool, history: bool, depth: u32) -> String {
    let inner = |dice: &mut Dice| random_filter(dice, typed, history, depth - 1);
    match dice.roll(if depth == 0 { 1 } else { 4 }) {
        1 => format!("({} and {})", inner(dice), inner(dice)),
        2 => format!("({} or {})", inner(dice), inner(dice)),
        3 => format!("not ({})", inner(dice)),
        _ => random_leaf(dice, typed, history),
    }
}

fn random_leaf(dice: &mut Dice, typed: bool, history: bool) -> String {
    let base = [
        "creator = 'u1:p1'",
        "creator in [alice, 'u2:p1']",
        "creator like '%:p1'",
        "creator > 'b'",
        "created_by_project_id = p1",
        "created_by_user_id != u1",
        "project_id = p1",
        "project_id != p1",
        "project_id = null",
        "user_id in [u1, p2]",
        "user_id >= 'p2'",
        "type = host",
        "type in [host, nope]",
        "type != generic",
        "started_at > 2",
        "ended_at <= 3",
        "ended_at != null",
        "lifespan = '1s'",
        "lifespan != 2",
        "revision_start < 18",
        "original_resource_id like 'r1_-%'",
        "id = 'r5-105'",
        "id > '80000000-0000-0000-0000-000000000000'",
    ];
    let attributes = [
        "rack = r1",
        "rack like 'R\\%'",
        "rack != ''",
        "load > 0",
        "load in [2.5, -1]",
        "virtual = true",
        "bought = null",
        "bought < 2",
        "serial = '00000000-0000-0000-0000-000000000001'",
    ];
    let revisions = ["revision = -1", "revision > 3", "revision_end = null", "revision_end > 17"];
    match dice.roll(3) {
        1 if typed => (*dice.pick(&attributes)).to_owned(),
        2 if history => (*dice.pick(&revisions)).to_owned(),
        _ => (*dice.pick(&base)).to_owned(),
    }
}

fn random_order(dice: &mut Dice, typed: bool, history: bool) -> Option<Vec<SortKey>> {
    if dice.roll(3) == 0 {
        return None;
    }
    let mut keys = vec![
        "id",
        "type",
        "creator",
        "started_at",
        "revision_start",
        "ended_at",
        "user_id",
        "project_id",
        "original_resource_id",
    ];
    keys.extend(["rack", "load", "virtual", "bought", "serial"].iter().filter(|_| typed));
    keys.extend(["revision", "revision_end"].iter().filter(|_| history));
    let key = |dice: &mut Dice| SortKey {
        key: (*dice.pick(&keys)).to_owned(),
        arrangement: *dice.pick(&[Arrangement::Ascending, Arrangement::Descending]),
        nulls: *dice.pick(&[None, Some(NullsAt::First), Some(NullsAt::Last)]),
    };
    Some((0..dice.roll(3)).map(|_| key(dice)).collect())
}

/// Asks one question, whole and page by page.
fn ask(index: &dyn Index, dice: &mut Dice, states: &[Resource], context: &str) {
    let name = *dice.pick(&TYPES);
    let (typed, history) = (name != "generic", dice.roll(3) == 0);
    let text = random_filter(dice, typed, history, 2);
    let everything = dice.roll(5) == 0;
    let condition = if everything { Condition::Always } else { condition(index, name, history, &text) };
    let order = random_order(dice, typed, history);
    let context = format!("{context}: {name} history {history} where {text} by {order:?}");
    let default = [SortKey::ascending("revision_start"), SortKey::ascending("started_at")];
    let resource_type = index.resource_type(name).unwrap();
    let question = Question {
        resource_type: &resource_type,
        condition: &condition,
        history,
        order: order.as_deref().unwrap_or(&default),
    };
    let expected = answer(states, &question);
    let mut page = ResourcePage::all(name, &condition);
    (page.history, page.order) = (history, order.as_deref());
    assert_eq!(index.resources(&page).unwrap(), expected, "{context}");

    let limit = 1 + dice.roll(6) as usize;
    page.limit = Some(limit);
    let mut paged: Vec<Resource> = Vec::new();
    loop {
        let marker = paged.last().map(|last| marker_of(last, history));
        let page = ResourcePage { marker: marker.as_deref(), ..page.clone() };
        let found = index.resources(&page).unwrap();
        assert!(found.len() <= limit);
        let last = found.len() < limit;
        paged.extend(found);
        if last {
            break;
        }
    }
    assert_eq!(paged, expected, "{context} in pages of {limit}");

    // A marker need not meet the condition.
    let any = states.iter().filter(|state| history || state.revision == Revision::Current);
    let any: Vec<&Resource> = any.filter(|state| !typed || *state.resource_type == *name).collect();
    if let Some(after) = any.first() {
        let marker = marker_of(after, history);
        let page = ResourcePage { marker: Some(&marker), limit: None, ..page.clone() };
        let rest: Vec<Resource> =
            expected.into_iter().filter(|state| compare(&question, state, after).is_gt()).collect();
        assert_eq!(index.resources(&page).unwrap(), rest, "{context} after {marker}");
    }
}

fn marker_of(resource: &Resource, history: bool) -> String {
    match history {
        true => format!("{}@{}", resource.id, resource.revision.number()),
        false => resource.id.to_string(),
    }
}
