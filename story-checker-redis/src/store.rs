//! The store: one connection, shared by everything that lives on it.

use std::fmt;
use std::sync::Arc;

use story_checker_core::seal::Keyring;
use story_checker_core::{Error, Result};

use crate::address::Address;
use crate::cache::RedisCache;
use crate::checks;
use crate::codec;
use crate::link::Link;
use crate::options::RedisOptions;
use crate::queue::RedisJobQueue;
use crate::sessions::RedisSessionStore;
use crate::shared::Shared;
use crate::wake::Wake;

/// A Redis server, or a cluster, with all that story-checker keeps there.
///
/// Cloning is cheap; all clones share one connection, which is made again for ever.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    warnings: Arc<[String]>,
}

impl RedisStore {
    /// Connects, and looks whether the server is one to rely on.
    ///
    /// `redis://[user:password@]host[:port][/database]`, `rediss://` with TLS, and
    /// `redis+cluster://host:port,host:port` for a cluster. What is wrong with the server's
    /// settings is logged, and told by [`RedisStore::warnings`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](story_checker_core::ErrorKind::Invalid) for a URL or namespace that
    /// cannot be used, or a server that is too old;
    /// [`ErrorKind::Unavailable`](story_checker_core::ErrorKind::Unavailable) if it cannot be
    /// reached, or refuses user or password.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    pub async fn connect(url: &str, options: RedisOptions) -> Result<Self> {
        let address = Address::parse(url)?;
        let namespace = &options.namespace;
        if namespace.is_empty() || namespace.contains(['{', '}']) {
            let what = format!("the namespace `{namespace}` is empty or has a brace");
            return Err(Error::invalid("open the Redis store", what));
        }
        let shared = Shared {
            tag: format!("{{{namespace}}}").into_bytes(),
            retention: codec::retention(&options.retention),
            wake: Wake::new(format!("{{{namespace}}}").as_bytes()),
            cache_capacity: options.cache_capacity,
            link: Arc::new(Link::new(address, options)),
        };
        let warnings = checks::check(&shared).await?;
        for warning in &warnings {
            tracing::warn!(store = %shared.link.address(), "{warning}");
        }
        Ok(Self { shared: Arc::new(shared), warnings: warnings.into() })
    }

    /// The jobs.
    #[must_use]
    pub fn queue(&self) -> RedisJobQueue {
        RedisJobQueue::new(Arc::clone(&self.shared))
    }

    /// The sessions, their credentials sealed with `keys`.
    #[must_use]
    pub fn sessions(&self, keys: Arc<Keyring>) -> RedisSessionStore {
        RedisSessionStore::new(Arc::clone(&self.shared), keys)
    }

    /// The cache. Its hits are counted from now on.
    #[must_use]
    pub fn cache(&self) -> RedisCache {
        RedisCache::new(Arc::clone(&self.shared))
    }

    /// What of the server's settings may lose jobs, in sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.to_vec()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", self.shared.link.address())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.link.address().fmt(f)
    }
}
