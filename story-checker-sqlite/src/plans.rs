//! No statement of this crate walks through a table that grows, nor sorts what it found.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use story_checker_core::cache::{Cache, CacheEntry};
use story_checker_core::proxy::{ProxySource, ProxyState, StaticProxySource};
use story_checker_core::queue::{
    Alter, Beat, ClaimRequest, JobFilter, JobQueue, JobState, NewJob, Outcome, QueueControl,
    QueueName, Select, Settlement, StatsQuery,
};
use story_checker_core::retry::DeadReason;
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Credentials, SessionChange, SessionKind, SessionLease, SessionLeaseRequest, SessionRecord,
    SessionState, SessionStore,
};
use story_checker_core::{BatchId, JobId, ProxyId, SessionId, Timestamp, WorkerId};

use crate::trace::seen;
use crate::{HostClock, HostTime, SqliteOptions, SqliteStore};

/// Parts of plans that may walk, what the statement must then say, and why.
const ALLOWED: [(&str, &str, &str); 11] = [
    ("SCAN job USING INDEX job_lease", "", "as many as workers hold"),
    ("SCAN job USING COVERING INDEX job_lease", "", "as many as workers hold"),
    ("SCAN job USING INDEX job_ready", "LIMIT", "to list few of a state"),
    ("SCAN job USING INDEX job_due", "LIMIT", "to list few of a state"),
    ("SCAN job USING INDEX job_done", "LIMIT", "to list few of a state, or drop the oldest"),
    ("SCAN job USING INDEX job_rest", "LIMIT", "to drop the oldest"),
    ("SCAN batch USING COVERING INDEX batch_cancelled", "", "few, until they are forgotten"),
    ("SCAN batch USING COVERING INDEX batch_sweep", "LIMIT", "cancelled ones"),
    ("SCAN cache USING COVERING INDEX", "count(*)", "for statistics"),
    ("SCAN session", "ORDER BY label", "all sessions: new keys seal each of them"),
    ("SCAN proxy", "ORDER BY id", "all proxies, read once"),
];

#[derive(Debug)]
struct Hand(Mutex<u64>);

