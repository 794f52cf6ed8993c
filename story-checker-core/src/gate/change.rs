//! What is told of breakers.

use super::breaker::{BreakerCause, BreakerMode, BreakerState};
use super::key::Key;
use crate::clock::Timestamp;

/// A breaker that is worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerView {
    /// The endpoint or proxy.
    pub key: Key,
    /// Where it stands.
    pub state: BreakerState,
    /// What the operator has made of it.
    pub mode: BreakerMode,
    /// The end of its open time, while that is known.
    pub until: Option<Timestamp>,
    /// Failures since the last success.
    pub in_a_row: u8,
    /// Failures of the last minute.
    pub failures: u32,
    /// Results of the last minute, as far as they were counted.
    pub results: u32,
}

/// A breaker has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerChange {
    /// The endpoint or proxy.
    pub key: Key,
    /// Where it stood.
    pub from: BreakerState,
    /// Where it stands.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
    /// The end of its open time, while that is known.
    pub until: Option<Timestamp>,
}
