//! Finding resources: pages, in any order, of what meets a condition.
//!
//! Three ways, the cheapest that promises to do: follow keys that the condition allows, if they lead to
//! few resources; walk the table of the default order, or an [order in memory](super::orders), until the
//! page is full; read everything and keep the first. See [`Effort`](super::Effort) for when which.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use memchr::memmem::Finder;
use orzo_model::Timestamp;
use orzo_model::filter::Condition;
use orzo_model::resource::{Resource, ResourceId, Revision, parse_uuid};
use orzo_model::resource_type::GENERIC;

use super::KvIndex;
use super::catalog::{Catalog, TypeEntry};
use super::glance::Glance;
use super::keys;
use super::needle::needle;
use super::order::{ResourceOrder, Top, is_default, place, place_id, resource_order};
use super::orders::{OrderName, Place};
use super::plan::{Candidates, plan, types};
use super::rows::{ResourceRow, StoredState, type_text};
use super::scan::{DONE, NEXT, scan, scan_prefix};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Error, Kind, ResourcePage, Result};
use crate::kv::{Family, prefix_end};

/// A search, understood.
struct Search<'a> {
    catalog: Arc<Catalog>,
    /// The type asked for.
    through: Arc<TypeEntry>,
    /// Only these types; `None`: all.
    types: Option<Vec<Arc<str>>>,
    /// The type whose table of the default order has them all; `None`: the table of all types.
    order_table: Option<Arc<str>>,
    condition: &'a Condition,
    history: bool,
    order: ResourceOrder,
    /// What every match contains, if that is known.
    needle: Option<Finder<'static>>,
    /// The place of the marker.
    after: Option<Vec<u8>>,
    /// The key of the marker in the table of the default order, if that is the order.
    after_key: Option<keys::Key>,
    limit: Option<usize>,
}

/// How many places of an order are looked at between two looks at the order.
const STEP_MIN: usize = 16;
const STEP_MAX: usize = 1_000;

/// What a key of a table of the default order says.
struct OrderPlace {
    key: keys::Key,
    since: Timestamp,
    resource: (ResourceId, Arc<str>),
}

impl OrderPlace {
    fn read(key: &[u8], value: &[u8]) -> StoreResult<Self> {
        let (Some(id), Some(since)) = (keys::last_id(key), keys::order_start(key)) else {
            return Err(StoreError::Corrupt { what: "key of a resource" });
        };
        let resource = (ResourceId::from_bytes(id), type_text(value)?);
        Ok(OrderPlace { key: key.to_vec(), since, resource })
    }
}

/// A state, and where it lies in an order.
struct Placed {
    place: Vec<u8>,
    state: StoredState,
}

/// How much a walk may cost before everything is read instead.
struct Budget {
    rows: usize,
    looked_at: usize,
    /// How many matches are looked for.
    wanted: usize,
}

impl Budget {
    /// Whether another row may be looked at, with so many matches found. After an eighth of the rows it goes on only if
    /// the rest promises half of what is wanted: mostly it can be seen early that a walk leads nowhere.
    fn allows_one_more(&mut self, found: usize) -> bool {
        const PART: usize = 8;
        let hopeless = self.looked_at == self.rows / PART && 2 * PART * found < self.wanted;
        self.looked_at += 1;
        self.looked_at <= self.rows && !hopeless
    }
}

/// A row and the bytes it was read from.
type VisitRow<'a> = dyn FnMut(&ResourceRow<'_>, &[u8]) -> StoreResult<()> + 'a;

impl KvIndex {
    pub(super) fn find_resources(&self, page: &ResourcePage<'_>) -> Result<Vec<Resource>> {
        let search = self.understand(page)?;
        let states = self.select(&search)?;
        Ok(self.answers(&search.catalog, &states, page.metrics)?)
    }

    pub(super) fn find_history(&self, id: ResourceId, page: &ResourcePage<'_>) -> Result<Vec<Resource>> {
        let search = self.understand(&ResourcePage { history: true, ..page.clone() })?;
        let not_found = || Error::NotFound(Kind::Resource, id.to_string());
        let type_name = self.type_of(id)?.filter(|name| search.covers(name)).ok_or_else(not_found)?;
        let states = self.top_of(&search, Some(&Candidates::from([(id, type_name)])))?;
        Ok(self.answers(&search.catalog, &states, page.metrics)?)
    }

