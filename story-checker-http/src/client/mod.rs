//! The only way a checker of this crate sends a request: with a pass of the gate in hand.

mod answer;
mod jar;
mod pass;
mod redact;
mod specimen;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use lru::LruCache;
use story_checker_core::checker::CheckContext;
use story_checker_core::gate::{KeyClass, Pass};
use story_checker_core::session::{Credentials, SessionHandle};
use story_checker_core::{
    Class, Evidence, Fault, RequestRecord, Scope, Secret, SessionId, Timestamp,
};
use tracing::{debug, trace};
use url::Url;

pub(crate) use self::answer::{Exchange, contains};
pub(crate) use self::jar::{Jar, is_cookie_value, put as put_cookie};
pub(crate) use self::pass::{pass, pass_by_waiting};
pub(crate) use self::redact::is_plain;
use self::specimen::Specimens;
use crate::transport::{Collected, Request, Transport, TransportError, TransportErrorKind};

/// How long an endpoint rests that told us to stop, but not for how long.
const DEFAULT_BLOCK: Duration = Duration::from_secs(60);
/// For how many sessions the rendered headers are kept, about 2 KiB each.
const RENDERED: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// What all requests of one checker have in common.
#[derive(Debug)]
pub(crate) struct ClientConfig {
    /// The name and version of the checker.
    pub(crate) source: &'static str,
    /// The cookies that belong to the base URL; none if the API knows no cookies.
    pub(crate) jar: Option<Jar>,
    /// The token of the credentials that goes into `Authorization: Bearer`, if one does.
    pub(crate) bearer: Option<&'static str>,
    /// Headers that never change.
    pub(crate) headers: HeaderMap,
    /// The user agent for sessions that bring none.
    pub(crate) user_agent: HeaderValue,
    /// Cookies repeated in a header.
    pub(crate) cookie_echo: &'static [(&'static str, HeaderName)],
    /// Tokens that an answer sets by a header and later requests repeat.
    pub(crate) token_echo: &'static [TokenEcho],
    /// What a good answer says of limits that are used up: which key has to rest, and until when.
    pub(crate) usage: Option<Usage>,
    /// The longest body, decoded.
    pub(crate) max_body: usize,
    /// How long one exchange may take.
    pub(crate) timeout: Duration,
}

/// Reads which keys have to rest, and until when, from an answer.
pub(crate) type Usage = fn(&Exchange) -> Vec<(KeyClass, Timestamp)>;

/// A token that travels in headers.
#[derive(Debug)]
pub(crate) struct TokenEcho {
    /// Its name in the credentials.
    pub(crate) token: &'static str,
    /// The header that sets it.
    pub(crate) set_by: HeaderName,
    /// The header that repeats it.
    pub(crate) sent_as: HeaderName,
    /// What is sent before it was ever set.
    pub(crate) unset: HeaderValue,
}

/// Sends the requests of one checker.
#[derive(Debug)]
pub(crate) struct ApiClient {
    transport: Arc<dyn Transport>,
    config: ClientConfig,
    rendered: Mutex<LruCache<SessionId, Rendered>>,
    specimens: Specimens,
}

/// The headers of a session. Holding the credentials keeps their address from being used again, so
/// that comparing addresses is enough.
struct Rendered {
    credentials: Arc<Credentials>,
    headers: HeaderMap,
    /// When a cookie in the headers ends.
    until: Timestamp,
}

impl ApiClient {
    pub(crate) fn new(transport: Arc<dyn Transport>, config: ClientConfig) -> Self {
        let rendered = Mutex::new(LruCache::new(RENDERED));
        Self { transport, config, rendered, specimens: Specimens::default() }
    }

