//! Where a worker ends itself when it is told to.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::ledger::{Entry, Ledger, now};

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

/// Ends its process at the point that it is armed for.
#[derive(Debug, Default)]
pub(crate) struct Trap(Mutex<Option<Spot>>);

impl Trap {
    fn armed(&self) -> MutexGuard<'_, Option<Spot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arm(&self, spot: Spot) {
        *self.armed() = Some(spot);
    }

    /// Ends the process if it is armed for this point.
    pub(crate) fn pass(&self, ledger: &Ledger, verb: Verb, phase: Phase) {
        let spot = Spot(verb, phase);
        if *self.armed() == Some(spot) {
            die(ledger, spot);
        }
    }

    /// Ends the process a moment from now, while the store is at it, if it is armed for that.
    pub(crate) fn pass_during(&self, ledger: &std::sync::Arc<Ledger>, verb: Verb) {
        let spot = Spot(verb, Phase::During);
        if *self.armed() == Some(spot) {
            let ledger = std::sync::Arc::clone(ledger);
            let moment = Duration::from_micros(Dice::new(now()).between(0, 4_000));
            std::thread::spawn(move || {
                std::thread::sleep(moment);
                die(&ledger, spot);
            });
        }
    }
}

/// Ends the process as a SIGKILL from outside would: nothing is cleaned up.
pub(crate) fn die(ledger: &Ledger, spot: Spot) -> ! {
    ledger.write(&Entry::Died { spot });
    _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}
