//! The checker of X's API against canned answers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Gate;
use story_checker_core::session::{Credentials, SessionHandle};
use story_checker_core::{Class, Clock, Fault, Report, Scope, SystemClock, Target, Timestamp};
use story_checker_http::x::{
    Since, Spelling, XChecker, XConfig, account, hashtag, query, x_session,
};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{json, log, now};

const USERS: &str = "/2/users/by";
const SEARCH: &str = "/2/tweets/search/recent";
const EMPTY: &str = r#"{"meta":{"result_count":0}}"#;

fn timeline(id: u64) -> String {
    format!("/2/users/{id}/tweets")
}

fn user(id: u64, name: &str, protected: bool) -> String {
    format!(r#"{{"id":"{id}","username":"{name}","name":"N","protected":{protected}}}"#)
}

fn users(users: &[String]) -> String {
    format!(r#"{{"data":[{}]}}"#, users.join(","))
}

/// A problem about a user, as it comes beside data.
fn problem(kind: &str, value: &str, detail: &str) -> String {
    format!(
        r#"{{"value":"{value}","resource_id":"{value}","parameter":"usernames","resource_type":"user",
            "title":"A Title","detail":"{detail}","type":"https://api.twitter.com/2/problems/{kind}"}}"#
    )
}

fn errors(problems: &[String]) -> String {
    format!(r#"{{"errors":[{}]}}"#, problems.join(","))
}

/// A post of `author` from `ago` seconds before now, with a photo.
fn photo(id: u64, author: u64, ago: u64) -> String {
    let at = Timestamp::from_secs(now() - ago);
    format!(
        r#"{{"id":"{id}","text":"t","author_id":"{author}","created_at":"{at}",
            "attachments":{{"media_keys":["3_{id}"]}}}}"#
    )
}

fn text(id: u64, author: u64, ago: u64) -> String {
    let at = Timestamp::from_secs(now() - ago);
    format!(r#"{{"id":"{id}","text":"t","author_id":"{author}","created_at":"{at}"}}"#)
}

fn page_with(posts: &[String], newest: u64, more: &str) -> String {
    format!(
        r#"{{"data":[{}],"meta":{{"result_count":{},"newest_id":"{newest}","oldest_id":"1"{more}}}}}"#,
        posts.join(","),
        posts.len()
    )
}

fn page(posts: &[String], newest: u64) -> String {
    page_with(posts, newest, "")
}

fn words(answers: &[Result<Report, Fault>]) -> Vec<&'static str> {
    answers.iter().map(|answer| answer.as_ref().map_or("fault", |r| r.verdict.as_str())).collect()
}

fn facts(report: &Report) -> String {
    report.evidence.facts.join("; ")
}

fn ids(report: &Report) -> Vec<&str> {
    report.items.iter().map(|item| item.id.as_str()).collect()
}

fn all(answers: &[Result<Report, Fault>], class: Class, scope: Scope) {
    for answer in answers {
        let fault = answer.as_ref().unwrap_err();
        assert_eq!((fault.class, fault.scope), (class, scope), "{fault}");
    }
}

/// A clock that is wrong by this much.
#[derive(Clone, Copy, Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock::new().now() + self.0
    }
}

