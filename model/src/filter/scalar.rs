//! Scalars of JSON, as clients send them: operands of filters, values of attributes.

use crate::time::Timestamp;
use crate::timetext::{TimeTextError, parse_timestamp, timestamp_from_seconds};

/// A scalar of JSON. Integers and other numbers stay apart because their texts differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written without fraction and exponent.
    Integer(i128),
    /// Any other number, NaN and the infinities.
    Float(f64),
    /// A string.
    Text(String),
}

impl Scalar {
    /// Reads a JSON value; `None` for lists and objects.
    pub fn from_json(value: &serde_json::Value) -> Option<Scalar> {
        Some(match value {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(truth) => Scalar::Bool(*truth),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Scalar::Integer(integer.into()),
                (None, Some(integer)) => Scalar::Integer(integer.into()),
                (None, None) => Scalar::Float(number.as_f64()?),
            },
            serde_json::Value::String(text) => Scalar::Text(text.clone()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
        })
    }

    /// The text the reference compares text fields with: `1`, `1.0`, `True`, `None`.
    pub fn to_text(&self) -> String {
        match self {
            Scalar::Null => "None".to_owned(),
            Scalar::Bool(true) => "True".to_owned(),
            Scalar::Bool(false) => "False".to_owned(),
            Scalar::Integer(integer) => integer.to_string(),
            Scalar::Float(number) => float_text(*number),
            Scalar::Text(text) => text.clone(),
        }
    }

    /// As a number; texts count if they read as one.
    pub(crate) fn to_number(&self) -> Option<f64> {
        match self {
            Scalar::Null => None,
            Scalar::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Scalar::Integer(integer) => Some(*integer as f64),
            Scalar::Float(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
        }
    }

    /// As an instant in whole microseconds: numbers are seconds since the epoch.
    pub(crate) fn to_time(&self, now: Timestamp) -> Result<Timestamp, TimeTextError> {
        let at = match self {
            Scalar::Null => return Err(TimeTextError::NotATimestamp),
            Scalar::Text(text) => parse_timestamp(text, now)?,
            number => timestamp_from_seconds(number.to_number().ok_or(TimeTextError::NotATimestamp)?)?,
        };
        Ok(round_to_micros(at))
    }
}

/// The nearest whole microsecond, the grain of all dates of resources.
pub fn round_to_micros(at: Timestamp) -> Timestamp {
    const MICRO: u64 = 1_000;
    let up = at.saturating_add(MICRO / 2);
    Timestamp::saturating_from_ns(up.ns() - up.ns() % MICRO)
}

/// Shortest text that reads back as the same number, in Python's dress: `1.0`, `1e+16`, `1e-05`, `nan`.
fn float_text(number: f64) -> String {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return if number.is_nan() { "nan".to_owned() } else { format!("{sign}inf") };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format has a decimal exponent");
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_python_prints_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (123_456_789.125, "123456789.125"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(Scalar::Float(number).to_text(), text);
        }
        assert_eq!(Scalar::Integer(1).to_text(), "1");
        assert_eq!(Scalar::Bool(true).to_text(), "True");
    }

    #[test]
    fn json_keeps_integers_apart() {
        let read = |text: &str| Scalar::from_json(&serde_json::from_str(text).unwrap());
        assert_eq!(read("1"), Some(Scalar::Integer(1)));
        assert_eq!(read("18446744073709551615"), Some(Scalar::Integer(u64::MAX.into())));
        assert_eq!(read("1.0"), Some(Scalar::Float(1.0)));
        assert_eq!(read("null"), Some(Scalar::Null));
        assert_eq!(read("[]"), None);
    }

    #[test]
    fn instants_are_rounded_to_microseconds() {
        let at = |scalar: Scalar| scalar.to_time(Timestamp::EPOCH).map(Timestamp::ns);
        assert_eq!(at(Scalar::Integer(2)), Ok(2_000_000_000));
        assert_eq!(at(Scalar::Text("2014".to_owned())), Ok(2_014_000_000_000));
        assert_eq!(at(Scalar::Text("1970-01-01T00:00:00.0000015".to_owned())), Ok(2_000));
        assert_eq!(at(Scalar::Text("nope".to_owned())), Err(TimeTextError::NotATimestamp));
        assert_eq!(round_to_micros(Timestamp::MAX).ns() % 1_000, 0);
    }
}
