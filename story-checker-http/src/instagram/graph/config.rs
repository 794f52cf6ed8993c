use std::num::NonZeroUsize;
use std::time::Duration;

use http::HeaderValue;

use crate::config::{BaseUrl, Fields, InvalidConfig, USER_AGENT};

/// How a [`GraphChecker`](super::GraphChecker) asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphConfig {
    /// Where the API is for tokens of Facebook Login.
    pub base_url: String,
    /// Whether an account without a token of its own is looked up with another's, to find out if it
    /// exists. Its stories cannot be seen that way. No.
    pub discover: bool,
    /// Where the API is for tokens of Instagram Login, and where they are refreshed.
    pub login_base_url: String,
    /// The most targets per check. Each is asked for by itself, with its own token; but where this
    /// checker stands before another, a smaller number would cut that one's batches too. 50.
    pub max_batch: NonZeroUsize,
    /// The longest answer in bytes, decoded. 8 MiB.
    pub max_body: usize,
    /// The most pages of stories that are read for one account. 5.
    pub max_pages: NonZeroUsize,
    /// How many stories are asked for in one page, 1 to 100. 100.
    pub page_size: u32,
    /// With less than this before its end a token of Instagram Login is refreshed; 0 never. 10 days.
    pub refresh_before: Duration,
    /// Sends the token of a refresh in the address too, as Meta's examples do, and not only in a
    /// header. It is never logged either way. No.
    pub refresh_by_query: bool,
    /// How long one request may take, from sending to the last byte. 15 s.
    pub request_timeout: Duration,
    /// The user agent for sessions that bring none.
    pub user_agent: String,
    /// The version of the API. v25.0.
    pub version: String,
}

impl Default for GraphConfig {
    fn default() -> Self {
        let number = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            discover: false,
            login_base_url: "https://graph.instagram.com".to_owned(),
            max_batch: number(50),
            max_body: 8 << 20,
            max_pages: number(5),
            page_size: 100,
            refresh_before: Duration::from_secs(10 * 86_400),
            refresh_by_query: false,
            request_timeout: Duration::from_secs(15),
            user_agent: USER_AGENT.to_owned(),
            version: "v25.0".to_owned(),
        }
    }
}

/// A configuration that was checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) facebook: BaseUrl,
    pub(super) instagram: BaseUrl,
    pub(super) user_agent: HeaderValue,
}

impl GraphConfig {
    pub(super) fn check(&self) -> Result<Checked, InvalidConfig> {
        let fields = Fields("instagram-graph");
        let page_size = (1..=100).contains(&self.page_size);
        fields.require(page_size, "page_size", "must be 1 to 100")?;
        fields.require(!self.request_timeout.is_zero(), "request_timeout", "must not be 0")?;
        fields.require(is_version(&self.version), "version", "must be like v25.0")?;
        Ok(Checked {
            facebook: fields.base_url(&self.base_url)?,
            instagram: fields.url("login_base_url", &self.login_base_url)?,
            user_agent: fields.header("user_agent", &self.user_agent)?,
        })
    }
}

fn is_version(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    parts.is_some_and(|(major, minor)| number(major) && number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut GraphConfig)) -> Result<Checked, InvalidConfig> {
        let mut config = GraphConfig::default();
        change(&mut config);
        config.check()
    }

    #[test]
    fn mistakes_name_the_field() {
        for (field, checked) in [
            ("base_url", with(|config| config.base_url = "nonsense".into())),
            ("login_base_url", with(|config| config.login_base_url = "http://x/?a".into())),
            ("page_size", with(|config| config.page_size = 0)),
            ("page_size", with(|config| config.page_size = 101)),
            ("request_timeout", with(|config| config.request_timeout = Duration::ZERO)),
            ("user_agent", with(|config| config.user_agent = "a\0b".into())),
            ("version", with(|config| config.version = "25.0".into())),
            ("version", with(|config| config.version = "v25".into())),
            ("version", with(|config| config.version = "v25./me".into())),
        ] {
            let text = checked.unwrap_err().to_string();
            assert!(text.starts_with(&format!("instagram-graph: {field} must")), "{text}");
        }
        with(|_| {}).unwrap();
    }
}
