//! What can go wrong in a store, by what the caller does about it.

use std::io;

/// A failure of the key-value engine or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine is stalled and the caller asked not to wait. Nothing was written; try again later.
    #[error("the store is busy")]
    Busy,
    /// Stored bytes do not decode. Skip the value, count it, carry on.
    #[error("corrupt {what}")]
    Corrupt {
        /// The kind of value.
        what: &'static str,
    },
    /// The engine cannot read some of its own bytes; others it can. Treated as [`Error::Corrupt`].
    #[error("damaged bytes met while {doing}")]
    Unreadable {
        /// The step.
        doing: &'static str,
        /// What the engine says.
        #[source]
        source: io::Error,
    },
    /// The store can no longer promise anything. Stop accepting writes.
    #[error("the store failed while {doing}")]
    Fatal {
        /// The step.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether stored bytes are damaged, and nothing but what they held is affected.
    pub fn is_damage(&self) -> bool {
        matches!(self, Error::Corrupt { .. } | Error::Unreadable { .. })
    }

    /// What happened and why, in one line.
    pub fn reason(&self) -> String {
        match self {
            Error::Unreadable { source, .. } | Error::Fatal { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// A result of a store.
pub type Result<T> = std::result::Result<T, Error>;
