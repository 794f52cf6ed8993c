//! The web API of Instagram.

use http::StatusCode;
use http::header::{HeaderValue, SET_COOKIE};
use serde::Deserialize;

use crate::accounts::{Account, VIEWER_BASE, numbered_name};
use crate::answer::{Answer, Asked};
use crate::form::Form;
use crate::hash;
use crate::render::{self, Reel};
use crate::request::Route;
use crate::traffic::{SessionState, Traffic};

/// The most reels that one request may ask for.
const MAX_REELS: usize = 50;
/// The tray shows the followed ones among as many numbered accounts.
const TRAY: u32 = 50;

/// Answers a request that no limit holds back.
pub(crate) fn answer(
    asked: &Asked<'_>,
    session: Option<usize>,
    state: Option<SessionState>,
    pad: usize,
) -> Answer {
    if let Some(id) = refusal(state) {
        return Answer::named(id);
    }
    if asked.route == Route::Other {
        return Answer::named("W17-html");
    }
    let viewer = session.filter(|_| state == Some(SessionState::LoggedIn));
    match asked.route {
        // What a browser navigates to.
        Route::HomePage => return home_page(asked, viewer),
        Route::ProfilePage => return profile_page(asked),
        _ if !asked.request.has_header("x-ig-app-id") => return Answer::named("W13"),
        _ => {}
    }
    match (asked.route, viewer) {
        // The trap: the same empty lists as for accounts without a story.
        (Route::Reels, None) => match reel_ids(asked) {
            Some(_) => Answer::json(StatusCode::OK, render::EMPTY_REELS),
            None => too_many(),
        },
        (Route::GraphqlReels, None) => Answer::json(StatusCode::OK, render::EMPTY_GRAPHQL_REELS),
        (Route::Viewer | Route::GraphqlTray, None) => Answer::named("W17-null"),
        (Route::Profile | Route::Search, None) => Answer::named("W2"),
        (_, None) => Answer::named("W3"),
        (Route::Profile, _) => profile(asked),
        (Route::Reels, _) => match reel_ids(asked) {
            Some(ids) => with_reels(asked, &ids, |reels| render::reels(reels, pad)),
            None => too_many(),
        },
        (Route::GraphqlReels, _) => graphql_reels(asked),
        (Route::GraphqlProfile, _) => graphql_profile(asked),
        (Route::GraphqlPublicStory, _) => graphql_public_story(asked),
        (Route::GraphqlTray, _) => {
            let accounts = followed(asked);
            Answer::json(StatusCode::OK, render::graphql_tray(accounts.iter()))
        }
        (Route::UserStory, _) => user_story(asked, pad),
        (Route::UserInfo, _) => user_info(asked),
        (Route::Tray, _) => tray(asked),
        (Route::Search, _) => search(asked),
        (_, Some(index)) => {
            let body = render::viewer(VIEWER_BASE + index as u64, &Traffic::username(index));
            Answer::json(StatusCode::OK, body)
        }
    }
}

/// What a session in this state gets to every request, if it gets nothing else.
fn refusal(state: Option<SessionState>) -> Option<&'static str> {
    match state? {
        SessionState::Blocked => Some("W11"),
        SessionState::Challenged => Some("W8"),
        SessionState::Suspended => Some("W9-suspended"),
        SessionState::LoggedIn | SessionState::LoggedOut => None,
    }
}

/// The page that gives a browser what its queries need: a cookie, and tokens that nobody checks.
fn home_page(asked: &Asked<'_>, viewer: Option<usize>) -> Answer {
    let draw = hash::mix(asked.now.unix_secs());
    let answer =
        Answer::html(render::home_page(draw, viewer.map(|index| VIEWER_BASE + index as u64)));
    if asked.request.cookie("csrftoken").is_some_and(|token| !token.is_empty()) {
        return answer;
    }
    let cookie = format!("csrftoken={draw:016x}; Domain=.instagram.com; Path=/; Secure");
    let cookie = HeaderValue::try_from(cookie).expect("hex digits are plain text");
    answer.with_header(SET_COOKIE, cookie)
}

/// The same for everybody, as a visitor without a session sees it.
fn profile_page(asked: &Asked<'_>) -> Answer {
    let name = asked.request.segment(0).as_bytes();
    match asked.accounts.by_name(name, asked.now).filter(Account::has_name) {
        Some(account) => Answer::html(render::profile_page(&account)),
        None => Answer::named("W17-html"),
    }
}

fn profile(asked: &Asked<'_>) -> Answer {
    let name = asked.request.params("username").next().unwrap_or_default();
    match asked.accounts.by_name(&name, asked.now).filter(Account::has_name) {
        Some(account) => Answer::json(StatusCode::OK, render::profile(&account)),
        None => Answer::named("W17"),
    }
}

fn user_info(asked: &Asked<'_>) -> Answer {
    match by_segment(asked, 3).filter(Account::exists) {
        Some(account) => Answer::json(StatusCode::OK, render::info(&account)),
        None => Answer::named("W17"),
    }
}

