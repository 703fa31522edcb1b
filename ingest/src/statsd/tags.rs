//! The tags of one sample, sorted by key, whatever style they were written in.

use std::cmp::Ordering;

use arrayvec::ArrayVec;
use orzo_model::DropReason;

use crate::limits::TAGS_MAX;

/// Key and value, with one byte between them, as they were written; or a key alone.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    text: &'a [u8],
    key_len: usize,
}

impl<'a> Tag<'a> {
    #[inline]
    pub(super) fn key(&self) -> &'a [u8] {
        &self.text[..self.key_len]
    }

    #[inline]
    pub(super) fn value(&self) -> &'a [u8] {
        self.text.get(self.key_len + 1..).unwrap_or_default()
    }

    /// Appends `key=value`.
    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let between = out.len() + self.key_len;
        out.extend_from_slice(self.text);
        match out.get_mut(between) {
            Some(byte) => *byte = b'=',
            None => out.push(b'='),
        }
    }
}

/// Tags in the order of their keys; of equal keys the last one written.
#[derive(Default)]
pub(super) struct Tags<'a>(ArrayVec<Tag<'a>, TAGS_MAX>);

impl<'a> Tags<'a> {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the tag with this key is.
    #[inline]
    pub(super) fn place(&self, key: Option<&[u8]>) -> Option<usize> {
        self.0.iter().position(|tag| Some(tag.key()) == key)
    }

    /// Which tags have one of these keys and a value, as bits by their places.
    #[inline]
    pub(super) fn among(&self, keys: &[Box<[u8]>]) -> u64 {
        const { assert!(TAGS_MAX <= u64::BITS as usize) }
        let chosen = |tag: &Tag<'_>| {
            u64::from(!tag.value().is_empty() && keys.iter().any(|chosen| **chosen == *tag.key()))
        };
        self.0.iter().enumerate().fold(0, |bits, (at, tag)| bits | chosen(tag) << at)
    }

    /// The value of the tag at `place`.
    #[inline]
    pub(super) fn value(&self, place: usize) -> &'a [u8] {
        self.0[place].value()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tag<'a>> {
        self.0.iter()
    }

    /// Items of a `#` field: `key:value` or `key`, split at `,`.
    pub(super) fn add_field(&mut self, text: &'a [u8]) -> Result<(), DropReason> {
        self.add_items(text, b':', b',')
    }

    /// Items cut out of a name: `key=value` or `key`, split at `,` and at `also`.
    pub(super) fn add_from_name(&mut self, text: &'a [u8], also: u8) -> Result<(), DropReason> {
        self.add_items(text, b'=', also)
    }

    /// Byte by byte: items are too short for a search to be worth its call.
    #[inline(always)]
    fn add_items(&mut self, mut text: &'a [u8], between: u8, also: u8) -> Result<(), DropReason> {
        let is_end = |byte: u8| byte == b',' || byte == also;
        loop {
            let key_len = find(text, |byte| byte == between || is_end(byte));
            let len = key_len + find(&text[key_len..], is_end);
            if len > 0 {
                self.add(Tag { text: &text[..len], key_len })?;
            }
            match text.get(len + 1..) {
                Some(rest) => text = rest,
                None => return Ok(()),
            }
        }
    }

    /// Insertion sort: tags are few, and clients tend to send them in the same order.
    #[inline]
    fn add(&mut self, tag: Tag<'a>) -> Result<(), DropReason> {
        let mut place = self.0.len();
        while let Some(before) = place.checked_sub(1) {
            match compare(self.0[before].key(), tag.key()) {
                Ordering::Less => break,
                Ordering::Equal => {
                    self.0[before] = tag;
                    return Ok(());
                }
                Ordering::Greater => place = before,
            }
        }
        let added = if place == self.0.len() { self.0.try_push(tag) } else { self.0.try_insert(place, tag) };
        added.map_err(|_| DropReason::TooManyTags)
    }
}

/// Where the first such byte is; the length without one.
#[inline(always)]
fn find(text: &[u8], is_wanted: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| is_wanted(byte)).unwrap_or(text.len())
}

/// By their first bytes, which nearly always differ, or by all.
#[inline(always)]
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    one.first().cmp(&other.first()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, field: &str, expected: &str) {
        let mut tags = Tags::default();
        tags.add_from_name(name.as_bytes(), b';').unwrap();
        tags.add_field(field.as_bytes()).unwrap();
        let text = |part| std::str::from_utf8(part).unwrap();
        let seen: Vec<_> =
            tags.iter().map(|tag| format!("{}={}", text(tag.key()), text(tag.value()))).collect();
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn sorted_last_wins_field_over_name() {
        check("", "", "");
        check("b=1,a=2;c", "", "a=2 b=1 c=");
        check("", ",,b:x:y,a,", "a= b=x:y");
        check("a=1,a=2", "", "a=2");
        check("a=1,b=2", "a:3", "a=3 b=2");
        check("k=a=b", ":v", "=v k=a=b");
    }

    #[test]
    fn one_too_many_is_refused() {
        let texts: Vec<String> = (0..=TAGS_MAX).map(|n| format!("{n:03}")).collect();
        let mut tags = Tags::default();
        for text in &texts[..TAGS_MAX] {
            tags.add_field(text.as_bytes()).unwrap();
        }
        assert_eq!(tags.add_field(texts[0].as_bytes()), Ok(()));
        assert_eq!(tags.add_field(texts[TAGS_MAX].as_bytes()), Err(DropReason::TooManyTags));
    }
}
