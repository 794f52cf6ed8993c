//! Where a worker ends itself when it is told to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::dice::Dice;
use crate::ledger::{Entry, Ledger, now};
use crate::spot::{Phase, Spot, Verb};

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
