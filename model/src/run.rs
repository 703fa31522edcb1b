//! A run: the buckets of one granularity that a checkpoint writes together, one column per method.
//!
//! Layout in `docs/format/rows.md`.

use crate::codec::{Corrupt, Reader, put_bytes, put_f64, put_varint, seal, unseal};
use crate::column::Column;
use crate::method::Method;
use crate::packed::{number, put_number, put_values, read_values};
use crate::time::{Granularity, Timestamp};

/// Slots that one stored run may span: how far before its own start a read must look.
pub const RUN_SLOTS_MAX: u64 = 512;

const VERSION: u8 = 2;

/// The values of one method, one entry per bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    values: Vec<f64>,
    /// Which buckets have a value; empty while all do.
    present: Vec<bool>,
}

impl Values {
    /// Appends the value of the newest bucket; `None` where the method yields none.
    pub fn push(&mut self, value: Option<f64>) {
        if value.is_none() && self.present.is_empty() {
            self.present.resize(self.values.len(), true);
        }
        if !self.present.is_empty() || value.is_none() {
            self.present.push(value.is_some());
        }
        self.values.push(value.unwrap_or(f64::NAN));
    }

    /// The value of a bucket by position.
    pub fn get(&self, bucket: usize) -> Option<f64> {
        let present = self.present.is_empty() || self.present[bucket];
        present.then(|| self.values[bucket])
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Values {
        let mut part = Values::default();
        range.for_each(|bucket| part.push(self.get(bucket)));
        part
    }
}

/// Buckets of one granularity, ascending, with the columns of all methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    width: Granularity,
    starts: Vec<Timestamp>,
    columns: Vec<(Method, Values)>,
}

impl Run {
    /// An empty run with these columns.
    pub fn new(width: Granularity, methods: impl IntoIterator<Item = Method>) -> Self {
        let columns = methods.into_iter().map(|method| (method, Values::default())).collect();
        Run { width, starts: Vec::new(), columns }
    }

    /// Width of its buckets.
    pub fn width(&self) -> Granularity {
        self.width
    }

    /// Where its buckets start, ascending.
    pub fn starts(&self) -> &[Timestamp] {
        &self.starts
    }

    /// Whether it holds no bucket.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Appends a bucket; the caller then pushes one value to each column.
    pub fn open_bucket(&mut self, start: Timestamp) {
        self.starts.push(start);
    }

    /// Methods and their values.
    pub fn columns_mut(&mut self) -> impl Iterator<Item = (Method, &mut Values)> {
        self.columns.iter_mut().map(|(method, values)| (*method, values))
    }

    /// Methods and their values.
    pub fn columns(&self) -> impl Iterator<Item = (Method, &Values)> {
        self.columns.iter().map(|(method, values)| (*method, values))
    }

    /// Adds a method; one value per bucket.
    pub fn add_column(&mut self, method: Method, values: impl Iterator<Item = Option<f64>>) {
        let mut column = Values::default();
        values.for_each(|value| column.push(value));
        assert_eq!(column.values.len(), self.starts.len(), "a column has a value per bucket");
        self.columns.push((method, column));
    }

    /// The buckets that have a value of `method`.
    pub fn column(&self, method: Method) -> Column {
        let Some((_, values)) = self.columns.iter().find(|(known, _)| *known == method) else {
            return Column::default();
        };
        let starts = self.starts.iter().enumerate();
        starts.filter_map(|(bucket, start)| Some((*start, values.get(bucket)?))).collect()
    }

    /// Cuts it in parts, between buckets of different extents.
    pub fn parts(&self, extent_of: impl Fn(Timestamp) -> u64) -> Vec<Run> {
        let mut from = 0;
        let extents = self.starts.chunk_by(|a, b| extent_of(*a) == extent_of(*b));
        let parts = extents.map(|starts| {
            let range = from..from + starts.len();
            from = range.end;
            let columns = self.columns.iter().map(|(method, values)| (*method, values.slice(range.clone())));
            Run { width: self.width, starts: starts.to_vec(), columns: columns.collect() }
        });
        parts.collect()
    }

