//! Replies of scripts, taken apart.

use bytes::Bytes;
use redis::Value;
use story_checker_core::{Certainty, Error, ErrorKind, Result};

/// The items of a reply.
pub(crate) struct Items {
    operation: &'static str,
    items: std::vec::IntoIter<Value>,
}

/// The reply is not what the script says.
pub(crate) fn corrupt(operation: &'static str, what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Certainty::MaybeApplied, operation).with_context(what)
}

impl Items {
    pub(crate) fn of(operation: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Array(items) => Ok(Self { operation, items: items.into_iter() }),
            _ => Err(corrupt(operation, "the script's answer is no list")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes> {
        match self.items.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes.into()),
            Some(Value::SimpleString(text)) => Ok(text.into_bytes().into()),
            Some(Value::Int(number)) => Ok(number.to_string().into()),
            Some(Value::Nil) => Ok(Bytes::new()),
            _ => Err(corrupt(self.operation, "the script's answer is too short")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    /// Empty counts as 0.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(0);
        }
        let wrong = || corrupt(self.operation, "a number in the script's answer");
        // Scores come as floating point numbers.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times below 2^48, and counts"
        )]
        let number = text.parse().or_else(|_| text.parse().map(|float: f64| float as u64));
        number.map_err(|_| wrong())
    }

    pub(crate) fn list(&mut self) -> Option<Result<Self>> {
        self.items.next().map(|value| Self::of(self.operation, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.as_slice().is_empty()
    }
}

/// A reply that is one string.
pub(crate) fn bytes(operation: &'static str, value: Value) -> Result<Bytes> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        _ => Err(corrupt(operation, "the script's answer is no text")),
    }
}

/// A reply that is one number.
pub(crate) fn number(operation: &'static str, value: Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(number),
        _ => Err(corrupt(operation, "the script's answer is no number")),
    }
}
