use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::id::{BatchId, JobId};
use crate::proxy::{ProxyState, StaticProxySource};
use crate::queue::{
    Alter, ClaimRequest, ClaimedJob, InMemoryJobQueue, JobFilter, JobLease, JobState, MAX_ITEMS,
    NewJob, Outcome, QueueControl, QueueName, Select, Settlement, StatsQuery,
};
use crate::retry::DeadReason;
use crate::session::{
    Cookie, Credentials, InMemorySessionStore, SessionKind, SessionRecord, SessionState,
    SessionStore,
};

/// A clock that stands still: a store that takes no time.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_795_251_600)
    }
}

struct World {
    queue: InMemoryJobQueue,
    sessions: InMemorySessionStore,
    proxies: StaticProxySource,
}

impl World {
    fn new() -> Self {
        Self {
            queue: InMemoryJobQueue::new(Arc::new(Stopped)),
            sessions: InMemorySessionStore::new(Arc::new(Stopped)),
            proxies: StaticProxySource::default(),
        }
    }

    fn stores(&self) -> Stores<'_> {
        Stores::new(&self.queue).with_sessions(&self.sessions).with_proxies(&self.proxies)
    }

    async fn export(&self) -> String {
        let mut text = Vec::new();
        export(&self.stores(), None, &mut text, |_| ()).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    async fn import(&self, text: &str) -> Imported {
        import(&self.stores(), text.as_bytes(), |_| ()).await.unwrap()
    }
}

fn id(number: u64) -> JobId {
    JobId::from_bytes(u128::from(number).to_be_bytes())
}

