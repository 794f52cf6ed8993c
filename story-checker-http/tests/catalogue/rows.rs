//! The rows. Ids W, T: see the comments in `classify.rs`; E: answers that look like "no story" and
//! are believed only with a proof; A: stories in every container; G: gated; N: not found; P: private.

use story_checker_core::{Class, Scope};
use story_checker_http::TransportErrorKind as Kind;

use super::script::{Answer, NOW, Route};
use super::{Expect, Row};
use crate::support::{EMPTY, NOBODY, NOT_FOUND, profile_with};

/// Every row there must be.
#[rustfmt::skip]
pub(super) const IDS: &[&str] = &[
    "W1", "W1-html", "W1-json", "W1-hint", "W2", "W2-400", "W2-200", "W2-no-session", "W3", "W3-400", "W3-401",
    "W4", "W4-relative", "W5", "W5-link", "W5-as-json", "W6", "W6-201", "W6-redirect", "W7", "W7-relative",
    "W8", "W9", "W9-suspended", "W9-redirect", "W10", "W10-type", "W11", "W12", "W12-redirect", "W13",
    "W14", "W14-sentry", "W14-blocked", "W15", "W15-story", "W16", "W17", "W17-html", "W17-null", "W17-foreign-page",
    "W18", "W18-odd", "W18-message", "W19", "W19-query", "W19-execution", "W20", "W20-json", "W20-408", "W20-560",
    "W20-572", "W20-hint", "W21", "W21-empty", "W21-cut", "W22", "W22-400", "W22-401", "W22-403", "W22-404",
    "W22-201", "W22-list",
    "T-407", "T-407-connect", "T-connect", "T-origin", "T-origin-reset", "T-origin-timeout", "T-origin-slow", "T-cf",
    "T-captive", "T-captive-redirect", "T-captive-host", "T-tls", "T-refused", "T-stale", "T-foreign-json", "T-decode",
    "T-too-large", "T-text", "T-request",
    "E-map", "E-list", "E-graphql", "E-single", "E-latest-0", "E-latest", "E-expired", "E-live", "E-live-single",
    "E-logged-out", "E-user-null", "E-proof-404", "E-private", "E-followed",
    "E-no-key", "E-no-status", "E-status", "E-null-map", "E-null-list", "E-null-data", "E-no-list", "E-null-reel",
    "E-items-null", "E-items-absent", "E-stub", "E-stub-twice", "E-stub-no-key", "E-count", "E-latest-in-reel",
    "E-graphql-errors", "E-two-lists", "E-lists-differ", "E-wrong-type", "E-201", "E-other-reel", "E-other-id",
    "E-other-items", "E-highlight", "E-archive", "E-no-time", "E-broadcast-of-other",
    "A-map", "A-list", "A-graphql", "A-stub", "A-numbers", "A-besties", "A-still", "A-no-media", "A-and-live",
    "G-profile", "G-by-id", "N-search", "N-renamed", "N-found", "N-found-open", "N-search-odd", "N-other-name", "P-profile",
];

const PLEASE_WAIT: &str = r#"{"message":"Please wait a few minutes before you try again.","require_login":true,"igweb_rollout":true,"status":"fail"}"#;
const LOGGED_OUT: &str = r#"{"message":"login_required","error_title":"You've Been Logged Out","logout_reason":8,"status":"fail"}"#;
const RATE_LIMIT: &str = r#"{"message":"x","error_type":"rate_limit_error","status":"fail"}"#;
const CHALLENGE: &str = r#"{"message":"challenge_required","challenge":{"url":"https://i.instagram.com/challenge/1/","api_path":"/challenge/1/","lock":true,"logout":false,"native_flow":true},"status":"fail","error_type":"checkpoint_challenge_required"}"#;
const WITHHELD: &str = r#"{"message":"Not authorized to view user","status":"fail"}"#;
const NOBODYS_PAGE: &str = "<!DOCTYPE html><html><h2>Sorry, this page isn't available.</h2></html>";

