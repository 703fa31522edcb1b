//! `orzo generate`, which help does not show: what a package holds and the program knows best.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::config;

/// Options of `orzo generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// Directory to write to; made if it is missing.
    directory: PathBuf,
}

impl Generate {
    /// Writes manual pages, completions for shells, and a configuration with all defaults.
    pub fn run(&self) -> Result<()> {
        let directory = &self.directory;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        clap_mangen::generate_to(Cli::command(), directory).context("cannot write the manual pages")?;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let written = clap_complete::generate_to(shell, &mut Cli::command(), "orzo", directory);
            written.with_context(|| format!("cannot write the completions for {shell}"))?;
        }
        write_configuration(&directory.join("orzo.toml"))
    }
}

/// Every key with its default, as a comment: what is not set follows the program.
fn write_configuration(path: &Path) -> Result<()> {
    let loaded = config::load(None).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let mut text = String::from(
        "# Configuration of orzo; docs/config.md explains each key, `orzo config check` judges this file.\n\
         # Lines with # are the defaults.\n\n",
    );
    for line in loaded.print().lines() {
        let line = line.trim_end_matches("  # default");
        match line {
            line if line.starts_with("data_dir") => text.push_str("data_dir = \"/var/lib/orzo\"\n"),
            line if line.starts_with('[') || line.is_empty() || line.starts_with('#') => {
                text.push_str(&format!("{line}\n"));
            }
            line => text.push_str(&format!("# {line}\n")),
        }
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
