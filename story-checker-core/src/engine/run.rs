//! One call of a checker, from claimed jobs to settlements.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::doctor::Wait;
use super::event::Event;
use super::job::read_check;
use super::lane::Lane;
use super::lesson::Lesson;
use super::loans::Desk;
use super::pool::Pair;
use super::running::{Group, Stop, Wanted};
use super::shared::{Settlements, Settling, Shared, count};
use crate::checker::{CheckContext, Lender};
use crate::clock::Timestamp;
use crate::evidence::Evidence;
use crate::fault::{Class, Fault, Scope};
use crate::queue::{ClaimedJob, Outcome, Settlement};
use crate::report::{Cause, Report, Timings, Verdict};
use crate::retry::{DeadReason, Decision, JobHistory, decide};
use crate::target::Target;

/// How long a checker that does not heed its deadline goes on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Checks `jobs` on `pair` and sends what came out to the queue.
pub(super) async fn run(
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    pair: Pair,
    (jobs, turn): (Vec<ClaimedJob>, Option<OwnedSemaphorePermit>),
    settlements: Settlements,
) {
    let (started, begun) = (shared.clock.now(), Instant::now());
    let last = jobs.iter().map(|job| job.deadline.unwrap_or(Timestamp::MAX)).max();
    let time = last.map_or(Duration::ZERO, |at| at.since(started)).min(shared.config.check_timeout);
    let deadline = begun + time;
    let session = pair.session().map(|session| session.id().clone());
    let leases = jobs.iter().map(|job| job.lease);
    let group = shared.running.start(leases, session, deadline + PATIENCE);
    if let Some(turn) = turn {
        group.keep(turn);
    }
    if pair.is_lost()
        && let Some(session) = pair.session()
    {
        // The beat has learnt so before this call was known.
        shared.running.stop_session(session.id());
    }
    if shared.abort.is_cancelled() {
        // Whoever stops all calls may have come before this one.
        shared.running.stop_all();
    }
    let mut settled = Vec::with_capacity(jobs.len());
    let (mut run, mut targets) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
    for job in jobs {
        match read_check(&job.payload) {
            Ok(target) if job.crashes >= shared.config.max_crashes => {
                settled.push(crashed(&shared, &job, target));
            }
            Ok(target) => {
                run.push(job);
                targets.push(target);
            }
            Err(reason) => settled.push(bad_payload(&job, reason)),
        }
    }
    let mut ended = (started, Duration::ZERO);
    let mut waits = Timings::default();
    let answers = if run.is_empty() {
        drop(pair);
        Vec::new()
    } else {
        count(&shared.counters.checks);
        let (keys, gate) = (Arc::clone(&lane.keys), Arc::clone(&shared.gate));
        let (cache, clock) = (Arc::clone(&shared.cache), Arc::clone(&shared.clock));
        let desk = Arc::new(Desk {
            shared: Arc::clone(&shared),
            group: Arc::clone(&group),
            noted: Mutex::default(),
            passing: AtomicU64::new(0),
        });
        let time_left = (deadline, shared.config.patience);
        let (cancel, lender) = (group.cancel.clone(), Arc::clone(&desk) as Arc<dyn Lender>);
        let cx = CheckContext::of_engine(keys, (gate, cache, clock), time_left, cancel, lender)
            .with_session(pair.session().cloned())
            .with_proxy(pair.proxy().cloned());
        let answers = ask(&shared, &lane, &cx, &targets, &group, time).await;
        ended = (shared.clock.now(), begun.elapsed());
        let noted = desk.take_noted();
        waits.pass_wait = desk.passing();
        let proxy = pair.proxy().map(|proxy| proxy.id());
        shared.meter.called(proxy, ended.1, waits.pass_wait);
        shared.meter.asked(run.len());
        let lesson = Lesson::of(pair.proxy(), &answers, &noted, &shared.config, (started, ended.0));
        shared.pool.give_back(pair, lesson).await;
        answers
    };
    let (now, timings) = (ended.0, Timings::new(started, ended.1).with_waits(&waits));
    let down = lane.keys.down(&shared.gate).map(|(_, until)| until);
    for ((job, target), answer) in run.iter().zip(targets).zip(answers) {
        match shared.running.wanted(job.lease) {
            Wanted::Lost => {
                count(&shared.counters.stale);
                shared.running.end(std::iter::once(job.lease));
            }
            Wanted::Cancelled if answer.is_err() => {
                let event = Event::Cancelled { job: job.lease.id, batch: job.batch };
                let settlement = Settlement::new(job.lease, Outcome::Cancelled);
                settled.push(Settling { settlement, event: Some(event) });
            }
            Wanted::Cancelled | Wanted::Yes => {
                let timings = timings.with_waits(&before(&shared, job, &timings));
                settled.push(conclude(&shared, job, target, answer, timings, (now, down)));
            }
        }
    }
    if !settled.is_empty() && settlements.send(settled).await.is_err() {
        tracing::error!("settlements were lost: their leases end by themselves");
    }
}