    /// Sends one request and lets `read` make something of the answer.
    ///
    /// Cookies and tokens of the answer go into the session, and the pass is settled with the fault.
    /// A fault carries what was seen as evidence, and the answer's summary if it is a new kind.
    pub(crate) async fn send<T>(
        &self,
        cx: &CheckContext,
        session: &SessionHandle,
        mut pass: Pass,
        (route, url): (&'static str, Url),
        read: impl FnOnce(&Exchange) -> Result<T, Fault>,
    ) -> Result<(T, Exchange), Fault> {
        // One reading of each clock at either end: there are two requests in a check of 100 µs.
        let (at, sent_at) = (cx.now(), tokio::time::Instant::now());
        let headers = self.headers(session, url.path(), at)?;
        let proxy = cx.proxy();
        let timeout = self.config.timeout.min(cx.deadline().saturating_duration_since(sent_at));
        debug!(route, path = url.path(), session = %session.id(), proxy = proxy.map(tracing::field::display), "request starts");
        trace!(route, headers = %redact::Headers(&headers), "request headers");
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = Request::get(url, timeout).with_headers(headers).with_proxy(proxy.cloned());
        pass.mark_sent();

        // Past the forwarding of `Arc`, which would box the future once more.
        let collected = match (*self.transport).send(request).await {
            Ok(response) => response.collect(self.config.max_body).await,
            Err(error) => Err(error),
        };
        let took = sent_at.elapsed();
        let (outcome, exchange) = match collected {
            Ok(Collected { head, body, head_after, connect, .. }) => {
                let record =
                    RequestRecord::new(route, head.status.as_u16(), at, took, body.len() as u64)
                        .with_first_byte(head_after)
                        .with_connect(connect);
                let mut exchange = Exchange {
                    route,
                    status: head.status,
                    headers: head.headers,
                    body,
                    host,
                    proxied: proxy.is_some(),
                    received_at: at + took,
                    record,
                };
                let outcome = read(&exchange);
                exchange.record.parse = sent_at.elapsed().saturating_sub(took);
                (outcome, Some(exchange))
            }
            Err(error) => (Err(self.transport_fault(error, proxy.is_some(), timeout)), None),
        };
        log_end(route, session, took, exchange.as_ref(), outcome.as_ref().err());
        let outcome = outcome.map_err(|fault| match fault.evidence {
            Some(_) => fault,
            None => {
                // Status 0: there was no answer.
                let record = exchange.as_ref().map_or_else(
                    || RequestRecord::new(route, 0, at, took, 0),
                    |exchange| exchange.record.clone(),
                );
                let mut evidence = self.evidence(cx, session);
                evidence.server_time = exchange.as_ref().and_then(Exchange::server_time);
                evidence.specimen = exchange
                    .as_ref()
                    .and_then(|exchange| self.specimen(exchange, fault.class, fault.scope));
                evidence.requests.push(record);
                fault.with_evidence(evidence)
            }
        });
        if let Some(exchange) = &exchange {
            self.learn(session, exchange, outcome.as_ref().err());
        }
        if let (Ok(_), Some(exchange), Some(usage)) = (&outcome, &exchange, self.config.usage) {
            for (class, until) in usage(exchange) {
                pass.hold(class, until);
            }
        }
        pass.settle(outcome.as_ref().err(), DEFAULT_BLOCK);
        match (outcome, exchange) {
            (Ok(answer), Some(exchange)) => Ok((answer, exchange)),
            (Err(fault), _) => Err(fault),
            (Ok(_), None) => Err(Fault::new(Class::Permanent, Scope::Ours, "an answer was lost")),
        }
    }

    /// The summary of an answer that was no good, if it is the first of its kind.
    pub(crate) fn specimen(
        &self,
        exchange: &Exchange,
        class: Class,
        scope: Scope,
    ) -> Option<String> {
        self.specimens.take(self.config.source, exchange, class, scope)
    }

    /// Whether this cookie would be sent.
    pub(crate) fn has_cookie(&self, session: &SessionHandle, name: &str, now: Timestamp) -> bool {
        let cookie = session.credentials();
        let cookie = self.config.jar.as_ref().and_then(|jar| jar.find(&cookie, name, now));
        cookie.is_some_and(|cookie| !cookie.value.expose().is_empty())
    }

    /// Evidence without requests yet.
    pub(crate) fn evidence(&self, cx: &CheckContext, session: &SessionHandle) -> Evidence {
        let mut evidence = Evidence::new(self.config.source);
        evidence.session = Some(session.id().clone());
        evidence.proxy = cx.proxy().map(|proxy| proxy.id().clone());
        evidence
    }

    fn transport_fault(&self, error: TransportError, proxied: bool, timeout: Duration) -> Fault {
        let ours = timeout < self.config.timeout;
        if ours && matches!(error.kind(), TransportErrorKind::Timeout { .. }) {
            // Nobody else is to blame for a deadline that left too little time.
            let text = "the check's deadline left too little time for the answer";
            return Fault::new(Class::Timeout, Scope::Ours, text);
        }
        let proxied = proxied || error.proxied();
        error.with_proxied(proxied).to_fault()
    }

    fn headers(
        &self,
        session: &SessionHandle,
        path: &str,
        now: Timestamp,
    ) -> Result<HeaderMap, Fault> {
        let credentials = session.credentials();
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rendered.get(session.id())
            && Arc::ptr_eq(&known.credentials, &credentials)
            && known.until > now
        {
            return Ok(known.headers.clone());
        }
        drop(rendered);
        let headers = self.render(&credentials, path, now)?;
        if !Jar::depends_on_path(&credentials) {
            let until = Jar::next_end(&credentials, now);
            let entry = Rendered { credentials, headers: headers.clone(), until };
            rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
            rendered.put(session.id().clone(), entry);
        }
        Ok(headers)
    }

    fn render(
        &self,
        credentials: &Credentials,
        path: &str,
        now: Timestamp,
    ) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::with_capacity(self.config.headers.len() + 5);
        headers.clone_from(&self.config.headers);
        let agent = match &credentials.user_agent {
            Some(agent) => plain(agent, "user agent")?,
            None => self.config.user_agent.clone(),
        };
        headers.insert(header::USER_AGENT, agent);
        if let Some(jar) = &self.config.jar {
            if let Some(cookies) = jar.header(credentials, path, now) {
                headers.insert(header::COOKIE, secret(cookies.expose(), "cookies")?);
            }
            for (cookie, name) in self.config.cookie_echo {
                if let Some(cookie) = jar.find(credentials, cookie, now) {
                    headers.insert(name, secret(cookie.value.expose(), "cookies")?);
                }
            }
        }
        if let Some(token) = self.config.bearer.and_then(|name| credentials.tokens.get(name)) {
            let text = Secret::new(format!("Bearer {}", token.expose()));
            headers.insert(header::AUTHORIZATION, secret(text.expose(), "tokens")?);
        }
        for echo in self.config.token_echo {
            let value = match credentials.tokens.get(echo.token) {
                Some(token) => secret(token.expose(), "tokens")?,
                None => echo.unset.clone(),
            };
            headers.insert(&echo.sent_as, value);
        }
        Ok(headers)
    }

