//! The string form of filters: `host like "web%" and (ended_at = null or ended_at > "2024-01-01")`.
//!
//! ```text
//! filter := or1 { "∨" or1 }         or1  := and2 { "or" and2 }
//! and2   := and1 { "∧" and1 }       and1 := unary { "and" unary }
//! unary  := "not" unary | "(" filter ")" | term operator term
//! term   := null | bool | uuid | identifier | number | quoted | "[" [ term { "," term } ] "]"
//! ```
//!
//! White space is optional everywhere, so `nota=1` is `not a=1`; alternatives of a term are tried in
//! this order and never reconsidered, so `nullable=1` is an error. Both are the reference's ways.

use serde_json::{Map, Number, Value};

/// Deepest nesting of parentheses, lists and `not`: far beyond what people write, far below what a
/// thread's stack bears.
const DEPTH_MAX: usize = 64;

/// Longest first where one starts another; `==` is none.
const OPERATORS: [&str; 17] =
    [">=", "<=", "!=", ">", "<", "=", "eq", "ne", "lt", "gt", "ge", "le", "in", "like", "≠", "≥", "≤"];

/// What joins filters, loosest first.
const JOINTS: [&str; 4] = ["∨", "or", "∧", "and"];

/// Why a text is no filter. The display form follows `Invalid filter: ` in the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Expected {expected} (at char {at})")]
pub struct FilterTextError {
    /// What could have stood there.
    pub expected: &'static str,
    /// Where, in characters from 0.
    pub at: usize,
}

/// Reads the string form into the JSON form, whose schema is not checked here.
pub fn parse_text(text: &str) -> Result<Value, FilterTextError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let filter = parser.joined(&JOINTS)?;
    parser.skip_space();
    if parser.at < text.len() { Err(parser.expected("end of text")) } else { Ok(filter) }
}

type Parsed<T> = Result<T, FilterTextError>;

struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A chain of filters joined by the first of `joints`, of chains joined by the others.
    fn joined(&mut self, joints: &[&'static str]) -> Parsed<Value> {
        let Some((joint, tighter)) = joints.split_first() else { return self.nested(Self::unary) };
        let mut parts = vec![self.joined(tighter)?];
        while self.take(joint) {
            parts.push(self.joined(tighter)?);
        }
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(entry(joint, Value::Array(parts))),
        }
    }

    fn unary(&mut self) -> Parsed<Value> {
        let start = self.at;
        if self.take("not") {
            match self.nested(Self::unary) {
                Ok(filter) => return Ok(entry("not", filter)),
                // An attribute may be called `not`, or start so.
                Err(error) => {
                    self.at = start;
                    return self.comparison().map_err(|_| error);
                }
            }
        }
        if self.take("(") {
            let filter = self.joined(&JOINTS)?;
            return if self.take(")") { Ok(filter) } else { Err(self.expected("')'")) };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Value> {
        let start = self.at;
        let Value::String(attribute) = self.term()? else {
            self.at = start;
            return Err(self.expected("an attribute"));
        };
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.take(operator)) else {
            return Err(self.expected("an operator"));
        };
        let operand = self.term()?;
        Ok(entry(operator, entry(&attribute, operand)))
    }

    fn term(&mut self) -> Parsed<Value> {
        let constant = |word: &str| match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            _ => Value::Null,
        };
        let words = ["null", "None", "none", "true", "True", "false", "False"];
        if let Some(word) = words.into_iter().find(|word| self.take(word)) {
            return Ok(constant(word));
        }
        if let Some(text) = self.uuid().or_else(|| self.identifier()) {
            return Ok(Value::String(text.to_owned()));
        }
        if let Some(digits) = self.number() {
            return self.float(digits);
        }
        if let Some(text) = self.quoted() {
            return Ok(Value::String(text.to_owned()));
        }
        if self.take("[") { self.nested(Self::list_end) } else { Err(self.expected("a value")) }
    }

    /// What follows the opening bracket.
    fn list_end(&mut self) -> Parsed<Value> {
        let mut members = Vec::new();
        if self.take("]") {
            return Ok(Value::Array(members));
        }
        loop {
            members.push(self.term()?);
            if self.take("]") {
                return Ok(Value::Array(members));
            }
            if !self.take(",") {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    /// 8-4-4-4-12 hexadecimal digits; each hyphen may be missing.
    fn uuid(&mut self) -> Option<&'a str> {
        let bytes = self.rest().as_bytes();
        let mut end = 0;
        for (group, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            end += usize::from(group > 0 && bytes.get(end) == Some(&b'-'));
            let found = bytes.get(end..end + digits)?;
            if !found.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            end += digits;
        }
        Some(self.advance(end))
    }

    fn identifier(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(self.advance(end))
    }

    /// `[+-]digits[.digits][e±digits]`
    fn number(&mut self) -> Option<&'a str> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = |from: usize| usize::from(matches!(bytes.get(from), Some(b'+' | b'-')));
        let whole = sign(0);
        let mut end = whole + digits(whole);
        if end == whole {
            return None;
        }
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let exponent = end + 1 + sign(end + 1);
            if digits(exponent) > 0 {
                end = exponent + digits(exponent);
            }
        }
        Some(self.advance(end))
    }

    fn float(&self, digits: &str) -> Parsed<Value> {
        let number = digits.parse().ok().and_then(Number::from_f64);
        number.map(Value::Number).ok_or_else(|| self.expected("a number of double precision"))
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let end = 1 + rest[1..].find([quote, '\n', '\r'])?;
        if !rest[end..].starts_with(quote) {
            return None;
        }
        let quoted = self.advance(end + 1);
        Some(&quoted[1..end])
    }

    fn take(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal);
        if found {
            self.advance(literal.len());
        }
        found
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        taken
    }

    /// What is left, without leading white space.
    fn rest(&mut self) -> &'a str {
        self.skip_space();
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        if self.depth == DEPTH_MAX {
            return Err(self.expected("less nesting"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expected(&self, expected: &'static str) -> FilterTextError {
        FilterTextError { expected, at: self.text[..self.at].chars().count() }
    }
}

fn entry(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, json: &str) {
        let expected: Value = serde_json::from_str(json).unwrap();
        assert_eq!(parse_text(text), Ok(expected), "{text}");
    }

    #[test]
    fn terms() {
        check(
            "foo=7EED6CC3-EDC8-48C9-8EF6-8A36B9ACC91C",
            r#"{"=": {"foo": "7EED6CC3-EDC8-48C9-8EF6-8A36B9ACC91C"}}"#,
        );
        check(
            "foo=7EED6CC3EDC848C98EF68A36B9ACC91C",
            r#"{"=": {"foo": "7EED6CC3EDC848C98EF68A36B9ACC91C"}}"#,
        );
        check("foo=bar", r#"{"=": {"foo": "bar"}}"#);
        check("foo!=1", r#"{"!=": {"foo": 1.0}}"#);
        check("foo > -1.5e+3", r#"{">": {"foo": -1500.0}}"#);
        check("foo = True", r#"{"=": {"foo": true}}"#);
        check("foo = none", r#"{"=": {"foo": null}}"#);
        check(r#"foo="quote's""#, r#"{"=": {"foo": "quote's"}}"#);
        check(r"foo=''", r#"{"=": {"foo": ""}}"#);
        check(r#""new-attr" = 3"#, r#"{"=": {"new-attr": 3.0}}"#);
        check("id in [u1, u2]", r#"{"in": {"id": ["u1", "u2"]}}"#);
        check("foo in []", r#"{"in": {"foo": []}}"#);
        check("foo=[1,[null,'é']]", r#"{"=": {"foo": [1.0, [null, "é"]]}}"#);
    }

    #[test]
    fn operators() {
        for operator in OPERATORS {
            check(&format!("foo {operator} 'x'"), &format!(r#"{{"{operator}": {{"foo": "x"}}}}"#));
        }
        check("a<=1", r#"{"<=": {"a": 1.0}}"#);
        check("nota=1", r#"{"not": {"=": {"a": 1.0}}}"#);
        check("not = 1", r#"{"=": {"not": 1.0}}"#);
        check("not_x = 1", r#"{"=": {"not_x": 1.0}}"#);
        check("not not a=1", r#"{"not": {"not": {"=": {"a": 1.0}}}}"#);
    }

    #[test]
    fn binding_strength() {
        let leaf = |name: char| format!(r#"{{"=": {{"{name}": 1.0}}}}"#);
        let [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(leaf);
        check("a=1 or b=1 and c=1", &format!(r#"{{"or": [{a}, {{"and": [{b}, {c}]}}]}}"#));
        check("a=1 and b=1 or c=1", &format!(r#"{{"or": [{{"and": [{a}, {b}]}}, {c}]}}"#));
        check("(a=1 or b=1) and c=1", &format!(r#"{{"and": [{{"or": [{a}, {b}]}}, {c}]}}"#));
        check("a=1 and b=1 and c=1", &format!(r#"{{"and": [{a}, {b}, {c}]}}"#));
        check("not a=1 and b=1", &format!(r#"{{"and": [{{"not": {a}}}, {b}]}}"#));
        check("not (a=1 and b=1)", &format!(r#"{{"not": {{"and": [{a}, {b}]}}}}"#));
        check(
            "a=1 ∨ b=1 or c=1 ∧ d=1 and e=1",
            &format!(r#"{{"∨": [{a}, {{"or": [{b}, {{"∧": [{c}, {{"and": [{d}, {e}]}}]}}]}}]}}"#),
        );
    }

    #[test]
    fn errors_start_with_expected() {
        for text in [
            "",
            "id == foobar",
            "nullable = 1",
            "Trueish = 1",
            "foo = nullable",
            "foo",
            "foo =",
            "foo = 1 bar",
            "foo = 1 and",
            "(foo = 1",
            "foo = \"a",
            "foo = \"a\nb\"",
            "foo in [a, ]",
            "foo in [a b]",
            "1 = 1",
            "[a] = 1",
            "é = 1",
            "foo = 1e999",
            "foo = 2024-01-01",
            "FOO AND BAR",
        ] {
            let error = parse_text(text).expect_err(text).to_string();
            assert!(error.starts_with("Expected "), "{text}: {error}");
        }
        assert_eq!(parse_text("é"), Err(FilterTextError { expected: "a value", at: 0 }));
        assert_eq!(parse_text("a = 'é' x"), Err(FilterTextError { expected: "end of text", at: 8 }));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse_text(&deep(DEPTH_MAX - 1)).is_ok());
        assert!(parse_text(&deep(100_000)).is_err());
        assert!(parse_text(&("not ".repeat(100_000) + "a=1")).is_err());
        assert!(parse_text(&("a in ".to_owned() + &"[".repeat(100_000))).is_err());
    }
}
