//! Orders kept in memory, so that a page sorted by whatever costs what it shows: the places of all current
//! resources of a type, for each way of sorting them that clients have asked for lately.
//!
//! An order is made when it is first asked for, by whoever asks, and goes when others need its room. From the
//! moment its making begins the one writer tells it of each change, after the change is written and before
//! anybody is told of it. So it has every resource that has not changed for a moment; what exactly lies at a
//! place, the document says, which is read in any case.
//!
//! One lock, held for as long as it takes to copy a page of places or to move a few: never while reading or
//! writing the store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use orzo_model::resource::{ResourceId, Revision};
use orzo_model::resource_type::GENERIC;
use parking_lot::Mutex;

use super::catalog::{Catalog, TypeEntry};
use super::order::{ResourceOrder, place};
use super::rows::ResourceRow;

/// The place of a resource in an order. Ends with its id, see [`resource_order`](super::order::resource_order).
pub(super) type Place = Box<[u8]>;

/// Places, and the types of the resources that have them.
pub(super) type Places = BTreeMap<Place, Arc<str>>;

/// What a place takes besides its bytes: a slot of a tree that is two thirds full, and what the allocator adds.
const PLACE_BYTES: usize = 64;

/// Which order: of the resources of a type (of all, if it is `generic`), by some keys.
#[derive(Clone, Debug)]
pub(super) struct OrderName {
    /// The type as it was when the order was made. A changed one is another, with orders of its own.
    pub entry: Arc<TypeEntry>,
    pub keys: ResourceOrder,
}

/// A change of the current state of a resource: documents as they were and are.
#[derive(Debug)]
pub(super) struct StateChange {
    pub id: ResourceId,
    pub type_name: Arc<str>,
    pub old: Option<Vec<u8>>,
    pub new: Option<Vec<u8>>,
}

/// All orders there are.
#[derive(Debug)]
pub(super) struct Orders {
    bytes_max: usize,
    orders_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The least recently used one first.
    orders: Vec<Order>,
    made: u64,
}

#[derive(Debug)]
struct Order {
    name: OrderName,
    number: u64,
    content: Content,
    bytes: usize,
}

#[derive(Debug)]
enum Content {
    /// Somebody reads all resources. Meanwhile moves gather.
    InTheMaking(Vec<Move>),
    Complete(Places),
    /// It alone would take more than all may.
    TooLarge,
}

/// The place that a resource leaves, and the one that it takes.
#[derive(Debug)]
struct Move {
    old: Option<Place>,
    new: Option<(Place, Arc<str>)>,
}

/// An order in the making; forgotten if this is dropped before it is done.
pub(super) struct Making<'a> {
    orders: &'a Orders,
    number: u64,
    places: Vec<(Place, Arc<str>)>,
    bytes: usize,
}

impl OrderName {
    fn is(&self, other: &OrderName) -> bool {
        Arc::ptr_eq(&self.entry, &other.entry) && self.keys == other.keys
    }

    /// The place of a state; none if it is of another type, or damaged.
    fn place(&self, catalog: &Catalog, change: &StateChange, state: &Option<Vec<u8>>) -> Option<Place> {
        let entry = catalog.types.get(&change.type_name)?;
        if !Arc::ptr_eq(entry, &self.entry) && *self.entry.public.name != *GENERIC {
            return None;
        }
        let row = ResourceRow::read(change.id, Revision::Current, entry, state.as_ref()?).ok()?;
        let mut bytes = Vec::new();
        place(&self.keys, &row, &mut bytes);
        Some(bytes.into())
    }
}

impl Orders {
    pub(super) fn new(bytes_max: usize, orders_max: usize) -> Self {
        Orders { bytes_max, orders_max, kept: Mutex::default() }
    }

