use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Checker;
use super::context::CheckContext;
use super::profile::CheckerProfile;
use crate::charge::{Fate, SessionCharge, charge};
use crate::error::{Error, Result};
use crate::fault::{Class, Fault, Scope};
use crate::report::Report;
use crate::target::Target;

type Answer = std::result::Result<Report, Fault>;

/// Asks several checkers of one platform in order, each for the targets that those before it could
/// not answer for.
///
/// A target goes on to the next checker after any fault but [`Class::Cancelled`]. A report keeps the
/// evidence of the checker that made it, and says as facts what the others said. If all have
/// faults, the last one is the answer, and its message says what the others said; but one that
/// passes by itself is not replaced by one that ends the job. A session that was just refused sends
/// nothing more for a later checker: that one has the same fault.
///
/// The check runs on the session of the first checker that needs one. A checker with another kind
/// of session, or none, runs on a [loan](CheckContext::lend): its faults, names and limits are its
/// own.
///
/// While there is no session for the first, those that do not need it go on without
/// ([`CheckerProfile::session_optional`]). A target that they cannot answer for waits for the end of
/// a rest, at no cost, or ends as unknown if only the operator can bring a session.
#[derive(Debug)]
pub struct Fallback {
    checkers: Vec<Arc<dyn Checker>>,
    profile: CheckerProfile,
    confirm_weak: bool,
}

impl Fallback {
    /// Asks these checkers in this order.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is none, or they have no platform
    /// or no kind of target in common.
    pub fn new(checkers: Vec<Arc<dyn Checker>>) -> Result<Self> {
        let invalid = |what: &str| Err(Error::invalid("put checkers in order", what));
        let profiles = || checkers.iter().map(|checker| checker.profile());
        let Some(first) = profiles().next() else { return invalid("there is no checker") };
        let host = profiles().find(|profile| profile.session.is_some()).unwrap_or(first);
        let mut profile = host.clone();
        profile.made_of = profiles().flat_map(CheckerProfile::parts).cloned().collect();
        profile.kinds.retain(|kind| profiles().all(|one| one.kinds.contains(kind)));
        // Who needs another kind of session, or none, can go on without this one.
        profile.session_optional = profile.session.is_some()
            && profiles().any(|one| one.session_optional || one.session != profile.session);
        profile.max_batch = profiles().map(|one| one.max_batch).min().unwrap_or(profile.max_batch);
        if profiles().any(|one| one.platform != profile.platform) {
            return invalid("they are of several platforms");
        }
        if profile.kinds.is_empty() {
            return invalid("there is no kind of target that all of them answer for");
        }
        Ok(Self { checkers, profile, confirm_weak: true })
    }

    /// Whether a [weak](crate::Evidence::weak) answer is put before the next checker too, whose
    /// answer then counts. Default yes. If there is no further answer, the weak one stands.
    #[must_use]
    pub fn with_confirm_weak(mut self, confirm_weak: bool) -> Self {
        self.confirm_weak = confirm_weak;
        self
    }

    async fn ask(
        &self,
        checker: &dyn Checker,
        targets: &[Target],
        cx: &CheckContext,
        refused: &mut Option<Fault>,
    ) -> Vec<Answer> {
        let profile = checker.profile();
        // What the pair has; the check may have to do without.
        let kind = self.profile.session.as_ref().filter(|_| cx.session().is_some());
        if profile.session.as_ref() == kind || (kind.is_none() && profile.session_optional) {
            if let Some(fault) = refused.as_ref().filter(|_| profile.session.is_some()) {
                return vec![Err(fault.clone()); targets.len()];
            }
            let mut answers = checked(checker, targets, &cx.counted_as(profile)).await;
            for fault in answers.iter_mut().filter_map(|answer| answer.as_mut().err()) {
                // Whether or not it is the answer in the end.
                cx.charge(fault);
                if charge(fault.class, fault.scope).session != SessionCharge::Nothing {
                    *refused = Some(fault.clone());
                }
            }
            return answers;
        }
        match cx.lend(profile, None).await {
            Ok(loan) => {
                let mut answers = checked(checker, targets, loan.context()).await;
                loan.give_back(&mut answers).await;
                answers
            }
            Err(fault) => vec![Err(fault); targets.len()],
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, checker) in self.checkers.iter().enumerate() {
            write!(f, "{}{checker}", if index == 0 { "" } else { ", then " })?;
        }
        Ok(())
    }
}