    /// The stored form. `seq` orders runs that hold the same bucket: the higher one wins.
    pub fn encode(&self, seq: u64) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, seq);
        put_varint(&mut out, self.starts.len() as u64);
        let mut before = 0;
        for start in &self.starts {
            let slot = start.ns() / self.width.ns();
            put_varint(&mut out, slot - before);
            before = slot;
        }
        put_varint(&mut out, self.columns.len() as u64);
        for (method, values) in &self.columns {
            out.push(method.index());
            encode_values(&mut out, values);
        }
        seal(&mut out);
        out
    }
}

/// How a column is stored, as bits: for some buckets only, one value for all, packed.
const SOME: u8 = 1;
const CONSTANT: u8 = 2;
const PACKED: u8 = 4;

fn encode_values(out: &mut Vec<u8>, column: &Values) {
    let some = if column.present.is_empty() { 0 } else { SOME };
    let values: Vec<f64> = (0..column.values.len()).filter_map(|bucket| column.get(bucket)).collect();
    let mut packed = Vec::with_capacity(values.len() * 4);
    put_values(&mut packed, &values);
    let constant = values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
    let form = match values.len() {
        1.. if constant => CONSTANT,
        count if packed.len() < count * 8 => PACKED,
        _ => 0,
    };
    out.push(form | some);
    for flags in column.present.chunks(8) {
        out.push(flags.iter().enumerate().fold(0, |byte, (bit, set)| byte | (u8::from(*set) << bit)));
    }
    match form {
        CONSTANT => put_number(out, values[0]),
        PACKED => put_bytes(out, &packed),
        _ => values.iter().for_each(|value| put_f64(out, *value)),
    }
}

/// What one stored run says of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Orders runs that hold the same bucket: the higher one wins.
    pub seq: u64,
    /// The buckets that have a value.
    pub column: Column,
}

/// Reads one method of a stored run, skipping the others.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode(bytes: &[u8], width: Granularity, method: Method) -> Result<Decoded, Corrupt> {
    let mut reader = Reader::new(unseal(bytes)?);
    if reader.byte()? != VERSION {
        return Err(Corrupt);
    }
    let seq = reader.varint()?;
    let starts = decode_starts(&mut reader, width)?;
    let methods = reader.count(2)?;
    for _ in 0..methods {
        let found = reader.byte()? == method.index();
        let stored = Stored::open(&mut reader, starts.len())?;
        if found {
            return Ok(Decoded { seq, column: stored.column(starts)? });
        }
    }
    Ok(Decoded { seq, column: Column::default() })
}

/// Reads all methods of a stored run: its `seq` and the run.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold, or bytes are left.
pub fn decode_run(bytes: &[u8], width: Granularity) -> Result<(u64, Run), Corrupt> {
    let mut reader = Reader::new(unseal(bytes)?);
    if reader.byte()? != VERSION {
        return Err(Corrupt);
    }
    let seq = reader.varint()?;
    let mut run = Run::new(width, []);
    run.starts = decode_starts(&mut reader, width)?;
    for _ in 0..reader.count(2)? {
        let method = Method::from_index(reader.byte()?).ok_or(Corrupt)?;
        let column = Stored::open(&mut reader, run.starts.len())?.column(run.starts.clone())?;
        let mut buckets = column.iter().peekable();
        let value_at = |start: &Timestamp| Some(buckets.next_if(|(at, _)| at == start)?.1);
        let values: Vec<_> = run.starts.iter().map(value_at).collect();
        run.add_column(method, values.into_iter());
    }
    if reader.is_empty() { Ok((seq, run)) } else { Err(Corrupt) }
}

fn decode_starts(reader: &mut Reader<'_>, width: Granularity) -> Result<Vec<Timestamp>, Corrupt> {
    let count = reader.count(1)?;
    let mut slot = 0u64;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        slot = slot.checked_add(reader.varint()?).ok_or(Corrupt)?;
        let ns = slot.checked_mul(width.ns()).ok_or(Corrupt)?;
        starts.push(Timestamp::from_ns(ns).ok_or(Corrupt)?);
    }
    Ok(starts)
}

