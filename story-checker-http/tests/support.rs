//! A platform of canned answers, and small servers that misbehave.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Gate;
use story_checker_core::proxy::Proxy;
use story_checker_core::session::{Cookie, Credentials, SessionHandle};
use story_checker_core::{Clock, Fault, Report, SystemClock, Target};
use story_checker_http::instagram::{WebChecker, WebConfig, account};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const PROFILE: &str = "/api/v1/users/web_profile_info/";
pub(crate) const REELS: &str = "/api/v1/feed/reels_media/";
pub(crate) const SEARCH: &str = "/web/search/topsearch/";
pub(crate) const VIEWER: &str = "/graphql/query/";
pub(crate) const EMPTY: &str = r#"{"reels":{},"reels_media":[],"status":"ok"}"#;
pub(crate) const NOBODY: &str = r#"{"data":{"user":null},"status":"ok"}"#;
pub(crate) const ME: &str =
    r#"{"data":{"user":{"id":"4200000001","username":"me"}},"status":"ok"}"#;
pub(crate) const NOBODY_FOUND: &str = r#"{"users":[],"places":[],"hashtags":[],"status":"ok"}"#;
pub(crate) const NOT_FOUND: &str =
    r#"{"message":"User not found","status":"fail","error_type":"user_not_found"}"#;

/// Everything that is logged by any test of this binary, at trace level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

pub(crate) fn log() -> Log {
    static LOG: Mutex<Option<Log>> = Mutex::new(None);
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        *LOG.lock().unwrap() = Some(log);
    });
    LOG.lock().unwrap().clone().unwrap()
}

/// The platform's time: whole seconds, now.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn json(status: u16, body: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.into(), "application/json; charset=utf-8")
}

pub(crate) fn profile(id: u64, name: &str) -> String {
    profile_with(id, name, "\"is_private\":false,\"followed_by_viewer\":false")
}

pub(crate) fn profile_with(id: u64, name: &str, more: &str) -> String {
    format!(r#"{{"data":{{"user":{{"id":"{id}","username":"{name}",{more}}}}},"status":"ok"}}"#)
}

pub(crate) fn story(pk: u64, owner: u64, taken: u64) -> String {
    format!(
        r#"{{"pk":"{pk}","id":"{pk}_{owner}","taken_at":{taken},"expiring_at":{},"media_type":1,
            "image_versions2":{{"candidates":[{{"width":1080,"height":1920,
            "url":"https://cdn.sim.test/{pk}.jpg?oh=PLANTED-signature&oe=1"}}]}}}}"#,
        taken + 86_400
    )
}

pub(crate) fn reels(reels: &[(u64, Vec<String>)]) -> String {
    let reel = |(id, items): &(u64, Vec<String>)| {
        let items = items.join(",");
        format!(r#""{id}":{{"id":{id},"reel_type":"user_reel","items":[{items}]}}"#)
    };
    let reels: Vec<_> = reels.iter().map(reel).collect();
    format!(r#"{{"reels":{{{}}},"reels_media":[],"status":"ok"}}"#, reels.join(","))
}

/// A session whose every value is planted.
pub(crate) fn session() -> Arc<SessionHandle> {
    let cookie = |name: &str, value: &str| {
        let mut cookie = Cookie::new(name, value);
        cookie.domain = Some("instagram.com".to_owned());
        cookie
    };
    let cookies = vec![
        cookie("sessionid", "4200000001%3APLANTED-session"),
        cookie("csrftoken", "PLANTED-csrf"),
    ];
    let credentials = Arc::new(Credentials::from_cookies(cookies));
    Arc::new(SessionHandle::new("main".into(), credentials))
}

/// A checker, and what an engine would give it.
pub(crate) struct World {
    pub(crate) server: MockServer,
    pub(crate) checker: WebChecker,
    pub(crate) session: Arc<SessionHandle>,
    pub(crate) cache: Arc<dyn Cache>,
    pub(crate) profile: CheckerProfile,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut WebConfig)) -> Self {
        log();
        let server = MockServer::start().await;
        let mut config = WebConfig::default();
        config.base_url = server.uri();
        change(&mut config);
        let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
        let checker = WebChecker::new(Arc::new(transport), config).unwrap();
        let mut profile = checker.profile().clone();
        profile.limits.session = None;
        let cache = Arc::new(InMemoryCache::new(Arc::new(SystemClock::new())));
        Self { server, checker, session: session(), cache, profile }
    }

    pub(crate) fn context(&self) -> CheckContext {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        CheckContext::new(&self.profile, gate, Arc::clone(&self.cache), clock)
            .with_session(Some(Arc::clone(&self.session)))
            .with_patience(Duration::ZERO)
    }

    pub(crate) async fn answer(&self, route: &str, answer: ResponseTemplate) {
        Mock::given(method("GET")).and(path(route)).respond_with(answer).mount(&self.server).await;
    }

    /// Only the first request gets this answer.
    pub(crate) async fn answer_once(&self, route: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(route))
            .respond_with(answer)
            .up_to_n_times(1)
            .mount(&self.server)
            .await;
    }

    pub(crate) async fn profile_of(&self, name: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(PROFILE))
            .and(query_param("username", name))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    pub(crate) async fn check(&self, names: &[&str]) -> Vec<Result<Report, Fault>> {
        self.check_in(names, &self.context()).await
    }

    pub(crate) async fn check_in(
        &self,
        names: &[&str],
        cx: &CheckContext,
    ) -> Vec<Result<Report, Fault>> {
        let targets: Vec<Target> = names.iter().map(|name| account(name).unwrap()).collect();
        let answers = self.checker.check(&targets, cx).await;
        assert_eq!(answers.len(), targets.len());
        for (answer, target) in answers.iter().zip(&targets) {
            if let Ok(report) = answer {
                assert_eq!(&report.target, target);
                assert_eq!(report.evidence.source, "instagram-web/2");
                assert!(!report.evidence.facts.is_empty());
            }
        }
        answers
    }

    /// The paths of all requests so far, in order.
    pub(crate) async fn seen(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|request| request.url.path().to_owned()).collect()
    }
}

/// A server that does with each connection what it is told; returns its address.
pub(crate) async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    log();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(handle(socket));
        }
    });
    address
}

/// An address that refuses connections.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub(crate) fn proxy(text: impl AsRef<str>) -> Option<Arc<Proxy>> {
    Some(Arc::new(Proxy::new(text.as_ref().parse().unwrap())))
}
