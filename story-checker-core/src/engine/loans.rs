//! Loans: a check borrows another pair of the pool for a part of its work.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::lesson::Lesson;
use super::pool::{NoPair, Pair, Wish, limit};
use super::running::Group;
use super::shared::Shared;
use crate::checker::{CheckerProfile, GateKeys, Lender, Lent, nothing_to_lend};
use crate::clock::Timestamp;
use crate::fault::{Fault, Scope};
use crate::gate::Need;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::session::{SessionHandle, SessionKind};

/// How long a check is put off for a session that is in use, or a store that does not answer.
const BUSY: Duration = Duration::from_secs(1);

/// The shortest pause between two looks: a store's clock, or a limit of each proxy, may promise
/// what is not there yet.
const LOOK: Duration = Duration::from_millis(50);

/// Lends to one call of a checker.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) group: Arc<Group>,
    pub(super) noted: Mutex<Vec<Fault>>,
    /// How long its requests have waited for passes, in microseconds.
    pub(super) passing: AtomicU64,
}

#[async_trait]
impl Lender for Desk {
    fn keys(&self, profile: &CheckerProfile) -> Arc<GateKeys> {
        let limits = self.shared.config.limits.get(&*profile.app);
        Arc::new(GateKeys::new(profile, limits))
    }

    fn note(&self, fault: Fault) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    fn waited(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.passing.fetch_add(micros, Ordering::Relaxed);
    }

    fn refused(&self, needs: &[Need], until: Timestamp) {
        let Shared { gate, clock, meter, .. } = &*self.shared;
        if let Some(wait) = limit(gate, needs, clock.now()) {
            meter.put_off(wait, until);
        }
    }

    async fn lend(
        &self,
        profile: &CheckerProfile,
        keys: &GateKeys,
        account: Option<&str>,
        patience: Duration,
    ) -> Result<Box<dyn Lent>, Fault> {
        let (pool, clock) = (&self.shared.pool, &self.shared.clock);
        let kind = profile.session.as_ref();
        let wish = Wish { keys, kind, account };
        let give_up = Instant::now() + patience;
        let mut ask = true;
        loop {
            // Listening before looking: a pair that comes back in between is not missed.
            let mut returned = pin!(pool.returned.notified());
            returned.as_mut().enable();
            let (busy, at) = match self.find(wish, ask).await? {
                Ok(pair) if pair.is_lost() => continue,
                Ok(pair) => return Ok(Box::new(pair)),
                Err(none) => (none.busy, none.at),
            };
            let now = clock.now();
            // The store takes our own lease of a session in use for another's.
            let at = if busy { Some(now + BUSY) } else { at };
            if at.is_none() && !ask {
                // It did not come back: the store knows whether it rests.
                ask = true;
                continue;
            }
            let Some(at) = at else {
                return Err(match kind {
                    Some(kind) => self.nothing_to_lend(kind, account).await,
                    None => not_ready(profile, account, now + BUSY),
                });
            };
            let at = at.max(now + LOOK);
            let wake = Instant::now() + at.since(now);
            if Instant::now() >= give_up || (!busy && wake > give_up) {
                return Err(not_ready(profile, account, at));
            }
            // What is in use comes back by itself: no need to ask the store meanwhile.
            ask = tokio::select! {
                biased;
                () = returned => !busy,
                () = sleep_until(wake.min(give_up)) => true,
            };
        }
    }
}

impl Desk {
    /// How long its requests have waited for passes.
    pub(super) fn passing(&self) -> Duration {
        Duration::from_micros(self.passing.load(Ordering::Relaxed))
    }

