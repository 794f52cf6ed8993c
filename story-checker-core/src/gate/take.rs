//! One decision over the breakers and the limits of a request: all is taken, or nothing.

use super::health::Health;
use super::key::Need;
use super::limiter::{Availability, Gate, Inner, NotReady};
use super::state::Slot;
use super::table::Refusal;

/// Looks at the breakers, takes one unit of every key, and then a permit of every breaker.
pub(super) fn take(
    health: &mut Health,
    inner: &mut Inner,
    needs: &mut [Need],
    ahead: Ahead,
    now: u64,
) -> Result<Box<[Option<Slot>]>, Refusal> {
    let Inner { table, lines, .. } = &*inner;
    let counts = ahead == Ahead::AllInLine && !lines.is_empty();
    let before = |need: &Need| if counts { lines.waiting(&need.key) } else { 0 };
    let decided = table.decide(needs, before, now);
    if let Some((at, need)) = health.ready_at(needs, now) {
        let at = decided.err().map_or(at, |limited| limited.at.max(at));
        return Err(Refusal { at, need, breaker: true });
    }
    decided?;
    let slots = inner.table.take(needs, now);
    health.acquire(needs, now);
    Ok(slots)
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// All who wait for one of the keys.
    AllInLine,
    /// Nobody: it is this one's turn.
    Nobody,
}

impl Gate {
    /// Looks at several keys at once without taking anything.
    #[must_use]
    pub fn availability(&self, needs: &[Need]) -> Availability {
        let health = self.health();
        let now = self.elapsed();
        let (limited, ready) = self.lock().table.peek(needs, now);
        let count = limited.min(health.permits(needs, now));
        let ready = health.ready_at(needs, now).map_or(ready, |(at, _)| at.max(ready));
        drop(health);
        Availability { now: count, ready_at: self.timestamp(now, ready) }
    }

    /// Takes one unit of every key and a permit of every breaker, unless somebody waits for one of
    /// the keys; or nothing.
    pub(super) fn take(&self, needs: &mut [Need]) -> Result<Box<[Option<Slot>]>, NotReady> {
        let mut health = self.health();
        let now = self.elapsed();
        let mut inner = self.lock();
        let taken = take(&mut health, &mut inner, needs, Ahead::AllInLine, now);
        if taken.is_ok() {
            self.note_use(&mut inner);
        }
        drop(inner);
        self.publish(&mut health, now);
        drop(health);
        taken.map_err(|refusal| self.refusal(now, refusal, needs))
    }

    /// The place in the limits of a request that does not leave.
    pub(super) fn give_back(&self, needs: &[Need], slots: &[Option<Slot>]) {
        let mut inner = self.lock();
        inner.table.refund(needs, slots);
        if !inner.lines.is_empty() {
            needs.iter().for_each(|need| inner.lines.wake(&need.key));
        }
    }
}
