//! The Graph API: what each token shows, and what its answers mean for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Gate;
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Clock, Fault, MediaKind, Report, Scope, SystemClock, Target, Timestamp, Verdict,
};
use story_checker_http::instagram::{
    GraphChecker, GraphConfig, GraphLogin, GraphToken, account, graph_session, parse_discovery,
    parse_stories,
};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::*;

const STORIES: &str = "/v25.0/17841400000000001/stories";
const ME: &str = "/v25.0/17841400000000001";
const REFRESH: &str = "/refresh_access_token";
const NOTHING: &str = r#"{"data":[]}"#;
const DAY: Duration = Duration::from_secs(86_400);

fn story(id: u64, taken: u64) -> String {
    let at = Timestamp::from_secs(taken).to_string();
    let at = at.replace(".000Z", "+0000");
    format!(
        r#"{{"id":"{id}","media_type":"VIDEO","media_product_type":"STORY",
            "media_url":"https://cdn.sim.test/{id}.mp4?oh=PLANTED-signature&oe=1",
            "thumbnail_url":"https://cdn.sim.test/{id}.jpg?oh=PLANTED-signature&oe=1",
            "permalink":"https://www.instagram.com/stories/tea_house/{id}",
            "timestamp":"{at}","username":"tea_house"}}"#
    )
}

fn page(stories: &[String], after: &str, next: bool) -> String {
    let next = if next {
        r#","next":"https://graph.facebook.com/?access_token=PLANTED-next""#
    } else {
        ""
    };
    let data = stories.join(",");
    format!(
        r#"{{"data":[{data}],"paging":{{"cursors":{{"before":"QQ","after":"{after}"}}{next}}}}}"#
    )
}

fn error(code: i64, subcode: Option<i64>) -> ResponseTemplate {
    let subcode = subcode.map_or(String::new(), |code| format!(r#","error_subcode":{code}"#));
    let body = format!(
        r#"{{"error":{{"message":"(#{code}) PLANTED-message","type":"OAuthException","code":{code}{subcode},"fbtrace_id":"PLANTED-trace"}}}}"#
    );
    json(400, body)
}

fn token() -> GraphToken {
    GraphToken::new("PLANTED-access-token", "17841400000000001", "tea_house")
}

/// A token of Instagram Login, 51 days old, with nine left.
fn old_token() -> GraphToken {
    let now = Timestamp::from_secs(now());
    let mut token = token();
    token.login = GraphLogin::Instagram;
    token.issued_at = Some(now - 51 * DAY);
    token.expires_at = Some(now + 9 * DAY);
    token
}

/// A clock that is set by hand, for what happens in months.
#[derive(Debug)]
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A checker with one token, and what an engine would give it.
struct Office {
    server: MockServer,
    checker: GraphChecker,
    session: Arc<SessionHandle>,
    profile: CheckerProfile,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
}

impl Office {
    async fn new() -> Self {
        Self::with(token(), |_| {}).await
    }

    async fn with(token: GraphToken, change: impl FnOnce(&mut GraphConfig)) -> Self {
        Self::at(token, change, Arc::new(SystemClock::new())).await
    }

    async fn at(
        token: GraphToken,
        change: impl FnOnce(&mut GraphConfig),
        clock: Arc<dyn Clock>,
    ) -> Self {
        log();
        let server = MockServer::start().await;
        let mut config = GraphConfig::default();
        // Only where a token says so may the other host be asked.
        config.base_url = format!("{}/facebook", server.uri());
        config.login_base_url = format!("{}/instagram", server.uri());
        change(&mut config);
        let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
        let checker = GraphChecker::new(Arc::new(transport), config).unwrap();
        let record = graph_session("tea".into(), token).unwrap();
        let session = Arc::new(SessionHandle::new(record.id, record.credentials));
        let profile = checker.profile().clone();
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        Self { server, checker, session, profile, gate, clock }
    }

    fn context(&self) -> CheckContext {
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&self.clock)));
        CheckContext::new(&self.profile, Arc::clone(&self.gate), cache, Arc::clone(&self.clock))
            .with_patience(Duration::ZERO)
            .with_loan(GraphChecker::SESSION_KIND, Some("tea_house"), Arc::clone(&self.session))
    }

    async fn answer(&self, route: &str, answer: ResponseTemplate) {
        Mock::given(method("GET")).and(path(route)).respond_with(answer).mount(&self.server).await;
    }

    async fn stories(&self, answer: ResponseTemplate) {
        self.answer(&format!("/facebook{STORIES}"), answer).await;
    }

    async fn check(&self, name: &str) -> Result<Report, Fault> {
        self.check_in(name, &self.context()).await
    }

    async fn check_in(&self, name: &str, cx: &CheckContext) -> Result<Report, Fault> {
        let targets: Vec<Target> = vec![account(name).unwrap()];
        let mut answers = self.checker.check(&targets, cx).await;
        assert_eq!(answers.len(), 1);
        let answer = answers.remove(0);
        if let Ok(report) = &answer {
            assert_eq!(report.target, targets[0]);
            assert_eq!(report.evidence.source, "instagram-graph/1");
            assert_eq!(report.evidence.session.as_ref().unwrap().as_str(), "tea");
        }
        answer
    }

    /// The paths and queries of all requests so far, in order. None of them may hold the token.
    async fn seen(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        for request in &requests {
            assert!(!request.url.as_str().contains("PLANTED"), "{}", request.url);
        }
        let text = |request: &wiremock::Request| {
            let query = request.url.query().map_or(String::new(), |query| format!("?{query}"));
            format!("{}{query}", request.url.path())
        };
        requests.iter().map(text).collect()
    }
}

