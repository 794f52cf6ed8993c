//! What SQLite's errors mean to a caller.

use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;
use story_checker_core::{Certainty, Error, ErrorKind};

/// Why a command failed inside the file.
#[derive(Debug)]
pub(crate) enum Fail {
    /// An error that is ready for the caller.
    Port(Error),
    /// SQLite's own; nothing was changed.
    Sql(rusqlite::Error),
    /// A commit broke off in a way that leaves open whether it was done.
    Unclear(rusqlite::Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fail {
    /// The error of `operation` on the file at `path`.
    pub(crate) fn into_error(self, operation: &'static str, path: &Path) -> Error {
        match self {
            Self::Port(error) => error,
            Self::Sql(error) => sql_error(error, operation, path),
            Self::Unclear(error) => unclear(Arc::new(error), operation, path),
        }
    }
}

/// A commit that may or may not have been done.
pub(crate) fn unclear(cause: Arc<rusqlite::Error>, operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::Unavailable, Certainty::MaybeApplied, operation)
        .with_context(format!("{}: the disk failed during the commit; check it", path.display()))
        .with_source(cause)
}

/// What a row says that cannot be.
pub(crate) fn corrupt(operation: &'static str, what: impl Into<String>) -> Fail {
    let error = Error::new(ErrorKind::Corrupt, Certainty::Permanent, operation);
    Fail::Port(error.with_context(what))
}

/// Whether another process is in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Names the file and the next step. Quotes no rows.
pub(crate) fn sql_error(error: rusqlite::Error, operation: &'static str, path: &Path) -> Error {
    use Certainty::{Permanent, Transient};
    use ErrorKind::{Corrupt, Unavailable};

    let (kind, certainty, next) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Unavailable,
            Transient,
            "another process holds its write lock; it is tried again, or end that process",
        ),
        Some(ErrorCode::DiskFull) => {
            (Unavailable, Transient, "no space is left for it; free some, then work goes on")
        }
        Some(ErrorCode::ReadOnly) => {
            (Unavailable, Permanent, "it or its folder is read-only; make both writable")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            Unavailable,
            Permanent,
            "it cannot be opened; check that the folder exists and that both may be written",
        ),
        Some(ErrorCode::NotADatabase) => {
            (Corrupt, Permanent, "it is no SQLite file; name another one")
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            Corrupt,
            Permanent,
            "it is damaged; keep a copy, then restore a backup or export what can be read",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (Unavailable, Transient, "the disk failed to read or write it; check the disk")
        }
        _ => (Unavailable, Transient, "SQLite refused; the cause follows"),
    };
    Error::new(kind, certainty, operation)
        .with_context(format!("{}: {next}", path.display()))
        .with_source(error)
}
