//! One run: 24 hours of operation.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use story_checker_core::engine::check_job;
use story_checker_core::gate::{Key, KeyClass, Need};
use story_checker_core::queue::{JobQueue, MAX_ITEMS, StatsQuery};
use story_checker_core::session::{SessionKind, SessionLeaseRequest, SessionState, SessionStore};
use story_checker_core::{BatchId, JobId, Target, WorkerId};
use story_checker_sim::{SessionState as Standing, Timestamp as SimTime, numbered_name};

use crate::case::{Case, PERIOD, PERIODS};
use crate::diary::{Counts, Kind, millis};
use crate::dice::Dice;
use crate::ledger::Period;
use crate::plan::{Happening, Plan};
use crate::weather::Weather;
use crate::world::{START, WORKERS, World};

/// How often somebody looks whether sessions want something of their owner.
const LOOK: u64 = 5 * 60_000;
/// How often it is taken down whether targets could be answered.
const WEATHER: u64 = 15_000;
/// How long after the last period a run ends: all deadlines have passed.
const REST: u64 = 6 * 60_000;

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// Jobs that were enqueued.
    pub(crate) checks: u64,
    /// Those of periods in which they could be answered.
    pub(crate) answerable: u64,
    /// Those among them that were.
    pub(crate) answered: u64,
    pub(crate) requests: u64,
    pub(crate) digest: u64,
    pub(crate) counts: Counts,
    /// The first findings in words.
    pub(crate) told: Vec<String>,
    /// The periods with the least answers: which, answerable or not, asked, answered.
    pub(crate) worst: Vec<String>,
    pub(crate) took: Duration,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Period,
    Look,
    Weather,
    Start(usize),
    Reinstate(usize),
    Happening(Happening),
    End,
}

/// Makes one run, in a runtime of its own.
pub(crate) fn run(seed: u64, case: Case, plan: &Plan, trace: bool) -> Result<Outcome> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let begun = Instant::now();
    let mut outcome = runtime.block_on(day(seed, case, plan, trace))?;
    outcome.took = begun.elapsed();
    Ok(outcome)
}

/// What is to be done, by time.
#[derive(Debug, Default)]
struct Agenda {
    steps: BTreeMap<(u64, u32), Step>,
    next: u32,
}

impl Agenda {
    fn add(&mut self, at: u64, step: Step) {
        self.next += 1;
        self.steps.insert((at, self.next), step);
    }
}

async fn day(seed: u64, case: Case, plan: &Plan, trace: bool) -> Result<Outcome> {
    let mut world = World::new(seed, case, plan, trace).await?;
    let mut weather = Weather::default();
    let mut dice = Dice::new(seed, 9);
    let mut agenda = Agenda::default();
    (0..WORKERS).for_each(|place| agenda.add(0, Step::Start(place)));
    for period in 0..PERIODS as u64 {
        agenda.add(period * millis(PERIOD), Step::Period);
    }
    agenda.add(0, Step::Look);
    agenda.add(0, Step::Weather);
    plan.happenings.iter().for_each(|(at, it)| agenda.add(*at, Step::Happening(*it)));
    agenda.add(PERIODS as u64 * millis(PERIOD) + REST, Step::End);
    let mut asked_of_owner = HashSet::new();
    let mut ids = 0;
    while let Some(((at, _), step)) = agenda.steps.pop_first() {
        tokio::time::sleep_until(world.diary.instant(at)).await;
        let now = world.diary.now();
        match step {
            Step::Period => enqueue(&world, &mut ids).await?,
            Step::Look => {
                for session in world.fallen().await? {
                    if asked_of_owner.insert(session) {
                        let pause = dice.between(60_000, 25 * 60_000);
                        agenda.add(now + pause, Step::Reinstate(session));
                    }
                }
                agenda.add(at + LOOK, Step::Look);
            }
            Step::Weather => {
                weather.note(now, is_fair(&world, plan, now));
                agenda.add(at + WEATHER, Step::Weather);
            }
            Step::Start(place) => world.start(place).await?,
            Step::Reinstate(session) => {
                world.diary.note(format_args!("the owner of viewer_{session} reinstates it"));
                asked_of_owner.remove(&session);
                world.reinstate(session).await?;
            }
            Step::Happening(it) => happen(&mut world, &mut agenda, it).await,
            Step::End => break,
        }
    }
    world.start_all().await?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.stop_all().await;
    look_for_leaks(&world).await?;
    Ok(conclude(&world, &weather))
}