/// A column as it lies there, not looked into yet.
struct Stored<'a> {
    /// A bit for each bucket, whether it has a value; `None`: all have.
    present: Option<&'a [u8]>,
    values: StoredValues<'a>,
}

enum StoredValues<'a> {
    Constant(f64),
    Packed(&'a [u8]),
    Raw(&'a [u8]),
}

impl<'a> Stored<'a> {
    fn open(reader: &mut Reader<'a>, buckets: usize) -> Result<Self, Corrupt> {
        let form = reader.byte()?;
        let present = if form & SOME == 0 { None } else { Some(reader.take(buckets.div_ceil(8))?) };
        let values = match form & !SOME {
            CONSTANT => StoredValues::Constant(number(reader)?),
            PACKED => StoredValues::Packed(reader.bytes()?),
            0 => {
                let count =
                    present.map_or(buckets, |bits| (0..buckets).filter(|at| is_set(bits, *at)).count());
                StoredValues::Raw(reader.take(count.checked_mul(8).ok_or(Corrupt)?)?)
            }
            _ => return Err(Corrupt),
        };
        Ok(Stored { present, values })
    }

    fn column(&self, mut starts: Vec<Timestamp>) -> Result<Column, Corrupt> {
        if let Some(bits) = self.present {
            starts = (0..starts.len()).filter(|at| is_set(bits, *at)).map(|at| starts[at]).collect();
        }
        let values = match self.values {
            StoredValues::Constant(value) => vec![value; starts.len()],
            StoredValues::Packed(bytes) => read_values(&mut Reader::new(bytes), starts.len())?,
            StoredValues::Raw(bytes) => {
                let raw = bytes.as_chunks::<8>().0.iter();
                raw.map(|bytes| f64::from_bits(u64::from_le_bytes(*bytes))).collect()
            }
        };
        Ok(Column { starts, values })
    }
}

fn is_set(bits: &[u8], at: usize) -> bool {
    bits[at / 8] & (1 << (at % 8)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(slots: &[(u64, Option<f64>)]) -> Run {
        let width = Granularity::from_ns(60).unwrap();
        let mut run = Run::new(width, [Method::COUNT_OF, Method::STD]);
        let mut slot = 0;
        for (gap, value) in slots {
            slot += gap + 1;
            run.open_bucket(Timestamp::from_ns(slot * 60).unwrap());
            for (method, values) in run.columns_mut() {
                values.push(if method == Method::STD { *value } else { Some(slot as f64) });
            }
        }
        run
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(slots in proptest::collection::vec((0u64..900, proptest::option::of(any::<f64>())), 0..40)) {
            let whole = run(&slots);
            for method in [Method::COUNT_OF, Method::STD] {
                let mut parts = Column::default();
                let extent = |start: Timestamp| start.ns() / 60 / RUN_SLOTS_MAX;
                for part in whole.parts(extent) {
                    let decoded = decode(&part.encode(7), part.width(), method).unwrap();
                    prop_assert_eq!(decoded.seq, 7);
                    let (seq, run) = decode_run(&part.encode(7), part.width()).unwrap();
                    prop_assert_eq!((seq, run.column(method).starts), (7, decoded.column.starts.clone()));
                    decoded.column.iter().for_each(|(start, value)| parts.push(start, value));
                    prop_assert!(part.starts().iter().all(|start| extent(*start) == extent(part.starts()[0])));
                }
                let expected = whole.column(method);
                prop_assert_eq!(&parts.starts, &expected.starts);
                let bits = |column: &Column| column.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&parts), bits(&expected));
            }
            prop_assert!(decode(&whole.encode(1), whole.width(), Method::MAX).unwrap().column.is_empty());
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(mut bytes: Vec<u8>) {
            bytes.insert(0, VERSION);
            seal(&mut bytes);
            let _ = decode(&bytes, Granularity::from_ns(1).unwrap(), Method::MEAN);
        }
    }
}