#[async_trait]
impl Checker for Fallback {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Answer> {
        let mut refused = None;
        let mut states: Vec<_> = targets.iter().map(|_| State::default()).collect();
        for (index, checker) in self.checkers.iter().enumerate() {
            let open: Vec<_> = (0..targets.len()).filter(|&at| !states[at].done).collect();
            if open.is_empty() || cx.cancellation().is_cancelled() {
                break;
            }
            let asked: Vec<_> = open.iter().map(|&at| targets[at].clone()).collect();
            let answers = self.ask(&**checker, &asked, cx, &mut refused).await;
            let confirm = self.confirm_weak && index + 1 < self.checkers.len();
            for (at, answer) in open.into_iter().zip(answers) {
                states[at].take(checker, answer, confirm);
            }
        }
        states.into_iter().map(State::answer).collect()
    }
}

/// Calls a checker and makes sure that there is one answer per target.
async fn checked(checker: &dyn Checker, targets: &[Target], cx: &CheckContext) -> Vec<Answer> {
    let answers = checker.check(targets, cx).await;
    if answers.len() == targets.len() {
        return answers;
    }
    let (gave, asked) = (answers.len(), targets.len());
    let message = format!(
        "the checker {checker} gave {gave} answers for {asked} targets; this is a bug in it"
    );
    vec![Err(Fault::new(Class::Permanent, Scope::Ours, message)); asked]
}

/// What is known of one target so far.
#[derive(Debug, Default)]
struct State {
    /// The answer that stands if no better one comes.
    answer: Option<Answer>,
    /// What that answer becomes once there is a better one: a fact.
    said: Option<String>,
    /// What the other checkers said.
    facts: Vec<String>,
    /// Nobody else is asked.
    done: bool,
}

impl State {
    fn take(&mut self, checker: &Arc<dyn Checker>, answer: Answer, confirm: bool) {
        let weak_stands = matches!(self.answer, Some(Ok(_))) && answer.is_err();
        // Who fails for now may answer later: that somebody else never will is no end.
        let ends = |answer: &Answer| {
            answer.as_ref().err().map(|it| charge(it.class, it.scope).job == Fate::Dead)
        };
        let may_answer = self.answer.as_ref().and_then(ends) == Some(false);
        let stands = weak_stands || (may_answer && ends(&answer) == Some(true));
        let said = match &answer {
            Ok(report) => {
                self.done = !(report.evidence.weak && confirm);
                let verdict = report.verdict.as_str().replace('_', " ");
                format!("{checker} said {verdict}, as far as it shows")
            }
            Err(fault) => {
                self.done = fault.class == Class::Cancelled;
                let what = if weak_stands { "confirm it" } else { "answer" };
                format!("{checker} could not {what}: {}", fault.message)
            }
        };
        if stands {
            self.facts.push(said);
        } else {
            self.facts.extend(self.said.replace(said));
            self.answer = Some(answer);
        }
    }

    fn answer(self) -> Answer {
        match self.answer {
            Some(Ok(mut report)) => {
                report.evidence.facts.extend(self.facts.into_iter().map(Into::into));
                Ok(report)
            }
            Some(Err(mut fault)) if !self.facts.is_empty() => {
                let others = self.facts.join("; ");
                fault.message = format!("{}; besides, {others}", fault.message).into();
                Err(fault)
            }
            Some(Err(fault)) => Err(fault),
            None => Err(Fault::cancelled("the check was cancelled")),
        }
    }
}
