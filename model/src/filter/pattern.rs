//! Patterns over whole texts: SQL's `like` and the shell's globs.

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Token {
    /// This character.
    Char(char),
    /// Any character.
    One,
    /// Any run of characters.
    Run,
    /// A character in (or, if negated, not in) these ranges.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Token::Char(own) => *own == c,
            Token::One => true,
            Token::Run => false,
            Token::Set { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

/// Whether the tokens match the whole text. Only the last run met is ever widened, which is enough
/// and keeps the cost at tokens × characters.
fn matches(tokens: &[Token], text: &str) -> bool {
    let mut rest = text.chars();
    let mut next = 0;
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        if tokens.get(next) == Some(&Token::Run) {
            next += 1;
            retry = Some((next, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        match (tokens.get(next), ahead.next()) {
            (None, None) => return true,
            (Some(token), Some(c)) if token.accepts(c) => {
                next += 1;
                rest = ahead;
            }
            (_, None) => return false,
            _ => match &mut retry {
                None => return false,
                Some((after_run, from)) => {
                    from.next();
                    next = *after_run;
                    rest = from.clone();
                }
            },
        }
    }
}

/// A pattern of SQL's `like`: `%` any run, `_` one character, `\` takes the next one as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Like {
    source: String,
    tokens: Vec<Token>,
}

impl Like {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '%' => Token::Run,
                '_' => Token::One,
                '\\' => Token::Char(chars.next().unwrap_or('\\')),
                other => Token::Char(other),
            });
        }
        Like { source: pattern.to_owned(), tokens }
    }

    /// The pattern that matches exactly `text`; with [`Like::new`], lets literal parts be joined to others.
    pub fn escape(text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if matches!(c, '%' | '_' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        escaped
    }

    /// The texts that start with `text`.
    pub fn starts_with(text: &str) -> Self {
        Like::new(&(Like::escape(text) + "%"))
    }

    /// The texts that end with `text`.
    pub fn ends_with(text: &str) -> Self {
        Like::new(&("%".to_owned() + &Like::escape(text)))
    }

    /// The pattern as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches the whole text; case counts.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.tokens, text)
    }

    /// The longest literal text between its wildcards.
    pub fn longest_literal(&self) -> String {
        let runs = self.tokens.split(|token| !matches!(token, Token::Char(_)));
        let text = |run: &[Token]| -> String {
            run.iter().filter_map(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect()
        };
        runs.map(text).max_by_key(String::len).unwrap_or_default()
    }

    /// The literal text after its last wildcard.
    pub fn literal_end(&self) -> String {
        let literal = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
        let reversed: String = self.tokens.iter().rev().map_while(literal).collect();
        reversed.chars().rev().collect()
    }
}

/// A shell pattern: `*` any run, `?` one character, `[seq]` and `[!seq]` sets with ranges. An opening
/// bracket without a closing one is itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let chars: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            let token = match chars[at] {
                '*' => Token::Run,
                '?' => Token::One,
                '[' => match set_end(&chars, at) {
                    Some(end) => {
                        let token = set(&chars[at + 1..end]);
                        at = end;
                        token
                    }
                    None => Token::Char('['),
                },
                other => Token::Char(other),
            };
            tokens.push(token);
            at += 1;
        }
        Glob { tokens }
    }

    /// Whether it matches the whole text; case counts.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.tokens, text)
    }
}

/// Where the set that opens at `open` closes. A bracket that comes first in it is a member.
fn set_end(chars: &[char], open: usize) -> Option<usize> {
    let negated = usize::from(chars.get(open + 1) == Some(&'!'));
    let first = open + 1 + negated;
    let member = usize::from(chars.get(first) == Some(&']'));
    (first + member..chars.len()).find(|at| chars[*at] == ']')
}

fn set(body: &[char]) -> Token {
    let (negated, mut members) = match body {
        ['!', members @ ..] => (true, members),
        members => (false, members),
    };
    let mut ranges = Vec::new();
    loop {
        match members {
            [from, '-', to, rest @ ..] => {
                ranges.push((*from, *to));
                members = rest;
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                members = rest;
            }
            [] => return Token::Set { negated, ranges },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_reads_wildcards_and_escapes() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%", "a", true),
            ("a%", "ba", false),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("_", "é", true),
            ("A", "a", false),
            (r"a\%", "a%", true),
            (r"a\%", "ab", false),
            (r"a\\b", r"a\b", true),
            (r"a\", r"a\", true),
            ("%ab%ab", "abxab", true),
            ("%ab_%", "aab", false),
            ("a%a%a%a%a%a%a%b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Like::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn like_knows_its_ends() {
        assert!(Like::starts_with("a%").matches("a%b") && !Like::starts_with("a%").matches("ab"));
        assert!(Like::ends_with(":_").matches("x:_") && !Like::ends_with(":_").matches("x:y"));
        assert_eq!(Like::ends_with(":p_").literal_end(), ":p_");
        assert_eq!(Like::new("a%").literal_end(), "");
        assert_eq!(Like::new(r"ab%c\_d_e").longest_literal(), "c_d");
        assert_eq!(Like::new("").longest_literal(), "");
    }

    #[test]
    fn globs_read_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("disk.*", "disk.io.read", true),
            ("disk.*", "disk", false),
            ("[ab]?x", "bcx", true),
            ("[ab]?x", "ccx", false),
            ("[!ab]", "c", true),
            ("[!ab]", "a", false),
            ("[a-c]", "b", true),
            ("[a-]", "-", true),
            ("[]a]", "]", true),
            ("[!]a]", "]", false),
            ("[a", "[a", true),
            ("a{b,c}", "ab", false),
            (r"a\*", r"a\b", true),
            ("?", "", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