/// Every target is to be checked once in this period.
async fn enqueue(world: &World, ids: &mut u128) -> Result<()> {
    world.diary.note(format_args!("a period begins"));
    *ids += 1;
    let batch = BatchId::from_bytes((*ids << 64).to_be_bytes());
    let mut jobs = Vec::with_capacity(MAX_ITEMS);
    for number in 0..world.case.accounts() {
        *ids += 1;
        let id = JobId::from_bytes((*ids << 64 | *ids).to_be_bytes());
        let target: Target = format!("instagram/account/{}", numbered_name(number)).parse()?;
        let mut job = check_job(id, &target);
        job.batch = Some(batch);
        job.deadline = Some(PERIOD);
        jobs.push(job);
        if jobs.len() == MAX_ITEMS || number + 1 == world.case.accounts() {
            world.ledger.enqueue(std::mem::take(&mut jobs)).await?;
        }
    }
    Ok(())
}

async fn happen(world: &mut World, agenda: &mut Agenda, it: Happening) {
    world.diary.note(format_args!("{it:?}"));
    match it {
        Happening::Crash(place, pause) => {
            world.crash(place);
            agenda.add(world.diary.now() + pause, Step::Start(place));
        }
        Happening::Restart(place, pause) => {
            world.stop(place).await;
            agenda.add(world.diary.now() + pause, Step::Start(place));
        }
        Happening::Ours(limits) => {
            world.limits = limits;
            world.stop_all().await;
            (0..WORKERS).for_each(|place| agenda.add(world.diary.now(), Step::Start(place)));
        }
        Happening::Theirs(limits) => world.allow(limits),
        Happening::Session(session, standing) => world.judge_session(session, standing),
        Happening::Proxy(proxy, listed) => world.proxies.set(proxy, listed),
    }
}

/// Whether targets can be answered now: a worker is there, the platform is in order, and at least
/// half of the sessions are logged in, with a home that does what it is for.
fn is_fair(world: &World, plan: &Plan, now: u64) -> bool {
    if !world.works() || plan.outages.iter().any(|outage| outage.holds(now)) {
        return false;
    }
    let at = SimTime::from_unix_secs(START).saturating_add(Duration::from_millis(now));
    let is_bad = |home| plan.bad_proxies.iter().any(|(bad, it)| *bad == home && it.holds(now));
    let good = (0..world.case.sessions()).filter(|&session| {
        world.platform.session_state(session, at) == Some(Standing::LoggedIn)
            && !world.wire.home(session).is_some_and(is_bad)
    });
    good.count() * 2 >= world.case.sessions()
}

