//! The points at which a worker can die.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Verb {
    Beat,
    /// Checking the targets of a batch.
    Check,
    Claim,
    Settle,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The store has answered, nobody has heard.
    After,
    /// The store has not been asked.
    Before,
    /// The store is at it.
    During,
}

/// A point at which a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Spot(pub(crate) Verb, pub(crate) Phase);

impl Spot {
    pub(crate) const IN_COMMIT: Self = Self(Verb::Settle, Phase::During);
    /// What a job that kills its worker does.
    pub(crate) const POISON: Self = Self(Verb::Check, Phase::After);

    pub(crate) const ALL: [Self; 10] = [
        Self(Verb::Beat, Phase::Before),
        Self(Verb::Beat, Phase::After),
        Self(Verb::Check, Phase::Before),
        Self(Verb::Check, Phase::During),
        Self(Verb::Claim, Phase::Before),
        Self(Verb::Claim, Phase::During),
        Self(Verb::Claim, Phase::After),
        Self(Verb::Settle, Phase::Before),
        Self::IN_COMMIT,
        Self(Verb::Settle, Phase::After),
    ];
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.1, self.0)?;
        Ok(())
    }
}

impl FromStr for Spot {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|spot| spot.to_string() == text) {
            Some(spot) => Ok(spot),
            None => bail!("no point at which to die is named {text:?}"),
        }
    }
}
