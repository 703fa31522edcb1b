//! Lists of measures in bodies, read in one pass without a tree: the hot path of HTTP ingest.
//!
//! Budget: 200 ns a measure. A body is either stored as a whole or refused, so reading goes on after a
//! problem, to the end of the list: bad JSON counts more than a bad measure, and of bad measures the
//! worst problem is told, as the reference, which looks at shapes, then times, then values.

use std::borrow::Cow;

use orzo_model::timetext::{TimeTextError, TimestampList};
use orzo_model::{Measure, Timestamp};

use crate::json::{Kind, ReadError, Reader};

/// What is wrong with a list of measures; the display form is the reference's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// No list of objects with a timestamp.
    #[error("unexpected measures format")]
    Format,
    /// A timestamp that is none, or of another form than the first.
    #[error("unexpected timestamp '{0}'")]
    Timestamp(TimeTextError),
    /// A value that is no number.
    #[error("unexpected measures value")]
    Value,
}

impl Problem {
    fn weight(self) -> u8 {
        match self {
            Problem::Format => 3,
            Problem::Timestamp(TimeTextError::NotATimestamp) => 2,
            Problem::Timestamp(_) => 1,
            Problem::Value => 0,
        }
    }
}

/// Takes the next value as a list of measures.
pub(crate) fn read_measures(
    reader: &mut Reader<'_>,
    now: Timestamp,
) -> Result<Result<Vec<Measure>, Problem>, ReadError> {
    if reader.kind()? != Kind::List {
        reader.skip()?;
        return Ok(Err(Problem::Format));
    }
    let mut times = TimestampList::new(now);
    let mut measures = Vec::new();
    let mut worst: Option<Problem> = None;
    reader.list(|reader| {
        match read_measure(reader, &mut times)? {
            Ok(measure) => measures.push(measure),
            Err(problem) if worst.is_none_or(|worst| worst.weight() < problem.weight()) => {
                worst = Some(problem)
            }
            Err(_) => {}
        }
        Ok(())
    })?;
    Ok(worst.map_or(Ok(measures), Err))
}

/// A scalar as written.
enum Raw<'a> {
    Absent,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Raw<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        Ok(match reader.kind()? {
            Kind::Number => Raw::Number(reader.float()?),
            Kind::Text => Raw::Text(reader.text()?),
            Kind::Bool => Raw::Number(f64::from(u8::from(reader.bool()?))),
            Kind::Null | Kind::List | Kind::Object => reader.skip().map(|()| Raw::Absent)?,
        })
    }

    fn timestamp(&self, times: &mut TimestampList) -> Result<Timestamp, Problem> {
        match self {
            Raw::Absent => Err(Problem::Format),
            Raw::Number(seconds) => times.number(*seconds).map_err(Problem::Timestamp),
            Raw::Text(text) => times.text(text).map_err(Problem::Timestamp),
        }
    }

    fn value(&self) -> Result<f64, Problem> {
        match self {
            Raw::Absent => Err(Problem::Value),
            Raw::Number(number) => Ok(*number),
            Raw::Text(text) => text.trim().parse().map_err(|_| Problem::Value),
        }
    }
}

/// Takes a measure as nearly all clients spell it: nothing but a time and a number, in this order.
#[inline]
fn read_plain<'a>(reader: &mut Reader<'a>) -> Option<(Raw<'a>, f64)> {
    if !reader.take("{") || !reader.take("\"timestamp\"") || !reader.take(":") {
        return None;
    }
    let timestamp = match reader.plain_number() {
        Some(seconds) => Raw::Number(seconds),
        None => Raw::Text(reader.plain_text()?.into()),
    };
    if !reader.take(",") || !reader.take("\"value\"") || !reader.take(":") {
        return None;
    }
    let value = reader.plain_number()?;
    reader.take("}").then_some((timestamp, value))
}

#[inline]
fn read_measure(
    reader: &mut Reader<'_>,
    times: &mut TimestampList,
) -> Result<Result<Measure, Problem>, ReadError> {
    match reader.attempt(read_plain) {
        Some((timestamp, value)) => Ok(timestamp.timestamp(times).map(|at| Measure { at, value })),
        None => read_any_measure(reader, times),
    }
}

