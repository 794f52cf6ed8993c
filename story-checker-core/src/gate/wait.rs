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

/// A place in the line of the key that is lacking; dropped, it is free.
struct Place<'a> {
    gate: &'a Arc<Gate>,
    needs: Box<[Need]>,
    /// The need in whose key's line it stands.
    at: usize,
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
    /// Joins the line of the key that is ready last.
    fn join(gate: &'a Arc<Gate>, needs: Box<[Need]>, refused: &NotReady) -> Self {
        let at = needs.iter().position(|need| need.key == refused.key).unwrap_or_default();
        let mut inner = gate.lock();
        let waiter = inner.lines.waiter();
        inner.lines.join(&needs[at].key, waiter.clone());
        drop(inner);
        Self { gate, needs, at, waiter }
    }

    /// Goes over to the line of another key, with its number.
    fn change(&mut self, inner: &mut Inner, at: usize) {
        inner.lines.leave(&self.needs[self.at].key, self.waiter.number);
        self.at = at;
        inner.lines.join(&self.needs[at].key, self.waiter.clone());
    }

    /// Leaves the line; who is next looks.
    fn leave(&mut self) -> Box<[Need]> {
        let needs = std::mem::take(&mut self.needs);
        if let Some(need) = needs.get(self.at) {
            self.gate.lock().lines.leave(&need.key, self.waiter.number);
        }
        needs
    }

    fn look(&mut self, give_up: Instant) -> Turn {
        let number = self.waiter.number;
        let now = self.gate.elapsed();
        let gate = self.gate;
        let mut inner = gate.lock();
        if !inner.lines.is_first(&self.needs[self.at].key, number) {
            if gate.instant(now) < give_up {
                return Turn::Behind;
            }
            let refusal = Refusal { at: now, need: self.at };
            return Turn::Refused(gate.refusal(now, refusal, &self.needs));
        }
        let mut all = self.needs.iter();
        if let Some(busy) = all.position(|need| !inner.lines.is_first(&need.key, number)) {
            // Who came first takes first, of every key.
            self.change(&mut inner, busy);
            return Turn::Behind;
        }
        match inner.table.decide(&self.needs, |_| 0, now) {
            Ok(()) => {
                let slots = inner.table.take(&self.needs, now);
                gate.note_use(&mut inner);
                Turn::Taken(slots)
            }
            Err(refusal) if gate.instant(refusal.at) > give_up => {
                Turn::Refused(gate.refusal(now, refusal, &self.needs))
            }
            Err(refusal) => {
                if refusal.need != self.at {
                    self.change(&mut inner, refusal.need);
                }
                Turn::NotBefore(gate.instant(refusal.at))
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Gate {
    /// Waits until every key is ready and takes one unit of each, if that is within `patience`. Who
    /// waits for a key goes in the order of coming.
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
        needs: Box<[Need]>,
        patience: Duration,
        end: Option<Instant>,
    ) -> Result<Pass, NotReady> {
        let refused = match self.take(&needs) {
            Ok(slots) => return Ok(Pass::new(self, needs, slots)),
            Err(refused) => refused,
        };
        let now = Instant::now();
        let give_up = now + patience;
        let give_up = end.map_or(give_up, |end| end.min(give_up));
        if now + refused.ready_at.since(self.now()) > give_up {
            return Err(refused);
        }
        let mut place = Place::join(self, needs, &refused);
        loop {
            let until = match place.look(give_up) {
                Turn::Taken(slots) => return Ok(Pass::new(self, place.leave(), slots)),
                Turn::Refused(refused) => return Err(refused),
                Turn::NotBefore(at) => at,
                Turn::Behind => give_up,
            };
            tokio::select! {
                () = sleep_until(until) => {}
                () = place.waiter.woken.notified() => {}
            }
        }
    }
}
