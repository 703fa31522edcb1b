//! Pages of metrics. The default order is by id, and so are all keys, so its pages stream.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use orzo_model::MetricId;
use orzo_model::filter::Cell;
use orzo_model::metric::Metric;
use orzo_model::resource::{ResourceId, Revision, parse_uuid};

use super::KvIndex;
use super::documents::{MetricDocument, decode};
use super::keys::{self, Key, Lookup};
use super::metrics::read_metric;
use super::order::{OrderKey, Top};
use super::plan::plan;
use super::rows::ResourceRow;
use super::scan::{DONE, NEXT, scan, scan_prefix};
use crate::error::{Error as StoreError, Result as StoreResult};
use crate::index::{Error, MetricPage, Result, SortKey, Visibility};
use crate::kv::{Family, prefix_end};

/// What metrics are ordered by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Id,
    Name,
    Unit,
    Creator,
    Resource,
    Policy,
    Status,
}

impl Field {
    fn named(key: &str) -> Option<Self> {
        Some(match key {
            "id" => Field::Id,
            "name" => Field::Name,
            "unit" => Field::Unit,
            "creator" => Field::Creator,
            "resource_id" => Field::Resource,
            "archive_policy_name" => Field::Policy,
            "status" => Field::Status,
            _ => return None,
        })
    }

    fn cell(self, id: MetricId, metric: &MetricDocument) -> Option<Cell<'_>> {
        let text = |text| Cell::Text(Cow::Borrowed(text));
        match self {
            Field::Id => Some(Cell::Uuid(id.into())),
            Field::Name => metric.name.as_deref().map(text),
            Field::Unit => metric.unit.as_deref().map(text),
            Field::Creator => Some(text(&metric.creator)),
            Field::Resource => metric.resource.map(Cell::Uuid),
            Field::Policy => Some(text(&metric.policy)),
            // Only active ones are listed.
            Field::Status => Some(text("active")),
        }
    }
}

fn place(order: &[OrderKey<Field>], id: MetricId, metric: &MetricDocument, bytes: &mut Vec<u8>) {
    bytes.clear();
    for key in order {
        key.push(bytes, key.field.cell(id, metric));
    }
}

fn order(keys: Option<&[SortKey]>) -> Result<Vec<OrderKey<Field>>> {
    let key = |key: &SortKey| match Field::named(&key.key) {
        Some(field) => Ok(OrderKey::new(field, key)),
        None => Err(Error::InvalidSortKey(key.key.clone())),
    };
    let mut order = keys.unwrap_or_default().iter().map(key).collect::<Result<Vec<_>>>()?;
    if !order.iter().any(|key| key.field == Field::Id) {
        order.push(OrderKey::ascending(Field::Id));
    }
    Ok(order)
}

/// Where the metrics of a page are, by id.
enum Source {
    /// Among these.
    Ids(BTreeSet<MetricId>),
    /// At the ends of the keys that start so.
    Keys(Key),
    /// Anywhere.
    All,
}

type VisitMetric<'a> = dyn FnMut(MetricId, MetricDocument) -> StoreResult<ControlFlow<()>> + 'a;

impl KvIndex {
    pub(super) fn find_metrics(&self, page: &MetricPage<'_>) -> Result<Vec<Metric>> {
        let order = order(page.order)?;
        let by_id = order.starts_with(&[OrderKey::ascending(Field::Id)]);
        let marker = page.marker.map(|marker| self.metric_marker(marker)).transpose()?;
        let source = self.source(page, by_id)?;
        let mut test = Tester { index: self, page, seen: HashMap::new() };
        let found = if by_id {
            self.first_by_id(&source, marker.map(|(id, _)| id), page.limit, &mut test)?
        } else {
            let after = marker.map(|(id, metric)| {
                let mut bytes = Vec::new();
                place(&order, id, &metric, &mut bytes);
                bytes
            });
            self.first_of(&source, &order, after, page.limit, &mut test)?
        };
        let catalog = self.catalog();
        let answers = found.into_iter().map(|(id, metric)| read_metric(&catalog, id, metric));
        Ok(answers.filter_map(StoreResult::transpose).collect::<StoreResult<_>>()?)
    }