/// A checker, and what an engine would give it.
struct World {
    server: MockServer,
    checker: XChecker,
    session: Arc<SessionHandle>,
    cache: Arc<dyn Cache>,
    profile: CheckerProfile,
    clock: Arc<dyn Clock>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut XConfig)) -> Self {
        log();
        let server = MockServer::start().await;
        let mut config = XConfig::default();
        config.base_url = server.uri();
        change(&mut config);
        let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
        let checker = XChecker::new(Arc::new(transport), config).unwrap();
        let profile = checker.profile().clone();
        let record = x_session("main".into(), "AAAA-PLANTED-token").unwrap();
        let session = Arc::new(SessionHandle::new(record.id, record.credentials));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&clock)));
        Self { server, checker, session, cache, profile, clock }
    }

    /// A world in which the account `a` has the id 7.
    async fn of_a(change: impl FnOnce(&mut XConfig)) -> Self {
        let world = Self::with(change).await;
        world.answer(USERS, json(200, users(&[user(7, "a", false)]))).await;
        world
    }

    fn context(&self) -> CheckContext {
        let gate = Arc::new(Gate::new(Arc::clone(&self.clock)));
        let cache = Arc::clone(&self.cache);
        CheckContext::new(&self.profile, gate, cache, Arc::clone(&self.clock))
            .with_session(Some(Arc::clone(&self.session)))
            .with_patience(Duration::ZERO)
    }

    /// Lets time pass by our clock.
    fn later(&mut self, seconds: u64) {
        let ahead = self.clock.now().since(SystemClock::new().now());
        self.clock = Arc::new(Ahead(ahead + Duration::from_secs(seconds)));
    }

    async fn answer(&self, route: &str, answer: ResponseTemplate) {
        Mock::given(method("GET")).and(path(route)).respond_with(answer).mount(&self.server).await;
    }

    /// Only the first request gets this answer.
    async fn answer_once(&self, route: &str, answer: ResponseTemplate) {
        let mock = Mock::given(method("GET")).and(path(route)).respond_with(answer);
        mock.up_to_n_times(1).mount(&self.server).await;
    }

    async fn answer_page(&self, route: &str, token: Option<&str>, body: String) {
        let mock = Mock::given(method("GET")).and(path(route));
        let mock = match token {
            Some(token) => mock.and(query_param("pagination_token", token)),
            None => mock.and(query_param_is_missing("pagination_token")),
        };
        mock.respond_with(json(200, body)).mount(&self.server).await;
    }

    async fn check(&self, targets: &[Target]) -> Vec<Result<Report, Fault>> {
        self.check_in(targets, &self.context()).await
    }

    async fn check_in(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        let answers = self.checker.check(targets, cx).await;
        assert_eq!(answers.len(), targets.len());
        for (answer, target) in answers.iter().zip(targets) {
            if let Ok(report) = answer {
                assert_eq!(&report.target, target);
                assert_eq!(report.evidence.source, "x-api/1");
                assert!(!report.evidence.facts.is_empty());
            }
        }
        answers
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The paths of all requests so far, in order.
    async fn seen(&self) -> Vec<String> {
        self.requests().await.iter().map(|request| request.url.path().to_owned()).collect()
    }

    /// What the requests to a route had under this name.
    async fn asked(&self, route: &str, name: &str) -> Vec<Option<String>> {
        let value = |request: &Request| {
            request
                .url
                .query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let requests = self.requests().await;
        requests.iter().filter(|request| request.url.path() == route).map(value).collect()
    }
}

fn accounts(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| account(name).unwrap()).collect()
}

#[tokio::test]
async fn several_names_are_looked_up_in_one_request_and_remembered() {
    let world = World::new().await;
    let missing =
        problem("resource-not-found", "Gone", "Could not find user with usernames: [Gone].");
    let suspended = problem("resource-not-found", "bad", "User has been suspended: [bad].");
    let data = [user(7, "A", false), user(8, "b", true), user(9, "c", false)];
    let body = users(&data).replace("]}", &format!("],\"errors\":[{missing},{suspended}]}}"));
    world.answer(USERS, json(200, body)).await;
    world.answer(&timeline(7), json(200, page(&[photo(30, 7, 60)], 30))).await;
    world.answer(&timeline(9), json(200, EMPTY)).await;
    let targets = accounts(&["c", "gone", "a", "bad", "b", "a"]);
    let answers = world.check(&targets).await;
    assert_eq!(
        words(&answers),
        ["no_story", "not_found", "active", "suspended", "private", "active"]
    );
    assert_eq!(world.seen().await, [USERS, &timeline(9), &timeline(7), &timeline(7)]);
    assert_eq!(world.asked(USERS, "usernames").await, [Some("a,b,bad,c,gone".to_owned())]);
    assert_eq!(world.asked(USERS, "user.fields").await, [Some("protected".to_owned())]);
    let requests = world.requests().await;
    assert!(requests.iter().all(|r| r.headers["authorization"] == "Bearer AAAA-PLANTED-token"));
    for (answer, fact) in answers.iter().zip([
        "0 posts since",
        "there is nobody of this name",
        "1 of 1 posts since",
        "the account is suspended",
        "the account is protected",
        "have media",
    ]) {
        let report = answer.as_ref().unwrap();
        assert!(facts(report).contains(fact), "{}", facts(report));
        assert_eq!(report.evidence.requests[0].route, "users");
        assert!(report.evidence.requests.iter().all(|r| r.status == 200));
    }
    let report = answers[2].as_ref().unwrap();
    assert_eq!(report.evidence.subject.as_deref(), Some("7"));
    assert!(report.evidence.server_time.is_some());

    // What exists is remembered; the protected one needs no request at all.
    let answers = world.check(&accounts(&["a", "b"])).await;
    assert_eq!(words(&answers), ["active", "private"]);
    assert!(facts(answers[1].as_ref().unwrap()).contains("looked up 0 s ago"));
    assert_eq!(world.seen().await[4..], [timeline(7)]);
}

