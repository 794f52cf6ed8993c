//! From names to accounts.

use std::borrow::Cow;

use http::StatusCode;
use story_checker_core::checker::CheckContext;
use story_checker_core::{Class, Fault, Scope, Verdict};
use tracing::warn;

use super::{Question, Round, State, Stop, stops};
use crate::client::{self, Exchange};
use crate::x::api::{USERS, X};
use crate::x::classify::{Read, Standing, judge, malformed, read};
use crate::x::config::XConfig;
use crate::x::parse::{UsersAnswer, parse_users};
use crate::x::problem::Problem;
use crate::x::user::User;

/// What an answer says about one name.
enum Found {
    Standing(Standing),
    User(User),
}

/// An account that is there for whoever asks; any answer about it, be it none, shows that the token
/// is taken.
const ANYBODY: &str = "X";

/// Asks whether the token is taken: one request.
pub(in crate::x) async fn validate(x: &X, cx: &CheckContext) -> Result<(), Fault> {
    let Some(session) = cx.session() else {
        let text = "there is no session to ask about";
        return Err(Fault::new(Class::Permanent, Scope::Ours, text));
    };
    let pass = client::pass(cx, USERS).await?;
    let read = |exchange: &Exchange| found(exchange, &[ANYBODY]).map(drop);
    let url = x.users_url(&[ANYBODY]);
    x.client.send(cx, session, pass, (USERS, url), read).await.map(drop)
}

impl Round<'_> {
    /// Takes what is remembered, all in one call.
    pub(super) async fn recall_users(&mut self) {
        let open = self.open_accounts();
        if open.is_empty() {
            return;
        }
        let keys: Vec<_> = open.iter().map(|(_, name)| User::key(name)).collect();
        let stored = match self.cx.cache().get(&keys).await {
            Ok(stored) => stored,
            Err(error) => {
                warn!(%error, "accounts cannot be recalled; they are looked up again");
                return;
            }
        };
        let now = self.cx.now();
        for ((index, _), stored) in open.into_iter().zip(stored) {
            let recall = |stored| User::recall(&stored, now, &self.x.config);
            if let Some(user) = stored.and_then(recall) {
                self.slots[index].state = State::Known { user, fresh: false };
            }
        }
    }

    /// Looks up all that is not known, in one request.
    pub(super) async fn look_up(&mut self) -> Result<(), Stop> {
        let mut failed_before = false;
        for asked in self.open_accounts().chunks(XConfig::MAX_NAMES) {
            let mut names: Vec<_> = asked.iter().map(|(_, name)| name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let pass = self.pass(USERS).await?;
            let Self { x, cx, session, .. } = *self;
            let read = |exchange: &Exchange| found(exchange, &names);
            let url = x.users_url(&names);
            match x.client.send(cx, session, pass, (USERS, url), read).await {
                Ok((found, exchange)) => {
                    failed_before = false;
                    self.learn_time(&exchange);
                    self.take_in(asked, &names, found, &exchange).await;
                }
                Err(fault) => {
                    for (index, _) in asked {
                        self.slots[*index].fail(fault.clone());
                    }
                    if let Some(stop) = stops(&fault, cx.now(), failed_before) {
                        return Err(stop);
                    }
                    failed_before = true;
                }
            }
        }
        Ok(())
    }

    async fn take_in(
        &mut self,
        asked: &[(usize, String)],
        names: &[&str],
        found: Vec<Result<Found, Fault>>,
        exchange: &Exchange,
    ) {
        let mut entries = Vec::with_capacity(names.len());
        for (name, found) in names.iter().zip(found) {
            if let Ok(Found::User(user)) = &found {
                entries.extend(user.to_entry(name, &self.x.config));
            }
            for (index, _) in asked.iter().filter(|(_, asked)| asked == name) {
                let slot = &mut self.slots[*index];
                slot.own.push(exchange.record.clone());
                match &found {
                    Ok(Found::User(user)) => {
                        slot.state = State::Known { user: user.clone(), fresh: true };
                    }
                    Ok(Found::Standing(standing)) => self.answer_standing(*index, *standing),
                    Err(fault) => slot.fail(fault.clone()),
                }
            }
        }
        if !entries.is_empty()
            && let Err(error) = self.cx.cache().put(entries).await
        {
            warn!(%error, "accounts cannot be remembered; they will be looked up again");
        }
    }

    /// Answers what the account alone decides.
    pub(super) fn decide_by_user(&mut self) {
        for index in 0..self.slots.len() {
            let protected = matches!(&self.slots[index].state,
                State::Known { user, .. } if user.protected == Some(true));
            if protected && !self.x.config.ask_protected {
                let facts = vec!["the account is protected".into(), self.age(index)];
                self.answer(index, Verdict::Private, (Vec::new(), None), facts);
            }
        }
    }

    /// How old what is known of the account is, as a fact.
    pub(super) fn age(&self, index: usize) -> Cow<'static, str> {
        match &self.slots[index].state {
            State::Known { user, fresh: false } => {
                let age = self.cx.now().since(user.seen_at()).as_secs();
                format!("the account was looked up {age} s ago").into()
            }
            _ => "the account was looked up by this check".into(),
        }
    }

    fn open_accounts(&self) -> Vec<(usize, String)> {
        let open = |(index, slot): (usize, &super::Slot<'_>)| match (&slot.state, &slot.question) {
            (State::Open, Question::Account(name)) => Some((index, name.clone())),
            _ => None,
        };
        self.slots.iter().enumerate().filter_map(open).collect()
    }
}

/// What the answer says about each name, in their order.
fn found(exchange: &Exchange, names: &[&str]) -> Result<Vec<Result<Found, Fault>>, Fault> {
    let alone = match names {
        [name] => Some(*name),
        _ => None,
    };
    // A 404 may list the names like a 200.
    let listed = (exchange.status == StatusCode::NOT_FOUND && exchange.is_json())
        .then(|| parse_users(&exchange.body).ok())
        .flatten();
    let answer = match listed {
        Some(answer) => answer,
        None => match read(exchange, alone, parse_users)? {
            Read::Answer(answer) => answer,
            Read::Standing(standing) => return Ok(vec![Ok(Found::Standing(standing))]),
        },
    };
    Ok(names.iter().map(|name| find(exchange, &answer, name, alone.is_some())).collect())
}

fn find(
    exchange: &Exchange,
    answer: &UsersAnswer<'_>,
    name: &str,
    alone: bool,
) -> Result<Found, Fault> {
    let is_meant = |problem: &&Problem| match problem.subject() {
        Some(subject) => subject.eq_ignore_ascii_case(name),
        None => alone,
    };
    let problems: Vec<_> = answer.problems.iter().filter(is_meant).collect();
    let judged = (!problems.is_empty()).then(|| judge(exchange, Some(name), &problems));
    let user = answer.users.iter().find(|user| user.username.as_str().eq_ignore_ascii_case(name));
    match (user, judged) {
        (Some(_), Some(Ok(_))) => {
            Err(malformed(exchange, "the answer both shows an account and says that it does not"))
        }
        (Some(user), _) => Ok(Found::User(User::of(user, exchange.received_at))),
        (None, Some(judged)) => judged.map(Found::Standing),
        (None, None) => {
            Err(malformed(exchange, "the answer says nothing of a name it was asked for"))
        }
    }
}
