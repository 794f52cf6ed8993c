//! What is known of one key, and what follows from it: no clock, no lock. Times are microseconds on the
//! gate's own scale.
//!
//! A limit may change while its key is in use. What went out before counts under the new one too, as
//! far as it is known; where it is not, the worst is taken, and nothing goes before the last request
//! is out of the window. So no request ever leaves with more than N in the window before it, N being
//! that of the limit at that moment. A limit that was in force before is counted on, so that two
//! limits that take turns (two checkers that share a proxy) are both exact.

use super::ceiling::Ceiling;
use super::limit::Limit;
use super::quota::Quota;

/// Arrival times, one for each quota of a limit.
pub(super) type Arrivals = [u64; Limit::MOST];

/// How long a limit that was found out is remembered without use.
const DAY: u64 = 86_400_000_000;
/// How many limits of one key are counted besides the one in force.
const OTHERS: usize = 3;
/// More than any window holds of a key whose past is not known.
const MANY: u32 = 1 << 31;

/// What is assumed of the time before a key was first seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Until then requests may have gone out that nobody here knows of; none if there are none.
    pub(super) until: Option<u64>,
    /// They kept to no limit of ours.
    pub(super) lawless: bool,
}

impl Past {
    /// The latest arrival time that such a past may have left.
    fn arrival(self, quota: &Quota) -> u64 {
        match self.until {
            None => 0,
            Some(until) if self.lawless => until + quota.span() + quota.tolerance(),
            Some(until) => until + quota.interval() + quota.tolerance(),
        }
    }
}

/// What is known of one key.
#[derive(Clone, Debug)]
pub(super) struct KeyState {
    pub(super) blocked_until: u64,
    /// When the last request left.
    pub(super) last: u64,
    /// Requests so far.
    pub(super) taken: u32,
    /// Of the limit in force: what was taken before it cannot be refunded.
    epoch: u32,
    track: Option<Track>,
    others: Option<Box<Others>>,
    pace: Option<Box<Pace>>,
}

/// How far a limit is used up.
#[derive(Clone, Debug)]
struct Track {
    limit: Limit,
    arrivals: Arrivals,
}

/// Limits that were in force a while ago.
#[derive(Clone, Debug)]
struct Others {
    tracks: Vec<Track>,
    /// The limit in force knows of everything that went out, and not only of what its own windows
    /// hold.
    sound: bool,
    /// From then on nothing of it counts.
    until: u64,
}

/// One at a time, with so much time between them.
#[derive(Clone, Debug, Default)]
struct Pace {
    interval: u64,
    until: u64,
    ceiling: Option<Ceiling>,
}

/// What a request has taken of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    number: u32,
    epoch: u32,
    ceiling: u32,
    /// When the request before it left.
    before: u64,
    pub(super) at: u64,
}

impl KeyState {
    /// A key that nothing is known of.
    pub(super) const fn new(epoch: u32) -> Self {
        Self { blocked_until: 0, last: 0, taken: 0, epoch, track: None, others: None, pace: None }
    }

    /// A key that is known from before.
    pub(super) fn restored(
        epoch: u32,
        (last, taken): (u64, u32),
        limit: Option<(Limit, Arrivals, bool)>,
        past: Past,
    ) -> Self {
        let mut state = Self { last, taken, ..Self::new(epoch) };
        let Some((limit, mut arrivals, sound)) = limit else { return state };
        for (quota, arrival) in limit.quotas().iter().zip(&mut arrivals) {
            *arrival = past.arrival(quota).max(*arrival);
        }
        if let Some(until) = past.until {
            state.last = last.max(until);
            state.taken = MANY;
        }
        // What left after the snapshot may have left under another limit.
        if !sound || past.lawless || past.until.is_some() {
            let until = state.last + limit.span();
            state.others = Some(Box::new(Others { tracks: Vec::new(), sound: false, until }));
        }
        state.track = Some(Track { limit, arrivals });
        state
    }

    /// The limit in force, how far it is used up, and whether that tells everything.
    pub(super) fn track(&self) -> Option<(&Limit, &Arrivals, bool)> {
        let sound = self.others.as_ref().is_none_or(|others| others.sound);
        self.track.as_ref().map(|track| (&track.limit, &track.arrivals, sound))
    }

    /// When the next request under `limit` may go, after `ahead` others that go as soon as they may.
    pub(super) fn ready_after(
        &self,
        limit: Option<&Limit>,
        ahead: u32,
        now: u64,
        past: Past,
    ) -> u64 {
        let start = now.max(self.blocked_until);
        let mut ready = self.blocked_until;
        if let Some(limit) = limit {
            let arrivals = self.arrivals(limit, now, past);
            for (quota, &arrival) in limit.quotas().iter().zip(&arrivals) {
                ready = ready.max(quota.ready_after(arrival, ahead, start));
            }
        }
        if let Some(pace) = &self.pace {
            let at = pace.ready_at(self.last, now);
            let each = u64::from(ahead) * pace.interval_at(now);
            ready = ready.max(if ahead == 0 { at } else { at.max(start) + each });
        }
        ready
    }

