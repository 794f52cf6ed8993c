//! `story-checker sessions validate`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use story_checker_core::cache::Cache;
use story_checker_core::charge::{SessionCharge, charge};
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Gate;
use story_checker_core::proxy::{Proxy, ProxyState, StaticProxySource};
use story_checker_core::session::{
    SessionChange, SessionHandle, SessionKind, SessionLease, SessionLeaseRequest, SessionRecord,
    SessionState, SessionStore,
};
use story_checker_core::{Clock, Fault, ProxyId, SessionId, SystemClock, WorkerId};
use story_checker_http::Transport;
use story_checker_http::instagram::{GraphChecker, GraphConfig, WebChecker, WebConfig};
use story_checker_http::x::{XChecker, XConfig};

use super::sessions::{named, word};
use super::{Admin, proxies};
use crate::args::ValidateArgs;
use crate::settings::Settings;
use crate::stores;

/// So many are leased at a time.
const SOME: usize = 8;
/// Nobody validates for longer than this.
const LEASE: Duration = Duration::from_secs(SOME as u64 * 40);
/// How long a session rests after a fault without a hint.
const REST: Duration = Duration::from_secs(11 * 60);

/// Asks the platform whether sessions are logged in; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(super) fn validate(args: &ValidateArgs) -> anyhow::Result<u8> {
    if args.ids.is_empty() && !args.all {
        bail!("name the sessions to ask about, or say --all");
    }
    let look = &args.look;
    let admin = Admin::with(args.layer(), &look.store, look.json)?;
    let listed = proxies::listed(&admin)?;
    let transport = proxies::transport(&admin.settings)?;
    let checkers = Checkers::new(&admin.settings, &transport)?;
    admin.run(async {
        let stores = admin.stores().await?;
        let all = crate::sessions::all(&*stores.sessions).await?;
        let mut wanted = BTreeSet::new();
        for id in &args.ids {
            wanted.insert(named(&admin, &all, id)?.id.clone());
        }
        if args.all {
            wanted.extend(all.keys().cloned());
        }
        let mut round = Round {
            admin: &admin,
            sessions: Arc::clone(&stores.sessions),
            cache: Arc::clone(&stores.cache),
            checkers,
            ways: Ways::new(&admin, listed, &all).await?,
            found: BTreeMap::new(),
        };
        for kind in all.values().map(|record| &record.kind).collect::<BTreeSet<_>>() {
            let of_kind = |id: &SessionId| all.get(id).is_some_and(|record| record.kind == *kind);
            let left: BTreeSet<_> = wanted.iter().filter(|id| of_kind(id)).cloned().collect();
            round.kind(kind, left).await?;
        }
        let now = crate::sessions::all(&*stores.sessions).await?;
        let rows: Vec<_> = wanted
            .iter()
            .filter_map(|id| {
                Some((now.get(id)?, round.found.remove(id).unwrap_or(Found::NotAsked)))
            })
            .collect();
        let json = || json!({"sessions": rows.iter().map(json_of).collect::<Vec<_>>()});
        let header = ["SESSION", "RESULT", "STATE", "WHY"];
        admin.rows(json, &header, || rows.iter().map(row).collect())?;
        if rows.is_empty() {
            admin.voice.say(format_args!("there are no sessions in {}", admin.address));
        }
        Ok(u8::from(rows.is_empty() || rows.iter().any(|(_, found)| !matches!(found, Found::Good))))
    })
}

/// What came of asking about one session.
enum Found {
    Good,
    Bad(Fault),
    /// There is no way out that it may be seen through.
    NoWay(String),
    /// It is out of use, or a worker holds it.
    NotAsked,
}

impl Found {
    fn word(&self) -> &'static str {
        match self {
            Self::Good => "logged in",
            Self::Bad(_) => "failed",
            Self::NoWay(_) | Self::NotAsked => "not asked",
        }
    }

    fn why(&self, record: &SessionRecord) -> String {
        match self {
            Self::Good => String::new(),
            Self::Bad(fault) => fault.message.to_string(),
            Self::NoWay(why) => why.clone(),
            Self::NotAsked if record.state == SessionState::Valid => {
                "a worker holds it, and would see it if it were logged out".to_owned()
            }
            Self::NotAsked => {
                let (why, _) = super::sessions::why(&record.state);
                format!("it is out of use: {why}")
            }
        }
    }
}