    /// Puts what the answer sets into the session, if the answer is the platform's own: a page of a
    /// proxy must not be able to log a session out.
    fn learn(&self, session: &SessionHandle, exchange: &Exchange, fault: Option<&Fault>) {
        if fault.is_some_and(|fault| !matches!(fault.scope, Scope::Session | Scope::Target)) {
            return;
        }
        let credentials = session.credentials();
        let tokens: Vec<_> = self
            .config
            .token_echo
            .iter()
            .filter_map(|echo| {
                let value = exchange.headers.get(&echo.set_by)?.to_str().ok()?;
                let known = credentials.tokens.get(echo.token);
                let new = known.is_none_or(|known| known.expose() != value);
                new.then(|| (echo.token.to_owned(), Secret::new(value)))
            })
            .collect();
        let jar = self.config.jar.as_ref();
        let changes = jar.map_or_else(Vec::new, |jar| {
            jar.changes(&credentials, &exchange.headers, exchange.received_at)
        });
        if tokens.is_empty() && changes.is_empty() {
            return;
        }
        session.update(|credentials| {
            credentials.tokens.extend(tokens);
            for (jar, change) in changes.into_iter().filter_map(|change| Some((jar?, change))) {
                jar.apply(credentials, change);
            }
        });
    }
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered").field("until", &self.until).finish_non_exhaustive()
    }
}

fn plain(text: &str, what: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| {
        let text = format!(
            "the session's {what} hold characters that a request cannot carry: export them again"
        );
        Fault::new(Class::AuthRequired, Scope::Session, text)
    })
}

fn secret(text: &str, what: &str) -> Result<HeaderValue, Fault> {
    let mut value = plain(text, what)?;
    value.set_sensitive(true);
    Ok(value)
}

fn log_end(
    route: &'static str,
    session: &SessionHandle,
    took: Duration,
    exchange: Option<&Exchange>,
    fault: Option<&Fault>,
) {
    let duration_ms = took.as_secs_f64() * 1e3;
    let first_byte_ms = exchange.map(|exchange| exchange.record.first_byte.as_secs_f64() * 1e3);
    let status = exchange.map(|exchange| exchange.status.as_u16());
    let bytes = exchange.map(|exchange| exchange.body.len());
    let fault = fault.map(tracing::field::display);
    debug!(route, session = %session.id(), first_byte_ms, duration_ms, status, bytes, fault, "request ended");
    if let Some(exchange) = exchange {
        trace!(
            route,
            headers = %redact::Headers(&exchange.headers),
            body = %redact::Body(&exchange.body, redact::SHOWN),
            "answer"
        );
    }
}