fn batch(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

fn job(number: u64) -> NewJob {
    NewJob::new(id(number), "check/instagram/account".into(), Bytes::from(format!("job {number}")))
}

async fn claim(world: &World, max: usize) -> Vec<JobLease> {
    let wants = vec![("check/instagram/account".into(), max)];
    let request = ClaimRequest::new(wants, "worker".into(), Duration::from_secs(60));
    let claimed = world.queue.claim(&request).await.unwrap();
    claimed.jobs.into_iter().map(|job| job.lease).collect()
}

/// Has something of everything.
async fn full_world() -> World {
    let world = World::new();
    let mut jobs: Vec<_> = (1..=8).map(job).collect();
    jobs[4].batch = Some(batch(1));
    jobs[5].batch = Some(batch(2));
    jobs[6].delay = Duration::from_secs(3_600);
    jobs[6].unique = Some(Bytes::from_static(b"key"));
    jobs[7].payload = Bytes::from_static(b"\xff\x00");
    jobs[7].deadline = Some(Duration::from_secs(60));
    world.queue.enqueue(jobs).await.unwrap();
    world.queue.alter(&Select::Batch(batch(1)), Alter::Cancel).await.unwrap();
    world.queue.alter(&Select::Batch(batch(2)), Alter::Pause).await.unwrap();
    let leases = claim(&world, 4).await;
    let result = || Bytes::from_static(br#"{"verdict":"active"}"#);
    let outcomes = [
        Outcome::Done { result: result() },
        Outcome::Dead { reason: DeadReason::Permanent, result: Bytes::new() },
        Outcome::Retry { after: Duration::ZERO, note: "HTTP 500".to_owned() },
    ];
    let settlements = leases.into_iter().zip(outcomes);
    let settlements = settlements.map(|(lease, outcome)| Settlement::new(lease, outcome)).collect();
    world.queue.settle(settlements, None).await.unwrap();
    let control = QueueControl { paused: Some(true), max_len: Some(Some(3)) };
    world.queue.configure(&"check/instagram/account".into(), control).await.unwrap();

    let cookies = Credentials::from_cookies(vec![Cookie::new("sessionid", "PLANTED")]);
    let mut main = SessionRecord::new(
        "main".into(),
        SessionKind::from_static("instagram-web"),
        cookies.clone(),
    );
    main.home_proxy = Some("proxy:1".into());
    let mut spare =
        SessionRecord::new("spare".into(), SessionKind::from_static("instagram-web"), cookies);
    spare.account = Some("somebody".to_owned());
    spare.state = SessionState::Challenged { reason: "checkpoint".to_owned() };
    world.sessions.put(vec![main, spare]).await.unwrap();
    let resting = ProxyState::Disabled { reason: "sold".to_owned() };
    world.proxies.save(&[("proxy:1".into(), resting)]).await.unwrap();
    world
}

#[tokio::test]
async fn an_export_reads_as_it_is_documented() {
    let text = full_world().await.export().await;
    let lines: Vec<_> = text.lines().collect();
    let expected = [
        r#"{"story_checker_export":{"format":1}}"#,
        r#"{"queue":{"name":"check/instagram/account","paused":true,"max_len":3}}"#,
        r#"{"session":{"id":"main","kind":"instagram-web","state":{"state":"valid"},"home_proxy":"proxy:1"}}"#,
        r#"{"session":{"id":"spare","kind":"instagram-web","account":"somebody","state":{"state":"challenged","reason":"checkpoint"}}}"#,
        r#"{"proxy":{"id":"proxy:1","state":{"state":"disabled","reason":"sold"}}}"#,
        r#"{"job":{"id":"00000000-0000-0000-0000-000000000001","queue":"check/instagram/account","priority":100,"state":"done","payload":"job 1","result":"{\"verdict\":\"active\"}","fence":1,"enqueued_at":"2026-11-21T09:00:00.000Z","at":"2026-11-21T09:00:00.000Z"}}"#,
    ];
    assert_eq!(lines[..6], expected);
    // The third was tried, the fourth is held by somebody, the last is not text.
    assert!(lines[7].contains(r#""state":"ready""#) && lines[7].contains(r#""attempt":1"#));
    assert!(lines[8].contains(r#""state":"ready""#) && lines[8].contains(r#""fence":1"#));
    assert!(!lines[8].contains("worker") && !lines[8].contains(r#""at""#));
    assert!(lines[12].contains(r#""payload":{"base64":"/wA="}"#), "{}", lines[12]);
    assert_eq!(
        lines[13..],
        [
            r#"{"batch":{"id":"01010101-0101-0101-0101-010101010101","cancelled":true}}"#,
            r#"{"batch":{"id":"02020202-0202-0202-0202-020202020202","paused":true}}"#,
            r#"{"end":{"batches":2,"jobs":8,"proxies":1,"queues":1,"sessions":2}}"#,
        ]
    );
    assert!(!text.contains("PLANTED"));
}

#[tokio::test]
async fn what_comes_in_is_what_went_out() {
    let (from, to) = (full_world().await, World::new());
    let text = from.export().await;
    let imported = to.import(&text).await;
    assert!(imported.complete && imported.bad == 0, "{imported:?}");
    assert_eq!((imported.taken.jobs, imported.taken.batches, imported.taken.queues), (8, 2, 1));
    // Its secrets stayed out, so it must not be leased.
    assert_eq!(imported.without_secrets, 2);
    let again = to.export().await;
    let needs_login = r#""needs_login","reason":"imported without its secrets"}"#;
    assert_eq!(again, text.replace(r#""valid"}"#, needs_login));
    let stats = to.queue.stats(&StatsQuery::Batches(vec![batch(1), batch(2)])).await.unwrap();
    assert!(stats.batches[0].cancelled && stats.batches[1].paused);
}

#[tokio::test]
async fn what_is_kept_nowhere_is_told() {
    let (text, to) = (full_world().await.export().await, World::new());
    let jobs = Stores::new(&to.queue);
    let imported = import(&jobs, text.as_bytes(), |_| ()).await.unwrap();
    // Proxies are learnt anew; sessions are not.
    assert_eq!((imported.proxies_left_out, imported.taken.proxies), (1, 0));
    assert_eq!((imported.bad, imported.taken.jobs), (2, 8));
    assert!(imported.bad_lines.iter().all(|bad| bad.what == "sessions cannot be stored here"));
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let (from, to) = (full_world().await, World::new());
    let text = from.export().await;
    to.import(&text).await;
    let before = to.export().await;
    let again = to.import(&text).await;
    assert_eq!((again.taken.jobs, again.taken.sessions), (0, 0));
    assert_eq!((again.known.jobs, again.known.sessions, again.bad), (8, 2, 0));
    assert_eq!(to.export().await, before);
}

#[tokio::test]
async fn the_running_job_of_a_cancelled_batch_comes_in_cancelled() {
    let (from, to) = (World::new(), World::new());
    let mut one = job(1);
    one.batch = Some(batch(1));
    from.queue.enqueue(vec![one]).await.unwrap();
    assert_eq!(claim(&from, 1).await.len(), 1);
    from.queue.alter(&Select::Batch(batch(1)), Alter::Cancel).await.unwrap();
    to.import(&from.export().await).await;
    assert_eq!(
        to.queue.get(&[id(1)]).await.unwrap()[0].as_ref().unwrap().state,
        JobState::Cancelled
    );
    assert!(claim(&to, 1).await.is_empty());
}

#[tokio::test]
async fn a_job_that_somebody_held_waits_and_its_old_fence_stays_old() {
    let (from, to) = (World::new(), World::new());
    from.queue.enqueue(vec![job(1)]).await.unwrap();
    let old = claim(&from, 1).await[0];
    to.import(&from.export().await).await;
    assert!(claim(&to, 1).await[0].fence > old.fence);
}

#[tokio::test]
async fn bad_lines_are_named_and_lose_no_good_ones() {
    let (from, to) = (full_world().await, World::new());
    let text = from.export().await;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let long = format!(r#"{{"job":"{}"#, "x".repeat(300));
    let bad = [
        ("PLANTED not JSON", "column 1: it is not JSON"),
        (r#"{"job":{"id":"PLANTED"}}"#, "column"),
        (r#"{"job":{"id":"00000000-0000-0000-0000-0000000000ff"}}"#, "missing field `queue`"),
        (long.as_str(), "it is not JSON, or was cut off"),
        (&lines[12].replace("/wA=", "/wA"), ""),
        (&lines[12].replace("/wA=", "PLANTED!"), "it is not base64"),
        (&lines[5].replace(r#","at":"2026-11-21T09:00:00.000Z""#, ""), "needs `at`"),
        (&lines[6].replace(r#""dead_reason":"permanent","#, ""), "`dead_reason`"),
        (&lines[5].replace("check/instagram/account", ""), "`queue` is empty"),
        (&lines[5].replace(r#""priority":100"#, r#""priority":1000"#), "column"),
        (r#"{"batch":{"id":"09090909-0909-0909-0909-090909090909","paused":true}}"#, "no job of"),
        (r#"{"secret":"PLANTED"}"#, "not what stands here"),
    ];
    let bad: Vec<_> = bad.map(|(line, what)| (line.to_owned(), what)).into();
    // Empty lines are counted, and no trouble.
    let inserted = bad.iter().flat_map(|(line, _)| [String::new(), line.clone()]);
    lines.splice(1..1, inserted);
    let imported = to.import(&lines.join("\n")).await;
    assert_eq!(imported.taken.jobs, 8);
    let expected: Vec<_> = bad.iter().filter(|(_, what)| !what.is_empty()).collect();
    assert_eq!(imported.bad, expected.len() as u64, "{:#?}", imported.bad_lines);
    let mut found = imported.bad_lines.clone();
    found.sort_by_key(|bad| bad.line);
    for (bad, (line, what)) in found.iter().zip(expected) {
        assert!(bad.what.contains(what), "{bad}: {line}");
        assert_eq!(&lines[usize::try_from(bad.line).unwrap() - 1], line);
        assert!(!bad.what.contains("PLANTED"), "{bad}");
    }
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_an_incomplete_one_is_told() {
    let world = World::new();
    for text in ["", "\n", "hello", "{}", r#"{"end":{}}"#] {
        let error = import(&world.stores(), text.as_bytes(), |_| ()).await.unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
    let newer = r#"{"story_checker_export":{"format":2,"more":true}}"#;
    let error = import(&world.stores(), newer.as_bytes(), |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("the format is 2"), "{error}");

    let text = full_world().await.export().await;
    let (most, _) = text.split_at(text.rfind(r#"{"end""#).unwrap());
    let imported = world.import(most).await;
    assert!(!imported.complete && imported.taken.jobs == 8);
    // A second export behind the first is no trouble.
    assert!(world.import(&format!("{most}{text}")).await.complete);
}

#[tokio::test]
async fn a_full_queue_refuses_by_line_and_a_limit_of_the_export_does_not() {
    let (from, to) = (World::new(), World::new());
    from.queue.enqueue((1..=3).map(job).collect()).await.unwrap();
    let limit = |max| QueueControl { max_len: Some(Some(max)), ..QueueControl::default() };
    from.queue.configure(&"check/instagram/account".into(), limit(2)).await.unwrap();
    let text = from.export().await;
    assert_eq!(to.import(&text).await.taken.jobs, 3);
    assert_eq!(to.export().await, text);

    let small = World::new();
    small.queue.configure(&"check/instagram/account".into(), limit(2)).await.unwrap();
    let imported = small.import(&text).await;
    assert_eq!((imported.taken.jobs, imported.bad), (2, 1));
    let bad = imported.bad_lines[0].to_string();
    assert!(bad.starts_with("line 5: its queue is full"), "{bad}");
}

#[tokio::test]
async fn configuration_goes_through_and_progress_is_told() {
    let (from, to) = (World::new(), World::new());
    for first in [1, 1 + MAX_ITEMS as u64, 1 + 2 * MAX_ITEMS as u64] {
        from.queue.enqueue((first..first + 400).map(job).collect()).await.unwrap();
    }
    let (mut text, mut seen) = (Vec::new(), Vec::new());
    let counts =
        export(&from.stores(), Some("a = 1\n"), &mut text, |counts| seen.push(counts.jobs))
            .await
            .unwrap();
    assert_eq!(counts.jobs, 1200);
    assert_eq!(seen[..3], [512, 1024, 1200]);
    let mut seen = Vec::new();
    let reader = BufReader::with_capacity(7, text.as_slice());
    let imported =
        import(&to.stores(), reader, |so_far| seen.push(so_far.taken.jobs)).await.unwrap();
    assert_eq!(imported.config.as_deref(), Some("a = 1\n"));
    assert_eq!(seen, [512, 1024, 1200, 1200]);
    assert_eq!(imported.taken.to_string().split(',').next(), Some("1200 jobs"));
}

#[tokio::test]
async fn a_sink_that_fails_is_told() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = export(&World::new().stores(), None, Full, |_| ()).await.unwrap_err();
    assert!(error.to_string().starts_with("could not export the store"), "{error}");
}

#[cfg(feature = "seal")]
mod sealed {
    use super::*;
    use crate::seal::Keyring;

    #[tokio::test]
    async fn secrets_go_sealed_and_come_in_with_the_key_only() {
        let from = full_world().await;
        let keys = Keyring::parse(Keyring::generate().unwrap().expose()).unwrap();
        let mut text = Vec::new();
        export(&from.stores().with_secrets(&keys), None, &mut text, |_| ()).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("PLANTED") && text.contains(r#""sealed":""#));

        let to = World::new();
        let imported =
            import(&to.stores().with_secrets(&keys), text.as_bytes(), |_| ()).await.unwrap();
        assert_eq!((imported.taken.sessions, imported.without_secrets), (2, 0));
        let records = to.sessions.list(None, 9).await.unwrap();
        assert_eq!(records, from.sessions.list(None, 9).await.unwrap());
        assert_eq!(to.export().await, from.export().await);

        let other = Keyring::parse(Keyring::generate().unwrap().expose()).unwrap();
        for stores in [World::new().stores(), World::new().stores().with_secrets(&other)] {
            let imported = import(&stores, text.as_bytes(), |_| ()).await.unwrap();
            assert_eq!((imported.bad, imported.taken.sessions, imported.taken.jobs), (2, 0, 8));
            assert!(imported.bad_lines[0].what.contains("key"), "{}", imported.bad_lines[0]);
        }
    }
}

/// What was done with one job.
#[derive(Clone, Debug)]
enum Fate {
    Waits,
    Cancelled,
    Settled(Outcome),
}

fn fate() -> impl Strategy<Value = Fate> {
    let bytes = || vec(any::<u8>(), 0..12).prop_map(Bytes::from);
    let span = || (0..100_000u64).prop_map(Duration::from_millis);
    let reason = prop_oneof![Just(DeadReason::Attempts), Just(DeadReason::Crashed)];
    prop_oneof![
        Just(Fate::Waits),
        Just(Fate::Cancelled),
        bytes().prop_map(|result| Fate::Settled(Outcome::Done { result })),
        (reason, bytes())
            .prop_map(|(reason, result)| Fate::Settled(Outcome::Dead { reason, result })),
        (span(), any::<String>())
            .prop_map(|(after, note)| Fate::Settled(Outcome::Retry { after, note })),
        (span(), any::<String>())
            .prop_map(|(after, note)| Fate::Settled(Outcome::Defer { after, note })),
        span().prop_map(|after| Fate::Settled(Outcome::Release { after })),
    ]
}

fn any_job() -> impl Strategy<Value = (NewJob, Fate)> {
    let bytes = |max| vec(any::<u8>(), 0..max).prop_map(Bytes::from);
    let payload = prop_oneof![bytes(40), any::<String>().prop_map(Bytes::from)];
    let span = || option::of((0..100_000u64).prop_map(Duration::from_millis));
    let plain = (any::<u128>(), "[ab]", option::of(0..4u8), any::<u8>(), payload);
    (plain, span(), span(), option::of(bytes(2)), fate()).prop_map(
        |((id, queue, batch_number, priority, payload), delay, deadline, unique, fate)| {
            let id = JobId::from_bytes(id.to_be_bytes());
            let mut job = NewJob::new(id, QueueName::new(queue), payload);
            job.batch = batch_number.map(batch);
            job.priority = priority;
            job.delay = delay.unwrap_or_default();
            job.deadline = deadline;
            job.unique = unique;
            (job, fate)
        },
    )
}

async fn random_world(jobs: Vec<(NewJob, Fate)>, flags: Vec<(u8, Alter)>) -> World {
    let world = World::new();
    for (job, fate) in jobs {
        let (id, queue) = (job.id, job.queue.clone());
        world.queue.enqueue(vec![job]).await.unwrap();
        match fate {
            Fate::Waits => {}
            Fate::Cancelled => {
                world.queue.alter(&Select::Jobs(vec![id]), Alter::Cancel).await.unwrap();
            }
            Fate::Settled(outcome) => {
                let wants = vec![(queue, 1)];
                let request = ClaimRequest::new(wants, "worker".into(), Duration::from_secs(60));
                let claimed = world.queue.claim(&request).await.unwrap().jobs;
                let settle = |job: &ClaimedJob| Settlement::new(job.lease, outcome.clone());
                let settlements = claimed.iter().map(settle).collect();
                world.queue.settle(settlements, None).await.unwrap();
            }
        }
    }
    for (number, alter) in flags {
        world.queue.alter(&Select::Batch(batch(number)), alter).await.unwrap();
    }
    world
}

proptest! {
    #[test]
    fn a_store_and_its_copy_have_the_same_export(
        jobs in vec(any_job(), 0..40),
        flags in vec((0..4u8, prop_oneof![Just(Alter::Cancel), Just(Alter::Pause)]), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (from, to) = (random_world(jobs, flags).await, World::new());
            let text = from.export().await;
            let imported = to.import(&text).await;
            assert_eq!(imported.bad, 0, "{:?}", imported.bad_lines);
            let again = to.export().await;
            assert_eq!(text, again);
            let all = from.queue.list(&JobFilter::default(), None, MAX_ITEMS).await.unwrap();
            assert_eq!(imported.taken.jobs, all.jobs.len() as u64);
            Ok::<_, TestCaseError>(())
        })?;
    }

    #[test]
    fn foreign_text_never_panics(lines in vec(".{0,40}", 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let header = r#"{"story_checker_export":{"format":1}}"#;
        let text = format!("{header}\n{}", lines.join("\n"));
        runtime.block_on(World::new().import(&text));
    }
}
