//! The proof that what is not there is not there.

use std::borrow::Cow;

use story_checker_core::checker::CheckContext;
use story_checker_core::{Class, Fault, Scope, Verdict};

use super::{Round, Slot, State, Stop};
use crate::client::{self, Exchange};
use crate::instagram::web::api::{LOGIN, VIEWER, Web};
use crate::instagram::web::classify::read;
use crate::instagram::web::parse::{ViewerAnswer, parse_viewer};
use crate::instagram::web::story::BROADCASTS;

/// Asks whether the session is logged in: one request.
pub(in crate::instagram::web) async fn validate(web: &Web, cx: &CheckContext) -> Result<(), Fault> {
    let Some(session) = cx.session() else {
        let text = "there is no session to ask about";
        return Err(Fault::new(Class::Permanent, Scope::Ours, text));
    };
    if !web.api.has_cookie(session, LOGIN, cx.now()) {
        return Err(no_login());
    }
    let pass = client::pass(cx, VIEWER).await?;
    let read = |exchange: &Exchange| web.strikes.weigh(session.id(), viewer(exchange));
    web.api.send(cx, session, pass, (VIEWER, web.urls.viewer.clone()), read).await.map(drop)
}

/// The fault of a session without the cookie that makes one.
pub(super) fn no_login() -> Fault {
    let text = "the session has no sessionid cookie that is still good: log in and import its \
                cookies again";
    Fault::new(Class::AuthRequired, Scope::Session, text)
}

/// Whether the answer sees somebody behind the session.
fn viewer(exchange: &Exchange) -> Result<(), Fault> {
    match read(exchange, parse_viewer)? {
        ViewerAnswer::LoggedIn => Ok(()),
        ViewerAnswer::LoggedOut => {
            let text = "the platform sees nobody behind this session, so its answers are not \
                        believed: log in and import its cookies again";
            Err(Fault::new(Class::AuthRequired, Scope::Session, text))
        }
    }
}

impl Round<'_> {
    /// Believes the absence of something only if the session was logged in then or later: once
    /// logged out it never comes back by itself, so a later proof covers an earlier answer, and an
    /// earlier one does not.
    pub(super) async fn prove(&mut self, by_reels: bool) -> Result<(), Stop> {
        let reels = self.shared.len();
        let waits_for_proof = |slot: &Slot<'_>| match slot.state {
            State::Empty { .. } => !by_reels,
            State::Missing { after, .. } => !by_reels || after >= reels,
            _ => false,
        };
        let mut by_viewer = false;
        if self.slots.iter().any(waits_for_proof) {
            let pass = self.pass_by_waiting(VIEWER).await?;
            let url = self.web.urls.viewer.clone();
            let sent = self.send(pass, (VIEWER, url), viewer).await;
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
                State::Empty { profile, nothing, .. } => {
                    let mut facts = vec![
                        format!("the profile is {}", profile.visibility()).into(),
                        self.age(index),
                        "the answer about reels is complete and holds no live item of this account"
                            .into(),
                        self.time_fact(index),
                    ];
                    if nothing.expired > 0 {
                        let expired = nothing.expired;
                        facts
                            .push(format!("{expired} items had ended by the server's time").into());
                    }
                    if nothing.broadcast {
                        facts.push(BROADCASTS.into());
                    }
                    facts.push(proof.clone());
                    self.answer(index, Verdict::NoStory, Vec::new(), facts);
                }
                State::Missing { profile, .. } => {
                    let mut facts = vec![
                        "the platform says that there is nobody of this name".into(),
                        self.age(index),
                    ];
                    if profile.is_confirmed() {
                        facts.push(
                            "asked in a second way, it knows nobody of this name either".into(),
                        );
                    }
                    facts.push(proof.clone());
                    self.answer(index, Verdict::NotFound, Vec::new(), facts);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
