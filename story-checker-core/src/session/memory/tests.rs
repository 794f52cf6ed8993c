use tokio::time::advance;

use super::*;
use crate::clock::VirtualClock;
use crate::session::{Cookie, Credentials, SessionKind};

const START: Timestamp = Timestamp::from_secs(1_795_251_600);
const TTL: Duration = Duration::from_secs(30);

fn kind() -> SessionKind {
    SessionKind::from_static("instagram-web")
}

fn record(id: &str) -> SessionRecord {
    let cookie = Cookie::new("sessionid", "PLANTED");
    SessionRecord::new(id.into(), kind(), Credentials::from_cookies(vec![cookie]))
}

fn request(owner: &str, max: usize) -> SessionLeaseRequest {
    SessionLeaseRequest::new(kind(), owner.into(), TTL, max)
}

async fn store(ids: &[&str]) -> Arc<dyn SessionStore> {
    let store = InMemorySessionStore::new(Arc::new(VirtualClock::starting_at(START)));
    store.put(ids.iter().map(|id| record(id)).collect()).await.unwrap();
    Arc::new(store)
}

async fn lease_one(store: &dyn SessionStore, owner: &str) -> Option<SessionLease> {
    let leased = store.lease(&request(owner, 1)).await.unwrap();
    leased.sessions.first().map(|(record, fence)| SessionLease::new(record.id.clone(), *fence))
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_exclusive_until_it_is_released_or_over() {
    let store = store(&["a"]).await;
    let first = lease_one(&store, "w1").await.unwrap();
    let nothing = store.lease(&request("w2", 9)).await.unwrap();
    assert!(nothing.sessions.is_empty());
    assert_eq!(nothing.next_at, Some(START + TTL));

    assert_eq!(store.release(std::slice::from_ref(&first)).await.unwrap(), [LeaseReply::Held]);
    let second = lease_one(&store, "w2").await.unwrap();
    assert!(second.fence > first.fence);
    assert_eq!(store.release(std::slice::from_ref(&first)).await.unwrap(), [LeaseReply::Stale]);

    advance(TTL).await;
    let third = lease_one(&store, "w3").await.unwrap();
    assert!(third.fence > second.fence, "an owner that died does not hold it for ever");
    assert_eq!(
        store.renew(&[second, third], TTL).await.unwrap(),
        [LeaseReply::Stale, LeaseReply::Held]
    );
}

#[tokio::test(start_paused = true)]
async fn renewing_keeps_a_lease_alive() {
    let store = store(&["a"]).await;
    let lease = lease_one(&store, "w1").await.unwrap();
    for _ in 0..10 {
        advance(TTL / 2).await;
        assert_eq!(
            store.renew(std::slice::from_ref(&lease), TTL).await.unwrap(),
            [LeaseReply::Held]
        );
        assert!(lease_one(&store, "w2").await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_stale_lease_nothing_changes() {
    let store = store(&["a"]).await;
    let old = lease_one(&store, "w1").await.unwrap();
    advance(TTL).await;
    lease_one(&store, "w2").await.unwrap();
    let change = SessionChange::new(old, SessionState::Retired, Arc::default(), Some("p".into()));
    assert_eq!(store.save(vec![change]).await.unwrap(), [LeaseReply::Stale]);
    let stored = store.list(None, 10).await.unwrap();
    assert_eq!(stored[0].state, SessionState::Valid);
    assert!(stored[0].credentials.cookie("sessionid").is_some());
    assert_eq!(stored[0].home_proxy, None);
}

#[tokio::test(start_paused = true)]
async fn only_usable_sessions_are_leased_and_a_rest_ends_by_itself() {
    let store = store(&["challenged", "resting", "valid"]).await;
    let until = START + Duration::from_secs(660);
    for _ in 0..3 {
        let leased = store.lease(&request("w", 1)).await.unwrap();
        let (record, fence) = &leased.sessions[0];
        let state = match record.id.as_str() {
            "challenged" => SessionState::Challenged { reason: "checkpoint".into() },
            "resting" => SessionState::CoolingDown { until, reason: "429".into() },
            _ => SessionState::Valid,
        };
        let lease = SessionLease::new(record.id.clone(), *fence);
        let change =
            SessionChange::new(lease.clone(), state, Arc::clone(&record.credentials), None);
        store.save(vec![change]).await.unwrap();
        store.release(&[lease]).await.unwrap();
    }
    let leased = store.lease(&request("w", 9)).await.unwrap();
    assert_eq!(leased.sessions.len(), 1);
    assert_eq!(leased.sessions[0].0.id.as_str(), "valid");
    assert_eq!(leased.next_at, Some(until));
    advance(Duration::from_secs(660)).await;
    let leased = store.lease(&request("w2", 9)).await.unwrap();
    let ids: Vec<_> = leased.sessions.iter().map(|(record, _)| record.id.as_str()).collect();
    assert!(ids.contains(&"resting") && !ids.contains(&"challenged"), "{ids:?}");
    assert!(leased.sessions.iter().all(|(record, _)| record.state == SessionState::Valid));
}

#[tokio::test(start_paused = true)]
async fn credentials_past_their_end_are_not_leased() {
    let store = InMemorySessionStore::new(Arc::new(VirtualClock::starting_at(START)));
    let ends = |at| Credentials { expires_at: Some(at), ..Credentials::default() };
    let refreshed = SessionRecord::new("b".into(), kind(), ends(START + TTL));
    store.put(vec![refreshed]).await.unwrap();
    let lease = lease_one(&store, "w").await.unwrap();
    let credentials = Arc::new(ends(START + TTL * 9));
    let change = SessionChange::new(lease.clone(), SessionState::Valid, credentials, None);
    store.save(vec![change]).await.unwrap();
    store.put(vec![SessionRecord::new("a".into(), kind(), ends(START + TTL))]).await.unwrap();
    store.release(&[lease]).await.unwrap();
    advance(TTL).await;
    let leased = store.lease(&request("w", 9)).await.unwrap();
    assert_eq!(leased.sessions.len(), 1, "the holder has refreshed one of them");
    assert_eq!(leased.sessions[0].0.id.as_str(), "b");
    assert_eq!(store.list(None, 1).await.unwrap()[0].state, SessionState::Expired);
}

#[tokio::test(start_paused = true)]
async fn the_longest_unused_session_comes_first_and_kinds_do_not_mix() {
    let store = store(&["a", "b"]).await;
    let other = SessionRecord { kind: SessionKind::new("instagram-graph"), ..record("c") };
    store.put(vec![other]).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..4 {
        advance(Duration::from_secs(1)).await;
        let lease = lease_one(&store, "w").await.unwrap();
        order.push(lease.id.as_str().to_owned());
        store.release(&[lease]).await.unwrap();
    }
    assert_eq!(order, ["a", "b", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_for_an_account_gets_its_session_only() {
    let store = store(&["anybody"]).await;
    let of =
        |id: &str, account: &str| SessionRecord { account: Some(account.into()), ..record(id) };
    let until = START + Duration::from_secs(660);
    let state = SessionState::CoolingDown { until, reason: "429".into() };
    let resting = SessionRecord { state, ..of("c", "cocoa") };
    store.put(vec![of("t", "tea_house"), of("c", "cocoa"), of("d", "cocoa")]).await.unwrap();
    store.put(vec![SessionRecord { version: 1, ..resting }]).await.unwrap();
    let ask = |account: &str| {
        let (store, request) = (Arc::clone(&store), request("w", 9).with_account(account));
        async move {
            let leased = store.lease(&request).await.unwrap();
            let ids = leased.sessions.into_iter().map(|(record, _)| record.id.to_string());
            (ids.collect::<Vec<_>>(), leased.next_at)
        }
    };
    assert_eq!(ask("tea_house").await, (vec!["t".into()], None));
    assert_eq!(ask("tea_house").await, (vec![], Some(START + TTL)), "it is leased");
    assert_eq!(ask("cocoa").await, (vec!["d".into()], Some(until)), "the other rests");
    assert_eq!(ask("nobody").await, (vec![], None));
    let any = store.lease(&request("w", 9)).await.unwrap();
    assert_eq!(any.sessions.len(), 1);
    assert_eq!(any.sessions[0].0.id.as_str(), "anybody");
}

#[tokio::test(start_paused = true)]
async fn put_compares_versions_and_makes_running_leases_stale() {
    let store = store(&["a"]).await;
    let lease = lease_one(&store, "w").await.unwrap();
    let again = record("a");
    assert_eq!(store.put(vec![again.clone()]).await.unwrap(), [PutReply::Conflict { stored: 1 }]);
    let next = SessionRecord { version: 1, ..again };
    let ghost = SessionRecord { version: 7, ..record("ghost") };
    assert_eq!(
        store.put(vec![next, ghost]).await.unwrap(),
        [PutReply::Stored { version: 2 }, PutReply::Conflict { stored: 0 }]
    );
    assert_eq!(store.renew(&[lease], TTL).await.unwrap(), [LeaseReply::Stale]);
}

#[tokio::test(start_paused = true)]
async fn listing_pages_by_label_and_removing_is_idempotent() {
    let store = Box::new(store(&["c", "a", "b"]).await);
    let page = store.list(None, 2).await.unwrap();
    let rest = store.list(Some(page[1].id.clone()), 2).await.unwrap();
    let ids: Vec<_> = page.iter().chain(&rest).map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(store.remove(&["a".into(), "nobody".into()]).await.unwrap(), [true, false]);
    assert_eq!(store.remove(&["a".into()]).await.unwrap(), [false]);
    assert!(!format!("{:?} {store}", store.list(None, 9).await.unwrap()).contains("PLANTED"));
}

#[test]
fn many_workers_never_hold_one_session_at_once() {
    let clock = Arc::new(crate::clock::SystemClock::new());
    let store = Arc::new(InMemorySessionStore::new(clock));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let ids: Vec<_> = (0..8).map(|id| format!("s{id}")).collect();
        store.put(ids.iter().map(|id| record(id)).collect()).await.unwrap();
        let holders: Arc<Mutex<BTreeMap<SessionId, usize>>> = Arc::default();
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..16 {
            let (store, holders) = (Arc::clone(&store), Arc::clone(&holders));
            workers.spawn(async move {
                let owner = format!("w{worker}");
                for _ in 0..500 {
                    let leased = store.lease(&request(&owner, 3)).await.unwrap();
                    for (record, _) in &leased.sessions {
                        let mut holders = holders.lock().unwrap();
                        let held = holders.entry(record.id.clone()).or_default();
                        *held += 1;
                        assert_eq!(*held, 1, "{} is held twice", record.id);
                    }
                    tokio::task::yield_now().await;
                    let lease = |(record, fence): (SessionRecord, Fence)| {
                        SessionLease::new(record.id, fence)
                    };
                    let leases: Vec<_> = leased.sessions.into_iter().map(lease).collect();
                    for lease in &leases {
                        *holders.lock().unwrap().get_mut(&lease.id).unwrap() -= 1;
                    }
                    store.release(&leases).await.unwrap();
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    });
}
