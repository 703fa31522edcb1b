//! Bytes that a stored resource must contain for a condition to be true of it: most resources that a
//! search reads can be passed over without being looked at more closely.

use memchr::memmem::Finder;
use orzo_model::filter::{Cell, Condition, Field, Operator, Test};

use super::catalog::TypeEntry;
use super::documents::encode;

/// Shorter ones are found everywhere.
const BYTES_MIN: usize = 3;

/// A finder of the bytes that all documents of a type contain that a condition is true of.
pub(super) fn needle(condition: &Condition, entry: &TypeEntry) -> Option<Finder<'static>> {
    bytes(condition, entry).map(|bytes| Finder::new(&bytes).into_owned())
}

fn bytes(condition: &Condition, entry: &TypeEntry) -> Option<Vec<u8>> {
    match condition {
        Condition::Is(field, test) if is_stored(field, entry) => bytes_of(test),
        // All must hold; the longest tells the most.
        Condition::And(parts) => parts.iter().filter_map(|part| bytes(part, entry)).max_by_key(Vec::len),
        _ => None,
    }
}

/// Whether a value of the field is always in the document. Others are in the key, or filled in.
fn is_stored(field: &Field, entry: &TypeEntry) -> bool {
    match field {
        Field::Creator | Field::UserId | Field::ProjectId | Field::OriginalId => true,
        Field::Attribute(name) => entry.slots.get(name).is_some_and(|slot| slot.fills.is_empty()),
        _ => false,
    }
}

fn bytes_of(test: &Test) -> Option<Vec<u8>> {
    match test {
        Test::Compare(Operator::Equal, Cell::Text(text)) => Some(encode(text)),
        Test::Compare(Operator::Equal, Cell::Uuid(uuid)) => Some(encode(&uuid.to_string())),
        Test::Like(like) => {
            // Escapes are by character, so what is within the quotes is written so anywhere.
            let quoted = encode(&like.longest_literal());
            let inner = quoted[1..quoted.len() - 1].to_vec();
            Some(inner).filter(|inner| inner.len() >= BYTES_MIN)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use orzo_model::filter::Like;
    use orzo_model::resource_type::{Attribute, AttributeKind, ResourceType, Value};

    use super::*;

    fn check(condition: &Condition, expected: Option<&str>) {
        let kind = AttributeKind::Text { min_length: 0, max_length: 9 };
        let attribute = Attribute { kind, required: false };
        let attributes = ["plain", "filled"].map(|name| (name.into(), attribute));
        let public = ResourceType { name: "t".into(), version: 1, attributes: BTreeMap::from(attributes) };
        let mut entry = TypeEntry::new(public);
        let filled = entry.slots.get_mut("filled").unwrap();
        filled.fills.push((1, Value::Text("by hand".to_owned())));
        let found = bytes(condition, &entry).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(found.as_deref(), expected, "{condition:?}");
    }

    fn equal(field: Field, text: &'static str) -> Condition {
        Condition::Is(field, Test::Compare(Operator::Equal, Cell::Text(text.into())))
    }

    fn like(pattern: &str) -> Condition {
        Condition::Is(Field::UserId, Test::Like(Like::new(pattern)))
    }

    #[test]
    fn what_must_be_there_is_known() {
        let attribute = |name: &str| Field::Attribute(name.into());
        check(&equal(Field::UserId, "a\"\né"), Some(r#""a\"\né""#));
        check(&equal(attribute("plain"), "x"), Some("\"x\""));
        check(&equal(attribute("filled"), "x"), None);
        check(&equal(Field::Type, "host"), None);
        check(&like("%abc%d\"efg%"), Some(r#"d\"efg"#));
        check(&like("%a_b%"), None);
        let both = vec![equal(Field::UserId, "u"), like("%longer")];
        check(&Condition::And(both.clone()), Some("longer"));
        check(&Condition::Or(both.clone()), None);
        check(&Condition::Not(Box::new(Condition::And(both))), None);
        let unequal = Test::Compare(Operator::NotEqual, Cell::Text("u".into()));
        check(&Condition::Is(Field::UserId, unequal), None);
    }
}
