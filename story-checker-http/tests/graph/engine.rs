//! With an engine: whose token is borrowed, who pays, and what is stored.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{InMemorySessionStore, SessionRecord, SessionStore};
use story_checker_core::{Clock, SystemClock, Verdict};
use story_checker_http::instagram::{
    GraphChecker, GraphConfig, GraphToken, account, graph_session,
};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer};

use super::{REFRESH, STORIES, error, old_token, page, story};
use crate::support::{json, log, now};

#[tokio::test]
async fn each_account_is_asked_with_its_own_token_which_alone_pays_and_is_stored() {
    log();
    let server = MockServer::start().await;
    let answer = |route: &str, token: &str, answer| {
        let mock = Mock::given(path(route)).and(header("authorization", format!("Bearer {token}")));
        mock.respond_with(answer).mount(&server)
    };
    let new = r#"{"access_token":"PLANTED-new","token_type":"bearer","expires_in":5184000}"#;
    answer(REFRESH, "PLANTED-access-token", json(200, new)).await;
    let stories = json(200, page(&[story(1, now() - 100)], "Qg", false));
    answer(STORIES, "PLANTED-new", stories).await;
    answer("/v25.0/178414999/stories", "PLANTED-other", error(190, Some(460))).await;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sessions = Arc::new(InMemorySessionStore::new(Arc::clone(&clock)));
    let other = GraphToken::new("PLANTED-other", "178414999", "other");
    let records = [("tea", old_token()), ("other", other)];
    let records = records.map(|(id, token)| graph_session(id.into(), token).unwrap());
    sessions.put(records.to_vec()).await.unwrap();

    let mut config = GraphConfig::default();
    config.base_url = server.uri();
    config.login_base_url = server.uri();
    let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
    let engine = Engine::builder()
        .checker(Arc::new(GraphChecker::new(Arc::new(transport), config).unwrap()))
        .queue(Arc::new(InMemoryJobQueue::new(clock)))
        .sessions(Arc::clone(&sessions) as Arc<dyn SessionStore>)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    let mut events = engine.subscribe(64, Overflow::Wait);
    let targets = ["tea_house", "other", "nobody"].map(|name| account(name).unwrap());
    engine.submit(targets, SubmitOptions::default()).await.unwrap();

    let (mut reports, mut changed) = (Vec::new(), None);
    while reports.len() < 2 || changed.is_none() {
        match events.next().await.unwrap() {
            Event::Reported { report, .. } => reports.push(report),
            Event::SessionChanged { session, state } => changed = Some((session, state)),
            _ => {}
        }
    }
    engine.shutdown(Duration::from_secs(5)).await;

    reports.sort_by_key(|report| report.target.handle().to_owned());
    let Verdict::Unknown { cause } = &reports[0].verdict else { panic!("{:?}", reports[0]) };
    assert!(cause.message.starts_with("no token of this account"), "{}", cause.message);
    assert_eq!(reports[1].verdict, Verdict::Active);
    assert_eq!(reports[1].evidence.session.as_ref().unwrap().as_str(), "tea");

    let (session, state) = changed.unwrap();
    assert_eq!((session.as_str(), state.as_str()), ("other", "needs_login"));
    let stored = sessions.list(None, 10).await.unwrap();
    let of = |id: &str| stored.iter().find(|record| record.id.as_str() == id).unwrap();
    let token = |record: &SessionRecord| record.credentials.tokens["access_token"].clone();
    assert_eq!(of("other").state.as_str(), "needs_login");
    assert_eq!(of("tea").state.as_str(), "valid");
    assert_eq!(token(of("tea")).expose(), "PLANTED-new");
    assert!(of("tea").credentials.expires_at.unwrap().as_secs() > now() + 59 * 86_400);
}
