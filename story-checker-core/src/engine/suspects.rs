//! Jobs that are dead once their worker dies with them again.
//!
//! What is claimed together dies together: a job that kills its worker takes along, try after try,
//! those that it was claimed with. So each of them has its last try without the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::shared::{Settlements, Settling, Shared, count};
use crate::queue::{ClaimedJob, Outcome, Settlement};

/// How long after each other those are due again that are given back.
const APART: Duration = Duration::from_millis(100);

/// Takes the suspects out of `jobs`. One of them may run now, alone, if none does so already; all
/// others are back in the queue before it begins. Its pair is missing for the rest, so no more than
/// `room` of them stay.
pub(super) async fn single_out(
    shared: &Shared,
    jobs: &mut Vec<ClaimedJob>,
    room: usize,
    settlements: &Settlements,
) -> Option<(ClaimedJob, OwnedSemaphorePermit)> {
    let last_try =
        |job: &mut ClaimedJob| job.crashes > 0 && job.crashes + 1 == shared.config.max_crashes;
    let mut suspects: Vec<_> = jobs.extract_if(.., last_try).collect();
    let first = suspects.pop()?;
    let turn = Arc::clone(&shared.last_try).try_acquire_owned().ok();
    let mut alone = match turn {
        Some(turn) => Some((first, turn)),
        None => {
            suspects.push(first);
            None
        }
    };
    let spare = if alone.is_some() { jobs.split_off(jobs.len().min(room)) } else { Vec::new() };
    let give_back = |job: &ClaimedJob, after| {
        count(&shared.counters.released);
        Settlement::new(job.lease, Outcome::Release { after })
    };
    let mut back: Vec<_> = (1..)
        .zip(&suspects)
        .map(|(place, job)| give_back(job, APART * place))
        .chain(spare.iter().map(|job| give_back(job, Duration::ZERO)))
        .collect();
    if back.is_empty() {
        return alone;
    }
    if let Err(error) = shared.queue.settle(back.clone(), None).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "giving jobs back failed");
        // Whoever settles tries until it is stored; until then nobody is alone.
        back.extend(alone.take().map(|(job, _)| give_back(&job, APART)));
        let leases: Vec<_> = back.iter().map(|settlement| settlement.lease).collect();
        shared.running.start(leases.into_iter(), None, Instant::now() + shared.config.lease);
        let back = back.into_iter().map(|settlement| Settling { settlement, event: None });
        if settlements.send(back.collect()).await.is_err() {
            tracing::error!("settlements were lost: their leases end by themselves");
        }
    }
    alone
}
