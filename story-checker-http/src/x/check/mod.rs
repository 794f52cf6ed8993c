//! One check: from targets to proven answers.

mod poll;
mod posts;
mod users;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::checker::CheckContext;
use story_checker_core::gate::Pass;
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Fault, Item, Report, RequestRecord, Scope, Target, TargetKind, Timestamp, Timings,
    Verdict,
};
use tokio::time::Instant;

use self::posts::Marks;
pub(super) use self::users::validate;
use super::api::{TOKEN, X};
use super::classify::Standing;
use super::target::{fits, is_name, query_of_tag};
use super::user::User;
use crate::client::{self, Exchange};

/// The state of one check.
pub(super) struct Round<'a> {
    x: &'a X,
    cx: &'a CheckContext,
    session: &'a Arc<SessionHandle>,
    slots: Vec<Slot<'a>>,
    /// How far our clock is ahead of the server's, by the last answer.
    ahead: Duration,
    /// Whether the cache told how far the last checks saw, be it nothing.
    recalled: bool,
    started: Timestamp,
    began: Instant,
}

struct Slot<'a> {
    target: &'a Target,
    question: Question,
    /// How far the last checks saw, if it is remembered and wanted.
    marks: Option<Marks>,
    state: State,
    /// The requests that answered for this target, perhaps among others.
    own: Vec<RequestRecord>,
}

enum Question {
    /// The posts of the account of this name.
    Account(String),
    /// The posts that this query finds.
    Search(String),
}

enum State {
    /// Not answered; an account's id is not known.
    Open,
    /// Its account is known; `fresh` if from this check.
    Known { user: User, fresh: bool },
    /// Answered.
    Done(Box<Result<Report, Fault>>),
}

/// Why a check goes no further.
enum Stop {
    /// The rest could go later; it was not asked, and pays nothing.
    Later(Fault),
    /// All that is open shares the fault.
    All(Fault),
}

impl<'a> Round<'a> {
    pub(super) async fn run(
        x: &'a X,
        targets: &'a [Target],
        cx: &'a CheckContext,
    ) -> Vec<Result<Report, Fault>> {
        let Some(session) = cx.session() else {
            let text = "x-api asks with a bearer token, but there is none: add a session";
            let fault = Fault::new(Class::Permanent, Scope::Ours, text);
            return targets.iter().map(|_| Err(fault.clone())).collect();
        };
        let mut round = Self {
            x,
            cx,
            session,
            slots: targets.iter().map(Slot::new).collect(),
            ahead: Duration::ZERO,
            recalled: false,
            started: cx.now(),
            began: Instant::now(),
        };
        if let Err(Stop::All(fault) | Stop::Later(fault)) = round.go().await {
            for slot in round.slots.iter_mut().filter(|slot| !slot.is_done()) {
                slot.fail(fault.clone());
            }
        }
        round.slots.into_iter().map(Slot::into_answer).collect()
    }

    async fn go(&mut self) -> Result<(), Stop> {
        self.require_token()?;
        self.recall_users().await;
        self.look_up().await?;
        self.decide_by_user();
        self.recall_last_seen().await;
        self.ask_for_posts().await
    }