fn read_any_measure(
    reader: &mut Reader<'_>,
    times: &mut TimestampList,
) -> Result<Result<Measure, Problem>, ReadError> {
    if reader.kind()? != Kind::Object {
        reader.skip()?;
        return Ok(Err(Problem::Format));
    }
    let (mut timestamp, mut value) = (Raw::Absent, Raw::Absent);
    reader.object(|reader, key| {
        match &*key {
            "timestamp" => timestamp = Raw::read(reader)?,
            "value" => value = Raw::read(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let at = match timestamp.timestamp(times) {
        Ok(at) => at,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(value.value().map(|value| Measure { at, value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Vec<(u64, f64)>, String> {
        let mut reader = Reader::new(body.as_bytes()).map_err(|error| error.to_string())?;
        let now = Timestamp::from_ns(100_000_000_000).unwrap();
        let measures = read_measures(&mut reader, now).map_err(|error| error.to_string())?;
        reader.finish().map_err(|error| error.to_string())?;
        let measures = measures.map_err(|problem| problem.to_string())?;
        Ok(measures.iter().map(|m| (m.at.ns() / 1_000_000_000, m.value)).collect())
    }

    type Read<T> = Result<T, ReadError>;
    /// Time and bits of a value: a NaN is like itself.
    type Told = Result<(u64, u64), Problem>;

    fn read_each(
        body: &str,
        read: fn(&mut Reader<'_>, &mut TimestampList) -> Read<Result<Measure, Problem>>,
    ) -> Read<Vec<Told>> {
        let mut reader = Reader::new(body.as_bytes())?;
        let mut times = TimestampList::new(Timestamp::EPOCH);
        let mut measures = Vec::new();
        reader.list(|reader| {
            let measure = read(reader, &mut times)?;
            measures.push(measure.map(|measure| (measure.at.ns(), measure.value.to_bits())));
            Ok(())
        })?;
        reader.finish().map(|()| measures)
    }

    fn spellings() -> impl Strategy<Value = String> {
        let number = "-?[0-9]{1,20}|-?[0-9]{1,9}\\.[0-9]{0,18}|-?0|[0-9]{1,3}[eE]-?[0-9]{1,2}|NaN|-?Infinity";
        let time = prop_oneof![
            3 => "[0-9]{1,10}(\\.[0-9]{1,6})?",
            1 => number,
            2 => "\"20[0-9]{2}-0[1-9]-0[1-9]T0[0-9]:00:00\"",
            1 => "\"[-0-9 a\\\\n]{0,4}\"|null|true",
        ];
        let value = prop_oneof![4 => number, 1 => "\"[0-9.]{1,3}\"|null|false|\\[\\]"];
        let blank = || "[ \n]{0,1}";
        let plain =
            (time, value, blank(), blank(), blank(), blank()).prop_map(|(time, value, a, b, c, d)| {
                format!("{a}{{{b}\"timestamp\"{c}:{d}{time}{a},{b}\"value\"{d}:{c}{value}{a}}}{b}")
            });
        let other = r#"\{"value": 1, "timestamp": 2\}|\{"timestamp": 1\}|\{"timestamp": 1, "value": 2, "x": 3\}|1|\{\}|\{"timestamp"#;
        prop_oneof![8 => plain, 1 => other]
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_reads(measures in proptest::collection::vec(spellings(), 0..6)) {
            let body = format!("[{}]", measures.join(","));
            prop_assert_eq!(read_each(&body, read_measure), read_each(&body, read_any_measure), "{}", body);
        }
    }

    #[test]
    fn forms_of_values_and_times() {
        let body = r#"[{"timestamp": "2015-03-06T14:33:57", "value": "43.1", "more": [{}]},
                       {"value": true, "timestamp": "2015-03-06T14:34:12"}]"#;
        assert_eq!(read(body), Ok(vec![(1_425_652_437, 43.1), (1_425_652_452, 1.0)]));
        assert_eq!(read(r#"[{"timestamp": "-10s", "value": -Infinity}]"#), Ok(vec![(90, f64::NEG_INFINITY)]));
        assert!(read(r#"[{"timestamp": 5, "value": "nan"}]"#).unwrap()[0].1.is_nan());
        assert_eq!(read(r#"[{"timestamp": 1, "timestamp": 2, "value": 3}]"#), Ok(vec![(2, 3.0)]));
        assert_eq!(read("[]"), Ok(vec![]));
    }

    #[test]
    fn problems() {
        let format = Err("unexpected measures format".to_owned());
        for body in [
            "{}",
            "1",
            "\"x\"",
            "[[1, 2]]",
            "[1]",
            r#"[{"value": 1}]"#,
            r#"[{"timestamp": null, "value": 1}]"#,
            r#"[{"timestamp": [], "value": 1}]"#,
            r#"[{"timestamp": "soon", "value": 1}, 3]"#,
        ] {
            assert_eq!(read(body), format, "{body}");
        }
        let value = Err("unexpected measures value".to_owned());
        for body in [
            r#"[{"timestamp": 1, "value": "x"}]"#,
            r#"[{"timestamp": 1}]"#,
            r#"[{"timestamp": 1, "value": []}]"#,
        ] {
            assert_eq!(read(body), value, "{body}");
        }
        let mixed = r#"[{"timestamp": 1, "value": "x"}, {"timestamp": "-1s", "value": 1}]"#;
        assert_eq!(read(mixed), Err("unexpected timestamp 'Unable to convert timestamps'".to_owned()));
        let early = r#"[{"timestamp": "1915-01-01", "value": 1}]"#;
        assert_eq!(read(early), Err("unexpected timestamp 'Timestamp must be after Epoch'".to_owned()));
        assert!(
            read(r#"[{"timestamp": null}, "#).unwrap_err().contains("ends inside"),
            "bad JSON counts more"
        );
    }
}
