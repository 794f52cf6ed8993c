//! The breakers as the engine and the operator see them.

use tokio::sync::mpsc;

use super::breaker::{BreakerMode, BreakerState, Change};
use super::change::{BreakerChange, BreakerView};
use super::health::Health;
use super::key::{Key, Need};
use super::limiter::Gate;
use crate::clock::Timestamp;
use crate::fault::Fault;

impl Gate {
    /// All breakers that are not plainly closed, or count failures: in the order of their keys.
    #[must_use]
    pub fn breakers(&self) -> Vec<BreakerView> {
        let health = self.health();
        let now = self.elapsed();
        let mut views: Vec<_> = health
            .iter()
            .map(|(key, breaker)| {
                let (failures, results) = breaker.counts(now);
                BreakerView {
                    key: key.clone(),
                    state: breaker.state(now),
                    mode: breaker.mode(),
                    until: breaker.open_until_at(now).map(|at| self.timestamp(now, at)),
                    in_a_row: breaker.in_a_row(),
                    failures,
                    results,
                }
            })
            .filter(|view| {
                view.state != BreakerState::Closed
                    || view.mode != BreakerMode::Automatic
                    || view.in_a_row > 0
                    || view.failures > 0
            })
            .collect();
        drop(health);
        views.sort_by(|a, b| a.key.cmp(&b.key));
        views
    }

    /// Hands the breaker of a key to the operator, or back to itself. What was counted is forgotten.
    /// Keys of other classes than endpoints and proxies have none.
    pub fn set_breaker(&self, key: &Key, mode: BreakerMode) {
        let mut health = self.health();
        let now = self.elapsed();
        if health.policies.of(key.class()).is_some() {
            let change = health.breaker(key, now).set_mode(mode, now);
            health.changes.extend(change.map(|change| (key.clone(), change)));
        }
        self.publish(&mut health, now);
    }

    /// Keeps the breaker of a key open until then, and closes it after a few probes. Never makes an
    /// open time shorter.
    pub fn open_breaker(&self, key: &Key, until: Timestamp) {
        let wait = until.since(self.now());
        let mut health = self.health();
        let now = self.elapsed();
        let until = now.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        if health.policies.of(key.class()).is_some() {
            let change = health.breaker(key, now).open_until(until, now);
            health.changes.extend(change.map(|change| (key.clone(), change)));
        }
        self.publish(&mut health, now);
    }

    /// A request has ended, with this fault or an answer.
    pub(super) fn settle(&self, needs: &[Need], fault: Option<&Fault>) {
        let mut health = self.health();
        let now = self.elapsed();
        health.settle(needs, fault, now);
        self.publish(&mut health, now);
    }

    /// Hears of each change from now on.
    pub(crate) fn hear_breakers(&self) -> mpsc::UnboundedReceiver<BreakerChange> {
        // Changes are few: each takes several requests, and the time between them doubles.
        let (sender, receiver) = mpsc::unbounded_channel();
        self.health().listeners.push(sender);
        receiver
    }

    /// How many requests the breakers would let through; those that nobody has probed for long do
    /// not count.
    pub(crate) fn room(&self, needs: &[Need]) -> u32 {
        let health = self.health();
        health.room(needs, self.elapsed())
    }

    /// Until when a breaker among these is open.
    pub(crate) fn open_until(&self, needs: &[Need]) -> Option<(Key, Timestamp)> {
        let health = self.health();
        let now = self.elapsed();
        let open = needs.iter().filter(|need| health.permits(std::slice::from_ref(need), now) == 0);
        let (at, key) = open
            .filter_map(|need| health.ready_at(std::slice::from_ref(need), now))
            .max_by_key(|(at, _)| *at)?;
        Some((key.clone(), self.timestamp(now, at)))
    }

    /// Tells of what has changed.
    pub(super) fn publish(&self, health: &mut Health, now: u64) {
        for (key, change) in std::mem::take(&mut health.changes) {
            let open = change.to == BreakerState::Open;
            let until = health.until(&key, now).filter(|_| open);
            let until = until.map(|at| self.timestamp(now, at));
            let Change { from, to, cause } = change;
            tracing::info!(%key, from = from.as_str(), to = to.as_str(), cause = cause.as_str(),
                until = until.map(tracing::field::display), "a breaker changes");
            let change = BreakerChange { key, from, to, cause, until };
            health.listeners.retain(|listener| listener.send(change.clone()).is_ok());
        }
    }
}
