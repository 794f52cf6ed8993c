//! Waiting for a pass: in order, and without waking anybody whose turn it is not.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::key::Need;
use super::limiter::{Gate, Inner, NotReady};
use super::line::Waiter;
use super::pass::Pass;
use super::state::Slot;
use super::table::Refusal;
use super::take::{Ahead, take};

/// A place in the line of the key that is lacking; dropped, it is free.
struct Place<'a> {
    gate: &'a Arc<Gate>,
    needs: Box<[Need]>,
    /// The need in whose key's line it stands; none while it waits for a breaker, so that others go
    /// on.
    at: Option<usize>,
    waiter: Waiter,
}

enum Turn {
    Taken(Box<[Option<Slot>]>),
    /// Nothing before this time, unless woken.
    NotBefore(Instant),
    /// Others go first.
    Behind,
    Refused(NotReady),
}

impl<'a> Place<'a> {
    /// Comes after all who wait already, in the line of the key that is ready last.
    fn new(gate: &'a Arc<Gate>, needs: Box<[Need]>, refused: &NotReady) -> Self {
        let at = needs.iter().position(|need| need.key == refused.key);
        let mut inner = gate.lock();
        let waiter = inner.lines.waiter();
        let mut place = Self { gate, needs, at: None, waiter };
        place.stand(&mut inner, at.filter(|_| !refused.breaker));
        drop(inner);
        place
    }

    /// Goes over to the line of another key, with its number, or out of all.
    fn stand(&mut self, inner: &mut Inner, at: Option<usize>) {
        if self.at == at {
            return;
        }
        if let Some(before) = self.at {
            inner.lines.leave(&self.needs[before].key, self.waiter.number);
        }
        self.at = at;
        if let Some(at) = at {
            inner.lines.join(&self.needs[at].key, self.waiter.clone());
        }
    }

    /// Leaves the line; who is next looks.
    fn leave(&mut self) -> Box<[Need]> {
        let needs = std::mem::take(&mut self.needs);
        if let Some(at) = self.at.take() {
            self.gate.lock().lines.leave(&needs[at].key, self.waiter.number);
        }
        needs
    }

    /// The need for whose key somebody came before; in its own line first.
    fn behind(&self, inner: &Inner) -> Option<usize> {
        let number = self.waiter.number;
        let busy = |at: usize| !inner.lines.is_first(&self.needs[at].key, number);
        self.at.into_iter().chain(0..self.needs.len()).find(|&at| busy(at))
    }

    fn look(&mut self, give_up: Instant) -> Turn {
        let gate = self.gate;
        let mut health = gate.health();
        let now = gate.elapsed();
        let mut inner = gate.lock();
        let open = health.ready_at(&self.needs, now).is_some();
        if let Some(at) = self.behind(&inner).filter(|_| !open) {
            // Who came first takes first, of every key.
            self.stand(&mut inner, Some(at));
            if gate.instant(now) < give_up {
                return Turn::Behind;
            }
            let refusal = Refusal { at: now, need: at, breaker: false };
            return Turn::Refused(gate.refusal(now, refusal, &self.needs));
        }
        let refusal = match take(&mut health, &mut inner, &mut self.needs, Ahead::Nobody, now) {
            Ok(slots) => {
                gate.note_use(&mut inner);
                drop(inner);
                gate.publish(&mut health, now);
                return Turn::Taken(slots);
            }
            Err(refusal) => refusal,
        };
        self.stand(&mut inner, (!refusal.breaker).then_some(refusal.need));
        if gate.instant(refusal.at) > give_up {
            return Turn::Refused(gate.refusal(now, refusal, &self.needs));
        }
        Turn::NotBefore(gate.instant(refusal.at))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Gate {
    /// Waits until every key is ready and takes one unit of each, if that is within `patience`. Who
    /// waits for a key goes in the order of coming; who waits for a breaker holds up nobody else.
    ///
    /// # Errors
    /// [`NotReady`], at once if it is clear that the wait would be longer.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting, and the place in line goes to the next.
    pub async fn pass(
        self: &Arc<Self>,
        needs: Box<[Need]>,
        patience: Duration,
    ) -> Result<Pass, NotReady> {
        self.pass_before(needs, patience, None).await
    }

    /// The same, but never waits beyond `end`. Reads no clock if it need not wait.
    pub(crate) async fn pass_before(
        self: &Arc<Self>,
        mut needs: Box<[Need]>,
        patience: Duration,
        end: Option<Instant>,
    ) -> Result<Pass, NotReady> {
        let refused = match self.take(&mut needs) {
            Ok(slots) => return Ok(Pass::new(self, needs, slots)),
            Err(refused) => refused,
        };
        let now = Instant::now();
        let give_up = now + patience;
        let give_up = end.map_or(give_up, |end| end.min(give_up));
        if now + refused.ready_at.since(self.now()) > give_up {
            return Err(refused);
        }
        let mut place = Place::new(self, needs, &refused);
        loop {
            let until = match place.look(give_up) {
                Turn::Taken(slots) => return Ok(Pass::new(self, place.leave(), slots)),
                Turn::Refused(refused) => return Err(refused),
                Turn::NotBefore(at) => at,
                Turn::Behind => give_up,
            };
            tokio::select! {
                biased;
                () = place.waiter.woken.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}
