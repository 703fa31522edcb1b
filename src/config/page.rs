//! Keeps `docs/config.md` true: the page is made of the doc comments of the structs, and this test fails when the two
//! differ, or when a comment states another default or other bounds than the code has.
//!
//! `ORZO_WRITE_DOCS=1 cargo test --release --workspace config` writes the page.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::check::bounds;
use super::read::{dotted, known_keys};
use super::tree::Config;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
const SOURCES: [&str; 2] = [include_str!("tree.rs"), include_str!("statsd.rs")];

const HEAD: &str = "\
# Configuration

`orzo serve --config FILE` reads one TOML file; without one, the defaults below are in force. Unknown keys are refused,
and all problems are reported together. `orzo config check` only looks, `orzo config print` shows the effective values
and where each came from.

Durations are texts such as `\"500ms\"`, `\"10s\"`, `\"1h 30m\"`; sizes are texts such as `\"64 KiB\"` or a number of bytes;
`\"auto\"` (or 0) leaves a value to the machine.

This page is made of the comments in `src/config` and compared with them by a test.
";

/// One field of a struct, as its comment describes it.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    kind: String,
    comment: String,
}

/// Fields by struct, out of the source text: only what rustfmt leaves on a line of its own.
fn fields() -> BTreeMap<String, Vec<Field>> {
    let mut structs: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    let (mut current, mut comment) = (String::new(), String::new());
    for line in SOURCES.iter().flat_map(|source| source.lines()).map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if let Some(rest) = line.strip_prefix("pub struct ") {
            current = rest.trim_end_matches(" {").to_owned();
            comment.clear();
        } else if let Some((name, kind)) = field_of(line) {
            let comment = std::mem::take(&mut comment).trim().to_owned();
            let field = Field { name: name.to_owned(), kind: kind.to_owned(), comment };
            structs.entry(current.clone()).or_default().push(field);
        } else if !line.starts_with('#') {
            comment.clear();
        }
    }
    structs
}

fn field_of(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("pub ")?.strip_suffix(',')?.split_once(": ")
}

/// Meaning, default, bounds.
fn parts(comment: &str) -> (String, String, String) {
    let (rest, bounds) = comment.split_once("Bounds:").unwrap_or((comment, ""));
    let (meaning, default) = rest.split_once("Default:").unwrap_or((rest, ""));
    let clean = |text: &str| text.trim().trim_end_matches('.').trim_matches('`').to_owned();
    (meaning.trim().to_owned(), clean(default), clean(bounds))
}

/// The page, and what the comments get wrong.
#[derive(Default)]
struct Page {
    text: String,
    wrong: Vec<String>,
}

impl Page {
    fn section(&mut self, name: &str, kind: &str, defaults: &Table) {
        let structs = fields();
        let (sections, keys): (Vec<_>, Vec<_>) =
            structs[kind].iter().partition(|field| defaults.get(&field.name).is_some_and(Value::is_table));
        let title = if name.is_empty() { "Top level".to_owned() } else { format!("`[{name}]`") };
        self.text +=
            &format!("\n## {title}\n\n| key | default | bounds | meaning |\n| --- | --- | --- | --- |\n");
        keys.iter().for_each(|field| self.row(&dotted(name, &field.name), field, defaults));
        for field in sections {
            let inner = defaults[&field.name].as_table().expect("partitioned by that");
            self.section(&dotted(name, &field.name), &field.kind, inner);
        }
        let described = structs[kind].len();
        if described != defaults.len() {
            self.wrong
                .push(format!("{kind}: {described} fields in the source, {} in the default", defaults.len()));
        }
    }

    fn row(&mut self, key: &str, field: &Field, defaults: &Table) {
        let (meaning, default, range) = parts(&field.comment);
        let real = defaults.get(&field.name).map(Value::to_string).unwrap_or_default();
        if default != real {
            self.wrong.push(format!("{key}: the comment's default is {default}, the code's {real}"));
        }
        let bound = bounds(&Config::default()).into_iter().find(|bound| bound.key == key);
        let real = bound.map(|bound| bound.range).unwrap_or_default();
        if range != real {
            self.wrong.push(format!("{key}: the comment's bounds are \"{range}\", the code's \"{real}\""));
        }
        if meaning.is_empty() {
            self.wrong.push(format!("{key}: the comment does not say what it means"));
        }
        self.text += &format!("| `{key}` | `{default}` | {range} | {meaning} |\n");
    }
}

#[test]
fn the_reference_page_says_what_the_code_does() {
    let mut page = Page { text: HEAD.to_owned(), wrong: Vec::new() };
    page.section("", "Config", &known_keys());
    assert!(page.wrong.is_empty(), "{:#?}", page.wrong);
    if std::env::var_os("ORZO_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page.text).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page.text == written,
        "docs/config.md is not what the comments say; write it with ORZO_WRITE_DOCS=1"
    );
}