    /// How many requests under `limit` may go at once.
    pub(super) fn room(&self, limit: Option<&Limit>, now: u64, past: Past) -> u32 {
        if self.ready_after(limit, 0, now, past) > now {
            return 0;
        }
        let mut room = u32::MAX;
        if let Some(limit) = limit {
            let arrivals = self.arrivals(limit, now, past);
            for (quota, &arrival) in limit.quotas().iter().zip(&arrivals) {
                room = room.min(quota.room(arrival, now));
            }
        }
        let paced = self.pace.as_ref().is_some_and(|pace| pace.interval_at(now) > 0);
        if paced { room.min(1) } else { room }
    }

    fn arrivals(&self, limit: &Limit, now: u64, past: Past) -> Arrivals {
        let others = self.others.iter().flat_map(|others| &others.tracks);
        match self.track.iter().chain(others).find(|track| track.limit.is(limit)) {
            Some(track) => track.arrivals,
            None => self.begin(limit, now, past).0,
        }
    }

    /// Where a limit begins that was not in force before, and whether that tells everything that
    /// went out.
    fn begin(&self, limit: &Limit, now: u64, past: Past) -> (Arrivals, bool) {
        let (mut arrivals, mut sound) = (Arrivals::default(), true);
        for (quota, arrival) in limit.quotas().iter().zip(&mut arrivals) {
            *arrival = match &self.track {
                None => past.arrival(quota),
                Some(track) => {
                    let clear = self.last + quota.span() + quota.tolerance();
                    let counted = self.convert(track, quota, now);
                    sound &= counted <= clear;
                    counted.min(clear)
                }
            };
        }
        (arrivals, sound && (self.track.is_some() || !past.lawless))
    }

    /// The latest arrival time that a quota can have by now, by what the limit in force knows.
    fn convert(&self, track: &Track, quota: &Quota, now: u64) -> u64 {
        let interval = quota.interval();
        let mut least = self.last.saturating_add(u64::from(self.taken).saturating_mul(interval));
        if self.others.as_ref().is_some_and(|others| !others.sound) {
            return least;
        }
        for (old, &arrival) in track.limit.quotas().iter().zip(&track.arrivals) {
            let before = old.interval();
            let at = if before >= interval {
                // What is owed is owed in requests: time that has passed has paid at the old rate.
                now.min(arrival) + scaled(arrival.saturating_sub(now), interval, before)
            } else {
                let within = (arrival.max(self.last) - self.last + quota.span()) / before + 1;
                arrival + within.min(u64::from(self.taken)) * (interval - before)
            };
            least = least.min(at);
        }
        least
    }

    /// Puts `limit` in force. True if everything taken before is now settled.
    pub(super) fn adopt(&mut self, limit: &Limit, now: u64, past: Past, epoch: u32) -> bool {
        if self.track.as_ref().is_some_and(|track| track.limit.is(limit)) {
            return false;
        }
        if self.others.as_ref().is_some_and(|others| others.until <= now) {
            self.others = None;
        }
        self.learn(limit, now);
        if self.track.is_none()
            && let Some(known_from) = past.until
            && known_from + 2 * limit.span() > now
        {
            (self.taken, self.last) = (MANY, self.last.max(known_from));
        }
        let span = limit.span().max(self.track.as_ref().map_or(0, |track| track.limit.span()));
        let until = now + 2 * span;
        let known = self.others.as_mut().and_then(|others| {
            let at = others.tracks.iter().position(|track| track.limit.is(limit))?;
            (others.sound, others.until) = (false, others.until.max(until));
            Some(others.tracks.swap_remove(at))
        });
        let (new, sound) = match known {
            Some(track) => (track, false),
            None => {
                let (arrivals, sound) = self.begin(limit, now, past);
                (Track { limit: limit.clone(), arrivals }, sound)
            }
        };
        let old = self.track.replace(new);
        if old.is_some() || !sound {
            let others = self
                .others
                .get_or_insert_with(|| Box::new(Others { tracks: Vec::new(), sound: true, until }));
            others.sound = sound;
            others.until = others.until.max(until);
            if others.tracks.len() == OTHERS {
                others.tracks.remove(0);
            }
            others.tracks.extend(old);
        }
        self.epoch = epoch;
        true
    }

    /// Whether a limit is found out, if it is one for that.
    fn learn(&mut self, limit: &Limit, now: u64) {
        match (limit.learns_from(), limit.quotas().first()) {
            (Some((start, floor)), Some(most)) => {
                let window = most.span();
                let new = Ceiling::new(window, start, floor, most.requests(), now);
                self.pace.get_or_insert_default().ceiling = Some(new);
            }
            _ => {
                if let Some(pace) = &mut self.pace {
                    pace.ceiling = None;
                }
            }
        }
    }

