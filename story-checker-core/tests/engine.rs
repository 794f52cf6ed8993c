//! The engine's ordinary life.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use story_checker_core::checker::CheckerProfile;
use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::gate::{Limits, Quota};
use story_checker_core::queue::{
    ClaimRequest, JobFilter, JobQueue, JobState, NewJob, Outcome, Settlement,
};
use story_checker_core::session::{Cookie, SessionStore};
use story_checker_core::{
    Class, Clock, ErrorKind, Fault, JobId, Platform, Scope, Target, TargetKind, Verdict,
};

use crate::support::{
    SECOND, START, Scripted, Step, World, active, report, reports, target, targets,
};

#[tokio::test(start_paused = true)]
async fn every_target_is_reported_exactly_once() {
    let world = World::new(Scripted::new(7, |target, _, _| active(target)), 5).await;
    let (engine, mut events) = world.start().await;
    let submitted = engine.submit(targets(1_000), SubmitOptions::default()).await.unwrap();
    assert_eq!((submitted.accepted, submitted.refused.len()), (1_000, 0));
    let reports = reports(&mut events, 1_000, |_| {}).await;
    let unique: HashSet<_> = reports.iter().map(|report| report.target.clone()).collect();
    assert_eq!(unique.len(), 1_000);
    assert!(reports.iter().all(|report| report.verdict == Verdict::Active));

    assert!(engine.shutdown(SECOND).await.in_time);
    assert!(events.next().await.is_none(), "nothing follows the last report");
    let stats = engine.stats();
    assert_eq!((stats.reported, stats.running, stats.in_flight, stats.sessions), (1_000, 0, 0, 0));
    let batch = engine.batch(submitted.batch).await.unwrap();
    assert_eq!((batch.batches[0].counts.done, batch.batches[0].counts.total()), (1_000, 1_000));
}

