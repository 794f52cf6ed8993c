//! The cookies of a session: which are sent, and what an answer changes.

use std::time::Duration;

use cookie::Expiration;
use http::{HeaderMap, header};
use story_checker_core::session::{Cookie, Credentials};
use story_checker_core::{Secret, Timestamp};

/// The rules of one platform's cookies. The cookies themselves are in the credentials.
#[derive(Debug)]
pub(crate) struct Jar {
    /// The host that cookies are matched with.
    host: String,
    /// The cookie that the session lasts as long as.
    login: &'static str,
}

/// What an answer says about one cookie.
#[derive(Debug)]
pub(crate) enum CookieChange {
    Remove { name: String, path: String },
    Set(Cookie),
}

impl Jar {
    /// The jar for `host`, whose session ends with the cookie `login`. A host outside `domain` (a
    /// simulator on loopback) stands for `www.domain`.
    pub(crate) fn new(host: &str, domain: &str, login: &'static str) -> Self {
        let host = if belongs(host, domain) { host.to_owned() } else { format!("www.{domain}") };
        Self { host: host.to_ascii_lowercase(), login }
    }

    fn is_for_us(&self, cookie: &Cookie) -> bool {
        cookie.domain.as_deref().is_none_or(|domain| belongs(&self.host, domain))
    }

    fn live<'a>(
        &self,
        credentials: &'a Credentials,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Cookie> {
        let ended = move |cookie: &Cookie| cookie.expires_at.is_some_and(|end| end <= now);
        credentials.cookies.iter().filter(move |cookie| self.is_for_us(cookie) && !ended(cookie))
    }

    /// The cookie with this name, if it would be sent.
    pub(crate) fn find<'a>(
        &self,
        credentials: &'a Credentials,
        name: &str,
        now: Timestamp,
    ) -> Option<&'a Cookie> {
        self.live(credentials, now).find(|cookie| cookie.name == name)
    }

    /// The `Cookie` header for a path; none without cookies.
    pub(crate) fn header(
        &self,
        credentials: &Credentials,
        path: &str,
        now: Timestamp,
    ) -> Option<Secret> {
        let mut text = String::new();
        for cookie in self.live(credentials, now).filter(|cookie| covers(&cookie.path, path)) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&cookie.name);
            text.push('=');
            text.push_str(cookie.value.expose());
        }
        (!text.is_empty()).then(|| Secret::new(text))
    }

    /// Whether the header is not the same for all paths.
    pub(crate) fn depends_on_path(credentials: &Credentials) -> bool {
        credentials.cookies.iter().any(|cookie| cookie.path != "/")
    }

    /// When the next of the cookies ends.
    pub(crate) fn next_end(credentials: &Credentials, now: Timestamp) -> Timestamp {
        let ends = credentials.cookies.iter().filter_map(|cookie| cookie.expires_at);
        ends.filter(|end| *end > now).min().unwrap_or(Timestamp::MAX)
    }

    /// What the `Set-Cookie` headers change. Cookies of other domains, and headers that cannot be
    /// read, change nothing.
    pub(crate) fn changes(
        &self,
        credentials: &Credentials,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Vec<CookieChange> {
        let lines = headers.get_all(header::SET_COOKIE).iter();
        lines
            .filter_map(|line| self.change(line.to_str().ok()?, now))
            .filter(|change| changes_something(credentials, change, now))
            .collect()
    }

    fn change(&self, line: &str, now: Timestamp) -> Option<CookieChange> {
        let parsed = cookie::Cookie::parse(line).ok()?;
        let domain = parsed.domain().map(|domain| domain.trim_start_matches('.').to_lowercase());
        if domain.as_deref().is_some_and(|domain| !belongs(&self.host, domain)) {
            return None;
        }
        if parsed.name().is_empty() || !is_cookie_value(parsed.value()) {
            return None;
        }
        let name = parsed.name().to_owned();
        let path = parsed.path().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned();
        let end = match (parsed.max_age(), parsed.expires()) {
            (Some(age), _) => Some(now + Duration::try_from(age).unwrap_or_default()),
            (None, Some(Expiration::DateTime(at))) => {
                Some(Timestamp::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0)))
            }
            (None, _) => None,
        };
        if end.is_some_and(|end| end <= now) {
            return Some(CookieChange::Remove { name, path });
        }
        let mut cookie = Cookie::new(name, parsed.value());
        cookie.domain = domain;
        cookie.path = path;
        cookie.expires_at = end;
        Some(CookieChange::Set(cookie))
    }

    /// Makes a change. The end of the session moves with that of its login.
    pub(crate) fn apply(&self, credentials: &mut Credentials, change: CookieChange) {
        match change {
            CookieChange::Remove { name, path } => credentials.cookies.retain(|cookie| {
                cookie.name != name || cookie.path != path || !self.is_for_us(cookie)
            }),
            CookieChange::Set(mut cookie) => {
                let known = credentials.cookies.iter().find(|known| same(known, &cookie));
                if let Some(known) = known.filter(|_| cookie.domain.is_none()) {
                    cookie.domain.clone_from(&known.domain);
                }
                if cookie.name == self.login {
                    credentials.expires_at = cookie.expires_at;
                }
                put(&mut credentials.cookies, cookie);
            }
        }
    }
}

