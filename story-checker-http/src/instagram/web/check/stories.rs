//! From profiles to stories.

use story_checker_core::{Class, Fault, Scope, Timestamp, Verdict};

use super::{Nothing, Round, State, Stop, stops};
use crate::client::Exchange;
use crate::instagram::web::api::{REELS, STORY};
use crate::instagram::web::classify::{CHANGED, Meaning, classify, read};
use crate::instagram::web::parse::{ReelsAnswer, parse_reels, parse_user_story};
use crate::instagram::web::profile::Standing;
use crate::instagram::web::story::Sighting;

/// An answer about reels as the rest of a check needs it.
struct Reels {
    /// The time by which the items are judged: the server's, or else ours.
    now: Timestamp,
    server_time: Option<Timestamp>,
    proves_session: bool,
    sightings: Vec<Sighting>,
}

impl Reels {
    fn read(exchange: &Exchange, answer: &ReelsAnswer<'_>, ids: &[&str]) -> Self {
        let server_time = exchange.server_time();
        let now = server_time.unwrap_or(exchange.received_at);
        let sightings = ids.iter().map(|id| answer.sighting(id, now)).collect();
        Self { now, server_time, proves_session: answer.proves_session(), sightings }
    }
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
        let pass = self.pass_by_waiting(REELS).await?;
        let read = |exchange: &Exchange| self.read_reels(exchange, &asked);
        let (reels, exchange) = match self.send(pass, (REELS, url), read).await {
            Ok(answer) => answer,
            Err(fault) => {
                for &index in &asked {
                    self.slots[index].fail(fault.clone());
                }
                return match stops(&fault, self.cx.now(), true) {
                    Some(stop) => Err(stop),
                    None => Ok(false),
                };
            }
        };
        self.shared.push(exchange.record.clone());
        let mut stubs = Vec::new();
        for (&index, sighting) in asked.iter().zip(reels.sightings) {
            self.slots[index].server_time = reels.server_time;
            match sighting {
                Sighting::Stub { claims_story, latest } => {
                    stubs.push((index, claims_story, latest));
                }
                sighting => self.judge(index, sighting, &exchange),
            }
        }
        // Last, so that nothing else has to wait for their passes.
        let mut proven = reels.proves_session;
        for (index, claims_story, latest) in stubs {
            proven |= self.ask_for_story(index, claims_story, latest).await?;
        }
        for index in asked {
            self.ask_again_if_odd(index, reels.now).await?;
        }
        Ok(proven)
    }

    fn read_reels(&self, exchange: &Exchange, asked: &[usize]) -> Result<Reels, Fault> {
        let answer = read(exchange, parse_reels)?;
        let ids: Vec<&str> =
            asked.iter().map(|&index| self.visible_id(index).unwrap_or_default()).collect();
        let mut reels = Reels::read(exchange, &answer, &ids);
        let is_empty = |sighting: &Sighting| matches!(sighting, Sighting::Empty { .. });
        if reels.sightings.iter().any(is_empty) && answer.holds_others(&ids) {
            let text = "the answer holds a reel that nobody asked for, so it may lack others";
            for sighting in reels.sightings.iter_mut().filter(|sighting| is_empty(sighting)) {
                *sighting = Sighting::Unclear(text);
            }
        }
        Ok(reels)
    }

    /// Asks for the one reel that came without its items. If it claims a story, "none" is believed
    /// only of an answer that shows one, posted at `latest` or later, that has ended. Says whether
    /// the answer proves the session.
    async fn ask_for_story(
        &mut self,
        index: usize,
        claims_story: bool,
        latest: Timestamp,
    ) -> Result<bool, Stop> {
        let Some(id) = self.visible_id(index).map(str::to_owned) else { return Ok(false) };
        let pass = self.pass_by_waiting(STORY).await?;
        let read = |exchange: &Exchange| {
            if exchange.status.is_client_error() && classify(exchange)? == Meaning::Private {
                return Ok(None);
            }
            let answer = read(exchange, parse_user_story)?;
            Ok(Some((Reels::read(exchange, &answer, &[&id]), answer.newest())))
        };
        let (reels, exchange) = match self.send(pass, (STORY, self.web.urls.story(&id)), read).await
        {
            Ok(answer) => answer,
            Err(fault) => return self.fail_one(index, fault).map(|()| false),
        };
        self.slots[index].own.push(exchange.record.clone());
        let Some((Reels { server_time, proves_session, sightings, .. }, newest)) = reels else {
            let fact = "the platform says that this session may not view the account";
            self.answer(index, Verdict::Private, Vec::new(), vec![fact.into()]);
            return Ok(false);
        };
        self.slots[index].server_time = server_time;
        for sighting in sightings {
            let sighting = match sighting {
                Sighting::Stub { .. } => {
                    Sighting::Unclear("the reel comes without its items, also if asked for alone")
                }
                Sighting::Empty { expired, .. }
                    if claims_story && (expired == 0 || newest < latest) =>
                {
                    Sighting::Unclear("one answer says that there is a story, another shows none")
                }
                sighting => sighting,
            };
            self.judge(index, sighting, &exchange);
        }
        Ok(proves_session)
    }

    /// Takes in what an answer about reels says about one target.
    fn judge(&mut self, index: usize, sighting: Sighting, exchange: &Exchange) {
        match sighting {
            Sighting::Live { items, notes } => {
                let fact = match items.len() {
                    1 => "the reel holds 1 item of this account that has not ended".into(),
                    n => format!("the reel holds {n} items of this account that have not ended"),
                };
                let mut facts = vec![fact.into(), self.time_fact(index)];
                facts.extend(notes);
                self.answer(index, Verdict::Active, items, facts);
            }
            Sighting::Empty { expired, broadcast } => {
                let slot = &mut self.slots[index];
                if let State::Known { profile, fresh } = &slot.state {
                    let (profile, fresh) = (profile.clone(), *fresh);
                    let nothing = Nothing { expired, broadcast };
                    slot.state = State::Empty { profile, fresh, nothing };
                }
            }
            Sighting::Stub { .. } => {
                self.fail_unclear(index, "the reel comes without its items", exchange);
            }
            Sighting::Unclear(what) => self.fail_unclear(index, what, exchange),
        }
    }

    fn fail_unclear(&mut self, index: usize, what: &str, exchange: &Exchange) {
        let (class, scope) = (Class::Malformed, Scope::Endpoint);
        let text = format!("{what}; if that stays, {CHANGED}");
        let mut evidence = self.evidence(index);
        evidence.server_time = exchange.server_time();
        evidence.specimen = self.web.api.specimen(exchange, class, scope);
        self.slots[index].fail(Fault::new(class, scope, text).with_evidence(evidence));
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
