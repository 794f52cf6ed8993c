//! The platform: one request in, one planned answer out.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::accounts::{AccountScript, Accounts, Truth, VIEWER_BASE};
use crate::audit::{Audit, AuditRecord, AuditSummary, RequestFilter, Violations};
use crate::config::{ConfigError, Latency, SimConfig};
use crate::hash;
use crate::render;
use crate::request::{Peer, Request, Route};
use crate::time::{Timestamp, millis};
use crate::traffic::{Arrival, Flight, SessionState, Traffic};

/// The most reels that one request may ask for.
const MAX_REELS: usize = 50;
/// Every so many requests a session gets a fresh routing cookie.
const COOKIE_EVERY: u64 = 64;
/// The last second that the `date` header can say: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The answer to one request, and when to give it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// How long the platform takes to answer.
    pub delay: Duration,
    /// The status.
    pub status: StatusCode,
    /// The headers, `date` among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Marks the session as busy: hold it through the delay and until the body was handed over, then
    /// drop it.
    pub flight: Flight,
}

/// The simulated platform. It keeps no clock and opens no sockets: the caller says what time it is.
///
/// The same seed, requests and times give the same answers.
#[derive(Debug)]
pub struct Platform {
    config: SimConfig,
    accounts: Accounts,
    traffic: Mutex<Traffic>,
    audit: Mutex<Audit>,
    /// The last `date` header: it stays the same for a second.
    date: Mutex<(u64, HeaderValue)>,
}

