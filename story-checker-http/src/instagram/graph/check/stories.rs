//! What the account's own token shows.

use std::borrow::Cow;

use story_checker_core::checker::CheckContext;
use story_checker_core::{Class, Fault, Report, Scope, Target, Timestamp, Verdict};

use super::Asking;
use crate::client::Exchange;
use crate::instagram::graph::api::{Graph, STORIES};
use crate::instagram::graph::classify::read_own;
use crate::instagram::graph::parse::parse_stories;
use crate::instagram::graph::story::StoriesShown;

/// One page, as the rest needs it.
struct Page {
    shown: StoriesShown,
    more: bool,
    after: Option<String>,
}

/// All pages that were read.
struct Pages {
    shown: StoriesShown,
    count: usize,
    /// Why some were not read.
    gap: Option<&'static str>,
    server_time: Option<Timestamp>,
}

pub(super) async fn ask(
    graph: &Graph,
    target: &Target,
    name: &str,
    cx: &CheckContext,
) -> Result<Report, Fault> {
    let mut asking = Asking::new(graph, target, cx)?;
    let mut facts = Vec::new();
    asking.refresh_if_due(&mut facts).await?;
    let pages = asking.pages(name).await?;
    asking.judge(pages, facts)
}

impl Asking<'_> {
    async fn pages(&mut self, name: &str) -> Result<Pages, Fault> {
        let mut pages =
            Pages { shown: StoriesShown::default(), count: 0, gap: None, server_time: None };
        let mut after: Option<String> = None;
        loop {
            let url = self.graph.stories(&self.token()?, after.as_deref());
            let read = |exchange: &Exchange| read_page(exchange, name);
            let (page, server_time) = match self.send(STORIES, url, read).await {
                Ok(answer) => answer,
                // Later it would start again with the first page, and get no further.
                Err(fault) if fault.scope == Scope::Ours && !pages.shown.items.is_empty() => {
                    pages.gap = Some("our own limits left no room for the next page");
                    return Ok(pages);
                }
                Err(fault) => return Err(fault),
            };
            pages.shown.add(page.shown);
            pages.server_time = server_time;
            pages.count += 1;
            pages.gap = match &page.after {
                _ if !page.more => return Ok(pages),
                None => Some("the answer names no place for the next page"),
                Some(_) if page.after == after => Some("the next page would be the same again"),
                Some(_) if pages.count >= self.graph.config.max_pages.get() => {
                    Some("there are more pages than max_pages allows")
                }
                Some(_) => None,
            };
            if pages.gap.is_some() {
                return Ok(pages);
            }
            after = page.after;
        }
    }

    /// A story is a story, whatever else there is; that there is none takes every page, each whole.
    fn judge(&mut self, pages: Pages, mut facts: Vec<Cow<'static, str>>) -> Result<Report, Fault> {
        let Pages { shown, count, gap, server_time } = pages;
        let token = self.token()?;
        let unclear = match gap {
            _ if !shown.items.is_empty() => None,
            Some(gap) => Some(gap),
            None if shown.broken > 0 => {
                Some("the answer holds items without id, kind, time or name")
            }
            None => None,
        };
        facts.push("the platform accepted the account's own token".into());
        if let Some(what) = unclear {
            let text =
                format!("{what}, and no live story; if that stays, the platform has changed");
            let fault = Fault::new(Class::Malformed, Scope::Endpoint, text);
            return Err(fault.with_evidence(self.evidence(&token.ig_user_id, facts)));
        }
        facts.push(match (shown.items.len(), count) {
            (0, 1) => "the answer is complete and lists no live story of this account".into(),
            (0, n) => format!("all {n} pages are complete and list no live story").into(),
            (1, _) => "the answer lists 1 story of this account that has not ended".into(),
            (n, _) => {
                format!("the answer lists {n} stories of this account that have not ended").into()
            }
        });
        facts.push(match server_time {
            Some(at) => format!("the server's time was {at}").into(),
            None => "the server did not tell its time; our clock was taken".into(),
        });
        let counted = [
            (shown.expired, "had ended 24 h after they were posted"),
            (shown.others, "were no stories and do not count"),
            (shown.broken, "lack id, kind, time or name and do not count"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        facts.extend(counted.map(|(count, what)| format!("{count} items {what}").into()));
        facts.extend(gap.map(|gap| format!("some items are missing: {gap}").into()));
        facts.extend(shown.notes);

        let verdict = if shown.items.is_empty() {
            facts.push("live and re-shared stories are never shown by this API".into());
            Verdict::NoStory
        } else {
            Verdict::Active
        };
        let mut evidence = self.evidence(&token.ig_user_id, facts);
        evidence.server_time = server_time;
        evidence.weak = verdict == Verdict::NoStory;
        Ok(self.report(verdict, evidence).with_items(shown.items))
    }
}

fn read_page(exchange: &Exchange, name: &str) -> Result<Page, Fault> {
    let page = read_own(exchange, parse_stories)?;
    let shown = page.shows(name, exchange.server_time().unwrap_or(exchange.received_at));
    if shown.foreign > 0 {
        let text = "the stories are another account's than the session speaks for: import the \
                    token again with its own ig_user_id and its present username";
        return Err(exchange.fault(Class::Malformed, Scope::Session, text));
    }
    Ok(Page { shown, more: page.has_more(), after: page.after().map(str::to_owned) })
}
