//! A limit that nobody knows, found out: how many requests per window the platform lets through.
//!
//! Throttled, the rate falls to 0.7 of what was seen to go, for a tenth of the window, and then stays
//! a little below that (0.985). After 30 windows without a throttle it tries 1 % more; what goes well
//! is doubled, up to a quarter, so that a limit that was raised is found soon. One throttle is one
//! cut: requests that left before the last cut say nothing new.

/// What is kept of the rate that was seen, once the cut is over.
const KEPT: f64 = 0.985;
/// What is kept of it in the cut.
const CUT: f64 = 0.7;
/// Part of the window that a cut lasts.
const CUT_PART: u64 = 10;
/// Windows without a throttle before more is tried.
const QUIET: u64 = 30;
/// The first step up, and the largest.
const STEPS: (f64, f64) = (0.01, 0.25);
/// Below this part of what is allowed, use says nothing about the limit.
const BUSY: f64 = 0.9;
/// Slices per window, and slices kept: more than a window, since answers come late.
const PER_WINDOW: u64 = 10;
const SLICES: usize = 16;

/// What is known of one unknown limit; all rates are requests per window.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    window: u64,
    floor: f64,
    most: f64,
    /// What goes well.
    rate: f64,
    /// What is allowed in a cut.
    low: f64,
    step: f64,
    phase: Phase,
    /// When the phase is over.
    until: u64,
    epoch: u32,
    /// Requests by time, the newest slice first.
    counts: [u32; SLICES],
    /// The number of the newest slice.
    newest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Cut,
    Quiet,
    Probe,
}

impl Ceiling {
    /// Nothing is known yet: from `start` it looks for the limit at once.
    pub(super) fn new(window: u64, start: u32, floor: u32, most: u32, now: u64) -> Self {
        Self {
            window,
            floor: f64::from(floor),
            most: f64::from(most),
            rate: f64::from(start),
            low: f64::from(floor),
            step: STEPS.1,
            phase: Phase::Probe,
            until: now + window + window / 4,
            epoch: 0,
            counts: [0; SLICES],
            newest: 0,
        }
    }

    /// What was learnt before is a good beginning.
    pub(super) fn recall(&mut self, rate: f64, now: u64) {
        if rate.is_finite() {
            self.rate = rate.clamp(self.floor, self.most);
            self.step = STEPS.0;
            (self.phase, self.until) = (Phase::Quiet, now + self.window * QUIET);
        }
    }

    /// What goes well, requests per window.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// A request that leaves now belongs to this epoch.
    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    fn allowed(&self, now: u64) -> f64 {
        let rate = match self.phase {
            Phase::Cut if now < self.until => self.low,
            Phase::Cut | Phase::Quiet => self.rate,
            Phase::Probe => self.rate * (1.0 + self.step),
        };
        rate.clamp(self.floor, self.most)
    }

    /// From one request to the next.
    pub(super) fn interval(&self, now: u64) -> u64 {
        micros(f64_of(self.window) / self.allowed(now))
    }

    /// When the next may go after one at `last`.
    pub(super) fn ready_at(&self, last: u64, now: u64) -> u64 {
        let at = last + self.interval(now);
        if self.phase == Phase::Cut && at > self.until {
            return self.until.max(last + self.interval(self.until)).min(at);
        }
        at
    }

    /// A request leaves.
    pub(super) fn take(&mut self, now: u64) {
        self.proceed(now);
        self.roll(now);
        self.counts[0] = self.counts[0].saturating_add(1);
    }

    /// The request that was taken at `at` does not leave.
    pub(super) fn refund(&mut self, at: u64) {
        let back = usize::try_from(self.newest - (at / self.slice()).min(self.newest));
        if let Some(count) = back.ok().and_then(|back| self.counts.get_mut(back)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The platform refused the request that was taken at `at`. True if that is news.
    pub(super) fn throttle(&mut self, at: u64, epoch: u32, now: u64) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.roll(now);
        // Without the one that was refused.
        let seen = (self.seen(at, now) - 1.0).max(1.0);
        self.rate = (seen * KEPT).clamp(self.floor, self.most);
        self.low = seen * CUT;
        self.step = STEPS.0;
        (self.phase, self.until) = (Phase::Cut, now + self.window / CUT_PART);
        self.epoch = self.epoch.wrapping_add(1);
        true
    }

    fn proceed(&mut self, now: u64) {
        if now < self.until {
            return;
        }
        let busy = self.seen(now, now) >= self.allowed(now) * BUSY;
        match self.phase {
            Phase::Cut => self.rest(self.until),
            Phase::Quiet if busy && self.rate < self.most => self.probe(now),
            Phase::Quiet => {}
            Phase::Probe if busy => {
                self.rate = self.allowed(now);
                self.step = (self.step * 2.0).min(STEPS.1);
                if self.rate < self.most { self.probe(now) } else { self.rest(now) }
            }
            // Too little was sent to say anything: it goes on.
            Phase::Probe => self.probe(now),
        }
    }

    fn rest(&mut self, from: u64) {
        self.step = STEPS.0;
        (self.phase, self.until) = (Phase::Quiet, from + self.window * QUIET);
    }

    fn probe(&mut self, now: u64) {
        // A rate that is too high shows within a window.
        (self.phase, self.until) = (Phase::Probe, now + self.window + self.window / 4);
    }

    fn slice(&self) -> u64 {
        (self.window / PER_WINDOW).max(1)
    }

    fn roll(&mut self, now: u64) {
        let number = now / self.slice();
        let by = usize::try_from(number.saturating_sub(self.newest)).unwrap_or(SLICES).min(SLICES);
        self.counts.rotate_right(by % SLICES);
        self.counts[..by].fill(0);
        self.newest = self.newest.max(number);
    }

    /// Requests in the window that ends at `at`; a slice that lies in it by a part counts by that.
    fn seen(&self, at: u64, now: u64) -> f64 {
        let (slice, from) = (self.slice(), at.saturating_sub(self.window));
        let parts = self.counts.iter().zip(0..).map(|(&count, back): (_, u64)| {
            let Some(number) = self.newest.checked_sub(back) else { return 0.0 };
            let (start, end) = (number * slice, ((number + 1) * slice).min(now + 1));
            let inside = end.min(at + 1).saturating_sub(start.max(from));
            let whole = end.saturating_sub(start).max(1);
            f64::from(count) * (f64_of(inside) / f64_of(whole)).min(1.0)
        });
        parts.sum()
    }
}

const fn f64_of(micros: u64) -> f64 {
    micros as f64
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and rates are not negative")]
fn micros(time: f64) -> u64 {
    time.ceil() as u64
}
