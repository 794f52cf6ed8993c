//! The list of proxies, which the operator changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use story_checker_core::proxy::{InvalidProxy, Proxy, ProxySource, ProxyState};
use story_checker_core::{ProxyId, Result};
use tokio::sync::Notify;

use crate::diary::Diary;

/// A list of proxies that changes.
#[derive(Debug)]
pub(crate) struct ProxyList {
    diary: Arc<Diary>,
    proxies: Vec<Proxy>,
    rows: Mutex<Rows>,
    /// Grows with every change.
    version: AtomicU64,
    /// Wakes its readers in a fixed order, as a `watch` channel does not.
    changed: Notify,
}

/// The list as one worker reads it.
#[derive(Debug)]
pub(crate) struct ProxyReader {
    list: Arc<ProxyList>,
    /// The version that was read last.
    read: AtomicU64,
}

#[derive(Debug)]
struct Rows {
    /// Whether each is listed.
    listed: Vec<bool>,
    /// When each was last taken from the list.
    removed: BTreeMap<ProxyId, u64>,
    states: BTreeMap<ProxyId, ProxyState>,
}

impl ProxyList {
    /// A list of so many proxies.
    pub(crate) fn new(diary: Arc<Diary>, count: usize) -> Result<Self, InvalidProxy> {
        let proxy = |number| Ok(Proxy::new(format!("proxy-{number:03}:1").parse()?));
        let proxies = (0..count).map(proxy).collect::<Result<_, InvalidProxy>>()?;
        let listed = vec![true; count];
        let rows = Rows { listed, removed: BTreeMap::new(), states: BTreeMap::new() };
        Ok(Self {
            diary,
            proxies,
            rows: Mutex::new(rows),
            version: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A proxy by its number, listed or not.
    #[cfg(test)]
    pub(crate) fn proxy(&self, number: usize) -> Proxy {
        self.proxies[number].clone()
    }

    /// Their names, listed or not.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.proxies.iter().map(|proxy| proxy.id().as_str())
    }

    /// The number of a proxy.
    pub(crate) fn number(&self, id: &ProxyId) -> Option<usize> {
        self.proxies.iter().position(|proxy| proxy.id() == id)
    }

    /// Puts a proxy on the list, or takes it off.
    pub(crate) fn set(&self, number: usize, listed: bool) {
        let now = self.diary.now();
        let mut rows = self.rows();
        rows.listed[number] = listed;
        if !listed {
            rows.removed.insert(self.proxies[number].id().clone(), now);
        }
        drop(rows);
        self.version.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// When a proxy was last taken off the list, if it ever was.
    pub(crate) fn removed_at(&self, id: &ProxyId) -> Option<u64> {
        self.rows().removed.get(id).copied()
    }

    /// Whether a proxy is on the list.
    pub(crate) fn lists(&self, number: usize) -> bool {
        self.rows().listed.get(number).copied().unwrap_or_default()
    }
}

impl ProxyReader {
    pub(crate) const fn new(list: Arc<ProxyList>) -> Self {
        Self { list, read: AtomicU64::new(0) }
    }
}

impl fmt::Display for ProxyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of {} proxies that changes", self.list.proxies.len())
    }
}

#[async_trait]
impl ProxySource for ProxyReader {
    async fn list(&self) -> Result<Vec<Proxy>> {
        self.read.store(self.list.version.load(Ordering::Relaxed), Ordering::Relaxed);
        let rows = self.list.rows();
        let listed = self.list.proxies.iter().zip(&rows.listed).filter(|(_, listed)| **listed);
        Ok(listed.map(|(proxy, _)| proxy.clone()).collect())
    }

    async fn changed(&self) -> Result<()> {
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.list.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.list.version.load(Ordering::Relaxed) != self.read.load(Ordering::Relaxed) {
                return Ok(());
            }
            changed.await;
        }
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        Ok(self.list.rows().states.clone().into_iter().collect())
    }

    async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()> {
        self.list.rows().states.extend(states.iter().cloned());
        Ok(())
    }
}
