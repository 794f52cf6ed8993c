//! Sessions that go bad in the middle of a run, and limits.

use std::time::Duration;

use story_checker_core::engine::Event;
use story_checker_core::gate::{Limits, Quota};
use story_checker_sim::{Latency, Limit, RequestFilter, SessionState, SimClock, SimConfig};

use super::world::{World, assert_clean, judge};

/// Five sessions; the first goes into `state` once a tenth of the answers may be there.
async fn with_a_session_that_becomes(state: SessionState) -> (Vec<String>, String, World) {
    let config = SimConfig::new(11)
        .with_sessions(5)
        .with_latency(Latency::between(Duration::ZERO, Duration::from_millis(3)));
    let mut world = World::on_sockets(config, Limits::default()).await;
    // The platform turns it in the middle of its first batch.
    let soon = SimClock::system().now().saturating_add(Duration::from_millis(60));
    assert!(world.platform.set_session_state(0, state, Some(soon)));
    let mut told = Vec::new();
    let reports = world
        .check(500, |event| {
            if let Event::SessionChanged { session, state } = event {
                told.push(format!("{session} {}", state.as_str()));
            }
        })
        .await;
    judge(&world.platform, &reports);
    let stored = world.session_state(0).await;
    (told, stored, world)
}

#[tokio::test]
async fn a_session_that_is_logged_out_marks_no_target_wrongly() {
    let (told, stored, world) = with_a_session_that_becomes(SessionState::LoggedOut).await;
    let audit = world.end().await;
    assert_clean(&audit);
    // On the profile route the platform says 401 "please wait", which lets first the proxy rest and
    // then the session, until something proves more; on the others it is seen as logged out.
    assert!(["valid", "needs_login", "cooling_down"].contains(&stored.as_str()), "{stored}");
    assert_eq!(told.len(), usize::from(stored != "valid"), "{told:?}");
}

#[tokio::test]
async fn a_challenged_session_makes_no_further_request() {
    let (told, stored, world) = with_a_session_that_becomes(SessionState::Challenged).await;
    assert_eq!(told, ["viewer_0 challenged"]);
    assert_eq!(stored, "challenged");
    let refused = RequestFilter::new().with_session(0).with_status(400);
    assert_eq!(world.platform.requests(&refused, 10).len(), 1, "the challenge was its last answer");
    assert_clean(&world.end().await);
}

const LIMIT: (u32, Duration) = (40, Duration::from_secs(2));

fn limited() -> SimConfig {
    let limit = Limit::new(LIMIT.0.try_into().unwrap(), LIMIT.1);
    SimConfig::new(12).with_sessions(3).with_session_limit(limit).with_retry_after(true)
}

#[tokio::test]
async fn a_known_limit_is_never_broken() {
    let mut limits = Limits::default();
    // The platform counts arrivals and we count sends: a little slack for the way.
    let window = LIMIT.1 + Duration::from_millis(200);
    limits.session = Some(Quota::with_burst(LIMIT.0, window, 5).unwrap().into());
    let mut world = World::on_sockets(limited(), limits).await;
    let reports = world.check(200, |event| panic!("{event:?}")).await;
    judge(&world.platform, &reports);
    assert_eq!(world.engine.stats().retried, 0);
    assert_clean(&world.end().await);
}

#[tokio::test]
async fn a_429_lets_the_session_rest_and_everything_is_answered_in_the_end() {
    let mut world = World::on_sockets(limited(), Limits::default()).await;
    let mut rests = 0;
    let reports = world
        .check(200, |event| {
            if let Event::SessionChanged { state, .. } = event {
                assert_eq!(state.as_str(), "cooling_down");
                rests += 1;
            }
        })
        .await;
    judge(&world.platform, &reports);
    assert!(rests > 0);
    let audit = world.end().await;
    assert_eq!(audit.limits_broken, rests, "each 429 ends the use of its session at once");
}