fn facts(report: &Report) -> String {
    report.evidence.facts.join("; ")
}

fn of(fault: &Fault) -> (Class, Scope) {
    (fault.class, fault.scope)
}

#[tokio::test]
async fn an_active_account_with_its_items() {
    let office = Office::new().await;
    let stories = [story(2, now() - 100), story(1, now() - 200), story(3, now() - 90_000)];
    Mock::given(method("GET"))
        .and(path(format!("/facebook{STORIES}")))
        .and(header("authorization", "Bearer PLANTED-access-token"))
        .and(header("accept", "application/json"))
        .respond_with(json(200, page(&stories, "Qg", false)))
        .mount(&office.server)
        .await;
    let report = office.check("Tea_House").await.unwrap();
    assert_eq!(report.verdict, Verdict::Active);
    let ids: Vec<_> = report.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(report.items[0].expires_at.unwrap().since(report.items[0].taken_at), DAY);
    assert_eq!(report.items[0].media.len(), 2);
    assert_eq!(report.items[0].kind, MediaKind::Video);
    let evidence = &report.evidence;
    assert_eq!(evidence.subject.as_deref(), Some("17841400000000001"));
    assert!(evidence.server_time.is_some() && !evidence.weak);
    assert_eq!((&*evidence.requests[0].route, evidence.requests[0].status), ("stories", 200));
    assert!(facts(&report).contains("lists 2 stories of this account"), "{}", facts(&report));
    assert!(facts(&report).contains("1 items had ended"), "{}", facts(&report));
    assert_eq!(
        office.seen().await,
        [format!(
            "/facebook{STORIES}?fields=id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username&limit=100"
        )]
    );
}

#[tokio::test]
async fn no_story_is_weak_and_says_what_the_api_never_shows() {
    let office = Office::new().await;
    office.stories(json(200, NOTHING)).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert!(report.evidence.weak && report.evidence.server_time.is_some());
    let facts = facts(&report);
    assert!(facts.contains("live and re-shared stories are never shown"), "{facts}");
    assert!(facts.contains("accepted the account's own token"), "{facts}");
}

#[tokio::test]
async fn withheld_media_is_still_a_story() {
    let office = Office::new().await;
    let withheld = story(1, now() - 100).replace("media_url", "x").replace("thumbnail_url", "y");
    office.stories(json(200, page(&[withheld], "Qg", false))).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::Active);
    assert!(report.items[0].media.is_empty());
    assert!(facts(&report).contains("item 1 comes without its file"), "{}", facts(&report));
}

