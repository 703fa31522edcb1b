//! Rules of the house that a compiler does not check: who imports whom, sizes, words that must not stand in the tree,
//! heads of files.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Who may import whom. The root crate may import everything.
const IMPORTS: [(&str, &[&str]); 8] = [
    ("orzo-base", &[]),
    ("orzo-model", &["orzo-base"]),
    ("orzo-ingest", &["orzo-model", "orzo-base"]),
    ("orzo-store", &["orzo-model", "orzo-base"]),
    ("orzo-store-rocks", &["orzo-store", "orzo-model", "orzo-base"]),
    ("orzo-aggregator", &["orzo-store", "orzo-model", "orzo-base"]),
    ("orzo-http", &["orzo-store", "orzo-model", "orzo-base"]),
    ("orzo-tuning", &["orzo-model", "orzo-base"]),
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// The files with `unsafe` in them.
const UNSAFE_FILES: [&str; 4] =
    ["base/src/descriptors.rs", "base/src/mmsg.rs", "base/src/near.rs", "base/src/socket_options.rs"];

fn metadata() -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(ROOT);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of our own crates that each of our crates imports outside its tests.
fn imports() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let ours = |name: &str| name.starts_with("orzo");
    let of_package = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let names = dependencies.filter(|one| one["kind"] != "dev").map(|one| one["name"].as_str().unwrap());
        let names = names.filter(|name| ours(name)).map(str::to_owned).collect();
        (package["name"].as_str().unwrap().to_owned(), names)
    };
    metadata["packages"].as_array().unwrap().iter().map(of_package).collect()
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let mut imports = imports();
    assert!(imports.remove("orzo").is_some());
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.into_iter().collect();
    for (name, imported) in &imports {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table"));
        for other in imported {
            assert!(allowed.contains(&other.as_str()), "{name} imports {other}");
        }
    }
    assert_eq!(imports.len(), allowed.len());
}

/// Every file of ours, relative to the root: what is recorded, or would be.
fn files() -> Vec<PathBuf> {
    let mut command = Command::new("git");
    command.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(ROOT);
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    let files: Vec<PathBuf> =
        names.lines().map(PathBuf::from).filter(|path| Path::new(ROOT).join(path).is_file()).collect();
    assert!(files.len() > 50, "{files:?}");
    files
}

fn read(path: &Path) -> String {
    fs::read(Path::new(ROOT).join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap()
}

/// Rust sources with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn every_source_says_first_what_it_is() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "no `//!` head: {silent:?}");
}

#[test]
fn files_are_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, _)| path)
        .collect();
    assert!(long.is_empty(), "more than {FILE_LINES_MAX} lines: {long:?}");
}

/// Functions with their lengths. After rustfmt, a function ends at the first `}` of its own indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let opens =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn ", "const fn "];
        if !opens.iter().any(|open| code.starts_with(open)) {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == end) {
            found.push((code.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    for (path, text) in sources() {
        for (name, length) in functions(&text) {
            lengths.push(length);
            if length > FUNCTION_LINES_MAX {
                long.push(format!("{}: {name} has {length} lines", path.display()));
            }
        }
    }
    lengths.sort_unstable();
    assert!(long.is_empty(), "{long:#?}");
    assert!(lengths[lengths.len() / 2] <= 12, "the median function has {} lines", lengths[lengths.len() / 2]);
}

/// Words that do not belong in the tree, in halves so that this file may hold them.
const BANNED: [(&str, &str); 14] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("pypi", ".org"),
    ("crates", ".io"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("deb.debian", ".org"),
];

#[test]
fn no_word_stands_where_it_must_not() {
    let mut found = Vec::new();
    for path in files() {
        // Written by cargo, and answers recorded from the reference.
        if path.ends_with("Cargo.lock") || path.starts_with("tests/vectors") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let banned = BANNED.iter().map(|(head, tail)| format!("{head}{tail}"));
            for word in banned.filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_few_files_may_be_unsafe() {
    let permit = ["allow(unsafe", "_code)"].concat();
    let mut permitted: Vec<PathBuf> =
        sources().into_iter().filter(|(_, text)| text.contains(&permit)).map(|(path, _)| path).collect();
    permitted.sort();
    assert_eq!(permitted, UNSAFE_FILES.map(PathBuf::from));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in metadata()["packages"].as_array().unwrap() {
        let manifest = fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} does not", package["name"]);
    }
}

/// Links between our own pages: `[text](path)`.
#[test]
fn links_between_pages_lead_somewhere() {
    for page in files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = read(&page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap_or(target);
            let path = Path::new(ROOT).join(page.parent().unwrap()).join(file);
            assert!(path.exists(), "{}: {target} is not there", page.display());
        }
    }
}
