//! The wire to the platform: every request passes here, and is held against every rule.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use story_checker_core::ProxyId;
use story_checker_http::{BodyStream, Request, Response, Transport, TransportError};
use story_checker_sim::{
    Platform, RequestFilter, SessionState, SimTransport, Timestamp as SimTime,
};

use crate::case::{Allowance, Allowed};
use crate::diary::{Diary, Kind, millis};
use crate::proxies::ProxyList;

/// How long a check that runs may go on through a proxy that was taken off the list.
const DRAIN: u64 = 62_000;

/// The platform in process, and what was seen of its users.
#[derive(Debug)]
pub(crate) struct Wire {
    inner: SimTransport,
    platform: Arc<Platform>,
    proxies: Arc<ProxyList>,
    diary: Arc<Diary>,
    start: SimTime,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    allowed: Allowed,
    sessions: Vec<Session>,
    proxies: HashMap<ProxyId, Window>,
    app: Window,
    requests: u64,
}

#[derive(Clone, Debug, Default)]
struct Session {
    sent: Window,
    in_flight: u32,
    /// The proxy it was last seen through, and when.
    home: Option<(ProxyId, u64)>,
    /// When its owner has been told of a challenge that still stands.
    told: Option<u64>,
    /// The platform has said to come back at this time, and when it has said so.
    not_before: Option<(u64, u64)>,
}

/// The times of the requests that may still count.
#[derive(Clone, Debug, Default)]
struct Window(VecDeque<u64>);

impl Window {
    /// Takes down one more; how many there are now in the window that ends with it.
    fn push(&mut self, now: u64, allowance: Allowance) -> usize {
        let window = millis(allowance.window);
        while self.0.front().is_some_and(|first| first + window <= now) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len()
    }
}

