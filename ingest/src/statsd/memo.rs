//! What recent lines came to, all but their values: clients send the same names and tags over and over, and taking them
//! apart, sorting them and putting a name together is most of what such a line costs.
//!
//! Found by the very text that was written, compared byte by byte. Bounded: once it is full nothing is added, until so
//! many lines were not in it that other series speak now; then it begins anew. So lines of more series than it holds
//! pay for a look, not for being added in vain.

use hashbrown::HashTable;
use orzo_base::near::bring_near;
use orzo_model::{Flags, Profile};

use super::line::Common;
use super::scan;
use crate::limits::{MEMO_LINE_BYTES, MEMO_LINES, MEMO_MISSES, MEMO_TEXT_BYTES};

/// A line of one group, cut around its values.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    profile: Profile,
    /// Before the first `:`.
    pub(super) name: &'a [u8],
    /// Between that and the first `|`.
    pub(super) values: &'a [u8],
    /// From there on.
    tail: &'a [u8],
    hash: u64,
}

/// A shorter tail has type and rate in it, but hardly tags.
const TAIL_BYTES: usize = 10;

const CACHE_LINE: usize = 64;
/// As much as the texts of a line with five tags take.
const TEXT_CACHE_LINES: usize = 4;

/// What is known of a line.
struct Entry {
    hash: u64,
    common: Common,
    /// Where its texts begin, one behind the other: name and tail as written, then the name that rides along.
    start: u32,
    name_len: u16,
    tail_len: u16,
}

/// Lines that were read.
pub(super) struct Memo {
    /// Unknown to those who write lines: nobody can make many of one hash.
    seeds: [u64; 2],
    entries: HashTable<Entry>,
    texts: Vec<u8>,
    /// Lines that were not found since it is full.
    misses: u32,
}

impl Memo {
    /// Allocates nothing before the first line that it keeps.
    pub(super) fn new(salt: u64) -> Self {
        let seed = salt ^ ODD;
        let seeds = [seed, seed.wrapping_mul(ODD).swap_bytes()];
        Memo { seeds, entries: HashTable::new(), texts: Vec::new(), misses: 0 }
    }

    /// The key of a line, of what stands before its first `:` and what behind that. `None` if it is as quickly read:
    /// without tags, or no metric at all.
    #[inline]
    pub(super) fn key<'a>(&self, profile: Profile, name: &'a [u8], rest: &'a [u8]) -> Option<Key<'a>> {
        let bar = rest.iter().position(|&byte| byte == b'|')?;
        let (values, tail) = rest.split_at(bar);
        let is_worth_it = tail.len() >= TAIL_BYTES || scan::has_special(name);
        let hash = || self.hash(self.hash(0, name), tail);
        is_worth_it.then(|| Key { profile, name, values, tail, hash: hash() })
    }

