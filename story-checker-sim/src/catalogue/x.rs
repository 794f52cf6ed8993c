//! The answers of the X API v2. domain: X problems, X docs and issue threads.

use super::row::Row;

pub(super) const X: &[Row] = &[
    Row::problem("X429-window", 429, r#"{"title":"Too Many Requests","detail":"Too Many Requests","type":"about:blank","status":429}"#).with_headers(NONE_LEFT),
    Row::json("X429-window-88", 429, r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#).with_headers(NONE_LEFT),
    Row::text("X429-window-plain", 429, "Rate limit exceeded\n").with_headers(NONE_LEFT),
    Row::problem("X429-cap", 429, r#"{"account_id":1900000000000000001,"product_name":"standard-basic","period":"Monthly","scope":"Product","title":"UsageCapExceeded","detail":"Usage cap exceeded: Monthly product cap","type":"https://api.x.com/2/problems/usage-capped"}"#).with_headers(SOME_LEFT),
    Row::problem("X402", 402, r#"{"account_id":1900000000000000001,"title":"CreditsDepleted","detail":"Your enrolled account [1900000000000000001] does not have any credits to fulfill this request.","type":"https://api.x.com/2/problems/credits"}"#),
    Row::problem("X401", 401, r#"{"title":"Unauthorized","detail":"Unauthorized","type":"about:blank","status":401}"#),
    Row::json("X401-32", 401, r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#),
    Row::problem("X403-unsupported-auth", 403, r#"{"title":"Unsupported Authentication","detail":"Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  Supported authentication types are [OAuth 1.0a User Context, OAuth 2.0 User Context].","type":"https://api.x.com/2/problems/unsupported-authentication","status":403}"#),
    Row::problem("X403-not-enrolled", 403, r#"{"client_id":"12345678","reason":"client-not-enrolled","registration_url":"https://developer.x.com/en/docs/projects/overview","required_enrollment":"Appropriate Level of API Access","title":"Client Forbidden","detail":"When authenticating requests to the X API v2 endpoints, you must use keys and tokens from a developer App that is attached to a Project.","type":"https://api.twitter.com/2/problems/client-forbidden"}"#),
    Row::problem("X403-user-suspended", 403, r#"{"title":"Forbidden","detail":"The user used for authentication is suspended","type":"https://api.x.com/2/problems/user-suspended","status":403}"#),
    Row::json("X403-326", 403, r#"{"errors":[{"code":326,"message":"To protect our users from spam and other malicious activity, this account is temporarily locked. Please log in to https://x.com to unlock your account."}]}"#),
    Row::problem("X400", 400, r#"{"errors":[{"parameters":{"query":["has:media"]},"message":"There were errors processing your request: Rule must contain at least one positive, non-stopword clause"}],"title":"Invalid Request","detail":"One or more parameters to your request was invalid.","type":"https://api.x.com/2/problems/invalid-request"}"#),
    Row::problem("X404", 404, r#"{"value":"tea_house","resource_type":"user","parameter":"username","resource_id":"tea_house","title":"Not Found Error","detail":"Could not find user with username: [tea_house].","type":"https://api.x.com/2/problems/resource-not-found","status":404}"#),
    Row::json("X-not-found", 200, r#"{"errors":[{"value":"tea_house","detail":"Could not find user with username: [tea_house].","title":"Not Found Error","resource_type":"user","parameter":"username","resource_id":"tea_house","type":"https://api.twitter.com/2/problems/resource-not-found"}]}"#),
    Row::json("X-unavailable", 200, r#"{"errors":[{"value":"700000007","detail":"The user with id: [700000007] is unavailable.","title":"Resource Unavailable","resource_type":"user","parameter":"id","resource_id":"700000007","type":"https://api.x.com/2/problems/resource-unavailable"}]}"#),
    Row::json("X-suspended", 200, r#"{"errors":[{"value":"tea_house","detail":"User has been suspended: [tea_house].","title":"Forbidden","resource_type":"user","parameter":"username","resource_id":"tea_house","type":"https://api.twitter.com/2/problems/resource-not-found"}]}"#),
    Row::json("X-not-authorized", 200, r#"{"errors":[{"value":"700000007","detail":"Sorry, you are not authorized to see the user with id: [700000007].","title":"Authorization Error","resource_type":"user","parameter":"id","resource_id":"700000007","type":"https://api.twitter.com/2/problems/not-authorized-for-resource"}]}"#),
    Row::json("X-hydration", 200, r#"{"errors":[{"value":"1990000000000000007","detail":"Could not hydrate the field [attachments] of the post with id: [1990000000000000007].","title":"Field Hydration Error","resource_type":"tweet","field":"attachments","resource_id":"1990000000000000007","type":"https://api.x.com/2/problems/field-hydration-failure"}]}"#),
    Row::json("X-field", 200, r#"{"errors":[{"value":"1990000000000000007","detail":"Sorry, you are not authorized to access 'non_public_metrics' on the post with id: [1990000000000000007].","title":"Field Authorization Error","resource_type":"tweet","field":"non_public_metrics","resource_id":"1990000000000000007","type":"https://api.twitter.com/2/problems/not-authorized-for-field"}]}"#),
    Row::json("X-internal", 200, r#"{"errors":[{"title":"Internal Error","detail":"Something went wrong on our side.","type":"https://api.x.com/2/problems/internal-error"}]}"#),
    Row::problem("X500", 500, r#"{"title":"Internal Server Error","detail":"Something is broken. Please post to the developer forum.","type":"https://api.x.com/2/problems/internal-error","status":500}"#),
    Row::problem("X502", 502, r#"{"title":"Bad Gateway","detail":"Bad Gateway","type":"about:blank","status":502}"#),
    Row::problem("X503", 503, r#"{"title":"Service Unavailable","detail":"Service Unavailable","type":"about:blank","status":503}"#),
    Row::problem("X504", 504, r#"{"title":"Gateway Timeout","detail":"Gateway Timeout","type":"about:blank","status":504}"#),
    Row::json("X130", 503, r#"{"errors":[{"code":130,"message":"Over capacity"}]}"#),
    Row::json("X131", 500, r#"{"errors":[{"code":131,"message":"Internal error"}]}"#),
    Row::text("Xplain", 503, "upstream connect error or disconnect/reset before headers. reset reason: overflow"),
    Row::problem("X-unknown", 403, r#"{"title":"Something New","detail":"Nobody has met this problem before.","type":"https://api.x.com/2/problems/something-new","status":403}"#),
];

const NONE_LEFT: &[(&str, &str)] =
    &[("x-rate-limit-limit", "450"), ("x-rate-limit-remaining", "0")];
const SOME_LEFT: &[(&str, &str)] =
    &[("x-rate-limit-limit", "450"), ("x-rate-limit-remaining", "437")];