/// Calls the checker and makes sure that there is one answer per target, whatever happens.
async fn ask(
    shared: &Shared,
    lane: &Lane,
    cx: &CheckContext,
    targets: &[Target],
    group: &Group,
    time: Duration,
) -> Vec<Result<Report, Fault>> {
    let all = |fault: Fault| targets.iter().map(|_| Err(fault.clone())).collect();
    let cancelled = |why| all(Fault::cancelled(why));
    let answers = tokio::select! {
        biased;
        // Past the forwarding of `Arc`, which would box the future once more.
        answers = AssertUnwindSafe((*lane.checker).check(targets, cx)).catch_unwind() => answers,
        () = group.cancel.cancelled() => return match group.stopped() {
            Stop::Engine => cancelled("the engine was stopped"),
            Stop::Session => cancelled("the session's lease was lost"),
            Stop::Unwanted => cancelled("nobody wants the answer any more"),
            Stop::Late => {
                let time = humantime::format_duration(time);
                let message = format!("the check took longer than {time}");
                all(Fault::new(Class::Timeout, Scope::Endpoint, message))
            }
        },
    };
    match answers {
        Ok(answers) if answers.len() == targets.len() => answers,
        Ok(answers) => {
            let message = format!(
                "the checker {} gave {} answers for {} targets; this is a bug in it",
                lane.checker,
                answers.len(),
                targets.len()
            );
            tracing::error!("{message}");
            all(Fault::new(Class::Permanent, Scope::Ours, message))
        }
        Err(panic) => {
            count(&shared.counters.panics);
            let what = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            let message =
                format!("the checker {} panicked: {what}; this is a bug in it", lane.checker);
            tracing::error!("{message}");
            all(Fault::new(Class::Transient, Scope::Ours, message))
        }
    }
}

/// What the job went through before its check began.
fn before(shared: &Shared, job: &ClaimedJob, timings: &Timings) -> Timings {
    /// Less than this is not worth looking up.
    const WORTH_IT: Duration = Duration::from_millis(10);
    let mut waits = *timings;
    waits.queued = timings.started.since(job.enqueued_at);
    if waits.queued >= WORTH_IT && job.attempt == 0 && job.deferrals == 0 {
        let (pair, limit) = shared.meter.since(job.enqueued_at);
        waits.pair_wait = pair.min(waits.queued);
        waits.limiter_wait = limit.min(waits.queued - waits.pair_wait);
    }
    waits
}

/// What a job that is put off waits for.
fn wait_after(fault: &Fault) -> Option<Wait> {
    match (fault.class, fault.scope) {
        // The limit was named when it refused.
        (Class::RateLimited, Scope::Ours) | (Class::Cancelled, _) => None,
        (_, Scope::Session) => Some(Wait::SessionsAway),
        (_, Scope::Proxy) => Some(Wait::Proxies),
        (Class::RateLimited | Class::Blocked, Scope::App | Scope::Endpoint) => Some(Wait::Blocked),
        _ => Some(Wait::Retries),
    }
}

