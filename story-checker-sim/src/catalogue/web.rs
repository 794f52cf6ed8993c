//! The answers of the web API, and what stands between it and its clients (domain: error catalogue,
//! web and private API; proxies).

use super::row::Row;

const LOGGED_OUT: &str = r#"{"message":"login_required","error_title":"You've Been Logged Out","error_message":"Please log back in.","logout_reason":8,"status":"fail"}"#;
const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\" class=\"no-js\"><head><title>Login &#8226; Instagram</title></head><body><script>window._sharedData={\"entry_data\":{\"LoginAndSignupPage\":[{}]}};</script></body></html>\n";
const CHALLENGE_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Instagram</title></head><body><form action=\"/challenge/7000000000/Ab1Cd2/\" method=\"post\"></form></body></html>\n";
const WALL_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Instagram</title></head><body><div id=\"react-root\"></div></body></html>\n";
const NOT_FOUND_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Page not found</title></head><body><h2>Sorry, this page isn't available.</h2></body></html>\n";
const ERROR_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Sorry, something went wrong</h1></body></html>\n";
const PORTAL: &str = "<!DOCTYPE html>\n<html><head><title>Welcome to Sim Hotel Wi-Fi</title></head><body><a href=\"http://portal.sim.test/accept\">Accept and surf</a></body></html>\n";
const CLOUDFLARE: &str = "<!DOCTYPE html>\n<html lang=\"en-US\"><head><title>Just a moment...</title></head><body></body></html>\n";

