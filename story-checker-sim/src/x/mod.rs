//! The X API v2: who is there, and what they posted.

mod limits;
mod params;
mod people;
mod posts;
mod query;
mod render;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use self::limits::Windows;
use self::params::{Fields, Invalid, Span};
use self::people::People;
pub use self::people::{XAccountKind, XAccountScript, XLink, XMedia, XScriptedPost};
use self::posts::Post;
use self::query::Query;
use self::render::Dialect;
use crate::answer::{Answer, Asked};
use crate::catalogue::Row;
use crate::config::{SimConfig, XSettings};
use crate::hash;
use crate::request::{Request, Route};
use crate::time::Timestamp;
use crate::tokens::Tokens;

/// How many names one request may ask for.
const MAX_NAMES: usize = 100;
/// How far back a timeline goes. domain: user posts, X docs.
const TIMELINE_POSTS: usize = 3_200;
/// How far back the search goes, and how far it stays behind. domain: recent search, X docs.
const SEARCH_DAYS: Duration = Duration::from_secs(7 * 86_400);
const SEARCH_LAG: Duration = Duration::from_secs(30);
/// Rows after which only the owner of the token can help.
const OWNER_ACTS: [&str; 2] = ["X403-326", "X403-user-suspended"];
/// What rows begin with that say that the token is not good any more.
const TOKEN_ROWS: [&str; 3] = ["X401", "X402", "X403"];
/// How long a window is used up that a rule says is used up.
const INJECTED_WINDOW: Duration = Duration::from_secs(30);
/// The three ways of saying that a window is used up.
const WINDOW_ROWS: [&str; 3] = ["X429-window", "X429-window-88", "X429-window-plain"];

/// What is true about an account or a query on X, over some time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct XTruth {
    /// The answer that a checker must give.
    pub kind: XTruthKind,
    /// The posts with media, newest first; empty unless the kind is `Active`.
    pub posts: Vec<XTruthPost>,
}

impl XTruth {
    fn new(posts: impl IntoIterator<Item = Post>) -> Self {
        let truth = |Post { id, at, author, .. }| XTruthPost { id, author_id: author, at };
        let posts: Vec<_> = posts.into_iter().map(truth).collect();
        let kind = if posts.is_empty() { XTruthKind::NoPosts } else { XTruthKind::Active };
        Self { kind, posts }
    }
}

/// The answer that a checker must give.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum XTruthKind {
    /// At least one post with media.
    Active,
    /// It can be read, and there is none.
    NoPosts,
    /// Only followers may read.
    Protected,
    /// The platform shut the account.
    Suspended,
    /// Nobody has this name.
    NotFound,
}

/// One post with media.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct XTruthPost {
    /// Its id.
    pub id: u64,
    /// The id of the account.
    pub author_id: u64,
    /// When it was posted.
    pub at: Timestamp,
}

/// The X API.
#[derive(Debug)]
pub(crate) struct X {
    settings: XSettings,
    seed: u64,
    people: People,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    windows: Windows,
    /// Posts that were handed out to all tokens.
    posts_read: u64,
    /// Somebody was told that the cap is reached.
    told_of_cap: bool,
}