fn user_story(asked: &Asked<'_>, pad: usize) -> Answer {
    match by_segment(asked, 4).filter(Account::exists) {
        Some(account) => {
            let reel = Reel::new(&account, asked.form_for(&account), asked.now);
            Answer::json(StatusCode::OK, render::user_story(reel.as_ref(), pad))
        }
        None => Answer::named("W17"),
    }
}

fn by_segment(asked: &Asked<'_>, index: usize) -> Option<Account> {
    let id = asked.request.segment(index).parse().ok()?;
    asked.accounts.by_id(id, asked.now)
}

/// The accounts in the tray.
fn followed(asked: &Asked<'_>) -> Vec<Account> {
    (0..TRAY)
        .filter_map(|number| asked.accounts.by_name(numbered_name(number).as_bytes(), asked.now))
        .filter(|account| !account.visible().is_empty())
        .collect()
}

fn tray(asked: &Asked<'_>) -> Answer {
    let accounts = followed(asked);
    // Only the first ones come with their items.
    let form = |index, account| asked.form_for(account).or((index > 1).then_some(Form::Stub));
    let reels: Vec<_> = accounts
        .iter()
        .enumerate()
        .filter_map(|(index, account)| Reel::new(account, form(index, account), asked.now))
        .filter(|reel| !reel.is_null())
        .collect();
    Answer::json(StatusCode::OK, render::tray(&reels))
}

/// The account with the name itself, and others that only look like it.
fn search(asked: &Asked<'_>) -> Answer {
    let query = asked.request.params("query").next().unwrap_or_default();
    let query = String::from_utf8_lossy(&query);
    let accounts: Vec<_> = [query.to_string(), format!("{query}_"), format!("the.{query}")]
        .iter()
        .filter_map(|name| asked.accounts.by_name(name.as_bytes(), asked.now))
        .filter(Account::has_name)
        .collect();
    Answer::json(StatusCode::OK, render::search(accounts.iter()))
}

/// The ids that a request for reels asks for, unless they are too many.
fn reel_ids(asked: &Asked<'_>) -> Option<Vec<u64>> {
    let ids = asked.request.params("reel_ids");
    distinct(ids.map(|id| String::from_utf8_lossy(&id).parse().ok()))
}

fn graphql_reels(asked: &Asked<'_>) -> Answer {
    #[derive(Deserialize)]
    struct Variables {
        reel_ids: Vec<serde_json::Value>,
    }

    let variables = asked.request.params("variables").next().unwrap_or_default();
    let Ok(Variables { reel_ids }) = serde_json::from_slice(&variables) else {
        return Answer::named("W19-query");
    };
    match distinct(reel_ids.iter().map(number)) {
        Some(ids) => with_reels(asked, &ids, render::graphql_reels),
        None => too_many(),
    }
}

fn graphql_profile(asked: &Asked<'_>) -> Answer {
    let variables = asked.request.fields("variables").next().unwrap_or_default();
    by_variable(asked, &variables, "id", render::graphql_profile)
}

fn graphql_public_story(asked: &Asked<'_>) -> Answer {
    let variables = asked.request.params("variables").next().unwrap_or_default();
    by_variable(asked, &variables, "user_id", render::graphql_public_story)
}

/// An answer about the account whose id is a variable of the query.
fn by_variable(
    asked: &Asked<'_>,
    variables: &[u8],
    name: &str,
    render: impl FnOnce(&Account) -> String,
) -> Answer {
    let Ok(variables) = serde_json::from_slice::<serde_json::Value>(variables) else {
        return Answer::named("W19-query");
    };
    let account =
        variables.get(name).and_then(number).and_then(|id| asked.accounts.by_id(id, asked.now));
    match account.filter(Account::exists) {
        Some(account) => Answer::json(StatusCode::OK, render(&account)),
        None => Answer::named("W17-null"),
    }
}

/// An id: a number, or one in a text.
fn number(value: &serde_json::Value) -> Option<u64> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

fn too_many() -> Answer {
    Answer::json(StatusCode::BAD_REQUEST, render::INVALID_REEL_LIST)
}

/// A name where an id belongs is nobody, as on the real platform.
fn distinct(asked: impl Iterator<Item = Option<u64>>) -> Option<Vec<u64>> {
    let mut ids: Vec<u64> = Vec::with_capacity(1);
    for (index, id) in asked.enumerate() {
        if index == MAX_REELS {
            return None;
        }
        if let Some(id) = id
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    Some(ids)
}

fn with_reels(
    asked: &Asked<'_>,
    ids: &[u64],
    render: impl FnOnce(&[Reel<'_>]) -> String,
) -> Answer {
    let accounts: Vec<_> =
        ids.iter().filter_map(|&id| asked.accounts.by_id(id, asked.now)).collect();
    let reels: Vec<_> = accounts
        .iter()
        .filter_map(|account| Reel::new(account, asked.form_for(account), asked.now))
        .collect();
    Answer::json(StatusCode::OK, render(&reels))
}
