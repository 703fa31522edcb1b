//! `orzo take-over`: lets the program on disk take the place of the daemon that runs, without losing a datagram.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::ConfigFile;
use crate::control::Client;

/// Examples of `orzo take-over`.
pub const EXAMPLES: &str = "\
Examples:
  install -m 755 orzo /usr/bin/orzo && orzo take-over --config /etc/orzo/orzo.toml

The sockets stay open; what arrives meanwhile waits in the kernel's receive buffers, so they must be large enough:
see docs/operating.md. The command ends when the new daemon is ready.
";

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Opening a database after a clean end takes seconds at most.
const START: Duration = Duration::from_secs(60);

/// Options of `orzo take-over`.
#[derive(Debug, Args)]
pub struct TakeOver {
    #[command(flatten)]
    config: ConfigFile,
}

impl TakeOver {
    /// Asks for it, and waits until the new daemon says hello.
    pub fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let before = Client::ask(&config.data_dir, "hello")?.1;
        let asked = Instant::now();
        Client::ask(&config.data_dir, "take-over")?;
        let patience = config.shutdown_deadline.0 + START;
        while asked.elapsed() < patience {
            sleep(LOOK_AGAIN);
            match Client::ask(&config.data_dir, "hello") {
                Ok((_, now)) if now != before => {
                    let version = |hello: &str| hello.split(' ').next().unwrap_or_default().to_owned();
                    let (old, new) = (version(&before), version(&now));
                    println!("orzo {new} took over from {old} in {} ms", asked.elapsed().as_millis());
                    return Ok(());
                }
                _ => {}
            }
        }
        bail!("no daemon has said hello for {} s: look at its log", patience.as_secs())
    }
}
