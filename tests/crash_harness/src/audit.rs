//! The audit: holds the ledgers of all processes against each other and against what the store
//! shows at the end. A pure function.
//!
//! A lease is certainly valid from the moment its claim was answered until the lease's time has
//! passed since the claim, or the last beat that was answered with "held", was *sent*, or until a
//! settlement of it was sent. Two leases of one job that are certainly valid at one time overlap.

mod deaths;
mod grants;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use story_checker_core::retry::DeadReason;
use story_checker_core::{Fence, JobId};

pub(crate) use self::deaths::Death;
use self::grants::{Grant, Reading};
use crate::jobs::Kind;
use crate::ledger::{Book, Entry, Micros, Sent};

/// Stores count in whole milliseconds.
const ROUNDING: Micros = 5_000;

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    /// A job of the cancelled batch was claimed, or begun, after that was known.
    CancelledRan,
    /// A job was executed once more than its cap allows, or ended as crashed without having been.
    CrashCap,
    /// A job ended as no settlement says.
    Ended,
    /// A later grant has no larger fence.
    Fences,
    /// A job that was acknowledged is not there, or the counters say so.
    Lost,
    /// Two leases of one job were valid at one time.
    Overlapping,
    /// A check went on under leases that its worker knew to be over.
    RanOn,
    /// A job ended twice, or was claimed again after its end.
    SettledTwice,
    /// A process ended as it should not.
    Stray,
    /// A job has not ended.
    Unended,
}

impl Rule {
    pub(crate) const ALL: [Self; 10] = [
        Self::Lost,
        Self::SettledTwice,
        Self::Overlapping,
        Self::Unended,
        Self::Fences,
        Self::CrashCap,
        Self::CancelledRan,
        Self::RanOn,
        Self::Ended,
        Self::Stray,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CancelledRan => "cancelled and run",
            Self::CrashCap => "over the crash cap",
            Self::Ended => "ends unexplained",
            Self::Fences => "fences not growing",
            Self::Lost => "lost",
            Self::Overlapping => "overlapping leases",
            Self::RanOn => "ran on without lease",
            Self::SettledTwice => "settled twice",
            Self::Stray => "strays",
            Self::Unended => "not ended",
        })
    }
}

/// A broken promise, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) text: String,
}

/// How a job stands at the end of the run, by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) id: JobId,
    pub(crate) kind: Kind,
    /// How it ended, if it has.
    pub(crate) end: Option<Sent>,
    pub(crate) crashes: u32,
    pub(crate) fence: Fence,
    /// The fence of the execution whose report is stored with it.
    pub(crate) reported: Option<Fence>,
}

/// What is audited.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) books: Vec<Book>,
    /// The listing of the store.
    pub(crate) last: Vec<Last>,
    /// What its counters say: live and ended jobs.
    pub(crate) counted: (u64, u64),
    /// How often a job may lose its worker.
    pub(crate) max_crashes: u32,
    /// How long a check may go on without a valid lease until its worker stops it.
    pub(crate) guard: Micros,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    pub(crate) findings: Vec<Finding>,
    pub(crate) counts: Counts,
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Jobs by how they ended.
    pub(crate) ends: BTreeMap<String, usize>,
    pub(crate) claims: usize,
    pub(crate) executions: usize,
    pub(crate) settled: usize,
    /// Settlements that came after their lease was over.
    pub(crate) stale: usize,
    /// Settlements sent again that had been applied.
    pub(crate) already: usize,
    /// Calls that failed.
    pub(crate) failed: usize,
    /// Leases that were over.
    pub(crate) reaped: usize,
    pub(crate) outages: usize,
    pub(crate) zombies: usize,
    /// Deaths of workers by where they were.
    pub(crate) deaths: BTreeMap<Death, usize>,
    /// Poison jobs, and how often they were executed.
    pub(crate) poison: (usize, usize),
}

impl Audit {
    fn find(&mut self, rule: Rule, text: String) {
        self.findings.push(Finding { rule, text });
    }

    pub(crate) fn count(&self, rule: Rule) -> usize {
        self.findings.iter().filter(|finding| finding.rule == rule).count()
    }
}