const WAITS: u64 = 600;
const WINDOW: u64 = 660;

fn json(status: u16, body: &str) -> Answer {
    Answer::json(status, body)
}

fn html(status: u16, body: &str) -> Answer {
    Answer::html(status, body)
}

/// A row whose answer comes to the first request.
fn first(id: &'static str, answer: Answer, expect: Expect, says: &'static str) -> Row {
    Row { id, with: vec![(Route::Profile, answer)], expect, says }
}

/// A row whose answer is the one about reels.
fn reels(id: &'static str, body: &str, expect: Expect, says: &'static str) -> Row {
    Row { id, with: vec![(Route::Reels, json(200, body))], expect, says }
}

/// A row whose answer about reels is a stub, so that the reel is asked for alone.
fn stub(id: &'static str, claims: bool, alone: Answer, expect: Expect, says: &'static str) -> Row {
    let latest = if claims { NOW - 60 } else { NOW - 200_000 };
    let stub = format!(
        r#"{{"reels":{{"42":{{"id":42,"items":null,"latest_reel_media":{latest}}}}},"status":"ok"}}"#
    );
    let with = vec![(Route::Reels, json(200, &stub)), (Route::Story, alone)];
    Row { id, with, expect, says }
}

/// A row about an account whose name is not found.
fn nobody(id: &'static str, search: &str, info: Answer, expect: Expect, says: &'static str) -> Row {
    let with = vec![
        (Route::Profile, json(404, NOT_FOUND)),
        (Route::Search, json(200, search)),
        (Route::Info, info),
    ];
    Row { id, with, expect, says }
}