    /// What was noted, once.
    pub(super) fn take_noted(&self) -> Vec<Fault> {
        std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault for sessions that only the operator can bring.
    async fn nothing_to_lend(&self, kind: &SessionKind, account: Option<&str>) -> Fault {
        // The census counts all accounts together.
        if account.is_none()
            && let Ok(Some(cause)) = self.shared.pool.blocking_lately(kind).await
        {
            return Fault::new(cause.class, Scope::Target, cause.message);
        }
        nothing_to_lend(kind, account)
    }

    /// Looks for a pair in the pool, and then in the store.
    async fn find(&self, wish: Wish<'_>, ask: bool) -> Result<Result<BorrowedPair, NoPair>, Fault> {
        let pool = &self.shared.pool;
        let mut none = match pool.lend(wish) {
            Ok(pair) => return Ok(Ok(BorrowedPair::new(self, pair))),
            Err(none) => none,
        };
        let Some(kind) = wish.kind.filter(|_| ask || !none.homeless.is_empty()) else {
            return Ok(Err(none));
        };
        let account = wish.account.map(str::to_owned);
        let homeless = std::mem::take(&mut none.homeless);
        // A task of its own: what it leases must get into line even if the check is stopped now.
        let fetch = Arc::clone(pool).fetch(kind.clone(), account, homeless);
        let fetched = self.shared.checks.spawn(fetch).await;
        let not_now = |error: &(dyn std::error::Error + 'static)| {
            tracing::warn!(error, "nothing could be lent");
            Fault::not_ready(error.to_string(), self.shared.clock.now() + BUSY)
        };
        let next_at = fetched.map_err(|error| not_now(&error))?.map_err(|error| not_now(&error))?;
        Ok(pool.lend(wish).map(|pair| BorrowedPair::new(self, pair)).map_err(|mut none| {
            pool.wait_for_homes(std::mem::take(&mut none.homeless));
            none.at = [none.at, next_at].into_iter().flatten().min();
            none
        }))
    }
}

fn not_ready(profile: &CheckerProfile, account: Option<&str>, at: Timestamp) -> Fault {
    let what = match (&profile.session, account) {
        (Some(kind), Some(account)) => format!("the session of the kind {kind} for {account}"),
        (Some(kind), None) => format!("a session of the kind {kind}"),
        (None, _) => "a way out".to_owned(),
    };
    Fault::not_ready(format!("{what} rests or is in use; it may be free at {at}"), at)
}

/// A pair of the pool in the hands of a check. While it lasts, the check depends on the lease of
/// its session.
#[derive(Debug)]
struct BorrowedPair {
    shared: Arc<Shared>,
    group: Arc<Group>,
    pair: Option<Pair>,
    since: Timestamp,
}

impl BorrowedPair {
    fn new(desk: &Desk, pair: Pair) -> Self {
        if let Some(session) = pair.session() {
            desk.group.depend_on(session.id());
        }
        let (shared, group) = (Arc::clone(&desk.shared), Arc::clone(&desk.group));
        let since = shared.clock.now();
        Self { shared, group, pair: Some(pair), since }
    }

    /// Whether the lease was lost before the check depended on it.
    fn is_lost(&self) -> bool {
        self.pair.as_ref().is_some_and(Pair::is_lost)
    }
}

impl Drop for BorrowedPair {
    fn drop(&mut self) {
        if let Some(session) = self.session() {
            self.group.let_go(session.id());
        }
    }
}

#[async_trait]
impl Lent for BorrowedPair {
    fn session(&self) -> Option<&Arc<SessionHandle>> {
        self.pair.as_ref().and_then(Pair::session)
    }

    fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.pair.as_ref().and_then(Pair::proxy)
    }

    async fn give_back(mut self: Box<Self>, answers: &[Result<Report, Fault>], noted: Vec<Fault>) {
        if let Some(session) = self.session() {
            self.group.let_go(session.id());
        }
        let Some(pair) = self.pair.take() else { return };
        let time = (self.since, self.shared.clock.now());
        let lesson = Lesson::of(pair.proxy(), answers, &noted, &self.shared.config, time);
        let pool = Arc::clone(&self.shared.pool);
        // A task of its own: if the check is stopped now, a challenge must be stored all the same.
        let task = async move { pool.give_back(pair, lesson).await };
        if let Err(error) = self.shared.checks.spawn(task).await {
            tracing::error!(%error, "giving a loan back failed");
        }
    }
}
