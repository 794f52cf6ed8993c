use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState, read_list};
use story_checker_core::{Certainty, Error, ErrorKind, ProxyId, Result};

const OPERATION: &str = "read the list of proxies";

/// How often to look whether the file has changed.
const LOOK: Duration = Duration::from_secs(2);

/// A list of proxies in a file, in the form of [`read_list`], read anew whenever it changes.
///
/// A file that cannot be understood is an error which names the line; the engine then goes on with
/// the list it has. A file of comments alone is a list without proxies, an empty file is not: it is
/// just being written.
#[derive(Clone, Debug)]
pub struct ProxyFile {
    path: Arc<Path>,
    look: Duration,
    seen: Arc<Mutex<Option<Stamp>>>,
}

/// What a change of the file changes.
type Stamp = (Option<SystemTime>, u64);

impl ProxyFile {
    /// The list in this file. Nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), look: LOOK, seen: Arc::default() }
    }

    /// Looks so often whether it has changed; every 2 s by default.
    #[must_use]
    pub const fn with_look(mut self, look: Duration) -> Self {
        self.look = look;
        self
    }

    fn remember(&self, stamp: Option<Stamp>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
    }

    /// The stamp, off the runtime's threads: a file may lie on a slow disk.
    async fn stamp(&self) -> Option<Stamp> {
        let path = Arc::clone(&self.path);
        let stamp = tokio::task::spawn_blocking(move || {
            let data = std::fs::metadata(path).ok()?;
            Some((data.modified().ok(), data.len()))
        });
        stamp.await.ok().flatten()
    }

    fn error(&self, what: &str) -> Error {
        Error::invalid(OPERATION, format!("{}: {what}", self.path.display()))
    }
}

impl fmt::Display for ProxyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of proxies in {}", self.path.display())
    }
}

#[async_trait]
impl ProxySource for ProxyFile {
    async fn list(&self) -> Result<Vec<Proxy>> {
        // Before reading: what changes meanwhile is seen as a change.
        let stamp = self.stamp().await;
        self.remember(stamp);
        let path = Arc::clone(&self.path);
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let text = text.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let text = text.map_err(|error| {
            Error::new(ErrorKind::Unavailable, Certainty::Transient, OPERATION)
                .with_context(self.path.display().to_string())
                .with_source(error)
        })?;
        parse(&text).map_err(|what| self.error(&what))
    }

    async fn changed(&self) -> Result<()> {
        loop {
            let stamp = self.stamp().await;
            if stamp != *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
                return Ok(());
            }
            tokio::time::sleep(self.look).await;
        }
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[(ProxyId, ProxyState)]) -> Result<()> {
        Ok(())
    }
}

/// Reads a list that may be empty on purpose, if it says so by a comment.
pub(super) fn parse(text: &str) -> std::result::Result<Vec<Proxy>, String> {
    use story_checker_core::proxy::InvalidProxyList;

    match read_list(text) {
        Ok(proxies) => Ok(proxies),
        Err(InvalidProxyList::Empty) if !text.trim().is_empty() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}
