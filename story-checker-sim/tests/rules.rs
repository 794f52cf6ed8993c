//! Sessions, limits and what the audit notices.

use std::num::NonZeroU32;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use story_checker_sim::{
    Latency, Limit, Peer, ProxyId, RequestFilter, SessionState, SimConfig, Timestamp,
};

use crate::support::{NOON, VIEWER, ask, get, get_via, headers, json, platform};

fn limit(requests: u32, secs: u64) -> Limit {
    Limit::new(NonZeroU32::new(requests).unwrap(), Duration::from_secs(secs))
}

fn after(millis: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_millis(millis))
}

fn via(proxy: u32) -> Peer {
    Peer::via(ProxyId::new(proxy), ([127, 0, 0, 1], 4000).into())
}

#[test]
fn a_session_may_send_so_many_in_any_window() {
    let platform = platform(SimConfig::new(1).with_sessions(2).with_session_limit(limit(5, 60)));
    let status = |session, millis| get(&platform, Some(session), VIEWER, after(millis)).status;
    for millis in [0, 10, 20, 30_000, 59_000] {
        assert_eq!(status(0, millis), StatusCode::OK);
    }
    assert_eq!(status(0, 59_999), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(1, 59_999), StatusCode::OK);
    assert_eq!(status(0, 60_000), StatusCode::OK);
    assert_eq!(status(0, 60_009), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(0, 60_010), StatusCode::OK);
    let audit = platform.audit();
    assert_eq!(audit.limits_broken, 2);
    assert_eq!(audit.by_status[&429], 2);
    assert_eq!(audit.total, 10);
}

