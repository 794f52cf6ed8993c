//! Who sends how much: sessions, addresses, their limits and what is in flight.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accounts::{VIEWER_BASE, viewer_name};
use crate::config::{Limit, SimConfig};
use crate::hash;
use crate::request::Address;
use crate::time::Timestamp;

/// What a session is worth to the platform.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionState {
    /// Its actions are blocked for a while; every request is refused.
    Blocked,
    /// A human must prove to be one first; every request is refused.
    Challenged,
    /// Good.
    LoggedIn,
    /// No longer known; most answers look like answers all the same.
    LoggedOut,
    /// The account behind it is suspended; every request is refused.
    Suspended,
}

impl SessionState {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"blocked" => Some(Self::Blocked),
            b"challenged" => Some(Self::Challenged),
            b"logged_in" => Some(Self::LoggedIn),
            b"logged_out" => Some(Self::LoggedOut),
            b"suspended" => Some(Self::Suspended),
            _ => None,
        }
    }
}

/// A request of a session that is still being answered; dropping it ends that.
///
/// Two of them for one session at once are an overlap. Hold it until the whole answer has been
/// handed to the client, and no longer.
#[derive(Debug, Default)]
#[must_use = "dropping it says that the answer has been handed over"]
pub struct Flight(Option<Arc<AtomicU32>>);

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.0 {
            in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What the platform noticed about a request when it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// How many requests arrived before: of this session, or of all without a session.
    pub(crate) ordinal: u64,
    /// The state of the session, if it is a known one.
    pub(crate) state: Option<SessionState>,
    /// Over a limit; how long until a request would be let through.
    pub(crate) wait: Option<Duration>,
    pub(crate) overlap: bool,
    pub(crate) address_changed: bool,
    /// The session had been told that a human is wanted, and still is.
    pub(crate) after_challenge: bool,
    /// The session had been told that its actions are blocked, and they still are.
    pub(crate) after_block: bool,
    pub(crate) flight: Flight,
}

/// Everything that changes when a request arrives.
#[derive(Debug)]
pub(crate) struct Traffic {
    session_limit: Option<Limit>,
    address_limit: Option<Limit>,
    token: String,
    sessions: Vec<Session>,
    addresses: HashMap<Address, Window>,
    /// At this many addresses, those that are quiet are forgotten.
    purge_at: usize,
    anonymous: u64,
}

#[derive(Debug)]
struct Session {
    state: SessionState,
    /// Changes of state from a moment on, in the order of time.
    changes: Vec<(Timestamp, SessionState)>,
    arrivals: u64,
    last_address: Option<Address>,
    /// The refusal that the session was last told of.
    told: Option<SessionState>,
    window: Window,
    in_flight: Arc<AtomicU32>,
}

impl Session {
    fn state(&self, at: Timestamp) -> SessionState {
        let changes = self.changes.iter().rev();
        changes.copied().find(|(from, _)| *from <= at).map_or(self.state, |(_, state)| state)
    }
}

impl Traffic {
    const PURGE_AT: usize = 1024;

    pub(crate) fn new(config: &SimConfig) -> Self {
        let session = || Session {
            state: SessionState::LoggedIn,
            changes: Vec::new(),
            arrivals: 0,
            last_address: None,
            told: None,
            window: Window::default(),
            in_flight: Arc::default(),
        };
        Self {
            session_limit: config.session_limit,
            address_limit: config.address_limit,
            token: format!("sim{:08x}", hash::pair(config.seed, 10) >> 32),
            sessions: (0..config.sessions).map(|_| session()).collect(),
            addresses: HashMap::new(),
            purge_at: Self::PURGE_AT,
            anonymous: 0,
        }
    }

    /// Other limits from now on; what was let through before still counts.
    pub(crate) fn set_limits(&mut self, session: Option<Limit>, address: Option<Limit>) {
        self.session_limit = session;
        self.address_limit = address;
    }