#[tokio::test]
async fn the_servers_time_decides_what_has_ended() {
    let office = Office::new().await;
    let later = Timestamp::from_secs(now()) + DAY;
    let answer = json(200, page(&[story(1, now() - 100)], "Qg", false))
        .insert_header("date", httpdate::fmt_http_date(later.into()));
    office.stories(answer).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert!(facts(&report).contains("1 items had ended"), "{}", facts(&report));
}

#[tokio::test]
async fn what_is_incomplete_foreign_or_odd_is_no_answer() {
    let good = story(1, now() - 100);
    for (body, scope) in [
        ("{}".to_owned(), Scope::Endpoint),
        (r#"{"data":null}"#.to_owned(), Scope::Endpoint),
        (r#"{"data":{}}"#.to_owned(), Scope::Endpoint),
        ("[[]]".to_owned(), Scope::Endpoint),
        (r#"{"data":[]"#.to_owned(), Scope::Endpoint),
        (page(&["{}".to_owned()], "Qg", false), Scope::Endpoint),
        (page(&[good.replace("timestamp", "time")], "Qg", false), Scope::Endpoint),
        (page(&[good.replace("\"username\"", "\"user\"")], "Qg", false), Scope::Endpoint),
        (
            page(&[good.replace("\"tea_house\"", "\"other\""), good.clone()], "Qg", false),
            Scope::Session,
        ),
    ] {
        let office = Office::new().await;
        office.stories(json(200, body.clone())).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, scope), "{body}: {fault}");
        assert_eq!(fault.evidence.unwrap().requests.len(), 1);
    }
}

#[tokio::test]
async fn pages_are_followed_by_cursor_and_never_by_the_link_with_the_token() {
    let office = Office::with(token(), |config| config.page_size = 2).await;
    let route = format!("/facebook{STORIES}");
    let stories = |answer: ResponseTemplate, after: Option<&'static str>| {
        let mock =
            Mock::given(method("GET")).and(path(route.clone())).and(query_param("limit", "2"));
        let mock = match after {
            Some(after) => mock.and(query_param("after", after)),
            None => mock.and(query_param_is_missing("after")),
        };
        mock.respond_with(answer).mount(&office.server)
    };
    let taken = now() - 100;
    stories(json(200, page(&[story(3, taken), story(2, taken)], "Qg&x", true)), None).await;
    stories(json(200, page(&[story(2, taken), story(1, taken)], "Qh", true)), Some("Qg&x")).await;
    stories(json(200, page(&[], "Qh", false)), Some("Qh")).await;
    let report = office.check("tea_house").await.unwrap();
    let ids: Vec<_> = report.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(report.evidence.requests.len(), 3);
    assert_eq!(office.seen().await.len(), 3);
}

#[tokio::test]
async fn pages_without_end_or_place_prove_stories_but_never_their_absence() {
    let live = [story(1, now() - 100)];
    let without_place =
        r#"{"data":[DATA],"paging":{"next":"https://x.test/?access_token=PLANTED"}}"#;
    for (first, requests) in
        [(page(&["DATA".to_owned()], "Qg", true), 2), (without_place.to_owned(), 1)]
    {
        let office = Office::new().await;
        office.stories(json(200, first.replace("DATA", ""))).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, Scope::Endpoint), "{fault}");
        assert_eq!(office.seen().await.len(), requests);

        let office = Office::new().await;
        office.stories(json(200, first.replace("DATA", &live[0]))).await;
        let report = office.check("tea_house").await.unwrap();
        assert_eq!((report.verdict.as_str(), report.items.len()), ("active", 1));
        assert!(report.evidence.facts.iter().any(|fact| fact.contains("some items are missing")));
    }

    let office = Office::with(token(), |config| config.max_pages = 1.try_into().unwrap()).await;
    office.stories(json(200, page(&[], "Qg", true))).await;
    let fault = office.check("tea_house").await.unwrap_err();
    assert!(fault.message.contains("max_pages"), "{fault}");
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn a_page_that_our_limits_forbid_leaves_the_stories_that_were_seen() {
    let usage = r#"{"call_count":80}"#;
    for (stories, verdict) in [(vec![story(1, now() - 100)], Some("active")), (vec![], None)] {
        let office = Office::new().await;
        let answer = json(200, page(&stories, "Qg", true)).insert_header("x-app-usage", usage);
        office.stories(answer).await;
        let answer = office.check("tea_house").await;
        assert_eq!(answer.as_ref().ok().map(|report| report.verdict.as_str()), verdict);
        let text = answer.map_or_else(|fault| fault.to_string(), |report| facts(&report));
        assert!(text.contains("our own limits") || text.contains("app instagram-graph"), "{text}");
    }
}

