//! Stores in temporary folders, on clocks that stand still.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::Timestamp;
use story_checker_core::cache::Cache;
use story_checker_core::proxy::{Proxy, ProxySource, StaticProxySource};
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_core::seal::Keyring;
use story_checker_core::session::SessionStore;
use story_checker_core::testing::cache::CacheFixture;
use story_checker_core::testing::proxies::ProxyFixture;
use story_checker_core::testing::queue::QueueFixture;
use story_checker_core::testing::sessions::SessionFixture;
use story_checker_sqlite::{HostClock, HostTime, SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// The clocks of a machine, moved by hand.
#[derive(Debug)]
pub(crate) struct ManualHost(Mutex<HostTime>);

impl Default for ManualHost {
    fn default() -> Self {
        let wall = Timestamp::from_secs(1_795_251_600);
        Self(Mutex::new(HostTime::new(1, 1_000_000, wall)))
    }
}

impl ManualHost {
    pub(crate) fn change(&self, change: impl FnOnce(&mut HostTime)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.change(|time| {
            time.since_boot += u64::try_from(span.as_millis()).unwrap();
            time.wall = time.wall + span;
        });
    }
}

impl HostClock for ManualHost {
    fn read(&self) -> HostTime {
        *self.0.lock().unwrap()
    }
}

/// A folder for files, and the machine's clocks.
#[derive(Debug)]
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) host: Arc<ManualHost>,
    made: Mutex<(u32, Retention)>,
    /// What the last list of proxies held.
    listed: Mutex<Vec<Proxy>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, host: Arc::default(), made: Mutex::default(), listed: Mutex::default() }
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("store-{number}.sqlite"))
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        let mut options = SqliteOptions::default();
        options.clock = Arc::<ManualHost>::clone(&self.host);
        options
    }

    /// Opens the file of this number.
    pub(crate) async fn open(&self, number: u32) -> SqliteStore {
        SqliteStore::open(self.path(number), self.options()).await.unwrap()
    }

    /// Opens a file that there was none of before.
    async fn open_new(&self) -> SqliteStore {
        let number = {
            let mut made = self.made.lock().unwrap();
            made.0 += 1;
            made.0
        };
        self.open(number).await
    }

    /// Opens the file that was made last once more.
    async fn open_again(&self) -> SqliteStore {
        let number = self.made.lock().unwrap().0;
        self.open(number).await
    }

    async fn queue_of(&self, number: u32, retention: Retention) -> Arc<dyn JobQueue> {
        let mut options = self.options();
        options.retention = retention;
        let store = SqliteStore::open(self.path(number), options).await.unwrap();
        Arc::new(store.queue())
    }
}

#[async_trait]
impl QueueFixture for Fixture {
    async fn queue(&self, retention: Retention) -> Arc<dyn JobQueue> {
        let number = {
            let mut made = self.made.lock().unwrap();
            *made = (made.0 + 1, retention);
            made.0
        };
        self.queue_of(number, retention).await
    }

    async fn advance(&self, span: Duration) {
        self.host.advance(span);
    }

    async fn reopen(&self) -> Option<Arc<dyn JobQueue>> {
        let (number, retention) = *self.made.lock().unwrap();
        Some(self.queue_of(number, retention).await)
    }

    async fn jump_wall_clock(&self, forward: bool) {
        const HOUR: Duration = Duration::from_secs(3_600);
        self.host.change(|time| {
            time.wall = if forward { time.wall + HOUR } else { time.wall - HOUR };
        });
    }
}

/// One and the same in every process.
fn keys() -> Arc<Keyring> {
    Arc::new(Keyring::parse(&format!("test:{}", "5a".repeat(32))).unwrap())
}

#[async_trait]
impl SessionFixture for Fixture {
    async fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.open_new().await.sessions(keys()))
    }

    fn now(&self) -> Timestamp {
        self.host.read().wall
    }

    async fn advance_sessions(&self, span: Duration) {
        self.host.advance(span);
    }

    async fn reopen_sessions(&self) -> Option<Arc<dyn SessionStore>> {
        Some(Arc::new(self.open_again().await.sessions(keys())))
    }
}

#[async_trait]
impl ProxyFixture for Fixture {
    async fn proxies(&self, proxies: Vec<Proxy>) -> Arc<dyn ProxySource> {
        self.listed.lock().unwrap().clone_from(&proxies);
        let list = Arc::new(StaticProxySource::new(proxies));
        Arc::new(self.open_new().await.proxies(list))
    }

    async fn reopen_proxies(&self) -> Option<Arc<dyn ProxySource>> {
        let list = Arc::new(StaticProxySource::new(self.listed.lock().unwrap().clone()));
        Some(Arc::new(self.open_again().await.proxies(list)))
    }
}

#[async_trait]
impl CacheFixture for Fixture {
    async fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(self.open_new().await.cache())
    }

    async fn advance_cache(&self, span: Duration) {
        self.host.advance(span);
    }
}