impl HostClock for Hand {
    fn read(&self) -> HostTime {
        let now = *self.0.lock().unwrap();
        HostTime::new(1, now, Timestamp::from_millis(1_795_251_600_000 + now))
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn id(number: u128) -> JobId {
    JobId::from_bytes(number.to_be_bytes())
}

fn request(want: usize) -> ClaimRequest {
    ClaimRequest::new(vec![("check".into(), want)], "w".into(), MINUTE)
}

/// Every verb of the queue, with every outcome, change and filter.
async fn work_on_jobs(queue: &dyn JobQueue, hand: &Hand) {
    let batch = |number: u8| BatchId::from_bytes([number; 16]);
    let name: QueueName = "check".into();
    let job = |number: u128| {
        let mut job = NewJob::new(id(number), name.clone(), "payload".into());
        job.batch = Some(batch(u8::try_from(number % 3).unwrap() + 1));
        job.unique = number.is_multiple_of(2).then(|| number.to_be_bytes().to_vec().into());
        job.deadline = Some(MINUTE * 30);
        job
    };
    queue.enqueue((1..=40).map(job).collect()).await.unwrap();
    let mut later = job(41);
    later.delay = MINUTE * 2;
    let plain = NewJob::new(id(42), name.clone(), "payload".into());
    queue.enqueue(vec![later, plain, job(2)]).await.unwrap();
    let mut control = QueueControl::default();
    (control.paused, control.max_len) = (Some(false), Some(Some(1_000)));
    queue.configure(&name, control).await.unwrap();
    queue.enqueue(vec![job(43)]).await.unwrap();
    assert!(queue.wait(std::slice::from_ref(&name), MINUTE).await.unwrap());

    let (after, note) = (MINUTE, "why".to_owned());
    let outcomes = [
        Outcome::Cancelled,
        Outcome::Dead { reason: DeadReason::Permanent, result: "r".into() },
        Outcome::Defer { after, note: note.clone() },
        Outcome::Done { result: "r".into() },
        Outcome::Release { after: Duration::ZERO },
        Outcome::Retry { after, note },
    ];
    let claimed = queue.claim(&request(12)).await.unwrap();
    assert_eq!(claimed.jobs.len(), 12);
    let settlements = claimed.jobs.iter().zip(outcomes);
    let settlements = settlements.map(|(job, outcome)| Settlement::new(job.lease, outcome));
    queue.settle(settlements.collect(), Some(&request(3))).await.unwrap();
    let held = claimed.jobs[6..].iter().map(|job| job.lease).collect();
    queue.beat(&Beat::new("w".into(), MINUTE, held)).await.unwrap();
    look(queue, batch(1)).await;

    for alter in [Alter::Pause, Alter::Resume, Alter::Cancel, Alter::Replay, Alter::Cancel] {
        queue.alter(&Select::Batch(batch(1)), alter).await.unwrap();
        look(queue, batch(1)).await;
    }
    let all = Select::Jobs((1..=43).map(id).collect());
    *hand.0.lock().unwrap() += 180_000;
    let mut hopeless = request(2);
    hopeless.hopeless_within = Some(MINUTE * 60);
    queue.claim(&hopeless).await.unwrap();
    queue.claim(&request(2)).await.unwrap();
    while queue.maintain(10).await.unwrap().more {}
    for alter in [Alter::Deadline(Some(MINUTE)), Alter::Cancel, Alter::Replay, Alter::Cancel] {
        queue.alter(&all, alter).await.unwrap();
    }
    // Workers are forgotten, batches as well, and ended jobs dropped.
    *hand.0.lock().unwrap() += 40 * 86_400_000;
    while queue.maintain(100).await.unwrap().more {}
    queue.alter(&all, Alter::Delete).await.unwrap();
    while queue.maintain(100).await.unwrap().more {}
}

async fn look(queue: &dyn JobQueue, batch: BatchId) {
    let states = [
        None,
        Some(JobState::Cancelled),
        Some(JobState::Dead),
        Some(JobState::Done),
        Some(JobState::Leased),
        Some(JobState::Ready),
        Some(JobState::Scheduled),
    ];
    for state in states {
        for of in [None, Some(batch)] {
            for name in [None, Some(QueueName::from("check"))] {
                for worker in [None, Some(WorkerId::new("w"))] {
                    let mut filter = JobFilter::default();
                    (filter.state, filter.batch) = (state, of);
                    (filter.queue, filter.worker) = (name.clone(), worker);
                    queue.list(&filter, Some(id(1)), 5).await.unwrap();
                }
            }
        }
    }
    queue.get(&[id(1), id(99)]).await.unwrap();
    for query in [
        StatsQuery::Batches(vec![batch]),
        StatsQuery::BatchesAfter { after: None, limit: 5 },
        StatsQuery::Queues,
        StatsQuery::Workers,
    ] {
        queue.stats(&query).await.unwrap();
    }
}

async fn work_on_the_rest(store: &SqliteStore) {
    let line = Keyring::generate().unwrap();
    let keys = Arc::new(Keyring::parse(line.expose()).unwrap());
    let sessions = store.sessions(keys);
    let kind = SessionKind::new("instagram");
    let named = SessionId::new("one");
    let record = SessionRecord::new(named.clone(), kind.clone(), Credentials::default());
    sessions.put(vec![record]).await.unwrap();
    let request = SessionLeaseRequest::new(kind, "w".into(), MINUTE, 2);
    let leased = sessions.lease(&request).await.unwrap();
    let lease = SessionLease::new(named.clone(), leased.sessions[0].1);
    sessions.renew(std::slice::from_ref(&lease), MINUTE).await.unwrap();
    let change = SessionChange::new(lease.clone(), SessionState::Valid, Arc::default(), None);
    sessions.save(vec![change]).await.unwrap();
    sessions.release(&[lease]).await.unwrap();
    sessions.list(None, 5).await.unwrap();
    sessions.list(Some(named.clone()), 5).await.unwrap();
    sessions.reseal().await.unwrap();
    sessions.remove(&[named]).await.unwrap();

    let proxies = store.proxies(Arc::new(StaticProxySource::default()));
    let cooling = ProxyState::Cooling { until: Timestamp::from_secs(9), reason: "407".into() };
    proxies.save(&[(ProxyId::new("one"), cooling)]).await.unwrap();
    proxies.load().await.unwrap();

    let cache = store.cache();
    cache.put(vec![CacheEntry::new("key", "value")]).await.unwrap();
    cache.get(&["key".to_owned()]).await.unwrap();
    cache.remove(&["key".to_owned()]).await.unwrap();
    cache.stats().await.unwrap();
}

/// What the plan of a statement does that it may not.
fn faults(sql: &Connection, text: &str) -> Vec<String> {
    let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let steps = plan.raw_query();
    let steps = steps.mapped(|row| row.get::<_, String>(3)).map(|step| step.unwrap());
    let wrong = |step: &String| {
        let walks = step.contains("SCAN ") && !step.contains("CONSTANT ROW");
        let allowed =
            |(start, says, _): &(&str, &str, &str)| step.starts_with(start) && text.contains(says);
        step.contains("TEMP B-TREE")
            || step.contains("AUTOMATIC")
            || walks && !ALLOWED.iter().any(allowed)
    };
    steps.filter(wrong).map(|step| format!("{step}: {text}")).collect()
}

fn planned(path: &Path) -> (usize, Vec<String>) {
    let sql = Connection::open(path).unwrap();
    let texts = seen();
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let texts = texts.iter().filter(|text| verbs.iter().any(|verb| text.starts_with(verb)));
    let texts: Vec<_> = texts.filter(|text| !text.contains("sqlite_schema")).collect();
    (texts.len(), texts.iter().flat_map(|text| faults(&sql, text)).collect())
}

#[tokio::test]
async fn no_statement_walks_or_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let hand = Arc::new(Hand(Mutex::new(1_000_000)));
    let options = SqliteOptions { clock: Arc::<Hand>::clone(&hand), ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options).await.unwrap();
    work_on_jobs(&store.queue(), &hand).await;
    work_on_the_rest(&store).await;
    let (statements, faults) = planned(&path);
    assert!(statements > 80, "the work runs every statement, also {statements} are few");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_walk_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let sql = Connection::open(folder.path().join("store.sqlite")).unwrap();
    sql.execute_batch("CREATE TABLE job(id INTEGER PRIMARY KEY, note TEXT)").unwrap();
    assert_eq!(faults(&sql, "SELECT id FROM job WHERE note = ?1").len(), 1);
    assert_eq!(faults(&sql, "SELECT id FROM job WHERE id > 5 ORDER BY note").len(), 1);
    assert!(faults(&sql, "SELECT note FROM job WHERE id = ?1").is_empty());
}
