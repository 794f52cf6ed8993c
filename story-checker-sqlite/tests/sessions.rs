//! Sessions and the machine's clocks.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::SessionId;
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Credentials, SessionKind, SessionLeaseRequest, SessionRecord, SessionStore,
};
use story_checker_core::testing::queue::QueueFixture;

use crate::fixture::Fixture;

#[tokio::test]
async fn the_wall_clock_neither_frees_nor_freezes_a_session() {
    for forward in [true, false] {
        let fixture = Fixture::new();
        let line = Keyring::generate().unwrap();
        let keys = Arc::new(Keyring::parse(line.expose()).unwrap());
        let sessions = fixture.open(1).await.sessions(keys);
        let kind = SessionKind::new("instagram");
        let record =
            SessionRecord::new(SessionId::new("one"), kind.clone(), Credentials::default());
        sessions.put(vec![record]).await.unwrap();
        let request = SessionLeaseRequest::new(kind, "w".into(), Duration::from_secs(60), 1);
        let leased = async || sessions.lease(&request).await.unwrap().sessions.len();
        assert_eq!(leased().await, 1);
        fixture.jump_wall_clock(forward).await;
        assert_eq!(leased().await, 0, "its lease holds");
        fixture.advance(Duration::from_secs(61)).await;
        assert_eq!(leased().await, 1, "its lease is over");
    }
}
