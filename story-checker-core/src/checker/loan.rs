use std::sync::Arc;

use super::context::{CheckContext, Lending, Supplied};
use super::lender::Lent;
use super::profile::CheckerProfile;
use crate::fault::{Class, Fault, Scope};
use crate::report::Report;
use crate::session::{SessionHandle, SessionKind};

/// A part of a check on another pair of the pool: another identity, or none.
///
/// Given back, its faults are charged to its own pair by the [charges table](mod@crate::charge).
/// Dropped, its pair goes back to the pool as it is. While it lasts its session belongs to the
/// check: if the session's lease is lost, the whole check is stopped.
#[derive(Debug)]
#[must_use = "a loan that is dropped goes back to the pool, and nothing is charged"]
pub struct Loan {
    cx: CheckContext,
    lent: Option<Box<dyn Lent>>,
}

impl Loan {
    /// What this part of the check runs on: the loan's pair with its own names and limits; deadline,
    /// cancellation, cache, clock and gate are those of the check.
    #[must_use]
    pub fn context(&self) -> &CheckContext {
        &self.cx
    }

    /// Gives the pair back with what came of it: changed credentials are stored, and the faults of
    /// `answers` are charged to it. They are marked as charged, so that the engine, when it sees
    /// them (or their clones) in the answer of the check, does not charge them again to the pair
    /// that it leased itself.
    ///
    /// # Cancel safety
    /// Safe once it was polled: what is to be stored is stored even if the future is dropped.
    pub async fn give_back(self, answers: &mut [Result<Report, Fault>]) {
        for fault in answers.iter_mut().filter_map(|answer| answer.as_mut().err()) {
            self.cx.charge(fault);
        }
        let noted = self.cx.take_noted();
        if let Some(lent) = self.lent {
            lent.give_back(answers, noted).await;
        }
    }
}

impl CheckContext {
    /// Borrows another pair of the pool: a session of the profile's kind (for a profile without
    /// one, no session) and its home proxy. `account` asks for the session that speaks for this
    /// account.
    ///
    /// # Errors
    /// Faults for the answer of the target, all of which cost nobody anything:
    /// * [`Fault::not_ready`] with the time while the sessions rest or are in use, and while the
    ///   store cannot be reached;
    /// * [`Class::AuthRequired`] or [`Class::ChallengeRequired`] with [`Scope::Target`] if only the
    ///   operator helps: there is no such session, or it is out of use. It is the target that cannot be asked about; the pair
    ///   of the check has nothing to do with it;
    /// * [`Class::Cancelled`] once the check is cancelled.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting.
    pub async fn lend(
        &self,
        profile: &CheckerProfile,
        account: Option<&str>,
    ) -> Result<Loan, Fault> {
        if self.cancellation().is_cancelled() {
            return Err(Fault::cancelled("the check was cancelled"));
        }
        let keys = self.keys_of(profile);
        let (session, proxy, lent) = match self.lending() {
            Lending::Engine(lender) => {
                let lent = lender.lend(profile, &keys, account, self.patience()).await?;
                (lent.session().cloned(), lent.proxy().cloned(), Some(lent))
            }
            Lending::Supplied(supplied) => {
                let session = find(supplied, profile, account)?;
                (session, self.proxy().cloned(), None)
            }
        };
        let cx = self.on_pair(keys, session, proxy);
        Ok(Loan { cx, lent })
    }
}

/// The session among those that were supplied for lending.
fn find(
    supplied: &[Supplied],
    profile: &CheckerProfile,
    account: Option<&str>,
) -> Result<Option<Arc<SessionHandle>>, Fault> {
    let Some(kind) = &profile.session else { return Ok(None) };
    let fits = |supplied: &&Supplied| {
        supplied.kind == *kind && account.is_none_or(|it| supplied.account.as_deref() == Some(it))
    };
    let found = supplied.iter().find(fits).ok_or_else(|| nothing_to_lend(kind, account))?;
    Ok(Some(Arc::clone(&found.session)))
}

/// The fault for sessions that only the operator can bring.
pub(crate) fn nothing_to_lend(kind: &SessionKind, account: Option<&str>) -> Fault {
    let whose = account.map(|account| format!(" for the account {account}")).unwrap_or_default();
    let message = format!(
        "no session of the kind {kind}{whose} can be used: import one, or see why the one there is \
         is out of use"
    );
    Fault::new(Class::AuthRequired, Scope::Target, message)
}
