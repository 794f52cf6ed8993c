//! What is special to the store in memory; its promises are in the suite.

use super::*;
use crate::session::{Credentials, SessionKind};

#[test]
fn many_workers_never_hold_one_session_at_once() {
    let clock = Arc::new(crate::clock::SystemClock::new());
    let store = Arc::new(InMemorySessionStore::new(clock));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let ids: Vec<_> = (0..8).map(|id| format!("s{id}")).collect();
        let kind = SessionKind::from_static("instagram-web");
        let record = |id: &String| {
            SessionRecord::new(SessionId::new(id.as_str()), kind.clone(), Credentials::default())
        };
        store.put(ids.iter().map(record).collect()).await.unwrap();
        let holders: Arc<Mutex<BTreeMap<SessionId, usize>>> = Arc::default();
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..16 {
            let (store, holders) = (Arc::clone(&store), Arc::clone(&holders));
            let kind = kind.clone();
            workers.spawn(async move {
                let owner = format!("w{worker}");
                let ttl = Duration::from_secs(30);
                let request = SessionLeaseRequest::new(kind, owner.as_str().into(), ttl, 3);
                for _ in 0..500 {
                    let leased = store.lease(&request).await.unwrap();
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
