//! The jobs of a run: what each does to its worker, and how its payload says so.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use story_checker_core::queue::{NewJob, QueueName};
use story_checker_core::{BatchId, Fence, JobId, Platform, Target, TargetKind};
use uuid::Uuid;

use crate::dice::Dice;
use crate::ledger::Lease;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Its batch is cancelled midway.
    Doomed,
    /// Fails now and then.
    Flaky,
    /// Due only after some seconds.
    Late,
    /// Takes longer than a lease.
    Long,
    Plain,
    /// Kills its worker.
    Poison,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Doomed, Self::Flaky, Self::Late, Self::Long, Self::Plain, Self::Poison];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Doomed => "doomed",
            Self::Flaky => "flaky",
            Self::Late => "late",
            Self::Long => "long",
            Self::Plain => "plain",
            Self::Poison => "poison",
        }
    }

    fn from_handle(handle: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == handle)
    }

    /// Reads it from the payload of a job as it was enqueued.
    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        let target: Target = std::str::from_utf8(payload).ok()?.parse().ok()?;
        Self::from_handle(target.handle())
    }
}

/// The platform of all targets.
pub(crate) fn platform() -> Platform {
    Platform::new("crash").expect("a name of five letters is legal")
}

/// The queue in which the engine looks for them.
fn queue() -> QueueName {
    QueueName::new(format!("check/{}/{}", platform(), TargetKind::Account.as_str()))
}

/// The payload with the lease in it, so that the checker knows under which grant it works.
pub(crate) fn marked(payload: &[u8], (id, fence): Lease) -> Bytes {
    let payload = String::from_utf8_lossy(payload);
    Bytes::from(format!("{payload}.{fence}.{id}"))
}

/// What the handle of a marked payload says.
pub(crate) fn read_mark(handle: &str) -> Result<(Kind, Lease)> {
    let parts = || {
        let mut parts = handle.splitn(3, '.');
        let kind = Kind::from_handle(parts.next()?)?;
        let fence = Fence::new(parts.next()?.parse().ok()?);
        Some((kind, (parts.next()?.parse().ok()?, fence)))
    };
    parts().with_context(|| format!("the handle {handle:?} has no mark"))
}

/// Names the batches of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    pub(crate) doomed: BatchId,
    others: [BatchId; 3],
}

impl Batches {
    pub(crate) fn new() -> Self {
        let batch = || BatchId::from(Uuid::now_v7());
        Self { doomed: batch(), others: [batch(), batch(), batch()] }
    }
}

/// All jobs of a run, in the order of their enqueuing. Those of the batch that is cancelled and
/// those that kill are among the first half.
pub(crate) fn make(count: usize, batches: &Batches, dice: &mut Dice) -> Vec<NewJob> {
    let early = (count / 2).max(1);
    let poison = (count / 2_000).max(2).min(early);
    let mut kinds: Vec<_> = (0..count)
        .map(|index| match dice.between(0, 400) {
            0 => Kind::Long,
            1..=12 => Kind::Flaky,
            13..=32 => Kind::Late,
            33..=120 if index < early => Kind::Doomed,
            _ => Kind::Plain,
        })
        .collect();
    for number in 0..poison {
        kinds[number * early / poison] = Kind::Poison;
    }
    kinds.into_iter().map(|kind| job(kind, batches, dice)).collect()
}

fn job(kind: Kind, batches: &Batches, dice: &mut Dice) -> NewJob {
    let target = Target::new(platform(), TargetKind::Account, kind.as_str())
        .expect("names of kinds are legal handles");
    let mut job =
        NewJob::new(JobId::from(Uuid::now_v7()), queue(), Bytes::from(target.to_string()));
    job.priority = dice.pick(&[50, 100, 100, 200]).unwrap_or(100);
    job.batch = match kind {
        Kind::Doomed => Some(batches.doomed),
        _ if dice.one_in(10) => None,
        _ => dice.pick(&batches.others),
    };
    if kind == Kind::Late {
        job.delay = Duration::from_millis(dice.between(200, 6_000));
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_kind_and_lease_and_the_bare_payload_its_kind() {
        let lease = (JobId::from_bytes([9; 16]), Fence::new(41));
        let mut dice = Dice::new(1);
        for kind in Kind::ALL {
            let job = job(kind, &Batches::new(), &mut dice);
            assert_eq!(Kind::of(&job.payload), Some(kind));
            let marked = marked(&job.payload, lease);
            let target: Target = std::str::from_utf8(&marked).unwrap().parse().unwrap();
            assert_eq!(read_mark(target.handle()).unwrap(), (kind, lease));
        }
        assert!(read_mark("plain").is_err());
    }

    #[test]
    fn a_run_has_jobs_of_every_kind_and_its_seed_repeats_them() {
        let make = |seed| {
            let jobs = make(2_000, &Batches::new(), &mut Dice::new(seed));
            jobs.iter().map(|job| Kind::of(&job.payload).unwrap()).collect::<Vec<_>>()
        };
        let kinds = make(7);
        let count = |kind| kinds.iter().filter(|it| **it == kind).count();
        assert_eq!(count(Kind::Poison), 2);
        assert!(Kind::ALL.into_iter().all(|kind| count(kind) > 0), "{kinds:?}");
        assert_eq!(kinds, make(7));
        assert_ne!(kinds, make(8));
    }
}
