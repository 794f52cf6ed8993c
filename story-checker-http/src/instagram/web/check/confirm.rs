//! From "not found" to "not found, indeed": the platform says it of accounts that exist, too.

use story_checker_core::{Class, Fault, Scope};

use super::{Round, State, Stop, stops};
use crate::client::Exchange;
use crate::instagram::web::api::{INFO, SEARCH};
use crate::instagram::web::classify::{Meaning, classify, read};
use crate::instagram::web::parse::{parse_info, parse_search};
use crate::instagram::web::profile::Profile;

/// What a second way of asking says about a name that was not found.
enum Second {
    /// Nobody of this name either.
    Nobody,
    /// It exists under this id, and is withheld from the session.
    Gated(String),
    /// It is there.
    There,
    /// It is there, under this id; nothing more is known.
    Id(String),
}

impl Round<'_> {
    /// Asks in a second way for every name that was not found.
    pub(super) async fn confirm_missing(&mut self) -> Result<(), Stop> {
        for index in 0..self.slots.len() {
            self.confirm(index).await?;
        }
        Ok(())
    }

    /// Asks in a second way for this name, if it was not found and that is not yet confirmed.
    pub(super) async fn confirm(&mut self, index: usize) -> Result<(), Stop> {
        let State::Missing { profile, fresh, after } = &self.slots[index].state else {
            return Ok(());
        };
        let (profile, fresh, after) = (profile.clone(), *fresh, *after);
        if profile.is_confirmed() {
            return Ok(());
        }
        let mut second = match profile.last_id() {
            Some(id) => Second::Id(id.to_owned()),
            None if self.web.config.confirm_not_found => match self.search(index).await? {
                Ok(second) => second,
                Err(fault) => return self.fail_one(index, fault),
            },
            None => return Ok(()),
        };
        if let Second::Id(id) = second {
            second = match self.ask_by_id(index, id).await? {
                Ok(second) => second,
                Err(fault) => return self.fail_one(index, fault),
            };
        }
        match second {
            Second::Nobody => {
                let profile = profile.confirmed();
                self.remember(index, &profile).await;
                self.slots[index].state = State::Missing { profile, fresh, after };
            }
            Second::Gated(id) => {
                let profile = Profile::gated(id, self.session.id(), self.cx.now());
                self.remember(index, &profile).await;
                self.slots[index].state = State::Known { profile, fresh: true };
                self.decide_by_profile();
            }
            Second::There | Second::Id(_) => {
                let text = "the platform knows nobody of this name, yet shows the account when asked \
                            in a second way; if that stays, log the session in again";
                let fault = Fault::new(Class::Malformed, Scope::Endpoint, text);
                return self.fail_one(index, fault);
            }
        }
        Ok(())
    }

    async fn search(&mut self, index: usize) -> Result<Result<Second, Fault>, Stop> {
        let pass = self.pass_by_waiting(SEARCH).await?;
        let handle = &self.slots[index].handle;
        let mut url = self.web.urls.search.clone();
        url.set_query(Some(&format!("query={handle}")));
        let read = |exchange: &Exchange| {
            let answer = read(exchange, parse_search)?;
            Ok(match answer.find(handle) {
                None => Second::Nobody,
                Some(None) => Second::There,
                Some(Some(id)) => Second::Id(id.to_owned()),
            })
        };
        let sent = self.send(pass, (SEARCH, url), read).await;
        Ok(self.keep(index, sent))
    }

    async fn ask_by_id(&mut self, index: usize, id: String) -> Result<Result<Second, Fault>, Stop> {
        let pass = self.pass_by_waiting(INFO).await?;
        let handle = &self.slots[index].handle;
        let url = self.web.urls.info(&id);
        let read = |exchange: &Exchange| {
            if exchange.status.is_client_error() && classify(exchange)? == Meaning::NotFound {
                return Ok(Second::Nobody);
            }
            let answer = read(exchange, parse_info)?;
            Ok(match answer.username.eq_ignore_ascii_case(handle) {
                // The name was given up, and the account has another one.
                false => Second::Nobody,
                true if answer.gated => Second::Gated(id),
                true => Second::There,
            })
        };
        let sent = self.send(pass, (INFO, url), read).await;
        Ok(self.keep(index, sent))
    }

    /// Keeps the record of a request made for this target alone.
    pub(super) fn keep<T>(
        &mut self,
        index: usize,
        sent: Result<(T, Exchange), Fault>,
    ) -> Result<T, Fault> {
        let (answer, exchange) = sent?;
        self.slots[index].own.push(exchange.record);
        Ok(answer)
    }

    /// The fault of a request for this target alone, which may end the check.
    pub(super) fn fail_one(&mut self, index: usize, fault: Fault) -> Result<(), Stop> {
        let stop = stops(&fault, self.cx.now(), false);
        let fault = match fault.evidence {
            Some(_) => fault,
            None => fault.with_evidence(self.evidence(index)),
        };
        self.slots[index].fail(fault);
        stop.map_or(Ok(()), Err)
    }
}
