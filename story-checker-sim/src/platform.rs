//! The platform: one request in, one planned answer out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::accounts::{AccountScript, Accounts, Truth};
use crate::answer::{Answer, Asked};
use crate::audit::{Audit, AuditRecord, AuditSummary, RequestFilter, Violations};
use crate::config::{ConfigError, Latency, Limit, SimConfig};
use crate::delivery::Delivery;
use crate::graph::Graph;
use crate::hash;
use crate::request::{Api, Peer, Request, Route};
use crate::scenario::{Facts, Outcome, Rules};
use crate::time::{Timestamp, millis};
use crate::traffic::{Arrival, Flight, SessionState, Traffic};
use crate::web;
use crate::x::X;

/// Every so many requests a session gets a fresh routing cookie.
const COOKIE_EVERY: u64 = 64;
/// How long actions stay blocked.
const BLOCK: Duration = Duration::from_secs(86_400);
/// The last second that the `date` header can say: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

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
    /// The body, whole and not packed.
    pub body: Bytes,
    /// How the body is handed over, if at all.
    pub delivery: Delivery,
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
    rules: Mutex<Rules>,
    graph: Graph,
    x: X,
    /// The last `date` header: it stays the same for a second.
    date: Mutex<(u64, HeaderValue)>,
}

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
            rules: Mutex::new(Rules::new(config.seed)),
            graph: Graph::new(&config),
            x: X::new(&config),
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
        let (api, route) = (Api::of(request), Route::of(request));
        let sessionid = request.session_id().filter(|_| api == Api::Web);
        let (session, arrival) = {
            let mut traffic = self.traffic();
            let session = sessionid.and_then(|id| traffic.find(&id));
            (session, traffic.arrive(session, peer.address(), now))
        };
        let asking = match api {
            Api::Web => session,
            Api::Graph => self.graph.token_of(request),
            Api::X => self.x.token_of(request),
        };
        let number = asking.and_then(|index| u32::try_from(index).ok());
        let draw = hash::pair(
            hash::pair(self.config.seed, 40),
            hash::pair(session.map_or(u64::MAX, |index| index as u64), arrival.ordinal),
        );
        let facts = Facts { request, api, route, session: number, proxy: peer.proxy, now, draw };
        let outcome = self.outcome(&facts, &arrival);
        let asked = Asked {
            request,
            route,
            now,
            accounts: &self.accounts,
            form: outcome.form,
            form_targets: &outcome.form_targets,
        };
        let answer = self.answer(api, &asked, session, &arrival, &outcome);
        let (over_limit, after_challenge) = (answer.over_limit, answer.after_challenge);
        let mut plan = self.plan(answer, now);
        dress(&mut plan, &outcome);
        {
            let mut audit = self.audit_log();
            audit.record(
                AuditRecord {
                    time: now,
                    route,
                    session: number,
                    proxy: peer.proxy,
                    status: plan.status.as_u16(),
                },
                Violations {
                    limit: over_limit,
                    overlap: arrival.overlap,
                    address_changed: arrival.address_changed,
                    direct: self.config.expect_proxy && peer.proxy.is_none(),
                    after_challenge: arrival.after_challenge || after_challenge,
                    after_block: arrival.after_block,
                },
            );
            outcome.labels.iter().for_each(|label| audit.count_fault(label));
        }
        if let Some(wait) = arrival.wait
            && self.config.retry_after
        {
            let secs = millis(wait).div_ceil(1000);
            plan.headers.insert(header::RETRY_AFTER, secs.into());
        }
        if session.is_some() && arrival.ordinal.is_multiple_of(COOKIE_EVERY) {
            let cookie =
                format!("rur=RVA.{draw:016x}; Domain=.instagram.com; Path=/; HttpOnly; Secure");
            add(&mut plan.headers, "set-cookie", cookie);
            if arrival.ordinal == 0 {
                let claim = format!("hmac.AR{:016x}{draw:016x}", hash::mix(draw));
                add(&mut plan.headers, "x-ig-set-www-claim", claim);
            }
        }
        plan.delay = delay(self.config.latency, draw) + Duration::from_millis(outcome.delay_ms);
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

    /// Changes the limits per session and per address from now on. What was let through before still
    /// counts, as far back as the shorter one of the old window and the new reaches.
    pub fn set_limits(&self, session: Option<Limit>, address: Option<Limit>) {
        self.traffic().set_limits(session, address);
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

    /// What the rules do to a request that nothing else refuses.
    fn outcome(&self, facts: &Facts<'_>, arrival: &Arrival) -> Outcome {
        let open =
            matches!(arrival.state, None | Some(SessionState::LoggedIn | SessionState::LoggedOut));
        if arrival.wait.is_some() || !open {
            return Outcome::default();
        }
        self.rules().apply(facts)
    }

    fn answer(
        &self,
        api: Api,
        asked: &Asked<'_>,
        session: Option<usize>,
        arrival: &Arrival,
        outcome: &Outcome,
    ) -> Answer {
        if arrival.wait.is_some() {
            return Answer::json(StatusCode::TOO_MANY_REQUESTS, "").with_over_limit();
        }
        let told = outcome.row.and_then(|row| consequence(row.id));
        let fall = outcome.session.map(|state| (state, None)).or(told);
        if let (Some(index), Some((state, lasts))) = (session, fall) {
            self.traffic().fall(index, state, asked.now, lasts);
        }
        if let Some(row) = outcome.row {
            return match api {
                Api::Web => Answer::row(row),
                Api::Graph => self.graph.inject(asked, row),
                Api::X => self.x.inject(asked, row),
            };
        }
        let state = outcome.session.filter(|_| session.is_some()).or(arrival.state);
        match api {
            Api::Web => web::answer(asked, session, state, self.config.pad),
            Api::Graph => self.graph.answer(asked),
            Api::X => self.x.answer(asked),
        }
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn x(&self) -> &X {
        &self.x
    }

    /// A plan for a JSON answer without delay.
    pub(crate) fn plan_json(&self, status: StatusCode, body: String, now: Timestamp) -> Plan {
        self.plan(Answer::json(status, body), now)
    }

    pub(crate) fn plan(&self, answer: Answer, now: Timestamp) -> Plan {
        let Answer { status, mut headers, body, .. } = answer;
        headers.insert(header::DATE, self.date(now));
        Plan {
            delay: Duration::ZERO,
            status,
            headers,
            body,
            delivery: Delivery::Whole,
            flight: Flight::default(),
        }
    }

    fn date(&self, now: Timestamp) -> HeaderValue {
        let second = now.unix_secs().min(LAST_SECOND);
        let mut cached = lock(&self.date);
        if cached.0 != second {
            *cached = (second, date(second));
        }
        cached.1.clone()
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        lock(&self.traffic)
    }

    pub(crate) fn audit_log(&self) -> MutexGuard<'_, Audit> {
        lock(&self.audit)
    }
}

