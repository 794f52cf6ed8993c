//! An engine, a platform, and the comparison of the two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::cache::InMemoryCache;
use story_checker_core::engine::{
    Engine, EngineConfig, EngineHandle, Event, Overflow, SubmitOptions, Subscription,
};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{Cookie, InMemorySessionStore, SessionStore};
use story_checker_core::{Clock, Report, SessionId, SystemClock, Target, Timestamp, Verdict};
use story_checker_http::instagram::{WebChecker, WebConfig, web_session_from_cookies};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig, Transport};
use story_checker_sim::{
    AuditSummary, Platform, ProxyCredentials, ProxyKind, ProxySpec, Server, ServerConfig, SimClock,
    SimConfig, Timestamp as SimTime, TruthKind, numbered_name,
};

/// A platform on sockets behind proxies, and an engine that uses it.
pub(super) struct World {
    pub(super) platform: Arc<Platform>,
    pub(super) sessions: Arc<InMemorySessionStore>,
    pub(super) engine: EngineHandle,
    pub(super) events: Subscription,
    server: Option<Server>,
}

impl World {
    /// TLS through two CONNECT and two SOCKS5 proxies with passwords.
    pub(super) async fn on_sockets(config: SimConfig, limits: Limits) -> Self {
        let platform = Arc::new(Platform::new(config.with_expect_proxy(true)).unwrap());
        let kinds = [ProxyKind::Http, ProxyKind::Socks5, ProxyKind::Http, ProxyKind::Socks5];
        let listen = kinds.into_iter().fold(ServerConfig::new(), |listen, kind| {
            let login = ProxyCredentials::new("user", "pass:w%rd@");
            listen.with_proxy(ProxySpec::new(kind).with_credentials(login))
        });
        let server =
            Server::start(Arc::clone(&platform), listen, SimClock::system()).await.unwrap();
        let mut transport = ReqwestTransportConfig::default();
        transport.extra_root_pem = Some(server.ca_pem().into());
        let transport = Arc::new(ReqwestTransport::new(transport).unwrap());
        let proxies =
            server.proxies().into_iter().map(|proxy| proxy.url.parse().map(Proxy::new).unwrap());
        let (url, clock) = (server.https_url(), Arc::new(SystemClock::new()));
        let mut world =
            Self::start(platform, transport, url, proxies.collect(), clock, limits).await;
        world.server = Some(server);
        world
    }

    /// Any transport to the platform, by any clock.
    pub(super) async fn start(
        platform: Arc<Platform>,
        transport: Arc<dyn Transport>,
        base_url: String,
        proxies: Vec<Proxy>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        let sessions = Arc::new(InMemorySessionStore::new(Arc::clone(&clock)));
        let record = |index| {
            let cookies = platform.session_credentials(index).unwrap();
            let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).to_vec();
            let id = SessionId::new(platform.session_username(index).unwrap());
            web_session_from_cookies(id, cookies).unwrap()
        };
        sessions.put((0..platform.sessions()).map(record).collect()).await.unwrap();
        let mut web = WebConfig::default();
        web.base_url = base_url;
        // Profiles are as fresh as the truth that they are compared with.
        web.profile_ttl = Duration::from_secs(600);
        let mut config = EngineConfig::default();
        // Half a minute in life.
        config.retry.defer_for = Duration::from_secs(1);
        config.limits.insert("instagram-web".into(), limits);
        let engine = Engine::builder()
            .checker(Arc::new(WebChecker::new(transport, web).unwrap()))
            .queue(Arc::new(InMemoryJobQueue::new(Arc::clone(&clock))))
            .sessions(Arc::clone(&sessions) as Arc<dyn SessionStore>)
            .proxies(Arc::new(StaticProxySource::new(proxies)))
            .cache(Arc::new(InMemoryCache::new(Arc::clone(&clock))))
            .clock(clock)
            .config(config)
            .build()
            .unwrap()
            .start()
            .await
            .unwrap();
        let events = engine.subscribe(1_024, Overflow::Wait);
        Self { platform, sessions, engine, events, server: None }
    }

    /// Checks the first `count` numbered accounts; events that are no reports go to `also`.
    pub(super) async fn check(
        &mut self,
        count: u32,
        mut also: impl FnMut(&Event),
    ) -> Vec<Arc<Report>> {
        let targets = (0..count).map(|number| target(&numbered_name(number)));
        let submitted = self.engine.submit(targets, SubmitOptions::default()).await.unwrap();
        assert_eq!(submitted.accepted, count as usize);
        let mut reports = Vec::with_capacity(count as usize);
        while reports.len() < count as usize {
            match self.events.next().await.expect("the engine has ended") {
                Event::Reported { report, .. } => reports.push(report),
                other => also(&other),
            }
        }
        reports
    }

    pub(super) async fn session_state(&self, session: usize) -> String {
        let id = self.platform.session_username(session).unwrap();
        let records = self.sessions.list(None, 1_000).await.unwrap();
        let record = records.into_iter().find(|record| record.id.as_str() == id).unwrap();
        record.state.as_str().to_owned()
    }

    pub(super) async fn end(self) -> AuditSummary {
        self.engine.shutdown(Duration::from_secs(10)).await;
        if let Some(server) = self.server {
            server.shutdown().await;
        }
        self.platform.audit()
    }
}