fn json_of((record, found): &(&SessionRecord, Found)) -> Value {
    let fault = match found {
        Found::Bad(fault) => Some(json!({"class": fault.class, "fault_of": fault.scope})),
        _ => None,
    };
    json!({
        "session": record.id, "result": found.word().replace(' ', "_"), "fault": fault,
        "state": record.state.as_str(), "why": found.why(record),
    })
}

fn row((record, found): &(&SessionRecord, Found)) -> Vec<String> {
    vec![record.id.to_string(), found.word().to_owned(), word(&record.state), found.why(record)]
}

/// One checker of each kind.
struct Checkers {
    graph: GraphChecker,
    web: WebChecker,
    x: XChecker,
}

impl Checkers {
    fn new(settings: &Settings, transport: &Arc<dyn Transport>) -> anyhow::Result<Self> {
        let (mut graph, mut web) = (GraphConfig::default(), WebConfig::default());
        if let Some(url) = &settings.graph_base_url {
            graph.base_url.clone_from(url);
            graph.login_base_url.clone_from(url);
        }
        web.base_url.clone_from(&settings.base_url);
        let mut x = XConfig::default();
        x.base_url.clone_from(&settings.x_base_url);
        Ok(Self {
            graph: GraphChecker::new(Arc::clone(transport), graph)?,
            web: WebChecker::new(Arc::clone(transport), web)?,
            x: XChecker::new(Arc::clone(transport), x)?,
        })
    }

    fn profile(&self, kind: &SessionKind) -> Option<&CheckerProfile> {
        if *kind == GraphChecker::SESSION_KIND {
            Some(self.graph.profile())
        } else if *kind == WebChecker::SESSION_KIND {
            Some(self.web.profile())
        } else if *kind == XChecker::SESSION_KIND {
            Some(self.x.profile())
        } else {
            None
        }
    }

    async fn ask(&self, record: &SessionRecord, cx: &CheckContext) -> Result<(), Fault> {
        if record.kind == GraphChecker::SESSION_KIND {
            self.graph.validate(record.account.as_deref().unwrap_or_default(), cx).await
        } else if record.kind == XChecker::SESSION_KIND {
            self.x.validate(cx).await
        } else {
            self.web.validate(cx).await
        }
    }
}

/// The ways out: a session is seen through its home alone.
struct Ways {
    proxies: BTreeMap<ProxyId, Arc<Proxy>>,
    /// Which may not be used now.
    closed: BTreeSet<ProxyId>,
    homes: BTreeMap<ProxyId, usize>,
}

impl Ways {
    async fn new(
        admin: &Admin,
        listed: Vec<Proxy>,
        all: &BTreeMap<SessionId, SessionRecord>,
    ) -> anyhow::Result<Self> {
        let source = Arc::new(StaticProxySource::new(listed.iter().cloned()));
        let states = match stores::open_proxies(&admin.address, source).await? {
            Some(source) => source.load().await?,
            None => Vec::new(),
        };
        let is_closed = |state: &ProxyState| match state {
            ProxyState::Active => false,
            ProxyState::Cooling { until, .. } => *until > admin.now,
            _ => true,
        };
        let closed = states.into_iter().filter(|(_, state)| is_closed(state)).map(|(id, _)| id);
        let mut homes = BTreeMap::new();
        for home in all.values().filter_map(|record| record.home_proxy.clone()) {
            *homes.entry(home).or_default() += 1;
        }
        let proxies = listed.into_iter().map(|proxy| (proxy.id().clone(), Arc::new(proxy)));
        Ok(Self { proxies: proxies.collect(), closed: closed.collect(), homes })
    }

    /// The proxy that a session is asked through, be it a new home; none: directly.
    fn of(&mut self, record: &SessionRecord) -> Result<Option<Arc<Proxy>>, String> {
        if let Some(home) = &record.home_proxy {
            return match self.proxies.get(home) {
                None => Err(format!("its home proxy {home} is not in the list of --proxies")),
                Some(_) if self.closed.contains(home) => {
                    Err(format!("its home proxy {home} rests or is disabled"))
                }
                Some(proxy) => Ok(Some(Arc::clone(proxy))),
            };
        }
        if self.proxies.is_empty() {
            return Ok(None);
        }
        let homes = |id: &ProxyId| self.homes.get(id).copied().unwrap_or_default();
        let open = self.proxies.iter().filter(|(id, _)| !self.closed.contains(*id));
        let (id, proxy) = open
            .min_by_key(|(id, _)| homes(id))
            .ok_or("all proxies of the list rest or are disabled")?;
        *self.homes.entry(id.clone()).or_default() += 1;
        Ok(Some(Arc::clone(proxy)))
    }
}

