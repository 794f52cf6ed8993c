//! What a request is and where it came from.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, Uri, header};
use serde::{Deserialize, Serialize};

use crate::app_token;

/// A request as the platform sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A request with this head. Only the path and the query of the URI count.
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { method, uri, headers, body: &[] }
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        self.body
    }

    pub(crate) fn method(&self) -> &'a Method {
        self.method
    }

    pub(crate) fn path(&self) -> &'a str {
        self.uri.path()
    }

    /// The parts of the path; the last one is empty behind a slash at the end.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a str> {
        let path = self.uri.path();
        path.strip_prefix('/').unwrap_or(path).split('/')
    }

    /// A part of the path.
    pub(crate) fn segment(&self, index: usize) -> &'a str {
        self.segments().nth(index).unwrap_or("")
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The token behind `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> Option<&'a str> {
        let (scheme, token) =
            self.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The decoded values of a query parameter, in order.
    pub(crate) fn params(&self, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        values(self.uri.query().unwrap_or(""), name)
    }

    /// The decoded values of a field of the form in the body, in order.
    pub(crate) fn fields(&self, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        values(str::from_utf8(self.body).unwrap_or(""), name)
    }

    /// What says which session of the web API this is: the cookie of a browser, or the token that the
    /// app makes of it.
    pub(crate) fn session_id(&self) -> Option<Cow<'a, [u8]>> {
        let token = || app_token::session_id(self.bearer()?);
        let decoded = |id: String| Cow::Owned(percent_decode(id.as_bytes(), false).into_owned());
        self.cookie("sessionid").or_else(|| token().map(decoded))
    }

    /// Whether it comes from the app: that one carries a token instead of cookies.
    pub(crate) fn is_from_app(&self) -> bool {
        self.bearer().is_some_and(|token| app_token::session_id(token).is_some())
    }

    /// Whether a part of the path, or a word in a parameter, is this name or id.
    pub(crate) fn names(&self, target: &str) -> bool {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
        let parts = [self.uri.query().unwrap_or(""), str::from_utf8(self.body).unwrap_or("")];
        let parts = parts.into_iter().flat_map(|text| text.split('&'));
        let mut values = parts.filter_map(|part| part.split_once('=')).map(|(_, value)| value);
        self.segments().any(|segment| segment.eq_ignore_ascii_case(target))
            || values.any(|value| {
                percent_decode(value.as_bytes(), true)
                    .split(|byte| !word(byte))
                    .any(|part| part.eq_ignore_ascii_case(target.as_bytes()))
            })
    }

    /// The decoded value of the first cookie with this name.
    pub(crate) fn cookie(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.headers
            .get_all(header::COOKIE)
            .into_iter()
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
            .find_map(|pair| {
                let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                Some(percent_decode(value, false))
            })
    }
}

impl<'a, B> From<&'a http::Request<B>> for Request<'a> {
    fn from(request: &'a http::Request<B>) -> Self {
        Self::new(request.method(), request.uri(), request.headers())
    }
}

/// The decoded values behind a name in `a=1&b=2`.
fn values<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    text.split('&')
        .filter_map(move |part| part.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| percent_decode(value.as_bytes(), true))
}

/// Decodes `%41` (and `+` in a query); what is no escape stays as it is.
fn percent_decode(text: &[u8], plus_is_space: bool) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| hex_digit(byte));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) if plus_is_space => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    Cow::Owned(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// The proxy it came through, if any.
    pub proxy: Option<ProxyId>,
    /// The socket address of the client.
    pub addr: SocketAddr,
}

impl Peer {
    /// A client that uses no proxy.
    pub const fn direct(addr: SocketAddr) -> Self {
        Self { proxy: None, addr }
    }

    /// A client behind a proxy.
    pub const fn via(proxy: ProxyId, addr: SocketAddr) -> Self {
        Self { proxy: Some(proxy), addr }
    }

    pub(crate) fn address(&self) -> Address {
        self.proxy.map_or(Address::Direct(self.addr.ip()), Address::Proxy)
    }
}

/// What the platform sees as one address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Address {
    Proxy(ProxyId),
    Direct(IpAddr),
}

/// The number of a proxy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ProxyId(u32);

impl ProxyId {
    /// The proxy with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}", self.0)
    }
}

/// The endpoints of the platforms.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Route {
    /// Anything that is no endpoint.
    Other,
    /// A profile by name: `/api/v1/users/web_profile_info/`.
    Profile,
    /// The reels of up to 50 accounts: `/api/v1/feed/reels_media/`.
    Reels,
    /// Who am I: `/graphql/query/` with the hash of that query.
    Viewer,
    /// The reels of up to 50 accounts: `/graphql/query/` with the hash of that query.
    GraphqlReels,
    /// The reel of one account: `/api/v1/feed/user/ID/story/`.
    UserStory,
    /// The reels of the followed accounts, most of them as stubs: `/api/v1/feed/reels_tray/`.
    Tray,
    /// A profile by id: `/api/v1/users/ID/info/`.
    UserInfo,
    /// Accounts by a part of their name: `/web/search/topsearch/`.
    Search,
    /// The page that a browser begins with: `/`.
    HomePage,
    /// The page of a profile: `/NAME/`.
    ProfilePage,
    /// A profile by id: a POST to `/graphql/query` or `/api/graphql` with the number of that query.
    GraphqlProfile,
    /// Whether everybody may see a story: `/graphql/query/` with the hash of that query.
    GraphqlPublicStory,
    /// The followed accounts with a story: `/graphql/query/` with the hash of that query.
    GraphqlTray,
    /// Graph API: the stories of the token's own account, `/vN.N/ID/stories`.
    GraphStories,
    /// Graph API: one object by id, `/vN.N/ID`.
    GraphMedia,
    /// Graph API: another professional account, the same path with `business_discovery`.
    GraphDiscovery,
    /// Graph API: a token for a token, `/refresh_access_token`.
    GraphRefresh,
    /// X API: a user by name, `/2/users/by/username/NAME`.
    XUserByName,
    /// X API: users by their names, `/2/users/by`.
    XUsersBy,
    /// X API: the posts of a user, `/2/users/ID/tweets`.
    XTimeline,
    /// X API: the posts of the last days, `/2/tweets/search/recent`.
    XSearch,
}

/// The APIs that the simulator plays.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Api {
    /// The web API of Instagram.
    Web,
    /// The Instagram Graph API.
    Graph,
    /// The X API v2.
    X,
}

impl Api {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        match request.segments().next() {
            Some("2") => Self::X,
            Some("refresh_access_token") => Self::Graph,
            Some(first) if is_version(first) => Self::Graph,
            _ => Self::Web,
        }
    }
}

impl Route {
    pub(crate) const ALL: [Self; 22] = [
        Self::Other,
        Self::Profile,
        Self::Reels,
        Self::Viewer,
        Self::GraphqlReels,
        Self::UserStory,
        Self::Tray,
        Self::UserInfo,
        Self::Search,
        Self::HomePage,
        Self::ProfilePage,
        Self::GraphqlProfile,
        Self::GraphqlPublicStory,
        Self::GraphqlTray,
        Self::GraphStories,
        Self::GraphMedia,
        Self::GraphDiscovery,
        Self::GraphRefresh,
        Self::XUserByName,
        Self::XUsersBy,
        Self::XTimeline,
        Self::XSearch,
    ];

    /// The query hashes of GraphQL. domain: endpoints, instaloader.
    const HASHES: [(&'static [u8], Self); 4] = [
        (b"d6f4427fbe92d846298cf93df0b937d3", Self::Viewer),
        (b"303a4ae99711322310f25250d988f3b7", Self::GraphqlReels),
        (b"9ca88e465c3f866a76f7adee3871bdd8", Self::GraphqlPublicStory),
        (b"d15efd8c0c5b23f0ef71f18bf363c704", Self::GraphqlTray),
    ];
    /// The number of the query for a profile, instaloader.
    const PROFILE_DOC: &'static [u8] = b"27937681195819736";

    pub(crate) fn of(request: &Request<'_>) -> Self {
        match *request.method() {
            Method::GET => Self::of_get(request),
            Method::POST => Self::of_post(request),
            _ => Self::Other,
        }
    }

    fn of_post(request: &Request<'_>) -> Self {
        let is_query =
            matches!(request.path().trim_end_matches('/'), "/graphql/query" | "/api/graphql");
        if is_query && request.fields("doc_id").any(|doc| *doc == *Self::PROFILE_DOC) {
            Self::GraphqlProfile
        } else {
            Self::Other
        }
    }

    fn of_get(request: &Request<'_>) -> Self {
        // Paths of the web API end with a slash, which is an empty segment here.
        let mut segments = request.segments();
        let mut next = || segments.next();
        match [next(), next(), next(), next(), next(), next(), next()]
            .map(|part| part.unwrap_or("\0"))
        {
            ["api", "v1", "users", "web_profile_info", "", "\0", ..] => Self::Profile,
            ["api", "v1", "feed", "reels_media", "", "\0", ..] => Self::Reels,
            ["api", "v1", "feed", "reels_tray", "", "\0", ..] => Self::Tray,
            ["api", "v1", "feed", "user", _, "story", ""] => Self::UserStory,
            ["api", "v1", "users", _, "info", "", "\0"] => Self::UserInfo,
            ["web", "search", "topsearch", "", "\0", ..] => Self::Search,
            ["graphql", "query", "", "\0", ..] | ["graphql", "query", "\0", ..] => {
                let asks = |known: &[u8]| request.params("query_hash").any(|hash| *hash == *known);
                let known = Self::HASHES.into_iter().find(|(hash, _)| asks(hash));
                known.map_or(Self::Other, |(_, route)| route)
            }
            ["", "\0", ..] => Self::HomePage,
            ["refresh_access_token", "\0", ..] => Self::GraphRefresh,
            [version, _, "stories", "\0", ..] if is_version(version) => Self::GraphStories,
            [version, _, "\0", ..] if is_version(version) => {
                let discovery = |fields: Cow<'_, [u8]>| {
                    String::from_utf8_lossy(&fields).contains("business_discovery")
                };
                if request.params("fields").any(discovery) {
                    Self::GraphDiscovery
                } else {
                    Self::GraphMedia
                }
            }
            ["2", "users", "by", "username", _, "\0", ..] => Self::XUserByName,
            ["2", "users", "by", "\0", ..] => Self::XUsersBy,
            ["2", "users", _, "tweets", "\0", ..] => Self::XTimeline,
            ["2", "tweets", "search", "recent", "\0", ..] => Self::XSearch,
            [name, "", "\0", ..] if !PLACES.contains(&name) => Self::ProfilePage,
            _ => Self::Other,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Profile => "profile",
            Self::Reels => "reels",
            Self::Viewer => "viewer",
            Self::GraphqlReels => "graphql_reels",
            Self::UserStory => "user_story",
            Self::Tray => "tray",
            Self::UserInfo => "user_info",
            Self::Search => "search",
            Self::HomePage => "home_page",
            Self::ProfilePage => "profile_page",
            Self::GraphqlProfile => "graphql_profile",
            Self::GraphqlPublicStory => "graphql_public_story",
            Self::GraphqlTray => "graphql_tray",
            Self::GraphStories => "graph_stories",
            Self::GraphMedia => "graph_media",
            Self::GraphDiscovery => "graph_discovery",
            Self::GraphRefresh => "graph_refresh",
            Self::XUserByName => "x_user_by_name",
            Self::XUsersBy => "x_users_by",
            Self::XTimeline => "x_timeline",
            Self::XSearch => "x_search",
        }
    }
}

/// Pages whose names nobody can have.
const PLACES: [&str; 6] = ["2", "accounts", "api", "challenge", "explore", "graphql"];

/// `v25.0` and the like.
fn is_version(segment: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| number(major) && number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_half_escapes_kept() {
        assert_eq!(&*percent_decode(b"4200%3Aabc%3a1", false), b"4200:abc:1");
        assert_eq!(&*percent_decode(b"a+b%20c", true), b"a b c");
        assert_eq!(&*percent_decode(b"a+b", false), b"a+b");
        assert_eq!(&*percent_decode(b"%4%zz%", true), b"%4%zz%");
    }

    #[test]
    fn cookies_are_found_in_any_line() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "xsessionid=no; mid=1".parse().unwrap());
        headers.append("cookie", "a=b;  sessionid=7%3Ax; sessionid=late".parse().unwrap());
        let uri = Uri::from_static("/");
        let request = Request::new(&Method::GET, &uri, &headers);
        assert_eq!(request.cookie("sessionid").as_deref(), Some(&b"7:x"[..]));
        assert_eq!(request.cookie("rur"), None);
    }

    #[test]
    fn endpoints_are_told_apart_by_path_and_query() {
        let headers = HeaderMap::new();
        for (path, api, route) in [
            ("/", Api::Web, Route::HomePage),
            ("/tea.house/", Api::Web, Route::ProfilePage),
            ("/tea.house", Api::Web, Route::Other),
            ("/tea.house/reels/", Api::Web, Route::Other),
            ("/challenge/?next=/", Api::Web, Route::Other),
            ("/api/v1/users/web_profile_info/?username=a", Api::Web, Route::Profile),
            ("/api/v1/users/web_profile_info", Api::Web, Route::Other),
            ("/api/v1/users/web_profile_info/more/", Api::Web, Route::Other),
            ("/api/v1/feed/reels_media/", Api::Web, Route::Reels),
            ("/api/v1/feed/reels_tray/", Api::Web, Route::Tray),
            ("/api/v1/feed/user/42/story/", Api::Web, Route::UserStory),
            ("/api/v1/feed/user/42/story/x", Api::Web, Route::Other),
            ("/api/v1/users/42/info/", Api::Web, Route::UserInfo),
            ("/web/search/topsearch/?query=a", Api::Web, Route::Search),
            ("/graphql/query/?query_hash=7", Api::Web, Route::Other),
            (
                "/graphql/query/?query_hash=303a4ae99711322310f25250d988f3b7",
                Api::Web,
                Route::GraphqlReels,
            ),
            (
                "/graphql/query?query_hash=d15efd8c0c5b23f0ef71f18bf363c704",
                Api::Web,
                Route::GraphqlTray,
            ),
            ("/v25.0/1784/stories?fields=id", Api::Graph, Route::GraphStories),
            ("/v25.0/1784?fields=id", Api::Graph, Route::GraphMedia),
            (
                "/v25.0/1784?fields=business_discovery.username(a)%7Bid%7D",
                Api::Graph,
                Route::GraphDiscovery,
            ),
            ("/v25/1784", Api::Web, Route::Other),
            ("/v25.0/1784/tags", Api::Graph, Route::Other),
            ("/refresh_access_token?grant_type=a", Api::Graph, Route::GraphRefresh),
            ("/2/users/by/username/a", Api::X, Route::XUserByName),
            ("/2/users/by?usernames=a", Api::X, Route::XUsersBy),
            ("/2/users/7/tweets", Api::X, Route::XTimeline),
            ("/2/tweets/search/recent?query=a", Api::X, Route::XSearch),
            ("/2/users/7/likes", Api::X, Route::Other),
        ] {
            let uri: Uri = path.parse().unwrap();
            let request = Request::new(&Method::GET, &uri, &headers);
            assert_eq!((Api::of(&request), Route::of(&request)), (api, route), "{path}");
        }
    }

    #[test]
    fn a_query_is_known_by_its_number() {
        let headers = HeaderMap::new();
        let route = |path: &str, body: &[u8]| {
            let uri: Uri = path.parse().unwrap();
            Route::of(&Request::new(&Method::POST, &uri, &headers).with_body(body))
        };
        let body = b"variables=%7B%7D&doc_id=27937681195819736";
        assert_eq!(route("/graphql/query", body), Route::GraphqlProfile);
        assert_eq!(route("/graphql/query/", body), Route::GraphqlProfile);
        assert_eq!(route("/api/graphql", body), Route::GraphqlProfile);
        assert_eq!(route("/graphql/query", b"doc_id=1"), Route::Other);
        assert_eq!(route("/api/v1/feed/reels_tray/", body), Route::Other);
    }

    #[test]
    fn the_audit_has_a_place_for_every_endpoint() {
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, place, "{}", route.name());
        }
    }

    #[test]
    fn params_keep_their_order() {
        let uri = Uri::from_static("/?reel_ids=1&x=2&reel_ids=%33&reel_ids");
        let headers = HeaderMap::new();
        let request = Request::new(&Method::GET, &uri, &headers);
        let ids: Vec<_> = request.params("reel_ids").map(Cow::into_owned).collect();
        assert_eq!(ids, [b"1", b"3"]);
    }
}