#[tokio::test]
async fn the_end_of_a_token_that_cannot_be_refreshed_is_told_in_time() {
    for (left, told) in [(9, true), (11, false)] {
        let mut token = token();
        token.expires_at = Some(Timestamp::from_secs(now()) + left * DAY);
        let office = Office::with(token, |_| {}).await;
        office.stories(json(200, NOTHING)).await;
        let facts = facts(&office.check("tea_house").await.unwrap());
        assert_eq!(facts.contains("get a new one before"), told, "{facts}");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn an_error_is_never_retried_and_names_its_row() {
    for (code, subcode, class, scope, row) in [
        (190, Some(463), Class::AuthRequired, Scope::Session, "G190-463"),
        (190, Some(459), Class::ChallengeRequired, Scope::Session, "G190-459"),
        (10, None, Class::Permanent, Scope::Endpoint, "G10"),
        (4, None, Class::RateLimited, Scope::App, "G4"),
        (110, Some(2_207_013), Class::Permanent, Scope::Ours, "G110"),
    ] {
        let office = Office::new().await;
        office.stories(error(code, subcode)).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (class, scope), "{fault}");
        assert!(fault.message.contains(row), "{fault}");
        let evidence = fault.evidence.unwrap();
        assert_eq!((evidence.requests[0].status, evidence.requests.len()), (400, 1));
        assert_eq!(evidence.session.unwrap().as_str(), "tea");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn the_limit_of_the_app_stops_every_token_and_only_this_api() {
    let office = Office::new().await;
    office.stories(error(4, None)).await;
    office.check("tea_house").await.unwrap_err();
    let fault = office.check("tea_house").await.unwrap_err();
    assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");
    assert!(fault.message.contains("app instagram-graph"), "{fault}");
    assert!(fault.until.unwrap().as_secs() > now() + 3_500);
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn usage_headers_pace_and_stop_the_key_they_are_about() {
    const APP: &str = "x-app-usage";
    const BUSINESS: &str = "x-business-use-case-usage";
    let business = |percent: u32, minutes: u32| {
        format!(
            r#"{{"178":[{{"type":"instagram","call_count":{percent},"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":{minutes}}}]}}"#
        )
    };
    let app =
        |percent: u32| format!(r#"{{"call_count":{percent},"total_cputime":1,"total_time":1}}"#);
    for (header, value, key, rest) in [
        (APP, app(80), "app instagram-graph", 36),
        (APP, app(100), "app instagram-graph", 3_600),
        (BUSINESS, business(90, 0), "session tea", 256),
        (BUSINESS, business(100, 1_500), "session tea", 90_000),
    ] {
        let office = Office::new().await;
        office.stories(json(200, NOTHING).insert_header(header, value.as_str())).await;
        // The answer itself is good.
        office.check("tea_house").await.unwrap();
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");
        assert!(fault.message.contains(key), "{fault}");
        let wait = fault.until.unwrap().as_secs() - now();
        assert!((rest - 10..=rest + 1).contains(&wait), "{wait} {rest}");
        assert_eq!(office.seen().await.len(), 1);
    }
    for value in [app(70), "nonsense".to_owned(), String::new()] {
        let office = Office::new().await;
        let answer = json(200, NOTHING).insert_header(APP, value.as_str());
        office.stories(answer.insert_header(BUSINESS, value.as_str())).await;
        office.check("tea_house").await.unwrap();
        office.check("tea_house").await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_token_costs_no_request() {
    let start = Timestamp::from_secs(now());
    let hand = Arc::new(Hand(Mutex::new(start)));
    let mut token = token();
    token.expires_at = Some(start + DAY);
    let office = Office::at(token, |_| {}, Arc::clone(&hand) as Arc<dyn Clock>).await;
    office.stories(json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    *hand.0.lock().unwrap() = start + DAY;
    let fault = office.check("tea_house").await.unwrap_err();
    assert_eq!(of(&fault), (Class::AuthRequired, Scope::Session), "{fault}");
    assert!(fault.message.contains("get a new one"), "{fault}");
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed_and_the_new_one_is_used() {
    let office = Office::with(old_token(), |_| {}).await;
    let new = r#"{"access_token":"PLANTED-new-token","token_type":"bearer","expires_in":5184000}"#;
    Mock::given(path(format!("/instagram{REFRESH}")))
        .and(query_param("grant_type", "ig_refresh_token"))
        .and(header("authorization", "Bearer PLANTED-access-token"))
        .respond_with(json(200, new))
        .mount(&office.server)
        .await;
    Mock::given(path(format!("/instagram{STORIES}")))
        .and(header("authorization", "Bearer PLANTED-new-token"))
        .respond_with(json(200, NOTHING))
        .mount(&office.server)
        .await;
    let report = office.check("tea_house").await.unwrap();
    assert!(facts(&report).contains("was refreshed"), "{}", facts(&report));
    let routes: Vec<_> = report.evidence.requests.iter().map(|it| &*it.route).collect();
    assert_eq!(routes, ["refresh", "stories"]);
    let credentials = office.session.credentials();
    assert_eq!(credentials.tokens["access_token"].expose(), "PLANTED-new-token");
    let left = credentials.expires_at.unwrap().since(Timestamp::from_secs(now()));
    assert!(left > 59 * DAY && left <= 60 * DAY + DAY, "{left:?}");

    office.check("tea_house").await.unwrap();
    assert_eq!(office.seen().await.len(), 3);
}

#[tokio::test]
async fn a_refresh_that_fails_does_not_spoil_the_check() {
    for answer in
        [error(190, None), error(10, None), json(200, "{}"), json(500, ""), json(404, "x")]
    {
        let office = Office::with(old_token(), |_| {}).await;
        office.answer(&format!("/instagram{REFRESH}"), answer).await;
        office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
        let report = office.check("tea_house").await.unwrap();
        assert!(facts(&report).contains("could not be refreshed"), "{}", facts(&report));
        // It is left alone for a while.
        let report = office.check("tea_house").await.unwrap();
        assert!(!facts(&report).contains("refreshed"), "{}", facts(&report));
        assert_eq!(office.seen().await.len(), 3);
    }
    // But a session that must rest rests.
    for (code, class) in [(25, Class::ChallengeRequired), (17, Class::RateLimited)] {
        let office = Office::with(old_token(), |_| {}).await;
        office.answer(&format!("/instagram{REFRESH}"), error(code, None)).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (class, Scope::Session), "{fault}");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn the_settings_of_the_refresh_are_kept() {
    let office = Office::with(old_token(), |config| config.refresh_before = Duration::ZERO).await;
    office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    assert_eq!(office.seen().await.len(), 1);

    let office = Office::with(old_token(), |config| config.refresh_by_query = true).await;
    office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    let request = office.server.received_requests().await.unwrap().remove(0);
    let token = request.url.query_pairs().find(|(key, _)| key == "access_token");
    assert_eq!(token.unwrap().1, "PLANTED-access-token");
}

#[tokio::test]
async fn the_version_is_part_of_the_address() {
    let office = Office::with(token(), |config| config.version = "v26.1".to_owned()).await;
    office.answer("/facebook/v26.1/17841400000000001/stories", json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
}

#[tokio::test]
async fn an_account_without_a_token_is_left_to_others() {
    let office = Office::new().await;
    let fault = office.check("other").await.unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");
    assert!(fault.message.starts_with("no token of this account: "), "{fault}");
    assert!(fault.message.contains("import a token of other"), "{fault}");
    assert!(office.seen().await.is_empty());
}

#[tokio::test]
async fn a_look_up_tells_whether_the_account_exists() {
    let office = Office::with(token(), |config| config.discover = true).await;
    let found = |name: &str| {
        json(
            200,
            format!(
                r#"{{"business_discovery":{{"id":"178","username":"{name}","media_count":3}},"id":"1"}}"#
            ),
        )
    };
    for (name, answer) in [
        ("there", found("There")),
        ("gone", error(110, Some(2_207_013))),
        ("odd", found("somebody")),
        ("bare", json(200, "{}")),
        ("unknown", error(110, None)),
    ] {
        let fields = format!("business_discovery.username({name}){{id,username,media_count}}");
        Mock::given(path(format!("/facebook{ME}")))
            .and(query_param("fields", fields))
            .and(header("authorization", "Bearer PLANTED-access-token"))
            .respond_with(answer)
            .mount(&office.server)
            .await;
    }
    let fault = office.check("there").await.unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");
    assert!(fault.message.contains("it exists and is a professional one"), "{fault}");
    assert_eq!(fault.evidence.unwrap().subject.as_deref(), Some("178"));

    let report = office.check("gone").await.unwrap();
    assert_eq!(report.verdict, Verdict::NotFound);
    assert!(report.evidence.weak);
    let facts = facts(&report);
    assert!(
        facts.contains("not found or not a professional account: the two look the same"),
        "{facts}"
    );

    for name in ["odd", "bare", "unknown"] {
        let fault = office.check(name).await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, Scope::Endpoint), "{name}: {fault}");
    }
    assert_eq!(office.seen().await.len(), 5);
    // Its own token is not asked to look itself up.
    office.stories(json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
}

#[tokio::test]
async fn names_that_cannot_be_and_checks_that_are_over_cost_no_request() {
    let office = Office::new().await;
    let odd: Target = "instagram/account/a){x}".parse().unwrap();
    let fault = office.checker.check(&[odd], &office.context()).await.remove(0).unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");

    let cx = office.context().with_deadline(tokio::time::Instant::now());
    let fault = office.check_in("tea_house", &cx).await.unwrap_err();
    assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");

    let cx = office.context();
    cx.cancellation().cancel();
    let fault = office.check_in("tea_house", &cx).await.unwrap_err();
    assert_eq!(fault.class, Class::Cancelled, "{fault}");
    assert!(office.seen().await.is_empty());
}

#[tokio::test]
async fn a_page_of_a_proxy_never_touches_the_token() {
    let office = Office::new().await;
    let wall = ResponseTemplate::new(200).set_body_raw("<html>hotel wifi</html>", "text/html");
    office.stories(wall).await;
    let way = proxy(office.server.uri());
    let fault = office.check_in("tea_house", &office.context().with_proxy(way)).await.unwrap_err();
    assert_eq!(of(&fault), (Class::Malformed, Scope::Proxy), "{fault}");
}

#[tokio::test]
async fn no_planted_secret_in_logs_errors_and_debug_texts() {
    let mut texts = Vec::new();
    for (answer, refresh) in [
        (json(200, page(&[story(1, now() - 60)], "Qg", true)), "PLANTED-new-token"),
        (json(200, "PLANTED-body"), "PLANTED new token"),
        (error(190, Some(463)), ""),
        (json(400, r#"{"error":{"code":777,"message":"Malformed access token PLANTED-x"}}"#), ""),
    ] {
        let office = Office::with(old_token(), |config| config.refresh_by_query = true).await;
        let refresh = format!(r#"{{"access_token":"{refresh}","expires_in":5184000}}"#);
        office.answer(&format!("/instagram{REFRESH}"), json(200, refresh)).await;
        office.answer(&format!("/instagram{STORIES}"), answer).await;
        let cx = office.context();
        match office.check_in("tea_house", &cx).await {
            Ok(mut report) => {
                // The address of a file is signed: it is the answer, and nothing else may tell.
                report.items.clear();
                texts.push(format!("{report:?}"));
            }
            Err(fault) => texts.push(format!("{fault} {fault:?}")),
        }
        let Office { checker, session, .. } = &office;
        texts.push(format!("{cx:?} {checker:?} {checker} {session:?} {:?}", old_token()));
    }
    // Nobody listens: the error tells no address either.
    let office = Office::with(old_token(), |config| {
        config.login_base_url = "http://127.0.0.1:1".to_owned();
        config.refresh_by_query = true;
    })
    .await;
    texts.push(format!("{:?}", office.check("tea_house").await));

    let log = log().text();
    assert!(log.contains("authorization: [redacted]"));
    assert!(log.contains("a token was refreshed") && log.contains("could not be refreshed"));
    let leaks: Vec<_> = log
        .lines()
        .filter(|line| line.contains("story_checker") && line.contains("PLANTED"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    for text in &texts {
        assert!(!text.contains("PLANTED"), "{text}");
    }
}

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);
const ACTIVE: &str = r#"{"data":[{"id":"17900000000000011","media_type":"VIDEO","media_product_type":"STORY","media_url":"https://cdn.sim.test/v/a.mp4?oe=1","thumbnail_url":"t\u0026","permalink":"p","timestamp":"2026-11-21T08:15:00+0000","username":"tea_house"}],"paging":{"cursors":{"before":"QQ","after":"Qg"}}}"#;
const EMPTY: &str = r#"{"data":[],"paging":{"cursors":{}}}"#;
const FOUND: &str =
    r#"{"business_discovery":{"id":"178","username":"tea_house","media_count":3},"id":"1"}"#;

/// One damage: cut, flip, insert or remove at a place.
fn damaged(body: &str, damages: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for (kind, at, byte) in damages {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match kind {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= byte,
            2 => bytes.insert(at, *byte),
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

fn damages() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

/// The rules again, slowly, over a generic reader.
fn is_live(item: &serde_json::Value) -> bool {
    let name = item["username"].as_str().unwrap_or_default();
    let has_id = item["id"].as_str().is_some_and(|id| !id.is_empty()) || item["id"].is_u64();
    let day = item["timestamp"].as_str().and_then(|text| text.get(..10));
    has_id
        && name.eq_ignore_ascii_case("tea_house")
        && item["media_product_type"] == "STORY"
        && day.is_some_and(|day| day == "2026-11-20" || day == "2026-11-21")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn damaged_pages_are_believed_only_if_they_are_still_pages(
        damages in damages(),
        body in prop::sample::select(&[ACTIVE, EMPTY][..]),
    ) {
        let bytes = damaged(body, &damages);
        let Ok(page) = parse_stories(&bytes) else { return Ok(()) };
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let data = value["data"].as_array();
        prop_assert!(data.is_some() && value["error"].is_null(), "{text}");
        let data = data.unwrap();
        let shown = page.shows("tea_house", NOW);
        if shown.foreign == 0 && !shown.items.is_empty() {
            prop_assert!(data.iter().any(is_live), "{text}");
        }
        let empty = shown.items.is_empty() && shown.foreign == 0 && shown.broken == 0;
        if empty && !page.has_more() {
            prop_assert!(!data.iter().any(|item| is_live(item) && !item["timestamp"].as_str().unwrap().starts_with("2026-11-20")), "{text}");
            prop_assert_eq!(shown.expired + shown.others, data.len(), "{}", text);
        }
    }

    #[test]
    fn damaged_look_ups_find_nobody_else(damages in damages()) {
        let bytes = damaged(FOUND, &damages);
        if let Ok(found) = parse_discovery(&bytes) {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let business = &value["business_discovery"];
            let text = |field: &str| match &business[field] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            prop_assert_eq!(text("username"), found.username);
            prop_assert_eq!(text("id"), found.id);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_discovery(&bytes);
        if let Ok(page) = parse_stories(&bytes) {
            let _ = page.shows("tea_house", NOW);
        }
    }
}
