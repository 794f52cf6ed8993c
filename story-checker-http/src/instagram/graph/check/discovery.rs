//! Whether an account exists that gave us no token.

use story_checker_core::checker::CheckContext;
use story_checker_core::{Class, Fault, Report, Scope, Target, Verdict};

use super::Asking;
use crate::client::Exchange;
use crate::instagram::graph::api::{DISCOVERY, Graph};
use crate::instagram::graph::classify::read;
use crate::instagram::graph::parse::parse_discovery;

/// Looks the account up with another's token.
pub(super) async fn ask(
    graph: &Graph,
    target: &Target,
    name: &str,
    cx: &CheckContext,
) -> Result<Report, Fault> {
    let mut asking = Asking::new(graph, target, cx)?;
    let url = graph.discovery(&asking.token()?, name);
    let read = |exchange: &Exchange| {
        let Some(found) = read(exchange, parse_discovery)? else { return Ok(None) };
        if !found.username.eq_ignore_ascii_case(name) {
            let text = "the account found is another one; if that stays, the platform has changed";
            return Err(exchange.fault(Class::Malformed, Scope::Endpoint, text));
        }
        Ok(Some(found.id.into_owned()))
    };
    let (found, server_time) = asking.send(DISCOVERY, url, read).await?;
    let looked_up = "it was looked up with another account's token, which the platform accepted";
    let Some(id) = found else {
        let facts = vec![
            looked_up.into(),
            "not found or not a professional account: the two look the same to this API".into(),
        ];
        let mut evidence = asking.evidence("", facts);
        evidence.server_time = server_time;
        evidence.weak = true;
        return Ok(asking.report(Verdict::NotFound, evidence));
    };
    let text = format!(
        "no token of this account: it exists and is a professional one, but only its own token shows \
         its stories, so import a token of {name} or ask another way"
    );
    let evidence = asking.evidence(&id, vec![looked_up.into()]);
    Err(Fault::new(Class::Permanent, Scope::Target, text).with_evidence(evidence))
}
