//! What is kept: records, versions, pages.

use std::sync::Arc;

use super::{SessionFixture, TTL, labels, lease, record, release, request, save, store, stored};
use crate::clock::Timestamp;
use crate::id::{Fence, SessionId};
use crate::secret::Secret;
use crate::session::{
    Cookie, Credentials, LeaseReply, PutReply, SessionChange, SessionLease, SessionRecord,
    SessionState,
};

/// An empty store gives, lists and removes nothing.
pub async fn an_empty_store_gives_nothing(fixture: &dyn SessionFixture) {
    let store = store(fixture, &[]).await;
    assert_eq!(labels(&store, &request("w", 9)).await, (vec![], None));
    assert!(store.list(None, 9).await.unwrap().is_empty());
    assert_eq!(store.remove(&["nobody".into()]).await.unwrap(), [false]);
    let ghost = SessionLease::new("nobody".into(), Fence::new(1));
    assert_eq!(release(&store, &ghost).await, LeaseReply::Stale);
}

/// Every field of a record comes back as it was put.
pub async fn sessions_come_back_as_they_were(fixture: &dyn SessionFixture) {
    let store = store(fixture, &[]).await;
    let at = |secs: u64| Some(Timestamp::from_millis(fixture.now().as_millis() + secs * 1_000 + 7));
    let mut cookie = Cookie::new("rur", "\"NHA\\0541,ünïcode\"");
    cookie.domain = Some("instagram.com".to_owned());
    cookie.path = "/api".to_owned();
    cookie.expires_at = at(9_000);
    let mut full = record("full ünïcode: label");
    full.account = Some("tea_house".to_owned());
    full.home_proxy = Some("http://a:1".into());
    full.credentials = Arc::new(Credentials {
        cookies: vec![cookie, Cookie::new("sessionid", "PLANTED")],
        tokens: [("access_token".to_owned(), Secret::from("PLANTED"))].into(),
        user_agent: Some("agent/1".to_owned()),
        expires_at: at(90_000),
    });
    let mut plain = record("plain");
    plain.credentials = Arc::default();
    let states = [
        SessionState::Challenged { reason: "checkpoint".into() },
        SessionState::NeedsLogin { reason: String::new() },
        SessionState::Suspended { reason: "ünïcode".into() },
        SessionState::CoolingDown { until: at(60).unwrap(), reason: "429".into() },
        SessionState::Expired,
        SessionState::Retired,
    ];
    let mut all = vec![full, plain];
    all.extend(states.map(|state| SessionRecord { state, ..record("resting") }));
    for (number, record) in all.iter_mut().enumerate() {
        record.id = SessionId::new(format!("{number} {}", record.id));
    }
    store.put(all.clone()).await.unwrap();
    for record in &mut all {
        record.version = 1;
    }
    assert_eq!(store.list(None, 99).await.unwrap(), all);
    let leased = store.lease(&request("w", 99)).await.unwrap().sessions;
    // When they were used is for the store to say.
    let leased = leased.into_iter().map(|(record, _)| SessionRecord { last_used: None, ..record });
    let leased: Vec<_> = leased.collect();
    assert!(leased.len() == 2 && leased.iter().all(|record| all.contains(record)));
}

/// State, credentials and home of a change are stored under a new version, each by itself.
pub async fn what_the_holder_saw_is_stored(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a", "b"]).await;
    let leases = [lease(&store, "w").await.unwrap(), lease(&store, "w").await.unwrap()];
    let refreshed = Credentials::from_cookies(vec![Cookie::new("sessionid", "NEW")]);
    let refreshed = Arc::new(refreshed);
    let change = |lease: &SessionLease, home: &str| {
        let (lease, home) = (lease.clone(), Some(home.into()));
        SessionChange::new(lease, SessionState::Valid, Arc::clone(&refreshed), home)
    };
    let ghost = SessionLease::new("nobody".into(), Fence::new(1));
    let changes = vec![change(&leases[0], "p1"), change(&ghost, "p2"), change(&leases[1], "p3")];
    let replies = store.save(changes).await.unwrap();
    assert_eq!(replies, [LeaseReply::Held, LeaseReply::Stale, LeaseReply::Held]);
    for (lease, home) in leases.iter().zip(["p1", "p3"]) {
        let record = stored(&store, lease.id.as_str()).await.unwrap();
        assert_eq!(record.home_proxy, Some(home.into()));
        assert_eq!(record.credentials, refreshed);
        assert!(record.version > 1);
    }
    assert_eq!(store.list(None, 9).await.unwrap().len(), 2);
}

