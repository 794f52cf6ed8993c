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
        for (slot, stored) in self.slots.iter_mut().zip(stored) {
            let stored = stored.as_ref().and_then(|id| std::str::from_utf8(id).ok());
            slot.last = stored.filter(|id| is_id(id)).and_then(|id| id.parse().ok());
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
        let Outcome { verdict, items, mut facts } = poll.outcome()?;
        facts.extend(self.facts_of_question(index));
        if verdict == Verdict::NoStory {
            facts.push(TOKEN_IS_KNOWN.into());
        }
        self.remember_last_seen(index, newest).await;
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

    /// Remembers how far this check has seen; never less far than the last one.
    async fn remember_last_seen(&self, index: usize, newest: Option<u64>) {
        if matches!(self.x.config.since, Since::Window(_)) {
            return;
        }
        let slot = &self.slots[index];
        let Some(newest) = newest.max(slot.last) else { return };
        let entry = CacheEntry::new(key(slot.target), newest.to_string()).with_ttl(LAST_SEEN_TTL);
        if let Err(error) = self.cx.cache().put(vec![entry]).await {
            warn!(%error, "the newest post cannot be remembered; the next check will see it again");
        }
    }

    fn start(&self, index: usize, now: Timestamp) -> Start {
        let slot = &self.slots[index];
        let is_search = matches!(slot.question, Question::Search(_));
        let reachable = |id: &u64| !is_search || now.since(time_of_id(*id)) < DEPTH;
        let window = match (self.x.config.since, slot.last.filter(reachable)) {
            (Since::LastSeen { .. }, Some(last)) => return Start::Post(last),
            (Since::Window(window) | Since::LastSeen { first: window }, _) => window,
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
