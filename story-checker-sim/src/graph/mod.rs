//! The Instagram Graph API: what an account that handed out a token shows of itself.

mod fields;
mod stories;
mod usage;

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::fields::Fields;
pub use self::stories::graph_item_id;
use self::usage::{Over, Usage};
use crate::accounts::{
    Account, AccountKind, Accounts, Truth, TruthItem, TruthKind, numbered_id, numbered_name,
};
use crate::answer::{Answer, Asked};
use crate::catalogue::Row;
use crate::config::{GraphSettings, SimConfig};
use crate::hash;
use crate::request::{Request, Route};
use crate::time::Timestamp;
use crate::tokens::Tokens;

/// The id of the account behind token 0.
const USER_BASE: u64 = 17_841_400_000_000_000;
/// Ids of accounts without a number are this much higher, plus a hash.
const UNNUMBERED: u64 = 1_000_000_000;
/// A token must be this old to be renewed. domain: Graph tokens, Meta docs.
const RENEWABLE_AFTER: Duration = Duration::from_secs(86_400);
/// How many items a page has when nobody says, and at most.
const PAGE: usize = 25;
const LARGEST_PAGE: usize = 100;
/// Rows after which only the owner of the token can help.
const OWNER_ACTS: [&str; 5] = ["G190-459", "G190-464", "G24", "G25", "G4-spam"];
/// Fields that business discovery knows, beside those of other edges.
const DISCOVERED: [&str; 4] = ["id", "media_count", "name", "username"];

/// A token of the simulated Graph API.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GraphToken {
    /// Its text.
    pub access_token: String,
    /// The id of its account in this API.
    pub ig_user_id: String,
    /// The name of its account.
    pub username: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// The Graph API.
#[derive(Debug)]
pub(crate) struct Graph {
    settings: GraphSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    /// When each token was renewed.
    renewals: Vec<Vec<Timestamp>>,
    usage: Usage,
}

/// A request whose token was accepted.
struct Caller<'a> {
    text: &'a str,
    user: u64,
    account: Account,
    fields: Fields<'a>,
}

