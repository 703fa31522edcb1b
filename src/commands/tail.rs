//! `orzo tail`: lines of statsd as they come in.

use std::io::{self, ErrorKind, Write};

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::ConfigFile;
use crate::control::{Client, TAIL_LINE, TAIL_SKIPPED};

/// Examples of `orzo tail`.
pub const EXAMPLES: &str = "\
Examples:
  orzo tail app.web                      lines that begin so
  orzo tail 'app.*.hits' --count 10      with *, ? or [ in it, the pattern covers the name: all before the :
  orzo tail                              everything

Lines are shown as they came, refused ones too, from UDP, TCP and unix sockets. Nothing is lost because somebody looks;
somebody who cannot keep up is told how many lines are missing. Run it as root or as the daemon's user.
";

/// Options of `orzo tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// What lines begin with, or a pattern of their names.
    #[arg(value_name = "PREFIX", default_value = "")]
    pattern: String,
    /// End after so many lines.
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Tail {
    /// Prints lines until there are enough, the daemon ends, or nobody reads what is printed.
    pub fn run(&self) -> Result<()> {
        if self.pattern.contains('\n') {
            bail!("a line has no end in its middle");
        }
        let config = self.config.load()?;
        let (mut client, _) = Client::ask(&config.data_dir, &format!("tail {}", self.pattern))?;
        let mut out = io::stdout().lock();
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(line) = client.line()? else { bail!("the daemon went away") };
            match line.split_first() {
                Some((&TAIL_LINE, text)) => {
                    left -= 1;
                    match writeln!(out, "{}", printable(text)) {
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                        written => written?,
                    }
                }
                Some((&TAIL_SKIPPED, count)) => {
                    eprintln!("orzo tail: {} lines skipped", String::from_utf8_lossy(count));
                }
                _ => bail!("the daemon says what this program does not understand"),
            }
        }
        Ok(())
    }
}

/// Whoever sends a line must not write to the terminal of whoever looks at it.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(printable(b"a.b:1|c"), "a.b:1|c");
        assert_eq!(printable("é\x1b[2J\t:1|c".as_bytes()), "é\\u{1b}[2J\\t:1|c");
        assert_eq!(printable(b"\xff:1|c"), "\u{fffd}:1|c");
    }
}