/// Audits a run.
pub(crate) fn audit(case: &Case) -> Audit {
    let mut audit = Audit::default();
    let mut grants: BTreeMap<JobId, Vec<Grant>> = BTreeMap::new();
    let (mut enqueued, mut cancelled_at, mut unseen) = (BTreeSet::new(), Micros::MAX, 0);
    for book in &case.books {
        let mut reading = Reading::new(book, case);
        for (at, entry) in &book.lines {
            match entry {
                Entry::Enqueued { jobs } => enqueued.extend(jobs.iter().copied()),
                Entry::Cancelled { .. } => cancelled_at = cancelled_at.min(*at),
                Entry::Outage => audit.counts.outages += 1,
                Entry::Thawed { .. } => audit.counts.zombies += 1,
                _ => reading.entry(*at, entry, &mut audit),
            }
        }
        unseen += reading.unseen();
        if let Some(death) = Death::of(book) {
            *audit.counts.deaths.entry(death).or_default() += 1;
        }
        for grant in reading.into_grants() {
            grants.entry(grant.id).or_default().push(grant);
        }
    }
    let last: BTreeMap<_, _> = case.last.iter().map(|last| (last.id, last)).collect();
    for id in enqueued.iter().filter(|id| !last.contains_key(id)) {
        audit.find(Rule::Lost, format!("{id} was enqueued and is not there"));
    }
    let live = case.last.iter().filter(|last| last.end.is_none()).count() as u64;
    let ended = case.last.len() as u64 - live;
    if case.counted != (live, ended) {
        let (says_live, says_ended) = case.counted;
        let text = format!(
            "the counters say {says_live} live and {says_ended} ended, the listing has {live} and {ended}"
        );
        audit.find(Rule::Lost, text);
    }
    for grants in grants.values_mut() {
        grants.sort_by_key(|grant| (grant.fence, grant.claimed));
        pairs(grants, &mut audit);
    }
    let none = Vec::new();
    for last in &case.last {
        let grants = grants.get(&last.id).unwrap_or(&none);
        job(last, grants, (case.max_crashes, unseen, cancelled_at), &mut audit);
    }
    audit
}

/// Holds the grants of one job, by fence, against each other.
fn pairs(grants: &[Grant], audit: &mut Audit) {
    for (index, a) in grants.iter().enumerate() {
        for b in &grants[index + 1..] {
            if a.fence == b.fence || b.claimed < a.asked {
                audit.find(Rule::Fences, format!("{a} and {b}"));
            }
            let (first, second) = if a.claimed <= b.claimed { (a, b) } else { (b, a) };
            if second.claimed + ROUNDING < first.valid_until() {
                let micros = first.valid_until() - second.claimed;
                audit.find(Rule::Overlapping, format!("{first} and {second}, by {micros} µs"));
            }
            let over = |it: &Grant| it.ended.filter(|(_, sent)| *sent != Sent::Again);
            match (over(a), over(b)) {
                (Some(_), Some(_)) => audit.find(Rule::SettledTwice, format!("{a} and {b}")),
                (Some((at, _)), None) if at < b.asked => {
                    audit.find(Rule::SettledTwice, format!("{b} was claimed after {a} had ended"));
                }
                _ => {}
            }
        }
    }
}

/// Holds the end of one job against its grants, by fence.
fn job(
    last: &Last,
    grants: &[Grant],
    (max_crashes, unseen, cancelled_at): (u32, usize, Micros),
    audit: &mut Audit,
) {
    let id = last.id;
    let runs: u32 = grants.iter().map(|grant| grant.runs).sum();
    // Each lost lease is a crash, and is in a ledger unless the claim's answer was lost too.
    let crashes = grants.iter().filter(|grant| grant.ended.is_none()).count() + unseen;
    let name = last.end.map_or_else(|| "live".to_owned(), |end| format!("{end:?}"));
    *audit.counts.ends.entry(name).or_default() += 1;
    if last.kind == Kind::Poison {
        audit.counts.poison.0 += 1;
        audit.counts.poison.1 += runs as usize;
        if runs > max_crashes {
            audit.find(Rule::CrashCap, format!("{id} killed {runs} workers"));
        }
    }
    if last.kind == Kind::Doomed {
        for grant in grants.iter().filter(|grant| grant.asked > cancelled_at) {
            audit.find(Rule::CancelledRan, format!("{grant} was claimed after the cancellation"));
        }
    }
    let Some(end) = last.end else {
        audit.find(Rule::Unended, format!("{id} ({:?}), crashes {}", last.kind, last.crashes));
        return;
    };
    let fence = grants.last().map_or(Fence::default(), |grant| grant.fence);
    if last.fence < fence {
        let text = format!("{id} shows the fence {}, {fence} was granted", last.fence);
        audit.find(Rule::Fences, text);
    }
    let crashed = end == Sent::Dead(DeadReason::Crashed);
    if crashed && (last.crashes < max_crashes || crashes < max_crashes as usize) {
        let text = format!(
            "{id} ended as crashed after {} crashes, the ledgers have {crashes}",
            last.crashes
        );
        audit.find(Rule::CrashCap, text);
    }
    if last.kind == Kind::Poison && !crashed {
        audit.find(Rule::CrashCap, format!("{id} is poison and ended as {end:?}"));
    }
    let said = |grant: &&Grant| grant.ended.is_some_and(|(_, sent)| sent != Sent::Again);
    let explained = match grants.iter().find(said) {
        // The store said so once: that stands.
        Some(grant) => {
            grant.ended.is_some_and(|(_, sent)| sent == end)
                && last.reported.is_none_or(|fence| fence == grant.fence)
        }
        None if end == Sent::Cancelled && last.kind == Kind::Doomed => true,
        None => grants.iter().any(|grant| {
            grant.sent.contains(&end) && last.reported.is_none_or(|fence| fence == grant.fence)
        }),
    };
    if !explained {
        let fence = last.reported;
        audit.find(Rule::Ended, format!("{id} ended as {end:?}, report of {fence:?}: {grants:?}"));
    }
}
