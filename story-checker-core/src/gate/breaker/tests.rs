use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;
const SEED: u64 = 7;

fn policy() -> BreakerPolicy {
    BreakerPolicy::default()
}

fn opened(policy: &BreakerPolicy, now: u64) -> Breaker {
    let mut breaker = Breaker::new(0, now);
    for _ in 0..policy.in_a_row {
        fail(&mut breaker, policy, now);
    }
    assert_eq!(breaker.state(now), BreakerState::Open);
    breaker
}

fn fail(breaker: &mut Breaker, policy: &BreakerPolicy, now: u64) -> Option<Change> {
    let (epoch, _) = breaker.acquire(policy, now).expect("it lets requests through");
    breaker.failed(policy, now, epoch, SEED)
}

fn succeed(breaker: &mut Breaker, policy: &BreakerPolicy, now: u64) -> Option<Change> {
    let (epoch, _) = breaker.acquire(policy, now).expect("it lets requests through");
    breaker.succeeded(policy, now, epoch)
}

#[test]
fn a_hundred_thousand_of_them_are_small() {
    assert!(size_of::<Breaker>() <= 64, "{} B", size_of::<Breaker>());
}

#[test]
fn it_opens_after_several_failures_in_a_row_however_far_apart() {
    let (policy, mut breaker) = (policy(), Breaker::new(0, 0));
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, &policy, 0), None);
    }
    succeed(&mut breaker, &policy, 0);
    for minute in 0..4 {
        assert_eq!(fail(&mut breaker, &policy, minute * 300 * SECOND), None, "counted anew");
    }
    let change = fail(&mut breaker, &policy, 1_200 * SECOND).unwrap();
    assert_eq!((change.to, change.cause), (BreakerState::Open, BreakerCause::InARow));
    assert_eq!(breaker.acquire(&policy, 1_200 * SECOND), None);
}

#[test]
fn it_opens_when_surely_more_than_half_fails_and_not_for_half() {
    let policy = policy();
    let run = |pattern: &str| {
        let mut breaker = Breaker::new(0, 0);
        pattern.chars().find_map(|result| match result {
            'x' => fail(&mut breaker, &policy, 0),
            _ => succeed(&mut breaker, &policy, 0),
        })
    };
    assert_eq!(
        run("xxxx.xxx"),
        Some(Change {
            from: BreakerState::Closed,
            to: BreakerState::Open,
            cause: BreakerCause::Share
        })
    );
    assert_eq!(run("xxxx.xx"), None, "too few to say");
    assert_eq!(run(&"xx..".repeat(500)), None);
}

#[test]
fn the_open_time_doubles_up_to_the_longest_and_is_forgotten_in_quiet_times() {
    let policy = policy();
    let mut breaker = opened(&policy, 0);
    let mut times = vec![breaker.ready_at(&policy, 0)];
    let mut now = times[0];
    for _ in 0..8 {
        fail(&mut breaker, &policy, now).unwrap();
        times.push(breaker.ready_at(&policy, now) - now);
        now = breaker.ready_at(&policy, now);
    }
    let longest = 300 * SECOND;
    for (opens, time) in times.into_iter().enumerate() {
        let middle = ((10 * SECOND) << opens).min(longest);
        assert!(time.abs_diff(middle) <= middle / 10, "{opens}: {time}");
        assert_ne!(time, middle, "not all keys come back at once");
    }
    succeed(&mut breaker, &policy, now);
    succeed(&mut breaker, &policy, now);
    assert!(!breaker.is_idle(&policy, now + 600 * SECOND), "it remembers how often it opened");
    let later = now + 9 * 600 * SECOND;
    assert!(breaker.is_idle(&policy, later));
    for _ in 0..5 {
        fail(&mut breaker, &policy, later);
    }
    assert!(breaker.ready_at(&policy, later) - later <= 11 * SECOND, "as the first time");
}

#[test]
fn half_open_lets_one_probe_through_closes_after_two_and_opens_after_one_failure() {
    let policy = policy();
    let mut breaker = opened(&policy, 0);
    let now = breaker.ready_at(&policy, 0);
    assert_eq!(breaker.permits(&policy, now - 1), 0);
    assert_eq!(breaker.permits(&policy, now), 1);
    let (epoch, change) = breaker.acquire(&policy, now).unwrap();
    assert_eq!(change.map(|change| change.to), Some(BreakerState::HalfOpen));
    assert_eq!((breaker.permits(&policy, now), breaker.acquire(&policy, now)), (0, None));
    assert!(breaker.ready_at(&policy, now) > now, "worth another look soon");
    assert_eq!(breaker.succeeded(&policy, now, epoch), None);
    let closed = succeed(&mut breaker, &policy, now).unwrap();
    assert_eq!((closed.to, closed.cause), (BreakerState::Closed, BreakerCause::Recovered));

    let mut breaker = opened(&policy, 0);
    succeed(&mut breaker, &policy, now);
    let open = fail(&mut breaker, &policy, now).unwrap();
    assert_eq!((open.to, open.cause), (BreakerState::Open, BreakerCause::Probe));
}

