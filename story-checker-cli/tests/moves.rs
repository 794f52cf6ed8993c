//! What is in one sort of store is the same in another.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::proxy::{ProxySource, ProxyState, StaticProxySource};
use story_checker_core::queue::{
    Alter, ClaimRequest, ClaimedJob, JobQueue, NewJob, Outcome, QueueControl, QueueName, Select,
    Settlement,
};
use story_checker_core::retry::DeadReason;
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Cookie, Credentials, SessionKind, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{BatchId, JobId, Timestamp};
use story_checker_redis::{RedisOptions, RedisStore};
use story_checker_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{redis, run, stderr, stdout};

const HOUR: Duration = Duration::from_secs(3_600);

fn batch(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

/// Makes jobs with ids that count.
struct Jobs<'a> {
    queue: &'a dyn JobQueue,
    made: u128,
}

impl Jobs<'_> {
    /// A job in the queue of this name, changed as told.
    async fn add(&mut self, name: &str, change: impl FnOnce(&mut NewJob)) {
        self.made += 1;
        let (id, payload) = (JobId::from_bytes(self.made.to_be_bytes()), format!("{name} it"));
        let mut job = NewJob::new(id, name.into(), payload.into());
        change(&mut job);
        self.queue.enqueue(vec![job]).await.unwrap();
    }

    async fn claim(&self, name: &str, lease: Duration) -> ClaimedJob {
        let request = ClaimRequest::new(vec![(name.into(), 1)], "worker".into(), lease);
        self.queue.claim(&request).await.unwrap().jobs.remove(0)
    }

    /// Ends the lease of the first job of this queue.
    async fn settle(&self, name: &str, outcome: Outcome) {
        let lease = self.claim(name, HOUR).await.lease;
        self.queue.settle(vec![Settlement::new(lease, outcome)], None).await.unwrap();
    }

    /// One job with this fate, in a queue of its name.
    async fn end(&mut self, name: &str, outcome: Outcome) {
        self.add(name, |_| ()).await;
        self.settle(name, outcome).await;
    }
}

