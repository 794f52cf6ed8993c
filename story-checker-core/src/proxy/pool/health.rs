//! Health: rests, trials and probes, and what the operator and other workers say.

use std::sync::Arc;
use std::time::Duration;

use super::slot::{Condition, Slot};
use super::{ProxyPool, Rotation};
use crate::clock::Timestamp;
use crate::fault::{Class, Fault, Scope};
use crate::id::ProxyId;
use crate::proxy::{Proxy, ProxyState};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Why and until when a proxy is to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rest {
    /// What kind of fault it was.
    pub class: Class,
    /// The end of the rest.
    pub until: Timestamp,
    /// Why, for a person.
    pub reason: String,
}

impl Rest {
    /// A rest until then.
    #[must_use]
    pub fn new(class: Class, until: Timestamp, reason: impl Into<String>) -> Self {
        Self { class, until, reason: reason.into() }
    }
}

impl ProxyPool {
    /// Something went well: a trial is over. The new state, if it is one.
    pub fn succeeded(&mut self, id: &ProxyId) -> Option<ProxyState> {
        let &index = self.index.get(id)?;
        // Else it comes from a check that began before the rest, or beside the probe.
        let is_trial = self.slots[index as usize].condition == Condition::Trial;
        is_trial.then(|| self.activate(index))
    }

    /// Its breaker is open until then, which knows itself how long that is to be. The new state as
    /// of [`rest`](Self::rest).
    pub fn broken(&mut self, id: &ProxyId, rest: Rest, now: Timestamp) -> Option<ProxyState> {
        let state = self.begin_rest(id, rest, Duration::ZERO, now)?;
        let &index = self.index.get(id)?;
        self.slots[index as usize].trouble().broken = true;
        Some(state)
    }

    /// Its breaker opened by the fault of another: it is as if nothing had been. The new state, if
    /// it rests for nothing else.
    pub fn absolved(&mut self, id: &ProxyId) -> Option<ProxyState> {
        let &index = self.index.get(id)?;
        let slot = &mut self.slots[index as usize];
        if slot.condition != Condition::Cooling || !slot.trouble().broken {
            return None;
        }
        slot.trouble().rests = slot.trouble().rests.saturating_sub(1);
        Some(self.activate(index))
    }

    /// Lets it rest. After a trial it rests twice as long as before, at the least. The new state,
    /// unless it rests longer or is disabled already.
    pub fn rest(&mut self, id: &ProxyId, rest: Rest, now: Timestamp) -> Option<ProxyState> {
        let longest = self.policy.longest_rest;
        self.begin_rest(id, rest, longest, now)
    }

    /// Begins or prolongs a rest; one after a trial is doubled up to `longest`.
    fn begin_rest(
        &mut self,
        id: &ProxyId,
        rest: Rest,
        longest: Duration,
        now: Timestamp,
    ) -> Option<ProxyState> {
        let &index = self.index.get(id)?;
        let slot = &mut self.slots[index as usize];
        let was = slot.condition;
        let trouble = slot.trouble();
        let mut until = rest.until;
        match was {
            Condition::Disabled => return None,
            Condition::Cooling if trouble.until >= until => return None,
            Condition::Cooling => {}
            Condition::Active | Condition::Trial | Condition::Probed => {
                if was != Condition::Active {
                    until = until.max(now + (trouble.rest * 2).min(longest));
                }
                trouble.rest = until.since(now);
                if trouble.counted_from + DAY <= now {
                    (trouble.counted_from, trouble.rests) = (now, 0);
                }
                if rest.class != Class::RateLimited {
                    trouble.rests = trouble.rests.saturating_add(1);
                }
            }
        }
        trouble.broken = false;
        let rests = trouble.rests;
        if self.policy.max_rests.is_some_and(|most| rests >= most.get()) {
            let reason = format!("it rested {rests} times within a day, at last: {}", rest.reason);
            self.disable(index, reason, now);
        } else {
            self.cool(index, until, rest.reason, now);
        }
        self.unsaved.insert(index);
        Some(self.slots[index as usize].state())
    }

    /// Counts a check through it: targets that were answered, and faults that are its own.
    pub fn count(
        &mut self,
        id: &ProxyId,
        ok: u64,
        faults: impl IntoIterator<Item = Class>,
        now: Timestamp,
    ) {
        let Some(&index) = self.index.get(id) else { return };
        let slot = &mut self.slots[index as usize];
        slot.tally.add(ok, now);
        for class in faults {
            slot.trouble().faults.add(class);
        }
    }

    /// Up to `max` proxies whose rest is over, to be probed now: each once, until its
    /// [result](Self::probed).
    pub fn next_probes(&mut self, max: usize, now: Timestamp) -> Vec<Arc<Proxy>> {
        self.wake(now);
        let mut next = Vec::new();
        while next.len() < max
            && let Some((stamp, index)) = self.to_probe.pop_front()
        {
            let slot = self.slots.get(index as usize).filter(|slot| slot.stamp == stamp);
            next.extend(slot.map(|slot| Arc::clone(&slot.proxy)));
        }
        next
    }