impl X {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let settings = config.x.clone();
        let state = State {
            tokens: Tokens::new("AAAAAAAAAAAAAAAAAAAAASIM", config.seed, settings.tokens),
            windows: Windows::default(),
            posts_read: 0,
            told_of_cap: false,
        };
        let people = People::new(config.seed, &settings);
        Self { settings, seed: hash::pair(config.seed, 82), people, state: Mutex::new(state) }
    }

    pub(crate) fn tokens(&self) -> usize {
        self.settings.tokens
    }

    pub(crate) fn token(&self, index: usize) -> Option<String> {
        self.state().tokens.text(index, 0)
    }

    pub(crate) fn set_token(
        &self,
        index: usize,
        row: Option<&str>,
        from: Option<Timestamp>,
    ) -> bool {
        self.state().tokens.set(index, row, from)
    }

    pub(crate) fn token_row(&self, index: usize, at: Timestamp) -> Option<&'static str> {
        self.state().tokens.refused(index, at).map(|row| row.id)
    }

    pub(crate) fn register(&self, name: &str) -> Option<u64> {
        self.people.register(name)
    }

    pub(crate) fn script(&self, name: &str, script: Option<XAccountScript>) -> bool {
        self.people.set(name, script)
    }

    /// What is true about the own posts of an account from `since` to `at`.
    pub(crate) fn truth(&self, name: &str, since: Timestamp, at: Timestamp) -> XTruth {
        let person = self.people.by_name(name);
        let kind = person.as_ref().map_or(XAccountKind::NotFound, |person| person.kind);
        let hidden = |kind| XTruth { kind, posts: Vec::new() };
        match (person, kind) {
            (Some(person), XAccountKind::Public) => {
                let posts = posts::posts(&self.settings, &person, since, at);
                XTruth::new(posts.into_iter().filter(Post::is_own_media))
            }
            (_, XAccountKind::Protected) => hidden(XTruthKind::Protected),
            (_, XAccountKind::Suspended) => hidden(XTruthKind::Suspended),
            _ => hidden(XTruthKind::NotFound),
        }
    }

    /// What the search can show of a query from `since` to `at`; `None` for what is no query.
    pub(crate) fn search_truth(
        &self,
        query: &str,
        since: Timestamp,
        at: Timestamp,
    ) -> Option<XTruth> {
        let query = Query::parse(query).ok()?;
        let since = since.max(at.saturating_sub(SEARCH_DAYS));
        let found = self.found(&query, since, at.saturating_sub(SEARCH_LAG));
        Some(XTruth::new(found.into_iter().filter(|post| !post.media.is_empty())))
    }

    /// The number of the token that a request carries.
    pub(crate) fn token_of(&self, request: &Request<'_>) -> Option<usize> {
        let (token, _) = self.state().tokens.find(request.bearer()?)?;
        Some(token)
    }

    /// The answer that a rule wants. What it says about a token or a window is true from then on.
    pub(crate) fn inject(&self, asked: &Asked<'_>, row: &'static Row) -> Answer {
        let answer = Answer::row(row);
        let Some(token) = self.token_of(asked.request) else { return answer };
        let mut state = self.state();
        if TOKEN_ROWS.iter().any(|prefix| row.id.starts_with(prefix)) {
            state.tokens.fall(token, row, asked.now, &OWNER_ACTS);
        }
        match limits::limit(&self.settings.limits, asked.route) {
            Some(limit) if WINDOW_ROWS.contains(&row.id) => {
                let until = asked.now.saturating_add(INJECTED_WINDOW);
                state.windows.fill(token, asked.route, limit, until).tell(answer)
            }
            _ => answer,
        }
    }

    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Answer {
        let mut state = self.state();
        let token = asked.request.bearer().and_then(|text| state.tokens.find(text));
        let Some((token, 0)) = token else { return Answer::named("X401") };
        let ordinal = state.tokens.arrive(token);
        let draw = hash::pair(hash::pair(self.seed, token as u64), ordinal);
        if let Some(refusal) = state.tokens.refuse(token, asked.now, &OWNER_ACTS) {
            let answer = Answer::row(refusal.row);
            return if refusal.again { answer.with_after_challenge() } else { answer };
        }
        let Some(limit) = limits::limit(&self.settings.limits, asked.route) else {
            return problem(StatusCode::NOT_FOUND, "Not Found", "about:blank".into());
        };
        let left = state.windows.arrive(token, asked.route, limit, asked.now);
        let answer = if left.is_over {
            let row = WINDOW_ROWS[usize::from(draw % 3 == 1) + 2 * usize::from(draw % 3 == 2)];
            Answer::named(row).with_over_limit()
        } else if self.settings.usage_cap.is_some_and(|cap| state.posts_read >= cap) {
            let answer = Answer::named("X429-cap");
            // Nothing says beforehand that it is near: the first time is no fault of the client.
            let was_told = std::mem::replace(&mut state.told_of_cap, true);
            if was_told { answer.with_over_limit() } else { answer }
        } else {
            drop(state);
            let dialect = Dialect::of(&self.settings, draw);
            self.read(asked, dialect).unwrap_or_else(|invalid| refused(dialect, &invalid))
        };
        left.tell(answer)
    }

    fn read(&self, asked: &Asked<'_>, dialect: Dialect) -> Result<Answer, Invalid> {
        let fields = Fields::of(asked.request)?;
        match asked.route {
            Route::XUserByName => self.user_by_name(asked, dialect, &fields),
            Route::XUsersBy => self.users_by(asked, dialect, &fields),
            Route::XTimeline => self.timeline(asked, dialect, &fields),
            _ => self.search(asked, dialect, &fields),
        }
    }

    fn user_by_name(
        &self,
        asked: &Asked<'_>,
        dialect: Dialect,
        fields: &Fields,
    ) -> Result<Answer, Invalid> {
        let name = asked.request.segment(4);
        let person = self.people.by_name(name).ok_or_else(|| bad_name("username", name))?;
        self.people.register(name);
        Ok(match render::missing(dialect, person.kind, "username", name) {
            None => ok(&json!({ "data": render::user(&person, fields) })),
            // Both are seen: an error in a 200, and a 404.
            Some(mut error)
                if person.kind == XAccountKind::NotFound && person.key.is_multiple_of(2) =>
            {
                error["status"] = 404.into();
                problem_json(StatusCode::NOT_FOUND, &error)
            }
            Some(error) => ok(&json!({ "errors": [error] })),
        })
    }

    fn users_by(
        &self,
        asked: &Asked<'_>,
        dialect: Dialect,
        fields: &Fields,
    ) -> Result<Answer, Invalid> {
        let list = params::text(asked.request, "usernames").unwrap_or_default();
        let names: BTreeSet<&str> = list.split(',').collect();
        if names.len() > MAX_NAMES {
            let message = format!(
                "The number of values in the `usernames` query parameter list [{}] is not between 1 and {MAX_NAMES}",
                names.len()
            );
            return Err(Invalid::new("usernames", &list, message));
        }
        let (mut data, mut errors) = (Vec::new(), Vec::new());
        for name in names {
            let person = self.people.by_name(name).ok_or_else(|| bad_name("usernames", name))?;
            self.people.register(name);
            match render::missing(dialect, person.kind, "usernames", name) {
                None => data.push(render::user(&person, fields)),
                Some(error) => errors.push(error),
            }
        }
        let mut answer = json!({});
        if !data.is_empty() {
            answer["data"] = data.into();
        }
        if !errors.is_empty() {
            answer["errors"] = errors.into();
        }
        Ok(ok(&answer))
    }

    fn timeline(
        &self,
        asked: &Asked<'_>,
        dialect: Dialect,
        fields: &Fields,
    ) -> Result<Answer, Invalid> {
        let id = asked.request.segment(2);
        let number = id.parse().map_err(|_| {
            Invalid::new("id", id, format!("The `id` query parameter value [{id}] is not valid"))
        })?;
        let span = Span::of(asked.request, 5..=100)?;
        let exclude = params::list(asked.request, "exclude", &["replies", "retweets"])?;
        let person = self.people.by_id(number);
        let kind = person.as_ref().map_or(XAccountKind::NotFound, |person| person.kind);
        if let Some(error) = render::missing(dialect, kind, "id", id) {
            return Ok(ok(&json!({ "errors": [error] })));
        }
        let person = match person {
            Some(person) if kind != XAccountKind::Protected => person,
            _ => return Ok(ok(&json!({ "errors": [render::not_authorized(dialect, id)] }))),
        };
        let start = span.start.unwrap_or_default();
        let end = before(span.end, asked.now);
        let mut posts = posts::posts(&self.settings, &person, start, end);
        posts.truncate(TIMELINE_POSTS);
        // What is excluded still takes its place on a page: pages may be short, even empty.
        let excluded = |post: &Post| match post.link {
            Some((XLink::Reply, _)) => exclude.iter().any(|word| word == "replies"),
            Some((XLink::Retweet, _)) => exclude.iter().any(|word| word == "retweets"),
            None => false,
        };
        Ok(self.page(dialect, fields, &span, &posts, |post| !excluded(post)))
    }

    fn search(
        &self,
        asked: &Asked<'_>,
        dialect: Dialect,
        fields: &Fields,
    ) -> Result<Answer, Invalid> {
        let text = params::text(asked.request, "query").unwrap_or_default();
        let query = Query::parse(&text).map_err(|error| {
            Invalid::new(
                "query",
                &text,
                format!("There were errors processing your request: {error}"),
            )
        })?;
        params::list(asked.request, "sort_order", &["recency", "relevancy"])?;
        let span = Span::of(asked.request, 10..=100)?;
        let oldest = asked.now.saturating_sub(SEARCH_DAYS);
        if let Some(start) = span.start
            && start < oldest
        {
            let message = format!(
                "Invalid 'start_time'. 'start_time' must be on or after {}Z.",
                crate::calendar::iso(oldest)
            );
            return Err(Invalid::new("start_time", &start.to_string(), message));
        }
        let end = before(span.end, asked.now.saturating_sub(SEARCH_LAG));
        let posts = self.found(&query, span.start.unwrap_or(oldest), end);
        Ok(self.page(dialect, fields, &span, &posts, |_| true))
    }

    /// The posts that match, newest first. Retweets are never found.
    fn found(&self, query: &Query, since: Timestamp, until: Timestamp) -> Vec<Post> {
        let mut people: Vec<_> =
            query.named().into_iter().filter_map(|name| self.people.by_name(name)).collect();
        if query.authors().is_none() {
            people.extend(self.people.searchable());
            people.sort_unstable_by_key(|person| person.id);
            people.dedup_by_key(|person| person.id);
        }
        let mut found: Vec<_> = people
            .iter()
            .filter(|person| person.kind == XAccountKind::Public)
            .flat_map(|person| posts::posts(&self.settings, person, since, until))
            .filter(|post| !post.is(XLink::Retweet) && query.matches(post))
            .collect();
        found.sort_unstable_by_key(|post| std::cmp::Reverse(post.id));
        found
    }

    /// One page of posts, newest first, of which only some are shown.
    fn page(
        &self,
        dialect: Dialect,
        fields: &Fields,
        span: &Span,
        posts: &[Post],
        is_shown: impl Fn(&Post) -> bool,
    ) -> Answer {
        let mut rest = posts.iter().filter(|post| span.has(post.id));
        let page: Vec<_> = rest.by_ref().take(span.page).collect();
        let next = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Some(params::next_token(last.id)),
            _ => None,
        };
        let shown: Vec<_> = page.into_iter().filter(|post| is_shown(post)).collect();
        self.state().posts_read += shown.len() as u64;
        ok(&render::page(&self.settings, dialect, fields, &shown, next, span.is_later_page))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves its data whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last moment before the end that was asked for, or the latest that there is.
fn before(end: Option<Timestamp>, latest: Timestamp) -> Timestamp {
    let end = end.map(|end| end.saturating_sub(Duration::from_millis(1)));
    end.map_or(latest, |end| end.min(latest))
}

fn bad_name(parameter: &'static str, name: &str) -> Invalid {
    let message = format!(
        "The `{parameter}` query parameter value [{name}] does not match ^[A-Za-z0-9_]{{1,15}}$"
    );
    Invalid::new(parameter, name, message)
}

fn ok(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, body.to_string())
}

/// The answer to a parameter that cannot be.
fn refused(dialect: Dialect, invalid: &Invalid) -> Answer {
    let body = json!({
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": dialect.problem("invalid-request"),
        "errors": [invalid.body()],
    });
    problem_json(StatusCode::BAD_REQUEST, &body)
}

fn problem(status: StatusCode, title: &str, kind: String) -> Answer {
    let body = json!({ "title": title, "detail": title, "type": kind, "status": status.as_u16() });
    problem_json(status, &body)
}

fn problem_json(status: StatusCode, body: &Value) -> Answer {
    Answer::problem(status, body.to_string())
}