impl Graph {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let settings = config.graph.clone();
        let state = State {
            tokens: Tokens::new("IGAASIM", config.seed, settings.tokens),
            renewals: vec![Vec::new(); settings.tokens],
            usage: Usage::new(&settings),
        };
        Self { settings, state: Mutex::new(state) }
    }

    pub(crate) fn tokens(&self) -> usize {
        self.settings.tokens
    }

    /// The latest text of a token.
    pub(crate) fn token(&self, index: usize) -> Option<GraphToken> {
        let state = self.state();
        let renewal = state.renewals.get(index)?.len();
        let issued_at = self.issued_at(&state, index, renewal)?;
        Some(GraphToken {
            access_token: state.tokens.text(index, renewal)?,
            ig_user_id: user_id(index).to_string(),
            username: username(index),
            issued_at,
            expires_at: issued_at.saturating_add(self.settings.token_lifetime),
        })
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

    /// What the API shows of the account behind a token, if it answers.
    pub(crate) fn truth(&self, accounts: &Accounts, token: usize, at: Timestamp) -> Option<Truth> {
        let account = self.account(accounts, token, at)?;
        let mut items = stories::shown(&self.settings, &account);
        items.reverse();
        let kind = if items.is_empty() { TruthKind::NoStory } else { TruthKind::Active };
        Some(Truth { kind, items })
    }

    pub(crate) fn is_professional(&self, account: &Account) -> bool {
        let has_token = number(account).is_some_and(|number| number < self.settings.tokens as u64);
        let drawn = hash::pair(account.key, 60) % 100 < u64::from(self.settings.professional);
        has_token || (account.kind == AccountKind::Public && drawn)
    }

    /// The number of the token that a request carries.
    pub(crate) fn token_of(&self, request: &Request<'_>) -> Option<usize> {
        let text = access_token(request)?;
        self.state().tokens.find(&text).map(|(token, _)| token)
    }

    /// The answer that a rule wants. What it says about a token is true from then on.
    pub(crate) fn inject(&self, asked: &Asked<'_>, row: &'static Row) -> Answer {
        if is_about_token(row)
            && let Some(token) = self.token_of(asked.request)
        {
            self.state().tokens.fall(token, row, asked.now, &OWNER_ACTS);
        }
        Answer::row(row)
    }

    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Answer {
        let Some(text) = access_token(asked.request) else { return Answer::named("G104") };
        let mut state = self.state();
        let Some((token, renewal)) = state.tokens.find(&text) else {
            return Answer::named("G190");
        };
        let Some(issued_at) = self.issued_at(&state, token, renewal) else {
            return Answer::named("G190");
        };
        state.tokens.arrive(token);
        if let Some(refusal) = state.tokens.refuse(token, asked.now, &OWNER_ACTS) {
            let answer = Answer::row(refusal.row);
            return if refusal.again { answer.with_after_challenge() } else { answer };
        }
        if issued_at.saturating_add(self.settings.token_lifetime) <= asked.now {
            return Answer::named("G190-463");
        }
        // One object by id is a story too, unless it is the account.
        let about = matches!(asked.route, Route::GraphStories | Route::GraphMedia).then_some(token);
        let over = state.usage.arrive(about, asked.now);
        let headers = state.usage.headers(about, user_id(token), asked.now);
        let answer = match over {
            Some(Over::App) => Answer::named("G4").with_over_limit(),
            Some(Over::Account) => Answer::named("G80002").with_over_limit(),
            None if asked.route == Route::GraphRefresh => {
                self.renew(&mut state, asked, token, issued_at)
            }
            None => {
                drop(state);
                self.read(asked, token, &text)
            }
        };
        headers.into_iter().fold(answer, |answer, (name, value)| {
            let value = HeaderValue::try_from(value).expect("numbers in JSON are plain text");
            answer.with_header(HeaderName::from_static(name), value)
        })
    }

    /// A new text for a token: what is too young stays as it is.
    fn renew(
        &self,
        state: &mut State,
        asked: &Asked<'_>,
        token: usize,
        issued_at: Timestamp,
    ) -> Answer {
        if param(asked.request, "grant_type").as_deref() != Some("ig_refresh_token") {
            return bad("(#100) The parameter grant_type must be ig_refresh_token");
        }
        if asked.now < issued_at.saturating_add(RENEWABLE_AFTER) {
            return bad("(#100) The access token must be at least 24 hours old to be refreshed");
        }
        let Some(renewals) = state.renewals.get_mut(token) else { return Answer::named("G190") };
        renewals.push(asked.now);
        let text = state.tokens.text(token, renewals.len());
        let lifetime = self.settings.token_lifetime.as_secs();
        ok(&json!({ "access_token": text, "token_type": "bearer", "expires_in": lifetime }))
    }

    fn read(&self, asked: &Asked<'_>, token: usize, text: &str) -> Answer {
        let Some(account) = self.account(asked.accounts, token, asked.now) else {
            return Answer::named("G190");
        };
        let fields = param(asked.request, "fields").unwrap_or_default();
        let Some(fields) = Fields::parse(&fields) else {
            return bad("(#100) Syntax error in the parameter fields");
        };
        let caller = Caller { text, user: user_id(token), account, fields };
        let is_own = asked.request.segment(1) == caller.user.to_string();
        match asked.route {
            Route::GraphStories if is_own => self.stories(asked, &caller),
            Route::GraphDiscovery if is_own => self.discovery(asked, &caller),
            Route::GraphMedia if is_own => user(&caller),
            Route::GraphMedia => self.media(asked, &caller),
            Route::GraphStories | Route::GraphDiscovery => Answer::named("G100-33"),
            _ => error(StatusCode::BAD_REQUEST, "Unknown path components", 2500),
        }
    }

    fn stories(&self, asked: &Asked<'_>, caller: &Caller<'_>) -> Answer {
        if let Some(unknown) = stories::unknown_field(&caller.fields) {
            return nonexistent(unknown);
        }
        let limit = match param(asked.request, "limit").map(|limit| limit.parse::<usize>()) {
            None => PAGE,
            Some(Ok(limit)) if limit > 0 => limit.min(LARGEST_PAGE),
            Some(_) => return bad("(#100) The parameter limit must be a positive number"),
        };
        let mut items = stories::shown(&self.settings, &caller.account);
        if let Some(after) = param(asked.request, "after") {
            let Some(pk) = stories::behind(&after) else {
                return bad("(#100) Invalid cursor");
            };
            // What is gone since then leaves no gap: items are in the order of their numbers.
            items.retain(|item| item.pk < pk);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return ok(&json!({ "data": [] }));
        };
        let after = stories::cursor(last);
        let mut paging = json!({ "cursors": { "before": stories::cursor(first), "after": after } });
        if more {
            // As the real one: with the token of the caller, so this is no URL for a log.
            paging["next"] = format!(
                "https://graph.facebook.com/{}/{}/stories?access_token={}&fields={}&limit={limit}&after={after}",
                asked.request.segment(0),
                caller.user,
                caller.text,
                caller.fields.names.join("%2C"),
            )
            .into();
        }
        let data: Value = items.iter().map(|item| self.item(caller, item)).collect();
        ok(&json!({ "data": data, "paging": paging }))
    }

    fn media(&self, asked: &Asked<'_>, caller: &Caller<'_>) -> Answer {
        if let Some(unknown) = stories::unknown_field(&caller.fields) {
            return nonexistent(unknown);
        }
        let id = asked.request.segment(1);
        let items = stories::shown(&self.settings, &caller.account);
        match items.iter().find(|item| graph_item_id(item.pk).to_string() == id) {
            Some(item) => ok(&self.item(caller, item)),
            None => Answer::named("G100-33"),
        }
    }

    fn item(&self, caller: &Caller<'_>, item: &TruthItem) -> Value {
        stories::item(&self.settings, &caller.account, item, caller.user, &caller.fields)
    }

    /// Another professional account: that it is there, never its stories.
    fn discovery(&self, asked: &Asked<'_>, caller: &Caller<'_>) -> Answer {
        let Some((name, fields)) = &caller.fields.discovery else {
            return bad("(#100) Syntax error in the parameter fields");
        };
        if fields.contains(&"stories") {
            return Answer::named("G10");
        }
        if let Some(unknown) = fields.iter().find(|field| !DISCOVERED.contains(field)) {
            return nonexistent(unknown);
        }
        let account = asked.accounts.by_name(name.as_bytes(), asked.now);
        let Some(account) = account.filter(|account| self.is_professional(account)) else {
            return Answer::named("G110");
        };
        let found = profile(&account, fields);
        ok(&json!({ "business_discovery": found, "id": caller.user.to_string() }))
    }

    fn account(&self, accounts: &Accounts, token: usize, at: Timestamp) -> Option<Account> {
        if token >= self.settings.tokens {
            return None;
        }
        accounts.by_name(username(token).as_bytes(), at)
    }

    fn issued_at(&self, state: &State, token: usize, renewal: usize) -> Option<Timestamp> {
        let renewals = state.renewals.get(token)?;
        match renewal.checked_sub(1) {
            None => Some(self.settings.issued_at),
            Some(renewal) => renewals.get(renewal).copied(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves its data whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a row says that the token is not good any more.
fn is_about_token(row: &Row) -> bool {
    row.id.starts_with("G190") || row.id == "G102" || OWNER_ACTS.contains(&row.id)
}

/// The account behind the token itself.
fn user(caller: &Caller<'_>) -> Answer {
    match caller.fields.names.iter().find(|name| !DISCOVERED.contains(name)) {
        Some(unknown) => nonexistent(unknown),
        None => ok(&profile(&caller.account, &caller.fields.names)),
    }
}

fn profile(account: &Account, fields: &[&str]) -> Value {
    let id = number(account).map_or_else(
        || USER_BASE + UNNUMBERED + hash::pair(account.key, 65) % (UNNUMBERED * 100),
        |number| USER_BASE + number,
    );
    let mut object = Map::new();
    for &name in fields {
        let value: Value = match name {
            "username" => account.name.as_str().into(),
            "name" => account.name.replace(['.', '_'], " ").into(),
            "media_count" => (hash::pair(account.key, 22) % 5_000).into(),
            _ => continue,
        };
        object.insert(name.into(), value);
    }
    object.insert("id".into(), id.to_string().into());
    Value::Object(object)
}

fn user_id(token: usize) -> u64 {
    USER_BASE + token as u64
}

fn username(token: usize) -> String {
    numbered_name(u32::try_from(token).unwrap_or(u32::MAX))
}

/// The number of a numbered account.
fn number(account: &Account) -> Option<u64> {
    let number = u32::try_from(account.id.checked_sub(numbered_id(0))?).ok()?;
    (numbered_name(number) == account.name).then_some(number.into())
}

/// The token of a request: in its header, or else in its URL.
fn access_token<'a>(request: &Request<'a>) -> Option<Cow<'a, str>> {
    request.bearer().map(Cow::Borrowed).or_else(|| param(request, "access_token").map(Cow::Owned))
}

fn param<'a>(request: &Request<'a>, name: &'a str) -> Option<String> {
    request.params(name).next().map(|value| String::from_utf8_lossy(&value).into_owned())
}

fn ok(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, body.to_string())
}

fn bad(message: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, message, 100)
}

fn nonexistent(field: &str) -> Answer {
    bad(&format!("(#100) Tried accessing nonexisting field ({field})"))
}

fn error(status: StatusCode, message: &str, code: u32) -> Answer {
    let error = json!({
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "AsIm0trace",
    });
    Answer::json(status, json!({ "error": error }).to_string())
}
