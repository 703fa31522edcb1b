//! The tags of one sample, sorted by key, whatever style they were written in.

use arrayvec::ArrayVec;
use memchr::{memchr, memchr2};
use orzo_model::DropReason;

use crate::limits::TAGS_MAX;

/// Keys and values in the order of the keys; of equal keys the last one written.
#[derive(Default)]
pub(super) struct Tags<'a>(ArrayVec<(&'a [u8], &'a [u8]), TAGS_MAX>);

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
        self.0.iter().position(|(other, _)| Some(*other) == key)
    }

    /// Which tags have one of these keys and a value, as bits by their places.
    #[inline]
    pub(super) fn among(&self, keys: &[Box<[u8]>]) -> u64 {
        const { assert!(TAGS_MAX <= u64::BITS as usize) }
        let chosen = |(key, value): &(&[u8], &[u8])| {
            u64::from(!value.is_empty() && keys.iter().any(|chosen| **chosen == **key))
        };
        self.0.iter().enumerate().fold(0, |bits, (at, tag)| bits | chosen(tag) << at)
    }

    /// Key and value of the tag at `place`.
    #[inline]
    pub(super) fn get(&self, place: usize) -> (&'a [u8], &'a [u8]) {
        self.0[place]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied()
    }

    /// Items of a `#` field: `key:value` or `key`, split at `,`.
    pub(super) fn add_field(&mut self, mut text: &'a [u8]) -> Result<(), DropReason> {
        while let Some(comma) = memchr(b',', text) {
            self.add_item(&text[..comma], b':')?;
            text = &text[comma + 1..];
        }
        self.add_item(text, b':')
    }

    /// Items cut out of a name: `key=value` or `key`, split at `,` and at `also`.
    pub(super) fn add_from_name(&mut self, mut text: &'a [u8], also: u8) -> Result<(), DropReason> {
        while let Some(end) = memchr2(b',', also, text) {
            self.add_item(&text[..end], b'=')?;
            text = &text[end + 1..];
        }
        self.add_item(text, b'=')
    }

    fn add_item(&mut self, item: &'a [u8], between: u8) -> Result<(), DropReason> {
        if item.is_empty() {
            return Ok(());
        }
        match memchr(between, item) {
            Some(at) => self.insert(&item[..at], &item[at + 1..]),
            None => self.insert(item, b""),
        }
    }

    /// Insertion sort: tags are few, and clients tend to send them in the same order.
    fn insert(&mut self, key: &'a [u8], value: &'a [u8]) -> Result<(), DropReason> {
        let place = self.0.iter().rposition(|(other, _)| *other <= key);
        match place {
            Some(at) if self.0[at].0 == key => self.0[at].1 = value,
            _ => {
                let at = place.map_or(0, |at| at + 1);
                self.0.try_insert(at, (key, value)).map_err(|_| DropReason::TooManyTags)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, field: &str, expected: &str) {
        let mut tags = Tags::default();
        tags.add_from_name(name.as_bytes(), b';').unwrap();
        tags.add_field(field.as_bytes()).unwrap();
        let text = |part| std::str::from_utf8(part).unwrap();
        let seen: Vec<_> = tags.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
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