pub(super) fn target(handle: &str) -> Target {
    format!("instagram/account/{handle}").parse().unwrap()
}

/// Compares reports with the truth; the counts per verdict, or what is wrong.
pub(super) fn judge(platform: &Platform, reports: &[Arc<Report>]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for report in reports {
        // A story may appear or end while the check runs: the server's own time decides where it is
        // told, and otherwise the beginning or the end of the check.
        let times = match report.evidence.server_time {
            // The header tells whole seconds; the answer was made within that second.
            Some(at) => vec![at, at + Duration::from_millis(999)],
            None => vec![report.timings.started, report.timings.ended],
        };
        let right = times.iter().any(|&at| agrees(platform, report, at));
        assert!(right, "{report:#?}\nbut the truth is {:#?}", truth(platform, report, times[0]));
        *counts.entry(report.verdict.as_str()).or_default() += 1;
    }
    counts
}

fn truth(platform: &Platform, report: &Report, at: Timestamp) -> story_checker_sim::Truth {
    platform.truth(report.target.handle(), SimTime::from_unix_millis(at.as_millis()))
}

fn agrees(platform: &Platform, report: &Report, at: Timestamp) -> bool {
    let truth = truth(platform, report, at);
    let ids = |report: &Report| {
        let mut ids: Vec<u64> = report.items.iter().map(|item| pk(&item.id)).collect();
        ids.sort_unstable();
        ids
    };
    let mut expected: Vec<u64> = truth.items.iter().map(|item| item.pk).collect();
    expected.sort_unstable();
    match (&report.verdict, truth.kind) {
        (Verdict::Active, TruthKind::Active) => ids(report) == expected,
        (Verdict::NoStory, TruthKind::NoStory)
        | (Verdict::Private, TruthKind::Private)
        | (Verdict::NotFound, TruthKind::NotFound) => report.items.is_empty(),
        _ => false,
    }
}

/// The item's own number: ids may come as `pk` or `pk_owner`.
fn pk(id: &str) -> u64 {
    id.split('_').next().unwrap_or_default().parse().unwrap()
}

/// What no run may ever do.
pub(super) fn assert_clean(audit: &AuditSummary) {
    assert_eq!(audit.direct_requests, 0, "requests came past their proxy");
    assert_eq!(audit.session_overlaps, 0, "a session was used twice at once");
    assert_eq!(audit.session_address_changes, 0, "a session was seen from two addresses");
    assert_eq!(audit.requests_after_challenge, 0, "a challenged session went on");
    assert_eq!(audit.limits_broken, 0, "a limit was broken");
}
