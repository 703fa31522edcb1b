//! The query of a URL: an ordered list of names and texts, in which a name may come again.

use std::fmt::Write;

use crate::error::{ApiError, Outcome};

/// A decoded query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// A parameter that may come once came again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

impl Query {
    /// Reads the form encoding; `None` if what it encodes is not UTF-8.
    pub(crate) fn parse(text: &str) -> Option<Query> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode_form(name)?, decode_form(value)?))
        });
        Some(Query { pairs: pairs.collect::<Option<_>>()? })
    }

    /// All pairs, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Everything a name was given; an empty text given alone is nothing.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let values: Vec<_> = self.pairs().filter(|(own, _)| *own == name).map(|(_, value)| value).collect();
        if values == [""] { Vec::new() } else { values }
    }

    /// What a name was given, at most once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.pairs().filter(|(own, _)| *own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// A truth, `default` if absent.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Outcome<bool> {
        let value = match self.one(name) {
            Ok(None) => return Ok(default),
            Ok(Some(value)) => value.trim().to_ascii_lowercase(),
            Err(Repeated) => "a list".to_owned(),
        };
        match value.as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
            _ => Err(ApiError::bad(format!(
                "Unable to parse `{name}': Unrecognized value '{value}', acceptable values are: \
                 '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
            ))),
        }
    }
}

/// Decodes percent signs, and `+` as a blank.
fn decode_form(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

/// Encodes one name or text of a query: a blank as `+`, all but letters, digits and `_.-~` in percent.
pub(crate) fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if is_unreserved(byte) => out.push(char::from(byte)),
            byte => push_percent(out, byte),
        }
    }
}

/// Encodes a path: all but letters, digits, `_.-~` and `/` in percent.
pub(crate) fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if is_unreserved(byte) || byte == b'/' {
            out.push(char::from(byte));
        } else {
            push_percent(&mut out, byte);
        }
    }
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~')
}

fn push_percent(out: &mut String, byte: u8) {
    write!(out, "%{byte:02X}").expect("writing to a string succeeds");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_come_again() {
        let query = Query::parse("a=1&b=x+y%2B&a=%C3%A9&&c&d=").unwrap();
        assert_eq!(query.all("a"), ["1", "é"]);
        assert_eq!(query.one("a"), Err(Repeated));
        assert_eq!(query.one("b"), Ok(Some("x y+")));
        assert_eq!(query.one("c"), Ok(Some("")));
        assert_eq!(query.one("z"), Ok(None));
        assert!(query.all("d").is_empty());
        assert!(Query::parse("a=%ff").is_none());
    }

    #[test]
    fn truths() {
        let query = Query::parse("a=True&b=OFF&c=maybe&d=1&d=1&e=").unwrap();
        assert!(query.flag("a", false).unwrap());
        assert!(!query.flag("b", true).unwrap());
        assert!(query.flag("z", true).unwrap());
        for bad in ["c", "d", "e"] {
            assert!(query.flag(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn encoding() {
        let mut out = String::new();
        push_encoded(&mut out, "id:asc@1 é/~");
        assert_eq!(out, "id%3Aasc%401+%C3%A9%2F~");
        assert_eq!(encode_path("/v1/metric/a b:✔"), "/v1/metric/a%20b%3A%E2%9C%94");
    }
}
