//! From names to profiles.

use story_checker_core::gate::Pass;
use story_checker_core::{Class, Fault, Scope, Timestamp};
use tracing::warn;

use super::{Round, Slot, State, Stop, stops};
use crate::client::Exchange;
use crate::instagram::web::api::PROFILE;
use crate::instagram::web::classify::{Meaning, classify, read};
use crate::instagram::web::parse::{ProfileAnswer, parse_profile};
use crate::instagram::web::profile::{Profile, Standing};

impl Round<'_> {
    /// Takes what is remembered, all in one call.
    pub(super) async fn recall(&mut self) {
        let keys: Vec<_> = self.slots.iter().map(|slot| Profile::key(&slot.handle)).collect();
        let stored = match self.cx.cache().get(&keys).await {
            Ok(stored) => stored,
            Err(error) => {
                warn!(%error, "profiles cannot be recalled; they are looked up again");
                return;
            }
        };
        let now = self.started;
        for (slot, stored) in self.slots.iter_mut().zip(stored) {
            let config = &self.web.config;
            let (State::Open, Some(stored)) = (&slot.state, stored) else { continue };
            let recalled = Profile::recall(&stored, self.session.id(), now, config);
            slot.former_id = recalled.former_id;
            if let Some(profile) = recalled.profile {
                slot.state = State::Known { profile, fresh: false };
            }
        }
    }

    /// Looks up what is not known, one request each. Where our own limits end that and it is worth it,
    /// the rest of the check is for what is known by then.
    pub(super) async fn look_up(&mut self) -> Result<(), Stop> {
        let mut failed_before = false;
        for index in 0..self.slots.len() {
            if !matches!(self.slots[index].state, State::Open) {
                continue;
            }
            let pass = match self.pass(PROFILE).await {
                Ok(pass) => pass,
                Err(Stop::Later(fault)) if is_ours(&fault) && self.is_worth_going_on() => {
                    let open = |slot: &&mut Slot<'_>| matches!(slot.state, State::Open);
                    self.slots.iter_mut().filter(open).for_each(|slot| slot.fail(fault.clone()));
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            };
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

    /// Whether to answer for what is known instead of leaving all to a later check: that one would
    /// begin with the same look-ups, and where passes come one by one it would never come to an end.
    /// What was seen for this session alone would be lost; else it is for half of the targets at
    /// least, so that not every look-up has requests for reels of its own.
    fn is_worth_going_on(&self) -> bool {
        let known = |slot: &&Slot<'_>| matches!(slot.state, State::Known { .. });
        let lost = |slot: &Slot<'_>| match &slot.state {
            State::Known { profile, fresh } => *fresh && !profile.is_for_all(),
            _ => false,
        };
        self.slots.iter().any(lost)
            || self.slots.iter().filter(known).count() * 2 >= self.slots.len()
    }

    async fn fetch_profile(&mut self, index: usize, pass: Pass) -> Result<Profile, Fault> {
        let slot = &self.slots[index];
        let mut url = self.web.urls.profile.clone();
        url.set_query(Some(&format!("username={}", slot.handle)));
        let session = self.session.id();
        let read = |exchange: &Exchange| {
            let at = exchange.received_at;
            let answer = read_profile(exchange, &slot.handle)?;
            Ok(match answer {
                Some(answer) => Profile::of(answer, session, at),
                None => Profile::withheld(session, at),
            })
        };
        let (profile, exchange) = self.send(pass, (PROFILE, url), read).await?;
        let profile = profile.with_former_id(slot.former_id.as_deref());
        self.slots[index].own.push(exchange.record);
        self.remember(index, &profile).await;
        Ok(profile)
    }

    pub(super) async fn remember(&self, index: usize, profile: &Profile) {
        let entry = profile.to_entry(&self.slots[index].handle, &self.web.config);
        if let Some(entry) = entry
            && let Err(error) = self.cx.cache().put(vec![entry]).await
        {
            warn!(%error, "a profile cannot be remembered; it will be looked up again");
        }
    }

    /// If the profile says that there is a story and the reel is empty, one of them is old, or lies:
    /// looks the profile up again, whatever is remembered.
    pub(super) async fn ask_again_if_odd(
        &mut self,
        index: usize,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let (old_id, nothing) = match &self.slots[index].state {
            State::Empty { profile, nothing, .. } if profile.claims_story(now) => {
                (profile.id().map(str::to_owned), *nothing)
            }
            _ => return Ok(()),
        };
        self.slots[index].former_id.clone_from(&old_id);
        let pass = self.pass_by_waiting(PROFILE).await?;
        let profile = match self.fetch_profile(index, pass).await {
            Ok(profile) => profile,
            Err(fault) => return self.fail_one(index, fault),
        };
        let slot = &mut self.slots[index];
        match profile.standing() {
            Standing::Missing => {
                let after = self.shared.len();
                slot.state = State::Missing { profile, fresh: true, after };
                return self.confirm(index).await;
            }
            Standing::Gated | Standing::Private => {
                slot.state = State::Known { profile, fresh: true };
                self.decide_by_profile();
            }
            Standing::Visible(id) if old_id.as_deref() != Some(id) => {
                let text = "the name belongs to another account by now: ask again with its new id";
                let fault = Fault::new(Class::Transient, Scope::Target, text);
                return self.fail_one(index, fault);
            }
            Standing::Visible(_) if profile.claims_story(now) => {
                let text = "the profile says there is a story, but the reel is empty; it is asked \
                            again later";
                let fault = Fault::new(Class::Malformed, Scope::Endpoint, text);
                return self.fail_one(index, fault);
            }
            Standing::Visible(_) => slot.state = State::Empty { profile, fresh: true, nothing },
        }
        Ok(())
    }
}

/// Whether a step was refused by our own limits, and not because the check has to end.
fn is_ours(fault: &Fault) -> bool {
    (fault.class, fault.scope) == (Class::RateLimited, Scope::Ours)
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
