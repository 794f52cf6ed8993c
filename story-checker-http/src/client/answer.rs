//! An answer, and what can be said of it whatever the platform.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use story_checker_core::{Class, Fault, RequestRecord, Scope, Timestamp};

/// One request and its answer, as far as a classifier needs to know.
pub(crate) struct Exchange {
    pub(crate) route: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The host that was asked.
    pub(crate) host: String,
    /// Whether it went through a proxy.
    pub(crate) proxied: bool,
    /// Our time when the answer was there.
    pub(crate) received_at: Timestamp,
    pub(crate) record: RequestRecord,
}

impl Exchange {
    /// The server's own time, if it told.
    pub(crate) fn server_time(&self) -> Option<Timestamp> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date).ok().map(Timestamp::from)
    }

    /// The fault that this answer is.
    pub(crate) fn fault(
        &self,
        class: Class,
        scope: Scope,
        tell: impl Into<Cow<'static, str>>,
    ) -> Fault {
        let text = format!("{} answered {}: {}", self.route, self.status.as_u16(), tell.into());
        Fault::new(class, scope, text)
    }

    /// A limit is reached: until the time that the platform named, else for `otherwise`.
    pub(crate) fn limit(&self, scope: Scope, otherwise: Duration) -> Fault {
        let until = self.retry_after().unwrap_or(self.received_at + otherwise);
        let text = "the platform's limit is reached; nothing is asked until the time it named";
        self.fault(Class::RateLimited, scope, text).with_until(until)
    }

    /// The platform has an error of its own: 408 and 5xx.
    pub(crate) fn server_error(&self) -> Fault {
        let text = "the platform has an error of its own; it is asked again later";
        let fault = self.fault(Class::Transient, Scope::Endpoint, text);
        match self.retry_after() {
            Some(until) => fault.with_until(until),
            None => fault,
        }
    }

    /// An answer that is not the platform's, by its head: the proxy's own, or that of a wall before
    /// the platform.
    pub(crate) fn of_somebody_else(&self) -> Option<Fault> {
        let (scope, tell) = match self.status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let tell = "the proxy does not accept our credentials: check its user and password";
                (Scope::Proxy, tell)
            }
            StatusCode::FORBIDDEN if self.headers.contains_key("cf-mitigated") => {
                let tell = "a wall stands before the platform for this address; it is not climbed: use another \
                            address";
                (self.way_out(Class::Blocked), tell)
            }
            _ => return None,
        };
        Some(self.fault(Class::Blocked, scope, tell))
    }

    /// A page where JSON should be, with no mark of the platform.
    pub(crate) fn foreign_page(&self) -> Fault {
        let tell = "a page instead of JSON: this connection may lead to somebody's own page; check \
                    the proxy, or log in to the network";
        self.fault(Class::Malformed, self.way_out(Class::Malformed), tell)
    }

    /// Where a redirect leads: the path, or none if that is a site whose host `ours` refuses.
    pub(crate) fn redirect_path(&self, ours: impl Fn(&str) -> bool) -> Option<&str> {
        let location = self.headers.get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let after_scheme = location.split_once("://").map(|(_, rest)| rest);
        let (host, path) = match after_scheme.or_else(|| location.strip_prefix("//")) {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", location),
        };
        let host = host.split(':').next().unwrap_or_default();
        let ours = host.is_empty() || host.eq_ignore_ascii_case(&self.host) || ours(host);
        ours.then(|| path.split(['?', '#']).next().unwrap_or_default())
    }

    /// JSON without any mark of the platform.
    pub(crate) fn foreign_json(&self) -> Fault {
        let tell = "JSON that is not the platform's: this connection may lead to somebody else; check \
                    the proxy, and if that stays, update this checker";
        self.fault(Class::Malformed, self.way_out(Class::Malformed), tell)
    }

    /// Whether this body has none of the fields that the platform's answers have: then it is somebody
    /// else's.
    pub(crate) fn is_foreign(body: &Value, marks: &[&str]) -> bool {
        marks.iter().all(|mark| body.get(mark).is_none())
    }

    /// Whether it comes out of a cache on the way: then it is an old answer, perhaps to somebody else.
    pub(crate) fn is_old(&self) -> bool {
        let age = self.headers.get(header::AGE).and_then(|age| age.to_str().ok());
        age.is_some_and(|age| age.trim().parse() != Ok(0_u64))
    }

    /// An answer out of a cache.
    pub(crate) fn old_answer(&self) -> Fault {
        let tell =
            "an old answer out of a cache on the way: use a proxy that does not keep answers";
        self.fault(Class::Malformed, self.way_out(Class::Malformed), tell)
    }

    /// A redirect to a site that is not the platform's.
    pub(crate) fn foreign_redirect(&self) -> Fault {
        let tell = "a redirect to a foreign site: this connection leads to somebody's own page; check \
                    the proxy, or log in to the network";
        self.fault(Class::Malformed, self.way_out(Class::Malformed), tell)
    }

    /// Who pays for what is not the platform's own answer.
    pub(crate) fn way_out(&self, class: Class) -> Scope {
        match class {
            _ if self.proxied => Scope::Proxy,
            // Our own address is banned: nothing else will get through either.
            Class::Blocked => Scope::App,
            // A limit of our own address or of the session; the session is what can rest alone.
            Class::RateLimited => Scope::Session,
            _ => Scope::Endpoint,
        }
    }

    /// The time until which the platform asks to wait: never capped, and a date counts from the
    /// answer's own date, so that no clock has to be right.
    pub(crate) fn retry_after(&self) -> Option<Timestamp> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let until = Timestamp::from(httpdate::parse_http_date(text).ok()?);
                until.since(self.server_time().unwrap_or(self.received_at))
            }
        };
        Some(self.received_at + wait)
    }

    /// Whether it calls itself JSON.
    pub(crate) fn is_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        kind.eq_ignore_ascii_case(b"application/json")
            || kind.len() > 5 && kind[kind.len() - 5..].eq_ignore_ascii_case(b"+json")
    }

    /// Whether it takes this cookie away.
    pub(crate) fn takes_away(&self, cookie: &str) -> bool {
        self.headers.get_all(header::SET_COOKIE).iter().any(|set| {
            let set = set.to_str().ok().and_then(|set| cookie::Cookie::parse(set).ok());
            set.is_some_and(|set| {
                let ended = set.max_age().is_some_and(|age| age <= cookie::time::Duration::ZERO);
                set.name() == cookie && (ended || set.value().trim_matches('"').is_empty())
            })
        })
    }

    /// Whether the body begins as a page does.
    pub(crate) fn is_page(&self) -> bool {
        self.body.trim_ascii_start().first() == Some(&b'<')
    }

    /// Whether the body holds these bytes.
    pub(crate) fn holds(&self, mark: &str) -> bool {
        self.body.windows(mark.len()).any(|window| window == mark.as_bytes())
    }
}

#[cfg(test)]
impl Exchange {
    /// An answer for tests of classifiers: through a proxy, at second 1,795,251,600.
    pub(crate) fn sample(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let at = Timestamp::from_secs(1_795_251_600);
        let value = |text: &str| http::HeaderValue::from_str(text).expect("a test's header");
        let name = http::HeaderName::from_static;
        Self {
            route: "sample",
            status: StatusCode::from_u16(status).expect("a test's status"),
            headers: headers.iter().map(|(key, text)| (name(key), value(text))).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            host: "www.sim.test".to_owned(),
            proxied: true,
            received_at: at,
            record: RequestRecord::new("sample", status, at, Duration::ZERO, 0),
        }
    }
}

/// Whether `text` contains `phrase`, upper and lower case being the same.
pub(crate) fn contains(text: &str, phrase: &str) -> bool {
    text.as_bytes().windows(phrase.len()).any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
}
