//! A stored state of a resource at a glance: a row that finds each member it is asked for in the bytes, where
//! reading them all takes many times as long. For searches that look at one or two members of each of a hundred
//! thousand states and want few of them.

use std::borrow::Cow;

use orzo_model::Timestamp;
use orzo_model::filter::{Cell, Field, Row};
use orzo_model::resource::{ResourceId, Revision};

use super::catalog::TypeEntry;
use super::documents::value_cell;
use super::flat::{integer, member, text};

/// A state as a row. What it says of damaged bytes means nothing.
pub(super) struct Glance<'a> {
    pub id: ResourceId,
    pub revision: Revision,
    pub entry: &'a TypeEntry,
    pub bytes: &'a [u8],
}

impl<'a> Glance<'a> {
    fn text(&self, key: &str) -> Option<Cell<'a>> {
        member(self.bytes, key).and_then(text).map(Cell::Text)
    }

    fn integer(&self, key: &str) -> Option<u64> {
        member(self.bytes, key).and_then(integer)
    }

    fn time(&self, key: &str) -> Option<Cell<'a>> {
        self.integer(key).map(|ns| Cell::Time(Timestamp::saturating_from_ns(ns)))
    }

    fn attribute(&self, name: &str) -> Option<Cell<'a>> {
        let slot = self.entry.slots.get(name)?;
        if let Some(raw) = member(self.bytes, &slot.number.to_string()) {
            return value_cell(raw, &slot.attribute.kind);
        }
        if slot.fills.is_empty() {
            return None;
        }
        let version = self.integer("schema")?.try_into().ok()?;
        slot.fill_since(version).map(Cell::from)
    }
}

impl Row for Glance<'_> {
    fn cell(&self, field: &Field) -> Option<Cell<'_>> {
        match field {
            Field::Id => Some(Cell::Uuid(self.id.uuid())),
            Field::Type => Some(Cell::Text(Cow::Borrowed(&self.entry.public.name))),
            Field::Creator => self.text("creator"),
            Field::StartedAt => self.time("started"),
            Field::EndedAt => self.time("ended"),
            Field::RevisionStart => self.time("since"),
            Field::RevisionEnd => self.time("until"),
            Field::Revision => Some(Cell::Integer(self.revision.number())),
            Field::UserId => self.text("user"),
            Field::ProjectId => self.text("project"),
            Field::OriginalId => self.text("original"),
            Field::Lifespan => {
                let (started, ended) = (self.integer("started")?, self.integer("ended")?);
                Some(Cell::Integer(ended as i64 - started as i64))
            }
            Field::Attribute(name) => self.attribute(name),
        }
    }
}
