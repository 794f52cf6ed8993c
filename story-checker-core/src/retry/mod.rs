//! The retry decision: one pure function, and the only place that decides.
//!
//! There is no retry loop. A job that failed is a row with a time before which it must not run, so a
//! wait of 30 minutes costs nothing and survives a restart. [`decide`] has no clock and no random
//! numbers inside: jitter is a hash of job and attempt, so the same inputs give the same answer on
//! every machine, also after a crash.

mod schedule;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::schedule::Schedule;
use crate::charge::{Fate, charge};
use crate::clock::{Timestamp, millis};
use crate::fault::{Fault, Scope};
use crate::id::{JobId, mix};

/// What the queue knows about a job's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobHistory {
    /// The job.
    pub id: JobId,
    /// How many attempts have failed before this one.
    pub attempt: u32,
    /// How often it has been put off.
    pub deferrals: u32,
    /// After this time an answer is of no use any more.
    pub deadline: Option<Timestamp>,
    /// The endpoint it needs is known to be down until then. A failure of endpoint or proxy then
    /// says nothing about the job, and costs no attempt.
    pub down: Option<Timestamp>,
}

impl JobHistory {
    /// The history of a job that has never been tried.
    #[must_use]
    pub const fn new(id: JobId) -> Self {
        Self { id, attempt: 0, deferrals: 0, deadline: None, down: None }
    }
}

/// How often and how patiently to try.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// A job ends after so many failed attempts. Default 3.
    pub max_attempts: u32,
    /// A job ends after being put off so many times. Default 50.
    pub max_deferrals: u32,
    /// The pause after each failed attempt.
    pub schedule: Schedule,
    /// How long to put a job off when the fault has no hint for it. Default 30 s.
    pub defer_for: Duration,
    /// How long to put a job off before another session may try. Default 1 s.
    pub other_session_after: Duration,
    /// Changes the jitter of all jobs at once.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            max_deferrals: 50,
            schedule: Schedule::default(),
            defer_for: Duration::from_secs(30),
            other_session_after: Duration::from_secs(1),
            seed: 0,
        }
    }
}

/// What happens to a job after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It ends without an answer.
    Dead {
        /// Why.
        reason: DeadReason,
        /// When it could have been tried next, if time was what it lacked.
        not_before: Option<Timestamp>,
    },
    /// It is put off; no attempt is used.
    Defer {
        /// The earliest time of the next check.
        not_before: Timestamp,
    },
    /// It is given back untouched.
    Release {
        /// The earliest time of the next check.
        not_before: Timestamp,
    },
    /// It is tried again; an attempt is used.
    Retry {
        /// The earliest time of the next check.
        not_before: Timestamp,
    },
}

/// Why a job is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadReason {
    /// Its attempts are used up.
    Attempts,
    /// Its payload cannot be understood.
    BadPayload,
    /// Its worker died too often while holding it.
    Crashed,
    /// The next try would come after its deadline.
    Deadline,
    /// It was put off too often.
    Deferrals,
    /// Asking again will not help.
    Permanent,
}

impl DeadReason {
    /// The reason as half a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "its attempts are used up",
            Self::BadPayload => "its payload cannot be understood",
            Self::Crashed => "its worker died too often",
            Self::Deadline => "its deadline would have passed",
            Self::Deferrals => "it was put off too often",
            Self::Permanent => "asking again will not help",
        }
    }
}

