//! Reads one ledger: which leases its process had, and until when.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use story_checker_core::{Fence, JobId};

use super::{Audit, Case, Rule};
use crate::ledger::{Book, Call, Entry, Lease, Micros, Pulse, Said, Sent};

/// A lease as its holder knows it.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: JobId,
    pub(super) fence: Fence,
    process: String,
    /// When the claim was sent, and answered.
    pub(super) asked: Micros,
    pub(super) claimed: Micros,
    crashes: u32,
    /// It holds without a further beat.
    until: Micros,
    /// When its first settlement was sent.
    given_up: Option<Micros>,
    /// What was sent.
    pub(super) sent: Vec<Sent>,
    /// When the store first acknowledged which of it.
    pub(super) ended: Option<(Micros, Sent)>,
    applied: bool,
    /// Calls of the checker.
    pub(super) runs: u32,
    /// What a beat said that ends it.
    told: Option<Pulse>,
}

impl Grant {
    /// It is certainly valid until then.
    pub(super) fn valid_until(&self) -> Micros {
        self.given_up.map_or(self.until, |at| self.until.min(at))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, fence, process, asked, claimed, .. } = self;
        write!(f, "{id} fence {fence} of {process} [{asked}, {claimed}]")
    }
}

/// What was sent and is not answered yet.
#[derive(Clone, Debug)]
enum Asked<'a> {
    Beat(Micros, &'a [Lease]),
    Check(&'a [Lease]),
    /// Sent at, for so long.
    Claim(Micros, Micros),
    Settle(&'a [(JobId, Fence, Sent)]),
}

/// A ledger that is being read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    process: &'a str,
    max_crashes: u32,
    guard: Micros,
    /// When the process was stopped.
    frozen: Vec<(Micros, Micros)>,
    grants: BTreeMap<Lease, Grant>,
    /// A call that settles and claims has two.
    asked: HashMap<(Call, bool), Asked<'a>>,
    /// Claims that failed.
    failed: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(book: &'a Book, case: &Case) -> Self {
        Self {
            process: &book.process,
            max_crashes: case.max_crashes,
            guard: case.guard,
            frozen: frozen(&book.process, &case.books),
            grants: BTreeMap::new(),
            asked: HashMap::new(),
            failed: 0,
        }
    }

    /// Claims whose answer was never seen: they may have brought jobs.
    pub(super) fn unseen(&self) -> usize {
        self.failed + self.asked.values().filter(|asked| matches!(asked, Asked::Claim(..))).count()
    }

    pub(super) fn into_grants(self) -> impl Iterator<Item = Grant> {
        self.grants.into_values()
    }

    pub(super) fn entry(&mut self, at: Micros, entry: &'a Entry, audit: &mut Audit) {
        match entry {
            Entry::Beat { call, lease, leases } => {
                self.ask(*call, Asked::Beat(at + lease, leases));
            }
            Entry::Begin { call, leases } => {
                audit.counts.executions += leases.len();
                self.ask(*call, Asked::Check(leases));
                self.begin(leases, audit);
            }
            Entry::Claim { call, lease } => self.ask(*call, Asked::Claim(at, *lease)),
            Entry::Settle { call, items } => {
                self.ask(*call, Asked::Settle(items));
                for (id, fence, sent) in items {
                    if let Some(grant) = self.grants.get_mut(&(*id, *fence)) {
                        grant.given_up.get_or_insert(at);
                        grant.sent.push(*sent);
                    }
                }
            }
            Entry::Beaten { call, replies } => {
                if let Some(Asked::Beat(until, leases)) = self.asked.remove(&(*call, false)) {
                    self.beaten(until, leases, replies);
                }
            }
            Entry::Claimed { call, jobs } => {
                audit.counts.claims += usize::from(!jobs.is_empty());
                if let Some(Asked::Claim(asked, lease)) = self.asked.remove(&(*call, true)) {
                    self.claimed(at, (asked, lease), jobs, audit);
                }
            }
            Entry::End { call } => {
                if let Some(Asked::Check(leases)) = self.asked.remove(&(*call, false)) {
                    self.end(at, leases, audit);
                }
            }
            Entry::Settled { call, replies, .. } => {
                if let Some(Asked::Settle(items)) = self.asked.remove(&(*call, false)) {
                    for ((id, fence, sent), said) in items.iter().zip(replies) {
                        self.settled(at, (*id, *fence), (*sent, *said), audit);
                    }
                }
            }
            Entry::Failed { call, .. } => {
                audit.counts.failed += 1;
                self.asked.remove(&(*call, false));
                self.failed += usize::from(self.asked.remove(&(*call, true)).is_some());
            }
            Entry::Maintained { reaped } => audit.counts.reaped += reaped,
            Entry::Cancelled { .. }
            | Entry::Died { .. }
            | Entry::Enqueued { .. }
            | Entry::Frozen { .. }
            | Entry::Left
            | Entry::Outage
            | Entry::Thawed { .. } => {}
        }
    }

    fn ask(&mut self, call: Call, asked: Asked<'a>) {
        self.asked.insert((call, matches!(asked, Asked::Claim(..))), asked);
    }

    fn claimed(
        &mut self,
        at: Micros,
        (asked, lease): (Micros, Micros),
        jobs: &[(JobId, Fence, u32)],
        audit: &mut Audit,
    ) {
        for &(id, fence, crashes) in jobs {
            let grant = Grant {
                id,
                fence,
                process: self.process.to_owned(),
                asked,
                claimed: at,
                crashes,
                until: asked + lease,
                given_up: None,
                sent: Vec::new(),
                ended: None,
                applied: false,
                runs: 0,
                told: None,
            };
            if let Some(twin) = self.grants.insert((id, fence), grant) {
                audit.find(Rule::Fences, format!("{twin} was granted again at {at}"));
            }
        }
    }

    fn begin(&mut self, leases: &[Lease], audit: &mut Audit) {
        for lease in leases {
            let Some(grant) = self.grants.get_mut(lease) else {
                let process = self.process;
                audit.find(Rule::RanOn, format!("{lease:?} was run by {process} without a claim"));
                continue;
            };
            grant.runs += 1;
            match grant.told {
                Some(Pulse::Cancel) => audit
                    .find(Rule::CancelledRan, format!("{grant} was begun after a beat said so")),
                Some(_) => {
                    audit.find(Rule::RanOn, format!("{grant} was begun after a beat said stale"));
                }
                None => {}
            }
            if grant.crashes >= self.max_crashes {
                let crashes = grant.crashes;
                audit.find(Rule::CrashCap, format!("{grant} was run after {crashes} crashes"));
            }
        }
    }

    fn beaten(&mut self, until: Micros, leases: &[Lease], replies: &[Pulse]) {
        for (lease, pulse) in leases.iter().zip(replies) {
            let Some(grant) = self.grants.get_mut(lease) else { continue };
            match pulse {
                Pulse::Held => grant.until = grant.until.max(until),
                Pulse::Cancel | Pulse::Stale => grant.told = Some(*pulse),
            }
        }
    }

    /// A call ends when none of its jobs is wanted any more, so the last of them counts.
    fn end(&self, at: Micros, leases: &[Lease], audit: &mut Audit) {
        let grants = leases.iter().filter_map(|lease| self.grants.get(lease));
        let Some(last) = grants.max_by_key(|grant| grant.until) else { return };
        // A process that is stopped stops nothing.
        let overlap =
            |(from, to): &(Micros, Micros)| (*to).min(at).saturating_sub((*from).max(last.until));
        let stopped: Micros = self.frozen.iter().map(overlap).sum();
        let over = at.saturating_sub(last.until).saturating_sub(stopped);
        if over > self.guard {
            audit.find(Rule::RanOn, format!("{last} was run {over} µs after its end"));
        }
    }

    fn settled(&mut self, at: Micros, lease: Lease, (sent, said): (Sent, Said), audit: &mut Audit) {
        let Some(grant) = self.grants.get_mut(&lease) else { return };
        match said {
            Said::Applied if grant.applied => {
                audit.find(Rule::SettledTwice, format!("{grant} was applied again at {at}"));
            }
            Said::Applied => {
                audit.counts.settled += 1;
                grant.applied = true;
                grant.ended.get_or_insert((at, sent));
            }
            Said::AlreadyDone => {
                audit.counts.already += 1;
                grant.ended.get_or_insert((at, sent));
            }
            Said::Gone => audit.find(Rule::Lost, format!("{grant} is gone")),
            Said::Stale => audit.counts.stale += 1,
        }
    }
}

/// When a process was stopped, by the controller's ledger.
fn frozen(process: &str, books: &[Book]) -> Vec<(Micros, Micros)> {
    let mut spans = Vec::new();
    for (at, entry) in books.iter().flat_map(|book| &book.lines) {
        match entry {
            Entry::Frozen { worker } if worker == process => spans.push((*at, Micros::MAX)),
            Entry::Thawed { worker } if worker == process => {
                if let Some(span) = spans.last_mut() {
                    span.1 = *at;
                }
            }
            _ => {}
        }
    }
    spans
}
