//! The web API of Instagram.

use http::StatusCode;

use crate::accounts::VIEWER_BASE;
use crate::answer::{Answer, Asked};
use crate::catalogue;
use crate::render;
use crate::request::Route;
use crate::traffic::{SessionState, Traffic};

/// The most reels that one request may ask for.
const MAX_REELS: usize = 50;

/// Answers a request that no limit holds back.
pub(crate) fn answer(
    asked: &Asked<'_>,
    session: Option<usize>,
    state: Option<SessionState>,
    pad: usize,
) -> Answer {
    let row = |id| Answer::row(catalogue::row(id).expect("a test checks every row"));
    if state == Some(SessionState::Challenged) {
        return row("W8");
    }
    if asked.route == Route::Other {
        return row("W17-html");
    }
    if !asked.request.has_header("x-ig-app-id") {
        return row("W13");
    }
    let viewer = session.filter(|_| state == Some(SessionState::LoggedIn));
    match (asked.route, viewer) {
        (Route::Profile, None) => row("W2"),
        (Route::Profile, Some(_)) => profile(asked),
        (Route::Reels, viewer) => reels(asked, viewer.is_some(), pad),
        (_, None) => row("W17-null"),
        (_, Some(index)) => {
            let body = render::viewer(VIEWER_BASE + index as u64, &Traffic::username(index));
            Answer::json(StatusCode::OK, body)
        }
    }
}

fn profile(asked: &Asked<'_>) -> Answer {
    let name = asked.request.params("username").next().unwrap_or_default();
    match asked.accounts.by_name(&name, asked.now).filter(|account| account.exists()) {
        Some(account) => Answer::json(StatusCode::OK, render::profile(&account)),
        None => Answer::json(StatusCode::NOT_FOUND, render::USER_NOT_FOUND),
    }
}

fn reels(asked: &Asked<'_>, logged_in: bool, pad: usize) -> Answer {
    let mut ids: Vec<u64> = Vec::with_capacity(1);
    for (index, id) in asked.request.params("reel_ids").enumerate() {
        if index == MAX_REELS {
            return Answer::json(StatusCode::BAD_REQUEST, render::INVALID_REEL_LIST);
        }
        // A name where an id belongs is nobody, as on the real platform.
        if let Some(id) = str::from_utf8(&id).ok().and_then(|id| id.parse().ok())
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    if !logged_in {
        return Answer::json(StatusCode::OK, render::EMPTY_REELS);
    }
    let accounts: Vec<_> =
        ids.into_iter().filter_map(|id| asked.accounts.by_id(id, asked.now)).collect();
    Answer::json(StatusCode::OK, render::reels(accounts.iter(), pad))
}
