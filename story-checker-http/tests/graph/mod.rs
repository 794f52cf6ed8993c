//! The Graph API: what each token shows, and what its answers mean for it.

mod engine;
mod limits;
mod others;
mod properties;
mod stories;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Gate;
use story_checker_core::session::SessionHandle;
use story_checker_core::{Class, Clock, Fault, Report, Scope, SystemClock, Target, Timestamp};
use story_checker_http::instagram::{
    GraphChecker, GraphConfig, GraphLogin, GraphToken, account, graph_session,
};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{json, log, now};

pub(super) const STORIES: &str = "/v25.0/17841400000000001/stories";
pub(super) const ME: &str = "/v25.0/17841400000000001";
pub(super) const REFRESH: &str = "/refresh_access_token";
pub(super) const NOTHING: &str = r#"{"data":[]}"#;
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn story(id: u64, taken: u64) -> String {
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

pub(super) fn page(stories: &[String], after: &str, next: bool) -> String {
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

pub(super) fn error(code: i64, subcode: Option<i64>) -> ResponseTemplate {
    let subcode = subcode.map_or(String::new(), |code| format!(r#","error_subcode":{code}"#));
    let body = format!(
        r#"{{"error":{{"message":"(#{code}) PLANTED-message","type":"OAuthException","code":{code}{subcode},"fbtrace_id":"PLANTED-trace"}}}}"#
    );
    json(400, body)
}

pub(super) fn token() -> GraphToken {
    GraphToken::new("PLANTED-access-token", "17841400000000001", "tea_house")
}

/// A token of Instagram Login, 51 days old, with nine left.
pub(super) fn old_token() -> GraphToken {
    let now = Timestamp::from_secs(now());
    let mut token = token();
    token.login = GraphLogin::Instagram;
    token.issued_at = Some(now - 51 * DAY);
    token.expires_at = Some(now + 9 * DAY);
    token
}

/// A clock that is set by hand, for what happens in months.
#[derive(Debug)]
pub(super) struct Hand(pub(super) Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A checker with one token, and what an engine would give it.
pub(super) struct Office {
    pub(super) server: MockServer,
    pub(super) checker: GraphChecker,
    pub(super) session: Arc<SessionHandle>,
    pub(super) profile: CheckerProfile,
    pub(super) gate: Arc<Gate>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Office {
    pub(super) async fn new() -> Self {
        Self::with(token(), |_| {}).await
    }

    pub(super) async fn with(token: GraphToken, change: impl FnOnce(&mut GraphConfig)) -> Self {
        Self::at(token, change, Arc::new(SystemClock::new())).await
    }

    pub(super) async fn at(
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

    pub(super) fn context(&self) -> CheckContext {
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&self.clock)));
        CheckContext::new(&self.profile, Arc::clone(&self.gate), cache, Arc::clone(&self.clock))
            .with_patience(Duration::ZERO)
            .with_loan(GraphChecker::SESSION_KIND, Some("tea_house"), Arc::clone(&self.session))
    }

    pub(super) async fn answer(&self, route: &str, answer: ResponseTemplate) {
        Mock::given(method("GET")).and(path(route)).respond_with(answer).mount(&self.server).await;
    }

    pub(super) async fn stories(&self, answer: ResponseTemplate) {
        self.answer(&format!("/facebook{STORIES}"), answer).await;
    }

    pub(super) async fn check(&self, name: &str) -> Result<Report, Fault> {
        self.check_in(name, &self.context()).await
    }

    pub(super) async fn check_in(&self, name: &str, cx: &CheckContext) -> Result<Report, Fault> {
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
    pub(super) async fn seen(&self) -> Vec<String> {
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

pub(super) fn facts(report: &Report) -> String {
    report.evidence.facts.join("; ")
}

pub(super) fn of(fault: &Fault) -> (Class, Scope) {
    (fault.class, fault.scope)
}