struct Round<'a> {
    admin: &'a Admin,
    sessions: Arc<dyn SessionStore>,
    cache: Arc<dyn Cache>,
    checkers: Checkers,
    ways: Ways,
    found: BTreeMap<SessionId, Found>,
}

impl Round<'_> {
    /// Asks about the sessions of one kind that can be leased: nobody else uses them meanwhile.
    async fn kind(
        &mut self,
        kind: &SessionKind,
        mut left: BTreeSet<SessionId>,
    ) -> anyhow::Result<()> {
        if self.checkers.profile(kind).is_none() && !left.is_empty() {
            bail!("there is no way to ask about sessions of the kind {kind}");
        }
        let owner = WorkerId::new(format!("validate-{}", std::process::id()));
        let mut seen = BTreeSet::new();
        while !left.is_empty() {
            let request = SessionLeaseRequest::new(kind.clone(), owner.clone(), LEASE, SOME);
            let leased = self.sessions.lease(&request).await?.sessions;
            let leases: Vec<_> = leased
                .iter()
                .map(|(record, fence)| SessionLease::new(record.id.clone(), *fence))
                .collect();
            // Those longest unused come first: one that comes again was the first of all.
            let all_seen = leases.iter().all(|lease| !seen.insert(lease.id.clone()));
            let mut outcome = Ok(());
            for ((record, _), lease) in leased.iter().zip(&leases) {
                if outcome.is_ok() && left.remove(&record.id) {
                    outcome = self.one(record, lease).await;
                }
            }
            self.sessions.release(&leases).await?;
            outcome?;
            if all_seen {
                break;
            }
        }
        Ok(())
    }

    async fn one(&mut self, record: &SessionRecord, lease: &SessionLease) -> anyhow::Result<()> {
        let proxy = match self.ways.of(record) {
            Ok(proxy) => proxy,
            Err(why) => {
                self.found.insert(record.id.clone(), Found::NoWay(why));
                return Ok(());
            }
        };
        let home = proxy.as_ref().map(|proxy| proxy.id().clone());
        let home = home.or_else(|| record.home_proxy.clone());
        if home != record.home_proxy {
            // A home that is not stored must not be used.
            let credentials = Arc::clone(&record.credentials);
            let change =
                SessionChange::new(lease.clone(), SessionState::Valid, credentials, home.clone());
            self.sessions.save(vec![change]).await?;
        }
        let Some(profile) = self.checkers.profile(&record.kind) else { return Ok(()) };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        let handle = SessionHandle::new(record.id.clone(), Arc::clone(&record.credentials));
        let handle = Arc::new(handle);
        let cx = CheckContext::new(profile, gate, Arc::clone(&self.cache), clock)
            .with_session(Some(Arc::clone(&handle)))
            .with_proxy(proxy)
            .with_deadline(tokio::time::Instant::now() + Duration::from_secs(30));
        self.admin.voice.step(format_args!("asking about {}", record.id), false);
        let answer = self.checkers.ask(record, &cx).await;
        let state = answer.as_ref().err().and_then(state).unwrap_or_default();
        let change = SessionChange::new(lease.clone(), state, handle.credentials(), home);
        self.sessions.save(vec![change]).await?;
        let found = answer.map_or_else(Found::Bad, |()| Found::Good);
        self.found.insert(record.id.clone(), found);
        Ok(())
    }
}

/// What a fault makes of the session, by the charges table; none: it is as good as before.
fn state(fault: &Fault) -> Option<SessionState> {
    let reason = fault.message.to_string();
    match charge(fault.class, fault.scope).session {
        SessionCharge::Challenge => Some(SessionState::Challenged { reason }),
        SessionCharge::NeedLogin => Some(SessionState::NeedsLogin { reason }),
        SessionCharge::Suspend => Some(SessionState::Suspended { reason }),
        SessionCharge::Cool => {
            let until = fault.until.unwrap_or_else(|| SystemClock::new().now() + REST);
            Some(SessionState::CoolingDown { until, reason })
        }
        _ => None,
    }
}
