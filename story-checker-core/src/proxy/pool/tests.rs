use std::num::{NonZeroU8, NonZeroU32};

use super::*;
use crate::fault::{Class, Fault, Scope};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn proxy(host: &str) -> Proxy {
    Proxy::new(format!("{host}:1").parse().unwrap())
}

fn id(host: &str) -> ProxyId {
    ProxyId::new(format!("http://{host}:1"))
}

fn listed(hosts: &[&str]) -> Vec<Proxy> {
    hosts.iter().map(|host| proxy(host)).collect()
}

fn pool_of(policy: ProxyPolicy, hosts: &[&str]) -> ProxyPool {
    let mut pool = ProxyPool::new(policy, false);
    pool.replace(listed(hosts), vec![], NOW);
    pool
}

fn pool(hosts: &[&str]) -> ProxyPool {
    pool_of(ProxyPolicy::default(), hosts)
}

fn rotating(rotation: Rotation) -> ProxyPolicy {
    ProxyPolicy { rotation, ..ProxyPolicy::default() }
}

fn rest(until: Timestamp) -> Rest {
    Rest::new(Class::Blocked, until, "407")
}

/// Selects `times` and gives back at once: the first letters.
fn uses(pool: &mut ProxyPool, times: usize) -> String {
    let mut used = String::new();
    for _ in 0..times {
        let proxy = pool.select(NOW, |_| Ok(())).unwrap();
        pool.give_back(proxy.id());
        used.push_str(proxy.url().host());
    }
    used
}

fn state(pool: &ProxyPool, host: &str) -> ProxyState {
    let views = pool.views();
    views.into_iter().find(|view| view.id == id(host)).unwrap().state
}

