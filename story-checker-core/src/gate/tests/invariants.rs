//! The invariants of the limiter, by their names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::{START, gate, paused, per, send, send_to_the_millisecond, session};
use crate::clock::{Clock, Timestamp, VirtualClock};
use crate::gate::state::KeyState;
use crate::gate::{ColdStart, Gate, GateSnapshot, Key, KeyClass, Limit, Need, Quota};

const SECOND: Duration = Duration::from_secs(1);

fn need(limit: &Limit) -> [Need; 1] {
    [Need::new(Key::new(KeyClass::Session, "main"), Some(limit.clone()))]
}

/// In milliseconds.
fn since_start(at: Timestamp) -> u64 {
    u64::try_from(at.since(START).as_millis()).unwrap()
}

/// Each request keeps every window before it within the limit that was in force when it left.
fn check(sent: &[(u64, Limit)]) -> Result<(), TestCaseError> {
    for (index, (at, limit)) in sent.iter().enumerate() {
        for quota in limit.quotas() {
            let window = u64::try_from(quota.window().as_millis()).unwrap();
            let before = sent[..=index].iter().rev().take_while(|(other, _)| other + window > *at);
            let (count, most) = (before.count(), quota.requests() as usize);
            prop_assert!(count <= most, "{count} of {most} in {window} ms at {at}: {sent:?}");
        }
    }
    Ok(())
}