/// Jobs in every state, and with everything that a job may have.
async fn fill_jobs(queue: &dyn JobQueue) {
    let mut jobs = Jobs { queue, made: 0 };
    jobs.add("wait", |job| job.priority = 0).await;
    jobs.add("wait", |job| job.delay = HOUR).await;
    jobs.add("wait", |job| {
        job.payload = b"\xff\0\x80 no text".as_slice().into();
        job.unique = Some(b"\0key".as_slice().into());
        job.deadline = Some(HOUR * 2);
    })
    .await;
    jobs.add("wait/ünïcode \"quoted\"", |job| job.payload = Default::default()).await;
    jobs.add("held", |_| ()).await;
    jobs.claim("held", HOUR).await;
    jobs.add("crashed", |_| ()).await;
    jobs.claim("crashed", Duration::from_millis(1)).await;
    while queue.maintain(9).await.unwrap().reaped == 0 {}

    // Its key is free again, and taken by another.
    let unique = |job: &mut NewJob| job.unique = Some(b"again".as_slice().into());
    jobs.add("done", unique).await;
    jobs.settle("done", Outcome::Done { result: r#"{"v":"ä"}"#.into() }).await;
    jobs.add("done", unique).await;
    jobs.end("done of bytes", Outcome::Done { result: b"\xfe\xff".as_slice().into() }).await;
    jobs.end("done for nothing", Outcome::Done { result: Default::default() }).await;
    jobs.end("done late", Outcome::Retry { after: Duration::ZERO, note: "HTTP 500".into() }).await;
    jobs.settle("done late", Outcome::Done { result: b"at last".as_slice().into() }).await;
    for reason in [
        DeadReason::Attempts,
        DeadReason::BadPayload,
        DeadReason::Crashed,
        DeadReason::Deadline,
        DeadReason::Deferrals,
        DeadReason::Permanent,
    ] {
        let result = format!("{reason:?}").into();
        jobs.end("dead", Outcome::Dead { reason, result }).await;
    }
    let (reason, result) = (DeadReason::Permanent, Default::default());
    jobs.end("dead", Outcome::Dead { reason, result }).await;
    jobs.end("cancelled", Outcome::Cancelled).await;
    jobs.add("cancelled", |_| ()).await;
    let last = Select::Jobs(vec![JobId::from_bytes(jobs.made.to_be_bytes())]);
    queue.alter(&last, Alter::Cancel).await.unwrap();
    jobs.end("retried", Outcome::Retry { after: HOUR, note: "HTTP 502\n\"bad\"".into() }).await;
    jobs.end("put off", Outcome::Defer { after: Duration::ZERO, note: "no session".into() }).await;
    jobs.end("put off", Outcome::Defer { after: HOUR, note: "ünïcode".into() }).await;
    jobs.end("given back", Outcome::Release { after: HOUR }).await;

    for number in [9, 1, 2, 3] {
        for delay in [Duration::ZERO, HOUR] {
            let change = |job: &mut NewJob| (job.batch, job.delay) = (Some(batch(number)), delay);
            jobs.add("of batches", change).await;
        }
    }
    jobs.settle("of batches", Outcome::Done { result: Default::default() }).await;
    for (number, alter) in [(1, Alter::Cancel), (2, Alter::Pause), (3, Alter::Pause)] {
        queue.alter(&Select::Batch(batch(number)), alter).await.unwrap();
    }
    queue.alter(&Select::Batch(batch(3)), Alter::Cancel).await.unwrap();
    let controls =
        [("wait", Some(true), None), ("done", Some(true), Some(7)), ("dead", None, Some(3))];
    for (name, paused, max_len) in controls {
        let mut control = QueueControl::default();
        (control.paused, control.max_len) = (paused, max_len.map(Some));
        queue.configure(&QueueName::new(name), control).await.unwrap();
    }
}

/// A session in every state, each with secrets of its own.
async fn fill_sessions(sessions: &dyn SessionStore) {
    let reason = || "ünïcode: said \"no\"".to_owned();
    let states = [
        ("b", SessionState::Valid),
        ("B", SessionState::Challenged { reason: reason() }),
        (
            "é",
            SessionState::CoolingDown {
                until: Timestamp::from_secs(4_000_000_000),
                reason: reason(),
            },
        ),
        ("1", SessionState::Expired),
        ("a b", SessionState::NeedsLogin { reason: reason() }),
        ("c", SessionState::Retired),
        ("d", SessionState::Suspended { reason: reason() }),
    ];
    let records = states.into_iter().map(|(name, state)| {
        let mut credentials =
            Credentials::from_cookies(vec![Cookie::new("sessionid", format!("PLANTED {name}"))]);
        credentials
            .tokens
            .insert("access_token".to_owned(), format!("PLANTED token {name}").into());
        credentials.user_agent = Some("a browser".to_owned());
        credentials.expires_at = Some(Timestamp::from_secs(5_000_000_000));
        let kind = SessionKind::from_static("instagram-web");
        let mut record = SessionRecord::new(name.into(), kind, credentials);
        record.account = Some(format!("account of {name}"));
        record.home_proxy = Some("proxy:1".into());
        record.state = state;
        record
    });
    sessions.put(records.collect()).await.unwrap();
}

async fn fill(store: &SqliteStore, keys: &Arc<Keyring>) {
    fill_jobs(&store.queue()).await;
    fill_sessions(&store.sessions(Arc::clone(keys))).await;
    let cooling =
        ProxyState::Cooling { until: Timestamp::from_secs(4_000_000_000), reason: "407".into() };
    let disabled = ProxyState::Disabled { reason: "sold".into() };
    let states = [("proxy:1".into(), cooling), ("proxy:2".into(), disabled)];
    store.proxies(Arc::new(StaticProxySource::default())).save(&states).await.unwrap();
}

/// What must be the same: all but the sealed secrets, which are never sealed twice in the same way,
/// and the states of proxies.
fn comparable(export: &str) -> String {
    let mut text = String::new();
    for line in export.lines().filter(|line| !line.starts_with(r#"{"proxy":"#)) {
        let (before, after) = match line.split_once(r#""sealed":""#) {
            Some((before, after)) => (before, after.split_once('"').unwrap().1),
            None => (line, ""),
        };
        text.push_str(&format!("{before}{after}\n"));
    }
    text.replace(r#""proxies":2,"#, r#""proxies":0,"#)
}

#[test]
fn what_goes_from_sqlite_to_redis_and_back_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, url) = redis(folder);
    let told = |command: &str, store: &str| {
        let mut arguments: Vec<_> = command.split(' ').collect();
        arguments.extend(["--key-file", "keys.txt", "--store", store]);
        let output = run(folder, &arguments);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
        stdout(&output).to_owned()
    };
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(run(folder, &["key", "new", "keys.txt"]).status.code(), Some(0));
    let keys = Arc::new(Keyring::from_file(folder.join("keys.txt")).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = |name: &str| runtime.block_on(sqlite(&folder.join(name)));
    runtime.block_on(fill(&open("jobs.db"), &keys));

    let exported = told("export one.ndjson --with-secrets", "sqlite:jobs.db");
    assert!(exported.starts_with("exported 32 jobs, 7 sessions, 2 states of"), "{exported}");
    let imported = told("import one.ndjson", &url);
    let left_out = "; 2 states of proxies were left out: they are not kept here\n";
    assert!(
        imported.ends_with(left_out) && !imported.contains("2 states of proxies,"),
        "{imported}"
    );
    told("export two.ndjson --with-secrets", &url);
    told("import two.ndjson", "sqlite:back.db");
    told("export three.ndjson --with-secrets", "sqlite:back.db");
    let (one, two, three) = (read("one.ndjson"), read("two.ndjson"), read("three.ndjson"));
    assert_eq!(one.matches(r#"{"proxy":"#).count(), 2);
    assert_eq!((two.matches("proxy\":{").count(), two.matches(r#""sealed":"#).count()), (0, 7));
    assert_eq!(comparable(&one), comparable(&two));
    assert_eq!(comparable(&one), comparable(&three));
    for text in [one, two, three] {
        assert!(!text.contains("PLANTED"), "secrets are sealed");
    }

    let there = runtime.block_on(RedisStore::connect(&url, RedisOptions::default())).unwrap();
    let list = |sessions: &dyn SessionStore| runtime.block_on(sessions.list(None, 99)).unwrap();
    let first = list(&open("jobs.db").sessions(Arc::clone(&keys)));
    assert_eq!(first.len(), 7);
    assert_eq!(first, list(&there.sessions(Arc::clone(&keys))));
    assert_eq!(first, list(&open("back.db").sessions(Arc::clone(&keys))));
}

async fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).await.unwrap()
}
