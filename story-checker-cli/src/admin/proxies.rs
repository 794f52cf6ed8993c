//! `story-checker proxies`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState, ProxyUrl, StaticProxySource};
use story_checker_core::{Class, Fault, ProxyId, Scope, Timestamp};
use story_checker_http::{Request, ReqwestTransport, ReqwestTransportConfig, Transport, Url};
use tokio::task::JoinSet;

use super::{Admin, counted};
use crate::args::{LookArgs, ProxiesCommand, ProxyArgs, WayArgs};
use crate::output::words::{scope, short_span};
use crate::settings::{Settings, shown};
use crate::{credentials, stores};

/// So many are tried at the same time.
const AT_ONCE: usize = 32;
/// A page to test proxies with is small.
const MAX_PAGE: usize = 1 << 20;

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or a file or the store fails.
pub(crate) fn proxies(command: &ProxiesCommand) -> anyhow::Result<u8> {
    match command {
        ProxiesCommand::List { way, look } => list(way, look),
        ProxiesCommand::Test { ids, url, timeout, way, look } => {
            test(ids, url.as_deref(), timeout.0, way, look)
        }
        ProxiesCommand::Disable { reason, which } => {
            set(which, &ProxyState::Disabled { reason: reason.clone() })
        }
        ProxiesCommand::Enable { which } => set(which, &ProxyState::Active),
    }
}

/// The proxies of the settings.
pub(super) fn listed(admin: &Admin) -> anyhow::Result<Vec<Proxy>> {
    let Some(path) = admin.settings.proxies.as_deref() else { return Ok(Vec::new()) };
    let (proxies, warning) = credentials::proxies(path)?;
    warning.iter().for_each(|warning| admin.voice.say(warning));
    Ok(proxies)
}

/// The list of the settings, with what the store knows of it.
async fn source(admin: &Admin, listed: &[Proxy]) -> anyhow::Result<Arc<dyn ProxySource>> {
    let list = Arc::new(StaticProxySource::new(listed.iter().cloned()));
    stores::open_proxies(&admin.address, list).await?.with_context(|| {
        format!(
            "{} keeps nothing of proxies: each worker learns for itself which rest. Take a proxy out \
             of the list instead",
            admin.address
        )
    })
}

fn word(state: &ProxyState) -> &'static str {
    match state {
        ProxyState::Active => "active",
        ProxyState::Cooling { .. } => "cooling",
        ProxyState::Disabled { .. } => "disabled",
        _ => "unknown",
    }
}

/// The cause of a state, and when it ends by itself.
fn why(state: &ProxyState) -> (&str, Option<Timestamp>) {
    match state {
        ProxyState::Cooling { until, reason } => (reason, Some(*until)),
        ProxyState::Disabled { reason } => (reason, None),
        _ => ("", None),
    }
}

fn list(way: &WayArgs, look: &LookArgs) -> anyhow::Result<u8> {
    let admin = Admin::with(way.over(look.store.layer()), &look.store, look.json)?;
    admin.run(async {
        let listed = listed(&admin)?;
        let mut states: BTreeMap<_, _> =
            source(&admin, &listed).await?.load().await?.into_iter().collect();
        // A rest that is over is none.
        states.retain(|_, state| why(state).1.is_none_or(|until| until > admin.now));
        let named = listed
            .iter()
            .map(|proxy| (proxy.id().clone(), true, states.remove(proxy.id()).unwrap_or_default()));
        let mut all: Vec<_> = named.collect();
        all.extend(states.into_iter().map(|(id, state)| (id, false, state)));
        let one = |(id, listed, state): &(ProxyId, bool, ProxyState)| -> Value {
            let (cause, until) = why(state);
            json!({
                "proxy": id, "listed": listed, "state": word(state), "cause": cause, "until": until,
            })
        };
        let json = || json!({"proxies": all.iter().map(one).collect::<Vec<_>>()});
        let row = |(id, listed, state): &(ProxyId, bool, ProxyState)| {
            let (cause, until) = why(state);
            vec![
                id.to_string(),
                word(state).to_owned(),
                until.map(|at| admin.when(at)).unwrap_or_default(),
                if *listed { "yes" } else { "no" }.to_owned(),
                cause.to_owned(),
            ]
        };
        let header = ["PROXY", "STATE", "UNTIL", "LISTED", "WHY"];
        admin.rows(json, &header, || all.iter().map(row).collect())?;
        if all.is_empty() {
            admin.voice.say("there are no proxies: name a list with --proxies FILE");
        }
        Ok(0)
    })
}

/// A proxy as it is named: by its address.
fn id(name: &str) -> anyhow::Result<ProxyId> {
    let url: ProxyUrl = name.parse().map_err(|error| anyhow::anyhow!("proxy: {error}"))?;
    Ok(ProxyId::new(url.to_string()))
}

