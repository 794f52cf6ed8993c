//! What the headers of an answer say about limits.
//!
//! A limit holds per endpoint and token. The gate has keys for endpoints (whatever the token) and for
//! sessions (whatever the endpoint); the session is taken, because that never stops a token that has
//! something left, and the engine looks at it before it claims a job.

use std::time::Duration;

use story_checker_core::Timestamp;

use crate::client::{Exchange, Told, Window, number, of_session};

/// Without a word of the platform.
const DEFAULT_REST: Duration = Duration::from_secs(60);
const LEAST_REST: Duration = Duration::from_secs(1);

/// The window of 15 minutes, and those of a day that some plans have: its size, what is left, and when
/// it begins anew.
const WINDOWS: [[&str; 3]; 3] = [
    ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"],
    ["x-app-limit-24hour-limit", "x-app-limit-24hour-remaining", "x-app-limit-24hour-reset"],
    ["x-user-limit-24hour-limit", "x-user-limit-24hour-remaining", "x-user-limit-24hour-reset"],
];

/// After a good answer: the session rests if that was the last one of a window, and spreads what is
/// left when that is little.
pub(super) fn told(exchange: &Exchange) -> Vec<Told> {
    of_session(&windows(exchange).collect::<Vec<_>>(), exchange.received_at)
}

/// After a 429: until when nothing is asked.
pub(super) fn rest(exchange: &Exchange) -> Timestamp {
    let empty = windows(exchange).filter(|window| window.remaining == 0);
    let told = empty.map(|window| window.reset_at).max();
    let told = told.or_else(|| reset(exchange, WINDOWS[0][2]));
    told.max(exchange.retry_after())
        .unwrap_or(exchange.received_at + DEFAULT_REST)
        .max(exchange.received_at + LEAST_REST)
}

fn windows(exchange: &Exchange) -> impl Iterator<Item = Window> {
    WINDOWS.iter().filter_map(|[limit, remaining, name]| {
        let remaining = number(&exchange.headers, remaining)?;
        let reset_at = reset(exchange, name)?;
        Some(Window { limit: number(&exchange.headers, limit), remaining, reset_at })
    })
}

/// The time in a header, told by the server's clock and put onto ours.
fn reset(exchange: &Exchange, name: &str) -> Option<Timestamp> {
    let at = Timestamp::from_secs(number(&exchange.headers, name)?);
    let server_now = exchange.server_time().unwrap_or(exchange.received_at);
    Some(exchange.received_at + at.since(server_now).max(LEAST_REST))
}

#[cfg(test)]
mod tests {
    use story_checker_core::gate::KeyClass;

    use super::*;

    /// The server's time, 40 s before ours.
    const DATE: &str = "Sat, 21 Nov 2026 08:59:20 GMT";
    const SERVER: u64 = 1_795_251_560;

    fn seconds(
        headers: &[(&'static str, &str)],
        of: fn(&Exchange) -> Option<Timestamp>,
    ) -> Option<u64> {
        let exchange = Exchange::sample(200, headers, "");
        of(&exchange).map(|until| until.since(exchange.received_at).as_secs())
    }

    #[test]
    fn a_window_without_anything_left_holds_the_session() {
        let held = |headers: &[(&'static str, &str)]| {
            seconds(headers, |exchange| match told(exchange)[..] {
                [] => None,
                [Told::Hold(KeyClass::Session, until)] => Some(until),
                ref other => panic!("{other:?}"),
            })
        };
        let reset = (SERVER + 300).to_string();
        let day = (SERVER + 7_200).to_string();
        assert_eq!(held(&[]), None);
        let left = |remaining| {
            let headers = [
                ("date", DATE),
                ("x-rate-limit-limit", "300"),
                ("x-rate-limit-remaining", remaining),
                ("x-rate-limit-reset", &reset[..]),
            ];
            told(&Exchange::sample(200, &headers, ""))
        };
        assert_eq!(left("75"), [], "a burst may go");
        let until = Timestamp::from_secs(SERVER + 340);
        assert_eq!(left("74"), [Told::Left(KeyClass::Session, 74, until)]);
        let headers =
            [("date", DATE), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", &reset)];
        assert_eq!(held(&headers), Some(300));
        let headers = [
            ("date", DATE),
            ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-reset", &reset),
            ("x-app-limit-24hour-remaining", "0"),
            ("x-app-limit-24hour-reset", &day),
        ];
        assert_eq!(held(&headers), Some(7_200));
        assert_eq!(held(&[("x-rate-limit-remaining", "0")]), None);
        assert_eq!(held(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "soon")]), None);
    }

    #[test]
    fn a_rest_counts_from_the_servers_time_and_is_never_capped() {
        let rest =
            |headers: &[(&'static str, &str)]| seconds(headers, |exchange| Some(rest(exchange)));
        let at = |seconds: u64| (SERVER + seconds).to_string();
        assert_eq!(rest(&[]), Some(60));
        assert_eq!(rest(&[("x-rate-limit-reset", "soon")]), Some(60));
        assert_eq!(rest(&[("date", DATE), ("x-rate-limit-reset", &at(900))]), Some(900));
        // Without the server's time our own has to do.
        assert_eq!(rest(&[("x-rate-limit-reset", &at(900))]), Some(860));
        assert_eq!(rest(&[("date", DATE), ("x-rate-limit-reset", "5")]), Some(1));
        assert_eq!(rest(&[("date", DATE), ("x-rate-limit-reset", &at(864_000))]), Some(864_000));
        let day = at(7_200);
        // The window of 15 minutes is not the one that is empty.
        let headers = [
            ("date", DATE),
            ("x-rate-limit-remaining", "299"),
            ("x-rate-limit-reset", &at(900)[..]),
            ("x-app-limit-24hour-remaining", "0"),
            ("x-app-limit-24hour-reset", &day),
        ];
        assert_eq!(rest(&headers), Some(7_200));
        assert_eq!(rest(&[("retry-after", "17")]), Some(17));
    }
}