#[tokio::test(start_paused = true)]
async fn targets_share_requests_up_to_the_batch_and_no_further() {
    let world = World::new(Scripted::new(50, |target, _, _| active(target)), 3).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(200), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 200, |_| {}).await;
    let calls = world.checker.seen.lock().unwrap().calls.clone();
    assert_eq!(calls, [50; 4]);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn the_configured_batch_and_concurrency_are_kept() {
    let step = |target: &Target| Step::After(SECOND, report(target, Verdict::NoStory));
    let mut world = World::new(Scripted::new(50, move |target, _, _| step(target)), 20).await;
    world.config.max_batch = NonZeroUsize::new(2);
    world.config.max_in_flight = NonZeroUsize::new(4).unwrap();
    let (engine, mut events) = world.start().await;
    engine.submit(targets(64), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 64, |_| {}).await;
    {
        let seen = world.checker.seen.lock().unwrap();
        assert!(seen.calls.iter().all(|&call| call <= 2));
        assert_eq!(seen.most_at_once, 4);
    }
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_serves_one_check_at_a_time_through_its_home_proxy() {
    let step = |target: &Target| Step::After(SECOND / 10, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 6).await;
    let world = world.with_proxies(&["a", "b", "c"]);
    let (engine, mut events) = world.start().await;
    engine.submit(targets(300), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 300, |_| {}).await;
    engine.shutdown(SECOND).await;

    {
        let seen = world.checker.seen.lock().unwrap();
        assert!(!seen.shared_session);
        assert_eq!(seen.most_at_once, 6, "all sessions are used once there is enough to do");
        let pairs: HashSet<_> = seen.pairs.iter().cloned().collect();
        assert_eq!(pairs.len(), 6, "one home for each: {pairs:?}");
    }
    let homes = world.sessions.list(None, 10).await.unwrap();
    assert!(homes.iter().all(|record| record.home_proxy.is_some()), "homes are stored");
}

#[tokio::test(start_paused = true)]
async fn a_few_targets_lease_a_few_sessions() {
    let world = World::new(Scripted::new(50, |target, _, _| active(target)), 100).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(10), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 10, |_| {}).await;
    assert_eq!(engine.stats().sessions, 1);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(engine.stats().sessions, 0, "an idle session goes back to the store");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn changed_cookies_are_stored_before_the_session_is_used_again() {
    let checker = Scripted::new(1, |target, cx, _| {
        let session = cx.session().unwrap();
        let seen = session.credentials().cookies.len();
        session.update(|credentials| credentials.cookies.push(Cookie::new("rur", "x")));
        assert_eq!(seen, 1 + target.handle().trim_start_matches("acct_").parse::<usize>().unwrap());
        active(target)
    });
    let world = World::new(checker, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 3, |_| {}).await;
    engine.shutdown(SECOND).await;
    let stored = world.sessions.list(None, 1).await.unwrap();
    assert_eq!(stored[0].credentials.cookies.len(), 4);
    assert_eq!(engine.stats().panics, 0);
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept_and_cost_no_attempts() {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(crate::support::kind());
    profile.limits.session = Some(Quota::new(6, Duration::from_secs(60)).unwrap());
    let checker = Scripted::with_profile(profile, |target, _, _| active(target));
    let mut world = World::new(PassTaking::around(checker).await, 1).await;
    world.config.patience = Duration::ZERO;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(13), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 13, |_| {}).await;
    assert_eq!(world.elapsed(), Duration::from_secs(120), "12 intervals of 10 s");
    assert_eq!((engine.stats().retried, engine.stats().deferred), (0, 0));
    engine.shutdown(SECOND).await;
}

/// Scripted checks that take a pass for each target: the script cannot await.
struct PassTaking;

impl PassTaking {
    async fn around(inner: Arc<Scripted>) -> Arc<Scripted> {
        let profile = story_checker_core::checker::Checker::profile(&*inner).clone();
        Scripted::with_profile(profile, |target, cx, _| {
            let pass = futures_util::FutureExt::now_or_never(cx.pass("story"));
            match pass.expect("no patience means no waiting") {
                Ok(mut pass) => {
                    pass.mark_sent();
                    active(target)
                }
                Err(fault) => Step::Now(Err(fault)),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn configured_limits_replace_those_of_the_checker() {
    let world = World::new(PassTaking::around(Scripted::new(1, |t, _, _| active(t))).await, 1);
    let mut world = world.await;
    let mut limits = Limits::default();
    limits.app = Some(Quota::new(60, Duration::from_secs(60)).unwrap());
    world.config.limits.insert("instagram".into(), limits);
    let (engine, mut events) = world.start().await;
    engine.submit(targets(31), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 31, |_| {}).await;
    assert_eq!(world.elapsed(), Duration::from_secs(30));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_app_does_not_block_another_one_of_the_platform() {
    let blocked = START + Duration::from_secs(300);
    let checker = |app: &'static str, kind| {
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.kinds = vec![kind];
        profile.app = app.into();
        Scripted::with_profile(profile, move |target, cx, _| {
            let pass = futures_util::FutureExt::now_or_never(cx.pass("story"));
            let pass = pass.expect("nobody else asks").expect("it was ready");
            let limited = app == "graph" && cx.now() < blocked;
            let fault = Fault::new(Class::RateLimited, Scope::App, "code 4").with_until(blocked);
            pass.settle(limited.then_some(&fault), SECOND);
            if limited { Step::Now(Err(fault)) } else { active(target) }
        })
    };
    let world = World::new(checker("graph", TargetKind::Account), 0).await;
    let web = checker("web", TargetKind::Hashtag);
    let engine = world.builder().checker(web).build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(100, Overflow::Wait);
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    let tags = (0..20).map(|number| format!("instagram/hashtag/{number}").parse().unwrap());
    engine.submit(tags, SubmitOptions::default()).await.unwrap();
    reports(&mut events, 20, |_| {}).await;
    assert!(world.elapsed() < SECOND * 5, "{:?}", world.elapsed());
    reports(&mut events, 1, |_| {}).await;
    assert!(world.clock.now() >= blocked);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn checkers_without_sessions_use_the_least_busy_proxy() {
    let profile = CheckerProfile::new(Platform::new("my-shop").unwrap());
    let step = |target: &Target| Step::After(SECOND, report(target, Verdict::NoStory));
    let checker = Scripted::with_profile(profile, move |target, _, _| step(target));
    let world = World::new(checker, 0).await.with_proxies(&["a", "b"]);
    let (engine, mut events) = world.start().await;
    let all: Vec<Target> =
        (0..40).map(|n| format!("my-shop/account/{n}").parse().unwrap()).collect();
    engine.submit(all, SubmitOptions::default()).await.unwrap();
    reports(&mut events, 40, |_| {}).await;
    engine.shutdown(SECOND).await;
    let seen = world.checker.seen.lock().unwrap();
    let through = |host: &str| {
        let id = Some(format!("http://{host}:1"));
        seen.pairs.iter().filter(|(session, proxy)| session.is_none() && *proxy == id).count()
    };
    assert!(through("a").abs_diff(through("b")) <= 2, "{:?}", (through("a"), through("b")));
}

#[tokio::test(start_paused = true)]
async fn without_proxies_checks_go_directly() {
    let profile = CheckerProfile::new(Platform::INSTAGRAM);
    let checker = Scripted::with_profile(profile, |target, cx, _| {
        assert!(cx.proxy().is_none() && cx.session().is_none());
        active(target)
    });
    let world = World::new(checker, 0).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(5), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 5, |_| {}).await;
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn targets_nobody_answers_for_are_refused_by_name() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let (engine, mut events) = world.start().await;
    let stranger: Target = "x/hashtag/tea".parse().unwrap();
    let all = [target("a"), stranger.clone(), target("b")];
    let submitted = engine.submit(all, SubmitOptions::default()).await.unwrap();
    assert_eq!((submitted.accepted, submitted.refused), (2, vec![stranger.clone()]));
    assert!(engine.why_not(&stranger).await.is_none());
    reports(&mut events, 2, |_| {}).await;
    engine.shutdown(SECOND).await;
    let closed = engine.submit(targets(1), SubmitOptions::default()).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn what_is_missing_or_stands_twice_is_named() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let name = |builder: story_checker_core::engine::EngineBuilder| {
        let error = builder.build().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let text = name(Engine::builder());
    assert!(text.contains("a job queue is missing: call `queue`"), "{text}");
    let text = name(Engine::builder().queue(Arc::clone(&world.queue)));
    assert!(text.contains("a session store is missing"), "{text}");
    let store = world.sessions.clone();
    let text = name(Engine::builder().queue(Arc::clone(&world.queue)).sessions(store));
    assert!(text.contains("a checker is missing"), "{text}");
    let text = name(world.builder().checker(world.checker.clone()));
    assert!(text.contains("both answer for account of instagram"), "{text}");
    let mut config = world.config.clone();
    config.lease = Duration::ZERO;
    assert!(name(world.builder().config(config)).contains("lease"));
}

#[tokio::test(start_paused = true)]
async fn submitting_waits_while_the_queue_is_full() {
    let step = |target: &Target| Step::After(SECOND, report(target, Verdict::Active));
    let mut world = World::new(Scripted::new(10, move |target, _, _| step(target)), 1).await;
    world.config.max_queued = Some(100);
    let (engine, mut events) = world.start().await;
    let deepest = async {
        let mut deepest = 0;
        loop {
            let stats = world.queue.stats(&story_checker_core::queue::StatsQuery::Queues).await;
            let live = stats.unwrap().queues.first().map_or(0, |queue| queue.counts.live());
            deepest = deepest.max(live);
            tokio::time::sleep(SECOND).await;
            if live == 0 {
                return deepest;
            }
        }
    };
    let submit = engine.submit(targets(1_000), SubmitOptions::default());
    let (submitted, _, deepest) =
        tokio::join!(submit, reports(&mut events, 1_000, |_| {}), deepest);
    assert_eq!(submitted.unwrap().accepted, 1_000);
    assert_eq!(deepest, 100);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn pausing_stops_claims_and_resuming_goes_on() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 2).await;
    let (engine, mut events) = world.start().await;
    engine.pause();
    tokio::time::sleep(SECOND).await;
    engine.submit(targets(5), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 60).await;
    assert!(engine.stats().paused);
    assert!(events.try_next().is_none());
    engine.resume();
    reports(&mut events, 5, |_| {}).await;
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_stops_waiting_and_running_jobs() {
    let step = |target: &Target| Step::After(SECOND * 50, report(target, Verdict::Active));
    let mut world = World::new(Scripted::new(1, move |target, _, _| step(target)), 2).await;
    world.config.lease = SECOND * 6;
    let (engine, mut events) = world.start().await;
    let submitted = engine.submit(targets(5), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(engine.cancel(submitted.batch).await.unwrap(), 5);
    for _ in 0..2 {
        let event = events.next().await.unwrap();
        assert!(
            matches!(event, Event::Cancelled { batch: Some(batch), .. } if batch == submitted.batch)
        );
    }
    assert!(world.elapsed() < SECOND * 5, "running checks stop within a beat");
    tokio::time::sleep(SECOND * 100).await;
    assert_eq!(world.checker.seen.lock().unwrap().calls.len(), 2, "nothing else was started");
    let counts = engine.batch(submitted.batch).await.unwrap().batches[0].counts;
    assert_eq!((counts.cancelled, counts.total()), (5, 5));
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().cancelled, 2);
}

#[tokio::test(start_paused = true)]
async fn one_cancelled_job_of_a_group_does_not_stop_the_others() {
    let step = |target: &Target| Step::After(SECOND * 8, report(target, Verdict::Active));
    let mut world = World::new(Scripted::new(2, move |target, _, _| step(target)), 1).await;
    world.config.lease = SECOND * 3;
    let (engine, mut events) = world.start().await;
    let first = engine.submit([target("a")], SubmitOptions::default());
    let second = engine.submit([target("b")], SubmitOptions::default());
    let (first, _second) = tokio::join!(first, second);
    tokio::time::sleep(SECOND).await;
    engine.cancel(first.unwrap().batch).await.unwrap();
    // The answer is there anyway: a finished check is not thrown away.
    assert_eq!(reports(&mut events, 2, |_| {}).await.len(), 2);
    assert_eq!(world.elapsed(), SECOND * 16);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_checks_finish_within_the_grace() {
    let step = |target: &Target| Step::After(SECOND * 5, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 2).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(9), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(engine.shutdown(SECOND * 30).await.in_time);
    assert_eq!(world.elapsed(), SECOND * 5);
    let mut done = 0;
    while let Some(event) = events.next().await {
        done += usize::from(matches!(event, Event::Reported { .. }));
    }
    assert_eq!(done, 2, "what ran was finished, nothing new was begun");
    let waiting = JobFilter::default().with_state(JobState::Ready);
    assert_eq!(world.queue.list(&waiting, None, 99).await.unwrap().jobs.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_while_the_engine_drains() {
    let step = |target: &Target| Step::After(SECOND * 20, report(target, Verdict::Active));
    let mut world = World::new(Scripted::new(1, move |target, _, _| step(target)), 1).await;
    world.config.lease = SECOND * 3;
    let (engine, _events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    let queue = Arc::clone(&world.queue);
    let other = tokio::spawn(async move {
        // Another worker looks all the while whether there is something to take over.
        let mut reaped = 0;
        loop {
            tokio::time::sleep(SECOND).await;
            reaped += queue.maintain(9).await.unwrap().reaped;
            let state = queue.list(&JobFilter::default(), None, 9).await.unwrap().jobs[0].state;
            if state == JobState::Done {
                return reaped;
            }
        }
    });
    assert!(engine.shutdown(SECOND * 60).await.in_time);
    assert_eq!(world.elapsed(), SECOND * 20);
    assert_eq!(other.await.unwrap(), 0, "no lease was over");
    let job = &world.queue.list(&JobFilter::default(), None, 9).await.unwrap().jobs[0];
    assert_eq!(job.crashes, 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_gives_back_what_does_not_finish() {
    let step = |target: &Target| Step::After(SECOND * 50, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 2).await;
    let (engine, _events) = world.start().await;
    engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(!engine.shutdown(SECOND * 3).await.in_time);
    assert_eq!(world.elapsed(), SECOND * 4);
    let jobs = world.queue.list(&JobFilter::default(), None, 9).await.unwrap().jobs;
    for job in jobs {
        assert_eq!(job.state, JobState::Ready);
        assert_eq!((job.attempt, job.crashes, job.deferrals), (0, 0, 0), "no trace is left");
    }
    let request = story_checker_core::session::SessionLeaseRequest::new(
        crate::support::kind(),
        "other".into(),
        SECOND,
        9,
    );
    assert_eq!(world.sessions.lease(&request).await.unwrap().sessions.len(), 2, "sessions too");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_stops_the_engine() {
    let step = |target: &Target| Step::After(SECOND * 50, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    drop(engine);
    assert!(events.next().await.is_none());
    assert_eq!(world.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn priorities_go_first() {
    let step = |target: &Target| Step::After(SECOND, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 1).await;
    let (engine, mut events) = world.start().await;
    engine.pause();
    tokio::time::sleep(SECOND).await;
    engine.submit([target("later")], SubmitOptions::default()).await.unwrap();
    let options = SubmitOptions::default().with_priority(0);
    let batch = engine.submit([target("first")], options).await.unwrap().batch;
    engine.submit([target("second")], options.with_batch(batch)).await.unwrap();
    engine.resume();
    let order = reports(&mut events, 3, |_| {}).await;
    let order: Vec<_> = order.iter().map(|report| report.target.handle()).collect();
    assert_eq!(order, ["first", "second", "later"]);
    assert_eq!(engine.batch(batch).await.unwrap().batches[0].counts.done, 2);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_miss_events_but_knows_how_many() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 4).await;
    let (engine, mut all) = world.start().await;
    let mut lazy = engine.subscribe(3, Overflow::Miss);
    drop(engine.subscribe(1, Overflow::Wait));
    engine.submit(targets(50), SubmitOptions::default()).await.unwrap();
    reports(&mut all, 50, |_| {}).await;
    engine.shutdown(SECOND).await;
    let mut received = 0;
    while lazy.next().await.is_some() {
        received += 1;
    }
    assert_eq!((received, lazy.missed()), (3, 47));
    assert!(engine.subscribe(1, Overflow::Wait).next().await.is_none(), "too late to subscribe");
}

#[tokio::test(start_paused = true)]
async fn reports_are_stored_with_their_jobs_unless_told_otherwise() {
    for store in [true, false] {
        let mut world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
        world.config.store_reports = store;
        let (engine, mut events) = world.start().await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        let reported = reports(&mut events, 1, |_| {}).await;
        let jobs = world.queue.list(&JobFilter::default(), None, 9).await.unwrap().jobs;
        let result = jobs[0].result.clone().unwrap();
        if store {
            let stored: story_checker_core::Report = serde_json::from_slice(&result).unwrap();
            assert_eq!(stored, *reported[0]);
        } else {
            assert!(result.is_empty());
        }
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_understood_is_dropped_and_the_rest_goes_on() {
    let world = World::new(Scripted::new(4, |target, _, _| active(target)), 1).await;
    let name = "check/instagram/account";
    let id = |byte| JobId::from_bytes([byte; 16]);
    let payloads: [&[u8]; 3] = [b"\xff\xfe", b"no target", b"instagram/account/tea"];
    let jobs = payloads
        .iter()
        .zip(1..)
        .map(|(payload, number)| NewJob::new(id(number), name.into(), Bytes::from_static(payload)));
    world.queue.enqueue(jobs.collect()).await.unwrap();
    let (engine, mut events) = world.start().await;
    let mut dropped = Vec::new();
    let also = |event: &Event| match event {
        Event::Dropped { job, reason, .. } => dropped.push((*job, reason.clone())),
        other => panic!("{other:?}"),
    };
    let reported = reports(&mut events, 1, also).await;
    assert_eq!(reported[0].target, target("tea"));
    assert_eq!(dropped.len(), 2, "{dropped:?}");
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().dropped, 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_died_too_often_is_dead_without_another_try() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let payload = Bytes::from_static(b"instagram/account/poison");
    let name = "check/instagram/account";
    let job = NewJob::new(JobId::from_bytes([1; 16]), name.into(), payload);
    world.queue.enqueue(vec![job]).await.unwrap();
    for _ in 0..3 {
        let wants = vec![(name.into(), 1)];
        world.queue.claim(&ClaimRequest::new(wants, "dies".into(), SECOND)).await.unwrap();
        tokio::time::sleep(SECOND).await;
        world.queue.maintain(9).await.unwrap();
    }
    let (engine, mut events) = world.start().await;
    let reported = reports(&mut events, 1, |_| {}).await;
    let Verdict::Unknown { cause } = &reported[0].verdict else { panic!("{reported:?}") };
    assert!(cause.message.contains("died 3 times"), "{cause:?}");
    assert!(world.checker.seen.lock().unwrap().calls.is_empty());
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_worker_that_died_are_taken_over() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let name = "check/instagram/account";
    let payload = Bytes::from_static(b"instagram/account/tea");
    world
        .queue
        .enqueue(vec![NewJob::new(JobId::from_bytes([1; 16]), name.into(), payload)])
        .await
        .unwrap();
    let lease = SECOND * 30;
    let claim = ClaimRequest::new(vec![(name.into(), 1)], "dies".into(), lease);
    let zombie = world.queue.claim(&claim).await.unwrap().jobs.remove(0);
    let (engine, mut events) = world.start().await;
    reports(&mut events, 1, |_| {}).await;
    assert!(world.elapsed() >= lease && world.elapsed() <= lease + lease / 2);
    let done = Outcome::Done { result: Bytes::new() };
    let late = world.queue.settle(vec![Settlement::new(zombie.lease, done)], None).await.unwrap();
    assert_eq!(late.0, [story_checker_core::queue::Settled::Stale]);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn two_kinds_of_targets_are_served_side_by_side() {
    let mut profile = CheckerProfile::new(Platform::X);
    profile.kinds = vec![TargetKind::Hashtag, TargetKind::Query];
    let checker = Scripted::with_profile(profile, |target, _, _| active(target));
    let world = World::new(checker, 0).await;
    let (engine, mut events) = world.start().await;
    let all = ["x/hashtag/tea", "x/query/from:tea"].map(|text| text.parse().unwrap());
    engine.submit(all, SubmitOptions::default()).await.unwrap();
    reports(&mut events, 2, |_| {}).await;
    let stats = engine.cache_stats().await.unwrap();
    assert_eq!(stats.entries, 0);
    assert!(engine.worker().as_str().starts_with("worker-"));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_answer_by_its_deadline_is_unknown_and_says_why() {
    let step = |target: &Target| Step::After(SECOND * 4, report(target, Verdict::Active));
    let world = World::new(Scripted::new(1, move |target, _, _| step(target)), 1).await;
    let (engine, mut events) = world.start().await;
    let options = SubmitOptions::default().with_deadline(SECOND * 10);
    engine.submit(targets(5), options).await.unwrap();
    let all = reports(&mut events, 5, |_| {}).await;
    let unknown: Vec<_> = all
        .iter()
        .filter_map(|report| match &report.verdict {
            Verdict::Unknown { cause } => Some(cause),
            _ => None,
        })
        .collect();
    assert_eq!(unknown.len(), 3, "two were answered in time");
    assert!(world.elapsed() <= SECOND * 14);
    assert!(
        unknown.iter().any(|cause| cause.message.contains("its turn did not come in time")),
        "{unknown:?}"
    );
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_hope_for_it_gives_up_at_once_if_told_to() {
    let mut world = World::new(Scripted::new(1, |target, _, _| active(target)), 0).await;
    world.config.give_up_early = true;
    let (engine, mut events) = world.start().await;
    let options = SubmitOptions::default().with_deadline(Duration::from_secs(600));
    engine.submit(targets(3), options).await.unwrap();
    let all = reports(&mut events, 3, |_| {}).await;
    let Verdict::Unknown { cause } = &all[0].verdict else { panic!("{all:?}") };
    assert_eq!((cause.class, cause.scope), (Class::AuthRequired, Scope::Ours));
    assert!(
        cause.message.contains("there is no session of the kind test: import one"),
        "{cause:?}"
    );
    assert!(world.elapsed() <= SECOND * 2);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_session_is_not_the_end_of_the_others() {
    let refusals = [
        (Class::ChallengeRequired, None),
        (Class::AuthRequired, None),
        (Class::RateLimited, Some(START + Duration::from_secs(3_600))),
    ];
    for (class, until) in refusals {
        let checker = Scripted::new(1, move |target, _, call| match call {
            1 => {
                let fault = Fault::new(class, Scope::Session, "the platform refuses this one");
                Step::Now(Err(until.map_or(fault.clone(), |until| fault.with_until(until))))
            }
            _ => active(target),
        });
        let mut world = World::new(checker, 3).await;
        world.config.give_up_early = true;
        let (engine, mut events) = world.start().await;
        let options = SubmitOptions::default().with_deadline(Duration::from_secs(600));
        engine.submit(targets(1), options).await.unwrap();
        let all = reports(&mut events, 1, |_| {}).await;
        assert_eq!(all[0].verdict, Verdict::Active, "{class}");
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_rest_that_ends_before_the_deadline() {
    let until = START + Duration::from_secs(300);
    let checker = Scripted::new(1, move |target, _, call| match call {
        1 => {
            let fault = Fault::new(Class::RateLimited, Scope::Session, "the platform says 429");
            Step::Now(Err(fault.with_until(until)))
        }
        _ => active(target),
    });
    let mut world = World::new(checker, 1).await;
    world.config.give_up_early = true;
    let (engine, mut events) = world.start().await;
    let options = SubmitOptions::default().with_deadline(Duration::from_secs(600));
    engine.submit(targets(1), options).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    assert_eq!(all[0].verdict, Verdict::Active);
    assert!(world.elapsed() >= Duration::from_secs(300));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_early_when_the_limit_ends_after_the_deadline() {
    let until = START + Duration::from_secs(1_800);
    let checker = Scripted::new(1, move |_, _, _| {
        let fault = Fault::new(Class::RateLimited, Scope::Session, "the platform says 429");
        Step::Now(Err(fault.with_until(until)))
    });
    let mut world = World::new(checker, 1).await;
    world.config.give_up_early = true;
    let (engine, mut events) = world.start().await;
    let options = SubmitOptions::default().with_deadline(Duration::from_secs(600));
    engine.submit(targets(3), options).await.unwrap();
    let all = reports(&mut events, 3, |_| {}).await;
    for report in &all {
        let Verdict::Unknown { cause } = &report.verdict else { panic!("{report:?}") };
        assert_eq!((cause.class, cause.scope), (Class::RateLimited, Scope::Session), "{cause:?}");
        assert!(cause.not_before.unwrap() >= until, "the time it could go: {cause:?}");
    }
    assert!(world.elapsed() <= SECOND * 3, "{:?}", world.elapsed());
    assert_eq!(world.checker.seen.lock().unwrap().calls.len(), 1);
    engine.shutdown(SECOND).await;
}
