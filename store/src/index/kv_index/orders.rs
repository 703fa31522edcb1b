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
    /// Somebody reads all resources. Meanwhile changes gather: places that are left, and that are taken.
    InTheMaking(Vec<(Option<Place>, Option<(Place, Arc<str>)>)>),
    Complete(Places),
    /// It alone would take more than all may.
    TooLarge,
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
                    order.change(old, new.map(|place| (place, change.type_name.clone())));
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
    fn change(&mut self, old: Option<Place>, new: Option<(Place, Arc<str>)>) {
        match &mut self.content {
            Content::InTheMaking(changes) => {
                let places = old.iter().chain(new.iter().map(|(place, _)| place));
                self.bytes += places.map(|place| PLACE_BYTES + place.len()).sum::<usize>();
                changes.push((old, new));
            }
            Content::Complete(places) => apply(places, &mut self.bytes, old, new),
            Content::TooLarge => {}
        }
    }
}

/// Doing it again changes nothing, so a change may be seen by who reads all resources, and be told as well.
fn apply(places: &mut Places, bytes: &mut usize, old: Option<Place>, new: Option<(Place, Arc<str>)>) {
    if let Some((place, _)) = old.and_then(|place| places.remove_entry(&place)) {
        *bytes = bytes.saturating_sub(PLACE_BYTES + place.len());
    }
    if let Some((place, type_name)) = new {
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
        let Content::InTheMaking(changes) = std::mem::replace(&mut order.content, Content::TooLarge) else {
            return;
        };
        order.bytes = 0;
        if self.bytes <= self.orders.bytes_max {
            order.bytes = self.bytes;
            changes.into_iter().for_each(|(old, new)| apply(&mut places, &mut order.bytes, old, new));
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
