//! Limits and breakers in one decision.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::super::{BreakerState, Gate, Key, KeyClass, Need};
use super::{START, gate, per};
use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

fn endpoint(name: &str) -> Key {
    Key::new(KeyClass::Endpoint, name)
}

/// One request a second for the app; each endpoint has a breaker.
fn needs(name: &str) -> Box<[Need]> {
    let app = Need::new(Key::new(KeyClass::App, "app"), Some(per(1, 1, 1).into()));
    Box::new([app, Need::new(endpoint(name), None)])
}

fn after(seconds: u32) -> Timestamp {
    START + SECOND * seconds
}

/// When it was let through, or is let through next if its patience is too short for that.
async fn asked(gate: Arc<Gate>, name: &'static str, patience: Duration) -> Result<u64, Timestamp> {
    let start = Instant::now();
    let mut pass = gate.pass(needs(name), patience).await.map_err(|refused| {
        assert!(refused.breaker && refused.key == endpoint(name), "{refused:?}");
        refused.ready_at
    })?;
    pass.mark_sent();
    pass.settle(None, SECOND);
    Ok(start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_breaker_holds_up_nobody_and_goes_when_it_lets_through() {
    let gate = gate();
    gate.open_breaker(&endpoint("down"), after(60));
    let ask = |name, patience| tokio::spawn(asked(Arc::clone(&gate), name, patience));
    let waiting = ask("down", SECOND * 90);
    let hasty = ask("down", SECOND * 30);
    let others: Vec<_> = (0..4).map(|_| ask("up", SECOND * 30)).collect();
    for (other, second) in others.into_iter().zip(0..) {
        assert_eq!(other.await.unwrap(), Ok(second), "in order, one a second");
    }
    assert_eq!(hasty.await.unwrap(), Err(after(60)));
    assert_eq!(waiting.await.unwrap(), Ok(60));
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_when_the_breaker_opens_leaves_the_line() {
    let gate = gate();
    let ask = |name, patience| tokio::spawn(asked(Arc::clone(&gate), name, patience));
    assert_eq!(ask("up", SECOND).await.unwrap(), Ok(0));
    let first = ask("down", SECOND * 90);
    let second = ask("down", SECOND * 30);
    let third = ask("up", SECOND * 30);
    tokio::task::yield_now().await;
    advance(SECOND / 2).await;
    gate.open_breaker(&endpoint("down"), after(60));
    assert_eq!(third.await.unwrap(), Ok(1));
    assert!(second.await.unwrap().is_err(), "it would have to wait for longer");
    assert_eq!(first.await.unwrap(), Ok(60));
}

#[tokio::test(start_paused = true)]
async fn what_the_limit_refuses_costs_no_probe_and_a_dropped_pass_gives_both_back() {
    let gate = gate();
    gate.open_breaker(&endpoint("down"), after(1));
    let (probe, other) = (needs("down"), needs("up"));
    assert_eq!(gate.availability(&probe).ready_at, after(1));
    advance(SECOND).await;
    gate.try_pass(other.clone()).unwrap().settle(None, SECOND);
    let refused = gate.try_pass(probe.clone()).unwrap_err();
    assert!(!refused.breaker && refused.key == probe[0].key, "{refused:?}");
    assert_eq!(gate.availability(&probe).ready_at, refused.ready_at);
    assert_eq!(gate.availability(&probe[1..]).now, 1, "the probe is still to be had");
    advance(SECOND).await;

    let pass = gate.try_pass(probe.clone()).unwrap();
    assert_eq!((gate.availability(&probe).now, gate.availability(&probe[1..]).now), (0, 0));
    drop(pass);
    assert_eq!((gate.availability(&probe).now, gate.availability(&other).now), (1, 1));
    gate.try_pass(probe).unwrap().settle(None, SECOND);
    let views = gate.breakers();
    assert!(views.iter().all(|view| view.state != BreakerState::Open), "{views:?}");
}
