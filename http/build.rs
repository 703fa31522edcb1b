//! Puts the web page, if it was built, into the program: a table of the files below `ui/dist`.
//!
//! It runs no tool of its own: `scripts/ui` builds the page, and a build without it has an empty table. The files are
//! copied first, so that a page that is built anew meanwhile does not pull them from under the compiler.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    let dist = page.join("dist");
    // Cargo takes a path that is not there for one that has changed, each time: then watch where it will appear.
    let watched = if dist.is_dir() { &dist } else { &page };
    println!("cargo::rerun-if-changed={}", watched.display());

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let name = file.strip_prefix(&dist)?.to_str().ok_or("the name of a file is not UTF-8")?;
        let copy = out.join(format!("ui_{number}"));
        fs::copy(file, &copy)?;
        writeln!(table, "    ({name:?}, include_bytes!({copy:?}).as_slice()),")?;
    }
    table.push_str("]\n");
    fs::write(out.join("ui_files.rs"), table)?;
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