    /// The cookies of a session.
    pub(crate) fn credentials(&self, index: usize) -> Option<[(&'static str, String); 3]> {
        if index >= self.sessions.len() {
            return None;
        }
        let user = VIEWER_BASE + index as u64;
        Some([
            ("sessionid", format!("{user}%3A{}%3A{index}", self.token)),
            ("ds_user_id", user.to_string()),
            ("csrftoken", format!("{:016x}", hash::bytes(index as u64, self.token.as_bytes()))),
        ])
    }

    pub(crate) fn username(index: usize) -> String {
        viewer_name(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The session behind a decoded `sessionid`.
    pub(crate) fn find(&self, sessionid: &[u8]) -> Option<usize> {
        let mut parts = sessionid.split(|&byte| byte == b':');
        let (user, token, number) = (parts.next()?, parts.next()?, parts.next()?);
        let index = usize::try_from(decimal(number)?).ok()?;
        let known = parts.next().is_none()
            && token == self.token.as_bytes()
            && index < self.sessions.len()
            && decimal(user)? == VIEWER_BASE + index as u64;
        known.then_some(index)
    }

    pub(crate) fn state(&self, index: usize, at: Timestamp) -> Option<SessionState> {
        self.sessions.get(index).map(|session| session.state(at))
    }

    /// Switches a session: for good, or from a moment on, whatever was to come after that. Says whether there is such a session.
    pub(crate) fn set_state(
        &mut self,
        index: usize,
        state: SessionState,
        from: Option<Timestamp>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(index) else { return false };
        match from {
            Some(from) => {
                session.changes.retain(|(other, _)| *other < from);
                session.changes.push((from, state));
            }
            None => {
                session.state = state;
                session.changes.clear();
            }
        }
        true
    }

    /// A session gets into another state by an answer that tells it so; what was to come later still
    /// comes.
    pub(crate) fn fall(
        &mut self,
        index: usize,
        state: SessionState,
        now: Timestamp,
        lasts: Option<Duration>,
    ) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let back = session.state(now);
        session.changes.push((now, state));
        if let Some(lasts) = lasts {
            session.changes.push((now.saturating_add(lasts), back));
        }
        session.changes.sort_by_key(|(from, _)| *from);
        session.told = Some(state);
    }

    pub(crate) fn arrive(
        &mut self,
        index: Option<usize>,
        address: Address,
        now: Timestamp,
    ) -> Arrival {
        let session = index.and_then(|index| self.sessions.get_mut(index));
        let mut window = self.address_limit.map(|limit| {
            if self.addresses.len() >= self.purge_at {
                self.addresses.retain(|_, window| !window.is_quiet(limit, now));
                self.purge_at = Self::PURGE_AT.max(self.addresses.len() * 2);
            }
            (limit, self.addresses.entry(address).or_default())
        });
        let mut wait = window.as_mut().and_then(|(limit, window)| window.wait(*limit, now));
        let Some(session) = session else {
            let ordinal = self.anonymous;
            self.anonymous += 1;
            if let (None, Some((_, window))) = (wait, window) {
                window.push(now);
            }
            return Arrival {
                ordinal,
                state: None,
                wait,
                overlap: false,
                address_changed: false,
                after_challenge: false,
                after_block: false,
                flight: Flight::default(),
            };
        };
        if let Some(limit) = self.session_limit {
            wait = wait.max(session.window.wait(limit, now));
        }
        if wait.is_none() {
            if self.session_limit.is_some() {
                session.window.push(now);
            }
            if let Some((_, window)) = window {
                window.push(now);
            }
        }
        let state = session.state(now);
        let told = session.told.filter(|told| *told == state);
        let refused = matches!(
            state,
            SessionState::Blocked | SessionState::Challenged | SessionState::Suspended
        );
        session.told = told.or_else(|| (refused && wait.is_none()).then_some(state));
        let ordinal = session.arrivals;
        session.arrivals += 1;
        let last_address = session.last_address.replace(address);
        Arrival {
            ordinal,
            state: Some(state),
            wait,
            overlap: session.in_flight.fetch_add(1, Ordering::Relaxed) > 0,
            address_changed: last_address.is_some_and(|last| last != address),
            after_challenge: matches!(
                told,
                Some(SessionState::Challenged | SessionState::Suspended)
            ),
            after_block: told == Some(SessionState::Blocked),
            flight: Flight(Some(Arc::clone(&session.in_flight))),
        }
    }
}

/// A number written the one way that numbers are written here.
fn decimal(text: &[u8]) -> Option<u64> {
    let plain = text == b"0" || matches!(text.first(), Some(b'1'..=b'9'));
    if plain { str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// The arrival times that were let through and still count: never more than the limit allows.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Timestamp>);

impl Window {
    /// How long until one more would be let through, if not now.
    pub(crate) fn wait(&mut self, limit: Limit, now: Timestamp) -> Option<Duration> {
        while self.0.front().is_some_and(|first| first.saturating_add(limit.window) <= now) {
            self.0.pop_front();
        }
        let full = self.0.len() as u64 >= u64::from(limit.requests.get());
        self.0
            .front()
            .filter(|_| full)
            .map(|first| first.saturating_add(limit.window).saturating_since(now))
    }

    pub(crate) fn push(&mut self, now: Timestamp) {
        self.0.push_back(now);
    }

    /// How many counted when somebody last asked how long to wait.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn is_quiet(&self, limit: Limit, now: Timestamp) -> bool {
        self.0.back().is_none_or(|last| last.saturating_add(limit.window) <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::request::ProxyId;

    fn address(number: u32) -> Address {
        Address::Proxy(ProxyId::new(number))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_000_000 + millis)
    }

    fn limit(requests: u32, secs: u64) -> Limit {
        Limit::new(NonZeroU32::new(requests).unwrap(), Duration::from_secs(secs))
    }

    #[test]
    fn the_window_slides_to_the_millisecond() {
        let config = SimConfig::new(1).with_session_limit(limit(3, 1));
        let mut traffic = Traffic::new(&config);
        let mut wait = |millis| traffic.arrive(Some(0), address(0), at(millis)).wait;
        assert_eq!([wait(0), wait(400), wait(900)], [None, None, None]);
        assert_eq!(wait(999), Some(Duration::from_millis(1)));
        // What was refused does not count, so the place of the first is free again.
        assert_eq!(wait(1000), None);
        assert_eq!(wait(1399), Some(Duration::from_millis(1)));
        assert_eq!(wait(1400), None);
    }

    #[test]
    fn one_address_carries_several_sessions() {
        let config = SimConfig::new(1).with_sessions(2).with_address_limit(limit(2, 10));
        let mut traffic = Traffic::new(&config);
        let mut wait = |session, proxy| traffic.arrive(session, address(proxy), at(0)).wait;
        assert_eq!(wait(Some(0), 0), None);
        assert_eq!(wait(Some(1), 0), None);
        assert_eq!(wait(None, 0), Some(Duration::from_secs(10)));
        assert_eq!(wait(None, 1), None);
    }

    #[test]
    fn quiet_addresses_are_forgotten() {
        let config = SimConfig::new(1).with_address_limit(limit(2, 1));
        let mut traffic = Traffic::new(&config);
        for number in 0..100_000 {
            let _ = traffic.arrive(None, address(number), at(u64::from(number)));
        }
        assert!(traffic.addresses.len() <= 2 * 1024, "{}", traffic.addresses.len());
    }

    #[test]
    fn only_the_exact_sessionid_is_a_session() {
        let traffic = Traffic::new(&SimConfig::new(5).with_sessions(12));
        let [(_, id), ..] = traffic.credentials(11).unwrap();
        let decoded = id.replace("%3A", ":");
        assert_eq!(traffic.find(decoded.as_bytes()), Some(11));
        for wrong in [
            format!("{decoded}:"),
            decoded.replace(":11", ":011"),
            decoded.replace(":11", ":+11"),
            decoded.replace(":11", ":"),
            decoded.replace(":11", ":12"),
            decoded.replace("7000000011", "7000000010"),
            decoded.replace(":sim", ":sin"),
            format!("+{decoded}"),
            String::new(),
        ] {
            assert_eq!(traffic.find(wrong.as_bytes()), None, "{wrong}");
        }
        assert!(traffic.credentials(12).is_none());
        let other_seed = Traffic::new(&SimConfig::new(6).with_sessions(12));
        assert_eq!(other_seed.find(decoded.as_bytes()), None);
    }

    #[test]
    fn a_state_can_lie_ahead() {
        let mut traffic = Traffic::new(&SimConfig::new(1));
        assert!(traffic.set_state(0, SessionState::LoggedOut, Some(at(100))));
        assert_eq!(traffic.state(0, at(99)), Some(SessionState::LoggedIn));
        assert_eq!(traffic.state(0, at(100)), Some(SessionState::LoggedOut));
        assert!(traffic.set_state(0, SessionState::Challenged, Some(at(200))));
        assert_eq!(traffic.state(0, at(99)), Some(SessionState::LoggedIn));
        assert_eq!(traffic.state(0, at(150)), Some(SessionState::LoggedOut));
        assert_eq!(traffic.state(0, at(200)), Some(SessionState::Challenged));
        assert!(traffic.set_state(0, SessionState::LoggedIn, None));
        assert_eq!(traffic.state(0, at(200)), Some(SessionState::LoggedIn));
        assert!(!traffic.set_state(1, SessionState::LoggedIn, None));
    }

    #[test]
    fn overlap_address_change_and_deafness_are_noticed() {
        let mut traffic = Traffic::new(&SimConfig::new(1));
        let first = traffic.arrive(Some(0), address(0), at(0));
        assert!(!first.overlap && !first.address_changed);
        let second = traffic.arrive(Some(0), address(1), at(0));
        assert!(second.overlap && second.address_changed);
        drop((first, second));
        traffic.set_state(0, SessionState::Challenged, None);
        let told = traffic.arrive(Some(0), address(1), at(1));
        assert!(!told.overlap && !told.address_changed && !told.after_challenge);
        drop(told);
        assert!(traffic.arrive(Some(0), address(1), at(2)).after_challenge);
        traffic.set_state(0, SessionState::LoggedIn, None);
        assert!(!traffic.arrive(Some(0), address(1), at(3)).after_challenge);
    }
}
