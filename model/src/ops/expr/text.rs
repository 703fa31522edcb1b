//! The string form of operations: nested parentheses, turned into the list form.
//!
//! Accepts what the reference's parser does: the first complete expression counts and what follows is
//! ignored; a quoted run is one atom that keeps its quotes; all other characters are ordinary.

use serde_json::Value;

use crate::ops::limits::OPERATION_DEPTH;

/// Lists of texts and lists; or where and why the text is none, in the words of the reference.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0, unclosed: [0; 2] };
    reader.skip_blanks();
    if !reader.take('(') {
        return Err(reader.expected("'('"));
    }
    let mut open: Vec<Vec<Value>> = Vec::new();
    let mut list: Vec<Value> = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.take('(') {
            if open.len() + 1 == OPERATION_DEPTH {
                return Err(format!("Nested more than {OPERATION_DEPTH} deep  (at char {})", reader.at));
            }
            open.push(std::mem::take(&mut list));
        } else if reader.take(')') {
            let done = Value::Array(list);
            let Some(outer) = open.pop() else { return Ok(done) };
            list = outer;
            list.push(done);
        } else if reader.rest().is_empty() {
            return Err(reader.expected("')'"));
        } else {
            list.push(Value::from(reader.atom()));
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Up to where no `"` (and no `'`) opens a quoted run, as nothing closes it on its line.
    unclosed: [usize; 2],
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches(is_blank).len();
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    /// A quoted run, or everything up to a blank, a parenthesis or the start of a quoted run.
    fn atom(&mut self) -> &'a str {
        let start = self.at;
        self.at = self.quoted_end(start).unwrap_or_else(|| {
            let rest = &self.text[start..];
            let ends = |&(at, c): &(usize, char)| {
                is_blank(c) || matches!(c, '(' | ')') || self.quoted_end(start + at).is_some()
            };
            rest.char_indices().find(ends).map_or(self.text.len(), |(at, _)| start + at)
        });
        &self.text[start..self.at]
    }

    /// Where the quoted run that starts at `start` ends, if one does. Linear over all calls: the escapes
    /// of an unclosed run hide the same quotes from a run that would start inside of it.
    fn quoted_end(&mut self, start: usize) -> Option<usize> {
        let kind = match self.text.as_bytes().get(start)? {
            b'"' => 0,
            b'\'' => 1,
            _ => return None,
        };
        if start < self.unclosed[kind] {
            return None;
        }
        let run = quoted(&self.text[start..]);
        if run.is_none() {
            let line = self.text[start..].find(['\n', '\r']);
            self.unclosed[kind] = line.map_or(self.text.len(), |len| start + len);
        }
        run.map(|len| start + len)
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.rest() {
            _ if self.text.is_empty() => String::new(),
            "" => ", found end of text".to_owned(),
            rest => format!(", found '{}'", first_word(rest)),
        };
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("Expected {what}{found}  (at char {}), (line:{line}, col:{column})", before.chars().count())
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn first_word(text: &str) -> &str {
    let len = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let first = text.chars().next().map_or(0, char::len_utf8);
    &text[..len.max(first)]
}

/// Length of the quoted run at the start of `text`, which is a quote: all on one line, where a backslash
/// escapes and a doubled quote stands for one.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut end = None;
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' | '\r' => break,
            '\\' => _ = chars.next(),
            _ if c == quote => {
                end = Some(at + 1);
                // A doubled quote goes on, unless nothing closes what follows.
                if chars.next_if(|(_, next)| *next == quote).is_none() {
                    break;
                }
            }
            _ => {}
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_nest() {
        assert_eq!(parse("(a (b c) d)").unwrap(), json!(["a", ["b", "c"], "d"]));
        assert_eq!(parse(" \t( +(metric a mean)2)").unwrap(), json!(["+", ["metric", "a", "mean"], "2"]));
        assert_eq!(parse("()").unwrap(), json!([]));
        assert_eq!(parse("((é))) x (").unwrap(), json!([["é"]]));
    }

    #[test]
    fn quoted_runs_are_atoms() {
        assert_eq!(parse(r#"(m "a (b" 'c d')"#).unwrap(), json!(["m", "\"a (b\"", "'c d'"]));
        assert_eq!(parse(r#"(a"b c"d)"#).unwrap(), json!(["a", "\"b c\"", "d"]));
        assert_eq!(parse(r#"("a""b" """ x)"#).unwrap(), json!(["\"a\"\"b\"", "\"\"", "\"", "x"]));
        assert_eq!(parse(r#"("a\" b" c")"#).unwrap(), json!(["\"a\\\" b\"", "c\""]));
        assert_eq!(parse("(it's x)").unwrap(), json!(["it's", "x"]));
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(parse("").unwrap_err(), "Expected '('  (at char 0), (line:1, col:1)");
        assert_eq!(
            parse("metric a").unwrap_err(),
            "Expected '(', found 'metric'  (at char 0), (line:1, col:1)"
        );
        assert_eq!(
            parse("(é\n(a)").unwrap_err(),
            "Expected ')', found end of text  (at char 6), (line:2, col:4)"
        );
        assert_eq!(parse("  )").unwrap_err(), "Expected '(', found ')'  (at char 2), (line:1, col:3)");
    }

    #[test]
    fn many_unclosed_quotes_take_linear_time() {
        let text = format!("(\"{}", "\\\"'".repeat(300_000));
        assert!(parse(&text).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| "(".repeat(depth) + &")".repeat(depth);
        assert!(parse(&nested(OPERATION_DEPTH)).is_ok());
        assert!(parse(&nested(OPERATION_DEPTH + 1)).unwrap_err().starts_with("Nested more than"));
    }
}
