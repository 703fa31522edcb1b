//! The obvious index of resources: every state in one list, every question answered by looking at all.

use std::borrow::Cow;
use std::cmp::Ordering;

use orzo_model::filter::{Cell, Condition, Field, Row};
use orzo_model::resource::{Resource, Revision};
use orzo_model::resource_type::ResourceType;

use crate::index::{Arrangement, NullsAt, SortKey};

/// A resource as a row.
pub(super) struct Whole<'a>(pub &'a Resource);

impl Row for Whole<'_> {
    fn cell(&self, field: &Field) -> Option<Cell<'_>> {
        let resource = self.0;
        let text = |text| Cell::Text(Cow::Borrowed(text));
        match field {
            Field::Id => Some(Cell::Uuid(resource.id.uuid())),
            Field::Type => Some(text(&resource.resource_type)),
            Field::Creator => Some(text(&resource.creator)),
            Field::StartedAt => Some(Cell::Time(resource.started_at)),
            Field::EndedAt => resource.ended_at.map(Cell::Time),
            Field::RevisionStart => Some(Cell::Time(resource.revision_start)),
            Field::RevisionEnd => resource.revision_end.map(Cell::Time),
            Field::Revision => Some(Cell::Integer(resource.revision.number())),
            Field::UserId => resource.user_id.as_deref().map(text),
            Field::ProjectId => resource.project_id.as_deref().map(text),
            Field::OriginalId => Some(text(&resource.original_id)),
            Field::Lifespan => {
                let end = resource.ended_at?;
                Some(Cell::Integer(end.ns() as i64 - resource.started_at.ns() as i64))
            }
            Field::Attribute(name) => {
                let own = resource.attributes.iter().find(|(own, _)| own == name);
                own.and_then(|(_, value)| value.as_ref()).map(Cell::from)
            }
        }
    }
}

/// A question.
pub(super) struct Question<'a> {
    pub resource_type: &'a ResourceType,
    pub condition: &'a Condition,
    pub history: bool,
    pub order: &'a [SortKey],
}

/// All states that answer it, in order.
pub(super) fn answer(states: &[Resource], question: &Question<'_>) -> Vec<Resource> {
    let generic = &*question.resource_type.name == "generic";
    let mut found: Vec<Resource> = states
        .iter()
        .filter(|state| generic || state.resource_type == question.resource_type.name)
        .filter(|state| question.history || state.revision == Revision::Current)
        .filter(|state| question.condition.holds(&Whole(state)))
        .cloned()
        .collect();
    found.sort_by(|a, b| compare(question, a, b));
    found
}

/// How two states are ordered.
pub(super) fn compare(question: &Question<'_>, a: &Resource, b: &Resource) -> Ordering {
    let unique = [SortKey::ascending("id"), SortKey::ascending("revision")];
    let keys = question.order.iter().chain(&unique);
    keys.map(|key| compare_by(question, key, a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn compare_by(question: &Question<'_>, key: &SortKey, a: &Resource, b: &Resource) -> Ordering {
    let Some(field) = Field::named(&key.key, question.resource_type, true) else { return Ordering::Equal };
    let descending = key.arrangement == Arrangement::Descending;
    let nulls_first = key.nulls.map_or(descending, |nulls| nulls == NullsAt::First);
    match (Whole(a).cell(&field), Whole(b).cell(&field)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) if nulls_first => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) if nulls_first => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if descending => b.order(&a),
        (Some(a), Some(b)) => a.order(&b),
    }
}
