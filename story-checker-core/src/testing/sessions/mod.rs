//! The promises of [`SessionStore`].

pub mod choice;
pub mod leases;
pub mod records;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::LocalBoxFuture;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::session::{
    Cookie, Credentials, LeaseReply, PutReply, SessionChange, SessionKind, SessionLease,
    SessionLeaseRequest, SessionRecord, SessionState, SessionStore,
};

/// Makes session stores for the suite.
#[async_trait]
pub trait SessionFixture: Send + Sync {
    /// A new, empty store that shares nothing with those made before.
    async fn sessions(&self) -> Arc<dyn SessionStore>;

    /// The time by the clock of its stores.
    fn now(&self) -> Timestamp;

    /// Lets this much time pass by the clock of its stores. It need not take any time.
    async fn advance_sessions(&self, span: Duration);

    /// Opens the store that was made last once more, as another process would after the first was
    /// killed. None: what is in it does not outlive its process.
    async fn reopen_sessions(&self) -> Option<Arc<dyn SessionStore>> {
        None
    }
}

/// A case: panics if the store breaks the promise.
pub type SessionCase = for<'a> fn(&'a dyn SessionFixture) -> LocalBoxFuture<'a, ()>;

/// All cases by name.
pub const CASES: &[(&str, SessionCase)] = crate::session_store_suite!(@each conformance_list ());

/// The case with this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn case(name: &str) -> SessionCase {
    crate::testing::find(CASES, name)
}

/// Expands to one `#[test]` per promise of [`SessionStore`].
///
/// The expression makes a [`SessionFixture`] for one
/// test; it may `.await`.
#[macro_export]
macro_rules! session_store_suite {
    (@each $apply:ident $args:tt) => {
        $crate::$apply! { $args sessions
            records {
                an_empty_store_gives_nothing
                sessions_come_back_as_they_were
                what_the_holder_saw_is_stored
                versions_are_compared
                of_two_writers_one_wins
                sessions_are_paged_by_label
                a_removed_session_is_gone
                secrets_are_not_shown
                a_reopened_store_has_its_sessions
            }
            choice {
                only_valid_sessions_are_leased
                a_rest_ends_by_itself
                credentials_past_their_end_are_not_leased
                the_longest_unused_comes_first
                kinds_do_not_mix
                an_account_gets_its_own_sessions
            }
            leases {
                a_lease_is_exclusive
                a_lease_whose_owner_died_ends
                a_renewed_lease_goes_on
                a_late_holder_is_heard_while_nobody_came
                a_stale_holder_changes_nothing
                a_released_lease_is_over
                a_replaced_record_ends_the_lease
                racing_owners_never_share_a_session
            }
        }
    };
    ($fixture:expr) => {
        $crate::session_store_suite! { @each conformance_tests ($fixture) }
    };
}

const TTL: Duration = Duration::from_secs(120);
const MINUTE: Duration = Duration::from_secs(60);

fn kind() -> SessionKind {
    SessionKind::from_static("instagram-web")
}

fn record(id: &str) -> SessionRecord {
    let cookie = Cookie::new("sessionid", format!("PLANTED-{id}"));
    SessionRecord::new(SessionId::new(id), kind(), Credentials::from_cookies(vec![cookie]))
}

fn request(owner: &str, max: usize) -> SessionLeaseRequest {
    SessionLeaseRequest::new(kind(), owner.into(), TTL, max)
}

/// A store with these sessions.
async fn store(fixture: &dyn SessionFixture, ids: &[&str]) -> Arc<dyn SessionStore> {
    let store = fixture.sessions().await;
    let replies = store.put(ids.iter().map(|id| record(id)).collect()).await.unwrap();
    assert_eq!(replies, vec![PutReply::Stored { version: 1 }; ids.len()]);
    store
}

async fn lease(store: &dyn SessionStore, owner: &str) -> Option<SessionLease> {
    let leased = store.lease(&request(owner, 1)).await.unwrap();
    assert!(leased.sessions.len() <= 1, "more than were asked for");
    leased.sessions.first().map(|(record, fence)| SessionLease::new(record.id.clone(), *fence))
}

/// The labels that a request gets, in order, and when there may be more.
async fn labels(
    store: &dyn SessionStore,
    request: &SessionLeaseRequest,
) -> (Vec<String>, Option<Timestamp>) {
    let leased = store.lease(request).await.unwrap();
    let labels = leased.sessions.iter().map(|(record, _)| record.id.to_string());
    (labels.collect(), leased.next_at)
}

async fn stored(store: &dyn SessionStore, id: &str) -> Option<SessionRecord> {
    let records = store.list(None, 1_000).await.unwrap();
    records.into_iter().find(|record| record.id.as_str() == id)
}

async fn save(store: &dyn SessionStore, lease: &SessionLease, state: SessionState) -> LeaseReply {
    let credentials = stored(store, lease.id.as_str()).await.unwrap().credentials;
    let change = SessionChange::new(lease.clone(), state, credentials, None);
    let replies = store.save(vec![change]).await.unwrap();
    assert_eq!(replies.len(), 1, "one answer per change");
    replies[0]
}

async fn release(store: &dyn SessionStore, lease: &SessionLease) -> LeaseReply {
    store.release(std::slice::from_ref(lease)).await.unwrap()[0]
}