fn until(pool: &ProxyPool, host: &str) -> Timestamp {
    match state(pool, host) {
        ProxyState::Cooling { until, .. } => until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_spread_over_the_proxies_and_keep_their_home() {
    let mut pool = pool(&["a", "b"]);
    let homes: Vec<_> = (0..4).filter_map(|_| pool.settle_in(None, NOW)).collect();
    assert_eq!(homes, [id("a"), id("b"), id("a"), id("b")]);
    assert_eq!(pool.settle_in(Some(&id("a")), NOW), Some(id("a")));
    assert_eq!(pool.settle_in(Some(&id("gone")), NOW), Some(id("b")));
}

#[test]
fn a_proxy_takes_no_more_sessions_than_it_may_and_throws_none_out() {
    let most = NonZeroU32::new(1);
    let mut pool = pool_of(ProxyPolicy { max_sessions: most, ..Default::default() }, &["a", "b"]);
    assert_eq!(pool.settle_in(None, NOW), Some(id("a")));
    assert_eq!(pool.settle_in(None, NOW), Some(id("b")));
    assert_eq!((pool.settle_in(None, NOW), pool.room_at(NOW)), (None, None));
    assert_eq!(pool.settle_in(Some(&id("b")), NOW), Some(id("b")), "it lives there already");
    pool.move_out(&id("a"));
    assert_eq!(pool.room_at(NOW), Some(NOW));
    assert_eq!(pool.settle_in(None, NOW), Some(id("a")));
}

#[test]
fn a_cooling_proxy_is_never_used_before_its_time_which_puts_it_on_trial() {
    let mut pool = pool(&["a"]);
    let at = NOW + SECOND * 60;
    assert!(matches!(pool.rest(&id("a"), rest(at), NOW), Some(ProxyState::Cooling { .. })));
    assert_eq!(pool.select(at - SECOND / 1_000, |_| Ok(())), None);
    assert_eq!(pool.home(Some(&id("a")), NOW), Home::Closed(Some(at)));
    assert_eq!(pool.open_at(NOW), Some(at));
    assert_eq!(pool.succeeded(&id("a")), None, "from before the rest");
    assert!(matches!(pool.home(Some(&id("a")), at), Home::Open(_)));
    assert_eq!(state(&pool, "a"), ProxyState::Probing);
    pool.take(&id("a"));
    assert_eq!(pool.home(Some(&id("a")), at), Home::Closed(Some(at + LOOK)), "one at a time");
    assert_eq!(pool.open_at(at), Some(at + LOOK));
    assert_eq!(pool.succeeded(&id("a")), Some(ProxyState::Active));
    assert!(matches!(pool.home(Some(&id("a")), at), Home::Open(_)));
}

#[test]
fn a_rest_after_a_trial_is_twice_as_long_up_to_the_longest_and_a_hint_is_never_cut() {
    let mut pool = pool(&["a"]);
    let mut now = NOW;
    let mut lengths = Vec::new();
    pool.rest(&id("a"), rest(now + SECOND * 600), now);
    for hint in [60, 60, 60, 7_200, 60] {
        now = until(&pool, "a");
        assert!(pool.select(now, |_| Ok(())).is_some());
        pool.give_back(&id("a"));
        let begun = pool.rest(&id("a"), rest(now + SECOND * hint), now);
        assert!(matches!(begun, Some(ProxyState::Cooling { .. })));
        lengths.push(until(&pool, "a").since(now).as_secs());
    }
    assert_eq!(lengths, [1_200, 2_400, 3_600, 7_200, 3_600]);
    now = until(&pool, "a");
    pool.open_at(now);
    pool.succeeded(&id("a"));
    pool.rest(&id("a"), rest(now + SECOND * 60), now);
    assert_eq!(until(&pool, "a").since(now), SECOND * 60, "a success forgives");
}

#[test]
fn a_broken_proxy_rests_as_its_breaker_says_and_another_s_guilt_brings_it_back() {
    let mut pool = pool(&["a"]);
    let minute = SECOND * 60;
    pool.rest(&id("a"), rest(NOW + HOUR), NOW);
    let now = NOW + HOUR;
    assert_eq!(pool.open_at(now), Some(now));
    assert!(pool.broken(&id("a"), rest(now + minute), now).is_some());
    assert_eq!(until(&pool, "a"), now + minute, "not doubled");
    assert_eq!(pool.absolved(&id("a")), Some(ProxyState::Active));
    pool.broken(&id("a"), rest(now + minute), now);
    pool.rest(&id("a"), rest(now + HOUR), now);
    assert_eq!(pool.absolved(&id("a")), None, "the platform wants it so");
}

#[test]
fn a_rest_is_never_shortened_and_a_disabled_proxy_stays_disabled() {
    let mut pool = pool(&["a", "b"]);
    let long = NOW + SECOND * 600;
    assert!(pool.rest(&id("a"), rest(long), NOW).is_some());
    assert_eq!(pool.rest(&id("a"), rest(NOW + SECOND), NOW), None);

    let disabled = ProxyState::Disabled { reason: "operator".into() };
    pool.replace(listed(&["b"]), vec![(id("b"), disabled.clone())], NOW);
    assert_eq!(pool.rest(&id("b"), rest(long), NOW), None);
    assert_eq!(pool.succeeded(&id("b")), None);
    assert_eq!(pool.open_at(NOW), None);
    assert_eq!(pool.home(Some(&id("b")), NOW), Home::Closed(None));
    assert_eq!(pool.home(Some(&id("a")), NOW), Home::Missing, "no longer listed");
    assert_eq!(pool.settle_in(None, NOW), None);
    assert_eq!(pool.views().len(), 1);
    // Another worker's old rest, and a list that is read anew, do not enable it either.
    pool.replace(listed(&["b"]), vec![], NOW);
    assert_eq!(state(&pool, "b"), disabled);
    assert!(pool.unsaved().is_empty(), "it came from the store");
}

#[test]
fn the_operator_enables_disables_and_ends_rests_in_the_store() {
    let mut pool = pool(&["a", "b"]);
    let disabled = ProxyState::Disabled { reason: "operator".into() };
    pool.learn(vec![(id("a"), disabled)], NOW);
    assert_eq!(uses(&mut pool, 2), "bb");
    pool.learn(vec![(id("a"), ProxyState::Active)], NOW);
    assert_eq!(uses(&mut pool, 2), "ab");

    let rested = pool.rest(&id("a"), rest(NOW + HOUR), NOW).unwrap();
    pool.learn(vec![(id("a"), ProxyState::Active)], NOW);
    assert_eq!(state(&pool, "a"), rested, "the store has not heard of the rest yet");
    assert_eq!(pool.unsaved(), [(id("a"), rested.clone())]);
    pool.saved(&[(id("a"), ProxyState::Active)]);
    assert_eq!(pool.unsaved().len(), 1, "another state was stored");
    pool.saved(&[(id("a"), rested)]);
    assert!(pool.unsaved().is_empty());
    pool.learn(vec![(id("a"), ProxyState::Active)], NOW);
    assert_eq!(state(&pool, "a"), ProxyState::Active);
}

#[test]
fn what_another_worker_has_seen_counts_here_too() {
    let mut pool = pool(&["a", "b"]);
    let cooling =
        |seconds| ProxyState::Cooling { until: NOW + SECOND * seconds, reason: "407".into() };
    pool.learn(vec![(id("a"), cooling(60))], NOW);
    assert_eq!(state(&pool, "a"), cooling(60));
    pool.learn(vec![(id("a"), cooling(30))], NOW);
    assert_eq!(state(&pool, "a"), cooling(60), "never shortened");
    pool.learn(vec![(id("a"), cooling(90)), (id("b"), cooling(0))], NOW);
    assert_eq!((state(&pool, "a"), state(&pool, "b")), (cooling(90), ProxyState::Active));
    // Of a proxy that is new, an old rest says that it is to be tried first.
    pool.replace(listed(&["c"]), vec![(id("c"), cooling(0))], NOW);
    assert_eq!(state(&pool, "c"), ProxyState::Probing);
}

#[test]
fn a_proxy_that_rests_too_often_is_disabled_but_not_for_limits() {
    let policy = ProxyPolicy { max_rests: NonZeroU32::new(3), ..Default::default() };
    let mut pool = pool_of(policy, &["a"]);
    let mut now = NOW;
    let mut rests = |class, gaps: &[u32]| {
        let mut last = None;
        for gap in gaps {
            now = now + HOUR * *gap;
            last = pool.rest(&id("a"), Rest::new(class, now + SECOND, "407"), now);
            pool.open_at(now + SECOND * 2);
            pool.succeeded(&id("a"));
        }
        last
    };
    assert!(matches!(rests(Class::RateLimited, &[1; 20]), Some(ProxyState::Cooling { .. })));
    let slow = rests(Class::Blocked, &[1, 13, 13, 13, 13]);
    assert!(matches!(slow, Some(ProxyState::Cooling { .. })), "{slow:?}");
    let Some(ProxyState::Disabled { reason }) = rests(Class::Blocked, &[30, 1, 1]) else {
        panic!("still in use")
    };
    assert!(reason.contains("3 times") && reason.contains("407"), "{reason}");
    assert_eq!(pool.unsaved().len(), 1, "to be stored");
}

#[test]
fn a_session_leaves_a_closed_home_only_if_the_policy_says_so() {
    let after = SECOND * 300;
    for (home, leaves) in [(HomePolicy::Strict, false), (HomePolicy::Failover { after }, true)] {
        let mut pool = pool_of(ProxyPolicy { home, ..Default::default() }, &["a", "b"]);
        assert_eq!(pool.settle_in(None, NOW), Some(id("a")));
        pool.rest(&id("a"), rest(NOW + HOUR), NOW);
        let soon = NOW + SECOND * 299;
        let looks = if leaves { NOW + after } else { NOW + HOUR };
        assert_eq!(pool.home(Some(&id("a")), soon), Home::Closed(Some(looks)));
        let later = NOW + after;
        assert_eq!(pool.home(Some(&id("a")), later) == Home::Missing, leaves);
        let next = pool.settle_in(Some(&id("a")), later).unwrap();
        assert_eq!(next, id(if leaves { "b" } else { "a" }));
    }
}

#[test]
fn the_least_used_proxy_is_taken_first() {
    let mut pool = pool(&["a", "b", "c"]);
    let mut take = || pool.select(NOW, |_| Ok(())).map(|proxy| proxy.id().clone());
    assert_eq!(
        [take(), take(), take(), take()],
        [Some(id("a")), Some(id("b")), Some(id("c")), Some(id("a"))]
    );
    pool.give_back(&id("b"));
    assert_eq!(pool.select(NOW, |_| Ok(())).unwrap().id(), &id("b"));
}

#[test]
fn each_rotation_has_its_order() {
    for (rotation, order) in [
        (Rotation::LeastUsed, "abcabc"),
        (Rotation::RoundRobin, "abcabc"),
        (Rotation::Sticky, "aaaaaa"),
        (Rotation::Weighted, "abcabc"),
    ] {
        assert_eq!(uses(&mut pool_of(rotating(rotation), &["a", "b", "c"]), 6), order);
    }
    // A use by a session moves a proxy back only where uses are to be spread.
    for (rotation, order) in [(Rotation::LeastUsed, "bc"), (Rotation::RoundRobin, "ab")] {
        let mut pool = pool_of(rotating(rotation), &["a", "b", "c"]);
        pool.take(&id("a"));
        pool.give_back(&id("a"));
        assert_eq!(uses(&mut pool, 2), order);
    }
}

#[test]
fn the_sticky_rotation_stays_until_it_must_go_and_does_not_go_back() {
    let mut pool = pool_of(rotating(Rotation::Sticky), &["a", "b"]);
    assert_eq!(uses(&mut pool, 2), "aa");
    pool.rest(&id("a"), rest(NOW), NOW);
    assert_eq!(uses(&mut pool, 2), "bb");
}

#[test]
fn weights_are_shares_and_whoever_joins_makes_up_for_nothing() {
    let mut pool = ProxyPool::new(rotating(Rotation::Weighted), false);
    let weighs = |host, weight| proxy(host).with_weight(NonZeroU8::new(weight).unwrap());
    let mut all = vec![weighs("a", 1), weighs("b", 3), weighs("c", 6)];
    pool.replace(all.clone(), vec![], NOW);
    let used = uses(&mut pool, 1_000);
    let count = |host| used.matches(host).count();
    for (host, share) in [("a", 100), ("b", 300), ("c", 600)] {
        assert!(count(host).abs_diff(share) <= 2, "{host}: {}", count(host));
    }
    all.push(weighs("d", 10));
    pool.replace(all, vec![], NOW);
    let used = uses(&mut pool, 100);
    assert!(used.matches('d').count().abs_diff(50) <= 2, "{used}");
}

/// No starvation: from when a proxy is free until its next use there are at most `2n` others.
#[test]
fn no_starvation_the_lru_gap_is_at_most_twice_the_number_of_proxies() {
    for rotation in [Rotation::LeastUsed, Rotation::RoundRobin, Rotation::Weighted] {
        let hosts: Vec<_> = (0..50).map(|number| format!("h{number}")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let mut pool = pool_of(rotating(rotation), &hosts);
        let (mut last, mut under_way) = (HashMap::new(), VecDeque::new());
        for number in 0_usize..5_000 {
            let proxy = pool.select(NOW, |_| Ok(())).unwrap();
            let before = last.insert(proxy.id().clone(), number).unwrap_or(0);
            assert!(number - before <= 100, "{rotation:?}: {} after {}", proxy, number - before);
            under_way.push_back(proxy.id().clone());
            // Up to twenty at a time, which do not end in their order.
            while under_way.len() > 20 - number % 13 {
                let at = number % under_way.len();
                let free = under_way.remove(at).unwrap();
                pool.give_back(&free);
                last.insert(free, number);
            }
        }
        assert_eq!(last.len(), 50);
    }
}

#[test]
fn no_exclusive_proxy_is_used_twice_at_once() {
    let policy = ProxyPolicy { max_in_flight: NonZeroU32::new(1), ..Default::default() };
    let mut pool = pool_of(policy, &["a", "b"]);
    let first = pool.select(NOW, |_| Ok(())).unwrap();
    assert!(matches!(pool.home(Some(&id("b")), NOW), Home::Open(_)));
    pool.take(&id("b"));
    assert_eq!(pool.select(NOW, |_| Ok(())), None);
    assert_eq!(pool.home(Some(first.id()), NOW), Home::Closed(Some(NOW + LOOK)));
    assert_eq!(pool.open_at(NOW), Some(NOW + LOOK), "it ends by itself");
    pool.give_back(&id("b"));
    assert_eq!(pool.open_at(NOW), Some(NOW));
    assert_eq!(pool.select(NOW, |_| Ok(())).unwrap().id(), &id("b"));
}

#[test]
fn a_removed_proxy_drains_and_comes_back_as_it_was() {
    let mut pool = pool(&["a", "b"]);
    pool.take(&id("a"));
    pool.count(&id("a"), 1, [Class::Timeout], NOW);
    pool.replace(listed(&["b"]), vec![], NOW);
    assert_eq!((pool.len(), state(&pool, "a")), (2, ProxyState::Draining));
    assert_eq!(uses(&mut pool, 3), "bbb");
    assert_eq!(pool.home(Some(&id("a")), NOW), Home::Missing);
    pool.replace(listed(&["a", "b"]), vec![], NOW);
    let view = &pool.views()[0];
    assert_eq!((view.in_flight, view.usage.faults[&Class::Timeout]), (1, 1));
    pool.replace(listed(&["b"]), vec![], NOW);
    pool.give_back(&id("a"));
    assert_eq!(pool.len(), 1, "the last check has ended");
    pool.give_back(&id("a"));
    pool.replace(vec![], vec![], NOW);
    assert!(pool.is_empty() && pool.open_at(NOW).is_none());
}

#[test]
fn one_that_a_limit_holds_up_is_asked_about_once_in_a_while() {
    let mut pool = pool(&["a", "b", "c"]);
    let mut asked = 0;
    let mut select = |pool: &mut ProxyPool, now, at| {
        let selected = pool.select(now, |_| {
            asked += 1;
            Err(at)
        });
        assert_eq!(selected, None);
        asked
    };
    let soon = NOW + SECOND / 10;
    assert_eq!(select(&mut pool, NOW, soon), 3);
    assert_eq!(select(&mut pool, NOW, soon), 3, "nobody is asked again");
    assert_eq!(pool.open_at(NOW), Some(soon));
    assert_eq!(select(&mut pool, soon, NOW + HOUR), 6);
    assert_eq!(pool.open_at(soon), Some(soon + LOOK), "another lane may have other limits");
    assert!(matches!(pool.home(Some(&id("a")), soon), Home::Open(_)), "as homes they go on");
    assert!(pool.select(soon + LOOK, |_| Ok(())).is_some());
}

#[test]
fn a_rest_ends_with_a_probe_where_there_is_one() {
    let mut pool = ProxyPool::new(ProxyPolicy::default(), true);
    pool.replace(listed(&["a", "b"]), vec![], NOW);
    assert!(pool.next_probes(9, NOW).is_empty() && pool.probe_at(NOW).is_none());
    let minute = SECOND * 60;
    pool.rest(&id("a"), rest(NOW + minute), NOW);
    assert_eq!(pool.probe_at(NOW), Some(NOW + minute));
    let mut now = NOW + minute;
    let fault = |scope| Fault::new(Class::Timeout, scope, "no answer");
    let due = |pool: &mut ProxyPool, now| {
        let due = pool.next_probes(9, now);
        assert!(pool.next_probes(9, now).is_empty(), "one at a time");
        due.iter().map(|proxy| proxy.id().clone()).collect::<Vec<_>>()
    };
    assert_eq!(due(&mut pool, now), [id("a")]);
    assert_eq!(uses(&mut pool, 3), "bbb", "nothing goes through it meanwhile");
    pool.probed(&id("a"), Err(&fault(Scope::Proxy)), minute, now);
    assert_eq!(until(&pool, "a").since(now), minute * 2);
    now = until(&pool, "a");
    assert_eq!(due(&mut pool, now), [id("a")]);
    let said = pool.probed(&id("a"), Err(&fault(Scope::Endpoint)), minute, now);
    assert_eq!((said, state(&pool, "a")), (None, ProxyState::Probing), "no word on the proxy");
    pool.rest(&id("a"), rest(now), now);
    now = until(&pool, "a");
    assert_eq!(due(&mut pool, now), [id("a")]);
    assert_eq!(pool.probed(&id("a"), Ok(()), minute, now), Some(ProxyState::Active));
    assert_eq!(pool.probed(&id("a"), Err(&fault(Scope::Proxy)), minute, now), None, "not asked");
}

#[test]
fn new_proxies_are_probed_before_their_first_use_if_so_configured() {
    for (probes, validate, first) in [(true, true, 0), (true, false, 2), (false, true, 2)] {
        let policy = ProxyPolicy { validate, ..ProxyPolicy::default() };
        let mut pool = ProxyPool::new(policy, probes);
        pool.replace(listed(&["a", "b"]), vec![], NOW);
        let usable = pool.views().iter().filter(|view| view.state == ProxyState::Active).count();
        assert_eq!(usable, first);
        for proxy in pool.next_probes(9, NOW) {
            pool.probed(proxy.id(), Ok(()), SECOND, NOW);
        }
        assert_eq!(uses(&mut pool, 2), "ab");
        pool.replace(listed(&["a", "b"]), vec![], NOW);
        assert!(pool.next_probes(9, NOW).is_empty(), "only what is new");
    }
}
