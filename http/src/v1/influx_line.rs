//! The line protocol of InfluxDB 1: `measurement,tag=value field=1,other=2i 1510581804179554816`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use orzo_model::Timestamp;

use crate::number::{Plain, plain};

/// A line that has something to say. Text that needs no unescaping is that of the body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// Measurement and tags as written.
    pub(super) head: &'a str,
    pub(super) measurement: Cow<'a, str>,
    /// By name; the last of equal ones.
    pub(super) tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    pub(super) fields: Fields<'a>,
    /// `None`: now.
    pub(super) at: Option<Timestamp>,
}

/// Only numbers: texts and truths are read and dropped. No name is there twice.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, f64)>;

/// A line is no line of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Line<'_> {
    /// The name of the metric of a field: `measurement.field@tag=value,…`, without `/`.
    pub(super) fn metric_name(&self, field: &str) -> String {
        tagged([&*self.measurement, ".", field].concat(), &self.tags)
    }
}

/// A name with tags behind it: `name@tag=value,…`, without `/`.
pub(super) fn tagged<T: AsRef<str>>(mut name: String, tags: &BTreeMap<T, T>) -> String {
    for (index, (tag, value)) in tags.iter().enumerate() {
        name.push(if index == 0 { '@' } else { ',' });
        name.push_str(tag.as_ref());
        name.push('=');
        name.push_str(value.as_ref());
    }
    if name.contains('/') { name.replace('/', "_") } else { name }
}

/// Times at the ends of lines. Those of neighbours are mostly the same text, which is then read once.
#[derive(Debug)]
pub(super) struct Times<'a> {
    unit_ns: u64,
    last: Option<(&'a str, Timestamp)>,
}

impl<'a> Times<'a> {
    /// Of times in units of so many nanoseconds.
    pub(super) fn new(unit_ns: u64) -> Self {
        Times { unit_ns, last: None }
    }

    /// Units since the epoch.
    fn read(&mut self, text: &'a str) -> Result<Timestamp, Malformed> {
        if let Some((_, at)) = self.last.filter(|(last, _)| *last == text) {
            return Ok(at);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed);
        }
        let ns = text.parse::<u64>().ok().and_then(|units| units.checked_mul(self.unit_ns));
        let at = ns.and_then(Timestamp::from_ns).ok_or(Malformed)?;
        self.last = Some((text, at));
        Ok(at)
    }
}

/// Reads one line; `None` for blank ones and comments.
pub(super) fn read_line<'a>(text: &'a str, times: &mut Times<'a>) -> Result<Option<Line<'a>>, Malformed> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let mut cursor = Cursor(text);
    let measurement = cursor.name()?;
    let mut tags = BTreeMap::new();
    while cursor.take(',') {
        let tag = cursor.name()?;
        cursor.expect('=')?;
        tags.insert(tag, cursor.name()?);
    }
    let head = &text[..text.len() - cursor.0.len()];
    let mut fields = Vec::new();
    let at = cursor.tail(times, &mut fields)?;
    Ok(Some(Line { head, measurement, tags, fields, at }))
}

/// A line as its head and what follows, if the first blank divides them, as it does in all lines whose heads need
/// neither quotes nor backslashes. Of other lines what follows may be nonsense, and the head is that of no line.
pub(super) fn split_line(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    Some(text.split_at(memchr::memchr(b' ', text.as_bytes())?))
}

