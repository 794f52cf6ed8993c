//! Lists in which hardly any job matches.

use story_checker_core::JobId;
use story_checker_core::queue::{JobFilter, JobQueue, JobState, QueueName};

use crate::files::job;
use crate::fixture::Fixture;

/// More than one page looks at.
const MANY: u128 = 18_000;

async fn pages(queue: &dyn JobQueue, filter: &JobFilter) -> (usize, Vec<JobId>) {
    let (mut pages, mut ids, mut after) = (0, Vec::new(), None);
    loop {
        let page = queue.list(filter, after, 10).await.unwrap();
        assert!(page.next.is_none() || page.next > after, "it goes on");
        ids.extend(page.jobs.iter().map(|job| job.id));
        (pages, after) = (pages + 1, page.next);
        if after.is_none() {
            return (pages, ids);
        }
    }
}

#[tokio::test]
async fn a_page_looks_only_so_far_and_no_match_is_missed() {
    let fixture = Fixture::new();
    let queue = fixture.open(1).await.queue();
    let numbers: Vec<u128> = (1..=MANY).collect();
    for part in numbers.chunks(500) {
        queue.enqueue(part.iter().copied().map(job).collect()).await.unwrap();
    }
    let rare = |number: u128| {
        let mut job = job(number);
        job.queue = "rare".into();
        job.delay = std::time::Duration::from_secs(60);
        job
    };
    let rare = [rare(MANY + 1), rare(MANY + 2)];
    queue.enqueue(rare.to_vec()).await.unwrap();
    let ids = [rare[0].id, rare[1].id];

    let mut filter = JobFilter::default();
    filter.queue = Some(QueueName::new("rare"));
    let (count, found) = pages(&queue, &filter).await;
    assert_eq!(found, ids);
    assert!(count > 2, "{count} pages: one page looked at everything");
    for filter in [JobFilter::default(), filter] {
        let scheduled = filter.with_state(JobState::Scheduled);
        assert_eq!(pages(&queue, &scheduled).await, (1, ids.to_vec()), "an index has the few");
    }
    let all = JobFilter::default().with_state(JobState::Ready);
    let page = queue.list(&all, None, 10).await.unwrap();
    assert_eq!((page.jobs.len(), page.next), (10, Some(job(10).id)));
}
