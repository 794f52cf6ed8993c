//! One answer that the real platforms are known to give.

use serde::Serialize;

/// An answer of the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// Its name: the row of the error catalogue, and which variant of it.
    pub id: &'static str,
    /// The status.
    pub status: u16,
    /// The content type; empty for none.
    pub content_type: &'static str,
    /// More headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub body: &'static str,
}

const JSON: &str = "application/json; charset=utf-8";
const PROBLEM: &str = "application/problem+json";
const HTML: &str = "text/html; charset=utf-8";

impl Row {
    /// A JSON answer.
    pub(crate) const fn json(id: &'static str, status: u16, body: &'static str) -> Self {
        Self { id, status, content_type: JSON, headers: &[], body }
    }

    /// A JSON answer that says what is wrong.
    pub(crate) const fn problem(id: &'static str, status: u16, body: &'static str) -> Self {
        Self { id, status, content_type: PROBLEM, headers: &[], body }
    }

    /// A page.
    pub(crate) const fn html(id: &'static str, status: u16, body: &'static str) -> Self {
        Self { id, status, content_type: HTML, headers: &[], body }
    }

    /// A plain text.
    pub(crate) const fn text(id: &'static str, status: u16, body: &'static str) -> Self {
        Self { id, status, content_type: "text/plain", headers: &[], body }
    }

    /// The same with more headers.
    pub(crate) const fn with_headers(
        mut self,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.headers = headers;
        self
    }
}
