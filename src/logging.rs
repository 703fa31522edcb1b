//! Where log lines go: standard error, as text or JSON.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{Log, LogFormat, LogLevel};

/// How much is logged; it can change.
pub(crate) struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// From now on.
    pub(crate) fn set(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(filter(level)) {
            eprintln!("orzo: the level of the log stays as it was: {error}");
        }
    }
}

/// Starts logging; a second start in one process changes nothing.
pub(crate) fn start(log: &Log) -> Level {
    let (level, handle) = reload::Layer::new(filter(log.level));
    // By default it says on standard error, too, that standard error takes nothing, and panics if that fails.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match log.format {
        LogFormat::Text => lines.with_target(false).with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    if let Err(error) = tracing_subscriber::registry().with(level).with(lines).try_init() {
        eprintln!("orzo: logging was started before: {error}");
    }
    Level(handle)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