/// Adds a cookie in the place of the one with its name and path. The domain is not part of that
/// identity: all cookies of a jar are for one host, which would see two of a name and believe the
/// wrong one.
pub(crate) fn put(cookies: &mut Vec<Cookie>, cookie: Cookie) {
    match cookies.iter_mut().find(|known| same(known, &cookie)) {
        Some(known) => *known = cookie,
        None => cookies.push(cookie),
    }
}

fn same(one: &Cookie, other: &Cookie) -> bool {
    one.name == other.name && one.path == other.path
}

/// Whether the change is worth storing. A platform that moves the end of a cookie a little with
/// every answer must not cause a write with every answer: a tenth of its life is little.
fn changes_something(credentials: &Credentials, change: &CookieChange, now: Timestamp) -> bool {
    match change {
        CookieChange::Remove { name, path } => {
            credentials.cookies.iter().any(|known| known.name == *name && known.path == *path)
        }
        CookieChange::Set(cookie) => {
            let known = credentials.cookies.iter().find(|known| same(known, cookie));
            known.is_none_or(|known| {
                let moved = match (known.expires_at, cookie.expires_at) {
                    (None, None) => false,
                    (Some(old), Some(new)) => new < old || new.since(old) > new.since(now) / 10,
                    _ => true,
                };
                let domain = cookie.domain.is_some() && known.domain != cookie.domain;
                known.value != cookie.value || moved || domain
            })
        }
    }
}

/// Whether `host` is `domain` or below it.
fn belongs(host: &str, domain: &str) -> bool {
    host.len() >= domain.len()
        && host.is_char_boundary(host.len() - domain.len())
        && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
        && (host.len() == domain.len() || host[..host.len() - domain.len()].ends_with('.'))
}

