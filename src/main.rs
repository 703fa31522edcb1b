//! The `orzo` command.

use std::process::ExitCode;

use clap::Parser;
use orzo::cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(file) => orzo::serve(file.path()),
        Command::Config(command) => command.run(),
        Command::Blast(blast) => blast.run(),
    }
}