    fn require_token(&self) -> Result<(), Stop> {
        let credentials = self.session.credentials();
        let lost = |text: Cow<'static, str>| {
            Err(Stop::All(Fault::new(Class::AuthRequired, Scope::Session, text)))
        };
        if credentials.tokens.get(TOKEN).is_none_or(|token| token.expose().is_empty()) {
            return lost("the session has no access_token: import a bearer token".into());
        }
        match credentials.expires_at {
            Some(end) if end <= self.cx.now() => {
                lost(format!("the token expired at {end}: import a new one").into())
            }
            _ => Ok(()),
        }
    }

    /// Takes the server's clock from an answer. Returns its time, or ours if it did not tell.
    fn learn_time(&mut self, exchange: &Exchange) -> Timestamp {
        let now = exchange.server_time().unwrap_or(exchange.received_at);
        self.ahead = exchange.received_at.since(now);
        now
    }

    async fn pass(&self, route: &'static str) -> Result<Pass, Stop> {
        client::pass(self.cx, route).await.map_err(Stop::Later)
    }

    async fn pass_by_waiting(&self, route: &'static str) -> Result<Pass, Stop> {
        client::pass_by_waiting(self.cx, route).await.map_err(Stop::Later)
    }

    fn answer(
        &mut self,
        index: usize,
        verdict: Verdict,
        (items, server_time): (Vec<Item>, Option<Timestamp>),
        facts: Vec<Cow<'static, str>>,
    ) {
        let slot = &mut self.slots[index];
        let mut evidence = self.x.client.evidence(self.cx, self.session);
        evidence.subject = slot.user_id().map(str::to_owned);
        evidence.requests = std::mem::take(&mut slot.own);
        evidence.facts = facts;
        evidence.server_time = server_time;
        let timings = Timings::new(self.started, self.began.elapsed());
        let report = Report::new(slot.target.clone(), verdict, evidence, timings);
        slot.state = State::Done(Box::new(Ok(report.with_items(items))));
    }

    /// Answers with what the platform says about the account.
    fn answer_standing(&mut self, index: usize, standing: Standing) {
        let (verdict, fact) = match standing {
            Standing::Missing => {
                (Verdict::NotFound, "the platform says that there is nobody of this name")
            }
            Standing::Private => (
                Verdict::Private,
                "the platform says that this token may not see the account's posts",
            ),
            Standing::Suspended => {
                (Verdict::Suspended, "the platform says that the account is suspended")
            }
        };
        let facts = vec![fact.into(), TOKEN_IS_KNOWN.into()];
        self.answer(index, verdict, (Vec::new(), None), facts);
    }
}

/// Why an absence may be believed.
const TOKEN_IS_KNOWN: &str = "the platform knows the token: with any other it answers 401";

impl<'a> Slot<'a> {
    fn new(target: &'a Target) -> Self {
        let handle = target.handle();
        let (question, legal, text) = match target.kind() {
            TargetKind::Account => {
                let name = handle.to_ascii_lowercase();
                let legal = is_name(&name);
                let text = "no X account can have this name: 1 to 15 of a-z, 0-9 and _";
                (Question::Account(name), legal, text)
            }
            TargetKind::Hashtag => {
                let query = query_of_tag(handle);
                let legal = query.is_some();
                let text =
                    "this is no hashtag, or too long to be searched for: letters, digits and _";
                (Question::Search(query.unwrap_or_default()), legal, text)
            }
            _ => {
                let text = "the query is longer than the 512 characters that may be searched for";
                (Question::Search(handle.to_owned()), fits(handle), text)
            }
        };
        let mut slot = Self { target, question, marks: None, state: State::Open, own: Vec::new() };
        if !legal {
            slot.fail(Fault::new(Class::Permanent, Scope::Target, text));
        }
        slot
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done(_))
    }

    fn user_id(&self) -> Option<&str> {
        match &self.state {
            State::Known { user, .. } => Some(&user.id),
            _ => None,
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Done(Box::new(Err(fault)));
    }

    fn into_answer(self) -> Result<Report, Fault> {
        match self.state {
            State::Done(answer) => *answer,
            _ => {
                let text = "the check ended without an answer: a mistake in x-api";
                Err(Fault::new(Class::Permanent, Scope::Ours, text))
            }
        }
    }
}

/// Whether a fault of one request ends the whole check. What was not asked because of somebody else's
/// fault must not pay for it.
fn stops(fault: &Fault, now: Timestamp, failed_before: bool) -> Option<Stop> {
    let later = || {
        let text = format!("the check stopped before its turn: {}", fault.message);
        Some(Stop::Later(Fault::not_ready(text, fault.until.unwrap_or(now))))
    };
    match (fault.class, fault.scope) {
        (Class::Cancelled, _) | (_, Scope::Session) => Some(Stop::All(fault.clone())),
        (Class::Permanent, Scope::Ours | Scope::App) => Some(Stop::All(fault.clone())),
        (_, Scope::Target) => None,
        (Class::Blocked | Class::RateLimited, Scope::App | Scope::Endpoint) => later(),
        (Class::Timeout, _) | (_, Scope::Proxy | Scope::Ours) => later(),
        _ if failed_before => later(),
        _ => None,
    }
}
