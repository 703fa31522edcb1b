//! Writing JSON, in one pass and without a tree where the caller wants.

use super::Value;

/// Builds a text of JSON values.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    comma_due: bool,
}

impl Writer {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text.
    pub fn finish(self) -> String {
        self.out
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.item().push_str("null");
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, truth: bool) {
        self.item().push_str(if truth { "true" } else { "false" });
    }

    /// Writes an integer.
    pub fn int(&mut self, number: i128) {
        self.item().push_str(itoa::Buffer::new().format(number));
    }

    /// Writes a float: shortest form that reads back the same, with a fraction or exponent.
    pub fn float(&mut self, number: f64) {
        push_float(self.item(), number);
    }

    /// Writes an item that `push` appends as it stands.
    pub fn written(&mut self, push: impl FnOnce(&mut String)) {
        push(self.item());
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Writes a string.
    pub fn text(&mut self, text: &str) {
        push_quoted(self.item(), text);
    }

    /// Writes a string that `push` appends and that needs no escaping.
    pub fn plain_text(&mut self, push: impl FnOnce(&mut String)) {
        let out = self.item();
        out.push('"');
        push(out);
        out.push('"');
    }

    /// Writes a list of what `items` writes.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.nested('[', ']', items);
    }

    /// Writes an object; `entries` writes each [`Writer::key`] and its value.
    pub fn object(&mut self, entries: impl FnOnce(&mut Self)) {
        self.nested('{', '}', entries);
    }

    /// Writes the key of the value that comes next.
    pub fn key(&mut self, key: &str) -> &mut Self {
        push_quoted(self.item(), key);
        self.out.push_str(": ");
        self.comma_due = false;
        self
    }

    /// Writes a tree.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(truth) => self.bool(*truth),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => self.float(*number),
            Value::Text(text) => self.text(text),
            Value::List(values) => self.list(|list| values.iter().for_each(|value| list.value(value))),
            Value::Object(entries) => {
                self.object(|object| entries.iter().for_each(|(key, value)| object.key(key).value(value)));
            }
        }
    }

    /// The text, ready for the next item.
    #[inline]
    fn item(&mut self) -> &mut String {
        if self.comma_due {
            self.out.push_str(", ");
        }
        self.comma_due = true;
        &mut self.out
    }

    fn nested(&mut self, open: char, close: char, inner: impl FnOnce(&mut Self)) {
        self.item().push(open);
        self.comma_due = false;
        inner(self);
        self.out.push(close);
        self.comma_due = true;
    }
}

/// Appends a float as [`Writer::float`] does.
#[inline]
pub(crate) fn push_float(out: &mut String, number: f64) {
    let mut buffer = zmij::Buffer::new();
    out.push_str(if number.is_finite() {
        buffer.format_finite(number)
    } else if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    });
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    let is_plain = |byte: u8| (byte >= b' ') & (byte != b'"') & (byte != b'\\');
    // Nearly always; without a way out of the loop it takes many bytes at a time.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return out.push_str(text);
    }
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if is_plain(byte) {
            continue;
        }
        out.push_str(&text[from..at]);
        push_escape(out, byte);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

fn push_escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        _ => {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_have_a_blank() {
        let mut writer = Writer::new();
        writer.object(|o| {
            o.key("a").list(|l| {
                l.int(1);
                l.float(2.0);
                l.list(|_| {});
                l.object(|_| {});
                l.null();
            });
            o.key("b\"").bool(true);
        });
        assert_eq!(writer.finish(), r#"{"a": [1, 2.0, [], {}, null], "b\"": true}"#);
    }

    #[test]
    fn floats_keep_a_fraction_and_read_back() {
        let text = |number: f64| Value::Float(number).to_text();
        assert_eq!(text(300.0), "300.0");
        assert_eq!(text(0.5), "0.5");
        assert_eq!(text(-0.0), "-0.0");
        assert_eq!(text(f64::NAN), "NaN");
        assert_eq!(text(f64::NEG_INFINITY), "-Infinity");
        for number in [1e16, 1.5e300, 5e-324, 0.1 + 0.2, f64::MAX, 123_456_789.125] {
            assert_eq!(text(number).parse(), Ok(number));
            assert!(text(number).contains(['.', 'e']), "{}", text(number));
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            Value::from("a\u{1}\u{1f}\n\t\r\"\\é☃").to_text(),
            "\"a\\u0001\\u001f\\n\\t\\r\\\"\\\\é☃\""
        );
    }
}
