//! Flat JSON objects, split into members without reading their values: a search looks at one or two
//! members of each of a hundred thousand documents.
//!
//! Understands what `serde_json` writes compactly: no white space, no escapes in keys, scalars only.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

/// The members of an object: key and raw value. A `None` item means that the bytes are not such an
/// object; it is the last one.
pub(super) struct Members<'a> {
    /// What is left, from a key's opening quote on; empty at the end.
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Members<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let body = bytes.strip_prefix(b"{");
        Members { rest: body.unwrap_or_default(), failed: body.is_none_or(|body| body.is_empty()) }
    }

    fn split(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let key_start = self.rest.strip_prefix(b"\"")?;
        // Keys and numbers are too short for a vectorised search to pay.
        let key_end = key_start.iter().position(|byte| *byte == b'"')?;
        let value_start = key_start[key_end + 1..].strip_prefix(b":")?;
        let value_end = scalar_end(value_start)?;
        let (value, rest) = value_start.split_at(value_end);
        self.rest = match rest {
            [b',', rest @ ..] => rest,
            [b'}'] => &[],
            _ => return None,
        };
        Some((&key_start[..key_end], value))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.failed {
            return None;
        }
        let member = self.split();
        self.failed = false;
        if member.is_none() {
            self.rest = &[];
        }
        Some(member)
    }
}

/// The raw value of one member of an object, found without looking at the others; whether the bytes are such an
/// object is not looked at. The key is without escapes, as they all are.
pub(super) fn member<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    // A quote within a text is escaped, and one that ends a text has no key behind it. So nothing else looks like this.
    let quoted = [b"\"", key.as_bytes(), b"\":"].concat();
    let starts = |at: &usize| *at > 0 && matches!(bytes[at - 1], b'{' | b',');
    let at = memmem::find_iter(bytes, &quoted).find(starts)?;
    let value = &bytes[at + quoted.len()..];
    Some(&value[..scalar_end(value)?])
}

/// Where the scalar that starts here ends.
fn scalar_end(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return bytes.iter().position(|byte| matches!(byte, b',' | b'}'));
    }
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// A raw text, borrowed if it has no escapes.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr(b'\\', inner).is_some() {
        return serde_json::from_slice(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// A raw number without fraction and sign.
pub(super) fn integer(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn other_bytes_are_refused() {
        for bad in [
            "",
            "{",
            "}",
            "[]",
            "{}",
            "{\"a\"}",
            "{\"a\":}x",
            "{\"a\":1",
            "{\"a\":\"x}",
            "{\"a\":\"\\",
            "{a:1}",
        ] {
            let members: Vec<_> = Members::of(bad.as_bytes()).collect();
            assert_eq!(members, [None], "{bad}");
        }
        let members: Vec<_> = Members::of(b"{\"a\":1,}").collect();
        assert_eq!(members.last(), Some(&None));
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\\\\",{}:a]{0,6}".prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn members_are_those_of_serde_json(members in proptest::collection::vec(("[a-z0-9]{1,8}", scalar()), 1..8)) {
            let object: Map<String, Value> = members.into_iter().collect();
            let bytes = serde_json::to_vec(&object).unwrap();
            let mut found = Map::new();
            for each in Members::of(&bytes) {
                let (key, raw) = each.expect("it is such an object");
                let value: Value = serde_json::from_slice(raw).unwrap();
                let read = text(raw);
                prop_assert_eq!(read.as_deref(), value.as_str());
                if !value.is_f64() && !value.is_boolean() && !value.is_null() && !value.is_string() {
                    prop_assert_eq!(integer(raw), value.as_u64());
                }
                let key = String::from_utf8(key.to_vec()).unwrap();
                prop_assert_eq!(member(&bytes, &key), Some(raw));
                found.insert(key, value);
            }
            prop_assert_eq!(member(&bytes, "A"), None);
            prop_assert_eq!(found, object);
        }

        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            Members::of(&bytes).count();
            member(&bytes, "a");
        }
    }
}
