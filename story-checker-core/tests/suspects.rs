//! Jobs that are dead if their worker dies once more have that try alone.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use story_checker_core::checker::CheckerProfile;
use story_checker_core::queue::{ClaimRequest, JobFilter, JobQueue, JobState, NewJob};
use story_checker_core::{JobId, Platform, Verdict};

use crate::support::{Acting, SECOND, Scripted, World, active, report, reports};

const NAME: &str = "check/instagram/account";
const BATCH: usize = 4;

/// Enqueues jobs, and then lets a worker die that holds all jobs there are.
async fn enqueue_and_die(world: &World, kind: &str) {
    let job = |number: usize| {
        let mut id = [u8::try_from(number).unwrap(); 16];
        id[0] = kind.as_bytes()[0];
        let payload = Bytes::from(format!("instagram/account/{kind}_{number}"));
        NewJob::new(JobId::from_bytes(id), NAME.into(), payload)
    };
    world.queue.enqueue((0..2 * BATCH).map(job).collect()).await.unwrap();
    let claim = ClaimRequest::new(vec![(NAME.into(), 100)], "dies".into(), SECOND);
    world.queue.claim(&claim).await.unwrap();
    tokio::time::sleep(SECOND).await;
    world.queue.maintain(100).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_try_of_a_job_goes_alone_and_nobody_else_is_lost_with_it() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 0).await;
    enqueue_and_die(&world, "twice").await;
    enqueue_and_die(&world, "once").await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (seen, queue) = (Arc::clone(&calls), Arc::clone(&world.queue));
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.max_batch = BATCH.try_into().unwrap();
    let checker = Acting::new(profile, move |targets, _| {
        let (seen, queue) = (Arc::clone(&seen), Arc::clone(&queue));
        async move {
            if targets.iter().any(|target| target.handle().starts_with("twice")) {
                // A death at this moment would be the last of each of these.
                let leased = JobFilter::default().with_state(JobState::Leased);
                let held = queue.list(&leased, None, 100).await.unwrap().jobs;
                seen.lock().unwrap().push(held.iter().filter(|job| job.crashes == 2).count());
                assert_eq!(targets.len(), 1, "{targets:?}");
            }
            tokio::time::sleep(SECOND).await;
            targets.iter().map(|target| report(target, Verdict::NoStory)).collect()
        }
    });
    let (engine, mut events) = world.start_with(checker).await;
    for report in reports(&mut events, 4 * BATCH, |_| {}).await {
        assert_eq!(report.verdict, Verdict::NoStory, "{report:?}");
    }
    engine.shutdown(SECOND).await;
    assert_eq!(*calls.lock().unwrap(), [1; 2 * BATCH]);
    let pages = world.queue.list(&JobFilter::default(), None, 100).await.unwrap();
    assert!(pages.jobs.iter().all(|job| job.state == JobState::Done && job.attempt == 0));
    assert_eq!(engine.stats().checks, 2 * BATCH as u64 + 2, "the others go as they always do");
}