/// Turns one answer into the end of its lease.
fn conclude(
    shared: &Shared,
    job: &ClaimedJob,
    target: Target,
    answer: Result<Report, Fault>,
    timings: Timings,
    (now, down): (Timestamp, Option<Timestamp>),
) -> Settling {
    let fault = match answer {
        Ok(report) if matches!(report.verdict, Verdict::Unknown { .. }) => {
            let message = "the checker reported `unknown` instead of a fault; this is a bug in it";
            Fault::new(Class::Permanent, Scope::Ours, message).with_evidence(report.evidence)
        }
        Ok(mut report) => {
            report.timings = report.timings.with_waits(&timings);
            return finish(shared, job, report, None);
        }
        Err(fault) => fault,
    };
    let history = JobHistory {
        attempt: job.attempt,
        deferrals: job.deferrals,
        deadline: job.deadline,
        down,
        ..JobHistory::new(job.lease.id)
    };
    let put_off = |until: Timestamp, attempt_used: bool| {
        if let Some(wait) = wait_after(&fault) {
            shared.meter.put_off(wait, until);
        }
        let cause = Cause::from(&fault);
        let (job, batch) = (job.lease.id, job.batch);
        Some(Event::PutOff { job, batch, cause, until, attempt_used })
    };
    let (outcome, event) = match decide(&shared.config.retry, &history, &fault, now) {
        Decision::Dead { reason, not_before } => {
            let evidence = fault.evidence.clone().map(|evidence| *evidence).unwrap_or_default();
            let mut cause = Cause::from(&fault);
            cause.not_before = not_before.or(cause.not_before);
            if reason != DeadReason::Permanent {
                cause.message = format!("{} ({})", cause.message, reason.as_str());
            }
            let report = Report::unknown(target, cause, evidence, timings);
            return finish(shared, job, report, Some(reason));
        }
        Decision::Defer { not_before } => {
            count(&shared.counters.deferred);
            let outcome = Outcome::Defer { after: not_before.since(now), note: fault.to_string() };
            (outcome, put_off(not_before, false))
        }
        Decision::Release { not_before } => {
            count(&shared.counters.released);
            (Outcome::Release { after: not_before.since(now) }, None)
        }
        Decision::Retry { not_before } => {
            count(&shared.counters.retried);
            let outcome = Outcome::Retry { after: not_before.since(now), note: fault.to_string() };
            (outcome, put_off(not_before, true))
        }
    };
    tracing::debug!(%target, %fault, ?outcome, "no answer");
    Settling { settlement: Settlement::new(job.lease, outcome), event }
}

/// Ends a job with its report.
pub(super) fn finish(
    shared: &Shared,
    job: &ClaimedJob,
    report: Report,
    dead: Option<DeadReason>,
) -> Settling {
    let result = if shared.config.store_reports {
        serde_json::to_vec(&report).map(Bytes::from).unwrap_or_else(|error| {
            tracing::error!(%error, "a report could not be written as JSON; it is stored empty");
            Bytes::new()
        })
    } else {
        Bytes::new()
    };
    let outcome = match dead {
        None => Outcome::Done { result },
        Some(reason) => Outcome::Dead { reason, result },
    };
    let (report, batch) = (Arc::new(report), job.batch);
    let event = Event::Reported { job: job.lease.id, batch, report };
    Settling { settlement: Settlement::new(job.lease, outcome), event: Some(event) }
}

fn crashed(shared: &Shared, job: &ClaimedJob, target: Target) -> Settling {
    let message = format!(
        "its worker died {} times while checking it, so it is not tried again",
        job.crashes
    );
    let cause = Cause::new(Class::Permanent, Scope::Ours, message);
    let timings = Timings::new(shared.clock.now(), Duration::ZERO);
    let report = Report::unknown(target, cause, Evidence::default(), timings);
    finish(shared, job, report, Some(DeadReason::Crashed))
}

fn bad_payload(job: &ClaimedJob, reason: String) -> Settling {
    tracing::error!(job = %job.lease.id, %reason, "a job's payload cannot be understood");
    let dead = Outcome::Dead { reason: DeadReason::BadPayload, result: Bytes::new() };
    let event = Event::Dropped { job: job.lease.id, batch: job.batch, reason };
    Settling { settlement: Settlement::new(job.lease, dead), event: Some(event) }
}

/// Ends jobs that nothing will get to before their deadline.
pub(super) async fn give_up(
    shared: &Arc<Shared>,
    lane: &Lane,
    jobs: Vec<ClaimedJob>,
    settlements: &Settlements,
) {
    shared.running.start(jobs.iter().map(|job| job.lease), None, Instant::now() + PATIENCE);
    let cause = shared.pool.why_not(lane).await;
    let ids: Vec<_> = jobs.iter().map(|job| job.lease.id).collect();
    let views = shared.queue.get(&ids).await.unwrap_or_default();
    let mut notes = views.into_iter().map(|view| view.map(|view| view.note).unwrap_or_default());
    let mut settled = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let note = notes.next().unwrap_or_default();
        let target = match read_check(&job.payload) {
            Ok(target) => target,
            Err(reason) => {
                settled.push(bad_payload(job, reason));
                continue;
            }
        };
        let mut cause = cause.clone();
        if !note.is_empty() {
            cause.message = format!("{}; the last try said: {note}", cause.message);
        }
        let timings = Timings::new(shared.clock.now(), Duration::ZERO);
        let report = Report::unknown(target, cause, Evidence::default(), timings);
        settled.push(finish(shared, job, report, Some(DeadReason::Deadline)));
    }
    if settlements.send(settled).await.is_err() {
        tracing::error!("settlements were lost: their leases end by themselves");
    }
}
