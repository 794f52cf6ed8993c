//! What goes wrong in a run, and when: all of it follows from the seed.

use std::time::Duration;

use story_checker_sim::{
    Delivery, Effect, ProxyFault, ProxyId, Rule, SessionState, Timestamp as SimTime,
};

use crate::case::{Allowed, Case, PERIOD, PERIODS};
use crate::diary::millis;
use crate::dice::Dice;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// The whole run, in milliseconds.
const DAY: u64 = 24 * HOUR;
const PERIOD_MS: u64 = PERIOD.as_secs() * SECOND;

/// From one moment of the run to another, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Window {
    /// So long, somewhere in the day.
    const fn somewhere(dice: &mut Dice, least: u64, most: u64) -> Self {
        let from = dice.between(0, DAY);
        Self { from, until: from + dice.between(least, most) }
    }

    /// So long, from about the beginning of some period on, when there is work.
    const fn at_work(dice: &mut Dice, least: u64, most: u64) -> Self {
        let period = dice.between(1, PERIODS as u64) * PERIOD_MS;
        let from = period - MINUTE + dice.between(0, 2 * MINUTE);
        Self { from, until: from + dice.between(least, most) }
    }

    pub(crate) const fn holds(self, at: u64) -> bool {
        self.from <= at && at < self.until
    }
}

/// Something that happens to a worker, or is done by the operator or the platform.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// A worker dies without a word, and another starts in its place after so many milliseconds.
    Crash(usize, u64),
    /// A worker is stopped and another starts in its place after so many milliseconds.
    Restart(usize, u64),
    /// The operator gives new limits to the workers, which are started anew with them.
    Ours(Allowed),
    /// The platform has new limits.
    Theirs(Allowed),
    /// The platform thinks differently of a session.
    Session(usize, SessionState),
    /// The operator puts a proxy on the list, or takes it off.
    Proxy(usize, bool),
}

/// What goes wrong in one run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How the platform and the proxies behave.
    pub(crate) rules: Vec<Rule>,
    /// When the platform answers nobody.
    pub(crate) outages: Vec<Window>,
    /// When a proxy does not do what it is for.
    pub(crate) bad_proxies: Vec<(usize, Window)>,
    /// What happens, and when.
    pub(crate) happenings: Vec<(u64, Happening)>,
}

impl Plan {
    /// A run in which nothing goes wrong.
    pub(crate) const fn quiet() -> Self {
        Self {
            rules: Vec::new(),
            outages: Vec::new(),
            bad_proxies: Vec::new(),
            happenings: Vec::new(),
        }
    }

    /// The plan of this seed.
    pub(crate) fn of(seed: u64, case: Case, start: SimTime) -> Self {
        let mut plan = Self::quiet();
        let dice = |purpose| Dice::new(seed, purpose);
        // Of two rules for one request the first counts: what is larger goes before.
        plan.outages(&mut dice(1), start);
        plan.proxies(&mut dice(2), case, start);
        plan.sessions(&mut dice(3), case);
        plan.workers(&mut dice(4));
        plan.limits(&mut dice(5), case);
        plan.noise(&mut dice(6), start);
        plan
    }

    /// Minutes in which the platform is out of order.
    fn outages(&mut self, dice: &mut Dice, start: SimTime) {
        for number in 0..dice.between(2, 6) {
            let window = match number % 2 {
                0 => Window::at_work(dice, MINUTE, 10 * MINUTE),
                _ => Window::somewhere(dice, MINUTE, 10 * MINUTE),
            };
            let effect = match dice.between(0, 6) {
                0 => Effect::Row("W20".into()),
                1 => Effect::Row("W20-502".into()),
                2 => Effect::Row("W20-503".into()),
                3 => Effect::Row("W20-504".into()),
                4 => Effect::Delivery(Delivery::Reset),
                _ => Effect::Delivery(Delivery::Hang),
            };
            self.rules.push(during(Rule::new(effect).with_name("outage"), window, start));
            self.outages.push(window);
        }
    }

