//! From accounts and queries to posts.

use std::borrow::Cow;
use std::time::Duration;

use story_checker_core::cache::CacheEntry;
use story_checker_core::gate::Pass;
use story_checker_core::{Class, Fault, Scope, Target, Timestamp, Verdict};
use tracing::warn;
use url::Url;

use super::poll::{Outcome, Poll, Start};
use super::{Question, Round, State, Stop, TOKEN_IS_KNOWN, stops};
use crate::client::Exchange;
use crate::x::api::{SEARCH, TIMELINE, with};
use crate::x::classify::{Read, Standing};
use crate::x::config::Since;
use crate::x::parse::is_id;
use crate::x::post::{Page, time_of_id};
use crate::x::user::User;

/// How far back a search goes: 7 days, less what clocks may differ by.
const DEPTH: Duration = Duration::from_secs(7 * 86_400 - 300);
/// How far our clock may be ahead of the server's without another request.
const SLACK: Duration = Duration::from_secs(30);
/// For how long the newest post that a check saw is remembered.
const LAST_SEEN_TTL: Duration = Duration::from_secs(30 * 86_400);
/// Checks that begin within this time ask from the same place on: longer than a lease and a check,
/// so that a job whose answer is dropped again and again still asks from there.
const SETTLE: Duration = Duration::from_secs(600);

/// How far the checks of a target have seen. A check cannot know whether its report will be settled,
/// so what it saw last is asked for again by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// The post to ask from; without one, the first window before `at`.
    from: Option<u64>,
    /// The newest post that the check which set these marks saw.
    newest: u64,
    /// When that check began.
    at: Timestamp,
}

impl Marks {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let newest = id(words.next()?)?;
        let at = Timestamp::from_millis(words.next()?.parse().ok()?);
        let from = words.next().map(|word| id(word).ok_or(())).transpose().ok()?;
        words.next().is_none().then_some(Self { from, newest, at })
    }

    fn text(&self) -> String {
        let Self { from, newest, at } = self;
        let from = from.map(|from| format!(" {from}")).unwrap_or_default();
        format!("{newest} {}{from}", at.as_millis())
    }
}

/// Why a target has no answer.
enum Break {
    Check(Stop),
    Target(Fault),
}

impl From<Stop> for Break {
    fn from(stop: Stop) -> Self {
        Self::Check(stop)
    }
}

impl From<Fault> for Break {
    fn from(fault: Fault) -> Self {
        Self::Target(fault)
    }
}

