//! Reading JSON: a pull reader over the bytes of a body.

use std::borrow::Cow;

use super::{Object, Value};
use crate::number::{Plain, plain};

/// How deep lists and objects may nest.
const DEPTH_MAX: u32 = 128;

/// Why a body is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing there. The wording is the reference's; clients see it.
    #[error("Expected object or value")]
    Empty,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    Encoding,
    /// Something else than the grammar wants.
    #[error("unexpected text at byte {0}")]
    Unexpected(usize),
    /// Ends too early.
    #[error("the body ends inside a value")]
    End,
    /// Nested deeper than anybody needs.
    #[error("lists and objects are nested deeper than {DEPTH_MAX}")]
    Depth,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, also `NaN` and the infinities.
    Number,
    /// A string.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Without fraction and exponent.
    Int(i128),
    /// Any other.
    Float(f64),
}

impl Number {
    /// As a float, the nearest one.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Int(integer) => integer as f64,
            Number::Float(float) => float,
        }
    }
}

type Result<T> = std::result::Result<T, ReadError>;

/// A pull reader. Each method takes the value that comes next and fails if it is of another kind.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// Starts before the first value.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(body).map_err(|_| ReadError::Encoding)?;
        let mut reader = Reader { text, at: 0, depth: 0 };
        match reader.next_byte() {
            None => Err(ReadError::Empty),
            Some(_) => Ok(reader),
        }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn finish(mut self) -> Result<()> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(ReadError::Unexpected(self.at)),
        }
    }

    /// What comes next, which stays where it is.
    pub(crate) fn kind(&mut self) -> Result<Kind> {
        match self.next_byte() {
            Some(b'"') => Ok(Kind::Text),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::List),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(ReadError::Unexpected(self.at)),
            None => Err(ReadError::End),
        }
    }

    /// Takes a `null`.
    pub(crate) fn null(&mut self) -> Result<()> {
        self.word("null")
    }

    /// Takes a `true` or `false`.
    pub(crate) fn bool(&mut self) -> Result<bool> {
        if self.next_byte() == Some(b't') {
            return self.word("true").map(|()| true);
        }
        self.word("false").map(|()| false)
    }

    /// Takes a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number> {
        match self.next_byte() {
            Some(b'N') => self.word("NaN").map(|()| Number::Float(f64::NAN)),
            Some(b'I') => self.word("Infinity").map(|()| Number::Float(f64::INFINITY)),
            Some(b'-') if self.text.as_bytes().get(self.at + 1) == Some(&b'I') => {
                self.word("-Infinity").map(|()| Number::Float(f64::NEG_INFINITY))
            }
            Some(_) => self.digits(),
            None => Err(ReadError::End),
        }
    }

    /// Takes a number as the nearest float.
    #[inline]
    pub(crate) fn float(&mut self) -> Result<f64> {
        match self.plain_number() {
            Some(number) => Ok(number),
            None => self.number().map(Number::as_f64),
        }
    }

    /// Takes a number, if its digits alone tell it, as they nearly always do.
    #[inline]
    pub(crate) fn plain_number(&mut self) -> Option<f64> {
        self.next_byte();
        let text = &self.text.as_bytes()[self.at..];
        let Plain { value, len } = plain(text)?;
        let has_zeros = matches!(text, [b'0', b'0'..=b'9', ..] | [b'-', b'0', b'0'..=b'9', ..]);
        if has_zeros || matches!(text.get(len), Some(b'e' | b'E')) {
            return None;
        }
        self.at += len;
        Some(value)
    }

    /// Takes a string, if it has no escapes.
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<&'a str> {
        self.next_byte();
        let quoted = self.text[self.at..].strip_prefix('"')?;
        let len = quoted.bytes().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let text = quoted[len..].starts_with('"').then(|| &quoted[..len])?;
        self.at += len + 2;
        Some(text)
    }

    /// Takes a text, if it is the next that is no blank.
    #[inline]
    pub(crate) fn take(&mut self, text: &str) -> bool {
        self.next_byte();
        let comes = self.text.as_bytes()[self.at..].starts_with(text.as_bytes());
        self.at += if comes { text.len() } else { 0 };
        comes
    }

    /// What `read` takes; if that is `None`, nothing.
    #[inline]
    pub(crate) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.at;
        let taken = read(self);
        if taken.is_none() {
            self.at = before;
        }
        taken
    }

    /// Takes a string; without escapes it is not copied.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(_) => self.at += 1,
                None => return Err(ReadError::End),
            }
        }
    }

    /// Takes a list; `each` must take exactly one value each time it is called.
    pub(crate) fn list(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(b'[')?;
        self.descend()?;
        if self.next_byte() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                each(self)?;
                if !self.comma_or(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Takes an object; `each` is called after each key and must take exactly one value.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{')?;
        self.descend()?;
        if self.next_byte() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let key = self.text()?;
                self.expect(b':')?;
                each(self, key)?;
                if !self.comma_or(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Takes a value of any kind as a tree.
    pub(crate) fn value(&mut self) -> Result<Value> {
        Ok(match self.kind()? {
            Kind::Null => self.null().map(|()| Value::Null)?,
            Kind::Bool => Value::Bool(self.bool()?),
            Kind::Text => Value::Text(self.text()?.into_owned()),
            Kind::Number => match self.number()? {
                Number::Int(integer) => Value::Int(integer),
                Number::Float(float) => Value::Float(float),
            },
            Kind::List => {
                let mut values = Vec::new();
                self.list(|reader| reader.value().map(|value| values.push(value)))?;
                Value::List(values)
            }
            Kind::Object => {
                let mut entries = Object::new();
                self.object(|reader, key| {
                    entries.insert(key.into_owned(), reader.value()?);
                    Ok(())
                })?;
                Value::Object(entries)
            }
        })
    }

    /// Takes a value of any kind and forgets it.
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.kind()? {
            Kind::Null => self.null(),
            Kind::Bool => self.bool().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Text => self.text().map(drop),
            Kind::List => self.list(Self::skip),
            Kind::Object => self.object(|reader, _| reader.skip()),
        }
    }

    /// The next byte that is no blank, which stays.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<()> {
        match self.next_byte() {
            Some(next) if next == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(ReadError::Unexpected(self.at)),
            None => Err(ReadError::End),
        }
    }

    /// Whether another item follows; else the container ends here.
    #[inline]
    fn comma_or(&mut self, end: u8) -> Result<bool> {
        match self.next_byte() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => self.expect(end).map(|()| false),
        }
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(ReadError::Depth) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(ReadError::Unexpected(self.at));
        }
        self.at += word.len();
        Ok(())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    #[inline]
    fn digits(&mut self) -> Result<Number> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek();
        let count = self.digit_run()?;
        if first == Some(b'0') && count > 1 {
            return Err(ReadError::Unexpected(start));
        }
        let mut is_int = true;
        if self.peek() == Some(b'.') {
            is_int = false;
            self.at += 1;
            self.digit_run()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_int = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digit_run()?;
        }
        let text = &self.text[start..self.at];
        // An integer of more digits than fit is a float.
        match text.parse() {
            Ok(integer) if is_int => Ok(Number::Int(integer)),
            _ => Ok(Number::Float(text.parse().expect("the grammar of JSON is a part of Rust's"))),
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// At least one digit.
    #[inline]
    fn digit_run(&mut self) -> Result<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(ReadError::Unexpected(self.at)) } else { Ok(self.at - start) }
    }

    /// The rest of a string that has an escape here; `start` is where it began.
    fn escaped(&mut self, start: usize) -> Result<String> {
        let mut out = self.text[start..self.at].to_owned();
        loop {
            match self.peek().ok_or(ReadError::End)? {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => {
                    let from = self.at;
                    while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\') {
                        self.at += 1;
                    }
                    out.push_str(&self.text[from..self.at]);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let byte = self.peek().ok_or(ReadError::End)?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(ReadError::Unexpected(self.at - 1)),
        })
    }

    /// What follows `\u`. A lone surrogate stands for no character and is refused.
    fn unicode_escape(&mut self) -> Result<char> {
        let start = self.at;
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.word("\\u").map_err(|_| ReadError::Unexpected(start))?;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(ReadError::Unexpected(start));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or(ReadError::Unexpected(start))
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(ReadError::End)?;
        let mut code = 0;
        for digit in digits {
            let value = char::from(*digit).to_digit(16).ok_or(ReadError::Unexpected(self.at))?;
            code = code * 16 + value;
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Value> {
        Value::parse(text.as_bytes())
    }

    #[test]
    fn numbers_that_json_does_not_know() {
        assert_eq!(parse("-Infinity"), Ok(Value::Float(f64::NEG_INFINITY)));
        assert_eq!(parse(" [Infinity] "), Ok(Value::List(vec![Value::Float(f64::INFINITY)])));
        assert!(matches!(parse("NaN"), Ok(Value::Float(nan)) if nan.is_nan()));
        assert_eq!(parse("\"NaN\""), Ok(Value::from("NaN")));
        assert!(parse("-NaN").is_err());
    }

    #[test]
    fn integers_and_floats_stay_apart() {
        assert_eq!(parse("1"), Ok(Value::Int(1)));
        assert_eq!(parse("-0"), Ok(Value::Int(0)));
        assert_eq!(parse("1.0"), Ok(Value::Float(1.0)));
        assert_eq!(parse("1e3"), Ok(Value::Float(1000.0)));
        assert_eq!(parse("18446744073709551616"), Ok(Value::Int(1 << 64)));
        assert_eq!(parse(&"9".repeat(50)), Ok(Value::Float(1e50)));
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let value = parse(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        assert_eq!(value, Value::object([("a", Value::Int(3)), ("b", Value::Int(2))]));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(parse(""), Err(ReadError::Empty));
        assert_eq!(parse(" \n"), Err(ReadError::Empty));
        assert_eq!(Value::parse(b"\"\xff\""), Err(ReadError::Encoding));
        assert_eq!(parse(&"[".repeat(200)), Err(ReadError::Depth));
        assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
        for bad in [
            "{",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "tru",
            "1 1",
            "{a: 1}",
            "'a'",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u12\"",
            "\"\\u00é\"",
            "--1",
            "-",
            "\"a",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(
            parse(r#""a\"\\\/\b\f\n\r\té☃\ud83d\ude00""#),
            Ok(Value::from("a\"\\/\u{8}\u{c}\n\r\té☃😀"))
        );
        assert_eq!(parse("\"é☃ \\n☃\""), Ok(Value::from("é☃ \n☃")));
    }

    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_a_json_library_writes(document in documents()) {
            let expected = Value::from(&document);
            prop_assert_eq!(parse(&document.to_string()), Ok(expected.clone()));
            prop_assert_eq!(parse(&serde_json::to_string_pretty(&document).unwrap()), Ok(expected));
        }

        #[test]
        fn a_json_library_reads_what_is_written(document in documents()) {
            let text = Value::from(&document).to_text();
            let back: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back, document);
        }

        #[test]
        fn trees_of_both_libraries_are_alike(document in documents()) {
            prop_assert_eq!(serde_json::Value::from(&Value::from(&document)), document);
        }

        #[test]
        fn accepts_nothing_that_a_json_library_refuses(text in r#"[\[\]{}",:0-9a-z.+\\ -]{0,12}"#) {
            if serde_json::from_str::<serde_json::Value>(&text).is_err() {
                prop_assert!(parse(&text).is_err(), "{}", text);
            }
        }
    }
}
