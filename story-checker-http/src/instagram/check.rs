//! One check: from names to proven answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::checker::CheckContext;
use story_checker_core::gate::Pass;
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Fault, Item, Report, RequestRecord, Scope, Target, Timestamp, Timings, Verdict,
};
use tokio::time::Instant;
use tracing::warn;

use super::account::is_name;
use super::checker::{PROFILE, REELS, VIEWER, WebChecker};
use super::classify::{Meaning, classify, read};
use super::parse::{ProfileAnswer, ViewerAnswer, parse_profile, parse_reels, parse_viewer};
use super::profile::{Profile, Standing};
use super::story::Sighting;
use crate::client::Exchange;

/// With less time than this before the deadline no request is begun.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// The state of one check.
pub(super) struct Round<'a> {
    checker: &'a WebChecker,
    cx: &'a CheckContext,
    session: &'a Arc<SessionHandle>,
    slots: Vec<Slot<'a>>,
    /// The requests that answered for several targets.
    shared: Vec<RequestRecord>,
    /// The server's time at the answer about reels, if it told.
    server_time: Option<Timestamp>,
    started: Timestamp,
    began: Instant,
}

struct Slot<'a> {
    target: &'a Target,
    handle: Cow<'a, str>,
    state: State,
    /// The requests made for this target alone.
    own: Vec<RequestRecord>,
}

enum State {
    /// Its profile is not known.
    Open,
    /// Its profile is known; `fresh` if from this check.
    Known { profile: Profile, fresh: bool },
    /// The reels answer shows nothing of it; it still needs a proof.
    Empty { profile: Profile, fresh: bool, expired: usize },
    /// Nobody of this name; it still needs a proof, by a request after the first `after` shared ones.
    Missing { profile: Profile, fresh: bool, after: usize },
    /// Answered.
    Done(Box<Result<Report, Fault>>),
}