    /// One request leaves. The limit, if there is one, is in force.
    pub(super) fn take(&mut self, counted: bool, now: u64) -> Slot {
        if counted {
            let others = self.others.iter_mut().flat_map(|others| &mut others.tracks);
            for track in self.track.iter_mut().chain(others) {
                track.take(now);
            }
        }
        let before = std::mem::replace(&mut self.last, now);
        self.taken = self.taken.saturating_add(1);
        let mut epoch = 0;
        if let Some(ceiling) = self.ceiling_mut() {
            ceiling.take(now);
            epoch = ceiling.epoch();
        }
        Slot { number: self.taken, epoch: self.epoch, ceiling: epoch, before, at: now }
    }

    /// The request that has taken `slot` does not leave. What left after it has left, so that this
    /// gives back only what is left of its place.
    pub(super) fn refund(&mut self, slot: Slot, counted: bool) {
        let later = self.taken.checked_sub(slot.number);
        let Some(later) = later.filter(|_| slot.epoch == self.epoch && self.taken < u32::MAX)
        else {
            return;
        };
        if counted {
            let last = self.last;
            let others = self.others.iter_mut().flat_map(|others| &mut others.tracks);
            for track in self.track.iter_mut().chain(others) {
                track.refund(last, later);
            }
        }
        if later == 0 {
            self.last = slot.before;
            self.taken -= 1;
        }
        if let Some(ceiling) = self.ceiling_mut() {
            ceiling.refund(slot.at);
        }
    }

    fn ceiling_mut(&mut self) -> Option<&mut Ceiling> {
        self.pace.as_mut()?.ceiling.as_mut()
    }

    /// What was found out of the limit.
    pub(super) fn ceiling(&self) -> Option<&Ceiling> {
        self.pace.as_ref()?.ceiling.as_ref()
    }

    /// Goes on from what was found out before.
    pub(super) fn recall(&mut self, rate: f64, now: u64) {
        if let Some(track) = &self.track {
            let limit = track.limit.clone();
            self.learn(&limit, now);
        }
        if let Some(ceiling) = self.ceiling_mut() {
            ceiling.recall(rate, now);
        }
    }

    /// The request that has taken `slot` was refused by the platform. True if the limit is one that
    /// is found out.
    pub(super) fn throttle(&mut self, slot: Slot, now: u64) -> bool {
        self.ceiling_mut().map(|ceiling| ceiling.throttle(slot.at, slot.ceiling, now)).is_some()
    }

    /// Sends one in every `interval` until then; 0 ends that.
    pub(super) fn pace(&mut self, interval: u64, until: u64, now: u64) {
        if interval == 0 && self.pace.is_none() {
            return;
        }
        if self.last == 0 {
            self.last = now;
        }
        let pace = self.pace.get_or_insert_default();
        (pace.interval, pace.until) = (interval, until);
    }

    /// The pace that a hint asks for, and until when.
    pub(super) fn paced(&self, now: u64) -> Option<(u64, u64)> {
        let pace = self.pace.as_ref().filter(|pace| pace.interval > 0 && pace.until > now)?;
        Some((pace.interval, pace.until))
    }

    /// From one request to the next under the limit in force, and its longest window.
    pub(super) fn own_interval(&self) -> Option<(u64, u64)> {
        let limit = &self.track.as_ref()?.limit;
        let interval = limit.quotas().iter().map(Quota::interval).max()?;
        Some((interval, limit.span()))
    }

    /// Nothing of it matters any more.
    pub(super) fn is_idle(&self, now: u64) -> bool {
        let tracked = self.track.as_ref().is_some_and(|track| {
            self.last + track.limit.span() > now || track.arrivals.iter().any(|&at| at > now)
        });
        let others = self.others.as_ref().is_some_and(|others| others.until > now);
        let paced = self.pace.as_ref().is_some_and(|pace| {
            pace.until > now || pace.ceiling.is_some() && self.last + DAY > now
        });
        self.blocked_until <= now && !tracked && !others && !paced
    }
}

impl Track {
    fn take(&mut self, now: u64) {
        for (quota, arrival) in self.limit.quotas().iter().zip(&mut self.arrivals) {
            // No later than what nothing of the past would be left of by then.
            let most = now + quota.span() + quota.tolerance();
            *arrival = ((*arrival).max(now) + quota.interval()).min(most);
        }
    }

    fn refund(&mut self, last: u64, later: u32) {
        for (quota, arrival) in self.limit.quotas().iter().zip(&mut self.arrivals) {
            let floor = last + u64::from(later) * quota.interval();
            *arrival = arrival.saturating_sub(quota.interval()).max((*arrival).min(floor));
        }
    }
}

impl Pace {
    fn interval_at(&self, now: u64) -> u64 {
        let hint = if now < self.until { self.interval } else { 0 };
        hint.max(self.ceiling.as_ref().map_or(0, |ceiling| ceiling.interval(now)))
    }

    fn ready_at(&self, last: u64, now: u64) -> u64 {
        let hint = last.saturating_add(self.interval).min(self.until);
        hint.max(self.ceiling.as_ref().map_or(0, |ceiling| ceiling.ready_at(last, now)))
    }
}

/// `value * by / of`, rounded up.
fn scaled(value: u64, by: u64, of: u64) -> u64 {
    let scaled = (u128::from(value) * u128::from(by)).div_ceil(u128::from(of.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
