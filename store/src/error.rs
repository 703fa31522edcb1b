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

/// A result of a store.
pub type Result<T> = std::result::Result<T, Error>;
