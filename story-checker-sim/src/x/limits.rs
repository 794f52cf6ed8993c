//! What a token may still ask, and the headers that count down to it.

use std::collections::HashMap;

use http::HeaderValue;

use crate::answer::Answer;
use crate::config::{Limit, XLimits};
use crate::request::Route;
use crate::time::Timestamp;

/// The windows of all tokens and endpoints. One begins with its first request.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<(usize, Route), (Timestamp, u32)>);

/// What is left after a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Left {
    limit: u32,
    remaining: u32,
    /// In whole seconds, never before the window is over.
    reset: u64,
    pub(super) is_over: bool,
}

impl Windows {
    pub(super) fn arrive(
        &mut self,
        token: usize,
        route: Route,
        limit: Limit,
        now: Timestamp,
    ) -> Left {
        let (start, used) = self.0.entry((token, route)).or_insert((now, 0));
        if start.saturating_add(limit.window) <= now {
            (*start, *used) = (now, 0);
        }
        let most = limit.requests.get();
        let is_over = *used >= most;
        if !is_over {
            *used += 1;
        }
        left(limit, *start, *used, is_over)
    }

    /// Uses a window up, so that it is over at this moment.
    pub(super) fn fill(
        &mut self,
        token: usize,
        route: Route,
        limit: Limit,
        until: Timestamp,
    ) -> Left {
        let start = until.saturating_sub(limit.window);
        self.0.insert((token, route), (start, limit.requests.get()));
        left(limit, start, limit.requests.get(), true)
    }
}

fn left(limit: Limit, start: Timestamp, used: u32, is_over: bool) -> Left {
    let most = limit.requests.get();
    let reset = start.saturating_add(limit.window).unix_millis().div_ceil(1000);
    Left { limit: most, remaining: most - used, reset, is_over }
}

impl Left {
    /// Adds the headers to an answer.
    pub(super) fn tell(self, answer: Answer) -> Answer {
        let headers = [
            ("x-rate-limit-limit", HeaderValue::from(self.limit)),
            ("x-rate-limit-remaining", self.remaining.into()),
            ("x-rate-limit-reset", self.reset.into()),
        ];
        headers.into_iter().fold(answer, |answer, (name, value)| {
            answer.with_header(http::HeaderName::from_static(name), value)
        })
    }
}

/// The limit of an endpoint; `None` for what is none of this API.
pub(super) fn limit(limits: &XLimits, route: Route) -> Option<Limit> {
    match route {
        Route::XUserByName => Some(limits.user_by_name),
        Route::XUsersBy => Some(limits.users_by),
        Route::XTimeline => Some(limits.timeline),
        Route::XSearch => Some(limits.search),
        _ => None,
    }
}