/// A record is put only if it was read in the stored version; each answer is its own.
pub async fn versions_are_compared(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let next = SessionRecord { version: 1, state: SessionState::Retired, ..record("a") };
    let ghost = SessionRecord { version: 7, ..record("ghost") };
    let replies = store.put(vec![ghost, next, record("b"), record("a")]).await.unwrap();
    let expected = [
        PutReply::Conflict { stored: 0 },
        PutReply::Stored { version: 2 },
        PutReply::Stored { version: 1 },
        PutReply::Conflict { stored: 2 },
    ];
    assert_eq!(replies, expected);
    assert_eq!(stored(&store, "a").await.unwrap().state, SessionState::Retired);
    assert_eq!(stored(&store, "ghost").await, None);
}

/// Of several who replace the same version at once, one wins.
pub async fn of_two_writers_one_wins(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let puts = (0..8).map(|number| {
        let state = SessionState::Challenged { reason: number.to_string() };
        store.put(vec![SessionRecord { version: 1, state, ..record("a") }])
    });
    let replies = futures_util::future::join_all(puts).await;
    let replies: Vec<_> = replies.into_iter().flat_map(Result::unwrap).collect();
    let won = replies.iter().position(|reply| *reply == PutReply::Stored { version: 2 });
    let won = won.expect("one wins");
    let lost = replies.iter().filter(|reply| **reply == PutReply::Conflict { stored: 2 });
    assert_eq!(lost.count(), 7, "{replies:?}");
    let state = SessionState::Challenged { reason: won.to_string() };
    assert_eq!(stored(&store, "a").await.unwrap().state, state);
}

/// Listing shows each session once, by label, page by page, also while others come.
pub async fn sessions_are_paged_by_label(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["d", "a", "c", "e", "b"]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.iter().map(|record| record.id.to_string()));
        let new = record(&format!("new {}", seen.len()));
        store.put(vec![new]).await.unwrap();
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    seen.retain(|label| !label.starts_with("new"));
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

/// Removing says whether there was one; leases of what was removed are stale, also when a session
/// of that label comes again.
pub async fn a_removed_session_is_gone(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a", "b"]).await;
    let mine = store.lease(&request("w", 9)).await.unwrap().sessions;
    let lease_of = |id: &str| {
        let found = mine.iter().find(|(record, _)| record.id.as_str() == id);
        let (record, fence) = found.expect("it was leased");
        SessionLease::new(record.id.clone(), *fence)
    };
    assert_eq!(store.remove(&["a".into(), "nobody".into()]).await.unwrap(), [true, false]);
    assert_eq!(store.remove(&["a".into()]).await.unwrap(), [false], "sent again");
    assert_eq!(release(&store, &lease_of("a")).await, LeaseReply::Stale);
    assert_eq!(stored(&store, "a").await, None);
    assert_eq!(release(&store, &lease_of("b")).await, LeaseReply::Held);
    assert_eq!(store.put(vec![record("a")]).await.unwrap(), [PutReply::Stored { version: 1 }]);
    assert_eq!(save(&store, &lease_of("a"), SessionState::Retired).await, LeaseReply::Stale);
}

/// No text of the store or its records shows a secret.
pub async fn secrets_are_not_shown(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let leased = store.lease(&request("w", 1)).await.unwrap();
    let listed = store.list(None, 9).await.unwrap();
    let text = format!("{store} {store:?} {leased:?} {listed:?}");
    assert!(!text.contains("PLANTED"), "{text}");
}

/// Sessions and their leases are there after a restart.
pub async fn a_reopened_store_has_its_sessions(fixture: &dyn SessionFixture) {
    let first = store(fixture, &["a", "b"]).await;
    let mine = lease(&first, "w").await.unwrap();
    let before = first.list(None, 9).await.unwrap();
    drop(first);
    let Some(again) = fixture.reopen_sessions().await else { return };
    assert_eq!(again.list(None, 9).await.unwrap(), before);
    let other = lease(&again, "other").await.expect("one is free");
    assert_ne!(other.id, mine.id);
    assert_eq!(lease(&again, "third").await, None);
    let challenged = SessionState::Challenged { reason: "checkpoint".into() };
    assert_eq!(save(&again, &mine, challenged).await, LeaseReply::Held);
    fixture.advance_sessions(TTL).await;
    let next = lease(&again, "third").await.unwrap();
    assert!(next.id == other.id && next.fence > other.fence);
}
