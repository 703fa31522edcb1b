//! From text to [`Config`], key by key, so that one bad value does not hide the next.
//!
//! The serialized default is the list of known keys. Each value is deserialized alone, inside an otherwise default
//! tree, and its error, if any, is put down to its line.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, Error};
use toml::{Spanned, Table, Value};

use super::problem::Problem;
use super::tree::Config;

/// What could be read, and what could not.
pub(super) struct Read {
    /// The defaults, with every value that is fine.
    pub(super) config: Config,
    /// Line of each key in the file, sections included.
    pub(super) lines: BTreeMap<String, usize>,
    /// Unknown keys and values that do not parse.
    pub(super) problems: Vec<Problem>,
}

/// Reads what can be read.
///
/// # Errors
/// The text is not TOML.
pub(super) fn read(text: &str) -> Result<Read, Vec<Problem>> {
    let (spanned, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax_problem(text, error)).collect());
    }
    let mut lines = BTreeMap::new();
    note_lines(text, spanned.get_ref(), "", &mut lines);
    let values: Table = text.parse().map_err(|error| vec![syntax_problem(text, &error)])?;
    let mut reader = Reader { accepted: Table::new(), problems: Vec::new() };
    reader.walk(&[], &values, &known_keys());
    let problems = reader.problems.into_iter().map(|problem| problem.at(&lines)).collect();
    let config = Config::deserialize(reader.accepted).expect("every value was accepted alone");
    Ok(Read { config, lines, problems })
}

/// Every key with its default.
pub(super) fn known_keys() -> Table {
    table_of(&Config::default())
}

/// A configuration as a tree of values.
pub(super) fn table_of(config: &Config) -> Table {
    Table::try_from(config).expect("a configuration is a table")
}

/// The dotted name of `key` in a section.
pub(super) fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
}

fn syntax_problem(text: &str, error: &Error) -> Problem {
    let line = error.span().map(|span| line_at(text, span.start.min(text.len())));
    Problem { line, ..Problem::whole(error.message().to_owned()) }
}

fn note_lines(text: &str, table: &DeTable<'_>, section: &str, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table.iter() {
        let name = dotted(section, key.get_ref());
        lines.insert(name.clone(), line_at(text, key.span().start));
        if let DeValue::Table(inner) = Spanned::get_ref(value) {
            note_lines(text, inner, &name, lines);
        }
    }
}

struct Reader {
    accepted: Table,
    problems: Vec<Problem>,
}

impl Reader {
    fn walk(&mut self, section: &[&str], values: &Table, known: &Table) {
        for (key, value) in values {
            let path: Vec<&str> = section.iter().copied().chain([key.as_str()]).collect();
            match (known.get(key), value) {
                (None, _) => self.problems.push(unknown(&path, known)),
                (Some(Value::Table(known)), Value::Table(values)) => self.walk(&path, values, known),
                (Some(_), _) => self.take(&path, value),
            }
        }
    }

    /// Deserializes one value in its place, and keeps it if that works.
    fn take(&mut self, path: &[&str], value: &Value) {
        let mut alone = Table::new();
        put(&mut alone, path, value);
        match Config::deserialize(alone) {
            Ok(_) => put(&mut self.accepted, path, value),
            Err(error) => self.problems.push(Problem::new(path.join("."), error.message())),
        }
    }
}

fn put(table: &mut Table, path: &[&str], value: &Value) {
    let [section @ .., key] = path else { return };
    let inner = section.iter().fold(table, |table, name| {
        let entry = table.entry(*name).or_insert_with(|| Value::Table(Table::new()));
        entry.as_table_mut().expect("a section holds keys, never a value")
    });
    inner.insert((*key).to_owned(), value.clone());
}

fn unknown(path: &[&str], known: &Table) -> Problem {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    Problem::new(path.join("."), format!("unknown key; known here: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problems(text: &str) -> Vec<String> {
        let problems = match read(text) {
            Ok(read) => read.problems,
            Err(problems) => problems,
        };
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn good_values_beside_bad_ones_are_kept() {
        let read = read("[http]\nmax_limit = 5\nbody_limit = \"big\"").unwrap();
        assert_eq!(read.config.http.max_limit, 5);
        assert_eq!(read.problems.len(), 1);
        assert_eq!(read.problems[0].line, Some(3));
    }

    #[test]
    fn an_unknown_key_names_the_known_ones() {
        let found = problems("[log]\nlevl = \"info\"");
        assert_eq!(found, ["line 2: log.levl: unknown key; known here: format, level"]);
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let found = problems("[statsd]\nprofile = \"fast\"");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`native`") && found[0].contains("`gnocchi`"), "{found:?}");
    }

    #[test]
    fn a_section_is_no_value_and_a_value_no_section() {
        assert_eq!(problems("http = 3").len(), 1);
        assert_eq!(problems("[http.listen]\nport = 1").len(), 1);
    }

    #[test]
    fn broken_toml_has_a_line() {
        let found = problems("[http]\nlisten = = 3\n");
        assert!(!found.is_empty() && found[0].starts_with("line 2: "), "{found:?}");
    }
}
