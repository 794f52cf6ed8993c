//! One cookie, from whatever names its parts.

use story_checker_core::Timestamp;
use story_checker_core::session::Cookie;

use crate::client::is_cookie_value;

const DOMAIN: &str = "instagram.com";

/// The parts of a cookie, as a file has them.
pub(super) struct Parts<'a> {
    /// None: a cookie of Instagram.
    pub(super) domain: Option<&'a str>,
    pub(super) path: &'a str,
    /// Seconds since 1970. Some tools write fractions, and 0 or -1 for the end of the browser's
    /// session.
    pub(super) expires: f64,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

/// Which part is wrong, and the rule that it breaks.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) part: &'static str,
    pub(super) rule: &'static str,
}

impl<'a> Parts<'a> {
    /// A cookie of Instagram without an end.
    pub(super) fn new(name: &'a str, value: &'a str) -> Self {
        Self { domain: None, path: "/", expires: 0.0, name, value }
    }

    pub(super) fn cookie(&self) -> Result<Cookie, Wrong> {
        if !self.path.starts_with('/') || !is_cookie_value(self.path) {
            return Err(Wrong { part: "path", rule: "must start with /" });
        }
        if !is_cookie_name(self.name) {
            return Err(Wrong { part: "name", rule: "must be a cookie name" });
        }
        if !is_cookie_value(self.value) {
            return Err(Wrong {
                part: "value",
                rule: "holds characters that a cookie cannot have",
            });
        }
        let mut cookie = Cookie::new(self.name, self.value);
        cookie.domain = Some(self.domain.map_or_else(|| DOMAIN.to_owned(), plain));
        self.path.clone_into(&mut cookie.path);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let expires_at = (self.expires > 0.0).then_some(Timestamp::from_secs(self.expires as u64));
        cookie.expires_at = expires_at;
        Ok(cookie)
    }
}

/// Whether cookies of this domain are for us.
pub(super) fn is_ours(domain: &str) -> bool {
    let domain = plain(domain);
    domain == DOMAIN || domain.ends_with(".instagram.com")
}

fn plain(domain: &str) -> String {
    domain.trim().trim_start_matches('.').to_ascii_lowercase()
}

fn is_cookie_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.bytes().all(legal)
}
