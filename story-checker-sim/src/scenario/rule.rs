//! Rules as data: which requests, and what happens to them.

use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::form::Form;
use crate::request::{Api, ProxyId, Route};
use crate::time::Timestamp;
use crate::traffic::SessionState;

/// What happens to which requests. Everything that is left out matches everything.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// What the audit counts it as; the effect names itself otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only requests to this API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Only requests to this endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Only requests that name this account, by name or by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only requests of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// Only requests through this proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyId>,
    /// Only from this moment on, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many of the requests that match, in percent, by the seed.
    #[serde(default = "all")]
    pub percent: f64,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub effect: Effect,
}

const fn all() -> f64 {
    100.0
}

impl Rule {
    /// This effect on every request.
    pub const fn new(effect: Effect) -> Self {
        Self {
            name: None,
            api: None,
            route: None,
            target: None,
            session: None,
            proxy: None,
            from: None,
            until: None,
            percent: all(),
            times: None,
            effect,
        }
    }

    /// An answer of the catalogue for every request.
    pub fn row(id: impl Into<String>) -> Self {
        Self::new(Effect::Row(id.into()))
    }

    /// All faults mixed: every request of any API draws one of them with this probability. After
    /// most of them another try succeeds; one in a hundred ends what its session is good for.
    pub const fn mix(percent: f64) -> Self {
        Self::new(Effect::Mix { lasting: 1.0 }).with_percent(percent)
    }

    /// Sets what the audit counts it as.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps requests to this API.
    #[must_use]
    pub fn with_api(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// Keeps requests to this endpoint.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// Keeps requests that name this account, by name or by id.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Keeps requests of this session.
    #[must_use]
    pub fn with_session(mut self, session: u32) -> Self {
        self.session = Some(session);
        self
    }

    /// Keeps requests through this proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyId) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Keeps requests from one moment on, before another.
    #[must_use]
    pub fn with_window(mut self, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        self.from = from;
        self.until = until;
        self
    }

    /// Sets how many of the requests that match it is for, in percent.
    #[must_use]
    pub const fn with_percent(mut self, percent: f64) -> Self {
        self.percent = percent;
        self
    }

    /// Sets how often it happens at most.
    #[must_use]
    pub fn with_times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// What happens to a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// An answer of the catalogue, by its id, with what follows from it for the session.
    Row(String),
    /// The true answer in an odd form.
    Form(Form),
    /// The answer handed over in this way.
    Delivery(Delivery),
    /// The answer under another content type.
    ContentType(String),
    /// The answer filled up with spaces to so many bytes.
    Oversized(usize),
    /// So many milliseconds more.
    DelayMs(u64),
    /// The session changes its state for good, and the answer follows from that.
    Session(SessionState),
    /// The proxy fails. Such a rule looks at the proxy and the time alone.
    Proxy(ProxyFault),
    /// One of all faults.
    Mix {
        /// How many of them end what the session is good for, in percent.
        #[serde(default = "one")]
        lasting: f64,
    },
}

const fn one() -> f64 {
    1.0
}

impl Effect {
    /// What the audit counts it as.
    pub(super) fn label(&self) -> String {
        // The name of the variant as it is written in JSON, and of the one within.
        let name = |value: &serde_json::Value| match value {
            serde_json::Value::String(name) => name.clone(),
            serde_json::Value::Object(map) => map.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let value = serde_json::to_value(self).unwrap_or_default();
        let outer = name(&value);
        let inner = value.get(&outer).map(name).unwrap_or_default();
        match inner.as_str() {
            "" | "lasting" => outer,
            _ if matches!(self, Self::ContentType(_)) => outer,
            inner => format!("{outer} {inner}"),
        }
    }
}

/// How a proxy fails.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProxyFault {
    /// Wants a login that nobody has: 407, or its like in SOCKS.
    Login,
    /// Hangs up on whoever connects.
    Refuse,
    /// Takes connections and says nothing.
    Hang,
    /// Shows a certificate of another name.
    Tls,
    /// Breaks answers off after so many bytes, with a reset.
    Reset {
        /// How many bytes of the body come.
        bytes: usize,
    },
    /// Answers everything with a page that wants a click first.
    Wall,
    /// Answers everything with the challenge of a content network: 403, `cf-mitigated`.
    Cloudflare,
    /// Answers everything with JSON of its own.
    Foreign,
    /// Answers everything from a cache of yesterday: an empty list, with its `date` and `age`.
    Stale,
    /// Takes so long.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
}

impl ProxyFault {
    /// Whether it hits the connection; otherwise it hits the requests on it.
    pub(crate) const fn is_of_connection(self) -> bool {
        matches!(self, Self::Login | Self::Refuse | Self::Hang | Self::Tls)
    }
}

/// Why a rule is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No answer has this id.
    #[error("no answer of the catalogue has the id {id:?}")]
    Row {
        /// The id asked for.
        id: String,
    },
    /// A probability that is none.
    #[error("a percentage is 0 to 100")]
    Percent,
    /// A fault of a proxy for requests.
    #[error("a proxy does not know api, route, target and session of what goes through it")]
    Proxy,
    /// A content type that cannot be sent.
    #[error("{text:?} cannot be a content type")]
    ContentType {
        /// The text asked for.
        text: String,
    },
    /// More than the largest body.
    #[error("an oversized body has at most {most} bytes")]
    Oversized {
        /// The most bytes.
        most: usize,
    },
}
