//! Leases: exclusive, fenced, renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{SessionFixture, TTL, labels, lease, record, release, request, save, store, stored};
use crate::id::Fence;
use crate::session::{
    LeaseReply, PutReply, SessionChange, SessionLease, SessionRecord, SessionState,
};
use crate::testing::near;

/// A leased session is lent to nobody else, and it is told when that may change.
pub async fn a_lease_is_exclusive(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a", "b"]).await;
    let first = lease(&store, "w1").await.unwrap();
    let second = lease(&store, "w2").await.unwrap();
    assert_ne!(first.id, second.id);
    let (none, next_at) = labels(&store, &request("w3", 9)).await;
    assert!(none.is_empty());
    assert!(near(next_at.expect("leases end"), fixture.now() + TTL));
    assert_eq!(labels(&store, &request("w1", 9)).await.0.len(), 0, "not even to its holder");
}

/// A lease that nobody renews ends with its time; the next has a larger fence.
pub async fn a_lease_whose_owner_died_ends(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let mut last = lease(&store, "w").await.unwrap();
    for _ in 0..3 {
        fixture.advance_sessions(TTL / 2).await;
        assert_eq!(lease(&store, "other").await, None, "it holds");
        fixture.advance_sessions(TTL / 2).await;
        let next = lease(&store, "other").await.expect("it is over");
        assert!(next.fence > last.fence);
        last = next;
    }
}

/// A renewed lease holds for its whole time from then on.
pub async fn a_renewed_lease_goes_on(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let mine = lease(&store, "w").await.unwrap();
    let ghost = SessionLease::new("nobody".into(), Fence::new(1));
    for _ in 0..4 {
        fixture.advance_sessions(TTL / 2).await;
        let replies = store.renew(&[ghost.clone(), mine.clone()], TTL).await.unwrap();
        assert_eq!(replies, [LeaseReply::Stale, LeaseReply::Held]);
        assert_eq!(lease(&store, "other").await, None);
    }
}

/// What the holder of a lease whose time is over has seen is stored while nobody else came: a
/// challenge must not be lost.
pub async fn a_late_holder_is_heard_while_nobody_came(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let late = lease(&store, "w").await.unwrap();
    fixture.advance_sessions(TTL * 2).await;
    let challenged = SessionState::Challenged { reason: "checkpoint".into() };
    assert_eq!(save(&store, &late, challenged.clone()).await, LeaseReply::Held);
    assert_eq!(stored(&store, "a").await.unwrap().state, challenged);
    assert_eq!(lease(&store, "other").await, None);
    assert_eq!(store.renew(std::slice::from_ref(&late), TTL).await.unwrap(), [LeaseReply::Held]);
    assert_eq!(release(&store, &late).await, LeaseReply::Held);
}

/// Under a lease that somebody else has now, nothing changes.
pub async fn a_stale_holder_changes_nothing(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let old = lease(&store, "w1").await.unwrap();
    fixture.advance_sessions(TTL).await;
    let new = lease(&store, "w2").await.unwrap();
    let before = stored(&store, "a").await;
    let change = SessionChange::new(
        old.clone(),
        SessionState::Retired,
        Arc::default(),
        Some("http://a:1".into()),
    );
    assert_eq!(store.save(vec![change]).await.unwrap(), [LeaseReply::Stale]);
    assert_eq!(store.renew(std::slice::from_ref(&old), TTL).await.unwrap(), [LeaseReply::Stale]);
    assert_eq!(release(&store, &old).await, LeaseReply::Stale);
    assert_eq!(stored(&store, "a").await, before);
    assert_eq!(lease(&store, "w3").await, None, "the new one still holds");
    assert_eq!(release(&store, &new).await, LeaseReply::Held);
}

/// A released session can be leased at once; under the old lease nothing changes any more.
pub async fn a_released_lease_is_over(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let old = lease(&store, "w1").await.unwrap();
    assert_eq!(release(&store, &old).await, LeaseReply::Held);
    assert_eq!(release(&store, &old).await, LeaseReply::Stale, "sent again");
    assert_eq!(save(&store, &old, SessionState::Retired).await, LeaseReply::Stale);
    let new = lease(&store, "w2").await.unwrap();
    assert!(new.fence > old.fence);
    assert_eq!(stored(&store, "a").await.unwrap().state, SessionState::Valid);
}

/// When the operator replaces a record, what its holder does next is stale.
pub async fn a_replaced_record_ends_the_lease(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a"]).await;
    let mine = lease(&store, "w").await.unwrap();
    let refused = record("a");
    assert_eq!(store.put(vec![refused]).await.unwrap(), [PutReply::Conflict { stored: 1 }]);
    assert_eq!(store.renew(std::slice::from_ref(&mine), TTL).await.unwrap(), [LeaseReply::Held]);
    let next = SessionRecord { version: 1, ..record("a") };
    assert_eq!(store.put(vec![next]).await.unwrap(), [PutReply::Stored { version: 2 }]);
    assert_eq!(save(&store, &mine, SessionState::Retired).await, LeaseReply::Stale);
    assert_eq!(stored(&store, "a").await.unwrap().state, SessionState::Valid);
}

/// Owners that lease and release at the same time never hold the same session.
pub async fn racing_owners_never_share_a_session(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a", "b", "c"]).await;
    let holders: [AtomicUsize; 3] = Default::default();
    let owner = async |number: usize| {
        let request = request(&format!("w{number}"), 2);
        for _ in 0..25 {
            let leased = store.lease(&request).await.unwrap().sessions;
            let mut leases = Vec::new();
            for (record, fence) in leased {
                let held = &holders[usize::from(record.id.as_str().as_bytes()[0] - b'a')];
                assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "{} is held twice", record.id);
                leases.push(SessionLease::new(record.id, fence));
            }
            tokio::task::yield_now().await;
            for lease in &leases {
                holders[usize::from(lease.id.as_str().as_bytes()[0] - b'a')]
                    .store(0, Ordering::SeqCst);
            }
            store.release(&leases).await.unwrap();
        }
    };
    futures_util::future::join_all((0..6).map(owner)).await;
}
