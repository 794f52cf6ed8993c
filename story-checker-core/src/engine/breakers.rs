//! What follows in the engine when a breaker of the gate changes.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::event::Event;
use super::shared::Shared;
use crate::fault::Class;
use crate::gate::{BreakerCause, BreakerChange, BreakerState, KeyClass};
use crate::id::ProxyId;
use crate::proxy::Rest;

/// Keeps the states of the proxies in step with their breakers, and tells of every change, until the
/// engine has ended. The gate holds by itself; this is what is stored and shown.
pub(super) async fn watch_breakers(
    shared: Arc<Shared>,
    mut changes: UnboundedReceiver<BreakerChange>,
) {
    loop {
        let change = tokio::select! {
            biased;
            change = changes.recv() => change,
            () = shared.abort.cancelled() => return,
        };
        let Some(change) = change else { return };
        tokio::select! {
            biased;
            () = follow(&shared, change) => {}
            () = shared.abort.cancelled() => return,
        }
        shared.wake.notify_one();
    }
}

async fn follow(shared: &Shared, change: BreakerChange) {
    if change.key.class() == KeyClass::Proxy {
        let id = ProxyId::new(change.key.name().to_owned());
        let pool = &shared.pool;
        if let (BreakerState::Open, Some(until)) = (change.to, change.until) {
            let rest = Rest::new(Class::Transient, until, change.cause.as_str());
            pool.break_proxy(&id, rest).await;
        } else if change.cause == BreakerCause::CommonCause {
            pool.absolve_proxy(&id).await;
        }
    }
    shared.bus.emit(Event::BreakerChanged(change)).await;
}
