//! Stores that fail: the engine waits, and nothing is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mockall::mock;
use story_checker_core::checker::CheckerProfile;
use story_checker_core::engine::{Event, SubmitOptions};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState};
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, InMemoryJobQueue, JobFilter,
    JobQueue, JobView, Maintained, NewJob, Page, QueueControl, QueueName, Select, Settled,
    Settlement, Stats, StatsQuery,
};
use story_checker_core::session::{
    LeaseReply, LeasedSessions, PutReply, SessionChange, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionStore,
};
use story_checker_core::{
    Certainty, Class, Clock, Error, ErrorKind, Fault, JobId, Platform, ProxyId, Result, Scope,
    SessionId, Verdict,
};

use crate::support::{
    Acting, SECOND, START, Scripted, Step, World, active, kind, report, reports, targets,
};

fn down(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, Certainty::MaybeApplied, operation)
}

/// A queue that fails while it is told to. Half of the failures come after the call was applied:
/// only the reply is lost.
#[derive(Debug)]
struct Flaky {
    inner: InMemoryJobQueue,
    down: AtomicBool,
    calls: AtomicUsize,
    /// No beat is answered.
    hangs: AtomicBool,
}

impl Flaky {
    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if !self.down.load(Ordering::SeqCst) {
            return call.await;
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            call.await?;
        }
        Err(down(operation))
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky queue")
    }
}

#[async_trait]
impl JobQueue for Flaky {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        self.inner.enqueue(jobs).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        self.call("claim", self.inner.claim(request)).await
    }

    async fn settle(
        &self,
        all: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        self.call("settle", self.inner.settle(all, next)).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        if self.hangs.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        self.call("beat", self.inner.beat(beat)).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.call("wait", self.inner.wait(queues, max)).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        self.call("maintain", self.inner.maintain(budget)).await
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        self.inner.alter(select, alter).await
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.inner.configure(queue, control).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        self.inner.get(ids).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        self.inner.list(filter, after, limit).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        self.inner.stats(query).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_reported_twice_while_the_queue_comes_and_goes() {
    for outage in [SECOND / 10, SECOND * 10, SECOND * 300] {
        let step = |target: &story_checker_core::Target| {
            Step::After(SECOND / 4, report(target, Verdict::Active))
        };
        let mut world = World::new(Scripted::new(3, move |target, _, _| step(target)), 4).await;
        let flaky = Arc::new(Flaky {
            inner: InMemoryJobQueue::new(world.clock.clone()),
            down: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            hangs: AtomicBool::new(false),
        });
        world.queue = flaky.clone();
        world.config.max_crashes = 100;
        let (engine, mut events) = world.start().await;
        engine.submit(targets(200), SubmitOptions::default()).await.unwrap();
        let trouble = async {
            for _ in 0..3 {
                tokio::time::sleep(SECOND).await;
                flaky.down.store(true, Ordering::SeqCst);
                tokio::time::sleep(outage).await;
                flaky.down.store(false, Ordering::SeqCst);
            }
        };
        let (all, ()) = tokio::join!(reports(&mut events, 200, |_| {}), trouble);
        let unique: std::collections::HashSet<_> =
            all.iter().map(|report| &report.target).collect();
        assert_eq!(unique.len(), 200, "outage of {outage:?}");
        engine.shutdown(SECOND * 60).await;
        while let Some(event) = events.next().await {
            assert!(!matches!(event, Event::Reported { .. }), "reported twice");
        }
    }
}

mock! {
    #[derive(Debug)]
    Sessions {}

    impl fmt::Display for Sessions {
        fn fmt<'a>(&self, f: &mut fmt::Formatter<'a>) -> fmt::Result;
    }

    #[async_trait]
    impl SessionStore for Sessions {
        async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>>;
        async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions>;
        async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>>;
        async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>>;
        async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>>;
        async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>>;
        async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>>;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_session_store_delays_and_is_named() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let real = world.sessions.clone();
    let mut mock = MockSessions::new();
    let failures = Arc::new(AtomicUsize::new(0));
    let (count, inner) = (Arc::clone(&failures), real.clone());
    mock.expect_lease().returning(move |request| {
        if count.fetch_add(1, Ordering::SeqCst) < 4 {
            return Err(down("lease sessions"));
        }
        futures_util::FutureExt::now_or_never(inner.lease(request)).unwrap()
    });
    mock.expect_list().returning(|_, _| Err(down("list sessions")));
    mock.expect_renew().returning(|leases, _| Ok(vec![LeaseReply::Held; leases.len()]));
    mock.expect_release().returning(|_| Err(down("release sessions")));
    let engine = world.builder().sessions(Arc::new(mock)).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    let why = engine.why_not(&targets(1)[0]).await.unwrap();
    assert!(why.message.contains("could not list sessions"), "{why:?}");
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert!(failures.load(Ordering::SeqCst) > 4);
    assert!(engine.shutdown(SECOND).await.in_time, "a store that fails to the end stops nothing");
}

#[tokio::test(start_paused = true)]
async fn the_sessions_are_not_counted_anew_for_every_check_that_finds_none() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 0).await;
    let counted = Arc::new(AtomicUsize::new(0));
    let mut mock = MockSessions::new();
    mock.expect_lease().returning(|_| Ok(LeasedSessions::default()));
    mock.expect_renew().returning(|_, _| Ok(vec![]));
    let count = Arc::clone(&counted);
    mock.expect_list().returning(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Err(down("list sessions")),
        _ => Ok(vec![]),
    });
    let none = Acting::new(CheckerProfile::new(Platform::INSTAGRAM), |_, cx| async move {
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.session = Some(kind());
        vec![Err(cx.lend(&profile, None).await.unwrap_err())]
    });
    let builder = world.builder_of(none).sessions(Arc::new(mock));
    let engine = builder.build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(100, story_checker_core::engine::Overflow::Wait);
    for (checks, says, census) in [
        (1, "import one, or see why the one there is", 1),
        (20, "there is no session of the kind test: import one", 2),
        (20, "there is no session of the kind test: import one", 3),
    ] {
        tokio::time::sleep(SECOND * 10).await;
        engine.submit(targets(checks), SubmitOptions::default()).await.unwrap();
        for report in reports(&mut events, checks, |_| {}).await {
            let Verdict::Unknown { cause } = &report.verdict else { panic!("{report:?}") };
            assert_eq!((cause.class, cause.scope), (Class::AuthRequired, Scope::Target));
            assert!(cause.message.contains(says), "{cause:?}");
        }
        assert_eq!(counted.load(Ordering::SeqCst), census);
    }
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_stored_even_if_the_store_fails_for_longer_than_a_lease() {
    let challenge = || {
        let fault = story_checker_core::Fault::new(
            story_checker_core::Class::ChallengeRequired,
            story_checker_core::Scope::Session,
            "checkpoint",
        );
        Step::Now(Err(fault))
    };
    let world = World::new(Scripted::new(1, move |_, _, _| challenge()), 1).await;
    let real = world.sessions.clone();
    let mut mock = MockSessions::new();
    let inner = real.clone();
    mock.expect_lease().returning(move |request| {
        futures_util::FutureExt::now_or_never(inner.lease(request)).unwrap()
    });
    let (inner, back_at) = (real.clone(), START + world.config.lease * 3);
    let clock = world.clock.clone();
    mock.expect_save().returning(move |changes| {
        if clock.now() < back_at {
            return Err(down("save sessions"));
        }
        futures_util::FutureExt::now_or_never(inner.save(changes)).unwrap()
    });
    mock.expect_release().returning(|leases| Ok(vec![LeaseReply::Held; leases.len()]));
    mock.expect_renew().returning(|_, _| Err(down("renew sessions")));
    let engine = world.builder().sessions(Arc::new(mock)).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    while !matches!(events.next().await.unwrap(), Event::SessionChanged { .. }) {}
    assert_eq!(world.state("s0").await.as_str(), "challenged");
    assert_eq!(world.checker.seen.lock().unwrap().calls.len(), 1);
    engine.shutdown(SECOND).await;
}