/// Nothing may be held any more: no job, no session, and no place in a limit but for what was sent.
async fn look_for_leaks(world: &World) -> Result<()> {
    let diary = &world.diary;
    for queue in world.ledger.stats(&StatsQuery::Queues).await?.queues {
        let (leased, live) = (queue.counts.leased, queue.counts.live());
        if live > 0 {
            diary.find(Kind::Leaked, format_args!("{leased} jobs leased, {live} without an end"));
        }
    }
    // Before the leases of sessions, which take no time either.
    let quota = world.limits.session.quota()?;
    let now = diary.now();
    for (session, sent) in world.wire.sent().into_iter().enumerate() {
        let key = Key::new(KeyClass::Session, format!("viewer_{session}"));
        let free = world.gate.availability(&[Need::new(key, Some(quota.into()))]).now;
        let window = millis(world.limits.session.window);
        let recent = sent.iter().filter(|at| **at + window > now).count();
        let burst = quota.burst();
        if recent == 0 && free < burst {
            diary.find(Kind::Leaked, format_args!("viewer_{session}: {free} of {burst} are free"));
        }
    }
    let records = world.sessions.list(None, usize::MAX).await?;
    let usable = records.iter().filter(|record| match record.state {
        SessionState::Valid => true,
        SessionState::CoolingDown { until, .. } => until <= world.clock.now(),
        _ => false,
    });
    let usable = usable.count();
    let kind = records.first().map_or(SessionKind::new("none"), |record| record.kind.clone());
    let owner = WorkerId::new("auditor");
    let request = SessionLeaseRequest::new(kind, owner, Duration::from_secs(1), usize::MAX);
    let free = world.sessions.lease(&request).await?.sessions.len();
    if free != usable {
        let leased = usable - free;
        diary.find(Kind::Leaked, format_args!("{leased} of {usable} sessions are still leased"));
    }
    Ok(())
}

fn conclude(world: &World, weather: &Weather) -> Outcome {
    let periods = world.ledger.close();
    let fair = weather.fair_periods();
    let answerable = || periods.iter().zip(&fair).filter(|(_, fair)| **fair).map(|(it, _)| it);
    let sum = |of: fn(&Period) -> u64| answerable().map(of).sum();
    let mut worst: Vec<_> = periods
        .iter()
        .zip(&fair)
        .enumerate()
        .filter(|(_, (period, _))| period.answered < period.asked)
        .map(|(number, (period, fair))| {
            let Period { asked, answered, unknown } = period;
            let word = if *fair { "answerable" } else { "not answerable" };
            (
                answered * 1_000 / asked,
                format!(
                    "period {number} ({word}): {answered} of {asked} answered, {unknown} unknown"
                ),
            )
        })
        .collect();
    worst.sort();
    worst.truncate(5);
    let (digest, counts, told) = world.diary.close();
    Outcome {
        seed: world.seed,
        checks: periods.iter().map(|period| period.asked).sum(),
        answerable: sum(|period| period.asked),
        answered: sum(|period| period.answered),
        requests: world.wire.requests(),
        digest,
        counts,
        told,
        worst: worst.into_iter().map(|(_, text)| text).collect(),
        took: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_at_the_end_is_found() {
        let mut world = World::new(1, Case::Small, &Plan::quiet(), false).await.unwrap();
        look_for_leaks(&world).await.unwrap();
        assert_eq!(world.diary.close().1, Counts::new());

        enqueue(&world, &mut 0).await.unwrap();
        let record = world.sessions.list(None, 1).await.unwrap().remove(0);
        let owner = WorkerId::new("forgetful");
        let request = SessionLeaseRequest::new(record.kind, owner, PERIOD, 1);
        world.sessions.lease(&request).await.unwrap();
        look_for_leaks(&world).await.unwrap();
        let outcome = conclude(&world, &Weather::default());
        let found = |kind| outcome.counts.get(&kind).copied().unwrap_or_default();
        // The lease of the session, the queue that is not empty, and every job.
        assert_eq!((found(Kind::Leaked), found(Kind::Lost)), (2, 200));

        world.start(0).await.unwrap();
        tokio::time::sleep(PERIOD).await;
        world.stop_all().await;
        assert_eq!(world.ledger.close()[0].answered, 200);
    }

    #[test]
    fn a_seed_gives_the_same_run_again() {
        let run = |seed| {
            let plan = Plan::of(seed, Case::Small, SimTime::from_unix_secs(START));
            let outcome = run(seed, Case::Small, &plan, false).unwrap();
            (outcome.digest, outcome.requests, outcome.answered)
        };
        let first = run(1);
        assert_eq!(first, run(1));
        assert_ne!(first.0, run(2).0);
    }
}
