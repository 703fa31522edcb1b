//! What people write for instants and spans, and how the API prints them.
//!
//! Accepts what the reference accepts: epoch seconds, a subset of ISO 8601, relative expressions
//! (`-10 minutes`), and spans (`1h30m`, `2:30`, seconds). The texts of [`TimeTextError`] are part of
//! the API. Nothing here reads a clock: "now" is an argument.

mod iso;
mod print;
mod timespan;
mod timestamp;

pub use print::{IsoClock, push_iso_micros, push_iso_seconds, span_text};
pub use timespan::{
    parse_signed_timespan, parse_timespan, signed_timespan_from_seconds, timespan_from_seconds,
};
pub use timestamp::{TimestampList, parse_timestamp, timestamp_from_seconds};

/// Why a text (or number) is no instant or no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeTextError {
    /// No known form of an instant, or another form than the first of its list.
    #[error("Unable to convert timestamps")]
    NotATimestamp,
    /// Before 1970 or after 2262.
    #[error("Timestamp must be after Epoch")]
    OutOfRange,
    /// No known form of a span, or longer than 292 years.
    #[error("Unable to parse timespan")]
    NotATimespan,
    /// A span that may only be positive is not.
    #[error("Timespan must be positive")]
    NotPositive,
}

/// Reads a text as a plain number, as leniently as the reference: blanks around it are ignored.
fn float(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// Seconds to whole nanoseconds, multiplied in double precision and truncated as the reference does.
fn nanoseconds(seconds: f64) -> Option<i64> {
    let ns = seconds * 1e9;
    // Both bounds are exact: i64::MAX as f64 is 2^63, one more than fits.
    (ns > i64::MIN as f64 && ns < i64::MAX as f64).then_some(ns as i64)
}

#[cfg(test)]
mod vectors {
    use super::*;
    use crate::time::Timestamp;
    use serde_json::Value;

    fn cases(op: &str) -> Vec<Value> {
        let text =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rounding-and-parsing.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        file["cases"].as_array().unwrap().iter().filter(|case| case["op"] == op).cloned().collect()
    }

    #[test]
    fn timespans() {
        let cases = cases("timespan");
        assert_eq!(cases.len(), 58);
        for case in cases.iter().filter(|case| !case["input"].is_null()) {
            let signed = case["allow_le_zero"] == true;
            let got = match &case["input"] {
                Value::String(text) if signed => parse_signed_timespan(text),
                Value::String(text) => parse_timespan(text).map(|span| span.ns() as i64),
                number if signed => signed_timespan_from_seconds(number.as_f64().unwrap()),
                number => timespan_from_seconds(number.as_f64().unwrap()).map(|span| span.ns() as i64),
            };
            match case.get("error") {
                Some(error) => assert_eq!(got.unwrap_err().to_string(), error.as_str().unwrap(), "{case}"),
                None => assert_eq!(got.ok(), case["ns"].as_i64(), "{case}"),
            }
        }
    }

    fn read(list: &mut TimestampList, value: &Value) -> Result<Timestamp, TimeTextError> {
        match value {
            Value::String(text) => list.text(text),
            Value::Bool(flag) => list.number(f64::from(u8::from(*flag))),
            number => list.number(number.as_f64().unwrap()),
        }
    }

    #[test]
    fn lists_of_timestamps() {
        for case in cases("timestamps") {
            let now = parse_timestamp(case["now"].as_str().unwrap(), Timestamp::EPOCH).unwrap();
            let mut list = TimestampList::new(now);
            let got: Result<Vec<u64>, _> = case["input"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| read(&mut list, value).map(Timestamp::ns))
                .collect();
            match case.get("error") {
                Some(error) => assert_eq!(got.unwrap_err().to_string(), error.as_str().unwrap(), "{case}"),
                None if case.get("quirk").is_some() => assert_eq!(got, Err(TimeTextError::NotATimestamp)),
                None => assert_eq!(serde_json::to_value(got.unwrap()).unwrap(), case["ns"], "{case}"),
            }
        }
    }

    #[test]
    fn buckets() {
        for case in cases("bucket") {
            let at = Timestamp::from_ns(case["t_ns"].as_u64().unwrap()).unwrap();
            let width = crate::Granularity::from_ns(case["granularity_ns"].as_u64().unwrap()).unwrap();
            assert_eq!(Some(at.floor(width).ns()), case["integer_floor"].as_u64(), "{case}");
        }
    }
}
