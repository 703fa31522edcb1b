//! What the store is, and how far its partitions have been checkpointed.

use std::collections::BTreeMap;

use orzo_model::{Partition, Partitions};

use super::{Walk, place};
use crate::error::Result;
use crate::identity::{self, Identity};
use crate::keys::{self, Seq};
use crate::kv::Family;

/// The identity; without it nothing else of a store can be told apart.
pub(super) fn identity(walk: &mut Walk<'_>) -> Result<Option<Identity>> {
    match identity::stored(walk.kv()) {
        Ok(Some(identity)) => return Ok(Some(identity)),
        Ok(None) => walk.found(Family::Meta, "identity", "is missing", "the store cannot be opened"),
        Err(error) if error.is_damage() => {
            walk.found(Family::Meta, "identity", error.reason(), "the store cannot be opened");
        }
        Err(other) => return Err(other),
    }
    Ok(None)
}

/// Low-water marks; `None` where one does not decode. A partition without one was never checkpointed.
pub(super) fn low_water_marks(
    walk: &mut Walk<'_>,
    partitions: Partitions,
) -> Result<BTreeMap<Partition, Option<Seq>>> {
    let names: BTreeMap<Vec<u8>, Partition> =
        partitions.all().map(|partition| (keys::low_water(partition), partition)).collect();
    let mut marks = BTreeMap::new();
    walk.each(Family::Meta, b"", |walk, key, value| {
        let Some(partition) = names.get(key) else { return };
        let mark = keys::read_low_water(value);
        if mark.is_none() {
            let costs = "nothing: the next start replays all that is left of the backlog";
            let place = format!("low-water mark of {}", place::partition(*partition));
            walk.found(Family::Meta, place, "does not decode", costs);
        }
        marks.insert(*partition, mark);
    })?;
    Ok(marks)
}
