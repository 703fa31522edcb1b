//! The message of Prometheus remote write, version 1, read where it lies.
//!
//! Labels stay encoded: what was met before is known by their bytes. Everything else is read as the library would
//! read the whole message, field by field.

use std::borrow::Cow;

use prost::encoding::{self, DecodeContext, WireType, check_wire_type, decode_key, decode_varint};
use prost::{DecodeError, Message};

/// A label of a series.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// The labels of a series: a series without its samples.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Labels {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
}

/// A value at a time.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp_ms: i64,
}

/// No message, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damaged {
    #[error(transparent)]
    Field(#[from] DecodeError),
    #[error("a field is longer than the message it is in")]
    Length,
}

/// The series of a message, as they lie in it.
pub(super) fn each_series<'a>(
    message: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut rest = message;
    while !rest.is_empty() {
        field(&mut rest, 1..=1)?.map_or(Ok(()), |(_, series)| each(series))?;
    }
    Ok(())
}

/// Reads a series: says what its labels are, encoded, and puts its samples into `samples`, which is emptied before.
pub(super) fn read_series<'a>(series: &'a [u8], samples: &mut Vec<Sample>) -> Result<Cow<'a, [u8]>, Damaged> {
    samples.clear();
    let mut labels = Cow::Borrowed(&series[..0]);
    let mut labels_end = 0;
    let mut rest = series;
    while !rest.is_empty() {
        let start = series.len() - rest.len();
        let taken = field(&mut rest, 1..=2)?;
        let end = series.len() - rest.len();
        match taken {
            Some((1, _)) => {
                match &mut labels {
                    Cow::Borrowed([]) => labels = Cow::Borrowed(&series[start..end]),
                    // One behind the other, as always, they need not be copied.
                    Cow::Borrowed(known) if labels_end == start => *known = &series[start - known.len()..end],
                    apart => apart.to_mut().extend_from_slice(&series[start..end]),
                }
                labels_end = end;
            }
            Some((_, sample)) => samples.push(read_sample(sample)?),
            None => {}
        }
    }
    Ok(labels)
}

/// Takes a field. `None`: it is none of those that are wanted, which are messages.
#[inline]
fn field<'a>(
    rest: &mut &'a [u8],
    wanted: std::ops::RangeInclusive<u32>,
) -> Result<Option<(u32, &'a [u8])>, Damaged> {
    let (tag, wire_type) = decode_key(rest)?;
    if !wanted.contains(&tag) {
        encoding::skip_field(wire_type, tag, rest, DecodeContext::default())?;
        return Ok(None);
    }
    check_wire_type(WireType::LengthDelimited, wire_type)?;
    let length = usize::try_from(decode_varint(rest)?).map_err(|_| Damaged::Length)?;
    let (field, after) = rest.split_at_checked(length).ok_or(Damaged::Length)?;
    *rest = after;
    Ok(Some((tag, field)))
}

/// Both fields in their order, or whatever a sample may be else.
#[inline]
fn read_sample(bytes: &[u8]) -> Result<Sample, DecodeError> {
    if let [0x09, fields @ ..] = bytes
        && let Some((value, [0x10, time @ ..])) = fields.split_first_chunk()
    {
        let mut time = time;
        let timestamp_ms = decode_varint(&mut time)? as i64;
        if time.is_empty() {
            return Ok(Sample { value: f64::from_le_bytes(*value), timestamp_ms });
        }
    }
    Sample::decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The message as the library reads it.
    #[derive(Clone, PartialEq, Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        series: Vec<Series>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Series {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
    }

    fn read(message: &[u8]) -> Result<WriteRequest, Damaged> {
        let mut request = WriteRequest::default();
        let mut samples = Vec::new();
        each_series(message, |series| {
            let labels = read_series(series, &mut samples)?;
            let labels = Labels::decode(&*labels)?.labels;
            request.series.push(Series { labels, samples: samples.clone() });
            Ok(())
        })?;
        Ok(request)
    }

    /// As bytes: a NaN is like itself.
    fn check(message: &[u8]) {
        let expected = WriteRequest::decode(message).ok().map(|request| request.encode_to_vec());
        assert_eq!(read(message).ok().map(|request| request.encode_to_vec()), expected, "{message:02x?}");
    }

    fn requests() -> impl Strategy<Value = WriteRequest> {
        let label = ("[a-z_é]{0,4}", "[a-z]{0,3}").prop_map(|(name, value)| Label { name, value });
        let time = prop_oneof![any::<i64>(), 0..3i64];
        let sample = (any::<f64>(), time).prop_map(|(value, timestamp_ms)| Sample { value, timestamp_ms });
        let series = (proptest::collection::vec(label, 0..4), proptest::collection::vec(sample, 0..4))
            .prop_map(|(labels, samples)| Series { labels, samples });
        proptest::collection::vec(series, 0..4).prop_map(|series| WriteRequest { series })
    }

    #[test]
    fn fields_may_come_in_any_order() {
        let label = |name: &str| Labels { labels: vec![Label { name: name.into(), value: "v".into() }] };
        let samples = Series { labels: vec![], samples: vec![Sample { value: 1.0, timestamp_ms: 2 }] };
        let (a, b) = (label("a").encode_to_vec(), label("b").encode_to_vec());
        let unknown = [0x1a, 1, 0];
        let parts: [&[u8]; 6] = [&unknown, &a, &b, &samples.encode_to_vec(), &unknown, &a];
        let series = parts.concat();
        assert!(matches!(read_series(&parts[..5].concat(), &mut vec![]), Ok(Cow::Borrowed(_))));
        assert!(matches!(read_series(&series, &mut vec![]), Ok(Cow::Owned(_))));
        let message = [&[0x0a, series.len() as u8][..], &series, &[0x1a, 0]].concat();
        check(&message);
        assert_eq!(read(&message).unwrap().series[0].labels.len(), 3);
    }

    proptest! {
        #[test]
        fn messages_are_read_as_by_the_library(request in requests()) {
            check(&request.encode_to_vec());
        }

        #[test]
        fn damaged_messages_are_refused_with_the_library(
            request in requests(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            end in any::<prop::sample::Index>(),
        ) {
            let mut message = request.encode_to_vec();
            for (at, byte) in damage.iter().filter(|_| !request.series.is_empty()) {
                let at = at.index(message.len());
                message[at] = *byte;
            }
            check(&message);
            check(&message[..end.index(message.len() + 1)]);
        }

        #[test]
        fn noise_is_read_as_by_the_library(message in proptest::collection::vec(prop_oneof![0u8..=0x22, any::<u8>()], 0..24)) {
            check(&message);
        }
    }
}