#[test]
fn an_address_may_send_so_many_whoever_asks() {
    let config = SimConfig::new(1).with_sessions(2).with_address_limit(limit(2, 10));
    let platform = platform(config);
    let status = |session, peer| get_via(&platform, session, VIEWER, NOON, &peer).status;
    assert_eq!(status(Some(0), via(0)), StatusCode::OK);
    assert_eq!(status(Some(1), via(0)), StatusCode::OK);
    assert_eq!(status(None, via(0)), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(None, via(1)), StatusCode::OK);
    // A direct client is its IP, whatever its port.
    let direct = |port| Peer::direct(([192, 0, 2, 1], port).into());
    assert_eq!(status(None, direct(1)), StatusCode::OK);
    assert_eq!(status(None, direct(2)), StatusCode::OK);
    assert_eq!(status(None, direct(3)), StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn a_refusal_is_empty_and_may_say_when() {
    for retry_after in [false, true] {
        let config = SimConfig::new(1).with_session_limit(limit(1, 60));
        let platform = platform(config.with_retry_after(retry_after));
        let _ = get(&platform, Some(0), VIEWER, NOON);
        let plan = get(&platform, Some(0), VIEWER, after(1500));
        assert_eq!(plan.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(plan.body.is_empty());
        let said = plan.headers.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(said, retry_after.then_some("59"));
    }
}

#[test]
fn a_challenge_stops_everything_and_going_on_is_noticed() {
    let platform = platform(SimConfig::new(1));
    assert!(platform.set_session_state(0, SessionState::Challenged, Some(after(1000))));
    assert_eq!(get(&platform, Some(0), VIEWER, after(999)).status, StatusCode::OK);
    for path in [VIEWER, "/api/v1/feed/reels_media/?reel_ids=1", "/"] {
        let plan = get(&platform, Some(0), path, after(1000));
        assert_eq!(plan.status, StatusCode::BAD_REQUEST);
        assert_eq!(json(&plan)["message"], "checkpoint_required");
        assert_eq!(json(&plan)["checkpoint_url"], "/challenge/?next=/");
    }
    assert_eq!(platform.audit().requests_after_challenge, 2);
    assert!(platform.set_session_state(0, SessionState::LoggedIn, None));
    assert_eq!(get(&platform, Some(0), VIEWER, after(2000)).status, StatusCode::OK);
    assert_eq!(platform.audit().requests_after_challenge, 2);
}

#[test]
fn a_session_logs_out() {
    let platform = platform(SimConfig::new(1));
    assert!(platform.set_session_state(0, SessionState::LoggedOut, None));
    assert_eq!(
        json(&get(&platform, Some(0), VIEWER, NOON))["data"]["user"],
        serde_json::Value::Null
    );
    let profile = "/api/v1/users/web_profile_info/?username=a";
    assert_eq!(get(&platform, Some(0), profile, NOON).status, StatusCode::UNAUTHORIZED);
    assert_eq!(platform.session_state(0, NOON), Some(SessionState::LoggedOut));
    assert!(!platform.set_session_state(1, SessionState::LoggedOut, None));
    assert!(platform.session_username(1).is_none());
}

#[test]
fn cookies_may_be_escaped_or_not() {
    let platform = platform(SimConfig::new(1));
    let escaped = crate::support::cookie(&platform, 0);
    assert!(escaped.starts_with("sessionid=7000000000%3Asim"));
    for cookie in [&escaped, &escaped.replace("%3A", ":"), &escaped.replace("%3A", "%3a")] {
        let headers = headers(Some(cookie));
        let plan = ask(&platform, &http::Method::GET, VIEWER, &headers, NOON, &via(0));
        assert_eq!(json(&plan)["data"]["user"]["username"], "viewer_0", "{cookie}");
    }
}

#[test]
fn one_session_twice_at_once_is_an_overlap() {
    let platform = platform(SimConfig::new(1).with_sessions(2));
    let first = get(&platform, Some(0), VIEWER, NOON);
    let other = get(&platform, Some(1), VIEWER, NOON);
    assert_eq!(platform.audit().session_overlaps, 0);
    let second = get(&platform, Some(0), VIEWER, NOON);
    assert_eq!(platform.audit().session_overlaps, 1);
    drop((first, other, second));
    let _ = get(&platform, Some(0), VIEWER, NOON);
    assert_eq!(platform.audit().session_overlaps, 1);
    // Nobody is nobody in particular.
    let both = (get(&platform, None, VIEWER, NOON), get(&platform, None, VIEWER, NOON));
    assert_eq!(platform.audit().session_overlaps, 1);
    drop(both);
}

#[test]
fn a_session_that_moves_is_noticed() {
    let platform = platform(SimConfig::new(1).with_expect_proxy(true));
    let direct = Peer::direct(([127, 0, 0, 1], 4000).into());
    for peer in [via(0), via(0), via(1), direct, direct, via(0)] {
        let _ = get_via(&platform, Some(0), VIEWER, NOON, &peer);
    }
    let audit = platform.audit();
    assert_eq!(audit.session_address_changes, 3);
    assert_eq!(audit.direct_requests, 2);
}

#[test]
fn requests_are_listed_newest_last_and_forgotten_on_reset() {
    let platform = platform(SimConfig::new(1).with_audit_capacity(3));
    for millis in 0..5 {
        let _ = get(&platform, Some(0), VIEWER, after(millis));
    }
    let times = |limit| -> Vec<_> {
        let requests = platform.requests(&RequestFilter::new(), limit);
        requests.iter().map(|request| request.time).collect()
    };
    assert_eq!(times(10), [after(2), after(3), after(4)]);
    assert_eq!(times(1), [after(4)]);
    let audit = platform.audit();
    assert_eq!((audit.total, audit.recorded, audit.dropped), (5, 3, 2));
    platform.reset_audit();
    assert_eq!(platform.audit().total, 0);
    assert_eq!(times(10), []);
}

#[test]
fn latency_is_spread_over_its_range() {
    let millis = Duration::from_millis;
    let platform =
        platform(SimConfig::new(1).with_latency(Latency::between(millis(20), millis(80))));
    let delays: Vec<_> = (0..500).map(|_| get(&platform, Some(0), VIEWER, NOON).delay).collect();
    assert!(delays.iter().all(|delay| (millis(20)..=millis(80)).contains(delay)));
    assert!(delays.iter().any(|&delay| delay < millis(23)));
    assert!(delays.iter().any(|&delay| delay > millis(77)));
}

#[test]
fn many_threads_get_no_more_than_one() {
    let platform = platform(SimConfig::new(1).with_session_limit(limit(100, 60)));
    let served: usize = std::thread::scope(|scope| {
        let ask =
            || (0..500).filter(|_| get(&platform, Some(0), VIEWER, NOON).status == 200).count();
        let threads = [(); 4].map(|()| scope.spawn(ask));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(served, 100);
    let audit = platform.audit();
    assert_eq!((audit.total, audit.limits_broken), (2000, 1900));
}

proptest! {
    #[test]
    fn a_window_is_full_exactly_when_it_holds_the_limit(
        requests in 1..8u32,
        secs in 1..5u64,
        gaps in prop::collection::vec(0..900u64, 1..120),
    ) {
        let config = SimConfig::new(1).with_session_limit(limit(requests, secs));
        let platform = platform(config);
        let mut served: Vec<u64> = Vec::new();
        let mut now = 0;
        for gap in gaps {
            now += gap;
            let counted = served.iter().filter(|&&time| time + secs * 1000 > now).count();
            let plan = get(&platform, Some(0), VIEWER, after(now));
            prop_assert_eq!(plan.status == StatusCode::OK, counted < requests as usize);
            if plan.status == StatusCode::OK {
                served.push(now);
            }
        }
    }
}
