//! What can go wrong in the lake, by what the caller can do about it.

use weft_model::Mapped;

use crate::log::{LogError, Logged};
use crate::table::schema::Conflict;

/// A fault of the lake. Nothing that was acknowledged is lost by any of them.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No space where the tables are; commit again when there is.
    #[error("the disk of the lake is full at `{path}`: free some space and it goes on by itself")]
    Full {
        /// What was being written.
        path: String,
    },
    /// The storage of the tables.
    #[error("`{path}` cannot be used: {message}")]
    Store {
        /// File, folder or URL.
        path: String,
        /// The system's words.
        message: String,
    },
    /// A table.
    #[error("table `{table}` cannot be used: {message}")]
    Table {
        /// Its name.
        table: String,
        /// The table format's words.
        message: String,
    },
    /// Rows could not be encoded.
    #[error("rows of table `{table}` cannot be written: {message}")]
    Encode {
        /// Its name.
        table: String,
        /// The encoder's words.
        message: String,
    },
    /// A file of the lake's own that is not what we wrote.
    #[error("a file of the lake is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A test cut the commit off here.
    #[error("interrupted")]
    Interrupted,
}

impl LakeError {
    pub(crate) fn of_io(path: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Store { path: path.to_owned(), message: error.to_string() },
        }
    }
}

/// Events that do not fit their table; everything is given back, so that the caller can publish
/// the frame with rejects instead.
#[derive(Debug, thiserror::Error)]
#[error("events do not fit table `{table}`: {conflict}")]
pub struct PublishError {
    /// The table.
    pub table: String,
    /// What does not fit.
    pub conflict: Conflict,
    /// The frame.
    pub logged: Box<Logged>,
    /// What it was mapped to.
    pub mapped: Box<Mapped>,
}
