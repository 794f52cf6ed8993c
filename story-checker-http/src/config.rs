//! What the configurations of all checkers have in common.

use http::HeaderValue;
use thiserror::Error;
use url::Url;

/// The user agent for sessions that bring none.
pub(crate) const USER_AGENT: &str = concat!("story-checker/", env!("CARGO_PKG_VERSION"));

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{checker}: {field} {rule}")]
pub struct InvalidConfig {
    checker: &'static str,
    field: &'static str,
    rule: &'static str,
}

/// Checks the fields of the configuration of one checker.
#[derive(Clone, Copy)]
pub(crate) struct Fields(pub(crate) &'static str);

impl Fields {
    pub(crate) fn invalid(self, field: &'static str, rule: &'static str) -> InvalidConfig {
        InvalidConfig { checker: self.0, field, rule }
    }

    /// The error for `field` unless `holds`.
    pub(crate) fn require(
        self,
        holds: bool,
        field: &'static str,
        rule: &'static str,
    ) -> Result<(), InvalidConfig> {
        if holds { Ok(()) } else { Err(self.invalid(field, rule)) }
    }

    /// The address of an API, which may have a path.
    pub(crate) fn base_url(self, text: &str) -> Result<BaseUrl, InvalidConfig> {
        self.url("base_url", text)
    }

    /// The address of another API, in a field of its own.
    pub(crate) fn url(self, field: &'static str, text: &str) -> Result<BaseUrl, InvalidConfig> {
        let rule = "must be http://host or https://host, without user and query";
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        url.map(BaseUrl).ok_or_else(|| self.invalid(field, rule))
    }

    /// A value that goes into a header.
    pub(crate) fn header(
        self,
        field: &'static str,
        text: &str,
    ) -> Result<HeaderValue, InvalidConfig> {
        HeaderValue::from_str(text).map_err(|_| self.invalid(field, "must be plain ASCII text"))
    }
}

/// The address of an API.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl(Url);

impl BaseUrl {
    /// The URL of a route: `path` starts with `/`.
    pub(crate) fn route(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}