#[tokio::test]
async fn not_found_and_suspended_also_come_as_404() {
    let missing = problem("resource-not-found", "a", "Could not find user: [a].");
    let own = r#"{"title":"Not Found Error","detail":"Could not find user.","type":"https://api.x.com/2/problems/resource-not-found"}"#;
    let suspended = problem("forbidden", "a", "User has been suspended: [a].");
    for (status, body, word) in [
        (404, errors(&[missing]), "not_found"),
        (404, own.to_owned(), "not_found"),
        (404, errors(std::slice::from_ref(&suspended)), "suspended"),
        (200, errors(&[suspended]), "suspended"),
    ] {
        let world = World::new().await;
        world.answer(USERS, json(status, body)).await;
        assert_eq!(words(&world.check(&accounts(&["a"])).await), [word]);
    }
    // Somebody else's is not believed, and what names nobody can only be about a single name.
    for status in [200, 404] {
        let world = World::new().await;
        let other = problem("resource-not-found", "b", "Could not find user: [b].");
        world.answer(USERS, json(status, errors(&[other]))).await;
        all(&world.check(&accounts(&["a"])).await, Class::Malformed, Scope::Endpoint);
    }
    let world = World::new().await;
    world.answer(USERS, json(404, own)).await;
    all(&world.check(&accounts(&["a", "b"])).await, Class::Malformed, Scope::Endpoint);
}

#[tokio::test]
async fn a_name_of_which_nothing_is_said_has_no_answer() {
    let world = World::of_a(|_| {}).await;
    world.answer(&timeline(7), json(200, EMPTY)).await;
    let answers = world.check(&accounts(&["a", "b"])).await;
    assert_eq!(words(&answers), ["no_story", "fault"]);
    all(&answers[1..], Class::Malformed, Scope::Endpoint);

    let world = World::new().await;
    let both = problem("resource-not-found", "a", "x");
    let body = users(&[user(7, "a", false)]).replace("]}", &format!("],\"errors\":[{both}]}}"));
    world.answer(USERS, json(200, body)).await;
    all(&world.check(&accounts(&["a"])).await, Class::Malformed, Scope::Endpoint);
}

#[tokio::test]
async fn the_timeline_decides_about_protected_accounts_if_asked_to() {
    let world = World::with(|config| config.ask_protected = true).await;
    world.answer(USERS, json(200, users(&[user(7, "a", true), user(8, "b", true)]))).await;
    let sorry = problem("not-authorized-for-resource", "7", "Sorry, you are not authorized.");
    world.answer(&timeline(7), json(200, errors(&[sorry]))).await;
    world.answer(&timeline(8), json(200, page(&[photo(30, 8, 60)], 30))).await;
    let answers = world.check(&accounts(&["a", "b"])).await;
    assert_eq!(words(&answers), ["private", "active"]);
    assert!(facts(answers[1].as_ref().unwrap()).contains("shows its posts to this token"));
}

#[tokio::test]
async fn an_account_that_became_private_or_suspended_is_seen_at_its_timeline() {
    for (kind, detail, word) in [
        ("not-authorized-for-resource", "Sorry, you are not authorized.", "private"),
        ("resource-not-found", "User has been suspended: [7].", "suspended"),
        ("resource-not-found", "Could not find user with id: [7].", "not_found"),
    ] {
        let world = World::of_a(|_| {}).await;
        world.answer(&timeline(7), json(200, errors(&[problem(kind, "7", detail)]))).await;
        assert_eq!(words(&world.check(&accounts(&["a"])).await), [word]);
    }
}