    fn metric_marker(&self, marker: &str) -> Result<(MetricId, MetricDocument)> {
        let invalid = || Error::InvalidMarker(marker.to_owned());
        let id = parse_uuid(marker).map(MetricId::from).ok_or_else(invalid)?;
        let bytes = self.kv.get(Family::Index, &keys::metric(id))?.ok_or_else(invalid)?;
        Ok((id, decode(&bytes, "metric")?))
    }

    /// The narrowest source. Keys may lead to many metrics, one by one: fine for a page in their order,
    /// else only if they are not too many.
    fn source(&self, page: &MetricPage<'_>, by_id: bool) -> StoreResult<Source> {
        if let Some(id) = page.id {
            return Ok(Source::Ids(BTreeSet::from([id])));
        }
        if let Some(resource) = page.resource {
            let names = self.metric_names(resource)?;
            return Ok(Source::Ids(names.into_iter().map(|(_, id)| id).collect()));
        }
        let name = page.name.map(|name| Lookup::MetricName.prefix(name));
        let creator = page.creator.map(|creator| Lookup::MetricCreator.prefix(creator));
        let policy = page.policy.map(|policy| Lookup::MetricPolicy.prefix(policy));
        let ids = match (name.or(creator).or(policy), page.visible) {
            (Some(keys), _) if by_id => return Ok(Source::Keys(keys)),
            (Some(keys), _) => {
                let mut ids = BTreeSet::new();
                self.follow_metrics(&keys, &mut ids)?;
                Some(ids)
            }
            (None, Some(visibility)) => self.visible_ids(visibility)?,
            (None, None) => None,
        };
        Ok(ids.filter(|ids| ids.len() <= self.effort.many).map_or(Source::All, Source::Ids))
    }

    fn visible_ids(&self, visibility: &Visibility) -> StoreResult<Option<BTreeSet<MetricId>>> {
        let mut ids = BTreeSet::new();
        if let Some(creator) = &visibility.creator {
            let end = creator.literal_end();
            let Some((_, project)) = end.rsplit_once(':') else { return Ok(None) };
            self.follow_metrics(&Lookup::MetricCreator.creators_of_project(project), &mut ids)?;
        }
        let Some(probes) = plan(&visibility.resource, false) else { return Ok(None) };
        let Some(resources) = self.candidates(&probes, self.effort.many)? else { return Ok(None) };
        for id in resources.keys() {
            if ids.len() > self.effort.many {
                return Ok(None);
            }
            ids.extend(self.metric_names(*id)?.into_iter().map(|(_, metric)| metric));
        }
        Ok(Some(ids))
    }

    /// Collects the ids that end the keys that start so, up to one more than `many`.
    fn follow_metrics(&self, prefix: &[u8], ids: &mut BTreeSet<MetricId>) -> StoreResult<()> {
        scan_prefix(&*self.kv, Family::IndexBy, prefix, &mut |key, _| {
            ids.insert(key_id(key)?);
            if ids.len() > self.effort.many { DONE } else { NEXT }
        })
    }

