//! The limits of a key, and those of a checker.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::quota::Quota;

/// One to four quotas that all hold at once (200 in every hour *and* 20 in every minute), or a limit
/// that is not known and has to be found out. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Limit(Arc<Written>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Written {
    quotas: Vec<Quota>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learned: Option<Learned>,
}

/// How a limit is found out; both per window of its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Learned {
    pub(super) start: u32,
    pub(super) floor: u32,
}

/// A limit that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this is no limit: {rule}")]
pub struct InvalidLimit {
    rule: &'static str,
}

impl Limit {
    /// The most quotas of one limit.
    pub const MOST: usize = 4;

    /// All of these hold.
    ///
    /// # Errors
    /// [`InvalidLimit`] if there is none, or more than [`Limit::MOST`].
    pub fn new(quotas: impl IntoIterator<Item = Quota>) -> Result<Self, InvalidLimit> {
        Self::try_from(Written { quotas: quotas.into_iter().collect(), learned: None })
    }

    /// Nobody knows the limit. It begins with `start` requests per window of `most` and goes on
    /// cautiously to as many as the platform lets through: never less than `floor`, never more than
    /// `most`. A throttle is answered by one cut, however many requests were on their way.
    ///
    /// # Errors
    /// [`InvalidLimit`] unless `1 <= floor <= start <= most`.
    pub fn learned(start: u32, floor: u32, most: Quota) -> Result<Self, InvalidLimit> {
        let learned = Some(Learned { start, floor });
        Self::try_from(Written { quotas: vec![most], learned })
    }

    /// All quotas that hold.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.0.quotas
    }

    /// For a limit that has to be found out: requests per window to begin with, and the least.
    #[must_use]
    pub fn learns_from(&self) -> Option<(u32, u32)> {
        self.0.learned.map(|learned| (learned.start, learned.floor))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }

    /// After so long a request counts no more.
    pub(super) fn span(&self) -> u64 {
        self.quotas().iter().map(Quota::span).max().unwrap_or_default()
    }
}

impl From<Quota> for Limit {
    fn from(quota: Quota) -> Self {
        Self(Arc::new(Written { quotas: vec![quota], learned: None }))
    }
}

impl TryFrom<Written> for Limit {
    type Error = InvalidLimit;

    fn try_from(written: Written) -> Result<Self, InvalidLimit> {
        let invalid = |rule| Err(InvalidLimit { rule });
        match (&written.quotas[..], written.learned) {
            ([], _) => invalid("it needs a quota"),
            (many, _) if many.len() > Self::MOST => invalid("it has more than four quotas"),
            ([most], Some(Learned { start, floor }))
                if floor == 0 || floor > start || start > most.requests() =>
            {
                invalid("the least is at least 1, the start not below it and not above the most")
            }
            ([_, _, ..], Some(_)) => invalid("one that is found out has one quota"),
            _ => Ok(Self(Arc::new(written))),
        }
    }
}

impl From<Limit> for Written {
    fn from(limit: Limit) -> Self {
        Self::clone(&limit.0)
    }
}

/// The limits of one checker's requests. A class without a limit is only blocked when the platform
/// says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// All requests of the checker together.
    pub app: Option<Limit>,
    /// Each named endpoint.
    pub endpoints: BTreeMap<String, Limit>,
    /// Each proxy. Requests of several checkers through one proxy count together.
    pub proxy: Option<Limit>,
    /// Each session.
    pub session: Option<Limit>,
}
