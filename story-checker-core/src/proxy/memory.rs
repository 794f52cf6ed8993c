use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Proxy, ProxySource, ProxyState};
use crate::error::Result;
use crate::id::ProxyId;

/// A fixed list of proxies; their states live in this process's memory.
#[derive(Debug, Default)]
pub struct StaticProxySource {
    proxies: Vec<Proxy>,
    states: Mutex<BTreeMap<ProxyId, ProxyState>>,
}

impl StaticProxySource {
    /// A source of these proxies; of several with one id, only the first counts.
    #[must_use]
    pub fn new(proxies: impl IntoIterator<Item = Proxy>) -> Self {
        let mut seen = HashSet::new();
        let first = |proxy: &Proxy| seen.insert(proxy.id().clone());
        Self { proxies: proxies.into_iter().filter(first).collect(), states: Mutex::default() }
    }
}

impl fmt::Display for StaticProxySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of {} proxies", self.proxies.len())
    }
}

#[async_trait]
impl ProxySource for StaticProxySource {
    async fn list(&self) -> Result<Vec<Proxy>> {
        Ok(self.proxies.clone())
    }

    async fn changed(&self) -> Result<()> {
        std::future::pending().await
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(states.iter().map(|(id, state)| (id.clone(), state.clone())).collect())
    }

    async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()> {
        let mut stored = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, state) in states {
            if !stored.get(id).is_some_and(|known| state.undoes(known)) {
                stored.insert(id.clone(), state.clone());
            }
        }
        drop(stored);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;

    #[tokio::test]
    async fn lists_each_proxy_once_and_keeps_states() {
        let proxy = |text: &str| Proxy::new(text.parse().unwrap());
        let source: Arc<dyn ProxySource> =
            Arc::new(StaticProxySource::new([proxy("a:1"), proxy("b:1"), proxy("u:p@a:1")]));
        let listed = source.list().await.unwrap();
        assert_eq!(
            listed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["http://a:1", "http://b:1"]
        );
        assert!(listed[0].url().credentials().is_none());

        assert!(source.load().await.unwrap().is_empty());
        let cooling = ProxyState::Cooling { until: Timestamp::from_secs(9), reason: "407".into() };
        let state = (listed[0].id().clone(), cooling);
        source.save(std::slice::from_ref(&state)).await.unwrap();
        assert_eq!(source.load().await.unwrap(), [state]);
        assert_eq!(source.to_string(), "list of 2 proxies");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fixed_list_never_changes() {
        let source = Box::new(StaticProxySource::default());
        let wait = tokio::time::timeout(std::time::Duration::from_secs(86_400), source.changed());
        assert!(wait.await.is_err());
    }
}