#[rustfmt::skip]
pub(super) const WEB: &[Row] = &[
    // Limits.
    Row::json("W1", 429, ""),
    Row::json("W1-json", 429, r#"{"message":"","status":"fail"}"#),
    Row::html("W1-html", 429, ERROR_PAGE),
    Row::json("W1-retry-after", 429, "").with_headers(&[("retry-after", "120")]),
    Row::json("W2", 401, r#"{"message":"Please wait a few minutes before you try again.","require_login":true,"igweb_rollout":true,"status":"fail"}"#),
    Row::json("W2-400", 400, r#"{"message":"Please wait a few minutes before you try again.","status":"fail"}"#),
    // The session is gone.
    Row::json("W3", 403, LOGGED_OUT),
    Row::json("W3-400", 400, LOGGED_OUT),
    Row::html("W4", 302, "").with_headers(&[("location", "https://www.instagram.com/accounts/login/?next=/")]),
    Row::html("W5", 200, LOGIN_PAGE),
    // Walls.
    Row::html("W6", 200, CHALLENGE_PAGE),
    Row::html("W6-wall", 200, WALL_PAGE),
    Row::html("W6-201", 201, WALL_PAGE),
    Row::html("W6-redirect", 302, "").with_headers(&[("location", "https://www.instagram.com/challenge/?next=/")]),
    Row::html("W7", 302, "").with_headers(&[("location", "https://www.instagram.com/")]),
    // A human is wanted.
    Row::json("W8", 400, r#"{"message":"checkpoint_required","checkpoint_url":"/challenge/?next=/","lock":false,"flow_render_type":0,"status":"fail"}"#),
    Row::json("W9", 400, r#"{"message":"challenge_required","challenge":{"url":"https://i.instagram.com/challenge/7000000000/Ab1Cd2/","api_path":"/challenge/7000000000/Ab1Cd2/","hide_webview_header":true,"lock":true,"logout":false,"native_flow":true},"status":"fail","error_type":"checkpoint_challenge_required"}"#),
    Row::json("W9-suspended", 400, r#"{"message":"challenge_required","challenge":{"url":"https://www.instagram.com/accounts/suspended/?next=/","api_path":"/accounts/suspended/","lock":true,"logout":false,"native_flow":false},"status":"fail","error_type":"checkpoint_challenge_required"}"#),
    Row::text("W10", 404, "Not Found"),
    Row::json("W11", 400, r#"{"message":"feedback_required","spam":true,"feedback_title":"Try Again Later","feedback_message":"We limit how often you can do certain things.","feedback_url":"repute/report_problem/instagram_web/","status":"fail"}"#),
    Row::json("W12", 400, r#"{"message":"consent_required","consent_data":{"headline":"Updates to Our Terms","content":"We updated our terms.","button_text":"Review Now"},"status":"fail"}"#),
    Row::json("W13", 400, r#"{"message":"useragent mismatch","status":"fail"}"#),
    // Limits and bans by address.
    Row::json("W14", 400, r#"{"message":"Please try again later.","error_type":"rate_limit_error","status":"fail"}"#),
    Row::json("W14-sentry", 400, r#"{"message":"Sorry, there was a problem with your request.","error_type":"sentry_block","status":"fail"}"#),
    Row::json("W14-blocked", 400, r#"{"message":"user_blocked","status":"fail"}"#),
    // The target.
    Row::json("W15", 400, r#"{"message":"Not authorized to view user","status":"fail"}"#),
    Row::json("W16", 400, r#"{"message":"The username you entered doesn't appear to belong to an account. Please check your username and try again.","status":"fail","error_type":"invalid_user"}"#),
    Row::json("W17", 404, r#"{"message":"User not found","status":"fail","error_type":"user_not_found"}"#),
    Row::html("W17-html", 404, NOT_FOUND_PAGE),
    Row::json("W17-null", 200, r#"{"data":{"user":null},"status":"ok"}"#),
    // Errors in a 200.
    Row::json("W18", 200, r#"{"message":"Sorry, something went wrong.","status":"fail"}"#),
    Row::json("W19", 200, r#"{"data":null,"errors":[{"summary":"Login required","message":"Please log in to continue.","severity":"CRITICAL"}],"status":"ok"}"#),
    Row::json("W19-execution", 200, r#"{"errors":[{"message":"execution error","severity":"CRITICAL"}],"status":"ok"}"#),
    Row::json("W19-query", 200, r#"{"data":null,"errors":[{"summary":"Incorrect Query","message":"The query provided was invalid.","severity":"CRITICAL"}],"status":"ok"}"#),
    // The servers.
    Row::html("W20", 500, ERROR_PAGE),
    Row::json("W20-json", 500, r#"{"message":"Oops, an error occurred.","status":"fail"}"#),
    Row::html("W20-502", 502, ERROR_PAGE),
    Row::html("W20-503", 503, ERROR_PAGE),
    Row::html("W20-504", 504, ERROR_PAGE),
    Row::html("W20-408", 408, ERROR_PAGE),
    Row::html("W20-560", 560, ERROR_PAGE),
    Row::html("W20-572", 572, ERROR_PAGE),
    Row::json("W21", 200, r#"{"reels":{"4200000017":{"id":"4200000017","items":[{"pk":"35"#),
    // Parses, but is no answer.
    Row::json("W22", 200, r#"{"status":"ok"}"#),
    Row::json("W22-type", 200, r#"{"reels":[],"reels_media":{},"data":[],"reel":[],"status":"ok"}"#),
    Row::json("W22-null", 200, r#"{"reels":null,"reels_media":null,"data":null,"status":"ok"}"#),
    Row::json("W22-list", 200, "[]"),
    Row::json("W22-status", 200, r#"{"reels":{},"reels_media":[],"data":{"reels_media":[]},"reel":null,"status":"soft_fail"}"#),
    // Nothing at all, and somebody else.
    Row::json("E-empty", 200, ""),
    Row::text("E-text", 200, "OK"),
    Row::html("T-cf", 403, CLOUDFLARE).with_headers(&[("server", "cloudflare"), ("cf-mitigated", "challenge")]),
    Row::html("T-captive", 200, PORTAL),
    Row::json("T-foreign", 200, r#"{"origin":"203.0.113.9","proxy":"free.proxy.sim.test"}"#),
    Row::json("T-stale", 200, r#"{"reels":{},"reels_media":[],"data":{"reels_media":[]},"reel":null,"status":"ok"}"#).with_headers(&[("age", "86400"), ("via", "1.1 cache.sim.test"), ("x-cache", "HIT")]),
    Row::html("T-redirect", 302, "").with_headers(&[("location", "http://portal.sim.test/login")]),
];