/// Whether a cookie of this path is sent to `path` (RFC 6265, 5.1.4).
fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Whether the text can stand in a `Cookie` header.
pub(crate) fn is_cookie_value(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn credentials(cookies: &[(&str, &str, Option<&str>, &str)]) -> Credentials {
        let cookie = |&(name, value, domain, path): &(&str, &str, Option<&str>, &str)| {
            let mut cookie = Cookie::new(name, value);
            cookie.domain = domain.map(str::to_owned);
            path.clone_into(&mut cookie.path);
            cookie
        };
        Credentials::from_cookies(cookies.iter().map(cookie).collect())
    }

    fn after(credentials: &Credentials, lines: &[&str]) -> Option<Credentials> {
        let jar = Jar::new("127.0.0.1", "instagram.com", "sessionid");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        let changes = jar.changes(credentials, &headers, NOW);
        (!changes.is_empty()).then(|| {
            let mut changed = credentials.clone();
            changes.into_iter().for_each(|change| jar.apply(&mut changed, change));
            changed
        })
    }

    #[test]
    fn only_cookies_for_host_path_and_time_are_sent() {
        let mut all = credentials(&[
            ("a", "1", None, "/"),
            ("b", "2", Some("instagram.com"), "/"),
            ("c", "3", Some("www.instagram.com"), "/api"),
            ("d", "4", Some("i.instagram.com"), "/"),
            ("e", "5", Some("notinstagram.com"), "/"),
            ("f", "6", Some("instagram.com"), "/"),
        ]);
        all.cookies[5].expires_at = Some(NOW);
        for host in ["www.instagram.com", "127.0.0.1", "WWW.Instagram.com"] {
            let jar = Jar::new(host, "instagram.com", "sessionid");
            let header = |path| jar.header(&all, path, NOW).unwrap();
            assert_eq!(header("/api/v1/x").expose(), "a=1; b=2; c=3", "{host}");
            assert_eq!(header("/apis").expose(), "a=1; b=2");
            assert!(jar.find(&all, "f", NOW).is_none());
            assert!(jar.find(&all, "b", NOW).is_some());
        }
        assert!(Jar::depends_on_path(&all));
        assert_eq!(Jar::next_end(&all, NOW), Timestamp::MAX);
        assert_eq!(Jar::next_end(&all, NOW - Duration::from_secs(1)), NOW);
    }

    #[test]
    fn an_answer_sets_replaces_and_removes() {
        let old = credentials(&[
            ("sessionid", "s", Some("instagram.com"), "/"),
            ("rur", "old", Some("instagram.com"), "/"),
        ]);
        let new = after(
            &old,
            &[
                "rur=\"new\\054x\"; Domain=.instagram.com; Path=/; HttpOnly; Secure",
                "csrftoken=c; Path=/; Max-Age=31449600",
                "mid=m; expires=Sun, 22-Nov-2026 09:00:00 GMT; path=/",
                "foreign=x; Domain=example.com",
                "=nameless",
            ],
        )
        .unwrap();
        let jar = Jar::new("127.0.0.1", "instagram.com", "sessionid");
        assert_eq!(
            jar.header(&new, "/", NOW).unwrap().expose(),
            "sessionid=s; rur=\"new\\054x\"; csrftoken=c; mid=m"
        );
        assert_eq!(new.cookie("mid").unwrap().expires_at, Some(NOW + Duration::from_secs(86_400)));
        let year = Duration::from_secs(31_449_600);
        assert_eq!(new.cookie("csrftoken").unwrap().expires_at, Some(NOW + year));

        for line in [
            "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; path=/; domain=.instagram.com",
            "sessionid=; Max-Age=-1",
            "sessionid=x; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
        ] {
            assert!(after(&new, &[line]).unwrap().cookie("sessionid").is_none(), "{line}");
        }
    }

    #[test]
    fn the_session_ends_when_its_login_does() {
        let day = Duration::from_secs(86_400);
        let mut old = credentials(&[("sessionid", "s", Some("instagram.com"), "/")]);
        old.cookies[0].expires_at = Some(NOW + day);
        old.expires_at = Some(NOW + day);
        let ends = |line: &str| after(&old, &[line]).unwrap().expires_at;
        assert_eq!(
            ends("sessionid=s; Max-Age=31449600"),
            Some(NOW + Duration::from_secs(31_449_600))
        );
        assert_eq!(ends("sessionid=t; Max-Age=3600"), Some(NOW + Duration::from_secs(3_600)));
        assert_eq!(ends("sessionid=t"), None);
        // No other cookie moves it, nor does a logout: without the login nothing is asked anyway.
        assert_eq!(ends("rur=x; Max-Age=31449600"), Some(NOW + day));
        assert_eq!(ends("sessionid=; Max-Age=0"), Some(NOW + day));
    }

    #[test]
    fn a_host_cookie_takes_the_place_of_the_domains() {
        let old = credentials(&[("csrftoken", "1", Some("instagram.com"), "/")]);
        let new = after(&old, &["csrftoken=2"]).unwrap();
        assert_eq!(new.cookies.len(), 1);
        assert_eq!(new.cookies[0].value.expose(), "2");
        assert_eq!(new.cookies[0].domain.as_deref(), Some("instagram.com"));
    }

    #[test]
    fn what_is_as_before_is_no_change() {
        let old = credentials(&[("rur", "x", Some("instagram.com"), "/")]);
        assert!(after(&old, &["rur=x; Domain=.instagram.com"]).is_none());
        assert!(after(&old, &["rur=x"]).is_none());
        assert!(after(&old, &["gone=; Max-Age=0"]).is_none());
        assert!(after(&old, &[]).is_none());
        // The end slides by a second with every answer, until it has slid far.
        let dated = after(&old, &["rur=x; Max-Age=1000"]).unwrap();
        assert!(after(&dated, &["rur=x; Max-Age=1001"]).is_none());
        assert!(after(&dated, &["rur=x; Max-Age=1200"]).is_some());
        assert!(after(&dated, &["rur=x; Max-Age=999"]).is_some());
    }
}
