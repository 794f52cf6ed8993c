//! Breakers at the gate: what passes, what is refused, and who is to blame.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::super::{
    BreakerCause, BreakerMode, BreakerState, Gate, Key, KeyClass, Need, NotReady, Pass, Quota,
};
use crate::clock::{Timestamp, VirtualClock};
use crate::fault::{Class, Fault, Scope};

const START: Timestamp = Timestamp::from_secs(1_795_251_600);
const SECOND: Duration = Duration::from_secs(1);

fn gate() -> Arc<Gate> {
    Arc::new(Gate::new(Arc::new(VirtualClock::starting_at(START))))
}

fn endpoint() -> Key {
    Key::new(KeyClass::Endpoint, "app/story")
}

fn proxy(number: usize) -> Key {
    Key::new(KeyClass::Proxy, format!("p{number}"))
}

fn take(gate: &Arc<Gate>, number: usize) -> Result<Pass, NotReady> {
    let needs = [endpoint(), proxy(number)].map(|key| Need::new(key, None));
    gate.try_pass(needs.into())
}

/// One request through a proxy.
fn ask(gate: &Arc<Gate>, number: usize, fault: Option<Scope>) {
    let fault = fault.map(|scope| Fault::new(Class::Transient, scope, "reset"));
    take(gate, number).unwrap().settle(fault.as_ref(), SECOND);
}

