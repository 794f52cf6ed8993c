mod invariants;
mod learning;
mod together;

use std::num::NonZeroU32;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::time::{Instant, advance};

use std::sync::Arc;
use std::time::Duration;

use super::{Gate, Key, KeyClass, Limit, Need, NotReady, Quota};
use crate::clock::{Timestamp, VirtualClock};
use crate::fault::{Class, Fault, Scope};

type Oracle = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>;

const START: Timestamp = Timestamp::from_secs(1_795_251_600);

fn gate() -> Arc<Gate> {
    Arc::new(Gate::new(Arc::new(VirtualClock::starting_at(START))))
}

fn session(quota: Option<Quota>) -> Need {
    Need::new(Key::new(KeyClass::Session, "main"), quota.map(Limit::from))
}

fn per(requests: u32, secs: u64, burst: u32) -> Quota {
    Quota::with_burst(requests, Duration::from_secs(secs), burst).unwrap()
}

fn send(gate: &Arc<Gate>, needs: &[Need]) -> Result<(), NotReady> {
    gate.try_pass(needs.into()).map(|mut pass| pass.mark_sent())
}

/// Sends, at once or else exactly when the refusal says.
async fn send_to_the_millisecond(gate: &Arc<Gate>, needs: &[Need]) -> TestCaseResult {
    if let Err(refusal) = send(gate, needs) {
        let wait = refusal.ready_at.since(gate.now());
        advance(wait - Duration::from_millis(1)).await;
        prop_assert!(send(gate, needs).is_err());
        advance(Duration::from_millis(1)).await;
        prop_assert!(send(gate, needs).is_ok());
    }
    Ok(())
}

