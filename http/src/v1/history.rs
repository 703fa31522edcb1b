//! `/v1/aggregates` with `use_history`: groups of revisions of resources. A resource counts for each
//! group during the time it belonged to it.

use std::collections::{BTreeMap, HashMap};

use orzo_base::parallel::try_map;
use orzo_model::ops::{Revision, Span, Total, spans};
use orzo_model::resource::{Resource, ResourceId};
use orzo_store::index::ResourcePage;

use super::aggregates::{Found, Pool, Search, group_of, no_metric, sort_keys, write_group};
use super::evaluation::{Input, Task, compute};
use super::rows::Measures;
use crate::call::Call;
use crate::error::Outcome;
use crate::json::{Object, Value};
use crate::response::Response;

/// Groups ascend by the texts of their values.
pub(super) fn post(
    call: &Call<'_>,
    search: &Search,
    task: Task<'_>,
    by: &[String],
    details: bool,
) -> Outcome {
    let condition = search.condition(call, true)?;
    let order = sort_keys(by);
    let all = ResourcePage::all(&search.resource_type.name, &condition);
    let revisions = call.index().resources(&ResourcePage { history: true, order: Some(&order), ..all })?;
    let pool = Pool::load(call, search, task.expr, &revisions)?;
    let mut groups: BTreeMap<Vec<String>, Group<'_>> = BTreeMap::new();
    for (revision, span) in covered(&revisions, Span { start: task.start, stop: task.stop }) {
        let values = group_of(revision, by);
        let key = values.values().map(text_of).collect();
        groups.entry(key).or_insert_with(|| Group::new(values)).members.push((revision, span));
    }
    let groups: Vec<Group<'_>> = groups.into_values().collect();
    let computed =
        try_map(&groups, 1, |group, beside| group.compute(call, Task { beside, ..task }, &pool, details))?;
    let pairs = groups.iter().zip(computed);
    let found: Vec<(&Object, Found)> =
        pairs.filter_map(|(group, computed)| Some((&group.values, computed?))).collect();
    if found.is_empty() {
        return Err(no_metric(task.expr));
    }
    Ok(Response::written(|writer| {
        writer.list(|list| found.iter().for_each(|(group, found)| write_group(list, group, found)));
    }))
}

/// The revisions that matter to a query, each with the stretch of it that it covers.
fn covered(revisions: &[Resource], query: Span) -> Vec<(&Resource, Span)> {
    let mut resources: HashMap<ResourceId, Vec<&Resource>> = HashMap::new();
    for revision in revisions {
        resources.entry(revision.id).or_default().push(revision);
    }
    let mut covered = Vec::new();
    for mut own in resources.into_values() {
        own.sort_unstable_by_key(|revision| revision.revision_start);
        let times: Vec<Revision> =
            own.iter().map(|one| Revision { start: one.revision_start, end: one.revision_end }).collect();
        let pairs = own.into_iter().zip(spans(&times, query));
        covered.extend(pairs.filter_map(|(revision, span)| Some((revision, span?))));
    }
    covered.sort_unstable_by_key(|(revision, _)| (revision.revision_start, revision.id));
    covered
}

struct Group<'a> {
    values: Object,
    members: Vec<(&'a Resource, Span)>,
}

impl Group<'_> {
    fn new(values: Object) -> Self {
        Group { values, members: Vec::new() }
    }

    /// `None`: nothing of it has such a metric, or any measure.
    fn compute(
        &self,
        call: &Call<'_>,
        task: Task<'_>,
        pool: &Pool<'_>,
        details: bool,
    ) -> Outcome<Option<Found>> {
        let mut total = Total::default();
        let mut used = Vec::new();
        for (revision, span) in &self.members {
            let inputs: Vec<Input<'_>> =
                pool.inputs(&[revision]).into_iter().map(|(_, input)| input).collect();
            if inputs.is_empty() {
                continue;
            }
            let task = Task { start: span.start, stop: span.stop, ..task };
            for (granularity, answer) in compute(call, task, &inputs)? {
                total.add(granularity, &answer, *span);
            }
            used.push(*revision);
        }
        if total.is_empty() {
            return Ok(None);
        }
        let references = details.then(|| pool.show(used.into_iter()));
        Ok(Some(Found { measures: Measures::aggregated(total.rows().collect()), references }))
    }
}

/// What groups are sorted by.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        other => other.to_text(),
    }
}
