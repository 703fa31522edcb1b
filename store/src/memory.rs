//! A key-value engine in memory, for tests and simulations: ordered maps behind one lock, and a copy
//! of what was last synced, so that a power cut can be played.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use parking_lot::RwLock;

use crate::error::Result;
use crate::kv::{Batch, Change, Direction, Family, Kv, Visit, WhenStalled};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Families = BTreeMap<Family, Map>;

/// The engine. Clones of it are made by wrapping it in an `Arc`.
#[derive(Default)]
pub struct MemoryKv {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    families: Families,
    synced: Families,
    unsynced: Vec<Batch>,
}

impl MemoryKv {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays a power cut: of the batches since the last sync only the first `kept` survive.
    pub fn power_cut(&self, kept: usize) {
        let mut state = self.state.write();
        let mut families = state.synced.clone();
        for batch in state.unsynced.iter().take(kept) {
            apply(&mut families, batch);
        }
        state.unsynced.truncate(kept);
        state.families = families;
    }

    /// How many batches a power cut could take.
    pub fn unsynced_batches(&self) -> usize {
        self.state.read().unsynced.len()
    }
}

fn apply(families: &mut Families, batch: &Batch) {
    for (family, change) in &batch.changes {
        let map = families.entry(*family).or_default();
        match change {
            Change::Put(key, value) => {
                map.insert(key.clone(), value.clone());
            }
            Change::Delete(key) => {
                map.remove(key);
            }
            Change::DeleteRange(from, to) => map.retain(|key, _| key < from || key >= to),
        }
    }
}

impl Kv for MemoryKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.state.read().families.get(&family).and_then(|map| map.get(key)).cloned())
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        // Copied first: a visitor may write.
        let found: Vec<(Vec<u8>, Vec<u8>)> = {
            let state = self.state.read();
            let Some(map) = state.families.get(&family) else { return Ok(()) };
            if !to.is_empty() && from >= to {
                return Ok(());
            }
            let upper = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
            let range = map.range::<[u8], _>((Bound::Included(from), upper));
            range.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut visit_all = |items: &mut dyn Iterator<Item = &(Vec<u8>, Vec<u8>)>| {
            for (key, value) in items {
                if let ControlFlow::Break(()) = visit(key, value) {
                    return;
                }
            }
        };
        match way {
            Direction::Forward => visit_all(&mut found.iter()),
            Direction::Backward => visit_all(&mut found.iter().rev()),
        }
        Ok(())
    }

    fn write(&self, batch: Batch, _when_stalled: WhenStalled) -> Result<()> {
        let mut state = self.state.write();
        apply(&mut state.families, &batch);
        state.unsynced.push(batch);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state.write();
        let State { synced, unsynced, .. } = &mut *state;
        for batch in unsynced.drain(..) {
            apply(synced, &batch);
        }
        Ok(())
    }
}