fn quota(window_ms: u64) -> impl Strategy<Value = Quota> {
    (1u32..40, 1u32..8).prop_map(move |(requests, burst)| {
        let window = Duration::from_millis(window_ms);
        Quota::with_burst(requests, window, burst.min(requests)).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn i1_every_window_of_every_quota_holds(
        (long, short) in (quota(20_000), quota(3_000)),
        pauses in proptest::collection::vec(0u64..8_000, 1..80),
    ) {
        paused(async move {
            let gate = gate();
            let limit = Limit::new([long, short]).unwrap();
            let mut sent = Vec::new();
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                while send(&gate, &need(&limit)).is_ok() {
                    sent.push((since_start(gate.now()), limit.clone()));
                }
            }
            check(&sent)
        })?;
    }

    /// Restarts go on from what was last stored, which is up to three seconds old; limits change
    /// while the gate runs, and across restarts.
    #[test]
    fn i1_every_window_holds_across_restarts_and_changes(
        limits in proptest::collection::vec(quota(10_000), 1..4),
        steps in proptest::collection::vec((0u64..4_000, 0u8..12, 1usize..6), 1..60),
    ) {
        paused(async move {
            let clock = Arc::new(VirtualClock::starting_at(START));
            let key = Key::new(KeyClass::Session, "main");
            let mut gate = Arc::new(Gate::new(Arc::<VirtualClock>::clone(&clock)));
            let (mut sent, mut stored, mut which) = (Vec::new(), None::<GateSnapshot>, 0);
            for (pause, what, most) in steps {
                advance(Duration::from_millis(pause)).await;
                match what {
                    0 => {
                        gate = Arc::new(Gate::new(Arc::<VirtualClock>::clone(&clock)));
                        if let Some(stored) = &stored {
                            let json = serde_json::to_string(stored).unwrap();
                            gate.restore(&serde_json::from_str(&json).unwrap());
                        }
                        gate.set_limit(&key, Some(limits[which].into()));
                    }
                    1 => {
                        which = (which + 1) % limits.len();
                        gate.set_limit(&key, Some(limits[which].into()));
                    }
                    _ => {}
                }
                let limit = Limit::from(limits[which]);
                for _ in 0..most {
                    if send(&gate, &need(&limits[0].into())).is_ok() {
                        sent.push((since_start(clock.now()), limit.clone()));
                    }
                }
                if stored.as_ref().is_none_or(|it| it.known_until <= clock.now()) {
                    stored = Some(gate.snapshot(SECOND * 3));
                }
            }
            check(&sent)
        })?;
    }

    #[test]
    fn i4_what_is_dropped_at_any_await_leaves_nothing(
        limit in quota(10_000),
        drops in proptest::collection::vec((0u64..3_000, 1usize..5, any::<bool>()), 1..20),
    ) {
        paused(async move {
            let (gate, twin) = (gate(), gate());
            let limit = Limit::from(limit);
            for (pause, waiters, takes) in drops {
                let wait = || gate.pass(need(&limit).into(), SECOND * 60).boxed();
                let mut waiting: Vec<_> = (0..waiters).map(|_| wait()).collect();
                for waiter in &mut waiting {
                    // One that is there at once is dropped unsent.
                    _ = waiter.now_or_never();
                }
                advance(Duration::from_millis(pause)).await;
                // From the middle, and in every state.
                drop(waiting.swap_remove(waiters / 2));
                drop(waiting);
                if takes {
                    prop_assert_eq!(
                        send(&gate, &need(&limit)).is_ok(), send(&twin, &need(&limit)).is_ok()
                    );
                }
                let now = |gate: &Gate| gate.availability(&need(&limit));
                prop_assert_eq!(now(&gate), now(&twin));
            }
            prop_assert!(gate.lock().lines.is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn i5_nothing_is_sent_before_the_end_of_a_block(
        limit in quota(10_000),
        steps in proptest::collection::vec((0u64..20_000, 0u64..40_000), 1..40),
    ) {
        paused(async move {
            let gate = gate();
            let limit = Limit::from(limit);
            let mut until = START;
            for (pause, block) in steps {
                let at = gate.now() + Duration::from_millis(block);
                gate.block_until(&need(&limit)[0].key, at);
                until = until.max(at);
                advance(Duration::from_millis(pause)).await;
                let sent = send(&gate, &need(&limit)).is_ok();
                prop_assert!(!sent || gate.now() >= until);
                prop_assert_eq!(gate.blocks().len(), usize::from(gate.now() < until));
            }
            Ok(())
        })?;
    }

    #[test]
    fn i7_the_promised_time_is_exact_for_several_keys_and_quotas(
        (long, short, app) in (quota(20_000), quota(3_000), quota(5_000)),
        (tries, left) in (1usize..60, 1u32..9),
    ) {
        paused(async move {
            let gate = gate();
            let [session] = need(&Limit::new([long, short]).unwrap());
            let app = Need::new(Key::new(KeyClass::App, "app"), Some(app.into()));
            let needs = [app, session];
            let mut pass = gate.try_pass(needs.clone().into()).unwrap();
            pass.mark_sent();
            pass.remaining(KeyClass::App, left, START + SECOND * 9);
            for _ in 0..tries {
                send_to_the_millisecond(&gate, &needs).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}

/// Keeps `callers` busy for so long and returns how many passes each of them got.
async fn backlog(gate: &Arc<Gate>, limit: &Limit, callers: usize, time: Duration) -> Vec<usize> {
    let end = Instant::now() + time;
    let counts: Arc<[AtomicUsize]> = (0..callers).map(|_| AtomicUsize::new(0)).collect();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (gate, counts, limit) = (Arc::clone(gate), Arc::clone(&counts), limit.clone());
            tokio::spawn(async move {
                while let Ok(mut pass) = gate.pass(need(&limit).into(), time * 2).await {
                    if Instant::now() >= end {
                        break;
                    }
                    pass.mark_sent();
                    counts[caller].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

#[tokio::test(start_paused = true)]
async fn i2_a_known_limit_is_used_to_98_percent() {
    for (requests, secs, burst) in [(200, 3_600, 4), (100, 10, 1), (1_000, 60, 20), (20, 60, 1)] {
        let windows = 20;
        let quota = per(requests, secs, burst);
        let time = Duration::from_secs(secs) * windows;
        let sent: usize = backlog(&gate(), &quota.into(), 8, time).await.iter().sum();
        let used = sent as f64 / f64::from(requests * windows);
        println!("{requests} per {secs} s, burst {burst}: {:.2} % used", used * 100.0);
        assert!(used >= 0.98, "{used}");
    }
}

#[tokio::test(start_paused = true)]
async fn i3_who_waits_goes_in_order_and_all_get_the_same() {
    let limit = Limit::from(per(60, 60, 1));
    let gate = gate();
    let counts = backlog(&gate, &limit, 7, SECOND * 700).await;
    let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
    assert!(*most as f64 <= *least as f64 * 1.05, "{counts:?}");

    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (gate, order, limit) = (Arc::clone(&gate), Arc::clone(&order), limit.clone());
            tokio::spawn(async move {
                let mut pass = gate.pass(need(&limit).into(), SECOND * 100).await.unwrap();
                pass.mark_sent();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    advance(SECOND / 2).await;
    assert!(send(&gate, &need(&limit)).is_err(), "nobody goes past those who wait");
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn i3_who_cannot_go_yet_does_not_stop_the_others() {
    let gate = gate();
    let app = Need::new(Key::new(KeyClass::App, "app"), Some(per(60, 60, 1).into()));
    let of = |name: &str| [app.clone(), Need::new(Key::new(KeyClass::Session, name), None)];
    gate.block_until(&of("slow")[1].key, START + SECOND * 30);
    let slow = tokio::spawn({
        let (gate, needs) = (Arc::clone(&gate), of("slow"));
        async move { gate.pass(needs.into(), SECOND * 60).await.map(|mut pass| pass.mark_sent()) }
    });
    tokio::task::yield_now().await;
    for _ in 0..30 {
        gate.pass(of("quick").into(), SECOND * 60).await.unwrap().mark_sent();
    }
    assert_eq!(gate.now(), START + SECOND * 29, "one per second");
    slow.await.unwrap().unwrap();
    assert_eq!(gate.now(), START + SECOND * 30);
}

#[tokio::test(start_paused = true)]
async fn i6_a_million_one_shot_keys_leave_no_memory_behind() {
    let gate = gate();
    for number in 0..1_000_000 {
        let key = Key::new(KeyClass::Session, format!("s{number}"));
        send(&gate, &[Need::new(key, Some(per(60, 60, 1).into()))]).unwrap();
    }
    assert_eq!(gate.tracked(), 1_000_000);
    advance(SECOND * 61).await;
    gate.tidy();
    assert_eq!(gate.tracked(), 0);
}

/// Of a key with one quota: what lies in the table, fully or half used, the state on the heap, and a
/// name of 20 letters.
#[test]
fn i6_a_key_takes_at_most_200_bytes() {
    let entry = size_of::<(Key, Box<KeyState>)>() + 1;
    let heap = size_of::<KeyState>() + 8 + (16 + 20 + 8);
    let (least, most) = (entry * 8 / 7 + heap, entry * 16 / 7 + heap);
    println!("state {} B, per key {least} to {most} B", size_of::<KeyState>());
    assert!((least + most) / 2 <= 200, "{least} to {most}");
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_holds_at_once_and_wakes_who_waits() {
    let gate = gate();
    let slow = Limit::from(per(1, 60, 1));
    send(&gate, &need(&slow)).unwrap();
    let waiting = tokio::spawn({
        let (gate, needs) = (Arc::clone(&gate), need(&slow));
        async move { gate.pass(needs.into(), SECOND * 100).await.map(|mut pass| pass.mark_sent()) }
    });
    advance(SECOND * 30).await;
    gate.set_class_limit(KeyClass::Session, Some(per(60, 60, 1).into()));
    waiting.await.unwrap().unwrap();
    // Half of the request is paid; what is owed is owed at the new rate.
    assert!(gate.now().since(START) <= SECOND * 31, "{}", gate.now());
    gate.set_class_limit(KeyClass::Session, None);
    assert!(gate.availability(&need(&slow)).ready_at > START + SECOND * 60);
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_counts_what_went_before() {
    let gate = gate();
    let needs = need(&per(200, 3_600, 1).into());
    for _ in 0..200 {
        send(&gate, &needs).unwrap();
        advance(SECOND * 18).await;
    }
    gate.set_limit(&needs[0].key, Some(per(100, 3_600, 1).into()));
    let ready = gate.availability(&needs).ready_at;
    assert!(ready.since(gate.now()) >= SECOND * 1_700, "99 of the 200 have to be out of the hour");
    assert!(ready.since(gate.now()) <= SECOND * 3_700);
}

#[tokio::test(start_paused = true)]
async fn hints_survive_a_restart_and_long_ones_are_parked() {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(START));
    let gate = Gate::new(Arc::clone(&clock));
    let needs = [session(None)];
    let until = START + SECOND * 90_000;
    gate.block_until(&needs[0].key, until);
    gate.blocked().await;
    let stored = gate.snapshot(Duration::ZERO);
    advance(SECOND).await;
    let next = Arc::new(Gate::new(clock));
    next.restore(&stored);
    let blocks = next.blocks();
    assert_eq!((blocks[0].until, blocks[0].parked), (until, true));
    assert_eq!(send(&next, &needs).unwrap_err().ready_at, until);
    assert_eq!(next.snapshot(Duration::ZERO).keys, stored.keys);
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_may_be_told_what_was_spent() {
    let limit = Limit::from(per(10, 60, 5));
    for (assumed, now, wait) in
        [(ColdStart::Fresh, 5, 0), (ColdStart::Lawful, 0, 10), (ColdStart::Spent, 0, 60)]
    {
        let clock = Arc::new(VirtualClock::starting_at(START));
        let gate = Gate::new(Arc::<VirtualClock>::clone(&clock)).with_cold_start(assumed);
        let available = gate.availability(&need(&limit));
        assert_eq!(available.now, now, "{assumed:?}");
        assert_eq!(available.ready_at.since(START), SECOND * wait, "{assumed:?}");
        advance(SECOND * 120).await;
        assert_eq!(gate.availability(&need(&limit)).now, 5, "{assumed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_used_budget_slows_its_key_down_to_nothing() {
    let gate = gate();
    let needs = need(&per(60, 60, 10).into());
    let after = |percent: f64| {
        let mut pass = gate.try_pass(needs.clone().into()).unwrap();
        pass.mark_sent();
        pass.usage(KeyClass::Session, percent);
        gate.availability(&needs).ready_at.since(gate.now())
    };
    assert_eq!(after(70.0), Duration::ZERO);
    let interval = Duration::from_micros(60_000_000_u64.div_ceil(51)).as_secs_f64();
    assert!((after(80.0).as_secs_f64() - interval / 0.8).abs() < 0.01);
    advance(SECOND * 10).await;
    assert!((after(99.0).as_secs_f64() - interval / 0.04).abs() < 0.01);
    advance(SECOND * 60).await;
    assert_eq!(after(10.0), Duration::ZERO, "a good word ends it");
    assert_eq!(after(100.0), SECOND * 60, "the window");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_spread_until_the_window_begins_anew() {
    let gate = gate();
    let needs = [session(None)];
    let mut pass = gate.try_pass(needs.clone().into()).unwrap();
    pass.mark_sent();
    pass.remaining(KeyClass::Session, 10, START + SECOND * 100);
    let ready = |gate: &Gate| gate.availability(&needs).ready_at;
    assert_eq!(ready(&gate), START + SECOND * 10);
    advance(SECOND * 95).await;
    send(&gate, &needs).unwrap();
    assert_eq!(ready(&gate), START + SECOND * 100, "then the window is new");
    pass.remaining(KeyClass::Session, 0, START + SECOND * 500);
    assert_eq!(ready(&gate), START + SECOND * 500);
}
