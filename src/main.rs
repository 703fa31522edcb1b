//! The `orzo` command.

use std::process::ExitCode;

use clap::Parser;
use orzo::cli::{Cli, Command};
use orzo::commands::exit;

/// Columns and summaries of all sizes come and go on many threads: grouped queries take a quarter less time
/// than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(file) => orzo::serve(file.path()),
        Command::Config(command) => command.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Status(status) => exit(status.run()),
        Command::Top(top) => exit(top.run()),
        Command::Query(query) => exit(query.run()),
        Command::Metric(metric) => exit(metric.run()),
        Command::Resource(resource) => exit(resource.run()),
        Command::ArchivePolicy(policy) => exit(policy.run()),
        Command::Export(export) => exit(export.run()),
        Command::Import(import) => exit(import.run()),
        Command::Generate(generate) => exit(generate.run()),
        Command::Backup(backup) => exit(backup.run()),
        Command::Restore(restore) => exit(restore.run()),
        Command::Tail(tail) => exit(tail.run()),
        Command::TakeOver(take_over) => exit(take_over.run()),
        Command::Blast(blast) => blast.run(),
        Command::Bench(bench) => bench.run(),
        Command::Check(check) => check.run(),
        Command::Series(series) => series.run(),
    }
}
