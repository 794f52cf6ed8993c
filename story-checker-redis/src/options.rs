//! How a store is reached and what it keeps.

use std::fmt;
use std::time::Duration;

use story_checker_core::queue::Retention;

/// Settings of a [`RedisStore`](crate::RedisStore).
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisOptions {
    /// All keys begin with it, in braces, so that they live on one node of a cluster. Stores with
    /// different namespaces know nothing of each other. Default `story-checker`.
    pub namespace: String,
    /// How long ended jobs are kept.
    pub retention: Retention,
    /// After this time without an answer the connection counts as lost. Default 5 s.
    pub response_timeout: Duration,
    /// How long making a connection may take. Default 2 s.
    pub connect_timeout: Duration,
    /// The certificate of the authority that signed the server's, as PEM; none: those of the
    /// system. Only for `rediss://`.
    pub authority: Option<Vec<u8>>,
    /// The most entries of the cache; beyond them the oldest go. Default 100,000.
    pub cache_capacity: usize,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            namespace: "story-checker".to_owned(),
            retention: Retention::default(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            authority: None,
            cache_capacity: 100_000,
        }
    }
}

impl RedisOptions {
    /// Another namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Keeps ended jobs as told.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Waits so long for an answer.
    #[must_use]
    pub fn with_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Waits so long for a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Trusts this authority (PEM) only.
    #[must_use]
    pub fn with_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }
}

impl RedisOptions {
    /// Remembers at most so many entries (at least 1).
    #[must_use]
    pub fn with_cache_capacity(mut self, capacity: usize) -> Self {
        self.cache_capacity = capacity.max(1);
        self
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("namespace", &self.namespace)
            .field("retention", &self.retention)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("authority", &self.authority.as_ref().map(Vec::len))
            .field("cache_capacity", &self.cache_capacity)
            .finish()
    }
}