    /// The ids and types of what meets a condition, in no order.
    pub(super) fn find_ids(
        &self,
        resource_type: &str,
        condition: &Condition,
    ) -> Result<Vec<(ResourceId, Arc<str>)>> {
        let page = ResourcePage::all(resource_type, condition);
        let search = self.understand(&page)?;
        let mut found = Vec::new();
        self.each_match(&search, self.candidates_of(&search, self.effort.many)?.as_ref(), &mut |row, _| {
            found.push((row.id, row.entry.public.name.clone()));
            Ok(())
        })?;
        Ok(found)
    }

    fn understand<'a>(&self, page: &ResourcePage<'a>) -> Result<Search<'a>> {
        let catalog = self.catalog();
        let entry = catalog.resource_type(page.resource_type)?.clone();
        let order = resource_order(page.order, &entry.public, page.history)?;
        let types = catalog.types_of(&entry.public.name, page.condition);
        let order_table = match types.as_deref() {
            Some([name]) => order_table(name).map(|_| name.clone()),
            _ => None,
        };
        let (condition, history, limit) = (page.condition, page.history, page.limit);
        let needle = needle(condition, &entry);
        let (after, after_key) = (None, None);
        let mut search = Search {
            catalog,
            through: entry.clone(),
            types,
            order_table,
            condition,
            history,
            order,
            needle,
            after,
            after_key,
            limit,
        };
        if let Some(marker) = page.marker {
            self.start_after(&mut search, marker, &entry.public.name)?;
        }
        Ok(search)
    }

    /// Makes a search begin after a marker: an item of the type asked for, whatever the condition.
    fn start_after(&self, search: &mut Search<'_>, marker: &str, resource_type: &str) -> Result<()> {
        let invalid = || Error::InvalidMarker(marker.to_owned());
        let (id, revision) = parse_marker(marker, search.history).ok_or_else(invalid)?;
        let of_type = |name: &Arc<str>| resource_type == GENERIC || **name == *resource_type;
        let type_name = self.type_of(id)?.filter(of_type).ok_or_else(invalid)?;
        let state = self.state(&type_name, id, revision)?.ok_or_else(invalid)?;
        let entry = search.catalog.types.get(&type_name).ok_or_else(invalid)?;
        let row = ResourceRow::read(id, revision, entry, &state.bytes)?;
        let mut bytes = Vec::new();
        place(&search.order, &row, &mut bytes);
        search.after = Some(bytes);
        search.after_key = Some(row.order_key(search.order_table.as_deref())?);
        Ok(())
    }

    fn state(
        &self,
        type_name: &Arc<str>,
        id: ResourceId,
        revision: Revision,
    ) -> StoreResult<Option<StoredState>> {
        let Revision::Archived(number) = revision else { return self.current(type_name, id) };
        let found = self.kv.get(Family::Index, &keys::revision(type_name, id, number))?;
        Ok(found.map(|bytes| StoredState { id, revision, type_name: type_name.clone(), bytes }))
    }

    /// Picks the way.
    fn select(&self, search: &Search<'_>) -> Result<Vec<StoredState>> {
        let candidates = self.candidates_of(search, self.effort.many)?;
        let few = candidates.as_ref().is_some_and(|candidates| candidates.len() <= self.effort.few);
        if let Some(limit) = search.limit.filter(|_| !few && !search.history) {
            let rows = match search.condition {
                Condition::Always => usize::MAX,
                _ => self.effort.few.max(4 * limit),
            };
            let budget = Budget { rows, looked_at: 0, wanted: limit };
            let page = match is_default(&search.order) {
                true => self.walk(search, limit, budget)?,
                false => self.walk_in_memory(search, limit, budget)?,
            };
            if let Some(page) = page {
                return Ok(page);
            }
        }
        self.top_of(search, candidates.as_ref())
    }

    fn candidates_of(&self, search: &Search<'_>, max: usize) -> StoreResult<Option<Candidates>> {
        match plan(search.condition, search.history) {
            Some(probes) => self.candidates(&probes, max),
            None => Ok(None),
        }
    }

    /// Walks the table of the default order until `limit` matches are found or there are no more rows;
    /// `None` if the budget did not suffice.
    fn walk(
        &self,
        search: &Search<'_>,
        limit: usize,
        mut budget: Budget,
    ) -> Result<Option<Vec<StoredState>>> {
        let table = keys::order(search.order_table.as_deref());
        let (mut from, to) =
            (search.after_key.clone().map_or(table.clone(), keys::after), prefix_end(&table));
        let (mut page, mut known) = (Vec::new(), HashSet::new());
        while page.len() < limit {
            let step = (limit - page.len()).clamp(STEP_MIN, STEP_MAX);
            let places = self.order_keys(&from, &to, step)?;
            for state in self.walked(search, &places)? {
                if page.len() >= limit {
                    break;
                }
                if !budget.allows_one_more(page.len()) {
                    return Ok(None);
                }
                // Who was changed between two steps may lie in both.
                page.extend(state.filter(|state| known.insert(state.id)));
            }
            match places.last() {
                Some(last) if places.len() == step => from = keys::after(last.key.clone()),
                _ => break,
            }
        }
        Ok(Some(page))
    }

    /// At most so many keys of a table of the default order.
    fn order_keys(&self, from: &[u8], to: &[u8], limit: usize) -> StoreResult<Vec<OrderPlace>> {
        let mut places = Vec::with_capacity(limit);
        scan(&*self.kv, Family::IndexBy, from, to, &mut |key, value| {
            places.push(OrderPlace::read(key, value)?);
            if places.len() < limit { NEXT } else { DONE }
        })?;
        Ok(places)
    }

    /// The states that keys of the order table are about, where they still lie there and meet the condition.
    fn walked(&self, search: &Search<'_>, places: &[OrderPlace]) -> StoreResult<Vec<Option<StoredState>>> {
        let ids: Vec<_> = places.iter().map(|place| place.resource.clone()).collect();
        let states = self.current_all(&ids)?.into_iter().zip(places);
        states
            .map(|(state, place)| state.map_or(Ok(None), |state| self.still(search, place, state)))
            .collect()
    }

    fn still(
        &self,
        search: &Search<'_>,
        place: &OrderPlace,
        state: StoredState,
    ) -> StoreResult<Option<StoredState>> {
        let Some(entry) = search.catalog.types.get(&state.type_name) else { return Ok(None) };
        let row = ResourceRow::read(state.id, state.revision, entry, &state.bytes);
        let Some(row) = self.sound(&place.key, row)? else { return Ok(None) };
        // Changed since the scan began: it lies further on now, and some later page has it.
        let moved = row.document.since != place.since.ns();
        let wanted = !moved && search.condition.holds(&row);
        Ok(wanted.then_some(state))
    }

    /// As [`KvIndex::walk`], in an order in memory, which is made if there is none; `None` also if it is not to be had.
    fn walk_in_memory(
        &self,
        search: &Search<'_>,
        limit: usize,
        mut budget: Budget,
    ) -> Result<Option<Vec<StoredState>>> {
        let name = OrderName { entry: search.through.clone(), keys: search.order.clone() };
        self.make_order(&name)?;
        let step = limit.clamp(STEP_MIN, STEP_MAX);
        let mut from = search.after.clone();
        let mut page: BTreeMap<Vec<u8>, StoredState> = BTreeMap::new();
        let mut full = limit == 0;
        while !full {
            let Some(places) = self.orders.after(&name, from.as_deref(), step) else { return Ok(None) };
            for ((found, _), placed) in places.iter().zip(self.placed(search, &places)?) {
                if !budget.allows_one_more(page.len()) {
                    return Ok(None);
                }
                // Who has moved lies where the document says.
                let placed = placed.filter(|placed| Some(&placed.place) > search.after.as_ref());
                page.extend(placed.map(|placed| (placed.place, placed.state)));
                let passed = (Bound::Unbounded, Bound::Included(&found[..]));
                full = page.len() >= limit && page.range::<[u8], _>(passed).count() >= limit;
                if full {
                    break;
                }
            }
            match places.last() {
                Some((last, _)) if places.len() == step => from = Some(last.to_vec()),
                _ => break,
            }
        }
        Ok(Some(page.into_values().take(limit).collect()))
    }

    /// The states of the resources that have places in an order, and their places by now, where they meet the condition.
    fn placed(&self, search: &Search<'_>, places: &[(Place, Arc<str>)]) -> StoreResult<Vec<Option<Placed>>> {
        let corrupt = || StoreError::Corrupt { what: "place of a resource" };
        let id = |(found, _): &(Place, Arc<str>)| place_id(&search.order, found).ok_or_else(corrupt);
        let ids = places.iter().map(id).collect::<StoreResult<Vec<_>>>()?;
        let resources: Vec<_> =
            ids.into_iter().zip(places).map(|(id, (_, type_name))| (id, type_name.clone())).collect();
        let states = self.current_all(&resources)?.into_iter();
        states.map(|state| state.map_or(Ok(None), |state| self.placed_state(search, state))).collect()
    }

    fn placed_state(&self, search: &Search<'_>, state: StoredState) -> StoreResult<Option<Placed>> {
        let Some(entry) = search.catalog.types.get(&state.type_name) else { return Ok(None) };
        let row = ResourceRow::read(state.id, state.revision, entry, &state.bytes);
        let key = keys::resource(&state.type_name, state.id);
        let Some(row) = self.sound(&key, row)?.filter(|row| search.condition.holds(row)) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        place(&search.order, &row, &mut bytes);
        Ok(Some(Placed { place: bytes, state }))
    }

    /// Makes an order, unless it is there or somebody makes it.
    fn make_order(&self, name: &OrderName) -> Result<()> {
        let Some(mut making) = self.orders.make(name) else { return Ok(()) };
        let all = ResourcePage::all(&name.entry.public.name, &Condition::Always);
        let search = Search { order: name.keys.clone(), ..self.understand(&all)? };
        if !Arc::ptr_eq(&search.through, &name.entry) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.each_match(&search, None, &mut |row, _| {
            place(&search.order, row, &mut bytes);
            making.add(&bytes, &row.entry.public.name);
            Ok(())
        })?;
        making.finish();
        Ok(())
    }

    /// Reads all candidates, or everything, and keeps the first of the order.
    fn top_of(&self, search: &Search<'_>, candidates: Option<&Candidates>) -> Result<Vec<StoredState>> {
        let mut top = Top::new(search.limit, search.after.clone());
        let mut bytes = Vec::new();
        self.each_match(search, candidates, &mut |row, stored| {
            place(&search.order, row, &mut bytes);
            top.offer(&bytes, || StoredState {
                id: row.id,
                revision: row.revision,
                type_name: row.entry.public.name.clone(),
                bytes: stored.to_vec(),
            });
            Ok(())
        })?;
        Ok(top.into_sorted())
    }

    fn each_match(
        &self,
        search: &Search<'_>,
        candidates: Option<&Candidates>,
        visit: &mut VisitRow<'_>,
    ) -> StoreResult<()> {
        let mut matching = |row: &ResourceRow<'_>, stored: &[u8]| {
            if search.condition.holds(row) { visit(row, stored) } else { Ok(()) }
        };
        match candidates {
            Some(candidates) => self.each_candidate(search, candidates, &mut matching),
            None => self.each_state(search, &mut matching),
        }
    }

    fn each_candidate(
        &self,
        search: &Search<'_>,
        candidates: &Candidates,
        visit: &mut VisitRow<'_>,
    ) -> StoreResult<()> {
        let covered: Vec<_> = candidates
            .iter()
            .filter(|(_, name)| search.covers(name))
            .map(|(id, name)| (*id, name.clone()))
            .collect();
        for part in covered.chunks(STEP_MAX) {
            for ((id, type_name), state) in part.iter().zip(self.current_all(part)?) {
                let Some(entry) = search.catalog.types.get(type_name) else { continue };
                if let Some(state) = state {
                    let row = ResourceRow::read(*id, Revision::Current, entry, &state.bytes);
                    if let Some(row) = self.sound(&keys::resource(type_name, *id), row)? {
                        visit(&row, &state.bytes)?;
                    }
                }
                if search.history {
                    let prefix = keys::revisions(type_name, *id);
                    scan_prefix(&*self.kv, Family::Index, &prefix, &mut |key, value| {
                        self.visit_archived(entry, key, value, visit)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn each_state(&self, search: &Search<'_>, visit: &mut VisitRow<'_>) -> StoreResult<()> {
        let tables =
            if search.history { &[keys::RESOURCES, keys::REVISIONS][..] } else { &[keys::RESOURCES] };
        for table in tables {
            let prefixes = match &search.types {
                None => vec![table.to_vec()],
                Some(names) => names.iter().map(|name| keys::of_type(table, name)).collect(),
            };
            for prefix in prefixes {
                self.each_of_table(search, &prefix, visit)?;
            }
        }
        Ok(())
    }

    fn each_of_table(&self, search: &Search<'_>, prefix: &[u8], visit: &mut VisitRow<'_>) -> StoreResult<()> {
        let archived = prefix.starts_with(keys::REVISIONS);
        // Rows of a type lie together, so the last one's type is nearly always this one's.
        let mut last: Option<&Arc<TypeEntry>> = None;
        scan_prefix(&*self.kv, Family::Index, prefix, &mut |key, value| {
            if search.needle.as_ref().is_some_and(|needle| needle.find(value).is_none()) {
                return NEXT;
            }
            let corrupt = StoreError::Corrupt { what: "key of a resource" };
            let Some(name) = keys::type_name(key) else { return Err(corrupt) };
            let known = last.filter(|entry| *entry.public.name == *name);
            last = known.or_else(|| search.catalog.types.get(name));
            // A type younger than the snapshot: so are its resources.
            let Some(entry) = last else { return NEXT };
            if archived {
                return self.visit_archived(entry, key, value, visit);
            }
            let id = ResourceId::from_bytes(keys::last_id(key).ok_or(corrupt)?);
            if !search.condition.holds(&Glance { id, revision: Revision::Current, entry, bytes: value }) {
                return NEXT;
            }
            if let Some(row) = self.sound(key, ResourceRow::read(id, Revision::Current, entry, value))? {
                visit(&row, value)?;
            }
            NEXT
        })
    }
}

impl Search<'_> {
    fn covers(&self, type_name: &Arc<str>) -> bool {
        self.types.as_ref().is_none_or(|names| names.contains(type_name))
    }
}

impl Catalog {
    /// The types that resources of `type_name` that meet a condition can have; `None`: any.
    fn types_of(&self, type_name: &Arc<str>, condition: &Condition) -> Option<Vec<Arc<str>>> {
        if **type_name != *GENERIC {
            return Some(vec![type_name.clone()]);
        }
        let known = |name: &String| self.types.get_key_value(name.as_str()).map(|(name, _)| name.clone());
        types(condition).map(|names| names.iter().filter_map(known).collect())
    }
}

/// The type whose table of the default order has the resources of a type; `None`: the one of all.
pub(super) fn order_table(type_name: &str) -> Option<&str> {
    (type_name != GENERIC).then_some(type_name)
}

impl KvIndex {
    fn visit_archived(
        &self,
        entry: &TypeEntry,
        key: &[u8],
        value: &[u8],
        visit: &mut VisitRow<'_>,
    ) -> StoreResult<ControlFlow<()>> {
        let parts = keys::revision_parts(key).ok_or(StoreError::Corrupt { what: "key of a revision" })?;
        let (id, number) = parts;
        if let Some(row) = self.sound(key, ResourceRow::read(id, Revision::Archived(number), entry, value))? {
            visit(&row, value)?;
        }
        NEXT
    }
}

fn parse_marker(marker: &str, history: bool) -> Option<(ResourceId, Revision)> {
    let (id, revision) = if history {
        let (id, number) = marker.rsplit_once('@')?;
        (id, Revision::from_number(number.parse().ok()?)?)
    } else {
        (marker, Revision::Current)
    };
    Some((parse_uuid(id)?.into(), revision))
}