    /// The first places after one, at most `limit`; `None` if the order is not kept.
    pub(super) fn after(
        &self,
        name: &OrderName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Option<Vec<(Place, Arc<str>)>> {
        let mut kept = self.kept.lock();
        let at = kept.orders.iter().position(|order| order.name.is(name))?;
        // Used last.
        kept.orders[at..].rotate_left(1);
        let Content::Complete(places) = &kept.orders.last()?.content else { return None };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = places.range::<[u8], _>((from, Bound::Unbounded)).take(limit);
        Some(found.map(|(place, type_name)| (place.clone(), type_name.clone())).collect())
    }

    /// Begins to make an order; `None` if somebody else does or did, or it was too large.
    pub(super) fn make(&self, name: &OrderName) -> Option<Making<'_>> {
        let mut kept = self.kept.lock();
        if kept.orders.iter().any(|order| order.name.is(name)) {
            return None;
        }
        kept.made += 1;
        let number = kept.made;
        let content = Content::InTheMaking(Vec::new());
        kept.orders.push(Order { name: name.clone(), number, content, bytes: 0 });
        self.make_room(&mut kept);
        Some(Making { orders: self, number, places: Vec::new(), bytes: 0 })
    }

    /// Moves resources that have changed. Told by the writer, after the write.
    pub(super) fn change(&self, catalog: &Catalog, changes: &[StateChange]) {
        let mut kept = self.kept.lock();
        for order in &mut kept.orders {
            for change in changes {
                let old = order.name.place(catalog, change, &change.old);
                let new = order.name.place(catalog, change, &change.new);
                if old != new {
                    let new = new.map(|place| (place, change.type_name.clone()));
                    order.change(Move { old, new });
                }
            }
        }
        self.make_room(&mut kept);
    }

    /// Forgets orders of types that have changed or gone.
    pub(super) fn keep_types_of(&self, catalog: &Catalog) {
        let is_current = |entry: &Arc<TypeEntry>| {
            catalog.types.get(&entry.public.name).is_some_and(|current| Arc::ptr_eq(current, entry))
        };
        self.kept.lock().orders.retain(|order| is_current(&order.name.entry));
    }

    /// Forgets all: nobody knows what the store holds.
    pub(super) fn clear(&self) {
        self.kept.lock().orders.clear();
    }

    fn make_room(&self, kept: &mut Kept) {
        if let Some(order) = kept.orders.iter_mut().find(|order| order.bytes > self.bytes_max) {
            (order.content, order.bytes) = (Content::TooLarge, 0);
        }
        while kept.orders.len() > self.orders_max
            || kept.orders.iter().map(|order| order.bytes).sum::<usize>() > self.bytes_max
        {
            kept.orders.remove(0);
        }
    }
}

impl Order {
    fn change(&mut self, moved: Move) {
        match &mut self.content {
            Content::InTheMaking(moves) => {
                let places = moved.old.iter().chain(moved.new.iter().map(|(place, _)| place));
                self.bytes += places.map(|place| PLACE_BYTES + place.len()).sum::<usize>();
                moves.push(moved);
            }
            Content::Complete(places) => apply(places, &mut self.bytes, moved),
            Content::TooLarge => {}
        }
    }
}

/// Doing it again changes nothing, so a change may be seen by who reads all resources, and be told as well.
fn apply(places: &mut Places, bytes: &mut usize, moved: Move) {
    if let Some((place, _)) = moved.old.and_then(|place| places.remove_entry(&place)) {
        *bytes = bytes.saturating_sub(PLACE_BYTES + place.len());
    }
    if let Some((place, type_name)) = moved.new {
        let length = place.len();
        if places.insert(place, type_name).is_none() {
            *bytes += PLACE_BYTES + length;
        }
    }
}

