//! The pool as a lender: one pair for a certain kind of session and account, whatever the lane.

use std::cmp::Reverse;
use std::sync::Arc;

use super::line::Leased;
use super::{Held, Pair, Pool, State};
use crate::checker::GateKeys;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::session::{SessionKind, SessionLeaseRequest};

/// What to lend.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Wish<'a> {
    pub(in crate::engine) keys: &'a GateKeys,
    pub(in crate::engine) kind: Option<&'a SessionKind>,
    /// Whom the session must speak for; none: it does not matter.
    pub(in crate::engine) account: Option<&'a str>,
}

impl Wish<'_> {
    fn fits(&self, account: Option<&str>) -> bool {
        self.account.is_none() || self.account == account
    }
}

/// Why there is no pair now. Neither: only the operator helps.
#[derive(Debug, Default)]
pub(in crate::engine) struct NoPair {
    /// One that would do is in use by another check of this worker.
    pub(in crate::engine) busy: bool,
    /// When one may be ready.
    pub(in crate::engine) at: Option<Timestamp>,
    /// Leased sessions that would do and have no home: to be [fetched](Pool::fetch).
    pub(in crate::engine) homeless: Vec<Leased>,
}

impl Pool {
    /// Looks for a pair among the leased sessions.
    pub(in crate::engine) fn lend(self: &Arc<Self>, wish: Wish<'_>) -> Result<Pair, NoPair> {
        let now = self.clock.now();
        let Some(kind) = wish.kind else {
            let pair = self.take_without_session(Some(wish.keys), 1, now).pop();
            return pair
                .ok_or_else(|| NoPair { at: self.open_at(Some(wish.keys)), ..NoPair::default() });
        };
        let mut none = NoPair::default();
        let mut state = self.lock();
        let State { kinds, proxies, held, .. } = &mut *state;
        let Some(line) = kinds.get_mut(kind) else { return Err(none) };
        line.wake(now);
        if wish.account.is_some() {
            // They may wait for the limits of another checker.
            line.wake_if(|session| wish.fits(session.account()));
        }
        while let Some(at) = line.ready.iter().position(|it| wish.fits(it.account())) {
            let session = line.ready.remove(at).expect("its position was just found");
            let homeless = &mut none.homeless;
            let pair = self.pair_up(wish.keys, line, proxies, session, now, homeless);
            if let Some(pair) = pair {
                line.ready.extend(none.homeless);
                return Ok(pair);
            }
        }
        let waiting = line.waiting.iter().filter(|Reverse(it)| wish.fits(it.session.account()));
        let mut idle = none.homeless.len();
        for Reverse(waiting) in waiting {
            idle += 1;
            none.at = Some(none.at.map_or(waiting.at, |at| at.min(waiting.at)));
        }
        let fits = |it: &&Held| it.kind == *kind && wish.fits(it.account.as_deref());
        none.busy = held.values().filter(fits).count() > idle;
        Err(none)
    }

    /// Leases a session for the wish, unless there are `homeless` ones already, finds homes, and
    /// puts them into line. Says when the store may have more.
    pub(in crate::engine) async fn fetch(
        self: Arc<Self>,
        kind: SessionKind,
        account: Option<String>,
        mut homeless: Vec<Leased>,
    ) -> Result<Option<Timestamp>> {
        let mut next_at = None;
        if homeless.is_empty() {
            let mut request = SessionLeaseRequest::new(kind, self.worker.clone(), self.lease, 1);
            request.account = account;
            (homeless, next_at) = self.ask_store(&request).await?;
        }
        self.settle_in(homeless).await?;
        Ok(next_at)
    }
}
