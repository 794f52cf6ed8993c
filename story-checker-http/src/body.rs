//! Reading a body that must be JSON to its end.

use serde::Deserialize;
use serde_json::error::Category;
use thiserror::Error;

use crate::wire::Object;

/// A body that is no answer. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// It says itself that something went wrong.
    #[error("the answer does not say status ok")]
    NotOk,
    /// It is JSON of another shape; the text says what is wrong.
    #[error("the answer has another shape than expected: {0}")]
    Shape(&'static str),
    /// It ends before its end.
    #[error("the body ends in the middle")]
    Truncated,
}

impl From<serde_json::Error> for BodyError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::Shape("a field is missing, twice there, or of another type"),
            Category::Eof => Self::Truncated,
            Category::Io | Category::Syntax => Self::NotJson,
        }
    }
}

/// Reads an object that is text to its end, also where nothing is taken from it; checking that first
/// makes the rest faster.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BodyError> {
    let text = str::from_utf8(body).map_err(|_| BodyError::NotJson)?;
    let Object(value) = serde_json::from_str(text)?;
    Ok(value)
}