#[test]
fn a_probe_that_nothing_is_heard_of_is_given_up_with_its_result() {
    let policy = policy();
    let mut breaker = opened(&policy, 0);
    let now = breaker.ready_at(&policy, 0);
    let (lost, _) = breaker.acquire(&policy, now).unwrap();
    let later = now + 120 * SECOND;
    assert_eq!(breaker.acquire(&policy, later - 1), None);
    let (epoch, _) = breaker.acquire(&policy, later).unwrap();
    assert_ne!(lost, epoch);
    assert_eq!(breaker.failed(&policy, later, lost, SEED), None);
    breaker.ignore(lost);
    assert_eq!(breaker.acquire(&policy, later), None, "its permit is not given back twice");
    breaker.succeeded(&policy, later, epoch);
    succeed(&mut breaker, &policy, later).expect("closed");
}

#[test]
fn an_ordered_time_is_kept_and_never_made_shorter() {
    let policy = policy();
    let mut breaker = Breaker::new(0, 0);
    let hour = 3_600 * SECOND;
    assert_eq!(breaker.open_until(hour, 0).map(|change| change.to), Some(BreakerState::Open));
    assert_eq!(breaker.open_until(SECOND, 0), None);
    assert_eq!(breaker.void(0, 1), None, "nobody was blamed for it");
    assert_eq!((breaker.ready_at(&policy, 1), breaker.open_until_at(1)), (hour, Some(hour)));
    succeed(&mut breaker, &policy, hour);
    assert!(succeed(&mut breaker, &policy, hour).is_some());
}

#[test]
fn modes_hold_until_the_operator_takes_them_back() {
    let policy = policy();
    let mut breaker = Breaker::new(0, 0);
    breaker.set_mode(BreakerMode::ForcedOpen, 0);
    assert_eq!(breaker.ready_at(&policy, 0), u64::MAX);
    assert_eq!(breaker.permits(&policy, u64::MAX - 1), 0);
    for mode in [BreakerMode::Disabled, BreakerMode::MetricsOnly] {
        breaker.set_mode(mode, 0);
        for _ in 0..100 {
            assert_eq!(fail(&mut breaker, &policy, 0), None);
        }
        assert_eq!(breaker.open(&policy, 0, BreakerCause::CommonCause, SEED), None);
        assert_eq!(breaker.counts(0).0 > 0, mode == BreakerMode::MetricsOnly);
        assert!(!breaker.is_idle(&policy, u64::MAX / 2), "an order is not forgotten");
    }
    breaker.set_mode(BreakerMode::Automatic, 0);
    assert_eq!(fail(&mut breaker, &policy, 0), None, "and begins anew");
}

#[test]
fn what_something_else_was_to_blame_for_is_taken_back() {
    let policy = policy();
    let mut breaker = opened(&policy, 20 * SECOND);
    assert_eq!(breaker.void(21 * SECOND, 25 * SECOND), None, "it was open before");
    assert_eq!(breaker.state(25 * SECOND), BreakerState::Open);
    let change = breaker.void(15 * SECOND, 25 * SECOND).unwrap();
    assert_eq!((change.to, change.cause), (BreakerState::Closed, BreakerCause::CommonCause));

    let (late, _) = breaker.acquire(&policy, 25 * SECOND).unwrap();
    for _ in 0..4 {
        fail(&mut breaker, &policy, 25 * SECOND);
    }
    breaker.void(0, 25 * SECOND);
    assert_eq!(breaker.failed(&policy, 26 * SECOND, late, SEED), None, "also what was on its way");
    assert_eq!((breaker.in_a_row(), breaker.counts(26 * SECOND)), (0, (0, 0)));

    let mut bad = opened(&policy, 0);
    let now = bad.ready_at(&policy, 0);
    fail(&mut bad, &policy, now);
    let change = bad.void(now, now).unwrap();
    assert_eq!(change.to, BreakerState::HalfOpen, "it was bad before, and has to prove itself");
}