/// Reads what follows a head into `fields`, which are emptied before.
pub(super) fn read_tail<'a>(
    text: &'a str,
    times: &mut Times<'a>,
    fields: &mut Fields<'a>,
) -> Result<Option<Timestamp>, Malformed> {
    fields.clear();
    Cursor(text).tail(times, fields)
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), Malformed> {
        if self.take(c) { Ok(()) } else { Err(Malformed) }
    }

    /// What follows the head.
    fn tail(
        &mut self,
        times: &mut Times<'a>,
        fields: &mut Fields<'a>,
    ) -> Result<Option<Timestamp>, Malformed> {
        self.blanks()?;
        loop {
            let field = self.name()?;
            self.expect('=')?;
            let before = fields.iter().position(|(name, _)| *name == field);
            match (self.value()?, before) {
                (Some(number), Some(at)) => fields[at].1 = number,
                (Some(number), None) => fields.push((field, number)),
                (None, Some(at)) => drop(fields.remove(at)),
                (None, None) => {}
            }
            if !self.take(',') {
                return self.timestamp(times);
            }
        }
    }

    /// At least one.
    fn blanks(&mut self) -> Result<(), Malformed> {
        self.expect(' ')?;
        self.0 = self.0.trim_start_matches(' ');
        Ok(())
    }

    /// A name or a tag's value: quoted, or up to the next blank, comma or `=`; a backslash before one of
    /// these takes it in, any other stands for itself.
    fn name(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let text = self.0;
        if text.starts_with('"') {
            return self.quoted().map(Cow::Owned);
        }
        let is_end = |byte: &u8| matches!(byte, b' ' | b',' | b'=' | b'\\');
        let end = text.as_bytes().iter().position(is_end).unwrap_or(text.len());
        if !text[end..].starts_with('\\') {
            self.0 = &text[end..];
            return if end == 0 { Err(Malformed) } else { Ok(text[..end].into()) };
        }
        self.escaped_name().map(Cow::Owned)
    }

    fn escaped_name(&mut self) -> Result<String, Malformed> {
        let mut out = String::new();
        let mut chars = self.0.char_indices();
        let mut end = self.0.len();
        while let Some((at, c)) = chars.next() {
            match c {
                ' ' | ',' | '=' => {
                    end = at;
                    break;
                }
                '\\' if self.0[at + 1..].starts_with([' ', ',', '=']) => {
                    out.extend(chars.next().map(|(_, escaped)| escaped));
                }
                other => out.push(other),
            }
        }
        self.0 = &self.0[end..];
        if out.is_empty() { Err(Malformed) } else { Ok(out) }
    }

    fn quoted(&mut self) -> Result<String, Malformed> {
        self.expect('"')?;
        let mut out = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(out);
                }
                '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
                other => out.push(other),
            }
        }
        Err(Malformed)
    }

    /// A number; `None` for a text or a truth.
    fn value(&mut self) -> Result<Option<f64>, Malformed> {
        if self.0.starts_with('"') {
            return self.quoted().map(|_| None);
        }
        if let Some(Plain { value, len }) = plain(self.0.as_bytes())
            && matches!(self.0.as_bytes().get(len), None | Some(b' ' | b','))
        {
            self.0 = &self.0[len..];
            return Ok(Some(value));
        }
        let end = self.0.find([' ', ',']).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        if matches!(text, "t" | "T" | "true" | "True" | "TRUE" | "f" | "F" | "false" | "False" | "FALSE") {
            return Ok(None);
        }
        let number = match text.strip_suffix(['i', 'u']) {
            Some(integer) if is_integer(integer) => integer,
            Some(_) => return Err(Malformed),
            None if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => text,
            None => return Err(Malformed),
        };
        number.parse().map(Some).map_err(|_| Malformed)
    }

    /// What the line ends with, if anything.
    fn timestamp(&mut self, times: &mut Times<'a>) -> Result<Option<Timestamp>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.blanks()?;
        let text = self.0.trim_end_matches(' ');
        if text.is_empty() { Ok(None) } else { times.read(text).map(Some) }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Lines that the reference refuses or cuts short, and what becomes of them here.
    fn of_our_own(line: &str) -> Option<Result<Option<usize>, Malformed>> {
        Some(match line {
            "m,host=h t=t 1" | "m,host=h t=true 1" => Ok(Some(0)),
            "m,host=h f=-3i 1" | "m,host=h f=1u 1" | "m,host=h f=.5 1" | "m,host=h  f=1 1" => Ok(Some(1)),
            "m,host=h f=1 1.5" | "m,host=h f=1 -5" => Err(Malformed),
            "# comment" => Ok(None),
            _ => return None,
        })
    }

    #[test]
    fn lines_follow_the_vectors() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/influx-lines.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 28);
        for case in cases {
            let text = case["line"].as_str().unwrap();
            let line = read_line(text, &mut Times::new(1));
            if let Some(expected) = of_our_own(text) {
                assert_eq!(line.map(|line| line.map(|line| line.fields.len())), expected, "{text}");
                continue;
            }
            if case["error"].as_str().is_some_and(|error| error.starts_with("Unable to parse")) {
                assert_eq!(line, Err(Malformed), "{text}");
                continue;
            }
            let mut line = line.unwrap().unwrap();
            assert_eq!(case["measurement"], *line.measurement, "{text}");
            assert_eq!(case["tags"], serde_json::json!(line.tags), "{text}");
            assert_eq!(case["t_ns"].as_u64(), line.at.map(Timestamp::ns), "{text}");
            assert_eq!(case["resource"].as_str(), line.tags.remove("host").as_deref(), "{text}");
            for (name, value) in case["metrics"].as_object().into_iter().flatten() {
                let field = line.fields.iter().find(|(field, _)| line.metric_name(field) == *name);
                assert_eq!(field.map(|(_, number)| *number), value.as_f64(), "{text}: {name}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[a-z0-9,= "\\./é-]{0,24}"#) {
            let _ = read_line(&text, &mut Times::new(1));
        }
    }
}
