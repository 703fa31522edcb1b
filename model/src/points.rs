//! Raw measures in memory: ascending, with unique times, a few bytes each.
//!
//! They lie in chunks. What is newest is appended in place; what is late rewrites the chunks from its own on.

use crate::codec::{Corrupt, Reader, put_varint};
use crate::packed::{Shape, State, put_measures, read_interleaved, read_measures};
use crate::time::{Measure, Timestamp};

/// Measures of a chunk: what a late one makes us rewrite.
const CHUNK: u16 = 128;

/// A growing chunk gets so many bytes more at a time, so that little is held in reserve.
const GROWTH: usize = 48;

/// Measures by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// None is empty.
    chunks: Vec<Chunk>,
}

#[derive(Clone, Debug, PartialEq)]
struct Chunk {
    shape: Shape,
    count: u16,
    first: Timestamp,
    /// Behind the last.
    state: State,
    bytes: Vec<u8>,
}

impl Chunk {
    fn new(shape: Shape, first: Measure) -> Self {
        let mut chunk =
            Chunk { shape, count: 0, first: first.at, state: State::default(), bytes: Vec::new() };
        chunk.push(first);
        chunk
    }

    fn push(&mut self, measure: Measure) {
        if self.bytes.capacity() - self.bytes.len() < 20 {
            self.bytes.reserve_exact(GROWTH);
        }
        self.state.put(self.shape, self.count == 0, measure, &mut self.bytes);
        self.count += 1;
    }

    fn last(&self) -> Measure {
        self.state.last(self.shape)
    }

    fn unpack(&self, out: &mut Vec<Measure>) {
        let (mut reader, mut state) = (Reader::new(&self.bytes), State::default());
        let measures = (0..self.count).map(|index| state.get(self.shape, index == 0, &mut reader));
        out.extend(measures.map(|measure| measure.expect("a chunk holds what was put in")));
    }
}

impl Points {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// When the oldest was taken.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.chunks.first().map(|chunk| chunk.first)
    }

    /// The newest.
    pub fn last(&self) -> Option<Measure> {
        self.chunks.last().map(Chunk::last)
    }

    /// Those at this instant or after.
    pub fn since(&self, from: Timestamp) -> Vec<Measure> {
        let chunks = &self.chunks[self.chunk_of(from)..];
        let mut points = Vec::with_capacity(chunks.iter().map(|chunk| usize::from(chunk.count)).sum());
        chunks.iter().for_each(|chunk| chunk.unpack(&mut points));
        let before = points.partition_point(|point| point.at < from);
        points.drain(..before);
        points
    }

    /// The first at this instant or after.
    pub fn first_since(&self, from: Timestamp) -> Option<Timestamp> {
        let chunk = self.chunks.get(self.chunk_of(from))?;
        if chunk.first >= from {
            return Some(chunk.first);
        }
        let mut points = Vec::with_capacity(usize::from(chunk.count));
        chunk.unpack(&mut points);
        points.iter().map(|point| point.at).find(|at| *at >= from)
    }

    /// The chunk in which an instant lies or before which it comes.
    fn chunk_of(&self, at: Timestamp) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().at < at)
    }

    /// Adds measures, ascending with unique times. They replace what was there at the same times.
    pub fn merge(&mut self, batch: &[Measure]) {
        let Some(first) = batch.first() else { return };
        let split = self.chunk_of(first.at);
        let mut old = Vec::new();
        self.chunks.drain(split..).for_each(|chunk| chunk.unpack(&mut old));
        let mut old = old.into_iter().peekable();
        for new in batch {
            while let Some(point) = old.next_if(|point| point.at < new.at) {
                self.push(point);
            }
            old.next_if(|point| point.at == new.at);
            self.push(*new);
        }
        old.for_each(|point| self.push(point));
    }

    fn push(&mut self, measure: Measure) {
        let mut shape = Shape::default();
        if let Some(chunk) = self.chunks.last_mut() {
            if chunk.count < CHUNK {
                shape = chunk.shape;
            }
            shape = shape.with(measure);
            if chunk.count < CHUNK && shape == chunk.shape {
                return chunk.push(measure);
            }
            chunk.bytes.shrink_to_fit();
        }
        // Behind a chunk that is not full never a coarser shape: or values of two kinds in turn would each begin one.
        // Most windows have one or two, a list that doubles has room for four at once.
        self.chunks.reserve_exact(1);
        self.chunks.push(Chunk::new(shape.with(measure), measure));
    }

    /// Lets those before this instant go.
    pub fn drop_before(&mut self, cut: Timestamp) {
        self.chunks.drain(..self.chunk_of(cut));
        let Some(chunk) = self.chunks.first_mut().filter(|chunk| chunk.first < cut) else { return };
        let mut points = Vec::with_capacity(usize::from(chunk.count));
        chunk.unpack(&mut points);
        let mut kept = points.into_iter().filter(|point| point.at >= cut);
        let first = kept.next().expect("its last is not before the cut");
        *chunk = Chunk::new(chunk.shape, first);
        kept.for_each(|point| chunk.push(point));
    }

    /// Appends the stored form; see `docs/format/window.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.chunks.len() as u64);
        let mut base = Timestamp::EPOCH;
        for chunk in &self.chunks {
            let mut measures = Vec::with_capacity(usize::from(chunk.count));
            chunk.unpack(&mut measures);
            put_measures(chunk.shape, out, base, &measures);
            base = chunk.last().at;
        }
    }

    /// Reads what [`Points::encode`] wrote, or did before version 3 of windows.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode, or times do not ascend.
    pub fn decode(reader: &mut Reader<'_>, interleaved: bool) -> Result<Self, Corrupt> {
        let mut points = Points::default();
        for _ in 0..reader.count(4)? {
            let last = points.last().map(|last| last.at);
            let measures = if interleaved {
                read_interleaved(reader, Timestamp::EPOCH)?
            } else {
                read_measures(reader, last.unwrap_or_default())?
            };
            for measure in measures {
                if points.last().is_some_and(|last| last.at >= measure.at) {
                    return Err(Corrupt);
                }
                points.push(measure);
            }
        }
        Ok(points)
    }
}

