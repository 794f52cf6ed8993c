//! The promises of [`ProxySource`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::LocalBoxFuture;

use crate::clock::Timestamp;
use crate::id::ProxyId;
use crate::proxy::{Proxy, ProxySource, ProxyState};

/// Makes proxy sources for the suite.
#[async_trait]
pub trait ProxyFixture: Send + Sync {
    /// A new source that holds these proxies and knows no states.
    async fn proxies(&self, proxies: Vec<Proxy>) -> Arc<dyn ProxySource>;

    /// Changes what the source that was made last holds, as its owner would: rewrites the file,
    /// the table, the answer. False: it cannot change.
    async fn replace(&self, proxies: Vec<Proxy>) -> bool {
        let _ = proxies;
        false
    }

    /// Whether it keeps the states that it is told.
    fn keeps_states(&self) -> bool {
        true
    }

    /// Opens the source that was made last once more, as another process would after the first was
    /// killed. None: its states do not outlive its process.
    async fn reopen_proxies(&self) -> Option<Arc<dyn ProxySource>> {
        None
    }
}

/// A case: panics if the source breaks the promise.
pub type ProxyCase = for<'a> fn(&'a dyn ProxyFixture) -> LocalBoxFuture<'a, ()>;

/// All cases by name.
pub const CASES: &[(&str, ProxyCase)] = crate::proxy_source_suite!(@each conformance_list ());

/// The case with this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn case(name: &str) -> ProxyCase {
    crate::testing::find(CASES, name)
}

/// Expands to one `#[test]` per promise of [`ProxySource`].
///
/// The expression makes a [`ProxyFixture`] for one test; it
/// may `.await`.
#[macro_export]
macro_rules! proxy_source_suite {
    (@each $apply:ident $args:tt) => {
        $crate::$apply! { $args proxies
            each_proxy_is_listed_once
            states_are_kept
            a_rest_does_not_enable_a_disabled_proxy
            a_changed_list_is_told
            a_list_that_does_not_change_is_quiet
            states_outlive_the_process
            proxy_passwords_are_not_shown
        }
    };
    ($fixture:expr) => {
        $crate::proxy_source_suite! { @each conformance_tests ($fixture) }
    };
}

fn proxy(text: &str) -> Proxy {
    Proxy::new(text.parse().unwrap())
}

fn sorted(states: Vec<(ProxyId, ProxyState)>) -> BTreeMap<ProxyId, ProxyState> {
    let count = states.len();
    let map: BTreeMap<_, _> = states.into_iter().collect();
    assert_eq!(map.len(), count, "one state per proxy");
    map
}

fn states(proxies: &[Proxy]) -> [(ProxyId, ProxyState); 2] {
    let until = Timestamp::from_millis(1_795_251_600_123);
    let cooling = ProxyState::Cooling { until, reason: "407, ünïcode".into() };
    let disabled = ProxyState::Disabled { reason: String::new() };
    [(proxies[0].id().clone(), cooling), (proxies[1].id().clone(), disabled)]
}

/// All proxies are listed, each id once, with their ways in.
pub async fn each_proxy_is_listed_once(fixture: &dyn ProxyFixture) {
    let all = vec![proxy("http://u:p%40@a:1"), proxy("socks5://b:2"), proxy("http://a:1")];
    let source = fixture.proxies(all.clone()).await;
    let mut listed = source.list().await.unwrap();
    listed.sort_by(|a, b| a.id().cmp(b.id()));
    assert_eq!(listed, all[..2]);
    assert!(fixture.proxies(vec![]).await.list().await.unwrap().is_empty());
}

/// States are kept as they were saved, and a newer one replaces an older.
pub async fn states_are_kept(fixture: &dyn ProxyFixture) {
    if !fixture.keeps_states() {
        return;
    }
    let all = [proxy("a:1"), proxy("b:2"), proxy("c:3")];
    let source = fixture.proxies(all.to_vec()).await;
    assert!(source.load().await.unwrap().is_empty());
    let [cooling, disabled] = states(&all);
    source.save(&[cooling.clone(), disabled.clone()]).await.unwrap();
    source.save(std::slice::from_ref(&cooling)).await.unwrap();
    assert_eq!(sorted(source.load().await.unwrap()), [cooling.clone(), disabled.clone()].into());
    let active = (cooling.0.clone(), ProxyState::Active);
    source.save(std::slice::from_ref(&active)).await.unwrap();
    let mut loaded = sorted(source.load().await.unwrap());
    // Those without a word are active, so it need not say it.
    assert_eq!(loaded.remove(&active.0).unwrap_or_default(), ProxyState::Active);
    assert_eq!(loaded, [disabled].into());
    assert_eq!(source.list().await.unwrap().len(), 3, "states take nothing off the list");
}

