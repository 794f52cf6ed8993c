//! One check: a loan of the right session, then the questions.

mod discovery;
mod refresh;
mod stories;

use std::borrow::Cow;
use std::sync::Arc;

use story_checker_core::checker::{CheckContext, CheckerProfile};
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Evidence, Fault, Report, RequestRecord, Scope, Target, Timestamp, Timings, Verdict,
};
use tokio::time::Instant;
use url::Url;

use super::api::Graph;
use super::token::Token;
use crate::client::{self, Exchange};
use crate::instagram::account::is_name;

/// Answers for one target, on a loan of the session that speaks for it.
pub(super) async fn run(
    graph: &Graph,
    lent: &CheckerProfile,
    target: &Target,
    cx: &CheckContext,
) -> Result<Report, Fault> {
    let name = target.handle().to_ascii_lowercase();
    if !is_name(&name) {
        let text = "no Instagram account can have this name: 1 to 30 of a-z, 0-9, . and _";
        return Err(Fault::new(Class::Permanent, Scope::Target, text));
    }
    let refusal = match cx.lend(lent, Some(&name)).await {
        Ok(loan) => {
            let mut answer = [stories::ask(graph, target, &name, loan.context()).await];
            loan.give_back(&mut answer).await;
            let [answer] = answer;
            return answer;
        }
        Err(refusal) => refusal,
    };
    // Its own token is there, but not now.
    if matches!(refusal.class, Class::RateLimited | Class::Cancelled) {
        return Err(refusal);
    }
    if graph.config.discover {
        match cx.lend(lent, None).await {
            Ok(loan) => {
                let mut answer = [discovery::ask(graph, target, &name, loan.context()).await];
                loan.give_back(&mut answer).await;
                let [answer] = answer;
                return answer;
            }
            Err(fault) if matches!(fault.class, Class::RateLimited | Class::Cancelled) => {
                return Err(fault);
            }
            Err(_) => {}
        }
    }
    let text = format!(
        "no token of this account: the Graph API shows stories only to the account itself, so \
         import a token of {name} or ask another way ({})",
        refusal.message
    );
    Err(Fault::new(Class::Permanent, Scope::Target, text))
}

/// Asks with the token of an account for its own stories.
pub(super) async fn validate(graph: &Graph, account: &str, cx: &CheckContext) -> Result<(), Fault> {
    let target = format!("instagram/account/{account}")
        .parse::<Target>()
        .map_err(|error| Fault::new(Class::Permanent, Scope::Ours, error.to_string()))?;
    stories::ask(graph, &target, account, cx).await.map(drop)
}

/// One target, one session, and the requests so far.
struct Asking<'a> {
    graph: &'a Graph,
    cx: &'a CheckContext,
    session: &'a Arc<SessionHandle>,
    target: &'a Target,
    requests: Vec<RequestRecord>,
    started: Timestamp,
    began: Instant,
}

impl<'a> Asking<'a> {
    fn new(graph: &'a Graph, target: &'a Target, cx: &'a CheckContext) -> Result<Self, Fault> {
        let session = cx.session().ok_or_else(|| {
            let text = "a loan came without a session: a mistake in the engine";
            Fault::new(Class::Permanent, Scope::Ours, text)
        })?;
        let (started, began) = (cx.now(), Instant::now());
        Ok(Self { graph, cx, session, target, requests: Vec::new(), started, began })
    }

    fn token(&self) -> Result<Token, Fault> {
        Token::of(&self.session.credentials(), self.cx.now())
    }

    /// Sends one request. The time is the server's, if it told.
    async fn send<T>(
        &mut self,
        route: &'static str,
        url: Url,
        read: impl FnOnce(&Exchange) -> Result<T, Fault>,
    ) -> Result<(T, Option<Timestamp>), Fault> {
        let Self { graph, cx, session, .. } = *self;
        let pass = client::pass(cx, route).await?;
        let (answer, exchange) = graph.api.send(cx, session, pass, (route, url), read).await?;
        let server_time = exchange.server_time();
        self.requests.push(exchange.record);
        Ok((answer, server_time))
    }

    fn evidence(&mut self, subject: &str, facts: Vec<Cow<'static, str>>) -> Evidence {
        let mut evidence = self.graph.api.evidence(self.cx, self.session);
        evidence.subject = (!subject.is_empty()).then(|| subject.to_owned());
        evidence.requests = std::mem::take(&mut self.requests);
        evidence.facts = facts;
        evidence
    }

    fn report(&self, verdict: Verdict, evidence: Evidence) -> Report {
        let timings = Timings::new(self.started, self.began.elapsed());
        Report::new(self.target.clone(), verdict, evidence, timings)
    }
}
