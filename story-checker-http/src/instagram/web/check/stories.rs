//! From profiles to stories, and to the proof that there are none.

use std::borrow::Cow;

use story_checker_core::{Class, Fault, Scope, Timestamp, Verdict};

use super::{Round, Slot, State, Stop, stops};
use crate::client::Exchange;
use crate::instagram::web::api::{REELS, VIEWER};
use crate::instagram::web::classify::read;
use crate::instagram::web::parse::{ViewerAnswer, parse_reels, parse_viewer};
use crate::instagram::web::profile::Standing;
use crate::instagram::web::story::Sighting;

/// The reels answer as the rest of a check needs it.
struct Reels {
    /// The time by which the items are judged: the server's, or else ours.
    now: Timestamp,
    server_time: Option<Timestamp>,
    proves_session: bool,
    sightings: Vec<Sighting>,
}

impl Round<'_> {
    /// Asks for all stories at once. Says whether that answer proves the session.
    pub(super) async fn ask_for_reels(&mut self) -> Result<bool, Stop> {
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
        let mut url = self.web.urls.reels.clone();
        url.set_query(Some(&query));
        let pass = self.pass(REELS).await?;
        let Self { web, cx, session, .. } = *self;
        let read = |exchange: &Exchange| self.read_reels(exchange, &asked);
        let sent = web.api.send(cx, session, pass, (REELS, url), read).await;
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
            let Self { web, cx, session, .. } = *self;
            let url = web.urls.viewer.clone();
            let read = |exchange: &Exchange| match read(exchange, parse_viewer)? {
                ViewerAnswer::LoggedIn => Ok(()),
                ViewerAnswer::LoggedOut => {
                    let text = "the platform sees nobody behind this session, so its answers are \
                                not believed: log in and import its cookies again";
                    Err(Fault::new(Class::AuthRequired, Scope::Session, text))
                }
            };
            let sent = web.api.send(cx, session, pass, (VIEWER, url), read).await;
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
}