fn story(more: &str) -> String {
    format!(r#"{{"pk":"7","id":"7_42","taken_at":{},"media_type":1{more}}}"#, NOW - 60)
}

fn reel(items: &str) -> String {
    format!(r#"{{"reels":{{"42":{{"id":"42","items":[{items}]}}}},"status":"ok"}}"#)
}

pub(super) fn rows() -> Vec<Row> {
    [platform(), transport(), empty(), stories(), accounts()].into_iter().flatten().collect()
}

/// Rows that mean more the second time in a row.
pub(super) fn second_rows() -> Vec<Row> {
    let rest = |rest| {
        Expect::Fault(Class::RateLimited, Scope::Session, "session rests, defer", Some(rest))
    };
    let login = Expect::Fault(
        Class::AuthRequired,
        Scope::Session,
        "session needs login, defer, tell",
        None,
    );
    vec![
        first("W2", json(401, PLEASE_WAIT), rest(WAITS), "log the session in again"),
        first("W7", Answer::to("https://www.instagram.com/"), login, "import the cookies again"),
        first("W14", json(400, RATE_LIMIT), rest(WINDOW), "ask more slowly"),
    ]
}

#[rustfmt::skip]
fn platform() -> Vec<Row> {
    use Class::{AuthRequired, Blocked, ChallengeRequired, Malformed, Permanent, RateLimited, Transient};
    use Expect::{Fault, Verdict};
    use Scope::{Endpoint, Ours, Proxy, Session};

    let limit = |rest| Fault(RateLimited, Session, "session rests, defer", Some(rest));
    let wait = |rest| Fault(RateLimited, Proxy, "proxy rests, defer", Some(rest));
    let login = Fault(AuthRequired, Session, "session needs login, defer, tell", None);
    let human = Fault(ChallengeRequired, Session, "session challenged, defer, tell", None);
    let suspended = Fault(Permanent, Session, "session suspended, defer, tell", None);
    let banned = Fault(Blocked, Proxy, "proxy rests, defer", None);
    let ours = Fault(Permanent, Ours, "dead, tell", None);
    let server = Fault(Transient, Endpoint, "retry", None);
    let odd = Fault(Malformed, Endpoint, "retry", None);
    let page = Fault(Malformed, Proxy, "proxy counts, retry", None);
    let denied = Fault(Malformed, Session, "retry", None);
    vec![
        first("W1", json(429, ""), limit(WINDOW), "nothing is asked until"),
        first("W1-html", html(429, "<html>"), limit(WINDOW), "nothing is asked until"),
        first("W1-json", json(429, r#"{"message":"","status":"fail"}"#), limit(WINDOW), "nothing is asked until"),
        first("W1-hint", json(429, "").with("retry-after", "86400"), limit(86_400), "nothing is asked until"),
        first("W2", json(401, PLEASE_WAIT), wait(WAITS), "use another address, then log the session in again"),
        first("W2-400", json(400, PLEASE_WAIT), wait(WAITS), "use another address"),
        first("W2-200", json(200, PLEASE_WAIT).with("retry-after", "5"), wait(WAITS), "use another address"),
        first("W2-no-session", json(401, PLEASE_WAIT).with("set-cookie", "sessionid=\"\"; Max-Age=0"), login, "import its cookies again"),
        first("W3", json(403, LOGGED_OUT), login, "import its cookies again"),
        first("W3-400", json(400, LOGGED_OUT), login, "import its cookies again"),
        first("W3-401", json(401, LOGGED_OUT), login, "import its cookies again"),
        first("W4", Answer::to("https://www.instagram.com/accounts/login/?next=/api/"), login, "import the cookies again"),
        first("W4-relative", Answer::to("/accounts/login/?next=%2F"), login, "import the cookies again"),
        first("W5", html(200, "<title>Login</title> LoginAndSignupPage"), login, "import the cookies again"),
        first("W5-link", html(200, "<a href=\"/accounts/login/\">"), login, "import the cookies again"),
        first("W5-as-json", json(200, " <html>LoginAndSignupPage"), login, "import the cookies again"),
        first("W6", html(200, "<form action=\"/challenge/1/\">"), human, "import it anew"),
        first("W6-201", html(201, "<html>wall</html>"), page, "check the proxy"),
        first("W6-redirect", Answer::to("/challenge/?next=/"), human, "import it anew"),
        first("W7", Answer::to("https://www.instagram.com/"), denied, "log the session in again"),
        first("W7-relative", Answer::to("/"), denied, "log the session in again"),
        first("W8", json(400, r#"{"message":"checkpoint_required","checkpoint_url":"/challenge/?next=/","lock":false,"flow_render_type":0,"status":"fail"}"#), human, "import it anew"),
        first("W9", json(400, CHALLENGE), human, "import it anew"),
        first("W9-suspended", json(400, &CHALLENGE.replace("/challenge/1/", "/suspended/")), suspended, "its owner can appeal"),
        first("W9-redirect", Answer::to("/accounts/suspended/"), suspended, "its owner can appeal"),
        first("W10", html(404, "Not Found"), human, "import it anew"),
        first("W10-type", json(404, "Not Found").with("content-type", "text/plain"), human, "import it anew"),
        first("W11", json(400, r#"{"message":"feedback_required","spam":true,"feedback_title":"Try Again Later","feedback_message":"x","status":"fail"}"#),
            Fault(Blocked, Session, "session rests, defer", Some(24 * 3_600)), "leave it alone"),
        first("W12", json(400, r#"{"message":"consent_required","consent_data":{"headline":"x","content":"x","button_text":"x"},"status":"fail"}"#), human, "decide, then import it anew"),
        first("W12-redirect", Answer::to("/terms/unblock/"), human, "decide, then import it anew"),
        first("W13", json(400, r#"{"message":"useragent mismatch","status":"fail"}"#), ours, "correct the configuration"),
        first("W14", json(400, RATE_LIMIT), wait(WINDOW), "ask more slowly"),
        first("W14-sentry", json(400, r#"{"error_type":"sentry_block","status":"fail"}"#), banned, "use another one"),
        first("W14-blocked", json(400, r#"{"message":"user_blocked","status":"fail"}"#), banned, "use another one"),
        first("W15", json(400, WITHHELD), Verdict("private"), "the profile is private"),
        stub("W15-story", true, json(400, WITHHELD), Verdict("private"), "may not view the account"),
        first("W16", json(400, r#"{"message":"The username you entered doesn't appear to belong to an account. Please check.","status":"fail"}"#), banned, "use another one"),
        first("W17", json(404, NOT_FOUND), Verdict("not_found"), "asked in a second way"),
        first("W17-html", html(404, NOBODYS_PAGE), Verdict("not_found"), "asked in a second way"),
        first("W17-null", json(200, NOBODY), Verdict("not_found"), "asked in a second way"),
        first("W17-foreign-page", html(404, "<html>nginx</html>"), page, "check the proxy"),
        first("W18", json(200, r#"{"status":"fail","message":"odd"}"#), server, "asked again later"),
        first("W18-odd", json(200, r#"{"status":"fail","message":{"errors":["odd"]}}"#), server, "asked again later"),
        first("W18-message", json(200, r#"{"status":"fail","message":"checkpoint_required"}"#), human, "import it anew"),
        first("W19", json(200, r#"{"data":null,"errors":[{"summary":"Login required","message":"x"}],"status":"ok"}"#), login, "import the cookies again"),
        first("W19-query", json(200, r#"{"data":null,"errors":[{"summary":"Incorrect Query"}],"status":"ok"}"#), ours, "update it"),
        first("W19-execution", json(200, r#"{"errors":[{"message":"execution error"}],"status":"ok"}"#), ours, "update it"),
        first("W20", html(500, "<html>"), server, "asked again later"),
        first("W20-json", json(503, r#"{"message":"Oops, an error occurred."}"#), server, "asked again later"),
        first("W20-408", html(408, ""), server, "asked again later"),
        first("W20-560", html(560, ""), server, "asked again later"),
        first("W20-572", html(572, ""), server, "asked again later"),
        first("W20-hint", html(503, "").with("retry-after", "30"), Fault(Transient, Endpoint, "retry", Some(30)), "asked again later"),
        first("W21", json(200, r#"{"data":{"user":{"id"#), odd, "asked again"),
        first("W21-empty", json(200, ""), odd, "asked again"),
        first("W21-cut", Answer::Fails(Kind::Truncated), page, "broke off"),
        first("W22", json(200, r#"{"status":"ok"}"#), odd, "update this checker"),
        first("W22-400", json(400, r#"{"message":"Invalid reel id list","status":"fail"}"#), odd, "update this checker"),
        first("W22-401", json(401, r#"{"message":"","status":"fail"}"#), login, "import its cookies again"),
        first("W22-403", json(403, r#"{"message":"odd","status":"fail"}"#), odd, "update this checker"),
        first("W22-404", json(404, r#"{"message":"odd","status":"fail"}"#), odd, "update this checker"),
        first("W22-201", json(201, r#"{"status":"ok"}"#), odd, "update this checker"),
        first("W22-list", json(200, "[]"), page, "update this checker"),
    ]
}

#[rustfmt::skip]
fn transport() -> Vec<Row> {
    use Class::{Blocked, Malformed, Permanent, Timeout, Transient};
    use Expect::Fault;
    use Scope::{Endpoint, Ours, Proxy};

    let banned = Fault(Blocked, Proxy, "proxy rests, defer", None);
    let page = Fault(Malformed, Proxy, "proxy counts, retry", None);
    let odd = Fault(Malformed, Endpoint, "retry", None);
    let counts = Fault(Transient, Proxy, "proxy counts, retry", None);
    vec![
        first("T-407", html(407, ""), banned, "check its user and password"),
        first("T-407-connect", Answer::Fails(Kind::ProxyAuth), banned, "check its user and password"),
        first("T-connect", Answer::Fails(Kind::ProxyConnect), banned, "check its address"),
        first("T-refused", Answer::Fails(Kind::ProxyOther), banned, "check its scheme and its rules"),
        first("T-origin", Answer::Fails(Kind::Connect), counts, "cannot be reached"),
        first("T-origin-reset", Answer::Fails(Kind::Reset), counts, "broke before the answer"),
        first("T-origin-timeout", Answer::Fails(Kind::Timeout { before_head: true }), Fault(Timeout, Proxy, "proxy counts, retry", None), "no answer in time"),
        first("T-origin-slow", Answer::Fails(Kind::Timeout { before_head: false }), Fault(Timeout, Proxy, "proxy counts, retry", None), "did not end in time"),
        first("T-cf", html(403, "<html>").with("server", "cloudflare").with("cf-mitigated", "challenge"), banned, "use another address"),
        first("T-captive", html(200, "<html>Welcome to our hotel. Log in!</html>"), page, "log in to the network"),
        first("T-captive-redirect", Answer::to("http://portal.hotel.test/accounts/login/"), page, "log in to the network"),
        first("T-captive-host", Answer::to("//portal.hotel.test"), page, "log in to the network"),
        first("T-tls", Answer::Fails(Kind::Tls), page, "no safe connection"),
        first("T-stale", json(200, EMPTY).with("age", "86400"), page, "use a proxy that does not keep answers"),
        first("T-foreign-json", json(200, r#"{"origin":"203.0.113.9"}"#), page, "check the proxy"),
        first("T-decode", Answer::Fails(Kind::Decode), odd, "not HTTP"),
        first("T-too-large", Answer::Fails(Kind::BodyTooLarge), odd, "given up"),
        first("T-text", json(200, r#"{"status":"ok"}"#).with("content-type", "text/plain"), page, "check the proxy"),
        first("T-request", Answer::Fails(Kind::InvalidRequest), Fault(Permanent, Ours, "dead, tell", None), "check base URL"),
    ]
}

#[rustfmt::skip]
fn empty() -> Vec<Row> {
    use Class::{AuthRequired, Malformed, Permanent};
    use Expect::{Fault, Verdict};
    use Scope::{Endpoint, Ours, Proxy, Session};

    const PROOF: &str = "a later request showed that the session was logged in";
    let none = Verdict("no_story");
    let login = Fault(AuthRequired, Session, "session needs login, defer, tell", None);
    let odd = Fault(Malformed, Endpoint, "retry", None);
    let ours = Fault(Permanent, Ours, "dead, tell", None);
    let ended = NOW - 86_400;
    let claims = |latest| json(200, &profile_with(42, "a", &format!(r#""is_private":false,"latest_reel_media":{latest}"#)));
    let seen_as = |more| json(200, &profile_with(42, "a", more));
    let null = r#"{"broadcast":null,"reel":null,"status":"ok"}"#;
    vec![
        reels("E-map", EMPTY, none, PROOF),
        reels("E-list", r#"{"reels_media":[],"status":"ok"}"#, none, PROOF),
        reels("E-graphql", r#"{"data":{"reels_media":[]},"status":"ok"}"#, none, PROOF),
        stub("E-single", false, json(200, null), none, PROOF),
        first("E-latest-0", claims(0), none, PROOF),
        first("E-latest", claims(NOW - 60), odd, "the profile says there is a story"),
        reels("E-expired", &reel(&format!(r#"{{"pk":"7","taken_at":{ended}}}"#)), none, "1 items had ended"),
        reels("E-live", r#"{"reels":{"42":{"id":"42","items":[],"broadcast":{"id":"9"}}},"status":"ok"}"#, none, "live now"),
        stub("E-live-single", false, json(200, r#"{"broadcast":{"id":"9","broadcast_owner":{"pk":42}},"reel":null,"status":"ok"}"#), none, "live now"),
        Row { id: "E-logged-out", with: vec![(Route::Viewer, json(200, NOBODY))], expect: login, says: "import its cookies again" },
        reels("E-user-null", NOBODY, odd, "neither reels nor reels_media"),
        Row { id: "E-proof-404", with: vec![(Route::Viewer, json(404, NOT_FOUND))], expect: odd, says: "does not belong to this request" },
        first("E-private", seen_as(r#""is_private":true,"followed_by_viewer":false"#), Verdict("private"), "does not follow it"),
        first("E-followed", seen_as(r#""is_private":true,"followed_by_viewer":true"#), none, "private and followed"),
        reels("E-no-key", r#"{"status":"ok"}"#, odd, "update this checker"),
        reels("E-no-status", r#"{"reels":{},"reels_media":[]}"#, Fault(Malformed, Proxy, "proxy counts, retry", None), "update this checker"),
        reels("E-status", r#"{"reels":{},"reels_media":[],"status":"soft_fail"}"#, odd, "does not say status ok"),
        reels("E-null-map", r#"{"reels":null,"reels_media":[],"status":"ok"}"#, odd, "update this checker"),
        reels("E-null-list", r#"{"reels_media":null,"status":"ok"}"#, odd, "update this checker"),
        reels("E-null-data", r#"{"data":null,"status":"ok"}"#, odd, "update this checker"),
        reels("E-no-list", r#"{"data":{},"status":"ok"}"#, odd, "update this checker"),
        reels("E-null-reel", r#"{"reels":{"42":null},"status":"ok"}"#, odd, "the reel is null"),
        reels("E-items-null", r#"{"reels":{"42":{"id":"42","items":null}},"status":"ok"}"#, odd, "without its items"),
        reels("E-items-absent", r#"{"reels":{"42":{"id":"42","media_count":0}},"status":"ok"}"#, odd, "without its items"),
        stub("E-stub", true, json(200, null), odd, "another shows none"),
        stub("E-stub-twice", false, json(200, r#"{"reel":{"id":42,"latest_reel_media":1},"status":"ok"}"#), odd, "also if asked for alone"),
        stub("E-stub-no-key", false, json(200, r#"{"broadcast":null,"status":"ok"}"#), odd, "there is no reel"),
        Row { id: "E-count", with: vec![
            (Route::Reels, json(200, r#"{"reels":{"42":{"id":"42","items":[],"media_count":2}},"status":"ok"}"#)),
            (Route::Story, json(200, null)),
        ], expect: odd, says: "another shows none" },
        Row { id: "E-latest-in-reel", with: vec![
            (Route::Reels, json(200, &format!(r#"{{"reels":{{"42":{{"id":"42","items":[],"latest_reel_media":{}}}}},"status":"ok"}}"#, NOW - 60))),
            (Route::Story, json(200, r#"{"reel":{"id":"42","items":[]},"status":"ok"}"#)),
        ], expect: odd, says: "another shows none" },
        reels("E-graphql-errors", r#"{"errors":[{"message":"execution error"}],"data":{"reels_media":[]},"status":"ok"}"#, ours, "update it"),
        reels("E-two-lists", r#"{"data":{"reels_media":[]},"reels_media":[],"status":"ok"}"#, odd, "update this checker"),
        reels("E-lists-differ", r#"{"reels":{},"reels_media":[{"id":"42"}],"status":"ok"}"#, odd, "holds more than reels"),
        reels("E-wrong-type", r#"{"reels":[],"reels_media":{},"status":"ok"}"#, odd, "update this checker"),
        Row { id: "E-201", with: vec![(Route::Reels, json(201, EMPTY))], expect: odd, says: "update this checker" },
        reels("E-other-reel", &reel(&story("")).replace("42", "43"), odd, "nobody asked for"),
        reels("E-other-id", r#"{"reels":{"42":{"id":"43","items":[]}},"status":"ok"}"#, odd, "another account's"),
        reels("E-other-items", &reel(&story("").replace("7_42", "7_43")), odd, "only items of other accounts"),
        reels("E-highlight", r#"{"reels":{"42":{"reel_type":"highlight_reel","items":[]}},"status":"ok"}"#, odd, "not made of current stories"),
        reels("E-archive", r#"{"reels":{"42":{"reel_type":"archive_day_reel","items":[]}},"status":"ok"}"#, odd, "not made of current stories"),
        reels("E-no-time", &reel(r#"{"pk":"7"}"#), odd, "without id or time"),
        reels("E-broadcast-of-other", r#"{"reels":{"42":{"items":[],"broadcast":{"broadcast_owner":{"pk":43}}}},"status":"ok"}"#, odd, "another account's"),
    ]
}

#[rustfmt::skip]
fn stories() -> Vec<Row> {
    let active = Expect::Verdict("active");
    let one = "1 item of this account";
    let alone = |more: &str| format!(r#"{{"reel":{{"id":"42","items":[{}]}}{more},"status":"ok"}}"#, story(""));
    let graphql = format!(
        r#"{{"data":{{"reels_media":[{{"id":"42","items":[{{"__typename":"GraphStoryImage","id":"7","is_video":false,"taken_at_timestamp":{},"owner":{{"id":"42"}}}}]}}]}},"status":"ok"}}"#,
        NOW - 60
    );
    vec![
        reels("A-map", &reel(&story("")), active, one),
        reels("A-list", &format!(r#"{{"reels_media":[{{"id":"42","items":[{}]}}],"status":"ok"}}"#, story("")), active, one),
        reels("A-graphql", &graphql, active, one),
        stub("A-stub", true, json(200, &alone("")), active, one),
        reels("A-numbers", &reel(&story("")).replace("\"42\",", "42,").replace("\"7\"", "7"), active, one),
        reels("A-besties", &reel(&story(r#","audience":"besties""#)), active, "item 7 is shown to close friends only"),
        reels("A-still", &reel(&story("").replace("\"media_type\":1", "\"media_type\":2,\"original_media_type\":1")), active, "item 7 is a picture that comes as a video"),
        reels("A-no-media", &reel(&story(r#","image_versions2":null"#)), active, one),
        stub("A-and-live", true, json(200, &alone(r#","broadcast":{}"#)), active, "live now"),
    ]
}

#[rustfmt::skip]
fn accounts() -> Vec<Row> {
    use Expect::{Fault, Verdict};

    let odd = Fault(Class::Malformed, Scope::Endpoint, "retry", None);
    let found = r#"{"users":[{"position":0,"user":{"pk":"42","username":"a"}}],"status":"ok"}"#;
    let others = r#"{"users":[{"position":0,"user":{"pk":"43","username":"a_"}}],"status":"ok"}"#;
    let unknown = || json(404, NOT_FOUND);
    let info = |more: &str| json(200, &format!(r#"{{"user":{{"pk":42,"is_private":false,{more}}},"status":"ok"}}"#));
    vec![
        first("G-profile", json(200, &profile_with(42, "a", r#""is_private":false,"gating":{"title":"x"}"#)), Verdict("gated"), "withholds it"),
        nobody("G-by-id", found, info(r#""username":"a","gating":{"title":"x"}"#), Verdict("gated"), "withholds it"),
        nobody("N-search", others, unknown(), Verdict("not_found"), "asked in a second way"),
        nobody("N-renamed", found, info(r#""username":"b""#), Verdict("not_found"), "asked in a second way"),
        nobody("N-found", r#"{"users":[{"user":{"username":"A"}}],"status":"ok"}"#, unknown(), odd, "when asked in a second way"),
        nobody("N-found-open", found, info(r#""username":"a""#), odd, "when asked in a second way"),
        nobody("N-search-odd", r#"{"users":[{"user":{"pk":"42"}}],"status":"ok"}"#, unknown(), odd, "update this checker"),
        first("N-other-name", json(200, r#"{"data":{"user":{"id":"43","username":"b","is_private":false}},"status":"ok"}"#), odd, "another account's"),
        first("P-profile", json(200, &profile_with(42, "a", r#""is_private":true,"followed_by_viewer":false"#)), Verdict("private"), "does not follow it"),
    ]
}