/// Only the operator's word ends what the operator's word has begun: a rest does not.
pub async fn a_rest_does_not_enable_a_disabled_proxy(fixture: &dyn ProxyFixture) {
    if !fixture.keeps_states() {
        return;
    }
    let all = [proxy("a:1"), proxy("b:2")];
    let source = fixture.proxies(all.to_vec()).await;
    let [cooling, (_, disabled)] = states(&all);
    let disabled = (cooling.0.clone(), disabled);
    source.save(std::slice::from_ref(&disabled)).await.unwrap();
    source.save(std::slice::from_ref(&cooling)).await.unwrap();
    assert_eq!(source.load().await.unwrap(), std::slice::from_ref(&disabled));
    // In one call as in two.
    source.save(&[(disabled.0.clone(), ProxyState::Active), cooling.clone()]).await.unwrap();
    assert_eq!(source.load().await.unwrap(), std::slice::from_ref(&cooling));
    source.save(&[disabled.clone(), cooling]).await.unwrap();
    assert_eq!(source.load().await.unwrap(), [disabled]);
}

/// A change of the list is told to who waits for it, and then listed.
pub async fn a_changed_list_is_told(fixture: &dyn ProxyFixture) {
    let source = fixture.proxies(vec![proxy("a:1")]).await;
    assert_eq!(source.list().await.unwrap().len(), 1);
    if !fixture.replace(vec![proxy("a:1"), proxy("b:2")]).await {
        return;
    }
    let told = async {
        // It may return without a change.
        while source.list().await.unwrap().len() != 2 {
            source.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("the change is told");
    assert!(fixture.replace(vec![proxy("b:2")]).await);
    let told = async {
        source.changed().await.unwrap();
        while source.list().await.unwrap().len() != 1 {
            source.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("the change is told");
    assert_eq!(source.list().await.unwrap()[0].id().as_str(), "http://b:2");
}

/// Waiting for a change does not end all the time without one.
pub async fn a_list_that_does_not_change_is_quiet(fixture: &dyn ProxyFixture) {
    let source = fixture.proxies(vec![proxy("a:1")]).await;
    source.list().await.unwrap();
    let mut told = 0;
    let wait = async {
        loop {
            source.changed().await.unwrap();
            source.list().await.unwrap();
            told += 1;
        }
    };
    // The only time that a case waits for: nothing is to happen in it.
    let over = tokio::time::timeout(Duration::from_millis(50), wait).await;
    assert!(over.is_err());
    assert!(told < 10, "told {told} times of no change");
}

/// States are there after a restart, where the source says that it keeps them.
pub async fn states_outlive_the_process(fixture: &dyn ProxyFixture) {
    let all = [proxy("a:1"), proxy("b:2")];
    let source = fixture.proxies(all.to_vec()).await;
    let states = states(&all);
    source.save(&states).await.unwrap();
    drop(source);
    let Some(again) = fixture.reopen_proxies().await else { return };
    assert_eq!(sorted(again.load().await.unwrap()), states.into());
    assert_eq!(again.list().await.unwrap().len(), 2);
}

/// No text of a source or its proxies shows a password.
pub async fn proxy_passwords_are_not_shown(fixture: &dyn ProxyFixture) {
    let source = fixture.proxies(vec![proxy("http://user:PLANTED@a:1")]).await;
    let listed = source.list().await.unwrap();
    let text = format!("{source} {source:?} {listed:?} {} {}", listed[0], listed[0].url());
    assert!(!text.contains("PLANTED"), "{text}");
    assert!(listed[0].url().credentials().is_some(), "but it is there");
}