    /// When there may be something to probe that is not now.
    pub fn probe_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.wake(now);
        if self.to_probe.is_empty() { self.next_time() } else { Some(now) }
    }

    /// Ends a probe. A proxy that failed it rests for `rest`, or twice as long as before. What is not
    /// the proxy's fault says nothing of it: the next check shows. The new state, if it is one.
    pub fn probed(
        &mut self,
        id: &ProxyId,
        result: Result<(), &Fault>,
        rest: Duration,
        now: Timestamp,
    ) -> Option<ProxyState> {
        let &index = self.index.get(id)?;
        if self.slots[index as usize].condition != Condition::Probed {
            return None;
        }
        match result {
            Ok(()) => Some(self.activate(index)),
            Err(fault) if fault.scope == Scope::Proxy => {
                let until = fault.until.unwrap_or_default().max(now + rest);
                self.slots[index as usize].trouble().faults.add(fault.class);
                self.rest(id, Rest::new(fault.class, until, fault.message.clone()), now)
            }
            Err(_) => {
                self.set(index, Condition::Trial);
                None
            }
        }
    }

    /// Its rest is over: to be seen whether it works.
    pub(super) fn begin_trial(&mut self, index: u32) {
        if self.probes {
            self.set(index, Condition::Probed);
            self.stamps += 1;
            self.slots[index as usize].stamp = self.stamps;
            self.to_probe.push_back((self.stamps, index));
        } else {
            self.set(index, Condition::Trial);
        }
        // What is stored says no more than that.
        self.unsaved.remove(&index);
    }

    /// What is stored of a proxy: its own word of the past, another worker's, or the operator's.
    pub(super) fn take_over(
        &mut self,
        index: u32,
        stored: ProxyState,
        is_fresh: bool,
        now: Timestamp,
    ) {
        let condition = self.slots[index as usize].condition;
        let is_stored = !self.unsaved.contains(&index);
        match stored {
            ProxyState::Disabled { reason } => {
                self.disable(index, reason, now);
                self.unsaved.remove(&index);
            }
            // That it is disabled is not stored yet.
            _ if condition == Condition::Disabled && !is_stored => {}
            ProxyState::Cooling { until, reason } if until > now => {
                let known = self.slots[index as usize].trouble.as_ref().map(|known| known.until);
                let rests_longer = condition == Condition::Cooling && known >= Some(until);
                if !rests_longer {
                    self.cool(index, until, reason, now);
                    self.unsaved.remove(&index);
                }
            }
            ProxyState::Cooling { .. } if is_fresh || condition == Condition::Disabled => {
                self.slots[index as usize].trouble().closed_since.get_or_insert(now);
                self.begin_trial(index);
            }
            // The operator has enabled it, or has ended its rest.
            ProxyState::Active
                if is_stored && matches!(condition, Condition::Cooling | Condition::Disabled) =>
            {
                self.slots[index as usize].trouble().rests = 0;
                self.activate(index);
            }
            ProxyState::Active
            | ProxyState::Cooling { .. }
            | ProxyState::Draining
            | ProxyState::Probing => {}
        }
    }

    fn activate(&mut self, index: u32) -> ProxyState {
        self.unsaved.remove(&index);
        let trouble = self.slots[index as usize].trouble();
        (trouble.rest, trouble.closed_since) = (Duration::ZERO, None);
        self.set(index, Condition::Active);
        ProxyState::Active
    }

    fn cool(&mut self, index: u32, until: Timestamp, reason: String, now: Timestamp) {
        let trouble = self.slots[index as usize].trouble();
        (trouble.until, trouble.reason) = (until, reason);
        trouble.closed_since.get_or_insert(now);
        if trouble.rest.is_zero() {
            trouble.rest = until.since(now);
        }
        self.set(index, Condition::Cooling);
        self.note_time(index, until);
    }

    fn disable(&mut self, index: u32, reason: String, now: Timestamp) {
        let trouble = self.slots[index as usize].trouble();
        trouble.reason = reason;
        trouble.closed_since.get_or_insert(now);
        self.set(index, Condition::Disabled);
    }

    /// Sets the condition; what the slot waited for before is void.
    fn set(&mut self, index: u32, condition: Condition) {
        self.turns += 1;
        let (turns, pass, rotation) = (self.turns, self.pass(), self.policy.rotation);
        self.change(index, |slot: &mut Slot| {
            (slot.stamp, slot.aside, slot.condition) = (0, false, condition);
            match rotation {
                // Whoever was closed comes after those that were not.
                Rotation::Sticky => slot.turn = turns,
                Rotation::Weighted => slot.turn = slot.turn.max(pass),
                Rotation::LeastUsed | Rotation::RoundRobin => {}
            }
        });
    }
}