impl Making<'_> {
    /// Takes in a resource.
    pub(super) fn add(&mut self, place: &[u8], type_name: &Arc<str>) {
        self.bytes += PLACE_BYTES + place.len();
        if self.bytes <= self.orders.bytes_max {
            self.places.push((place.into(), type_name.clone()));
        }
    }

    /// All were taken in; changes meanwhile are applied.
    pub(super) fn finish(mut self) {
        let mut places: Places = std::mem::take(&mut self.places).into_iter().collect();
        let mut kept = self.orders.kept.lock();
        // Others may have needed the room.
        let Some(order) = kept.orders.iter_mut().find(|order| order.number == self.number) else { return };
        let Content::InTheMaking(moves) = std::mem::replace(&mut order.content, Content::TooLarge) else {
            return;
        };
        order.bytes = 0;
        if self.bytes <= self.orders.bytes_max {
            order.bytes = self.bytes;
            moves.into_iter().for_each(|moved| apply(&mut places, &mut order.bytes, moved));
            order.content = Content::Complete(places);
        }
        self.orders.make_room(&mut kept);
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let unfinished =
            |order: &Order| order.number == self.number && matches!(order.content, Content::InTheMaking(_));
        self.orders.kept.lock().orders.retain(|order| !unfinished(order));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use orzo_model::filter::Condition;
    use orzo_model::resource::Resource;
    use orzo_model::resource_type::{AttributeChange, TypeChange, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::index::conformance::{at, host_type, id_of, new_resource};
    use crate::index::kv_index::KvIndex;
    use crate::index::{Arrangement, Index, NewResource, NullsAt, ResourcePage, ResourcePatch, SortKey};
    use crate::memory::MemoryKv;

    #[derive(Clone, Debug)]
    enum Step {
        Put { name: u8, host: bool, rack: u8, load: Option<u8> },
        Delete { name: u8 },
        End { name: u8 },
        ChangeType { fill: Option<u8> },
        Compare { through: bool, order: Vec<SortKey>, size: usize },
    }

    fn sort_key() -> impl Strategy<Value = SortKey> {
        let keys = ["rack", "load", "user_id", "ended_at", "id", "type", "original_resource_id", "extra"];
        let nulls = prop_oneof![Just(None), Just(Some(NullsAt::First)), Just(Some(NullsAt::Last))];
        let key = proptest::sample::select(keys.to_vec());
        (key, any::<bool>(), nulls).prop_map(|(key, descending, nulls)| SortKey {
            key: key.to_owned(),
            arrangement: if descending { Arrangement::Descending } else { Arrangement::Ascending },
            nulls,
        })
    }

    fn step() -> impl Strategy<Value = Step> {
        let put = (0u8..12, any::<bool>(), 0u8..3, proptest::option::of(0u8..3))
            .prop_map(|(name, host, rack, load)| Step::Put { name, host, rack, load });
        let compare = (any::<bool>(), proptest::collection::vec(sort_key(), 1..3), 1usize..5)
            .prop_map(|(through, order, size)| Step::Compare { through, order, size });
        prop_oneof![
            4 => put,
            1 => (0u8..12).prop_map(|name| Step::Delete { name }),
            1 => (0u8..12).prop_map(|name| Step::End { name }),
            1 => proptest::option::of(0u8..3).prop_map(|fill| Step::ChangeType { fill }),
            4 => compare,
        ]
    }

    fn text(number: u8) -> Value {
        Value::Text(number.to_string())
    }

    fn put(index: &KvIndex, name: u8, host: bool, rack: u8, load: Option<u8>) {
        let id = id_of(&name.to_string());
        let mut attributes = vec![("rack".to_owned(), text(rack))];
        attributes.extend(load.map(|load| ("load".to_owned(), Value::Number(load.into()))));
        let is_host = index.resource("host", id).is_ok();
        if index.resource("generic", id).is_ok() {
            let attributes = if is_host { attributes } else { Vec::new() };
            let user_id = Some(load.map(|load| load.to_string()));
            let patch = ResourcePatch { attributes, user_id, now: at(20), ..Default::default() };
            index.patch_resource("generic", id, patch).unwrap();
        } else {
            let attributes = if host { attributes } else { Vec::new() };
            let kind = if host { "host" } else { "generic" };
            let new = NewResource { attributes, ..new_resource(kind, &name.to_string()) };
            index.create_resource(new).unwrap();
        }
    }

    /// Adds an attribute, with a value for all who have none, or takes it away.
    fn change_type(index: &KvIndex, fill: Option<u8>) {
        let old = index.resource_type("host").unwrap();
        let (name, base) = (old.name.clone(), old.version);
        let (mut added, changed, mut removed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        if old.attributes.contains_key("extra") {
            removed.push("extra".into());
        } else {
            let attribute = old.attributes["rack"];
            added.insert("extra".into(), AttributeChange { attribute, fill: fill.map(text) });
        }
        let change = TypeChange { name, base, added, changed, removed };
        index.change_resource_type(&change).unwrap();
    }

    fn paged(index: &KvIndex, page: &ResourcePage<'_>, size: usize) -> Vec<Resource> {
        let mut all: Vec<Resource> = Vec::new();
        loop {
            let marker = all.last().map(|last| last.id.to_string());
            let page = ResourcePage { marker: marker.as_deref(), limit: Some(size), ..page.clone() };
            let found = index.resources(&page).unwrap();
            let ended = found.len() < size;
            all.extend(found);
            if ended {
                return all;
            }
        }
    }

    fn opened(bytes: usize, orders: usize) -> KvIndex {
        let index = KvIndex::open(Arc::new(MemoryKv::new())).unwrap();
        let index = KvIndex { orders: Orders::new(bytes, orders), ..index };
        index.create_resource_type(host_type("host")).unwrap();
        index
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Without a limit everything is read and sorted.
        #[test]
        fn pages_are_what_sorting_gives(
            steps in proptest::collection::vec(step(), 0..80),
            bytes in prop_oneof![Just(usize::MAX), 0usize..2_000],
            orders in 1usize..6,
        ) {
            let index = opened(bytes, orders);
            for step in steps {
                match step {
                    Step::Put { name, host, rack, load } => put(&index, name, host, rack, load),
                    Step::Delete { name } => drop(index.delete_resource("generic", id_of(&name.to_string()), None)),
                    Step::End { name } => drop(index.end_resources(&[id_of(&name.to_string())], at(30))),
                    Step::ChangeType { fill } => change_type(&index, fill),
                    Step::Compare { through, order, size } => {
                        let name = if through { "host" } else { "generic" };
                        let mut page = ResourcePage::all(name, &Condition::Always);
                        page.order = Some(&order);
                        match index.resources(&page) {
                            Ok(expected) => prop_assert_eq!(paged(&index, &page, size), expected),
                            Err(_) => {
                                page.limit = Some(1);
                                prop_assert!(index.resources(&page).is_err());
                            }
                        }
                        let kept = index.orders.kept.lock();
                        prop_assert!(kept.orders.len() <= orders);
                        prop_assert!(kept.orders.iter().map(|order| order.bytes).sum::<usize>() <= bytes);
                    }
                }
            }
        }
    }

    /// Orders are made while resources change.
    #[test]
    fn an_order_in_the_making_hears_of_changes() {
        let (index, ended) = (opened(usize::MAX, 4), AtomicBool::new(false));
        (0..50).for_each(|name| put(&index, name, true, 0, None));
        let order = [SortKey::ascending("rack")];
        let mut page = ResourcePage::all("host", &Condition::Always);
        (page.order, page.limit) = (Some(&order[..]), Some(100));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    index.orders.clear();
                    for _ in 0..3 {
                        let found = index.resources(&page).unwrap();
                        // Those that never change are always there.
                        assert!(found.iter().filter(|one| one.original_id.len() == 1).count() == 10);
                    }
                }
            });
            for round in 1..40 {
                (10..50).for_each(|name| put(&index, name, true, round, None));
            }
            ended.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        let whole = index.resources(&ResourcePage { limit: None, ..page.clone() }).unwrap();
        assert_eq!(index.resources(&page).unwrap(), whole);
        assert_eq!(paged(&index, &page, 7), whole);
    }
}
