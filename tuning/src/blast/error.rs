//! What keeps a run from happening.

use std::io;

/// A run that did not happen, or that broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other or a limit: change them.
    #[error("{0}")]
    Options(String),
    /// A socket or a file said no.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon's API did not answer as it should.
    #[error("{0}")]
    Api(String),
}

impl Error {
    /// Adds what was being done.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}
