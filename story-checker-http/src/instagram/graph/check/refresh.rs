//! A token that is near its end is exchanged for a new one.

use std::borrow::Cow;

use story_checker_core::{Class, Fault, Scope, Secret};
use tracing::{info, warn};

use super::Asking;
use crate::client::Exchange;
use crate::instagram::graph::api::REFRESH;
use crate::instagram::graph::classify::read_own;
use crate::instagram::graph::parse::parse_refresh;
use crate::instagram::graph::token::{ACCESS_TOKEN, renew, rest_from_refresh};

impl Asking<'_> {
    /// Refreshes the token if it is time to. While the old one is good, a failure is only a fact,
    /// unless it says that the session must not be used now.
    pub(super) async fn refresh_if_due(
        &mut self,
        facts: &mut Vec<Cow<'static, str>>,
    ) -> Result<(), Fault> {
        let token = self.token()?;
        let (now, before) = (self.cx.now(), self.graph.config.refresh_before);
        if !token.refresh_is_due(now, before) {
            if let Some(at) = token.expires_at.filter(|at| at.since(now) < before) {
                facts.push(format!("the token ends at {at}: get a new one before").into());
            }
            return Ok(());
        }
        let credentials = self.session.credentials();
        let access_token = credentials.tokens.get(ACCESS_TOKEN).map_or("", Secret::expose);
        let url = self.graph.refresh(access_token);
        let read = |exchange: &Exchange| read_own(exchange, parse_refresh);
        let mut fault = match self.send(REFRESH, url, read).await {
            Ok((new, _)) => {
                let now = self.cx.now();
                self.session.update(|old| renew(old, new.access_token, now, new.life));
                info!(session = %self.session.id(), ends_at = %(now + new.life), "a token was refreshed");
                facts.push("the token was near its end and was refreshed".into());
                return Ok(());
            }
            Err(fault) => fault,
        };
        match (fault.class, fault.scope) {
            // Our own limits have no place for it; the next check will.
            (Class::RateLimited, Scope::Ours) => return Ok(()),
            (Class::Cancelled, _) => return Err(fault),
            // Whether the token itself is bad is for the question to find out.
            (Class::ChallengeRequired | Class::Blocked | Class::RateLimited, Scope::Session) => {
                return Err(fault);
            }
            // The way out pays, although there may be an answer after all.
            (_, Scope::Proxy) => self.cx.charge(&mut fault),
            _ => {}
        }
        let now = self.cx.now();
        self.session.update(|old| rest_from_refresh(old, now));
        warn!(session = %self.session.id(), %fault, "a token could not be refreshed");
        let ends = token.expires_at.map_or_else(String::new, |at| format!(", and ends at {at}"));
        facts.push(format!("the token could not be refreshed{ends}: {}", fault.message).into());
        Ok(())
    }
}
