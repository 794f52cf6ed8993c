//! Which sessions are lent.

use std::sync::Arc;
use std::time::Duration;

use super::{
    MINUTE, SessionFixture, TTL, kind, labels, lease, record, release, request, save, store, stored,
};
use crate::session::{
    Credentials, LeaseReply, SessionChange, SessionKind, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionState,
};
use crate::testing::near;

/// A session in any state but valid is not leased, and nothing promises that it will be.
pub async fn only_valid_sessions_are_leased(fixture: &dyn SessionFixture) {
    let states = [
        SessionState::Challenged { reason: "checkpoint".into() },
        SessionState::NeedsLogin { reason: "302".into() },
        SessionState::Suspended { reason: "gone".into() },
        SessionState::Expired,
        SessionState::Retired,
    ];
    for state in states {
        let store = store(fixture, &["a"]).await;
        let mine = lease(&store, "w").await.unwrap();
        assert_eq!(save(&store, &mine, state.clone()).await, LeaseReply::Held);
        assert_eq!(release(&store, &mine).await, LeaseReply::Held);
        let nothing = labels(&store, &request("w", 9)).await;
        assert_eq!(nothing, (vec![], None), "{state:?}");
        fixture.advance_sessions(TTL * 100).await;
        assert_eq!(labels(&store, &request("w", 9)).await, (vec![], None), "{state:?}");
        assert_eq!(stored(&store, "a").await.unwrap().state, state);
    }
}

/// A resting session is leased after its rest, as a valid one; until then its end is told.
pub async fn a_rest_ends_by_itself(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["resting", "valid"]).await;
    let until = fixture.now() + MINUTE * 11;
    let state = SessionState::CoolingDown { until, reason: "429".into() };
    let resting = SessionRecord { state, version: 1, ..record("resting") };
    store.put(vec![resting]).await.unwrap();
    assert_eq!(labels(&store, &request("w", 9)).await, (vec!["valid".into()], Some(until)));
    fixture.advance_sessions(MINUTE * 5).await;
    lease(&store, "w").await.expect("the other's lease is over");
    fixture.advance_sessions(MINUTE * 6).await;
    let leased = store.lease(&request("w", 9)).await.unwrap().sessions;
    assert_eq!(leased.len(), 2);
    assert!(leased.iter().all(|(record, _)| record.state == SessionState::Valid));
}

/// A session whose credentials are past their end has expired, unless its holder has refreshed
/// them.
pub async fn credentials_past_their_end_are_not_leased(fixture: &dyn SessionFixture) {
    let store = store(fixture, &[]).await;
    let soon = fixture.now() + MINUTE;
    let ends = |at| Credentials { expires_at: Some(at), ..Credentials::default() };
    let of = |id: &str| SessionRecord::new(id.into(), kind(), ends(soon));
    store.put(vec![of("old"), of("refreshed")]).await.unwrap();
    let leased = store.lease(&request("w", 9)).await.unwrap().sessions;
    assert_eq!(leased.len(), 2);
    for (record, fence) in leased {
        let lease = SessionLease::new(record.id.clone(), fence);
        if record.id.as_str() == "refreshed" {
            let credentials = Arc::new(ends(soon + MINUTE * 600));
            let change = SessionChange::new(lease.clone(), SessionState::Valid, credentials, None);
            store.save(vec![change]).await.unwrap();
        }
        release(&store, &lease).await;
    }
    fixture.advance_sessions(MINUTE * 2).await;
    assert_eq!(labels(&store, &request("w", 9)).await.0, ["refreshed"]);
    assert_eq!(stored(&store, "old").await.unwrap().state, SessionState::Expired);
}

/// Those longest unused are lent first.
pub async fn the_longest_unused_comes_first(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["a", "b", "c"]).await;
    let mut order = Vec::new();
    assert_eq!(stored(&store, "a").await.unwrap().last_used, None);
    for _ in 0..6 {
        fixture.advance_sessions(Duration::from_secs(1)).await;
        let lease = lease(&store, "w").await.unwrap();
        order.push(lease.id.as_str().to_owned());
        release(&store, &lease).await;
    }
    let mut first = order[..3].to_vec();
    assert_eq!(order[3..], first, "the same order again");
    let used = stored(&store, &order[5]).await.unwrap().last_used.expect("it was used");
    assert!(
        used <= fixture.now() && used > stored(&store, &order[4]).await.unwrap().last_used.unwrap()
    );
    first.sort();
    assert_eq!(first, ["a", "b", "c"]);
}

/// A request gets sessions of its kind only.
pub async fn kinds_do_not_mix(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["web"]).await;
    let graph = SessionKind::new("instagram-graph");
    let other = SessionRecord { kind: graph.clone(), ..record("graph") };
    store.put(vec![other]).await.unwrap();
    let ask = SessionLeaseRequest::new(graph, "w".into(), TTL, 9);
    assert_eq!(labels(&store, &ask).await.0, ["graph"]);
    assert_eq!(labels(&store, &request("w", 9)).await.0, ["web"]);
}

/// A request that names an account gets that account's sessions only, and is told of these when
/// there may be more; one that names none gets any.
pub async fn an_account_gets_its_own_sessions(fixture: &dyn SessionFixture) {
    let store = store(fixture, &["anybody"]).await;
    let of =
        |id: &str, account: &str| SessionRecord { account: Some(account.into()), ..record(id) };
    let until = fixture.now() + MINUTE * 11;
    let state = SessionState::CoolingDown { until, reason: "429".into() };
    let resting = SessionRecord { state, ..of("c", "cocoa") };
    store.put(vec![of("t", "tea_house"), resting, of("d", "cocoa")]).await.unwrap();
    let ask = async |account| labels(&store, &request("w", 9).with_account(account)).await;
    assert_eq!(ask("tea_house").await, (vec!["t".into()], None));
    let (none, next_at) = ask("tea_house").await;
    assert!(none.is_empty() && near(next_at.expect("it is leased"), fixture.now() + TTL));
    assert_eq!(ask("cocoa").await, (vec!["d".into()], Some(until)), "the other rests");
    assert_eq!(ask("nobody").await, (vec![], None));
    assert_eq!(labels(&store, &request("w", 9)).await.0, ["anybody"]);
}