/// The keys that are not closed.
fn open(gate: &Gate) -> Vec<Key> {
    let views = gate.breakers().into_iter();
    views.filter(|view| view.state != BreakerState::Closed).map(|view| view.key).collect()
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_exactly_until_its_time_and_costs_no_place_in_a_limit() {
    let gate = gate();
    for _ in 0..5 {
        ask(&gate, 0, Some(Scope::Endpoint));
    }
    let app = Key::new(KeyClass::App, "app");
    let quota = Quota::with_burst(10, SECOND * 3_600, 10).unwrap();
    let needs = [Need::new(app.clone(), Some(quota)), Need::new(endpoint(), None)];
    let refusal = gate.try_pass(needs.clone().into()).unwrap_err();
    assert!(refusal.breaker && refusal.key == endpoint(), "{refusal:?}");
    assert!(refusal.to_string().contains("endpoint app/story has failed again and again"));
    let looked = gate.availability(&needs);
    assert_eq!((looked.now, looked.ready_at), (0, refusal.ready_at));
    assert_eq!(gate.availability(&needs[..1]).now, 10);

    let wait = refusal.ready_at.since(START);
    assert!((SECOND * 9..SECOND * 11 + SECOND / 100).contains(&wait), "{wait:?}");
    advance(wait - SECOND / 500).await;
    assert!(gate.try_pass(needs.clone().into()).is_err());
    advance(SECOND / 500).await;
    assert_eq!(gate.availability(&needs).now, 1, "a probe");
    gate.try_pass(needs.into()).unwrap().settle(None, SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_permit_back() {
    let gate = gate();
    for _ in 0..5 {
        ask(&gate, 0, Some(Scope::Endpoint));
    }
    advance(SECOND * 11).await;
    for number in 0..10_000 {
        let mut probe = take(&gate, 1).unwrap();
        assert!(take(&gate, 2).unwrap_err().breaker, "one at a time");
        if number % 2 == 0 {
            probe.mark_sent();
        }
        drop(probe);
    }
    ask(&gate, 1, None);
    ask(&gate, 1, None);
    assert_eq!(open(&gate), []);
}

#[tokio::test(start_paused = true)]
async fn one_bad_proxy_of_ten_is_left_alone_and_nobody_else() {
    let gate = gate();
    let mut changes = gate.hear_breakers();
    for _ in 0..5 {
        (1..10).for_each(|number| ask(&gate, number, None));
        ask(&gate, 0, Some(Scope::Proxy));
    }
    assert_eq!(open(&gate), [proxy(0)]);
    let change = changes.try_recv().unwrap();
    assert_eq!((change.to, change.cause), (BreakerState::Open, BreakerCause::InARow));
    assert_eq!((change.until, &change.key), (gate.breakers()[0].until, &proxy(0)));
    assert!(changes.try_recv().is_err());
    assert!(take(&gate, 0).unwrap_err().breaker);
}

#[tokio::test(start_paused = true)]
async fn four_bad_proxies_of_ten_are_left_alone_and_the_endpoint_is_not() {
    let gate = gate();
    for _ in 0..10 {
        for number in 0..10 {
            if let Ok(pass) = take(&gate, number) {
                let fault = Fault::new(Class::Timeout, Scope::Proxy, "no answer");
                pass.settle((number % 3 == 0).then_some(&fault), SECOND);
            }
            advance(SECOND / 10).await;
        }
    }
    assert_eq!(open(&gate), [0, 3, 6, 9].map(proxy));
}

#[tokio::test(start_paused = true)]
async fn when_many_proxies_fail_it_is_the_endpoint_and_they_are_absolved() {
    let gate = gate();
    let mut changes = gate.hear_breakers();
    // Long before: this one has earned it.
    (0..5).for_each(|_| ask(&gate, 100, Some(Scope::Proxy)));
    advance(SECOND * 11).await;
    // One is used more than the others, and rests before it is clear what happens.
    (0..5).for_each(|_| ask(&gate, 0, Some(Scope::Proxy)));
    assert_eq!(open(&gate), [proxy(0), proxy(100)]);
    let on_their_way: Vec<_> = (1..50).map(|number| take(&gate, number).unwrap()).collect();
    for pass in on_their_way {
        pass.settle(Some(&Fault::new(Class::Timeout, Scope::Proxy, "no answer")), SECOND);
    }
    assert_eq!(open(&gate), [endpoint(), proxy(100)]);
    let causes = std::iter::from_fn(|| changes.try_recv().ok());
    let causes: Vec<_> = causes.skip(1).map(|it| (it.key, it.to, it.cause)).collect();
    assert_eq!(
        causes,
        [
            (proxy(0), BreakerState::Open, BreakerCause::InARow),
            (endpoint(), BreakerState::Open, BreakerCause::CommonCause),
            (proxy(0), BreakerState::Closed, BreakerCause::CommonCause),
        ]
    );
    let charged = gate.breakers().into_iter().filter(|view| view.failures > 0);
    assert_eq!(charged.count(), 0, "what was on its way is charged to nobody");

    // It stays so for the probes: who fails while the endpoint is down need not be bad.
    for _ in 0..6 {
        advance(SECOND * 400).await;
        ask(&gate, 1, Some(Scope::Proxy));
        assert_eq!(open(&gate), [endpoint(), proxy(100)]);
    }
    advance(SECOND * 400).await;
    ask(&gate, 1, None);
    ask(&gate, 2, None);
    assert_eq!(open(&gate), [proxy(100)]);
}

#[tokio::test(start_paused = true)]
async fn limits_logouts_and_absent_targets_are_no_failures() {
    let gate = gate();
    for (class, scope) in [
        (Class::RateLimited, Scope::Session),
        (Class::AuthRequired, Scope::Session),
        (Class::ChallengeRequired, Scope::Session),
        (Class::Permanent, Scope::Target),
        (Class::Cancelled, Scope::Ours),
        (Class::Timeout, Scope::Ours),
        (Class::Blocked, Scope::Proxy),
    ] {
        for number in 0..100 {
            take(&gate, number % 5).unwrap().settle(Some(&Fault::new(class, scope, "x")), SECOND);
        }
        assert_eq!(gate.breakers(), [], "{class} / {scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operator_opens_forces_and_gives_back() {
    let gate = gate();
    let until = START + SECOND * 3_600;
    gate.open_breaker(&endpoint(), until);
    assert_eq!(take(&gate, 0).unwrap_err().ready_at, until);
    gate.set_breaker(&endpoint(), BreakerMode::Disabled);
    (0..100).for_each(|_| ask(&gate, 0, Some(Scope::Endpoint)));
    gate.set_breaker(&proxy(0), BreakerMode::ForcedOpen);
    assert_eq!(take(&gate, 0).unwrap_err().ready_at, Timestamp::MAX);
    let modes: Vec<_> = gate.breakers().into_iter().map(|view| (view.key, view.mode)).collect();
    let disabled = (endpoint(), BreakerMode::Disabled);
    assert_eq!(modes, [disabled, (proxy(0), BreakerMode::ForcedOpen)]);
    gate.set_breaker(&proxy(0), BreakerMode::Automatic);
    gate.set_breaker(&endpoint(), BreakerMode::Automatic);
    gate.set_breaker(&Key::new(KeyClass::Session, "s"), BreakerMode::ForcedOpen);
    ask(&gate, 0, None);
    assert_eq!(gate.breakers(), []);
}

#[tokio::test(start_paused = true)]
async fn what_nothing_fails_at_needs_no_memory_and_what_failed_once_is_forgotten() {
    let gate = gate();
    for number in 0..20_000 {
        ask(&gate, number, None);
        if number % 10 == 0 {
            advance(SECOND).await;
        }
    }
    assert!(gate.tracked() < 300, "{}", gate.tracked());
    for number in 0..200_000 {
        // Few of many: no common cause.
        let scope = (number % 5 == 0).then_some(Scope::Proxy);
        ask(&gate, number, scope);
        if number % 10 == 0 {
            advance(SECOND * 10).await;
        }
    }
    assert!(gate.tracked() < 3_000, "{}", gate.tracked());
}