/// Decides what happens to a job after `fault`.
///
/// The next check is never before the fault's hint, whatever the schedule says; a little is added,
/// by job, so that jobs that wait for the same moment do not all start in it. The hint of a session
/// or proxy holds for that session or proxy and not for the job: another may answer meanwhile. A job
/// whose next check would come after its deadline is dead now, not later.
#[must_use]
pub fn decide(policy: &RetryPolicy, job: &JobHistory, fault: &Fault, now: Timestamp) -> Decision {
    let random =
        mix(fold(job.id)
            ^ mix(policy.seed ^ (u64::from(job.attempt) << 32 | u64::from(job.deferrals))));
    let hint = match fault.scope {
        Scope::Session | Scope::Proxy => None,
        Scope::App | Scope::Endpoint | Scope::Ours | Scope::Target => fault.until,
    };
    let (fate, hint) = match (charge(fault.class, fault.scope).job, fault.scope, job.down) {
        (Fate::Retry, Scope::App | Scope::Endpoint | Scope::Proxy, Some(down)) => {
            (Fate::Defer, Some(hint.map_or(down, |hint| hint.max(down))))
        }
        (fate, ..) => (fate, hint),
    };
    let pause = match fate {
        Fate::Dead => return Decision::Dead { reason: DeadReason::Permanent, not_before: None },
        Fate::Release => Duration::ZERO,
        Fate::Defer if fault.scope == Scope::Session => policy.other_session_after,
        Fate::Defer if hint.is_some_and(|until| until > now) => Duration::ZERO,
        Fate::Defer => policy.defer_for,
        Fate::Retry => policy.schedule.delay(job.attempt, random),
    };
    let hint = hint.unwrap_or(now).max(now);
    let earliest = (now + pause).max(hint);
    let not_before = match fate {
        Fate::Release => earliest,
        _ => earliest + spread(earliest.since(now), mix(random)),
    };
    if job.deadline.is_some_and(|deadline| not_before > deadline) {
        return Decision::Dead { reason: DeadReason::Deadline, not_before: Some(not_before) };
    }
    match fate {
        Fate::Dead | Fate::Release => Decision::Release { not_before },
        Fate::Defer if job.deferrals + 1 >= policy.max_deferrals => {
            Decision::Dead { reason: DeadReason::Deferrals, not_before: Some(not_before) }
        }
        Fate::Defer => Decision::Defer { not_before },
        Fate::Retry if job.attempt + 1 >= policy.max_attempts => {
            Decision::Dead { reason: DeadReason::Attempts, not_before: Some(not_before) }
        }
        Fate::Retry => Decision::Retry { not_before },
    }
}

/// Up to a tenth of the wait, at most 30 s.
fn spread(wait: Duration, random: u64) -> Duration {
    let most = (millis(wait) / 10).min(30_000);
    Duration::from_millis(random % (most + 1))
}