impl FromIterator<Measure> for Points {
    /// Of ascending measures with unique times.
    fn from_iter<I: IntoIterator<Item = Measure>>(measures: I) -> Self {
        let mut points = Points::default();
        measures.into_iter().for_each(|measure| points.push(measure));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ns(ms * 1_000_000).unwrap()
    }

    fn batch(list: &[(u64, f64)]) -> Vec<Measure> {
        let unique: BTreeMap<u64, f64> = list.iter().copied().collect();
        unique.into_iter().map(|(ms, value)| Measure { at: at(ms), value }).collect()
    }

    proptest! {
        /// The twin: a map.
        #[test]
        fn points_are_a_map_by_time(
            steps in proptest::collection::vec(
                (0u64..2000, proptest::collection::vec((0u64..3000, prop_oneof![
                    (0i32..50).prop_map(f64::from), (0i32..500).prop_map(|n| f64::from(n) / 10.0), any::<f64>(),
                ]), 0..60)),
                1..30,
            ),
        ) {
            let (mut points, mut twin) = (Points::default(), BTreeMap::new());
            for (step, (ms, list)) in steps.into_iter().enumerate() {
                if step % 5 == 4 {
                    points.drop_before(at(ms));
                    twin = twin.split_off(&at(ms));
                }
                points.merge(&batch(&list));
                twin.extend(batch(&list).into_iter().map(|one| (one.at, one.value.to_bits())));
                let seen = |from| points.since(from).iter().map(|one| (one.at, one.value.to_bits())).collect::<Vec<_>>();
                prop_assert_eq!(seen(at(ms)), twin.range(at(ms)..).map(|(at, bits)| (*at, *bits)).collect::<Vec<_>>());
                prop_assert_eq!(points.first_since(at(ms)), twin.range(at(ms)..).next().map(|(at, _)| *at));
                prop_assert_eq!(points.oldest(), twin.keys().next().copied());
                prop_assert_eq!(points.last().map(|last| last.at), twin.keys().last().copied());
                let mut out = Vec::new();
                points.encode(&mut out);
                let back = Points::decode(&mut Reader::new(&out), false).unwrap();
                let bits = |list: Vec<Measure>| list.into_iter().map(|one| (one.at, one.value.to_bits())).collect::<Vec<_>>();
                prop_assert_eq!(bits(back.since(Timestamp::EPOCH)), seen(Timestamp::EPOCH));
            }
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>) {
            let _ = [true, false].map(|interleaved| Points::decode(&mut Reader::new(&bytes), interleaved));
        }
    }

    #[test]
    fn an_hour_of_a_gauge_takes_a_kilobyte_and_a_half() {
        let value = |index: u64| (index * 7919 % 1000) as f64 / 10.0;
        let points: Points = (0..360)
            .map(|index| Measure {
                at: at(1_700_000_000_000 + index * 10_000 + index % 3),
                value: value(index),
            })
            .collect();
        let held =
            points.chunks.iter().map(|chunk| size_of::<Chunk>() + chunk.bytes.capacity()).sum::<usize>();
        assert!(held < 1600, "{held} bytes");
    }

    #[test]
    fn times_that_do_not_ascend_are_corrupt() {
        let mut out = vec![1];
        let twice = [1.0, 2.0].map(|value| Measure { at: at(5), value });
        put_measures(Shape::default().with(twice[0]), &mut out, Timestamp::EPOCH, &twice);
        assert_eq!(Points::decode(&mut Reader::new(&out), false), Err(Corrupt));
    }
}
