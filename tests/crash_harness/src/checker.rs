//! A checker that asks nobody: it takes its time, fails now and then, and dies of poison.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::{
    Class, Evidence, Fault, Report, Scope, Target, TargetKind, Timings, Verdict,
};

use crate::dice::Dice;
use crate::jobs::{Kind, platform, read_mark};
use crate::ledger::{Call, Entry, Lease, Ledger};
use crate::spot::{Phase, Spot, Verb};
use crate::trap::{Trap, die};

/// The most targets in one call.
const MAX_BATCH: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// Writes each call into the ledger, with the leases under which it runs.
#[derive(Debug)]
pub(crate) struct Sleeper {
    profile: CheckerProfile,
    ledger: Arc<Ledger>,
    trap: Arc<Trap>,
    /// How long one target takes, on average.
    pace: Duration,
    /// How long a target of [`Kind::Long`] takes.
    long: Duration,
}

impl Sleeper {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        trap: Arc<Trap>,
        pace: Duration,
        lease: Duration,
    ) -> Self {
        let mut profile = CheckerProfile::new(platform());
        profile.kinds = vec![TargetKind::Account];
        profile.max_batch = MAX_BATCH;
        Self { profile, ledger, trap, pace, long: lease * 3 / 2 }
    }

    async fn check_one(
        &self,
        target: &Target,
        mark: &anyhow::Result<(Kind, Lease)>,
    ) -> Result<Report, Fault> {
        let (kind, (id, fence)) = match mark {
            Ok(mark) => *mark,
            Err(error) => {
                return Err(Fault::new(Class::Permanent, Scope::Target, error.to_string()));
            }
        };
        // The same lease always goes the same way, whatever else happens.
        let number =
            id.as_bytes().iter().fold(fence.get(), |sum, byte| sum << 5 ^ sum ^ u64::from(*byte));
        let mut dice = Dice::new(number);
        let time = if kind == Kind::Long {
            self.long
        } else {
            self.pace * u32::try_from(dice.between(50, 150)).unwrap_or(100) / 100
        };
        tokio::time::sleep(time).await;
        match kind {
            Kind::Poison => die(&self.ledger, Spot::POISON),
            Kind::Flaky if dice.one_in(2) => {
                Err(Fault::new(Class::Transient, Scope::Target, "it fails now and then"))
            }
            _ => {
                let evidence = Evidence::new("crash/1");
                Ok(Report::new(target.clone(), Verdict::NoStory, evidence, Timings::default()))
            }
        }
    }
}

impl fmt::Display for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sleeper")
    }
}

/// Notes the end of a call also when it is stopped.
struct Running<'a>(&'a Ledger, Call);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.write(&Entry::End { call: self.1 });
    }
}

#[async_trait]
impl Checker for Sleeper {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], _: &CheckContext) -> Vec<Result<Report, Fault>> {
        let marks: Vec<_> = targets.iter().map(|target| read_mark(target.handle())).collect();
        let leases = marks.iter().flatten().map(|(_, lease)| *lease).collect();
        let call = self.ledger.call();
        self.trap.pass(&self.ledger, Verb::Check, Phase::Before);
        self.ledger.write(&Entry::Begin { call, leases });
        let _running = Running(&self.ledger, call);
        let mut answers = Vec::with_capacity(targets.len());
        for (target, mark) in targets.iter().zip(&marks) {
            answers.push(self.check_one(target, mark).await);
            self.trap.pass(&self.ledger, Verb::Check, Phase::During);
        }
        answers
    }
}
