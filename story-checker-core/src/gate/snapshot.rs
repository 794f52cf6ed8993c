//! What has to survive a restart: what is spent, what is blocked, what was found out.

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::limit::Limit;
use super::limiter::Gate;
use super::state::{Arrivals, KeyState, Past};
use crate::clock::Timestamp;
use std::time::Duration;

/// What a gate knew at some time, by the clock of people. Serializes as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateSnapshot {
    /// When that was.
    pub taken_at: Timestamp,
    /// Until then requests may have been sent that it does not know of: the next one should have
    /// been taken by then.
    pub known_until: Timestamp,
    /// What was known of each key. A key that is not there had nothing spent.
    pub keys: Vec<KeySnapshot>,
}

/// What a gate knew of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeySnapshot {
    /// Which one.
    pub key: Key,
    /// The hint that blocks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_until: Option<Timestamp>,
    /// The limit in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// For each quota of the limit, until when it is paid for what was sent (the theoretical arrival
    /// time).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent_until: Vec<Timestamp>,
    /// When the last request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Requests so far.
    #[serde(default)]
    pub taken: u32,
    /// Of a limit that has to be found out: requests per window that went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// The pace that usage headers asked for: microseconds from one request to the next, and until
    /// when that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<(u64, Timestamp)>,
    /// What is spent tells everything that went out, and not only what the windows still hold.
    #[serde(default)]
    pub sound: bool,
}

impl Gate {
    /// What has to survive a restart. The next one should be stored within `next`, and at once after
    /// a [block](Gate::blocked); `next` is zero for the last one, after which nothing is sent.
    #[must_use]
    pub fn snapshot(&self, next: Duration) -> GateSnapshot {
        let now = self.elapsed();
        let taken_at = self.now();
        let mut inner = self.lock();
        inner.used = false;
        let live = inner.table.all().filter(|(_, state)| !state.is_idle(now));
        let keys = live.map(|(key, state)| self.of_key(key, state, now)).collect();
        drop(inner);
        GateSnapshot { taken_at, known_until: taken_at + next, keys }
    }

    fn of_key(&self, key: &Key, state: &KeyState, now: u64) -> KeySnapshot {
        let wall = |at| self.timestamp(now, at);
        let track = state.track();
        KeySnapshot {
            key: key.clone(),
            blocked_until: (state.blocked_until > now).then(|| wall(state.blocked_until)),
            limit: track.map(|(limit, ..)| limit.clone()),
            spent_until: track.map_or_else(Vec::new, |(limit, arrivals, _)| {
                arrivals.iter().take(limit.quotas().len()).map(|&at| wall(at)).collect()
            }),
            last: (state.last > 0).then(|| wall(state.last)),
            taken: state.taken,
            ceiling: state.ceiling().map(|ceiling| ceiling.rate()),
            pace: state.paced(now).map(|(interval, until)| (interval, wall(until))),
            sound: track.is_some_and(|(.., sound)| sound),
        }
    }

    /// Goes on from what was known before. What may have been sent since the snapshot, under the
    /// same limits, is taken as sent. Keys that this gate has used already keep what it knows.
    pub fn restore(&self, snapshot: &GateSnapshot) {
        let now = self.elapsed();
        let own = |at: Timestamp| self.own_time(now, at);
        let known_until = own(snapshot.known_until).min(now);
        let complete = snapshot.known_until <= snapshot.taken_at;
        let past = Past { until: (!complete).then_some(known_until), lawless: false };
        let mut inner = self.lock();
        for it in &snapshot.keys {
            let limit = it.limit.clone().map(|limit| {
                let mut arrivals = Arrivals::default();
                for (arrival, &at) in arrivals.iter_mut().zip(&it.spent_until) {
                    *arrival = own(at);
                }
                (limit, arrivals, it.sound)
            });
            let last = it.last.map_or(0, |at| own(at).min(now));
            let restored = |epoch| {
                let mut state = KeyState::restored(epoch, (last, it.taken), limit, past);
                if let Some(rate) = it.ceiling {
                    state.recall(rate, now);
                }
                if let Some((interval, until)) = it.pace {
                    state.pace(interval, own(until), now);
                }
                state
            };
            inner.table.restore(it.key.clone(), it.blocked_until.map_or(0, own), restored);
        }
        inner.table.assume(past);
    }
}
