//! What the command line can do, one command a file.

pub mod api;
pub mod backup;
pub mod doctor;
pub mod generate;
pub mod objects;
mod progress;
pub mod query;
pub mod status;
mod table;
pub mod tail;
pub mod take_over;
pub mod transfer;

use std::process::ExitCode;

use anyhow::Result;

/// Says what went wrong, once, and turns it into an exit code.
pub fn exit(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("orzo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