/// A source whose list can be changed, and that can fail.
#[derive(Debug, Default)]
struct Changing {
    hosts: std::sync::Mutex<Vec<&'static str>>,
    broken: AtomicBool,
    changed: tokio::sync::Notify,
}

impl fmt::Display for Changing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("changing list")
    }
}

#[async_trait]
impl ProxySource for Changing {
    async fn list(&self) -> Result<Vec<Proxy>> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::invalid("read the proxy list", "line 3 is no address"));
        }
        let hosts = self.hosts.lock().unwrap();
        Ok(hosts.iter().map(|host| Proxy::new(format!("{host}:1").parse().unwrap())).collect())
    }

    async fn changed(&self) -> Result<()> {
        self.changed.notified().await;
        Ok(())
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[(ProxyId, ProxyState)]) -> Result<()> {
        Err(down("save proxy states"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_list_of_proxies_is_taken_over_and_a_broken_one_is_not() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let source = Arc::new(Changing::default());
    *source.hosts.lock().unwrap() = vec!["a"];
    let engine = world.builder().proxies(source.clone()).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    let mut through = Vec::new();
    for change in ["", "b", "broken"] {
        match change {
            "" => {}
            "broken" => source.broken.store(true, Ordering::SeqCst),
            host => *source.hosts.lock().unwrap() = vec![host],
        }
        source.changed.notify_one();
        tokio::time::sleep(SECOND).await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        reports(&mut events, 1, |_| {}).await;
        through.push(world.checker.seen.lock().unwrap().pairs.last().unwrap().1.clone().unwrap());
    }
    assert_eq!(through, ["http://a:1", "http://b:1", "http://b:1"]);
    engine.shutdown(SECOND).await;

    let refused = world.builder().proxies(source).build().unwrap().start().await;
    assert!(refused.unwrap_err().to_string().contains("line 3"), "at the start it is an error");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_home_could_not_be_stored_is_not_lost() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let world = world.with_proxies(&["a"]);
    let real = world.sessions.clone();
    let mut mock = MockSessions::new();
    let inner = real.clone();
    mock.expect_lease().returning(move |request| {
        futures_util::FutureExt::now_or_never(inner.lease(request)).unwrap()
    });
    let inner = real.clone();
    mock.expect_renew().returning(move |leases, ttl| {
        futures_util::FutureExt::now_or_never(inner.renew(leases, ttl)).unwrap()
    });
    let (inner, count) = (real.clone(), AtomicUsize::new(0));
    mock.expect_save().returning(move |changes| {
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(down("save sessions"));
        }
        futures_util::FutureExt::now_or_never(inner.save(changes)).unwrap()
    });
    let inner = real.clone();
    mock.expect_release().returning(move |leases| {
        futures_util::FutureExt::now_or_never(inner.release(leases)).unwrap()
    });
    let engine = world.builder().sessions(Arc::new(mock)).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
    let all = tokio::time::timeout(SECOND * 10, reports(&mut events, 3, |_| {})).await;
    assert_eq!(all.expect("the session is stuck").len(), 3);
    let stored = real.list(None, 1).await.unwrap();
    assert_eq!(stored[0].home_proxy, Some("http://a:1".into()), "stored before its first use");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_came_while_there_was_no_proxy_are_used_once_there_is_one() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 2).await;
    let source = Arc::new(Changing::default());
    let engine = world.builder().proxies(source.clone()).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    engine.submit(targets(4), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 20).await;
    assert!(world.checker.seen.lock().unwrap().calls.is_empty());
    *source.hosts.lock().unwrap() = vec!["a"];
    source.changed.notify_one();
    let all = tokio::time::timeout(SECOND * 30, reports(&mut events, 4, |_| {})).await;
    assert_eq!(all.expect("the sessions are stuck").len(), 4);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_challenge_on_a_loan_is_stored_even_if_its_check_is_stopped_meanwhile() {
    let profile = CheckerProfile::new(Platform::INSTAGRAM);
    let checker = Acting::new(profile.clone(), move |_, cx| {
        let mut wanted = profile.clone();
        wanted.session = Some(kind());
        async move {
            let loan = match cx.lend(&wanted, None).await {
                Ok(loan) => loan,
                Err(fault) => return vec![Err(fault)],
            };
            let fault = Fault::new(Class::ChallengeRequired, Scope::Session, "checkpoint");
            let mut answers = vec![Err(fault)];
            loan.give_back(&mut answers).await;
            answers
        }
    });
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let real = world.sessions.clone();
    let mut mock = MockSessions::new();
    let inner = real.clone();
    mock.expect_lease().returning(move |request| {
        futures_util::FutureExt::now_or_never(inner.lease(request)).unwrap()
    });
    let (inner, clock) = (real.clone(), world.clock.clone());
    mock.expect_save().returning(move |changes| {
        if clock.now() < START + SECOND * 5 {
            return Err(down("save sessions"));
        }
        futures_util::FutureExt::now_or_never(inner.save(changes)).unwrap()
    });
    mock.expect_release().returning(|leases| Ok(vec![LeaseReply::Held; leases.len()]));
    mock.expect_renew().returning(|leases, _| Ok(vec![LeaseReply::Held; leases.len()]));
    let builder = world.builder_of(checker).sessions(Arc::new(mock));
    let engine = builder.build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(16, story_checker_core::engine::Overflow::Wait);
    let options = SubmitOptions::default().with_deadline(SECOND);
    engine.submit(targets(1), options).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    assert!(matches!(all[0].verdict, Verdict::Unknown { .. }));
    assert!(world.elapsed() < SECOND * 4, "the check was stopped: {:?}", world.elapsed());
    engine.shutdown(SECOND * 30).await;
    assert_eq!(world.state("s0").await.as_str(), "challenged");
}

#[tokio::test(start_paused = true)]
async fn a_beat_that_hangs_stops_the_work_before_its_leases_are_over() {
    let begun = tokio::time::Instant::now();
    let ended = Arc::new(std::sync::Mutex::new(None));
    let stopped = Arc::clone(&ended);
    let checker = Acting::new(CheckerProfile::new(Platform::INSTAGRAM), move |_, cx| {
        let stopped = Arc::clone(&stopped);
        async move {
            cx.cancellation().cancelled().await;
            stopped.lock().unwrap().get_or_insert(begun.elapsed());
            vec![Err(Fault::new(Class::Cancelled, Scope::Ours, "stopped"))]
        }
    });
    let mut world = World::new(Scripted::new(1, |target, _, _| active(target)), 0).await;
    world.config.check_timeout = SECOND * 600;
    let flaky = Arc::new(Flaky {
        inner: InMemoryJobQueue::new(world.clock.clone()),
        down: AtomicBool::new(false),
        calls: AtomicUsize::new(0),
        hangs: AtomicBool::new(true),
    });
    world.queue = flaky.clone();
    let engine = world.builder_of(checker).build().unwrap().start().await.unwrap();
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(world.config.lease * 2).await;
    let ended = ended.lock().unwrap().expect("the check was stopped");
    assert!(ended < world.config.lease, "stopped after {ended:?}");
    assert!(engine.shutdown(SECOND * 9).await.in_time);
}
