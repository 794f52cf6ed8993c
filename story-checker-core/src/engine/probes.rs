//! Probes of proxies whose rest is over, or that are new.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::shared::Shared;
use crate::fault::{Class, Fault, Scope};
use crate::proxy::{Probe, Proxy};

/// Probes at the same time, so that a long list does not become a flood.
const AT_ONCE: usize = 16;

/// Probes what is due until the engine has ended.
pub(super) async fn keep_probing(shared: Arc<Shared>) {
    let Some(probe) = &shared.pool.probe else { return };
    let mut running = FuturesUnordered::new();
    loop {
        let (due, next) = shared.pool.next_probes(AT_ONCE - running.len());
        running.extend(due.into_iter().map(|proxy| run(&shared, probe, proxy)));
        let next = next.filter(|_| running.len() < AT_ONCE);
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep(at.since(shared.clock.now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(()) = running.next() => {}
            () = wait => {}
            () = shared.pool.probing.notified() => {}
            () = shared.abort.cancelled() => return,
        }
    }
}

async fn run(shared: &Shared, probe: &Arc<dyn Probe>, proxy: Arc<Proxy>) {
    let time = shared.config.check_timeout;
    let result = tokio::time::timeout(time, probe.probe(&proxy)).await.unwrap_or_else(|_| {
        let time = humantime::format_duration(time);
        let message = format!("the probe {probe} took longer than {time}");
        Err(Fault::new(Class::Timeout, Scope::Endpoint, message))
    });
    match &result {
        Ok(took) => tracing::debug!(%proxy, ?took, "a proxy works"),
        Err(fault) => tracing::warn!(%proxy, %fault, "a probe failed"),
    }
    shared.pool.probed(proxy.id(), result.map(|_| ())).await;
    shared.wake.notify_one();
}
