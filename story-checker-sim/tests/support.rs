//! Requests without sockets.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;
use story_checker_sim::{Peer, Plan, Platform, ProxyId, Request, SimConfig, Timestamp};

/// Noon of a day in 2026.
pub(crate) const NOON: Timestamp = Timestamp::from_unix_secs(1_795_262_400);

pub(crate) const VIEWER: &str =
    "/graphql/query/?query_hash=d6f4427fbe92d846298cf93df0b937d3&variables=%7B%7D";

pub(crate) fn platform(config: SimConfig) -> Platform {
    Platform::new(config).unwrap()
}

pub(crate) fn cookie(platform: &Platform, session: usize) -> String {
    let cookies = platform.session_credentials(session).unwrap();
    cookies.map(|(name, value)| format!("{name}={value}")).join("; ")
}

pub(crate) fn peer() -> Peer {
    Peer::via(ProxyId::new(0), ([127, 0, 0, 1], 4000).into())
}

pub(crate) fn headers(cookie: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-ig-app-id", HeaderValue::from_static("936619743392459"));
    if let Some(cookie) = cookie {
        headers.insert("cookie", HeaderValue::try_from(cookie).unwrap());
    }
    headers
}

/// Asks as a session, or as nobody.
pub(crate) fn get(platform: &Platform, session: Option<usize>, path: &str, now: Timestamp) -> Plan {
    get_via(platform, session, path, now, &peer())
}

pub(crate) fn get_via(
    platform: &Platform,
    session: Option<usize>,
    path: &str,
    now: Timestamp,
    peer: &Peer,
) -> Plan {
    let cookie = session.map(|session| cookie(platform, session));
    ask(platform, &Method::GET, path, &headers(cookie.as_deref()), now, peer)
}

pub(crate) fn ask(
    platform: &Platform,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    now: Timestamp,
    peer: &Peer,
) -> Plan {
    let uri: Uri = path.parse().unwrap();
    platform.handle(&Request::new(method, &uri, headers), now, peer)
}

pub(crate) fn json(plan: &Plan) -> Value {
    serde_json::from_slice(&plan.body).unwrap()
}

/// The status and the JSON of an answer.
pub(crate) fn answer(
    platform: &Platform,
    session: Option<usize>,
    path: &str,
    now: Timestamp,
) -> (StatusCode, Value) {
    let plan = get(platform, session, path, now);
    (plan.status, json(&plan))
}
