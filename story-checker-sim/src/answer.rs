//! What the endpoints of every platform answer with.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::accounts::{Account, Accounts};
use crate::catalogue::{self, Row};
use crate::form::Form;
use crate::request::{Request, Route};
use crate::time::Timestamp;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A request as the API that it is for gets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) route: Route,
    pub(crate) now: Timestamp,
    pub(crate) accounts: &'a Accounts,
    /// The odd form that a rule wants the answer in.
    pub(crate) form: Option<Form>,
    /// Names and ids of the account that it is about; empty for everybody.
    pub(crate) form_targets: &'a [String],
}

impl Asked<'_> {
    /// The form that this account is to be written in: the odd one that a rule wants, or that of the
    /// app, which knows ids as numbers only (instaloader relies on it).
    pub(crate) fn form_for(&self, account: &Account) -> Option<Form> {
        let meant = || {
            self.form_targets.is_empty()
                || self
                    .form_targets
                    .iter()
                    .any(|target| *target == account.name || target.parse() == Ok(account.id))
        };
        let of_app = || self.request.is_from_app().then_some(Form::IdsInt);
        self.form.filter(|_| meant()).or_else(of_app)
    }
}

/// Status, headers (without `date`) and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the request broke a limit of its API, for the audit.
    pub(crate) over_limit: bool,
    /// Whether the token had been told before that its owner must act, for the audit.
    pub(crate) after_challenge: bool,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, Some(JSON), body)
    }

    /// A page.
    pub(crate) fn html(body: String) -> Self {
        Self::new(StatusCode::OK, Some(HTML), body)
    }

    /// What is wrong, as `application/problem+json`.
    pub(crate) fn problem(status: StatusCode, body: String) -> Self {
        Self::new(status, Some(PROBLEM), body)
    }

    /// The answer of the catalogue with an id that the code names.
    pub(crate) fn named(id: &str) -> Self {
        Self::row(catalogue::row(id).expect("a test asks for every id that the code names"))
    }

    /// An answer of the catalogue.
    pub(crate) fn row(row: &'static Row) -> Self {
        let status = StatusCode::from_u16(row.status).expect("a test checks every row");
        let content_type = Some(row.content_type).filter(|text| !text.is_empty());
        let answer = Self::new(status, content_type.map(HeaderValue::from_static), row.body);
        row.headers.iter().fold(answer, |answer, (name, value)| {
            let value = HeaderValue::from_static(value);
            answer.with_header(HeaderName::from_static(name), value)
        })
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Marks the request as one that broke a limit.
    pub(crate) fn with_over_limit(mut self) -> Self {
        self.over_limit = true;
        self
    }

    /// Marks the request as one whose token had been told before that its owner must act.
    pub(crate) fn with_after_challenge(mut self) -> Self {
        self.after_challenge = true;
        self
    }

    fn new(
        status: StatusCode,
        content_type: Option<HeaderValue>,
        body: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let body = match body.into() {
            Cow::Borrowed(body) => Bytes::from_static(body.as_bytes()),
            Cow::Owned(body) => body.into(),
        };
        Self { status, headers, body, over_limit: false, after_challenge: false }
    }
}
