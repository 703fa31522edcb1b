//! From an id to the index of what has it, such as a slot: a hash table made for looking many up at once.
//!
//! A look-up comes in steps, so that a batch can take each step for many before the next one, and what a step needs is
//! on its way while the others take theirs. First the place where an id belongs, then which item is likely the one, then,
//! by whoever has the items, whether it is.

use orzo_base::near::bring_near;

/// Open addressing with linear probing. Removing closes the gap, so that no place is lost.
#[derive(Debug)]
pub(crate) struct IdIndex {
    /// A power of two.
    places: Box<[Place]>,
    len: usize,
}

/// What lies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The low bits of the hash; the place where it belongs is the lowest of these.
    tag: u32,
    item: u32,
}

const PLACES_MIN: usize = 64;

impl Place {
    /// Nothing.
    const EMPTY: Place = Place { tag: 0, item: u32::MAX };

    /// The index of the item, if the hash may be that of its id.
    #[inline]
    fn item(self, hash: u64) -> Option<u32> {
        (self.tag == hash as u32 && self != Place::EMPTY).then_some(self.item)
    }
}

impl Default for IdIndex {
    fn default() -> Self {
        IdIndex { places: vec![Place::EMPTY; PLACES_MIN].into(), len: 0 }
    }
}

impl IdIndex {
    /// How many ids it has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first step: asks for the place where the hash belongs.
    #[inline]
    pub(crate) fn bring_near(&self, hash: u64) {
        bring_near(&self.places[self.wrap(hash as usize)]);
    }

    /// The second: the item that is the one unless another has the same tag, which is next to never.
    #[inline]
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The index of the item that `is` the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is).map(|at| self.places[at].item)
    }

    #[inline]
    fn position(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.wrap(hash as usize);
        loop {
            let place = self.places[at];
            match place.item(hash) {
                Some(item) if is(item) => return Some(at),
                _ if place == Place::EMPTY => return None,
                _ => at = self.wrap(at + 1),
            }
        }
    }

    /// Adds one that is not there.
    pub(crate) fn insert(&mut self, hash: u64, item: u32) {
        // At most three quarters full.
        if 4 * (self.len + 1) > 3 * self.places.len() {
            let grown = vec![Place::EMPTY; 2 * self.places.len()].into();
            let before = std::mem::replace(&mut self.places, grown);
            before.iter().filter(|place| **place != Place::EMPTY).for_each(|place| self.put(*place));
        }
        self.put(Place { tag: hash as u32, item });
        self.len += 1;
    }

    fn put(&mut self, place: Place) {
        let mut at = self.wrap(place.tag as usize);
        while self.places[at] != Place::EMPTY {
            at = self.wrap(at + 1);
        }
        self.places[at] = place;
    }

    /// Removes that item; says whether it was there.
    pub(crate) fn remove(&mut self, hash: u64, item: u32) -> bool {
        let Some(mut gap) = self.position(hash, |known| known == item) else { return false };
        let mut at = gap;
        loop {
            at = self.wrap(at + 1);
            let place = self.places[at];
            if place == Place::EMPTY {
                break;
            }
            // It may move up unless it would come before where it belongs.
            let home = self.wrap(place.tag as usize);
            if self.wrap(at.wrapping_sub(home)) >= self.wrap(at.wrapping_sub(gap)) {
                self.places[gap] = place;
                gap = at;
            }
        }
        self.places[gap] = Place::EMPTY;
        self.len -= 1;
        true
    }

    /// All items, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.places.iter().filter(|place| **place != Place::EMPTY).map(|place| place.item)
    }

    #[inline]
    fn wrap(&self, at: usize) -> usize {
        at & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Beside a map, with hashes that collide in their tags, in their places, or not at all.
    #[test]
    fn it_is_a_map() {
        let mut index = IdIndex::default();
        let mut twin: BTreeMap<u32, u64> = BTreeMap::new();
        let mut random = 1u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for item in 0..20_000u32 {
            let hash = match draw(4) {
                0 => draw(8),
                1 => draw(8) << 32 | 7,
                2 => u64::from(u32::MAX) - draw(3),
                _ => draw(1 << 31) << 7,
            };
            index.insert(hash, item);
            twin.insert(item, hash);
            while twin.len() > 300 || (draw(3) == 0 && !twin.is_empty()) {
                let nth = draw(twin.len() as u64) as usize;
                let (item, hash) = twin.iter().nth(nth).map(|(item, hash)| (*item, *hash)).unwrap();
                assert!(index.remove(hash, item));
                assert!(!index.remove(hash, item));
                twin.remove(&item);
            }
            assert_eq!(index.len(), twin.len());
            if item % 100 == 0 {
                for (item, hash) in &twin {
                    assert_eq!(index.find(*hash, |known| known == *item), Some(*item));
                    assert_eq!(index.find(*hash, |_| false), None);
                }
                let mut all: Vec<u32> = index.iter().collect();
                all.sort_unstable();
                assert!(all.iter().eq(twin.keys()));
            }
        }
    }
}
