//! What the conformance suites run on: a server per test, a namespace per store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::cache::Cache;
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_core::seal::Keyring;
use story_checker_core::session::SessionStore;
use story_checker_core::testing::cache::CacheFixture;
use story_checker_core::testing::queue::QueueFixture;
use story_checker_core::testing::sessions::SessionFixture;
use story_checker_core::{Clock, SystemClock, Timestamp};
use story_checker_redis::{RedisOptions, RedisStore};

use crate::server::Server;

pub(crate) struct RedisFixture {
    server: Mutex<Server>,
    /// The options of the stores made so far.
    made: Mutex<Vec<RedisOptions>>,
    /// How far their time is ahead.
    ahead: Mutex<Duration>,
}

impl RedisFixture {
    /// A server that has on disk what it has acknowledged.
    pub(crate) fn new() -> Self {
        let server =
            Server::with(&["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        Self { server: Mutex::new(server), made: Mutex::default(), ahead: Mutex::default() }
    }

    pub(crate) async fn store(&self, retention: Retention) -> RedisStore {
        let options = {
            let mut made = self.made.lock().unwrap();
            let namespace = format!("test-{}", made.len());
            let options =
                RedisOptions::default().with_namespace(namespace).with_retention(retention);
            made.push(options.clone());
            options
        };
        self.connect(options).await
    }

    async fn connect(&self, options: RedisOptions) -> RedisStore {
        let url = self.server.lock().unwrap().url();
        RedisStore::connect(&url, options).await.unwrap()
    }

    /// Moves the server's clock as the stores see it.
    fn shift(&self, millis: i64) {
        let mut client = self.server.lock().unwrap().client();
        for options in &*self.made.lock().unwrap() {
            let key = format!("{{{}}}c", options.namespace);
            redis::cmd("HINCRBY").arg(key).arg("o").arg(millis).exec(&mut client).unwrap();
        }
    }
}

#[async_trait]
impl QueueFixture for RedisFixture {
    async fn queue(&self, retention: Retention) -> Arc<dyn JobQueue> {
        Arc::new(self.store(retention).await.queue())
    }

    async fn advance(&self, span: Duration) {
        self.shift(i64::try_from(span.as_millis()).unwrap());
    }

    async fn reopen(&self) -> Option<Arc<dyn JobQueue>> {
        let options = self.made.lock().unwrap().last()?.clone();
        {
            let mut server = self.server.lock().unwrap();
            server.kill();
            server.start_again();
        }
        Some(Arc::new(self.connect(options).await.queue()))
    }

    /// A step forward looks to every client of Redis as if the time had passed; one back does not.
    async fn jump_wall_clock(&self, forward: bool) {
        if !forward {
            self.shift(-3_600_000);
        }
    }
}

/// One and the same in every process.
fn keys() -> Arc<Keyring> {
    Arc::new(Keyring::parse(&format!("test:{}", "5a".repeat(32))).unwrap())
}

#[async_trait]
impl SessionFixture for RedisFixture {
    async fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.store(Retention::default()).await.sessions(keys()))
    }

    fn now(&self) -> Timestamp {
        SystemClock::new().now() + *self.ahead.lock().unwrap()
    }

    async fn advance_sessions(&self, span: Duration) {
        self.shift(i64::try_from(span.as_millis()).unwrap());
        *self.ahead.lock().unwrap() += span;
    }

    async fn reopen_sessions(&self) -> Option<Arc<dyn SessionStore>> {
        let options = self.made.lock().unwrap().last()?.clone();
        {
            let mut server = self.server.lock().unwrap();
            server.kill();
            server.start_again();
        }
        Some(Arc::new(self.connect(options).await.sessions(keys())))
    }
}

#[async_trait]
impl CacheFixture for RedisFixture {
    async fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(self.store(Retention::default()).await.cache())
    }

    /// Entries end by the server's own hand: they are brought nearer to it.
    async fn advance_cache(&self, span: Duration) {
        let mut client = self.server.lock().unwrap().client();
        let span = i64::try_from(span.as_millis()).unwrap();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
        for key in keys {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut client).unwrap();
            if left >= 0 {
                redis::cmd("PEXPIRE").arg(&key).arg(left - span).exec(&mut client).unwrap();
            }
        }
    }
}

mod sessions_on_redis {
    story_checker_core::session_store_suite!(super::RedisFixture::new());
}

mod cache_on_redis {
    story_checker_core::cache_suite!(super::RedisFixture::new());
}

mod queue_on_redis {
    story_checker_core::job_queue_suite!(super::RedisFixture::new());
}
