//! A platform that answers by a script, in process, at a fixed time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::{CheckContext, Checker};
use story_checker_core::gate::Gate;
use story_checker_core::session::SessionHandle;
use story_checker_core::{Clock, Fault, Report, Timestamp, VirtualClock};
use story_checker_http::instagram::{WebChecker, WebConfig, account};
use story_checker_http::{Head, Request, Response, Transport, TransportError, TransportErrorKind};
use tokio::time::Instant;

use crate::support::{EMPTY, ME, NOBODY_FOUND, profile, proxy, session};

/// Sat, 21 Nov 2026 09:00:00 GMT, which is the server's time as well.
pub(super) const NOW: u64 = 1_795_251_600;
const DATE: &str = "Sat, 21 Nov 2026 09:00:00 GMT";
const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Info,
    Profile,
    Reels,
    Search,
    Story,
    Viewer,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/api/v1/users/web_profile_info/" => Self::Profile,
            "/api/v1/feed/reels_media/" => Self::Reels,
            "/graphql/query/" => Self::Viewer,
            "/web/search/topsearch/" => Self::Search,
            "/api/v1/users/42/info/" => Self::Info,
            "/api/v1/feed/user/42/story/" => Self::Story,
            other => panic!("nobody asks for {other}"),
        }
    }
}

/// What a request gets.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Http { status: u16, headers: Vec<(&'static str, &'static str)>, body: String },
    Fails(TransportErrorKind),
}

impl Answer {
    pub(super) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Http { status, headers: vec![("content-type", JSON)], body: body.into() }
    }

    pub(super) fn html(status: u16, body: impl Into<String>) -> Self {
        Self::Http { status, headers: vec![("content-type", HTML)], body: body.into() }
    }

    pub(super) fn to(location: &'static str) -> Self {
        Self::html(302, "").with("location", location)
    }

    /// With one more header, or another value of one.
    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Http { headers, .. } = &mut self {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
        }
        self
    }
}

struct Script(BTreeMap<Route, Answer>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a script")
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        match &self.0[&Route::of(request.url.path())] {
            Answer::Fails(kind) => {
                Err(TransportError::new(*kind).with_proxied(request.proxy.is_some()))
            }
            Answer::Http { status, headers, body } => {
                let mut all = HeaderMap::new();
                all.insert("date", HeaderValue::from_static(DATE));
                for (name, value) in headers {
                    all.append(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
                let head = Head::new(StatusCode::from_u16(*status).unwrap(), Version::HTTP_11, all);
                let body = stream::iter([Ok(body.clone().into())]).boxed();
                Ok(Response::new(head, body, Instant::now()))
            }
        }
    }
}

/// A checker and what it remembers, while the platform changes its script.
pub(super) struct World {
    script: Arc<Mutex<Arc<Script>>>,
    checker: WebChecker,
    cache: Arc<dyn Cache>,
    clock: Arc<VirtualClock>,
    session: Arc<SessionHandle>,
    proxied: bool,
}

#[derive(Debug)]
struct Changing(Arc<Mutex<Arc<Script>>>);

impl fmt::Display for Changing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripts")
    }
}

#[async_trait]
impl Transport for Changing {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let script = Arc::clone(&self.0.lock().unwrap());
        script.send(request).await
    }
}

impl World {
    pub(super) fn new(proxied: bool) -> Self {
        let script = Arc::new(Mutex::new(Arc::new(Script(BTreeMap::new()))));
        let transport = Arc::new(Changing(Arc::clone(&script)));
        let checker = WebChecker::new(transport, WebConfig::default()).unwrap();
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::from_secs(NOW)));
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&clock) as Arc<dyn Clock>));
        Self { script, checker, cache, clock, session: session(), proxied }
    }

    /// Checks account `a` (42), which has no story unless `with` says so.
    pub(super) async fn check(&self, with: &[(Route, Answer)]) -> Result<Report, Fault> {
        let mut answers = BTreeMap::from([
            (Route::Profile, Answer::json(200, profile(42, "a"))),
            (Route::Reels, Answer::json(200, EMPTY)),
            (Route::Viewer, Answer::json(200, ME)),
            (Route::Search, Answer::json(200, NOBODY_FOUND)),
        ]);
        answers.extend(with.iter().cloned());
        *self.script.lock().unwrap() = Arc::new(Script(answers));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        let through = if self.proxied { proxy("http://proxy.sim.test:1") } else { None };
        let cx = CheckContext::new(self.checker.profile(), gate, Arc::clone(&self.cache), clock)
            .with_session(Some(Arc::clone(&self.session)))
            .with_proxy(through)
            .with_patience(Duration::ZERO);
        self.checker.check(&[account("a").unwrap()], &cx).await.remove(0)
    }
}