fn set(which: &ProxyArgs, state: &ProxyState) -> anyhow::Result<u8> {
    let ids = which.ids.iter().map(|name| id(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let look = &which.look;
    let admin = Admin::with(which.way.over(look.store.layer()), &look.store, look.json)?;
    admin.run(async {
        let listed = listed(&admin)?;
        let source = source(&admin, &listed).await?;
        let known: BTreeMap<_, _> = source.load().await?.into_iter().collect();
        for id in &ids {
            // Without a list there is nothing to compare with.
            let is_listed = listed.is_empty() || listed.iter().any(|proxy| proxy.id() == id);
            if !is_listed && !known.contains_key(id) {
                bail!("there is no proxy {id}: `proxies list` shows those there are");
            }
        }
        let states: Vec<_> = ids.iter().map(|id| (id.clone(), state.clone())).collect();
        source.save(&states).await?;
        let json = || json!({"changed": ids, "state": word(state)});
        let text = || {
            ids.iter()
                .map(|id| {
                    let before = known.get(id).map_or("active", word);
                    format!("{id}: {}; it was {before}\n", word(state))
                })
                .collect()
        };
        admin.answer(json, text)?;
        Ok(0)
    })
}

/// What came of asking through one proxy.
struct Tried {
    index: usize,
    outcome: Result<(u16, Duration), Fault>,
}

fn test(
    names: &[String],
    url: Option<&str>,
    timeout: Duration,
    way: &WayArgs,
    look: &LookArgs,
) -> anyhow::Result<u8> {
    let Some(url) = url else {
        bail!(
            "say with --url which page to ask for: one of your own, or of somebody who does not mind. \
             The platform is never asked only to try a proxy"
        );
    };
    let url: Url = url.parse().with_context(|| format!("--url {:?}", shown(url)))?;
    if !matches!(url.scheme(), "http" | "https") {
        bail!("--url {:?}: it must begin with http:// or https://", shown(url.as_str()));
    }
    let admin = Admin::without_store(way.over(look.store.layer()), &look.store, look.json)?;
    let ids = names.iter().map(|name| id(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut proxies = listed(&admin)?;
    if proxies.is_empty() {
        bail!("there are no proxies: name a list with --proxies FILE");
    }
    for id in &ids {
        if proxies.iter().all(|proxy| proxy.id() != id) {
            bail!("there is no proxy {id} in the list");
        }
    }
    proxies.retain(|proxy| ids.is_empty() || ids.contains(proxy.id()));
    let transport = transport(&admin.settings)?;
    admin.run(async {
        let proxies: Vec<_> = proxies.into_iter().map(Arc::new).collect();
        let mut tried = try_all(&admin, &proxies, &transport, &url, timeout).await?;
        tried.sort_by_key(|tried| tried.index);
        let failed = tried.iter().filter(|tried| tried.outcome.is_err()).count();
        let one = |tried: &Tried| -> Value {
            let proxy = proxies[tried.index].id();
            match &tried.outcome {
                Ok((status, took)) => json!({
                    "proxy": proxy, "ok": true, "status": status,
                    "took_ms": took.as_secs_f64() * 1e3,
                }),
                Err(fault) => json!({
                    "proxy": proxy, "ok": false, "fault_of": fault.scope, "class": fault.class,
                    "error": fault.message,
                }),
            }
        };
        let json =
            || json!({"failed": failed, "proxies": tried.iter().map(one).collect::<Vec<_>>()});
        let row = |tried: &Tried| {
            let proxy = proxies[tried.index].to_string();
            match &tried.outcome {
                Ok((status, took)) => {
                    vec![
                        proxy,
                        "works".to_owned(),
                        short_span(*took),
                        String::new(),
                        format!("status {status}"),
                    ]
                }
                Err(fault) => vec![
                    proxy,
                    "failed".to_owned(),
                    String::new(),
                    scope(fault.scope).to_owned(),
                    fault.message.to_string(),
                ],
            }
        };
        let header = ["PROXY", "RESULT", "TIME", "WHOSE FAULT", "ANSWER"];
        admin.rows(json, &header, || tried.iter().map(row).collect())?;
        if failed > 0 {
            let all = counted(tried.len() as u64, "proxy").replace("proxys", "proxies");
            admin.voice.say(format_args!("{failed} of {all} failed"));
        }
        Ok(u8::from(failed > 0))
    })
}

/// What sends, with the certificate authority of the settings.
pub(super) fn transport(settings: &Settings) -> anyhow::Result<Arc<dyn Transport>> {
    let mut config = ReqwestTransportConfig::default();
    let authority = settings.ca_file.as_deref().map(credentials::authority).transpose()?;
    config.extra_root_pem = authority;
    let named = || settings.ca_file.as_deref().map_or("cannot connect".to_owned(), named);
    Ok(Arc::new(ReqwestTransport::new(config).with_context(named)?))
}

fn named(path: &Path) -> String {
    format!("certificate authority {}", shown(&path.display().to_string()))
}

async fn try_all(
    admin: &Admin,
    proxies: &[Arc<Proxy>],
    transport: &Arc<dyn Transport>,
    url: &Url,
    timeout: Duration,
) -> anyhow::Result<Vec<Tried>> {
    let mut waiting = proxies.iter().cloned().enumerate();
    let (mut running, mut tried) = (JoinSet::new(), Vec::with_capacity(proxies.len()));
    loop {
        while running.len() < AT_ONCE
            && let Some((index, proxy)) = waiting.next()
        {
            let (transport, url) = (Arc::clone(transport), url.clone());
            running.spawn(async move {
                Tried { index, outcome: ask(&*transport, proxy, url, timeout).await }
            });
        }
        let Some(ended) = running.join_next().await else { return Ok(tried) };
        tried.push(ended.context("a try was lost")?);
        admin.voice.step(format_args!("{} of {} tried", tried.len(), proxies.len()), false);
    }
}

/// Asks for the page once. An answer that is no success came through all the same: the fault is the
/// page's own.
async fn ask(
    transport: &dyn Transport,
    proxy: Arc<Proxy>,
    url: Url,
    timeout: Duration,
) -> Result<(u16, Duration), Fault> {
    let begun = Instant::now();
    let request = Request::get(url, timeout).with_proxy(Some(proxy));
    let answer = async { transport.send(request).await?.collect(MAX_PAGE).await };
    let answer = answer.await.map_err(|error| error.with_proxied(true).to_fault())?;
    let status = answer.head.status;
    if status.is_success() || status.is_redirection() {
        return Ok((status.as_u16(), begun.elapsed()));
    }
    let text = format!("the page answered with status {}", status.as_u16());
    Err(Fault::new(Class::Transient, Scope::Endpoint, text))
}
