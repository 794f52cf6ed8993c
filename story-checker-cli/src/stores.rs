//! Where jobs, sessions and what was learnt are kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::proxy::{ProxySource, StaticProxySource};
use story_checker_core::queue::{InMemoryJobQueue, JobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionStore};
use story_checker_core::{Clock, Secret, SystemClock};
use story_checker_redis::{RedisOptions, RedisStore};
use story_checker_sqlite::{SqliteOptions, SqliteStore};

use crate::keys::keyring;
use crate::progress::Voice;
use crate::settings::{Settings, StoreAddress};

/// Names whose ids are remembered in memory.
const REMEMBERED: usize = 50_000;

const NO_STORE: &str = "no store is named: say where the jobs are kept, with --store sqlite:jobs.db, \
                        STORY_CHECKER_STORE or `store` in story-checker.toml";

/// The ports of one store.
pub(crate) struct Stores {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) cache: Arc<dyn Cache>,
    /// Where workers say how it goes.
    pub(crate) board: Arc<dyn Cache>,
    /// None: each process learns for itself which proxies rest.
    proxies: Option<Box<WrapProxies>>,
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

impl StoreOptions {
    /// Those of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { key_file: settings.key_file.clone(), ..Self::default() }
    }
}

impl Stores {
    /// Everything in this process, and gone with it.
    pub(crate) fn memory(retention: Retention) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let queue = InMemoryJobQueue::with_retention(clock, retention);
        Self::of_queue(Arc::new(queue))
    }

    /// Jobs in this queue; all else in this process, and gone with it.
    pub(crate) fn of_queue(queue: Arc<dyn JobQueue>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Self {
            queue,
            sessions: Arc::new(InMemorySessionStore::new(Arc::clone(&clock))),
            board: Arc::new(InMemoryCache::new(Arc::clone(&clock))),
            cache: Arc::new(InMemoryCache::with_capacity(clock, REMEMBERED)),
            proxies: None,
        }
    }

    /// Lets workers say how it goes here.
    pub(crate) fn with_board(self, board: Arc<dyn Cache>) -> Self {
        Self { board, ..self }
    }

    /// The proxies of `source`, with their states kept in this store if it keeps them.
    pub(crate) fn proxies(&self, source: Arc<dyn ProxySource>) -> Arc<dyn ProxySource> {
        match &self.proxies {
            Some(wrap) => wrap(source),
            None => source,
        }
    }

    /// The states of proxies in this store, if it keeps them.
    pub(crate) fn proxy_states(&self) -> Option<Arc<dyn ProxySource>> {
        let wrap = self.proxies.as_ref()?;
        Some(wrap(Arc::new(StaticProxySource::default())))
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stores").field(&self.queue).finish()
    }
}

/// The store of the settings, for commands that are useless without one that outlives them.
///
/// # Errors
/// If there is none.
pub(crate) fn durable(settings: &Settings) -> anyhow::Result<&StoreAddress> {
    match &settings.store {
        None => bail!(NO_STORE),
        Some(StoreAddress::Memory) => bail!(
            "memory: is gone with the process that made it: use --store sqlite:jobs.db or redis://HOST"
        ),
        Some(address) => Ok(address),
    }
}

/// Keeps all that has ended: for the file of one run, which is deleted with it.
pub(crate) fn everything() -> Retention {
    const LONG: Duration = Duration::from_secs(10 * 365 * 86_400);
    let mut retention = Retention::default();
    (retention.done, retention.dead) = (usize::MAX, usize::MAX);
    (retention.done_for, retention.dead_for) = (LONG, LONG);
    retention
}

/// Opens a store. `voice` tells what its user should know about it.
///
/// # Errors
/// If it cannot be opened or reached, or there is no key for it; the text says what to do.
pub(crate) async fn open(
    address: &StoreAddress,
    options: &StoreOptions,
    voice: &Voice,
) -> anyhow::Result<Stores> {
    match address {
        StoreAddress::Memory => Ok(Stores::memory(options.retention)),
        StoreAddress::Redis(url) => {
            let keys = keyring(address, options.key_file.as_deref(), voice)?;
            let store = redis(url, options, voice).await?;
            Ok(Stores {
                queue: Arc::new(store.queue()),
                sessions: Arc::new(store.sessions(keys)),
                cache: Arc::new(store.cache()),
                board: Arc::new(store.cache()),
                proxies: None,
            })
        }
        StoreAddress::Sqlite(path) => {
            let keys = keyring(address, options.key_file.as_deref(), voice)?;
            let store = sqlite(path, options).await?;
            Ok(Stores {
                queue: Arc::new(store.queue()),
                sessions: Arc::new(store.sessions(keys)),
                cache: Arc::new(store.cache()),
                board: Arc::new(store.cache()),
                proxies: Some(Box::new(move |source| Arc::new(store.proxies(source)))),
            })
        }
    }
}

/// Opens the jobs of a store alone: no key is needed.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_queue(
    address: &StoreAddress,
    options: &StoreOptions,
    voice: &Voice,
) -> anyhow::Result<Arc<dyn JobQueue>> {
    Ok(match address {
        StoreAddress::Memory => Stores::memory(options.retention).queue,
        StoreAddress::Redis(url) => Arc::new(redis(url, options, voice).await?.queue()),
        StoreAddress::Sqlite(path) => Arc::new(sqlite(path, options).await?.queue()),
    })
}

/// Opens the board of a store, where workers say how it goes: no key is needed.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_board(
    address: &StoreAddress,
    options: &StoreOptions,
    voice: &Voice,
) -> anyhow::Result<Arc<dyn Cache>> {
    Ok(match address {
        StoreAddress::Memory => Stores::memory(options.retention).board,
        StoreAddress::Redis(url) => Arc::new(redis(url, options, voice).await?.cache()),
        StoreAddress::Sqlite(path) => Arc::new(sqlite(path, options).await?.cache()),
    })
}

/// Opens what a store knows of the proxies of `list`: no key is needed. None: it keeps nothing of
/// them.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_proxies(
    address: &StoreAddress,
    list: Arc<dyn ProxySource>,
) -> anyhow::Result<Option<Arc<dyn ProxySource>>> {
    Ok(match address {
        StoreAddress::Sqlite(path) => {
            Some(Arc::new(sqlite(path, &StoreOptions::default()).await?.proxies(list)))
        }
        // Each process learns for itself which proxies rest.
        StoreAddress::Memory | StoreAddress::Redis(_) => None,
    })
}

async fn sqlite(path: &Path, options: &StoreOptions) -> anyhow::Result<SqliteStore> {
    let mut wanted = SqliteOptions::default();
    wanted.retention = options.retention;
    Ok(SqliteStore::open(path, wanted).await?)
}

async fn redis(url: &Secret, options: &StoreOptions, voice: &Voice) -> anyhow::Result<RedisStore> {
    let wanted = RedisOptions::default().with_retention(options.retention);
    let store = RedisStore::connect(url.expose(), wanted).await?;
    store.warnings().iter().for_each(|warning| voice.say(warning));
    Ok(store)
}
