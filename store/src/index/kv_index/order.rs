//! Orders as bytes: the sort key of a row is one byte string, so that comparing rows, directions and
//! places of nulls included, is comparing bytes, and a page is the rows after the marker's bytes.

use orzo_model::filter::{Cell, Field, Row};
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::ResourceType;

use crate::index::{Arrangement, Error, NullsAt, Result, SortKey};

/// One key of an order over fields `F`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OrderKey<F> {
    pub field: F,
    pub arrangement: Arrangement,
    pub nulls: NullsAt,
}

impl<F> OrderKey<F> {
    pub(super) fn new(field: F, sort_key: &SortKey) -> Self {
        // Nulls are greater than everything, unless the client says where they go.
        let greatest = match sort_key.arrangement {
            Arrangement::Ascending => NullsAt::Last,
            Arrangement::Descending => NullsAt::First,
        };
        let nulls = sort_key.nulls.unwrap_or(greatest);
        OrderKey { field, arrangement: sort_key.arrangement, nulls }
    }

    pub(super) fn ascending(field: F) -> Self {
        OrderKey { field, arrangement: Arrangement::Ascending, nulls: NullsAt::Last }
    }

    /// Appends the bytes of a value.
    pub(super) fn push(&self, bytes: &mut Vec<u8>, cell: Option<Cell<'_>>) {
        let Some(cell) = cell else {
            return bytes.push(if self.nulls == NullsAt::First { 0 } else { 2 });
        };
        bytes.push(1);
        let start = bytes.len();
        push_cell(bytes, &cell);
        if self.arrangement == Arrangement::Descending {
            bytes[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

/// Bytes that compare as cells of one kind do. None is a prefix of another, so that turning them round
/// turns the order round.
fn push_cell(bytes: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Text(text) => {
            for byte in text.bytes() {
                bytes.push(byte);
                if byte == 0 {
                    bytes.push(u8::MAX);
                }
            }
            bytes.extend([0, 0]);
        }
        Cell::Uuid(uuid) => bytes.extend(uuid.as_bytes()),
        Cell::Number(number) => bytes.extend(number_bits(*number).to_be_bytes()),
        Cell::Bool(truth) => bytes.push(u8::from(*truth)),
        Cell::Time(at) => bytes.extend(at.ns().to_be_bytes()),
        Cell::Integer(integer) => bytes.extend((*integer as u64 ^ (1 << 63)).to_be_bytes()),
    }
}

/// Bits that compare as numbers do; zeros are equal, NaN is the greatest.
fn number_bits(number: f64) -> u64 {
    if number.is_nan() {
        return u64::MAX;
    }
    // Adding zero turns -0.0 into 0.0.
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}

/// The order of a page of resources.
pub(super) type ResourceOrder = Vec<OrderKey<Field>>;

/// Completes an order of resources by what makes it total. Without history the last key is the id.
pub(super) fn resource_order(
    keys: Option<&[SortKey]>,
    resource_type: &ResourceType,
    history: bool,
) -> Result<ResourceOrder> {
    let field = |key: &str| {
        Field::named(key, resource_type, history).ok_or_else(|| Error::InvalidSortKey(key.to_owned()))
    };
    let mut order = match keys {
        Some(keys) => {
            keys.iter().map(|key| Ok(OrderKey::new(field(&key.key)?, key))).collect::<Result<Vec<_>>>()?
        }
        None => [Field::RevisionStart, Field::StartedAt].map(OrderKey::ascending).into(),
    };
    let unique = if history { &[Field::Id, Field::Revision][..] } else { &[Field::Id] };
    for field in unique {
        if !order.iter().any(|key| key.field == *field) {
            order.push(OrderKey::ascending(field.clone()));
        }
    }
    if let Some(at) = order.iter().position(|key| key.field == Field::Id).filter(|_| !history) {
        // Nobody has the same id, so what comes after it decides nothing.
        order.truncate(at + 1);
    }
    Ok(order)
}

/// The id in a place of an order that ends with it.
pub(super) fn place_id(order: &[OrderKey<Field>], place: &[u8]) -> Option<ResourceId> {
    let (key, mut bytes) = (order.last()?, *place.last_chunk::<16>()?);
    if key.arrangement == Arrangement::Descending {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    (key.field == Field::Id).then(|| ResourceId::from_bytes(bytes))
}

/// Whether an order is the one that the order table is in.
pub(super) fn is_default(order: &[OrderKey<Field>]) -> bool {
    let default = [Field::RevisionStart, Field::StartedAt, Field::Id].map(OrderKey::ascending);
    // None of these fields is ever null, so where nulls go does not matter.
    order.len() == default.len()
        && order.iter().zip(&default).all(|(a, b)| a.field == b.field && a.arrangement == b.arrangement)
}

/// The place of a row in an order.
pub(super) fn place(order: &[OrderKey<Field>], row: &dyn Row, bytes: &mut Vec<u8>) {
    bytes.clear();
    for key in order {
        key.push(bytes, row.cell(&key.field));
    }
}

/// The first `limit` of many items after a place, in any order they come.
pub(super) struct Top<T> {
    limit: usize,
    after: Option<Vec<u8>>,
    kept: Vec<(Vec<u8>, T)>,
    /// Items beyond it are too late: `limit` earlier ones are known.
    bound: Option<Vec<u8>>,
}

impl<T> Top<T> {
    pub(super) fn new(limit: Option<usize>, after: Option<Vec<u8>>) -> Self {
        Top { limit: limit.unwrap_or(usize::MAX), after, kept: Vec::new(), bound: None }
    }

    /// Offers an item; it is made only if its place counts.
    pub(super) fn offer(&mut self, place: &[u8], make: impl FnOnce() -> T) {
        let early = self.after.as_deref().is_some_and(|after| place <= after);
        let late = self.bound.as_deref().is_some_and(|bound| place >= bound);
        if early || late || self.limit == 0 {
            return;
        }
        self.kept.push((place.to_vec(), make()));
        // Cutting at twice the limit costs a constant per item.
        if self.kept.len() >= self.limit.saturating_mul(2) {
            self.kept.select_nth_unstable_by(self.limit, |(a, _), (b, _)| a.cmp(b));
            self.bound = Some(self.kept[self.limit].0.clone());
            self.kept.truncate(self.limit);
        }
    }

    /// The items, in order.
    pub(super) fn into_sorted(mut self) -> Vec<T> {
        self.kept.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.kept.truncate(self.limit);
        self.kept.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use orzo_model::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn cell_of(kind: u8, seed: u64, text: String) -> Cell<'static> {
        match kind {
            0 => Cell::Text(text.into()),
            1 => Cell::Uuid(Uuid::from_u128(u128::from(seed) << 60)),
            2 => Cell::Number(f64::from_bits(seed)),
            3 => Cell::Bool(seed > u64::MAX / 2),
            4 => Cell::Time(Timestamp::saturating_from_ns(seed)),
            _ => Cell::Integer(seed as i64),
        }
    }

    proptest! {
        #[test]
        fn bytes_compare_as_cells(
            kind in 0u8..6,
            a in proptest::option::of((any::<u64>(), "[a\0\u{1}é]{0,4}")),
            b in proptest::option::of((any::<u64>(), "[a\0\u{1}é]{0,4}")),
            descending: bool,
            nulls in proptest::option::of(any::<bool>()),
        ) {
            let arrangement = if descending { Arrangement::Descending } else { Arrangement::Ascending };
            let nulls = nulls.map(|first| if first { NullsAt::First } else { NullsAt::Last });
            let key = OrderKey::new((), &SortKey { key: String::new(), arrangement, nulls });
            let cell = |part: Option<(u64, String)>| part.map(|(seed, text)| cell_of(kind, seed, text));
            let (a, b) = (cell(a), cell(b));
            let expected = match (&a, &b) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, Some(_)) => if key.nulls == NullsAt::First { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater },
                (Some(_), None) => if key.nulls == NullsAt::First { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less },
                (Some(a), Some(b)) if descending => b.order(a),
                (Some(a), Some(b)) => a.order(b),
            };
            let bytes = |cell: Option<Cell<'static>>| {
                let mut bytes = Vec::new();
                key.push(&mut bytes, cell);
                bytes
            };
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), expected);
        }

        #[test]
        fn top_is_sort_and_cut(places in proptest::collection::vec(any::<u8>(), 0..60), after: Option<u8>, limit in 0usize..8) {
            let mut top = Top::new(Some(limit), after.map(|place| vec![place]));
            for place in &places {
                top.offer(&[*place], || *place);
            }
            let mut expected: Vec<u8> = places.into_iter().filter(|place| Some(*place) > after).collect();
            expected.sort_unstable();
            expected.truncate(limit);
            prop_assert_eq!(top.into_sorted(), expected);
        }
    }
}