#[test]
fn policies_that_cannot_be_kept_are_refused_by_name() {
    assert_eq!(Breakers::default().validate(), Ok(()));
    let refuse = |change: fn(&mut BreakerPolicy), field: &str| {
        let mut policy = policy();
        change(&mut policy);
        let error = policy.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    };
    refuse(|policy| policy.in_a_row = 0, "`in_a_row`");
    refuse(|policy| policy.share = f64::NAN, "`share`");
    refuse(|policy| policy.share = 1.0, "`share`");
    refuse(|policy| policy.least = 0, "`least`");
    refuse(|policy| policy.open = Duration::ZERO, "`open`");
    refuse(|policy| policy.longest = Duration::from_secs(1), "`longest`");
    refuse(|policy| policy.quiet = Duration::from_secs(59), "`quiet`");
    refuse(|policy| policy.probes = 0, "`probes`");
    refuse(|policy| policy.successes = 0, "`successes`");
    refuse(|policy| policy.attempt = Duration::MAX, "`attempt`");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Acquire,
    Ignore(usize),
    Succeed(usize),
    Fail(usize),
    Void(u64),
    OpenFor(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..20 * SECOND).prop_map(Step::Wait),
        1 => (0..400 * SECOND).prop_map(Step::Wait),
        8 => Just(Step::Acquire),
        3 => any::<usize>().prop_map(Step::Ignore),
        3 => any::<usize>().prop_map(Step::Succeed),
        6 => any::<usize>().prop_map(Step::Fail),
        1 => (0..20 * SECOND).prop_map(Step::Void),
        1 => (0..100 * SECOND).prop_map(Step::OpenFor),
    ];
    proptest::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn no_more_probes_than_allowed_in_any_epoch_and_stale_results_change_nothing(
        steps in steps(), probes in 1u8..4, successes in 1u8..4, in_a_row in 1u8..6,
    ) {
        let policy = BreakerPolicy { probes, successes, in_a_row, ..policy() };
        let (mut breaker, mut now) = (Breaker::new(0, 0), 0);
        // Epochs of requests on their way, and whether they are probes.
        let mut flying: Vec<(u32, bool)> = Vec::new();
        for step in steps {
            let before = breaker;
            let mut end = |number: usize| {
                let number = number.checked_rem(flying.len())?;
                Some(flying.swap_remove(number).0)
            };
            let (ended, epoch) = match step {
                Step::Wait(time) => {
                    now += time;
                    continue;
                }
                Step::Void(ago) => {
                    breaker.void(now.saturating_sub(ago), now);
                    continue;
                }
                Step::OpenFor(time) => {
                    breaker.open_until(now + time, now);
                    continue;
                }
                Step::Acquire => {
                    let ready = breaker.ready_at(&policy, now) <= now;
                    prop_assert_eq!(ready, breaker.permits(&policy, now) > 0);
                    let acquired = breaker.acquire(&policy, now);
                    prop_assert_eq!(ready, acquired.is_some());
                    if let Some((epoch, _)) = acquired {
                        flying.push((epoch, breaker.state(now) == BreakerState::HalfOpen));
                        let mut counts = HashMap::new();
                        for (epoch, _) in flying.iter().filter(|(_, probe)| *probe) {
                            *counts.entry(*epoch).or_insert(0) += 1;
                        }
                        prop_assert!(counts.values().all(|count| *count <= probes), "{counts:?}");
                    }
                    continue;
                }
                Step::Ignore(number) => (end(number), None),
                Step::Succeed(number) => (end(number), Some(true)),
                Step::Fail(number) => (end(number), Some(false)),
            };
            let Some(ended) = ended else { continue };
            match epoch {
                None => breaker.ignore(ended),
                Some(true) => _ = breaker.succeeded(&policy, now, ended),
                Some(false) => _ = breaker.failed(&policy, now, ended, SEED),
            }
            if ended != before.epoch() {
                prop_assert_eq!(breaker, before, "a result of another epoch");
            }
        }
    }

    /// A fault of some length, and one who asks whenever the breaker says that it is worth it.
    #[test]
    fn once_the_fault_is_over_one_open_time_and_one_probe_bring_it_back(
        fault in 1..5_000 * SECOND, seed: u64,
    ) {
        let policy = policy();
        let (mut breaker, mut now, mut open_time) = (Breaker::new(0, 0), 0, 0);
        loop {
            now = now.max(breaker.ready_at(&policy, now));
            let (epoch, _) = breaker.acquire(&policy, now).expect("its own time is exact");
            if now >= fault {
                breaker.succeeded(&policy, now, epoch);
                break;
            }
            if breaker.failed(&policy, now, epoch, seed).is_some() {
                open_time = breaker.ready_at(&policy, now) - now;
                prop_assert!(open_time <= 330 * SECOND);
            } else {
                now += SECOND;
            }
        }
        prop_assert!(now - fault <= open_time.max(SECOND), "{now} {fault} {open_time}");
        prop_assert!(now - fault <= 330 * SECOND);
    }
}

#[test]
fn ten_thousand_cancelled_probes_never_leave_it_stuck() {
    let policy = policy();
    let mut breaker = opened(&policy, 0);
    let mut now = breaker.ready_at(&policy, 0);
    let mut held = Vec::new();
    for number in 0..10_000_u64 {
        let random = mix(number);
        now += random % (3 * SECOND);
        if let Some((epoch, _)) = breaker.acquire(&policy, now) {
            held.push(epoch);
        }
        // Some are cancelled soon, some late, some never.
        match random >> 32 & 3 {
            0 | 1 => held.pop().into_iter().for_each(|epoch| breaker.ignore(epoch)),
            2 if !held.is_empty() => breaker.ignore(held.remove(0)),
            _ => {}
        }
    }
    now += 120 * SECOND;
    succeed(&mut breaker, &policy, now);
    succeed(&mut breaker, &policy, now).expect("closed");
}
