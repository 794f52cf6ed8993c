use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::{CheckContext, Checker};
use story_checker_core::gate::Gate;
use story_checker_core::session::{Cookie, SessionHandle, SessionRecord};
use story_checker_core::{Clock, Fault, Report, Target, Timestamp, Verdict};
use story_checker_http::instagram::{
    GraphChecker, GraphConfig, GraphToken, WebChecker, WebConfig, graph_session,
    web_session_from_cookies,
};
use story_checker_http::x::{XChecker, XConfig, x_session};
use story_checker_http::{Head, Request, Response, Transport, TransportError};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// The time of all clocks: 2026-11-21T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
/// The account that is asked about.
pub const NAME: &str = "acct_000001";
/// Its id on Instagram.
pub const ID: &str = "4200000001";
/// Its id on X.
pub const X_ID: &str = "700000001";

/// The statuses with which a fuzzed body comes.
const STATUSES: [u16; 8] = [200, 400, 401, 403, 404, 429, 500, 302];

/// What the input of a target for bodies says: the body, and in its last byte the rest.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Which of the checker's requests gets the body for an answer, from 0.
    pub request: usize,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub body: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads the input of a checker that makes so many kinds of requests.
    pub fn read(input: &'a [u8], requests: usize) -> Option<Self> {
        let (last, body) = input.split_last()?;
        let last = usize::from(*last);
        let request = last / STATUSES.len() % requests;
        Some(Self { request, status: STATUSES[last % STATUSES.len()], body })
    }

    /// The bytes that read as this; with the next best status if its own is not fuzzed.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let known = STATUSES.iter().position(|known| *known == self.status);
        let status = known.unwrap_or(if self.status < 500 { 1 } else { 6 });
        let last = u8::try_from(self.request * STATUSES.len() + status);
        [self.body, &[last.expect("few kinds of requests")]].concat()
    }
}

/// A canned answer for every path with this in it.
type Canned = (&'static str, u16, Bytes);

#[derive(Debug, Default)]
struct CannedTransport(Mutex<Vec<Canned>>);

impl fmt::Display for CannedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canned answers")
    }
}

#[async_trait]
impl Transport for CannedTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let canned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = canned.iter().find(|(path, ..)| request.url.path().contains(path));
        // A second opinion that a target did not think of is no opinion.
        let (status, body) = found.map_or((503, Bytes::new()), |it| (it.1, it.2.clone()));
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::DATE, HeaderValue::from_static("Sat, 21 Nov 2026 12:00:00 GMT"));
        let status = StatusCode::from_u16(status).expect("a canned status");
        let head = Head::new(status, Version::HTTP_11, headers);
        let body = stream::iter([Ok(body)]).boxed();
        Ok(Response::new(head, body, Instant::now()))
    }
}

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A checker that is asked about one account, over canned answers.
#[derive(Debug)]
pub struct Court {
    transport: Arc<CannedTransport>,
    checker: Arc<dyn Checker>,
    record: SessionRecord,
    runtime: Runtime,
    target: Target,
}

impl Court {
    /// The web API of Instagram.
    pub fn web() -> Self {
        let build = |transport| WebChecker::new(transport, WebConfig::default());
        let cookies = vec![Cookie::new("sessionid", "4200000009%3Afuzz%3A1")];
        Self::open("instagram", build, web_session_from_cookies("main".into(), cookies))
    }

    /// The Graph API of Instagram.
    pub fn graph() -> Self {
        let build = |transport| GraphChecker::new(transport, GraphConfig::default());
        let session = graph_session("main".into(), GraphToken::new("token", ID, NAME));
        Self::open("instagram", build, session)
    }

    /// The API of X.
    pub fn x() -> Self {
        let build = |transport| XChecker::new(transport, XConfig::default());
        Self::open("x", build, x_session("main".into(), "token"))
    }

    fn open<C: Checker, E: fmt::Debug, S: fmt::Debug>(
        platform: &str,
        build: impl FnOnce(Arc<dyn Transport>) -> Result<C, E>,
        session: Result<SessionRecord, S>,
    ) -> Self {
        let transport = Arc::new(CannedTransport::default());
        let checker = build(Arc::clone(&transport) as Arc<dyn Transport>);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let target = format!("{platform}/account/{NAME}").parse();
        Self {
            transport,
            checker: Arc::new(checker.expect("the defaults are valid")),
            record: session.expect("a session of our own"),
            runtime: runtime.expect("a runtime starts"),
            target: target.expect("a target of our own"),
        }
    }

    /// Runs one whole check over these answers, the first that fits each request.
    pub fn check(&self, canned: Vec<Canned>) -> Result<Report, Fault> {
        *self.transport.0.lock().unwrap_or_else(PoisonError::into_inner) = canned;
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&clock)));
        let credentials = Arc::clone(&self.record.credentials);
        let session = Arc::new(SessionHandle::new(self.record.id.clone(), credentials));
        let kind = self.record.kind.clone();
        let answers = self.runtime.block_on(async {
            let cx = CheckContext::new(self.checker.profile(), gate, cache, clock)
                .with_session(Some(Arc::clone(&session)))
                .with_loan(kind, Some(NAME), session)
                .with_patience(Duration::ZERO);
            self.checker.check(std::slice::from_ref(&self.target), &cx).await
        });
        let [answer] = answers.try_into().expect("one answer per target");
        if let Ok(report) = &answer {
            assert_eq!(report.target, self.target);
            assert_eq!(report.verdict == Verdict::Active, !report.items.is_empty());
            assert!(!matches!(report.verdict, Verdict::Unknown { .. }));
            assert!(!report.evidence.facts.is_empty(), "a verdict needs evidence");
        }
        answer
    }
}
