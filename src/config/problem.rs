//! What is wrong with a configuration, in words that name the key and the line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; `None` if it is about a default or about the whole file.
    pub line: Option<usize>,
    /// Dotted name; empty if it is about the whole file.
    pub key: String,
    /// A sentence.
    pub what: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Problem { line: None, key: key.into(), what: what.into() }
    }

    pub(super) fn whole(what: String) -> Self {
        Problem::new("", what)
    }

    /// The same, with the line on which its key stands.
    pub(super) fn at(self, lines: &BTreeMap<String, usize>) -> Self {
        Problem { line: lines.get(&self.key).copied(), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything that is wrong with a file.
#[derive(Debug)]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