impl Wire {
    pub(crate) fn new(
        inner: SimTransport,
        platform: Arc<Platform>,
        proxies: Arc<ProxyList>,
        diary: Arc<Diary>,
        (start, allowed): (SimTime, Allowed),
    ) -> Self {
        let sessions = vec![Session::default(); platform.sessions()];
        let (proxy, app) = (HashMap::new(), Window::default());
        let seen = Seen { allowed, sessions, proxies: proxy, app, requests: 0 };
        let seen = Arc::new(Mutex::new(seen));
        Self { inner, platform, proxies, diary, start, seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// From now on the platform allows this.
    pub(crate) fn allow(&self, allowed: Allowed) {
        self.seen().allowed = allowed;
    }

    /// The owner of a session has dealt with its challenge.
    pub(crate) fn reinstated(&self, session: usize) {
        self.seen().sessions[session].told = None;
    }

    /// The worker is gone: what it heard in this very millisecond it may not have written down.
    pub(crate) fn crashed(&self) {
        let now = self.diary.now();
        for session in &mut self.seen().sessions {
            session.told = session.told.filter(|told| *told != now);
            session.not_before = session.not_before.filter(|(_, said)| *said != now);
        }
    }

    /// The proxy that a session was last seen through.
    pub(crate) fn home(&self, session: usize) -> Option<usize> {
        let home = self.seen().sessions[session].home.clone();
        self.proxies.number(&home?.0)
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.seen().requests
    }

    /// When each session sent what still counts.
    pub(crate) fn sent(&self) -> Vec<Vec<u64>> {
        self.seen()
            .sessions
            .iter()
            .map(|session| session.sent.0.iter().copied().collect())
            .collect()
    }

    /// Holds a request that goes out now against every rule.
    fn depart(&self, session: usize, request: &Request) {
        let now = self.diary.now();
        let proxy = request.proxy.as_ref().map(|proxy| proxy.id());
        let way = proxy.map_or("no proxy", ProxyId::as_str);
        let path = request.url.path();
        self.diary.note(format_args!("viewer_{session} asks {path} through {way}"));
        let seen = &mut *self.seen();
        seen.requests += 1;
        let others = seen.sessions[session].in_flight;
        seen.sessions[session].in_flight += 1;
        let found = |kind, what: fmt::Arguments<'_>| {
            self.diary.find(kind, format_args!("viewer_{session}, {path}: {what}"));
        };
        let Some(proxy) = proxy else {
            return found(Kind::Foreign, format_args!("past all proxies"));
        };
        let Allowed { session: own, proxy: shared, app } = seen.allowed;
        let state = &mut seen.sessions[session];
        for (what, allowance, sent) in [
            ("session", own, &mut state.sent),
            ("proxy", shared, seen.proxies.entry(proxy.clone()).or_default()),
            ("app", app, &mut seen.app),
        ] {
            let count = sent.push(now, allowance);
            let (most, window) = (allowance.requests, allowance.window);
            if count > most as usize {
                found(Kind::Limit, format_args!("{count} of its {what} in {window:?}, not {most}"));
            }
        }
        if let Some((until, _)) = state.not_before.take().filter(|(until, _)| *until > now) {
            let early = until - now;
            found(Kind::Limit, format_args!("{early} ms before the time that the platform named"));
        }
        if others > 0 {
            found(Kind::Double, format_args!("{others} other in flight"));
        }
        if state.told.is_some() {
            found(Kind::Challenged, format_args!("its owner has not dealt with the challenge"));
        }
        let removed = self.proxies.removed_at(proxy);
        let listed = self.proxies.number(proxy).is_some_and(|number| self.proxies.lists(number));
        if !listed && removed.is_none_or(|at| at + DRAIN < now) {
            found(Kind::Foreign, format_args!("{proxy} is not on the list any more"));
        }
        if let Some((home, last)) = state.home.replace((proxy.clone(), now))
            && home != *proxy
            && self.proxies.removed_at(&home).is_none_or(|at| at + DRAIN < last)
        {
            found(Kind::Foreign, format_args!("through {proxy}, and its home is {home}"));
        }
    }

    /// What the owner of a session will have been told once this answer has come to its end.
    fn news(&self, session: usize, sent: u64, answer: &Response) -> News {
        let at = self.start.saturating_add(std::time::Duration::from_millis(sent));
        let filter = RequestFilter::new().with_session(u32::try_from(session).unwrap_or(u32::MAX));
        let arrived = self.platform.requests(&filter, 1).pop().is_some_and(|it| it.time == at);
        let (status, headers) = (answer.head.status, &answer.head.headers);
        let over_limit = status == StatusCode::TOO_MANY_REQUESTS;
        let refused = arrived && !over_limit && (status != StatusCode::OK || !is_json(headers));
        let state = self.platform.session_state(session, at);
        let challenged =
            refused && matches!(state, Some(SessionState::Challenged | SessionState::Suspended));
        let wait = (arrived && over_limit)
            .then(|| headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse::<u64>().ok())
            .flatten();
        News { challenged, wait }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content.is_some_and(|content| content.starts_with("application/json"))
}

/// The number of the session whose cookie a request carries.
fn session_of(headers: &HeaderMap) -> Option<usize> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let id = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("sessionid="))?;
    id.rsplit("%3A").next()?.parse().ok()
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let Some(session) = session_of(&request.headers) else {
            self.diary.find(Kind::Foreign, format_args!("a request of nobody: {request:?}"));
            return self.inner.send(request).await;
        };
        self.depart(session, &request);
        let flight = Flight { seen: Arc::clone(&self.seen), session };
        let sent = self.diary.now();
        let mut answer = match self.inner.send(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let kind = error.kind();
                self.diary.note(format_args!("viewer_{session} gets no answer: {kind:?}"));
                return Err(error);
            }
        };
        let status = answer.head.status.as_u16();
        self.diary.note(format_args!("viewer_{session} gets {status}"));
        let news = self.news(session, sent, &answer);
        let body = std::mem::replace(&mut answer.body, stream::empty().boxed());
        let (flight, diary) = (Some(flight), Arc::clone(&self.diary));
        answer.body = Body { body, flight, diary, news }.boxed();
        Ok(answer)
    }
}

/// What an answer tells the owner of a session.
#[derive(Clone, Copy, Debug)]
struct News {
    challenged: bool,
    /// How many seconds to wait.
    wait: Option<u64>,
}

/// A request under way.
struct Flight {
    seen: Arc<Mutex<Seen>>,
    session: usize,
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.seen).sessions[self.session].in_flight -= 1;
    }
}

/// The body of an answer: what it tells is told when all of it has come.
struct Body {
    body: BodyStream,
    flight: Option<Flight>,
    diary: Arc<Diary>,
    news: News,
}

impl Body {
    fn has_come(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        let now = self.diary.now();
        let seen = &mut *lock(&flight.seen);
        let session = &mut seen.sessions[flight.session];
        if self.news.challenged {
            session.told.get_or_insert(now);
        }
        if let Some(seconds) = self.news.wait {
            session.not_before = Some((now + seconds * 1_000, now));
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = std::task::ready!(self.body.as_mut().poll_next(cx));
        match &piece {
            None => self.has_come(),
            Some(Err(error)) => {
                let kind = error.kind();
                self.diary.note(format_args!("an answer breaks off: {kind:?}"));
                self.flight = None;
            }
            Some(Ok(_)) => {}
        }
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests;
