//! Where jobs, sessions and what was learnt are kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::proxy::ProxySource;
use story_checker_core::queue::{InMemoryJobQueue, JobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionStore};
use story_checker_core::{Clock, SystemClock};

use crate::progress::Voice;
use crate::settings::StoreAddress;

/// Names whose ids are remembered in memory.
const REMEMBERED: usize = 50_000;

/// The ports of one store.
pub(crate) struct Stores {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) cache: Arc<dyn Cache>,
    proxies: Box<WrapProxies>,
}

/// Adds a memory of their states to proxies.
type WrapProxies = dyn Fn(Arc<dyn ProxySource>) -> Arc<dyn ProxySource> + Send + Sync;

/// How to open a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreOptions {
    /// How long ended jobs are kept.
    pub(crate) retention: Retention,
    /// The keys that seal sessions.
    pub(crate) key_file: Option<PathBuf>,
}

impl Stores {
    /// Everything in this process, and gone with it.
    pub(crate) fn memory(retention: Retention) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let queue = InMemoryJobQueue::with_retention(Arc::clone(&clock), retention);
        Self {
            queue: Arc::new(queue),
            sessions: Arc::new(InMemorySessionStore::new(Arc::clone(&clock))),
            cache: Arc::new(InMemoryCache::with_capacity(clock, REMEMBERED)),
            proxies: Box::new(|source| source),
        }
    }

    /// The proxies of `source`, with their states kept in this store.
    pub(crate) fn proxies(&self, source: Arc<dyn ProxySource>) -> Arc<dyn ProxySource> {
        (self.proxies)(source)
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stores").field(&self.queue).finish()
    }
}

/// Opens a store. `voice` tells what its user should know about it.
///
/// # Errors
/// If it cannot be opened or reached, or there is no key for it; the text says what to do.
pub(crate) async fn open(
    address: &StoreAddress,
    options: &StoreOptions,
    _voice: &Voice,
) -> anyhow::Result<Stores> {
    match address {
        StoreAddress::Memory => Ok(Stores::memory(options.retention)),
        StoreAddress::Redis(_) | StoreAddress::Sqlite(_) => {
            _ = &options.key_file;
            bail!("{address}: stores of this kind are not there yet")
        }
    }
}
