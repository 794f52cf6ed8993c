//! The error of every port.

use std::error::Error as StdError;
use std::fmt;

/// What kind of failure a port reports. Callers match on this, never on text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine or the port has been shut down.
    Closed,
    /// The stored record changed since it was read (compare-and-set lost).
    Conflict,
    /// What is stored cannot be understood: damaged, foreign, or of a newer version.
    Corrupt,
    /// The caller asked for something that makes no sense; the text says what and where.
    Invalid,
    /// The store or source cannot be reached now.
    Unavailable,
}

/// What is known about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Certainty {
    /// Nothing was changed, and trying the same call again may work.
    Transient,
    /// The reply was lost: the call may have been applied. Every verb of the ports is safe to send
    /// again.
    MaybeApplied,
    /// Nothing was changed, and the same call will fail again.
    Permanent,
}

/// The error of every port: a kind, what is known about the call, the operation and its context,
/// and the cause.
///
/// `Display` does not repeat the cause: print the chain of [`source`](StdError::source)s.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    certainty: Certainty,
    operation: &'static str,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a port's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `operation`, a verb phrase such as `"claim jobs"`.
    #[must_use]
    pub fn new(kind: ErrorKind, certainty: Certainty, operation: &'static str) -> Self {
        Self(Box::new(Inner { kind, certainty, operation, context: String::new(), source: None }))
    }

    /// A permanent [`ErrorKind::Invalid`]: `what` says which input is wrong and why.
    #[must_use]
    pub fn invalid(operation: &'static str, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, Certainty::Permanent, operation).with_context(what)
    }

    /// Adds where and with what it happened. Must not contain secrets.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context = context.into();
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the call may have been applied, and whether it may be repeated.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.0.certainty
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, context, .. } = &*self.0;
        let what = match kind {
            ErrorKind::Closed => "it has been shut down",
            ErrorKind::Conflict => "the record has changed meanwhile",
            ErrorKind::Corrupt => "what is stored cannot be understood",
            ErrorKind::Invalid => "the request is not valid",
            ErrorKind::Unavailable => "it cannot be reached",
        };
        write!(f, "could not {operation}: {what}")?;
        if !context.is_empty() {
            write!(f, " ({context})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_wide_and_the_cause_is_kept_but_not_repeated() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let error = Error::new(ErrorKind::Unavailable, Certainty::MaybeApplied, "claim jobs")
            .with_context("queue check/instagram/account")
            .with_source(std::io::Error::other("broken pipe"));
        assert_eq!(
            error.to_string(),
            "could not claim jobs: it cannot be reached (queue check/instagram/account)"
        );
        assert_eq!(error.source().unwrap().to_string(), "broken pipe");
        assert_eq!(
            (error.kind(), error.certainty(), error.operation()),
            (ErrorKind::Unavailable, Certainty::MaybeApplied, "claim jobs")
        );
    }

    #[test]
    fn every_kind_reads_as_a_sentence() {
        for kind in [
            ErrorKind::Closed,
            ErrorKind::Conflict,
            ErrorKind::Corrupt,
            ErrorKind::Invalid,
            ErrorKind::Unavailable,
        ] {
            let text = Error::new(kind, Certainty::Permanent, "save the session").to_string();
            assert!(
                text.starts_with("could not save the session: ") && !text.ends_with('.'),
                "{text}"
            );
        }
    }
}