    /// Sixteen bytes at a time, the last of which overlap those before.
    #[inline(always)]
    fn hash(&self, before: u64, text: &[u8]) -> u64 {
        let fold = |hash: u64, low: u64, high: u64| {
            let product = u128::from(low ^ hash ^ self.seeds[0]) * u128::from(high ^ self.seeds[1]);
            product as u64 ^ (product >> 64) as u64
        };
        let fold_block = |hash, block: &[u8; 16]| {
            let block = u128::from_le_bytes(*block);
            fold(hash, block as u64, (block >> 64) as u64)
        };
        let hash = before ^ text.len() as u64;
        if let Some(last) = text.last_chunk() {
            let (blocks, _) = text.as_chunks();
            fold_block(blocks.iter().fold(hash, fold_block), last)
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            fold(hash, u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else {
            fold(hash, 0, text.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        }
    }

    /// Asks for the texts of lines that are known.
    #[inline]
    pub(super) fn bring_near<'a>(&self, keys: impl Iterator<Item = &'a Key<'a>>) {
        let entry = |key: &Key<'_>| self.entries.find(key.hash, |entry| entry.hash == key.hash);
        for entry in keys.filter_map(entry) {
            let text = &self.texts[entry.start as usize..];
            text.iter().step_by(CACHE_LINE).take(TEXT_CACHE_LINES).for_each(bring_near);
        }
    }

    /// What lines of this text have in common, and where their name begins.
    #[inline]
    pub(super) fn find(&self, key: &Key<'_>) -> Option<(Common, usize)> {
        let entry = self.entries.find(key.hash, |entry| self.is(entry, key))?;
        let name = entry.start as usize + usize::from(entry.name_len) + usize::from(entry.tail_len);
        Some((entry.common, name))
    }

    #[inline]
    fn is(&self, entry: &Entry, key: &Key<'_>) -> bool {
        let (name_len, tail_len) = (usize::from(entry.name_len), usize::from(entry.tail_len));
        let written = &self.texts[entry.start as usize..][..name_len + tail_len];
        let is_gnocchi = key.profile == Profile::Gnocchi;
        entry.hash == key.hash
            && name_len == key.name.len()
            && written[..name_len] == *key.name
            && written[name_len..] == *key.tail
            && entry.common.sample.flags.has(Flags::GNOCCHI) == is_gnocchi
    }

    /// The name at this place, and what comes behind it.
    #[inline]
    pub(super) fn name(&self, at: usize) -> &[u8] {
        &self.texts[at..]
    }

    /// Keeps what a line came to that was not found, if there is room.
    pub(super) fn insert(&mut self, key: &Key<'_>, common: &Common, name: &[u8]) {
        let bytes = key.name.len() + key.tail.len() + name.len();
        if bytes > MEMO_LINE_BYTES {
            return;
        }
        if self.entries.len() == MEMO_LINES || self.texts.len() + bytes > MEMO_TEXT_BYTES {
            self.misses += 1;
            if self.misses < MEMO_MISSES {
                return;
            }
            self.entries.clear();
            self.texts.clear();
            self.misses = 0;
        }
        let entry = Entry {
            hash: key.hash,
            common: *common,
            start: self.texts.len() as u32,
            name_len: key.name.len() as u16,
            tail_len: key.tail.len() as u16,
        };
        [key.name, key.tail, name].into_iter().for_each(|text| self.texts.extend_from_slice(text));
        self.entries.insert_unique(key.hash, entry, |entry| entry.hash);
    }
}

/// Any: it only has to scatter bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use orzo_model::{Kind, MetricId, Sample};

    fn common(name: &str, profile: Profile) -> Common {
        let flags = Flags::GNOCCHI.when(profile == Profile::Gnocchi);
        let (id, kind, name_len) =
            (MetricId::from_name(1, name.as_bytes()), Kind::Counter, name.len() as u16);
        Common { sample: Sample { id, value: 0, aux: 0, name_len, kind, flags }, rate: 1.0, signs: false }
    }

    fn key<'a>(memo: &Memo, profile: Profile, name: &'a str, rest: &'a str) -> Key<'a> {
        memo.key(profile, name.as_bytes(), rest.as_bytes()).unwrap()
    }

    fn found(memo: &Memo, key: &Key<'_>) -> Option<String> {
        let (common, at) = memo.find(key)?;
        let name = &memo.name(at)[..usize::from(common.sample.name_len)];
        assert_eq!(common.sample.id, MetricId::from_name(1, name));
        Some(String::from_utf8(name.to_vec()).unwrap())
    }

    #[test]
    fn lines_that_hold_no_tags_have_no_key() {
        let memo = Memo::new(7);
        for (name, rest) in
            [("a", "1|c"), ("a", "1|ms|@0.5"), ("a,b=c", "1"), ("a", "|#env:prod"), ("", "1|c")]
        {
            let key = memo.key(Profile::Native, name.as_bytes(), rest.as_bytes());
            assert_eq!(key.is_some(), rest.contains('#'), "{name}:{rest}");
        }
        let key = key(&memo, Profile::Native, "a,b=c", "1:2|g");
        assert_eq!((key.values, key.tail), (&b"1:2"[..], &b"|g"[..]));
    }

    #[test]
    fn is_found_by_name_tail_and_profile_whatever_the_hash() {
        let mut memo = Memo::new(7);
        let same_hash = |key| Key { hash: 0, ..key };
        let texts = [
            ("a", "|c|#tag:b,c"),
            ("ab", "|c|#tag:b,c"),
            ("a", "|c|#tag:b,d"),
            ("a,b=c", "|c"),
            ("a|b", "|c|#tag:b,c"),
        ];
        let lines = || {
            texts.into_iter().flat_map(|(name, rest)| {
                [Profile::Native, Profile::Gnocchi].map(|profile| (name, rest, profile))
            })
        };
        let canonical = |(name, rest, profile): (&str, &str, Profile)| format!("{name}{rest}{profile:?}");
        for (name, rest, profile) in lines() {
            let key = same_hash(key(&memo, profile, name, rest));
            assert_eq!(found(&memo, &key), None);
            let composed = canonical((name, rest, profile));
            memo.insert(&key, &common(&composed, profile), composed.as_bytes());
        }
        for (name, rest, profile) in lines() {
            let key = same_hash(key(&memo, profile, name, rest));
            assert_eq!(found(&memo, &key), Some(canonical((name, rest, profile))));
        }
    }

    #[test]
    fn each_byte_changes_the_hash() {
        let memo = Memo::new(0);
        for len in 0..70 {
            let text = vec![b'a'; len];
            let mut hashes: Vec<u64> = (0..len)
                .flat_map(|at| {
                    [b'b', b'c'].map(|byte| {
                        let mut other = text.clone();
                        other[at] = byte;
                        memo.hash(5, &other)
                    })
                })
                .chain([memo.hash(5, &text), memo.hash(!5, &text)])
                .collect();
            hashes.sort_unstable();
            hashes.dedup();
            assert_eq!(hashes.len(), 2 * len + 2, "{len}");
        }
    }

    #[test]
    fn a_full_one_adds_nothing_until_enough_was_not_in_it() {
        let mut memo = Memo::new(7);
        let line = |n: usize| format!("name{n},a=b");
        let insert = |memo: &mut Memo, n: usize| {
            let name = line(n);
            let key = key(memo, Profile::Native, &name, "1|c");
            memo.insert(&key, &common("n", Profile::Native), b"n");
        };
        let knows =
            |memo: &Memo, n: usize| found(memo, &key(memo, Profile::Native, &line(n), "2|c")).is_some();
        (0..MEMO_LINES + 1).for_each(|n| insert(&mut memo, n));
        assert!((0..MEMO_LINES).all(|n| knows(&memo, n)));
        assert!(!knows(&memo, MEMO_LINES));
        (2..MEMO_MISSES).for_each(|_| insert(&mut memo, MEMO_LINES));
        assert!(knows(&memo, 0) && !knows(&memo, MEMO_LINES));
        insert(&mut memo, MEMO_LINES);
        assert!(!knows(&memo, 0) && knows(&memo, MEMO_LINES));
    }

    #[test]
    fn texts_are_bounded_too() {
        let mut memo = Memo::new(7);
        let long = "x".repeat(MEMO_LINE_BYTES);
        let mut insert = |name: &str| {
            let key = key(&memo, Profile::Native, name, "1|c");
            memo.insert(&key, &common("n", Profile::Native), b"n");
            memo.entries.len()
        };
        assert_eq!(insert(&format!("{long},")), 0);
        let lines = (0..MEMO_LINES).map(|n| insert(&format!("{},{n:09}", &long[20..])));
        assert!(lines.last().unwrap() < MEMO_LINES);
        assert!(memo.texts.len() <= MEMO_TEXT_BYTES && memo.texts.len() > MEMO_TEXT_BYTES - MEMO_LINE_BYTES);
    }
}
