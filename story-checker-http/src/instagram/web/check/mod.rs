//! One check: from names to proven answers.

mod confirm;
mod profiles;
mod proof;
mod slot;
mod stories;

use std::borrow::Cow;
use std::sync::Arc;

use story_checker_core::checker::CheckContext;
use story_checker_core::gate::Pass;
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Evidence, Fault, Item, Report, RequestRecord, Scope, Target, Timestamp, Timings, Verdict,
};
use tokio::time::Instant;
use url::Url;

use self::proof::no_login;
pub(super) use self::proof::validate;
use self::slot::{Nothing, Slot, State, Stop, stops};
use super::api::{LOGIN, Web};
use super::profile::Standing;
use crate::client::{self, Exchange};
use crate::instagram::account::is_name;

/// The state of one check.
pub(super) struct Round<'a> {
    web: &'a Web,
    cx: &'a CheckContext,
    session: &'a Arc<SessionHandle>,
    slots: Vec<Slot<'a>>,
    /// The requests that answered for several targets.
    shared: Vec<RequestRecord>,
    started: Timestamp,
    began: Instant,
}

impl<'a> Round<'a> {
    pub(super) async fn run(
        web: &'a Web,
        targets: &'a [Target],
        cx: &'a CheckContext,
    ) -> Vec<Result<Report, Fault>> {
        let Some(session) = cx.session() else {
            let text = "instagram-web asks with a session, but there is none: add one";
            let fault = Fault::new(Class::Permanent, Scope::Ours, text);
            return targets.iter().map(|_| Err(fault.clone())).collect();
        };
        let slot = |target: &'a Target| {
            let handle = Cow::Borrowed(target.handle());
            let handle = if handle.bytes().any(|byte| byte.is_ascii_uppercase()) {
                Cow::Owned(handle.to_ascii_lowercase())
            } else {
                handle
            };
            let (former_id, state, server_time) = (None, State::Open, None);
            Slot { target, handle, former_id, state, server_time, own: Vec::new() }
        };
        let mut round = Self {
            web,
            cx,
            session,
            slots: targets.iter().map(slot).collect(),
            shared: Vec::new(),
            started: cx.now(),
            began: Instant::now(),
        };
        match round.go().await {
            Ok(()) => {}
            Err(Stop::All(fault)) => round.fail_rest(&fault),
            Err(Stop::Later(fault)) => {
                // These are answered anyway.
                round.decide_by_profile();
                round.fail_rest(&fault);
            }
        }
        round.slots.into_iter().map(Slot::into_answer).collect()
    }

    async fn go(&mut self) -> Result<(), Stop> {
        if !self.web.api.has_cookie(self.session, LOGIN, self.started) {
            return Err(Stop::All(no_login()));
        }
        self.refuse_bad_names();
        self.recall().await;
        self.look_up().await?;
        self.decide_by_profile();
        self.confirm_missing().await?;
        let proven = self.ask_for_reels().await?;
        self.prove(proven).await
    }

    fn refuse_bad_names(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| !is_name(&slot.handle)) {
            let text = "no Instagram account can have this name: 1 to 30 of a-z, 0-9, . and _";
            slot.fail(Fault::new(Class::Permanent, Scope::Target, text));
        }
    }

    /// Answers what the profile alone decides, and sorts out what still needs a proof.
    fn decide_by_profile(&mut self) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let State::Known { profile, fresh } = &slot.state else { continue };
            match profile.standing() {
                Standing::Visible(_) => {}
                Standing::Missing => {
                    let (profile, fresh) = (profile.clone(), *fresh);
                    slot.state = State::Missing { profile, fresh, after: 0 };
                }
                Standing::Private => {
                    let facts = vec![
                        "the profile is private, and this session does not follow it".into(),
                        self.age(index),
                    ];
                    self.answer(index, Verdict::Private, Vec::new(), facts);
                }
                Standing::Gated => {
                    let facts = vec![
                        "the account exists, and the platform withholds it from this session"
                            .into(),
                        self.age(index),
                    ];
                    self.answer(index, Verdict::Gated, Vec::new(), facts);
                }
            }
        }
    }

    fn time_fact(&self, index: usize) -> Cow<'static, str> {
        match self.slots[index].server_time {
            Some(at) => format!("the server's time was {at}").into(),
            None => "the server did not tell its time; our clock was taken".into(),
        }
    }

    /// How old the profile is, as a fact.
    fn age(&self, index: usize) -> Cow<'static, str> {
        match &self.slots[index].state {
            State::Known { profile, fresh: false }
            | State::Empty { profile, fresh: false, .. }
            | State::Missing { profile, fresh: false, .. } => {
                let age = self.cx.now().since(profile.seen_at()).as_secs();
                format!("the profile was seen {age} s ago").into()
            }
            _ => "the profile was seen by this check".into(),
        }
    }

    async fn pass(&self, route: &'static str) -> Result<Pass, Stop> {
        client::pass(self.cx, route).await.map_err(Stop::Later)
    }

    async fn pass_by_waiting(&self, route: &'static str) -> Result<Pass, Stop> {
        client::pass_by_waiting(self.cx, route).await.map_err(Stop::Later)
    }

    /// Sends one request. What an answer means may depend on the one before.
    async fn send<T>(
        &self,
        pass: Pass,
        request: (&'static str, Url),
        read: impl FnOnce(&Exchange) -> Result<T, Fault>,
    ) -> Result<(T, Exchange), Fault> {
        let Self { web, cx, session, .. } = *self;
        let read = |exchange: &Exchange| web.strikes.weigh(session.id(), read(exchange));
        web.api.send(cx, session, pass, request, read).await
    }

    /// What was seen on the way to the answer for one target; takes its records along.
    fn evidence(&mut self, index: usize) -> Evidence {
        let slot = &mut self.slots[index];
        let mut evidence = self.web.api.evidence(self.cx, self.session);
        if let State::Known { profile, .. }
        | State::Empty { profile, .. }
        | State::Missing { profile, .. } = &slot.state
        {
            evidence.subject = profile.last_id().map(str::to_owned);
        }
        evidence.requests = std::mem::take(&mut slot.own);
        evidence.requests.extend(self.shared.iter().cloned());
        evidence
    }

    fn answer(
        &mut self,
        index: usize,
        verdict: Verdict,
        items: Vec<Item>,
        facts: Vec<Cow<'static, str>>,
    ) {
        let mut evidence = self.evidence(index);
        let slot = &mut self.slots[index];
        evidence.facts = facts;
        if matches!(verdict, Verdict::Active | Verdict::NoStory) {
            evidence.server_time = slot.server_time;
        }
        let timings = Timings::new(self.started, self.began.elapsed());
        let report = Report::new(slot.target.clone(), verdict, evidence, timings);
        slot.state = State::Done(Box::new(Ok(report.with_items(items))));
    }

    fn fail_rest(&mut self, fault: &Fault) {
        for slot in &mut self.slots {
            if !matches!(slot.state, State::Done(_)) {
                slot.fail(fault.clone());
            }
        }
    }
}