/// The reels answer as the rest of a check needs it.
struct Reels {
    /// The time by which the items are judged: the server's, or else ours.
    now: Timestamp,
    server_time: Option<Timestamp>,
    proves_session: bool,
    sightings: Vec<Sighting>,
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
        checker: &'a WebChecker,
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
            Slot { target, handle, state: State::Open, own: Vec::new() }
        };
        let mut round = Self {
            checker,
            cx,
            session,
            slots: targets.iter().map(slot).collect(),
            shared: Vec::new(),
            server_time: None,
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
        if !self.checker.api.has_cookie(self.session, "sessionid", self.cx.now()) {
            let text = "the session has no sessionid cookie that is still good: log in and import \
                        its cookies again";
            return Err(Stop::All(Fault::new(Class::AuthRequired, Scope::Session, text)));
        }
        self.refuse_bad_names();
        self.recall().await;
        self.look_up().await?;
        self.decide_by_profile();
        let proven = self.ask_for_reels().await?;
        self.prove(proven).await
    }

    fn refuse_bad_names(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| !is_name(&slot.handle)) {
            let text = "no Instagram account can have this name: 1 to 30 of a-z, 0-9, . and _";
            slot.fail(Fault::new(Class::Permanent, Scope::Target, text));
        }
    }

    /// Takes what is remembered, all in one call.
    async fn recall(&mut self) {
        let keys: Vec<_> = self.slots.iter().map(|slot| Profile::key(&slot.handle)).collect();
        let stored = match self.cx.cache().get(&keys).await {
            Ok(stored) => stored,
            Err(error) => {
                warn!(%error, "profiles cannot be recalled; they are looked up again");
                return;
            }
        };
        let now = self.cx.now();
        for (slot, stored) in self.slots.iter_mut().zip(stored) {
            let config = &self.checker.config;
            let recall = |stored| Profile::recall(&stored, self.session.id(), now, config);
            if let (State::Open, Some(profile)) = (&slot.state, stored.and_then(recall)) {
                slot.state = State::Known { profile, fresh: false };
            }
        }
    }

    /// Looks up what is not known, one request each.
    async fn look_up(&mut self) -> Result<(), Stop> {
        let mut failed_before = false;
        for index in 0..self.slots.len() {
            if !matches!(self.slots[index].state, State::Open) {
                continue;
            }
            let pass = self.pass(PROFILE).await?;
            match self.fetch_profile(index, pass).await {
                Ok(profile) => {
                    failed_before = false;
                    self.slots[index].state = State::Known { profile, fresh: true };
                }
                Err(fault) => {
                    let stop = stops(&fault, self.cx.now(), failed_before);
                    self.slots[index].fail(fault);
                    failed_before = true;
                    if let Some(stop) = stop {
                        return Err(stop);
                    }
                }
            }
        }
        Ok(())
    }

    async fn fetch_profile(&mut self, index: usize, pass: Pass) -> Result<Profile, Fault> {
        let Self { checker, cx, session, .. } = *self;
        let slot = &mut self.slots[index];
        let mut url = checker.urls.profile.clone();
        url.set_query(Some(&format!("username={}", slot.handle)));
        let read = |exchange: &Exchange| {
            let at = exchange.received_at;
            let answer = read_profile(exchange, &slot.handle)?;
            Ok(match answer {
                Some(answer) => Profile::of(answer, session.id(), at),
                None => Profile::withheld(session.id(), at),
            })
        };
        let (profile, exchange) = checker.api.send(cx, session, pass, (PROFILE, url), read).await?;
        slot.own.push(exchange.record);
        if let Some(entry) = profile.to_entry(&slot.handle, &checker.config)
            && let Err(error) = cx.cache().put(vec![entry]).await
        {
            warn!(%error, "a profile cannot be remembered; it will be looked up again");
        }
        Ok(profile)
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
            }
        }
    }

    /// Asks for all stories at once. Says whether that answer proves the session.
    async fn ask_for_reels(&mut self) -> Result<bool, Stop> {
        let asked: Vec<usize> =
            (0..self.slots.len()).filter(|&i| self.visible_id(i).is_some()).collect();
        if asked.is_empty() {
            return Ok(false);
        }
        let mut query = String::with_capacity(asked.len() * 32);
        for &index in &asked {
            if let Some(id) = self.visible_id(index) {
                query.push_str(if query.is_empty() { "reel_ids=" } else { "&reel_ids=" });
                query.push_str(id);
            }
        }
        let mut url = self.checker.urls.reels.clone();
        url.set_query(Some(&query));
        let pass = self.pass(REELS).await?;
        let Self { checker, cx, session, .. } = *self;
        let read = |exchange: &Exchange| self.read_reels(exchange, &asked);
        let sent = checker.api.send(cx, session, pass, (REELS, url), read).await;
        let (reels, exchange) = match sent {
            Ok(answer) => answer,
            Err(fault) => {
                for &index in &asked {
                    self.slots[index].fail(fault.clone());
                }
                return match stops(&fault, cx.now(), true) {
                    Some(stop) => Err(stop),
                    None => Ok(false),
                };
            }
        };
        self.shared.push(exchange.record);
        self.server_time = reels.server_time;
        for (&index, sighting) in asked.iter().zip(reels.sightings) {
            self.judge(index, sighting);
        }
        for index in asked {
            self.ask_again_if_odd(index, reels.now).await?;
        }
        Ok(reels.proves_session)
    }

    fn read_reels(&self, exchange: &Exchange, asked: &[usize]) -> Result<Reels, Fault> {
        let answer = read(exchange, parse_reels)?;
        let server_time = exchange.server_time();
        let now = server_time.unwrap_or(exchange.received_at);
        let sighting = |&index: &usize| answer.sighting(self.visible_id(index).unwrap_or(""), now);
        Ok(Reels {
            now,
            server_time,
            proves_session: answer.proves_session(),
            sightings: asked.iter().map(sighting).collect(),
        })
    }

    /// Takes in what the reels answer says about one target.
    fn judge(&mut self, index: usize, sighting: Sighting) {
        match sighting {
            Sighting::Live { items, notes } => {
                let fact = match items.len() {
                    1 => "the reel holds 1 item of this account that has not ended".into(),
                    n => format!("the reel holds {n} items of this account that have not ended"),
                };
                let mut facts = vec![fact.into(), self.time_fact()];
                facts.extend(notes);
                self.answer(index, Verdict::Active, items, facts);
            }
            Sighting::Unclear(what) => {
                let text = format!("{what}; if that stays, the platform has changed");
                self.slots[index].fail(Fault::new(Class::Malformed, Scope::Endpoint, text));
            }
            Sighting::Empty { expired } => {
                let slot = &mut self.slots[index];
                if let State::Known { profile, fresh } = &slot.state {
                    let (profile, fresh) = (profile.clone(), *fresh);
                    slot.state = State::Empty { profile, fresh, expired };
                }
            }
        }
    }

    /// If the profile says that there is a story and the reel is empty, one of them is old, or lies:
    /// looks the profile up again, whatever is remembered.
    async fn ask_again_if_odd(&mut self, index: usize, now: Timestamp) -> Result<(), Stop> {
        let (old_id, expired) = match &self.slots[index].state {
            State::Empty { profile, expired, .. } if profile.claims_story(now) => {
                (profile.id().map(str::to_owned), *expired)
            }
            _ => return Ok(()),
        };
        let pass = self.pass_by_waiting(PROFILE).await?;
        let profile = match self.fetch_profile(index, pass).await {
            Ok(profile) => profile,
            Err(fault) => {
                let stop = stops(&fault, self.cx.now(), false);
                self.slots[index].fail(fault);
                return stop.map_or(Ok(()), Err);
            }
        };
        let slot = &mut self.slots[index];
        match profile.standing() {
            Standing::Missing => {
                let after = self.shared.len();
                slot.state = State::Missing { profile, fresh: true, after };
            }
            Standing::Private => {
                slot.state = State::Known { profile, fresh: true };
                let fact = "the profile has become private, and this session does not follow it";
                self.answer(index, Verdict::Private, Vec::new(), vec![fact.into()]);
            }
            Standing::Visible(id) if old_id.as_deref() != Some(id) => {
                let text = "the name belongs to another account by now: ask again with its new id";
                slot.fail(Fault::new(Class::Transient, Scope::Target, text));
            }
            Standing::Visible(_) if profile.claims_story(now) => {
                let text = "the profile says there is a story, but the reel is empty";
                slot.fail(Fault::new(Class::Malformed, Scope::Endpoint, text));
            }
            Standing::Visible(_) => slot.state = State::Empty { profile, fresh: true, expired },
        }
        Ok(())
    }

    /// Believes the absence of something only if the session was logged in then or later: once
    /// logged out it never comes back by itself, so a later proof covers an earlier answer, and an
    /// earlier one does not.
    async fn prove(&mut self, by_reels: bool) -> Result<(), Stop> {
        let reels = self.shared.len();
        let waits_for_proof = |slot: &Slot<'_>| match slot.state {
            State::Empty { .. } => !by_reels,
            State::Missing { after, .. } => !by_reels || after >= reels,
            _ => false,
        };
        let mut by_viewer = false;
        if self.slots.iter().any(waits_for_proof) {
            let pass = self.pass_by_waiting(VIEWER).await?;
            let Self { checker, cx, session, .. } = *self;
            let url = checker.urls.viewer.clone();
            let read = |exchange: &Exchange| match read(exchange, parse_viewer)? {
                ViewerAnswer::LoggedIn => Ok(()),
                ViewerAnswer::LoggedOut => {
                    let text = "the platform sees nobody behind this session, so its answers are \
                                not believed: log in and import its cookies again";
                    Err(Fault::new(Class::AuthRequired, Scope::Session, text))
                }
            };
            let sent = checker.api.send(cx, session, pass, (VIEWER, url), read).await;
            let ((), exchange) = sent.map_err(Stop::All)?;
            self.shared.push(exchange.record);
            by_viewer = true;
        }
        let proof: Cow<'static, str> = if by_viewer {
            "a later request showed that the session was logged in".into()
        } else {
            "the same or a later answer showed another account's story, so the session was logged in"
                .into()
        };
        for index in 0..self.slots.len() {
            match &self.slots[index].state {
                State::Empty { profile, expired, .. } => {
                    let mut facts = vec![
                        format!("the profile is {}", profile.visibility()).into(),
                        self.age(index),
                        "the answer about reels is complete and holds no live item of this account"
                            .into(),
                        self.time_fact(),
                    ];
                    if *expired > 0 {
                        facts
                            .push(format!("{expired} items had ended by the server's time").into());
                    }
                    facts.push(proof.clone());
                    self.answer(index, Verdict::NoStory, Vec::new(), facts);
                }
                State::Missing { .. } => {
                    let facts = vec![
                        "the platform says that there is nobody of this name".into(),
                        self.age(index),
                        proof.clone(),
                    ];
                    self.answer(index, Verdict::NotFound, Vec::new(), facts);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn visible_id(&self, index: usize) -> Option<&str> {
        match &self.slots[index].state {
            State::Known { profile, .. } => match profile.standing() {
                Standing::Visible(id) => Some(id),
                _ => None,
            },
            _ => None,
        }
    }

    fn time_fact(&self) -> Cow<'static, str> {
        match self.server_time {
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

    /// A pass for a first step: if the gate has none soon, nothing is lost by stopping here.
    async fn pass(&self, route: &'static str) -> Result<Pass, Stop> {
        if self.cx.remaining() < LEAST_TIME {
            return Err(Stop::Later(self.out_of_time()));
        }
        self.cx.pass(route).await.map_err(Stop::Later)
    }

    /// A pass for a later step. What was asked before would have to be asked again, and where passes
    /// come one by one that would never end: so it waits as long as the deadline allows.
    async fn pass_by_waiting(&self, route: &'static str) -> Result<Pass, Stop> {
        loop {
            let refusal = match self.pass(route).await {
                Err(Stop::Later(refusal)) => refusal,
                other => return other,
            };
            let wait = match refusal.until {
                Some(until) if refusal.class == Class::RateLimited => until.since(self.cx.now()),
                _ => return Err(Stop::Later(refusal)),
            };
            let wait = wait.max(Duration::from_millis(1));
            if wait + LEAST_TIME > self.cx.remaining() {
                return Err(Stop::Later(refusal));
            }
            let sleep = tokio::time::sleep(wait);
            // Cancelled: the next call for a pass says so.
            let _ = self.cx.cancellation().run_until_cancelled(sleep).await;
        }
    }

    fn out_of_time(&self) -> Fault {
        Fault::not_ready("the check's deadline is too near for another request", self.cx.now())
    }

    fn answer(
        &mut self,
        index: usize,
        verdict: Verdict,
        items: Vec<Item>,
        facts: Vec<Cow<'static, str>>,
    ) {
        let slot = &mut self.slots[index];
        let mut evidence = self.checker.api.evidence(self.cx, self.session);
        if let State::Known { profile, .. }
        | State::Empty { profile, .. }
        | State::Missing { profile, .. } = &slot.state
        {
            evidence.subject = profile.id().map(str::to_owned);
        }
        evidence.requests = std::mem::take(&mut slot.own);
        evidence.requests.extend(self.shared.iter().cloned());
        evidence.facts = facts;
        if matches!(verdict, Verdict::Active | Verdict::NoStory) {
            evidence.server_time = self.server_time;
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

impl Slot<'_> {
    fn fail(&mut self, fault: Fault) {
        self.state = State::Done(Box::new(Err(fault)));
    }

    fn into_answer(self) -> Result<Report, Fault> {
        match self.state {
            State::Done(answer) => *answer,
            _ => {
                let text = "the check ended without an answer: a mistake in instagram-web";
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
        (Class::Blocked | Class::RateLimited, Scope::App | Scope::Endpoint) => later(),
        (Class::Timeout, _) | (_, Scope::Proxy | Scope::Ours) => later(),
        _ if failed_before => later(),
        _ => None,
    }
}

/// Reads the answer about a profile; none means that it exists, but is private (W15).
fn read_profile<'a>(
    exchange: &'a Exchange,
    handle: &str,
) -> Result<Option<ProfileAnswer<'a>>, Fault> {
    if exchange.status.is_client_error() {
        match classify(exchange)? {
            Meaning::NotFound => return Ok(Some(ProfileAnswer::Missing)),
            Meaning::Private => return Ok(None),
            Meaning::Answer => {}
        }
    }
    let answer = read(exchange, parse_profile)?;
    if let ProfileAnswer::User { username, .. } = &answer
        && !username.eq_ignore_ascii_case(handle)
    {
        let text = "the profile is another account's";
        return Err(Fault::new(Class::Malformed, Scope::Endpoint, text));
    }
    Ok(Some(answer))
}