    /// Visits the active metrics of a source after one of them, by id.
    fn each_metric(
        &self,
        source: &Source,
        after: Option<MetricId>,
        visit: &mut VisitMetric<'_>,
    ) -> StoreResult<()> {
        let start = |prefix: &[u8]| match after {
            Some(id) => keys::after([prefix, &id.to_bytes()].concat()),
            None => prefix.to_vec(),
        };
        let mut visit_id = |id: MetricId| match self.metric_document(id)? {
            Some(metric) => visit(id, metric),
            None => NEXT,
        };
        match source {
            Source::Ids(ids) => {
                for id in ids.iter().filter(|id| after.is_none_or(|after| **id > after)) {
                    if visit_id(*id)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Source::Keys(prefix) => {
                let (from, to) = (start(prefix), prefix_end(prefix));
                scan(&*self.kv, Family::IndexBy, &from, &to, &mut |key, _| visit_id(key_id(key)?))
            }
            Source::All => {
                let (from, to) = (start(keys::METRICS), prefix_end(keys::METRICS));
                scan(&*self.kv, Family::Index, &from, &to, &mut |key, value| match self
                    .sound(key, decode(value, "metric"))?
                {
                    Some(metric) => visit(key_id(key)?, metric),
                    None => NEXT,
                })
            }
        }
    }

    fn first_by_id(
        &self,
        source: &Source,
        after: Option<MetricId>,
        limit: Option<usize>,
        test: &mut Tester<'_>,
    ) -> StoreResult<Vec<(MetricId, MetricDocument)>> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        self.each_metric(source, after, &mut |id, metric| {
            if found.len() < limit && test.passes(id, &metric)? {
                found.push((id, metric));
            }
            if found.len() >= limit { DONE } else { NEXT }
        })?;
        Ok(found)
    }

    fn first_of(
        &self,
        source: &Source,
        order: &[OrderKey<Field>],
        after: Option<Vec<u8>>,
        limit: Option<usize>,
        test: &mut Tester<'_>,
    ) -> StoreResult<Vec<(MetricId, MetricDocument)>> {
        let mut top = Top::new(limit, after);
        let mut bytes = Vec::new();
        self.each_metric(source, None, &mut |id, metric| {
            if test.passes(id, &metric)? {
                place(order, id, &metric, &mut bytes);
                top.offer(&bytes, || (id, metric));
            }
            NEXT
        })?;
        Ok(top.into_sorted())
    }
}

fn key_id(key: &[u8]) -> StoreResult<MetricId> {
    keys::last_id(key).map(MetricId::from_bytes).ok_or(StoreError::Corrupt { what: "key of a metric" })
}

/// Tests metrics, and remembers which resources may be seen.
struct Tester<'a> {
    index: &'a KvIndex,
    page: &'a MetricPage<'a>,
    seen: HashMap<ResourceId, bool>,
}

impl Tester<'_> {
    fn passes(&mut self, id: MetricId, metric: &MetricDocument) -> StoreResult<bool> {
        let page = self.page;
        let is = |wanted: Option<&str>, own: Option<&str>| wanted.is_none() || wanted == own;
        let plain = page.id.is_none_or(|wanted| wanted == id)
            && is(page.name, metric.name.as_deref())
            && is(page.unit, metric.unit.as_deref())
            && is(page.policy, Some(&metric.policy))
            && is(page.creator, Some(&metric.creator))
            && page.resource.is_none_or(|wanted| metric.resource == Some(wanted.uuid()));
        match page.visible {
            Some(visibility) if plain => self.is_visible(visibility, metric),
            _ => Ok(plain),
        }
    }

    fn is_visible(&mut self, visibility: &Visibility, metric: &MetricDocument) -> StoreResult<bool> {
        if visibility.creator.as_ref().is_some_and(|like| like.matches(&metric.creator)) {
            return Ok(true);
        }
        let Some(resource) = metric.resource.map(ResourceId::from) else { return Ok(false) };
        if let Some(known) = self.seen.get(&resource) {
            return Ok(*known);
        }
        let visible = self.index.resource_holds(resource, visibility)?;
        self.seen.insert(resource, visible);
        Ok(visible)
    }
}

impl KvIndex {
    fn resource_holds(&self, id: ResourceId, visibility: &Visibility) -> StoreResult<bool> {
        let Some(type_name) = self.type_of(id)? else { return Ok(false) };
        let Some(state) = self.current(&type_name, id)? else { return Ok(false) };
        let catalog = self.catalog();
        let Some(entry) = catalog.types.get(&type_name) else { return Ok(false) };
        let row = ResourceRow::read(id, Revision::Current, entry, &state.bytes);
        let row = self.sound(&keys::resource(&type_name, id), row)?;
        Ok(row.is_some_and(|row| visibility.resource.holds(&row)))
    }
}