impl Round<'_> {
    /// Recalls, if that is the question, what the last check of each target saw.
    pub(super) async fn recall_last_seen(&mut self) {
        if matches!(self.x.config.since, Since::Window(_)) {
            return;
        }
        let keys: Vec<_> = self.slots.iter().map(|slot| key(slot.target)).collect();
        let stored = match self.cx.cache().get(&keys).await {
            Ok(stored) => stored,
            Err(error) => {
                warn!(%error, "the last seen posts cannot be recalled; the first window holds");
                return;
            }
        };
        self.recalled = true;
        for (slot, stored) in self.slots.iter_mut().zip(stored) {
            let stored = stored.as_ref().and_then(|text| std::str::from_utf8(text).ok());
            slot.marks = stored.and_then(Marks::read);
        }
    }

    /// Asks for the posts of every target that has no answer yet.
    pub(super) async fn ask_for_posts(&mut self) -> Result<(), Stop> {
        let mut failed_before = false;
        for index in 0..self.slots.len() {
            if self.slots[index].is_done() {
                continue;
            }
            match self.poll(index).await {
                Ok(()) => failed_before = false,
                Err(Break::Check(stop)) => return Err(stop),
                Err(Break::Target(fault)) => {
                    let stop = stops(&fault, self.cx.now(), failed_before);
                    failed_before = fault.scope != Scope::Target;
                    self.slots[index].fail(fault);
                    if let Some(stop) = stop {
                        return Err(stop);
                    }
                }
            }
        }
        Ok(())
    }

    async fn poll(&mut self, index: usize) -> Result<(), Break> {
        let (mut poll, url) = match self.first_page(index).await? {
            Read::Answer(first) => first,
            Read::Standing(standing) => return self.believe(index, standing).await,
        };
        for _ in 1..self.x.config.max_pages.get() {
            let Some(token) = poll.next.take() else { break };
            let pass = self.pass_by_waiting(self.route(index)).await?;
            let url = with(url.clone(), "pagination_token", &token);
            let page = match self.page(index, url, pass).await? {
                Read::Answer((page, _)) => page,
                Read::Standing(standing) => return self.believe(index, standing).await,
            };
            if page.next.as_deref() == Some(&token) {
                let text = "a page of posts says that it comes after itself";
                return Err(Fault::new(Class::Malformed, Scope::Endpoint, text).into());
            }
            // Later pages hold older posts, but the first may hold none.
            poll.newest = poll.newest.or(page.newest());
            poll.posts.extend(page.posts);
            poll.problems.extend(page.problems);
            poll.next = page.next;
        }
        self.conclude(index, poll).await.map_err(Break::Target)
    }

    /// Asks for the first page. If our clock runs ahead it would ask for too little, so then it asks
    /// again by the server's.
    async fn first_page(&mut self, index: usize) -> Result<Read<(Poll, Url)>, Break> {
        let mut now = self.cx.now() - self.ahead;
        let mut again = false;
        let mut pass = self.pass(self.route(index)).await?;
        loop {
            let start = self.start(index, now);
            let (name, value) = match start {
                Start::Post(id) => ("since_id", id.to_string()),
                Start::Window(window) => ("start_time", text(from(now, window))),
            };
            let url = with(self.url(index), name, &value);
            let (page, exchange) = match self.page(index, url.clone(), pass).await? {
                Read::Answer(page) => page,
                Read::Standing(standing) => return Ok(Read::Standing(standing)),
            };
            let server_time = exchange.server_time();
            let mut server_now = server_time.unwrap_or(exchange.received_at);
            if again {
                // Not every server's clock is the same.
                server_now = server_now.max(now);
            }
            if let Start::Window(window) = start
                && from(now, window) > server_now - window
            {
                (now, again) = (server_now, true);
                pass = self.pass_by_waiting(self.route(index)).await?;
                continue;
            }
            let newest = page.newest();
            let Page { posts, next, problems, .. } = page;
            let poll = Poll { start, now: server_now, server_time, newest, posts, problems, next };
            return Ok(Read::Answer((poll, url)));
        }
    }

    async fn page(
        &mut self,
        index: usize,
        url: Url,
        pass: Pass,
    ) -> Result<Read<(Page, Exchange)>, Break> {
        let route = self.route(index);
        let Self { x, cx, session, .. } = *self;
        let id = self.slots[index].user_id();
        let read = |exchange: &Exchange| Page::read(exchange, id);
        let (read, exchange) = x.client.send(cx, session, pass, (route, url), read).await?;
        self.learn_time(&exchange);
        self.slots[index].own.push(exchange.record.clone());
        Ok(match read {
            Read::Answer(page) => Read::Answer((page, exchange)),
            Read::Standing(standing) => Read::Standing(standing),
        })
    }

    /// Answers with what the platform says of the account instead of showing its posts.
    async fn believe(&mut self, index: usize, standing: Standing) -> Result<(), Break> {
        let slot = &self.slots[index];
        if let (Standing::Missing, State::Known { fresh: false, .. }, Question::Account(name)) =
            (standing, &slot.state, &slot.question)
        {
            // Whoever has the name now may be somebody else.
            if let Err(error) = self.cx.cache().remove(&[User::key(name)]).await {
                warn!(%error, "an account that is gone cannot be forgotten");
            }
            let text = "the id that was remembered for the name is gone; it is looked up again";
            return Err(Fault::new(Class::Transient, Scope::Target, text).into());
        }
        self.answer_standing(index, standing);
        Ok(())
    }

    async fn conclude(&mut self, index: usize, poll: Poll) -> Result<(), Fault> {
        let (newest, server_time) = (poll.newest, poll.server_time);
        let outcome = poll.outcome();
        // More posts than may be read are no fewer the next time: the fault tells of them, and the
        // marks go on.
        if outcome.as_ref().err().is_none_or(|fault| fault.class == Class::Permanent) {
            self.remember_last_seen(index, newest).await;
        }
        let Outcome { verdict, items, mut facts } = outcome?;
        facts.extend(self.facts_of_question(index));
        if verdict == Verdict::NoStory {
            facts.push(TOKEN_IS_KNOWN.into());
        }
        self.answer(index, verdict, (items, server_time), facts);
        Ok(())
    }

    fn facts_of_question(&self, index: usize) -> Vec<Cow<'static, str>> {
        let config = &self.x.config;
        let slot = &self.slots[index];
        if let Question::Search(_) = slot.question {
            return vec!["a search covers 7 days and leaves out the last 30 s".into()];
        }
        let mut facts = vec![self.age(index)];
        match &slot.state {
            State::Known { user, .. } if user.protected == Some(true) => {
                facts.push(
                    "the account is protected, and the platform shows its posts to this token"
                        .into(),
                );
            }
            _ => {}
        }
        facts.extend(match (config.include_replies, config.include_retweets) {
            (false, false) => Some("replies and retweets do not count".into()),
            (false, true) => Some("replies do not count".into()),
            (true, false) => Some("retweets do not count".into()),
            (true, true) => None,
        });
        facts
    }

    /// Remembers how far this check has seen, and lets the next one ask from where the one before
    /// this ended; unless that was so recent that its report may be lost still.
    async fn remember_last_seen(&self, index: usize, newest: Option<u64>) {
        let slot = &self.slots[index];
        // What could not be recalled must not be overwritten either.
        if !self.recalled || slot.marks.is_some_and(|last| self.started.since(last.at) < SETTLE) {
            return;
        }
        let from = slot.marks.map(|last| last.newest);
        let Some(newest) = newest.max(from) else { return };
        let marks = Marks { from, newest, at: self.started };
        let entry = CacheEntry::new(key(slot.target), marks.text()).with_ttl(LAST_SEEN_TTL);
        if let Err(error) = self.cx.cache().put(vec![entry]).await {
            warn!(%error, "the newest post cannot be remembered; the next check will see it again");
        }
    }

    fn start(&self, index: usize, now: Timestamp) -> Start {
        let slot = &self.slots[index];
        let is_search = matches!(slot.question, Question::Search(_));
        let reachable = |id: &u64| !is_search || now.since(time_of_id(*id)) < DEPTH;
        let (Since::Window(window) | Since::LastSeen { first: window }) = self.x.config.since;
        let window = match slot.marks {
            Some(Marks { from: Some(from), .. }) if reachable(&from) => return Start::Post(from),
            // All that can be had is newer.
            Some(Marks { from: Some(_), .. }) => DEPTH,
            Some(Marks { from: None, at, .. }) => window + self.started.since(at),
            None => window,
        };
        Start::Window(if is_search { window.min(DEPTH) } else { window })
    }

    fn route(&self, index: usize) -> &'static str {
        match self.slots[index].question {
            Question::Account(_) => TIMELINE,
            Question::Search(_) => SEARCH,
        }
    }

    fn url(&self, index: usize) -> Url {
        let slot = &self.slots[index];
        match &slot.question {
            Question::Account(_) => self.x.timeline_url(slot.user_id().unwrap_or_default()),
            Question::Search(query) => self.x.search_url(query),
        }
    }
}

fn id(text: &str) -> Option<u64> {
    is_id(text).then(|| text.parse().ok()).flatten()
}

fn key(target: &Target) -> String {
    format!("x-api/last-seen/{target}")
}

/// From when on to ask for a window: a whole minute, with room for clocks that differ a little.
fn from(now: Timestamp, window: Duration) -> Timestamp {
    Timestamp::from_secs((now - window - SLACK).as_secs() / 60 * 60)
}

/// A time as the API reads it: to the second.
fn text(at: Timestamp) -> String {
    at.to_string().replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        for from in [None, Some(49)] {
            let marks = Marks { from, newest: 50, at: Timestamp::from_millis(1_795_251_600_001) };
            assert_eq!(Marks::read(&marks.text()), Some(marks));
        }
        for text in ["", "50", "50 x", "x 1", "50 1 ", "50 1 x", "50 1 49 48"] {
            assert_eq!(Marks::read(text), None, "{text}");
        }
    }
}