/// Status, content type and body of an answer.
type Answer = (StatusCode, HeaderValue, Cow<'static, str>);

impl Platform {
    /// Makes a platform.
    ///
    /// # Errors
    ///
    /// Settings that contradict each other or are out of range.
    pub fn new(config: SimConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            accounts: Accounts::new(config.seed, config.sessions, config.population.clone()),
            traffic: Mutex::new(Traffic::new(&config)),
            audit: Mutex::new(Audit::new(config.audit_capacity)),
            date: Mutex::new((0, date(0))),
            config,
        })
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// Answers a request to the platform itself, and audits it.
    pub(crate) fn serve(&self, request: &Request<'_>, now: Timestamp, peer: &Peer) -> Plan {
        let route = Route::of(request);
        let sessionid = request.cookie("sessionid");
        let (session, arrival) = {
            let mut traffic = self.traffic();
            let session = sessionid.and_then(|id| traffic.find(&id));
            (session, traffic.arrive(session, peer.address(), now))
        };
        let mut plan = self.plan(self.answer(request, route, session, &arrival, now), now);
        self.audit_log().record(
            AuditRecord {
                time: now,
                route,
                session: session.and_then(|index| u32::try_from(index).ok()),
                proxy: peer.proxy,
                status: plan.status.as_u16(),
            },
            Violations {
                limit: arrival.wait.is_some(),
                overlap: arrival.overlap,
                address_changed: arrival.address_changed,
                direct: self.config.expect_proxy && peer.proxy.is_none(),
                after_challenge: arrival.after_challenge,
            },
        );
        if let Some(wait) = arrival.wait
            && self.config.retry_after
        {
            let secs = millis(wait).div_ceil(1000);
            plan.headers.insert(header::RETRY_AFTER, secs.into());
        }
        let draw = hash::pair(
            hash::pair(self.config.seed, 40),
            hash::pair(session.map_or(u64::MAX, |index| index as u64), arrival.ordinal),
        );
        if session.is_some() && arrival.ordinal.is_multiple_of(COOKIE_EVERY) {
            let cookie =
                format!("rur=RVA.{draw:016x}; Domain=.instagram.com; Path=/; HttpOnly; Secure");
            insert(&mut plan.headers, "set-cookie", cookie);
            if arrival.ordinal == 0 {
                let claim = format!("hmac.AR{:016x}{draw:016x}", hash::mix(draw));
                insert(&mut plan.headers, "x-ig-set-www-claim", claim);
            }
        }
        plan.delay = delay(self.config.latency, draw);
        plan.flight = arrival.flight;
        plan
    }

    /// What is true about a name at a moment. It leaves no trace, and a name that is not valid is
    /// not found.
    pub fn truth(&self, name: &str, at: Timestamp) -> Truth {
        self.truth_with_id(name.as_bytes(), at).1
    }

    /// Makes the ids of names known to the reels endpoint before anybody asked for the profiles, and
    /// returns them; `None` for a name that is not valid.
    pub fn register<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Option<u64>> {
        names.into_iter().map(|name| self.accounts.register(name.as_bytes())).collect()
    }

    /// Overrides what an account is and posts. Says whether the name is valid; if not, nothing
    /// changes.
    pub fn set_account(&self, name: &str, script: AccountScript) -> bool {
        self.script(name.as_bytes(), Some(script))
    }

    /// Gives an overridden account back to the seed. Says whether the name is valid.
    pub fn reset_account(&self, name: &str) -> bool {
        self.script(name.as_bytes(), None)
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.config.sessions
    }

    /// The cookies of a session as (name, value), `sessionid` first, if there is such a session.
    pub fn session_credentials(&self, index: usize) -> Option<[(&'static str, String); 3]> {
        self.traffic().credentials(index)
    }

    /// The username of a session, if there is such a session.
    pub fn session_username(&self, index: usize) -> Option<String> {
        (index < self.config.sessions).then(|| Traffic::username(index))
    }

    /// The state of a session at a moment, if there is such a session.
    pub fn session_state(&self, index: usize, at: Timestamp) -> Option<SessionState> {
        self.traffic().state(index, at)
    }

    /// Switches a session for good, or from a moment on: then what was to come before that moment
    /// still comes. Says whether there is such a session.
    pub fn set_session_state(
        &self,
        index: usize,
        state: SessionState,
        from: Option<Timestamp>,
    ) -> bool {
        self.traffic().set_state(index, state, from)
    }

    /// The counters of the audit.
    pub fn audit(&self) -> AuditSummary {
        self.audit_log().summary()
    }

    /// The latest `limit` requests that the filter keeps, oldest first.
    pub fn requests(&self, filter: &RequestFilter, limit: usize) -> Vec<AuditRecord> {
        self.audit_log().requests(filter, limit)
    }

    /// Forgets everything that was counted and recorded. Limits and sessions stay as they are.
    pub fn reset_audit(&self) {
        self.audit_log().reset();
    }

    pub(crate) fn truth_with_id(&self, name: &[u8], at: Timestamp) -> (Option<u64>, Truth) {
        self.accounts.truth(name, at)
    }

    pub(crate) fn script(&self, name: &[u8], script: Option<AccountScript>) -> bool {
        // A scripted account can be asked for by id at once.
        self.accounts.register(name).is_some() && self.accounts.set(name, script)
    }

    fn answer(
        &self,
        request: &Request<'_>,
        route: Route,
        session: Option<usize>,
        arrival: &Arrival,
        now: Timestamp,
    ) -> Answer {
        let json = |status, body: &'static str| (status, JSON, Cow::Borrowed(body));
        if arrival.wait.is_some() {
            return json(StatusCode::TOO_MANY_REQUESTS, "");
        }
        if arrival.state == Some(SessionState::Challenged) {
            return json(StatusCode::BAD_REQUEST, render::CHECKPOINT_REQUIRED);
        }
        if route == Route::Other {
            return (StatusCode::NOT_FOUND, HTML, render::NOT_FOUND_PAGE.into());
        }
        if !request.has_header("x-ig-app-id") {
            return json(StatusCode::BAD_REQUEST, render::USERAGENT_MISMATCH);
        }
        let viewer = session.filter(|_| arrival.state == Some(SessionState::LoggedIn));
        match (route, viewer) {
            (Route::Profile, None) => json(StatusCode::UNAUTHORIZED, render::LOGIN_REQUIRED),
            (Route::Profile, Some(_)) => self.profile(request, now),
            (Route::Reels, viewer) => self.reels(request, viewer.is_some(), now),
            (_, None) => json(StatusCode::OK, render::NO_VIEWER),
            (_, Some(index)) => {
                let body = render::viewer(VIEWER_BASE + index as u64, &Traffic::username(index));
                (StatusCode::OK, JSON, body.into())
            }
        }
    }

    fn profile(&self, request: &Request<'_>, now: Timestamp) -> Answer {
        let name = request.params("username").next().unwrap_or_default();
        match self.accounts.by_name(&name, now).filter(|account| account.exists()) {
            Some(account) => (StatusCode::OK, JSON, render::profile(&account).into()),
            None => (StatusCode::NOT_FOUND, JSON, render::USER_NOT_FOUND.into()),
        }
    }

    fn reels(&self, request: &Request<'_>, logged_in: bool, now: Timestamp) -> Answer {
        let mut ids: Vec<u64> = Vec::with_capacity(1);
        for (index, id) in request.params("reel_ids").enumerate() {
            if index == MAX_REELS {
                return (StatusCode::BAD_REQUEST, JSON, render::INVALID_REEL_LIST.into());
            }
            // A name where an id belongs is nobody, as on the real platform.
            if let Some(id) = str::from_utf8(&id).ok().and_then(|id| id.parse().ok())
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
        if !logged_in {
            return (StatusCode::OK, JSON, render::EMPTY_REELS.into());
        }
        let accounts: Vec<_> =
            ids.into_iter().filter_map(|id| self.accounts.by_id(id, now)).collect();
        (StatusCode::OK, JSON, render::reels(accounts.iter(), self.config.pad).into())
    }

    /// A plan for a JSON answer without delay.
    pub(crate) fn plan_json(&self, status: StatusCode, body: String, now: Timestamp) -> Plan {
        self.plan((status, JSON, body.into()), now)
    }

    fn plan(&self, (status, content_type, body): Answer, now: Timestamp) -> Plan {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::DATE, self.date(now));
        let body = match body {
            Cow::Borrowed(body) => Bytes::from_static(body.as_bytes()),
            Cow::Owned(body) => body.into(),
        };
        Plan { delay: Duration::ZERO, status, headers, body, flight: Flight::default() }
    }

    fn date(&self, now: Timestamp) -> HeaderValue {
        let second = now.unix_secs().min(LAST_SECOND);
        let mut cached = lock(&self.date);
        if cached.0 != second {
            *cached = (second, date(second));
        }
        cached.1.clone()
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        lock(&self.traffic)
    }

    fn audit_log(&self) -> MutexGuard<'_, Audit> {
        lock(&self.audit)
    }
}

/// Every critical section leaves its data whole, so a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn date(second: u64) -> HeaderValue {
    let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
    let text = httpdate::fmt_http_date(time);
    HeaderValue::try_from(text).expect("a date is plain text")
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: String) {
    headers.insert(name, HeaderValue::try_from(value).expect("hex digits are plain text"));
}

fn delay(latency: Latency, draw: u64) -> Duration {
    let spread = u64::try_from((latency.max - latency.min).as_nanos()).unwrap_or(u64::MAX);
    latency.min + Duration::from_nanos(hash::mix(draw) % spread.saturating_add(1))
}