#[tokio::test]
async fn a_remembered_id_that_is_gone_is_looked_up_again() {
    let world = World::new().await;
    world.answer_once(USERS, json(200, users(&[user(7, "a", false)]))).await;
    world.answer(USERS, json(200, users(&[user(8, "a", false)]))).await;
    world.answer_once(&timeline(7), json(200, EMPTY)).await;
    let gone = problem("resource-not-found", "7", "Could not find user with id: [7].");
    world.answer(&timeline(7), json(200, errors(&[gone]))).await;
    world.answer(&timeline(8), json(200, page(&[photo(30, 8, 60)], 30))).await;
    assert_eq!(words(&world.check(&accounts(&["a"])).await), ["no_story"]);
    all(&world.check(&accounts(&["a"])).await, Class::Transient, Scope::Target);
    assert_eq!(words(&world.check(&accounts(&["a"])).await), ["active"]);
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let world = World::of_a(|_| {}).await;
    let route = timeline(7);
    let first = page_with(&[text(40, 7, 10), photo(39, 7, 20)], 40, r#","next_token":"b26k""#);
    world.answer_page(&route, None, first).await;
    // An empty page is not the last one.
    let second = r#"{"meta":{"result_count":0,"next_token":"c37l"}}"#.to_owned();
    world.answer_page(&route, Some("b26k"), second).await;
    let third = page(&[photo(39, 7, 20), photo(38, 7, 30), photo(37, 7, 90_000)], 39);
    world.answer_page(&route, Some("c37l"), third).await;
    let report = world.check(&accounts(&["a"])).await.remove(0).unwrap();
    assert_eq!(ids(&report), ["38", "39"]);
    assert_eq!(report.evidence.requests.len(), 4);
    assert!(facts(&report).contains("2 of 3 posts since"), "{}", facts(&report));
    assert!(facts(&report).contains("the newest post is 40"));
    let asked = world.asked(&route, "start_time").await;
    assert!(asked.iter().all(|start| start == &asked[0]), "{asked:?}");
    assert_eq!(asked[0].as_ref().unwrap().len(), "2026-11-20T09:15:00Z".len());
    assert_eq!(world.asked(&route, "max_results").await[0].as_deref(), Some("100"));
    assert_eq!(world.asked(&route, "exclude").await[0].as_deref(), Some("replies,retweets"));
}

#[tokio::test]
async fn the_number_of_pages_is_bounded() {
    let world = World::of_a(|c| c.max_pages = NonZeroUsize::new(2).unwrap()).await;
    let route = timeline(7);
    let first = page_with(&[text(40, 7, 10)], 40, r#","next_token":"p2""#);
    world.answer_page(&route, None, first).await;
    let second = page_with(&[text(39, 7, 20)], 39, r#","next_token":"p3""#);
    world.answer_page(&route, Some("p2"), second).await;
    let answers = world.check(&accounts(&["a"])).await;
    all(&answers, Class::Permanent, Scope::Target);
    assert_eq!(world.seen().await, [USERS, &route, &route]);

    // A circle of pages is none.
    let world = World::of_a(|_| {}).await;
    let circle = page_with(&[text(40, 7, 10)], 40, r#","next_token":"p2""#);
    world.answer(&route, json(200, circle)).await;
    all(&world.check(&accounts(&["a"])).await, Class::Malformed, Scope::Endpoint);
}

/// A world in which each check of `a` asks for what is new.
async fn world_of_news() -> World {
    let since = Since::LastSeen { first: Duration::from_secs(3_600) };
    World::of_a(|config| config.since = since).await
}

/// What the timeline of `a` answers from this post on, or from no post.
async fn answer_since(world: &World, last: Option<&str>, body: String) {
    let mock = Mock::given(path(timeline(7))).and(query_param_is_missing("pagination_token"));
    let mock = match last {
        Some(last) => mock.and(query_param("since_id", last)),
        None => mock.and(query_param_is_missing("since_id")),
    };
    mock.respond_with(json(200, body)).mount(&world.server).await;
}

#[tokio::test]
async fn each_new_post_is_reported_by_two_checks() {
    let mut world = world_of_news().await;
    let route = timeline(7);
    let first = page_with(&[photo(50, 7, 10)], 50, r#","next_token":"p2""#);
    answer_since(&world, None, first).await;
    world.answer_page(&route, Some("p2"), page(&[photo(49, 7, 20)], 49)).await;
    let newer = page(&[text(61, 7, 1), photo(60, 7, 2), photo(50, 7, 10)], 61);
    answer_since(&world, Some("50"), newer).await;
    answer_since(&world, Some("61"), EMPTY.to_owned()).await;

    let target = accounts(&["a"]);
    for _ in 0..2 {
        let report = world.check(&target).await.remove(0).unwrap();
        assert_eq!(ids(&report), ["49", "50"]);
        world.later(3_600);
    }
    // The second page's newest post is an older one.
    let report = world.check(&target).await.remove(0).unwrap();
    assert_eq!((ids(&report), report.verdict.as_str()), (vec!["60"], "active"));
    assert!(facts(&report).contains("since post 50"), "{}", facts(&report));
    world.later(3_600);
    assert_eq!(words(&world.check(&target).await), ["active"]);
    for _ in 0..3 {
        // With nothing new the last one stays.
        world.later(3_600);
        assert_eq!(words(&world.check(&target).await), ["no_story"]);
    }
    let starts = world.asked(&route, "start_time").await;
    let asked = world.asked(&route, "since_id").await;
    let known: Vec<_> = asked.iter().flatten().map(String::as_str).collect();
    assert_eq!(known, ["50", "50", "61", "61", "61"]);
    assert!(starts.iter().zip(&asked).all(|(start, id)| start.is_none() || id.is_none()));
}

#[tokio::test]
async fn the_same_question_after_a_dropped_answer_shows_the_posts_again() {
    let mut world = world_of_news().await;
    let target = accounts(&["a"]);
    answer_since(&world, None, page(&[photo(50, 7, 10)], 50)).await;
    answer_since(&world, Some("50"), page(&[photo(60, 7, 2)], 60)).await;
    answer_since(&world, Some("60"), EMPTY.to_owned()).await;
    world.check(&target).await;
    world.later(3_600);
    world.check(&target).await;
    world.later(3_600);
    // None of these answers arrives, however often the job is tried within 10 minutes.
    for _ in 0..5 {
        assert_eq!(ids(world.check(&target).await[0].as_ref().unwrap()), ["60"]);
        world.later(110);
    }
    // Nor does it matter how much later the job is tried again.
    world.later(86_400);
    assert_eq!(ids(world.check(&target).await[0].as_ref().unwrap()), ["60"]);
    world.later(601);
    assert_eq!(words(&world.check(&target).await), ["no_story"]);
}

#[tokio::test]
async fn the_first_window_reaches_as_far_back_when_it_is_asked_again() {
    let mut world = world_of_news().await;
    answer_since(&world, None, page(&[photo(50, 7, 3_500)], 50)).await;
    let route = timeline(7);
    let target = accounts(&["a"]);
    world.check(&target).await;
    world.later(500);
    world.check(&target).await;
    let starts = world.asked(&route, "start_time").await;
    let seconds = |start: &Option<String>| {
        Timestamp::from_secs(now()).since(start.as_ref().unwrap().parse().unwrap()).as_secs()
    };
    // Our clock runs ahead, so the last request is by the server's.
    let (first, last) = (seconds(&starts[0]), seconds(starts.last().unwrap()));
    assert!((3_600..3_700).contains(&first) && (4_100..4_200).contains(&last), "{starts:?}");
}

#[tokio::test]
async fn more_posts_than_may_be_read_do_not_stop_an_account_for_good() {
    let since = Since::LastSeen { first: Duration::from_secs(3_600) };
    let mut world = World::of_a(|config| {
        config.since = since;
        config.max_pages = NonZeroUsize::MIN;
    })
    .await;
    let more = page_with(&[text(50, 7, 10)], 50, r#","next_token":"p2""#);
    answer_since(&world, None, more).await;
    answer_since(&world, Some("50"), page(&[photo(60, 7, 2)], 60)).await;
    for _ in 0..2 {
        all(&world.check(&accounts(&["a"])).await, Class::Permanent, Scope::Target);
        world.later(3_600);
    }
    assert_eq!(words(&world.check(&accounts(&["a"])).await), ["active"]);
}

#[tokio::test]
async fn an_empty_first_page_does_not_hide_what_is_newest() {
    let mut world = world_of_news().await;
    let route = timeline(7);
    let first = r#"{"meta":{"result_count":0,"next_token":"p2"}}"#.to_owned();
    answer_since(&world, None, first).await;
    answer_since(&world, Some("49"), EMPTY.to_owned()).await;
    world.answer_page(&route, Some("p2"), page(&[photo(49, 7, 20)], 49)).await;
    for word in ["active", "active", "no_story"] {
        assert_eq!(words(&world.check(&accounts(&["a"])).await), [word]);
        world.later(3_600);
    }
}

#[tokio::test]
async fn a_check_that_fails_forgets_nothing_and_learns_nothing() {
    let since = Since::LastSeen { first: Duration::from_secs(3_600) };
    let world = World::of_a(|config| config.since = since).await;
    let route = timeline(7);
    let first = page_with(&[photo(50, 7, 10)], 50, r#","next_token":"p2""#);
    world.answer_page(&route, None, first).await;
    let second = Mock::given(path(&route)).and(query_param("pagination_token", "p2"));
    second.respond_with(json(503, "{}")).up_to_n_times(1).mount(&world.server).await;
    world.answer_page(&route, Some("p2"), page(&[photo(49, 7, 20)], 49)).await;
    all(&world.check(&accounts(&["a"])).await, Class::Transient, Scope::Endpoint);
    let report = world.check(&accounts(&["a"])).await.remove(0).unwrap();
    assert_eq!(ids(&report), ["49", "50"]);
}

#[tokio::test]
async fn both_spellings_are_asked_and_read() {
    for (spelling, fields, history, includes) in [
        (Spelling::Tweet, "tweet.fields", "edit_history_tweet_ids", "tweets"),
        (Spelling::Post, "post.fields", "edit_history_post_ids", "posts"),
    ] {
        let world = World::of_a(|config| config.spelling = spelling).await;
        let post = photo(30, 7, 60).replace("{\"id\"", &format!(r#"{{"{history}":["30"],"id""#));
        let media =
            r#""media":[{"media_key":"3_30","type":"photo","url":"https://pbs.sim.test/30.jpg"}]"#;
        let body = page(&[post], 30).replace(
            "\"meta\"",
            &format!(r#""includes":{{{media},"{includes}":[{{"id":"1","text":"x"}}]}},"meta""#),
        );
        world.answer(&timeline(7), json(200, body)).await;
        let report = world.check(&accounts(&["a"])).await.remove(0).unwrap();
        assert_eq!(report.items[0].media[0].url, "https://pbs.sim.test/30.jpg");
        let asked = world.asked(&timeline(7), fields).await;
        assert_eq!(asked, [Some("created_at,author_id,attachments".to_owned())]);
    }
}

#[tokio::test]
async fn hashtags_and_queries_are_searched_for() {
    let world = World::new().await;
    world.answer_once(SEARCH, json(200, page(&[photo(30, 7, 60), photo(29, 8, 70)], 30))).await;
    world.answer(SEARCH, json(200, EMPTY)).await;
    let targets = [hashtag("#Tea").unwrap(), query("from:a (has:images OR has:videos)").unwrap()];
    let answers = world.check(&targets).await;
    assert_eq!(words(&answers), ["active", "no_story"]);
    assert_eq!(ids(answers[0].as_ref().unwrap()), ["29", "30"]);
    assert!(facts(answers[1].as_ref().unwrap()).contains("leaves out the last 30 s"));
    let asked = world.asked(SEARCH, "query").await;
    let asked: Vec<_> = asked.iter().map(|query| query.as_deref().unwrap()).collect();
    assert_eq!(asked, ["#tea has:media -is:retweet", "from:a (has:images OR has:videos)"]);
    assert_eq!(world.asked(SEARCH, "sort_order").await[0].as_deref(), Some("recency"));
    assert_eq!(world.asked(SEARCH, "exclude").await[0], None);
    assert!(world.requests().await[0].url.query().unwrap().contains("query=%23tea%20has%3Amedia"));
}

#[tokio::test]
async fn a_search_goes_back_seven_days_at_most() {
    let month = Duration::from_secs(30 * 86_400);
    let world = World::of_a(|config| config.since = Since::Window(month)).await;
    let route = timeline(7);
    world.answer(SEARCH, json(200, EMPTY)).await;
    world.answer(&route, json(200, EMPTY)).await;
    let answers = world.check(&[hashtag("tea").unwrap(), account("a").unwrap()]).await;
    assert_eq!(words(&answers), ["no_story", "no_story"]);
    let days = |start: &[Option<String>]| {
        let start: Timestamp = start[0].as_ref().unwrap().parse().unwrap();
        Timestamp::from_secs(now()).since(start).as_secs() as f64 / 86_400.0
    };
    let (search, account) = (
        days(&world.asked(SEARCH, "start_time").await),
        days(&world.asked(&route, "start_time").await),
    );
    assert!((6.9..7.0).contains(&search), "{search}");
    assert!((30.0..30.1).contains(&account), "{account}");

    // A post that is older than that is no place to go on from: all that can be had is newer.
    let since = Since::LastSeen { first: Duration::from_secs(3_600) };
    let mut world = World::with(|config| config.since = since).await;
    world.answer(SEARCH, json(200, page(&[text(1_000, 7, 60)], 1_000))).await;
    let tag = [hashtag("tea").unwrap()];
    for _ in 0..3 {
        world.check(&tag).await;
        world.later(3_600);
    }
    assert!(world.asked(SEARCH, "since_id").await.iter().all(Option::is_none));
    let last = days(&world.asked(SEARCH, "start_time").await.split_off(3));
    assert!((6.9..7.0).contains(&last), "{last}");
}

#[tokio::test]
async fn what_nobody_can_ask_for_is_not_asked() {
    let world = World::new().await;
    let targets: Vec<Target> = [
        "x/account/no name".to_owned(),
        "x/hashtag/a b".to_owned(),
        format!("x/hashtag/{}", "a".repeat(500)),
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    all(&world.check(&targets).await, Class::Permanent, Scope::Target);
    assert!(world.seen().await.is_empty());
}

#[tokio::test]
async fn a_query_that_the_platform_refuses_is_its_authors() {
    let world = World::new().await;
    let refused = r#"{"errors":[{"parameters":{"query":["(("]},"message":"There were errors processing your request"}],"title":"Invalid Request","type":"https://api.x.com/2/problems/invalid-request"}"#;
    world.answer_once(SEARCH, json(400, refused)).await;
    world.answer(SEARCH, json(200, EMPTY)).await;
    let answers = world.check(&[query("((").unwrap(), query("a").unwrap()]).await;
    all(&answers[..1], Class::Permanent, Scope::Target);
    assert_eq!(words(&answers), ["fault", "no_story"]);
}

#[tokio::test]
async fn a_window_that_is_used_up_holds_the_token_until_it_begins_anew() {
    let world = World::of_a(|_| {}).await;
    let last = json(200, page(&[photo(30, 7, 60)], 30))
        .insert_header("x-rate-limit-remaining", "0")
        .insert_header("x-rate-limit-reset", (now() + 600).to_string().as_str());
    world.answer(&timeline(7), last).await;
    world.answer(SEARCH, json(200, EMPTY)).await;
    let cx = world.context();
    let targets = [account("a").unwrap(), hashtag("tea").unwrap()];
    let answers = world.check_in(&targets, &cx).await;
    // That answer was good; the next request is not sent, and nobody pays.
    assert_eq!(words(&answers), ["active", "fault"]);
    all(&answers[1..], Class::RateLimited, Scope::Ours);
    let wait = answers[1].as_ref().unwrap_err().until.unwrap().since(cx.now()).as_secs();
    assert!((590..=601).contains(&wait), "{wait}");
    assert_eq!(world.seen().await, [USERS, &timeline(7)]);
    // Another token has its own window.
    let other = x_session("other".into(), "BBBB").unwrap();
    let other = Arc::new(SessionHandle::new(other.id, other.credentials));
    let answers = world.check_in(&targets[1..], &cx.with_session(Some(other))).await;
    assert_eq!(words(&answers), ["no_story"]);
}

#[tokio::test]
async fn a_429_rests_the_token_and_a_cap_tells_the_operator() {
    let world = World::of_a(|_| {}).await;
    let limited = r#"{"title":"Too Many Requests","type":"about:blank","status":429}"#;
    let limited = json(429, limited)
        .insert_header("x-rate-limit-remaining", "0")
        .insert_header("x-rate-limit-reset", (now() + 300).to_string().as_str());
    world.answer_once(&timeline(7), limited).await;
    let targets = [account("a").unwrap(), hashtag("tea").unwrap()];
    let before = SystemClock::new().now();
    let answers = world.check(&targets).await;
    all(&answers, Class::RateLimited, Scope::Session);
    let wait = answers[1].as_ref().unwrap_err().until.unwrap().since(before).as_secs();
    assert!((295..=305).contains(&wait), "{wait}");

    let capped = r#"{"title":"UsageCapExceeded","detail":"x","type":"https://api.x.com/2/problems/usage-capped","period":"Monthly","scope":"Product"}"#;
    let capped = json(429, capped).insert_header("x-rate-limit-remaining", "9999");
    world.answer(&timeline(7), capped).await;
    let answers = world.check(&targets).await;
    all(&answers, Class::Permanent, Scope::App);
    assert_eq!(world.seen().await, [USERS, &timeline(7), &timeline(7)]);
}

#[tokio::test]
async fn a_bad_token_stops_the_check() {
    let world = World::new().await;
    let refused =
        r#"{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}"#;
    world.answer(USERS, json(401, refused)).await;
    let targets = [account("a").unwrap(), hashtag("tea").unwrap()];
    let answers = world.check(&targets).await;
    all(&answers, Class::AuthRequired, Scope::Session);
    assert!(answers[0].as_ref().unwrap_err().evidence.is_some());
    assert_eq!(world.seen().await, [USERS]);
}

#[tokio::test]
async fn without_a_good_token_nothing_is_asked() {
    let world = World::new().await;
    let none = world.context().with_session(None);
    all(&world.check_in(&accounts(&["a"]), &none).await, Class::Permanent, Scope::Ours);
    let ended = SystemClock::new().now();
    world.session.update(|credentials| credentials.expires_at = Some(ended));
    all(&world.check(&accounts(&["a"])).await, Class::AuthRequired, Scope::Session);
    world.session.update(|credentials| *credentials = Credentials::default());
    all(&world.check(&accounts(&["a"])).await, Class::AuthRequired, Scope::Session);
    assert!(world.seen().await.is_empty());
}

#[tokio::test]
async fn bounds_of_the_configuration_hold() {
    let world = World::of_a(|config| {
        config.max_body = 1_000;
        config.request_timeout = Duration::from_millis(200);
        config.user_agent = "team-tool/1".into();
        config.max_batch = NonZeroUsize::new(3).unwrap();
        config.user_ttl = Duration::ZERO;
    })
    .await;
    assert_eq!(world.profile.max_batch.get(), 3);
    let long = page(&[text(30, 7, 60)], 30) + &" ".repeat(1_000);
    world.answer_once(&timeline(7), json(200, long)).await;
    world.answer(&timeline(7), json(200, EMPTY).set_delay(Duration::from_secs(30))).await;
    all(&world.check(&accounts(&["a"])).await, Class::Malformed, Scope::Endpoint);
    all(&world.check(&accounts(&["a"])).await, Class::Timeout, Scope::Endpoint);
    // Nothing was remembered.
    assert_eq!(world.seen().await, [USERS, &timeline(7), USERS, &timeline(7)]);
    assert_eq!(world.requests().await[0].headers["user-agent"], "team-tool/1");
}

#[tokio::test]
async fn one_odd_timeline_does_not_spoil_the_others_and_two_stop_the_check() {
    let world = World::new().await;
    let names = ["a", "b", "c", "d"];
    let data: Vec<_> = (7..).zip(names).map(|(id, name)| user(id, name, false)).collect();
    world.answer(USERS, json(200, users(&data))).await;
    world.answer_once(&timeline(7), json(500, "{}")).await;
    world.answer(&timeline(7), json(200, r#"{"meta":{"result_count":2}}"#)).await;
    world.answer_once(&timeline(8), json(200, EMPTY)).await;
    // A post of somebody else is no answer.
    world.answer(&timeline(8), json(200, page(&[photo(30, 9, 60)], 30))).await;
    world.answer(&timeline(9), json(200, EMPTY)).await;
    world.answer(&timeline(10), json(200, EMPTY)).await;
    let answers = world.check(&accounts(&names)).await;
    all(&answers[..1], Class::Transient, Scope::Endpoint);
    assert_eq!(words(&answers[1..]), ["no_story"; 3]);
    let answers = world.check(&accounts(&names)).await;
    all(&answers[..2], Class::Malformed, Scope::Endpoint);
    // Those that were not asked pay nothing.
    all(&answers[2..], Class::RateLimited, Scope::Ours);
}

#[tokio::test]
async fn a_clock_that_is_ahead_hides_no_post() {
    let mut world = World::of_a(|_| {}).await;
    world.clock = Arc::new(Ahead(Duration::from_secs(7_200)));
    let route = timeline(7);
    world.answer(&route, json(200, page(&[photo(30, 7, 85_000)], 30))).await;
    world.answer(SEARCH, json(200, EMPTY)).await;
    // The search comes first, and has to learn the time.
    let answers = world.check(&[hashtag("tea").unwrap()]).await;
    assert_eq!(words(&answers), ["no_story"]);
    let starts = world.asked(SEARCH, "start_time").await;
    let start = |text: &Option<String>| text.as_ref().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(starts.len(), 2);
    assert!(start(&starts[0]).since(start(&starts[1])) > Duration::from_secs(7_000));
    // After the look-up the time is known.
    assert_eq!(words(&world.check(&accounts(&["a"])).await), ["active"]);
    let starts = world.asked(&route, "start_time").await;
    assert_eq!(starts.len(), 1);
    assert!(Timestamp::from_secs(now() - 86_400) >= start(&starts[0]));
}

#[tokio::test]
async fn no_planted_token_in_logs_errors_and_debug_texts() {
    let world = World::new().await;
    let planted = r#"{"title":"PLANTED-title 1","detail":"PLANTED-detail","type":"https://api.x.com/2/problems/PLANTED"}"#;
    world.answer_once(USERS, json(403, planted)).await;
    world.answer(USERS, json(200, users(&[user(7, "a", false)]))).await;
    let body = page(&[photo(30, 7, 60).replace("\"t\"", "\"PLANTED-text\"")], 30);
    let body = body.replace("\"meta\"", &format!(r#""errors":[{planted}],"meta""#));
    let answer = json(200, body).insert_header("x-rate-limit-remaining", "41");
    world.answer(&timeline(7), answer).await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let cx = world.context();
        let answers = world.check_in(&accounts(&["a"]), &cx).await;
        texts.push(format!("{answers:?} {cx:?} {:?} {}", world.checker, world.checker));
        texts.extend(answers.iter().filter_map(|answer| Some(answer.as_ref().err()?.to_string())));
    }
    assert!(texts[0].contains("Malformed") && texts[2].contains("Active"), "{texts:?}");
    for text in &texts {
        assert!(!text.contains("PLANTED"), "{text}");
    }
    let log = log().text();
    assert!(
        log.contains("authorization: [redacted]") && log.contains("x-rate-limit-remaining: 41")
    );
    let leaks: Vec<_> = log
        .lines()
        .filter(|line| !line.contains(" wiremock") && line.contains("PLANTED"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