    /// Proxies that are banned, dead or slow for a while; the operator takes some of them off the
    /// list meanwhile, and now and then one that is good.
    fn proxies(&mut self, dice: &mut Dice, case: Case, start: SimTime) {
        for proxy in 0..case.proxies() {
            if dice.percent(12) {
                let (until, listed) = (dice.between(10 * MINUTE, HOUR), dice.between(0, DAY));
                self.happenings.push((listed, Happening::Proxy(proxy, false)));
                self.happenings.push((listed + until, Happening::Proxy(proxy, true)));
            }
            if !dice.percent(25) {
                continue;
            }
            let window = Window::somewhere(dice, 2 * MINUTE, 2 * HOUR);
            let effect = match dice.between(0, 13) {
                0 => Effect::Row("W14-sentry".into()),
                1 => Effect::Row("W14-blocked".into()),
                2 => Effect::Row("W2".into()),
                3 => Effect::Proxy(ProxyFault::Login),
                4 => Effect::Proxy(ProxyFault::Refuse),
                5 => Effect::Proxy(ProxyFault::Hang),
                6 => Effect::Proxy(ProxyFault::Tls),
                7 => Effect::Proxy(ProxyFault::Reset { bytes: 40 }),
                8 => Effect::Proxy(ProxyFault::Wall),
                9 => Effect::Proxy(ProxyFault::Cloudflare),
                10 => Effect::Proxy(ProxyFault::Foreign),
                11 => Effect::Proxy(ProxyFault::Stale),
                _ => Effect::Proxy(ProxyFault::Slow { ms: dice.between(SECOND, 20 * SECOND) }),
            };
            let id = ProxyId::new(u32::try_from(proxy).unwrap_or(u32::MAX));
            // A part of them fail only now and then.
            let percent = dice.pick([100.0, 100.0, 40.0]);
            let rule = Rule::new(effect).with_proxy(id).with_percent(percent);
            self.rules.push(during(rule, window, start));
            self.bad_proxies.push((proxy, window));
            if window.until - window.from > 40 * MINUTE {
                let noticed = window.from + dice.between(5 * MINUTE, 30 * MINUTE);
                self.happenings.push((noticed, Happening::Proxy(proxy, false)));
                self.happenings.push((window.until, Happening::Proxy(proxy, true)));
            }
        }
    }

    /// Sessions that are logged out, challenged, suspended or blocked.
    fn sessions(&mut self, dice: &mut Dice, case: Case) {
        let share = match case {
            Case::Small => 50,
            Case::Large => 30,
        };
        for session in 0..case.sessions() {
            if dice.percent(share) {
                let state = dice.pick([
                    SessionState::LoggedOut,
                    SessionState::LoggedOut,
                    SessionState::Challenged,
                    SessionState::Challenged,
                    SessionState::Suspended,
                ]);
                self.happenings.push((dice.between(0, DAY), Happening::Session(session, state)));
            }
        }
    }

    /// Crashes and restarts of workers, most of them in the middle of the work.
    fn workers(&mut self, dice: &mut Dice) {
        for number in 0..dice.between(4, 12) {
            let at = match number % 4 {
                0 => dice.between(0, DAY),
                _ => dice.between(0, PERIODS as u64) * PERIOD_MS + dice.between(200, MINUTE),
            };
            let (worker, pause) = (dice.pick([0, 1]), dice.between(0, 2 * MINUTE));
            let happening = match number % 3 {
                0 => Happening::Restart(worker, pause),
                _ => Happening::Crash(worker, pause),
            };
            self.happenings.push((at, happening));
        }
    }

    /// Limits that change: the operator knows, and is first to go slower and last to go faster.
    fn limits(&mut self, dice: &mut Dice, case: Case) {
        let mut before = case.allowed();
        let window = millis(before.session.window);
        for slot in 0..3 {
            let at = slot * 8 * HOUR + dice.between(HOUR, 7 * HOUR);
            let after = before.with_session(dice.pick([40, 60, 75, 100]));
            let (ours, theirs) = if after.session.requests < before.session.requests {
                (at, at + window + 30 * SECOND)
            } else {
                (at + SECOND, at)
            };
            self.happenings.push((ours, Happening::Ours(after)));
            self.happenings.push((theirs, Happening::Theirs(after)));
            before = after;
        }
    }

    /// What always goes wrong now and then: every fault there is, and answers that drip.
    fn noise(&mut self, dice: &mut Dice, start: SimTime) {
        let drip = Delivery::Drip { piece: 40, pause_ms: dice.between(50, 1_500) };
        self.rules.push(Rule::new(Effect::Delivery(drip)).with_percent(0.3));
        for _ in 0..2 {
            let window = Window::somewhere(dice, 10 * MINUTE, 2 * HOUR);
            let delay = Rule::new(Effect::DelayMs(dice.between(500, 6_000)));
            self.rules.push(during(delay, window, start));
        }
        self.rules.push(Rule::row("W1-retry-after").with_percent(0.2));
        self.rules.push(Rule::mix(dice.pick([0.5, 1.0, 2.0])));
    }
}

fn during(rule: Rule, window: Window, start: SimTime) -> Rule {
    let at = |ms| Some(start.saturating_add(Duration::from_millis(ms)));
    rule.with_window(at(window.from), at(window.until))
}