/// What an answer of the catalogue means for the session that gets it, and for how long.
fn consequence(id: &str) -> Option<(SessionState, Option<Duration>)> {
    match id {
        "W3" | "W3-400" | "W4" | "W5" | "W19" => Some((SessionState::LoggedOut, None)),
        "W6" | "W6-redirect" | "W8" | "W9" | "W10" | "W12" => {
            Some((SessionState::Challenged, None))
        }
        "W9-suspended" => Some((SessionState::Suspended, None)),
        "W11" => Some((SessionState::Blocked, Some(BLOCK))),
        _ => None,
    }
}

/// Gives an answer what the rules say about its looks and its way.
fn dress(plan: &mut Plan, outcome: &Outcome) {
    if let Some(text) = &outcome.content_type {
        let text = HeaderValue::try_from(text).expect("it was checked when the rule was added");
        plan.headers.insert(header::CONTENT_TYPE, text);
    }
    if let Some(bytes) = outcome.oversized
        && bytes > plan.body.len()
    {
        let mut body = Vec::from(std::mem::take(&mut plan.body));
        body.resize(bytes, b' ');
        plan.body = body.into();
    }
    plan.delivery = outcome.delivery.unwrap_or_default();
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

fn add(headers: &mut HeaderMap, name: &'static str, value: String) {
    headers.append(name, HeaderValue::try_from(value).expect("hex digits are plain text"));
}

fn delay(latency: Latency, draw: u64) -> Duration {
    let spread = u64::try_from((latency.max - latency.min).as_nanos()).unwrap_or(u64::MAX);
    latency.min + Duration::from_nanos(hash::mix(draw) % spread.saturating_add(1))
}