fn fold(id: JobId) -> u64 {
    let (high, low) = id.as_bytes().split_at(8);
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    word(high) ^ mix(word(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::Class;

    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn job(attempt: u32) -> JobHistory {
        JobHistory { attempt, ..JobHistory::new(JobId::from_bytes([7; 16])) }
    }

    fn transient() -> Fault {
        Fault::new(Class::Transient, Scope::Endpoint, "502")
    }

    #[test]
    fn golden_answers_stay_the_same_on_every_machine() {
        let policy = RetryPolicy::default();
        let at = |attempt| match decide(&policy, &job(attempt), &transient(), NOW) {
            Decision::Retry { not_before } => Some(not_before.since(NOW)),
            _ => None,
        };
        let golden = [Some(GOLDEN[0]), Some(GOLDEN[1]), None];
        assert_eq!([at(0), at(1), at(2)].map(|wait| wait.map(|wait| wait.as_millis())), golden);
    }

    /// Waits after the first and second failure of job 0707…, in ms. They change only with the
    /// formula, and then every waiting job of every user changes its time too.
    const GOLDEN: [u128; 2] = [1_370, 2_575];

    #[test]
    fn attempts_run_out_and_deferrals_do_too() {
        let policy = RetryPolicy::default();
        let dead = decide(&policy, &job(2), &transient(), NOW);
        assert!(matches!(dead, Decision::Dead { reason: DeadReason::Attempts, .. }), "{dead:?}");

        let limited = Fault::new(Class::RateLimited, Scope::Session, "429");
        let tired = JobHistory { deferrals: 49, ..job(2) };
        let dead = decide(&policy, &tired, &limited, NOW);
        assert!(matches!(dead, Decision::Dead { reason: DeadReason::Deferrals, .. }), "{dead:?}");
        let fresh = decide(&policy, &job(2), &limited, NOW);
        assert!(matches!(fresh, Decision::Defer { .. }), "{fresh:?}");
    }

    #[test]
    fn while_its_endpoint_is_down_a_failure_costs_no_attempt() {
        let policy = RetryPolicy::default();
        let down = Some(NOW + Duration::from_secs(60));
        let last = JobHistory { down, ..job(2) };
        for (scope, deferred) in [
            (Scope::Endpoint, true),
            (Scope::App, true),
            (Scope::Proxy, true),
            (Scope::Ours, false),
            (Scope::Target, false),
        ] {
            let fault = Fault::new(Class::Transient, scope, "502");
            match decide(&policy, &last, &fault, NOW) {
                Decision::Defer { not_before } => assert!(deferred && Some(not_before) >= down),
                Decision::Dead { reason, .. } => {
                    assert!(!deferred && reason == DeadReason::Attempts);
                }
                decision => panic!("{decision:?}"),
            }
        }
        let gone = Fault::new(Class::Permanent, Scope::Endpoint, "410");
        let dead = decide(&policy, &last, &gone, NOW);
        assert!(matches!(dead, Decision::Dead { reason: DeadReason::Permanent, .. }));
    }

    #[test]
    fn a_next_check_after_the_deadline_ends_the_job_now() {
        let hint = NOW + Duration::from_secs(1_800);
        let fault = Fault::new(Class::RateLimited, Scope::App, "(#4)").with_until(hint);
        let urgent = JobHistory { deadline: Some(NOW + Duration::from_secs(600)), ..job(0) };
        let Decision::Dead { reason, not_before } =
            decide(&RetryPolicy::default(), &urgent, &fault, NOW)
        else {
            panic!("must be dead");
        };
        assert_eq!(reason, DeadReason::Deadline);
        assert!(not_before.unwrap() >= hint);
    }

    #[test]
    fn our_own_limit_leaves_no_trace_and_adds_no_spread() {
        let at = NOW + Duration::from_secs(9);
        let decision =
            decide(&RetryPolicy::default(), &job(2), &Fault::not_ready("limit", at), NOW);
        assert_eq!(decision, Decision::Release { not_before: at });
    }

    #[test]
    fn another_session_may_answer_while_one_rests_but_no_other_proxy_at_once() {
        let rest = NOW + Duration::from_secs(1_800);
        let wait = |class, scope| {
            let fault = Fault::new(class, scope, "x").with_until(rest);
            match decide(&RetryPolicy::default(), &job(0), &fault, NOW) {
                Decision::Defer { not_before } => not_before.since(NOW).as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wait(Class::RateLimited, Scope::Session), 1);
        assert!((30..=33).contains(&wait(Class::Blocked, Scope::Proxy)));
    }

    #[test]
    fn permanent_faults_end_at_once() {
        let fault = Fault::new(Class::Permanent, Scope::Target, "no such thing");
        let decision = decide(&RetryPolicy::default(), &job(0), &fault, NOW);
        assert_eq!(decision, Decision::Dead { reason: DeadReason::Permanent, not_before: None });
    }

    proptest! {
        #[test]
        fn never_before_the_hint_and_the_same_every_time(
            id in any::<[u8; 16]>(), attempt in 0u32..4, deferrals in 0u32..60, seed: u64,
            hint in proptest::option::of(0u64..100_000_000), class in 0usize..9, scope in 0usize..6,
        ) {
            let policy = RetryPolicy { seed, ..RetryPolicy::default() };
            let job = JobHistory { attempt, deferrals, ..JobHistory::new(JobId::from_bytes(id)) };
            let mut fault = Fault::new(Class::ALL[class], Scope::ALL[scope], "x");
            fault.until = hint.map(|ms| NOW + Duration::from_millis(ms));
            let decision = decide(&policy, &job, &fault, NOW);
            prop_assert_eq!(decision, decide(&policy, &job, &fault, NOW));
            if let Decision::Retry { not_before } | Decision::Defer { not_before } | Decision::Release { not_before } = decision {
                if !matches!(fault.scope, Scope::Session | Scope::Proxy) {
                    prop_assert!(not_before >= fault.until.unwrap_or(NOW));
                }
                prop_assert!(not_before >= NOW);
            }
        }

        #[test]
        fn a_later_hint_never_means_an_earlier_check(id in any::<[u8; 16]>(), a in 0u64..10_000_000, b in 0u64..10_000_000) {
            let job = JobHistory::new(JobId::from_bytes(id));
            let at = |ms: u64| {
                let fault = Fault::new(Class::RateLimited, Scope::App, "x").with_until(NOW + Duration::from_millis(ms));
                match decide(&RetryPolicy::default(), &job, &fault, NOW) {
                    Decision::Defer { not_before } => not_before,
                    other => panic!("{other:?}"),
                }
            };
            let (low, high) = (a.min(b), a.max(b));
            // The spread may move within a tenth, so compare against the hint itself.
            prop_assert!(at(high) >= NOW + Duration::from_millis(high));
            prop_assert!(at(low).since(NOW) <= Duration::from_millis(low.max(30_000) + low.max(30_000) / 10));
        }
    }
}