fn paused<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn impossible_quotas_are_refused_with_the_reason() {
    let second = Duration::from_secs(1);
    for (requests, window, burst) in [
        (0, second, 1),
        (5, second, 0),
        (5, second, 6),
        (5, Duration::ZERO, 1),
        (1, Duration::MAX, 1),
    ] {
        let error = Quota::with_burst(requests, window, burst).unwrap_err().to_string();
        assert!(error.contains("is no limit"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_then_the_promised_time_is_exact() {
    let gate = gate();
    let needs = [session(Some(per(10, 60, 3)))];
    assert_eq!(gate.availability(&needs).now, 3);
    for _ in 0..3 {
        send(&gate, &needs).unwrap();
    }
    let refusal = send(&gate, &needs).unwrap_err();
    assert_eq!(refusal.key, needs[0].key);
    let wait = refusal.ready_at.since(START);
    advance(wait - Duration::from_millis(1)).await;
    assert!(send(&gate, &needs).is_err());
    advance(Duration::from_millis(1)).await;
    assert_eq!(gate.availability(&needs).now, 1);
    send(&gate, &needs).unwrap();
}

#[tokio::test(start_paused = true)]
async fn several_keys_are_taken_all_or_none() {
    let gate = gate();
    let proxy = Need::new(Key::new(KeyClass::Proxy, "p"), Some(per(1, 60, 1).into()));
    let both = [session(Some(per(100, 60, 50))), proxy];
    send(&gate, &both).unwrap();
    assert!(send(&gate, &both).is_err());
    assert_eq!(gate.availability(&both[..1]).now, 49, "the refusal took nothing from the session");
}

#[tokio::test(start_paused = true)]
async fn a_pass_dropped_before_sending_gives_back_what_it_took() {
    let gate = gate();
    let needs = [session(Some(per(2, 60, 2)))];
    for _ in 0..100 {
        drop(gate.try_pass(needs.clone().into()).unwrap());
    }
    assert_eq!(gate.availability(&needs).now, 2);
    gate.try_pass(needs.clone().into()).unwrap().settle(None, Duration::ZERO);
    assert_eq!(gate.availability(&needs).now, 1, "a settled pass is spent");
}

#[tokio::test(start_paused = true)]
async fn a_block_holds_to_the_end_is_never_shortened_and_needs_no_quota() {
    let gate = gate();
    let needs = [session(None)];
    let long = START + Duration::from_secs(86_400);
    gate.block_until(&needs[0].key, long);
    gate.block_until(&needs[0].key, START + Duration::from_secs(5));
    assert_eq!(send(&gate, &needs).unwrap_err().ready_at, long);
    advance(Duration::from_millis(86_399_999)).await;
    assert!(send(&gate, &needs).is_err());
    advance(Duration::from_millis(1)).await;
    send(&gate, &needs).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_blocking_fault_blocks_the_key_of_its_scope_only() {
    let gate = gate();
    let endpoint = Need::new(Key::new(KeyClass::Endpoint, "instagram/reels"), None);
    let app = Need::new(Key::new(KeyClass::App, "instagram"), None);
    let needs = [app.clone(), endpoint.clone(), session(None)];
    let settle = |fault: &Fault| {
        gate.try_pass(needs.clone().into()).unwrap().settle(Some(fault), Duration::from_secs(60));
    };
    settle(&Fault::new(Class::RateLimited, Scope::Session, "429"));
    settle(&Fault::new(Class::Transient, Scope::Endpoint, "502"));
    settle(&Fault::new(Class::RateLimited, Scope::Endpoint, "429"));
    assert_eq!(gate.availability(&[endpoint]).ready_at, START + Duration::from_secs(60));
    assert_eq!(gate.availability(std::slice::from_ref(&app)).now, u32::MAX);

    advance(Duration::from_secs(60)).await;
    let hour = START + Duration::from_secs(3_600);
    settle(&Fault::new(Class::RateLimited, Scope::App, "(#4)").with_until(hour));
    assert_eq!(gate.availability(&[app]).ready_at, hour);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_patient_within_bounds_only() {
    let gate = gate();
    let needs = [session(Some(per(60, 60, 1)))];
    send(&gate, &needs).unwrap();
    let refused = gate.pass(needs.clone().into(), Duration::from_millis(900)).await.unwrap_err();
    assert_eq!(refused.ready_at, START + Duration::from_secs(1));
    assert_eq!(Instant::now().elapsed(), Duration::ZERO, "a refusal comes at once");
    gate.pass(needs.clone().into(), Duration::from_secs(2)).await.unwrap().mark_sent();
    assert_eq!(gate.now(), START + Duration::from_secs(1));
}

/// Sends as greedily as the gate allows, at the given moments, and returns the times in ms.
fn greedy(quota: Quota, pauses: &[u64]) -> Vec<u64> {
    paused(async {
        let gate = gate();
        let mut sent = Vec::new();
        for &pause in pauses {
            advance(Duration::from_millis(pause)).await;
            while send(&gate, &[session(Some(quota))]).is_ok() {
                sent.push(gate.now().as_millis() - START.as_millis());
            }
        }
        sent
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_more_than_n_in_any_window(
        requests in 1u32..40, burst in 1u32..40, window_ms in 1_000u64..60_000,
        pauses in proptest::collection::vec(0u64..20_000, 1..80),
    ) {
        let burst = burst.min(requests);
        let quota = Quota::with_burst(requests, Duration::from_millis(window_ms), burst).unwrap();
        let sent = greedy(quota, &pauses);
        for (index, &start) in sent.iter().enumerate() {
            let within = sent[index..].iter().take_while(|&&at| at < start + window_ms).count();
            prop_assert!(within <= requests as usize, "{within} of {requests} in one window");
        }
    }

    /// With a burst of one both algorithms are the same, so governor decides whether ours is right.
    #[test]
    fn agrees_with_governor_for_single_keys(
        per_minute in 1u32..600, pauses in proptest::collection::vec(0u64..5_000, 1..100),
    ) {
        let interval = Duration::from_micros(60_000_000_u64.div_ceil(u64::from(per_minute)));
        let clock = FakeRelativeClock::default();
        let oracle_quota = GovernorQuota::with_period(interval).unwrap().allow_burst(NonZeroU32::MIN);
        let oracle = Oracle::direct_with_clock(oracle_quota, clock.clone());
        paused(async move {
            let gate = gate();
            let needs = [session(Some(per(per_minute, 60, 1)))];
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                clock.advance(Duration::from_millis(pause));
                let ours = send(&gate, &needs).is_ok();
                prop_assert_eq!(ours, oracle.check().is_ok());
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_promised_time_is_exact(
        requests in 1u32..100, burst in 1u32..10, secs in 1u64..600, spent in 1usize..50,
    ) {
        let quota = per(requests, secs, burst.min(requests));
        paused(async move {
            let gate = gate();
            let needs = [session(Some(quota))];
            for _ in 0..spent {
                send_to_the_millisecond(&gate, &needs).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
