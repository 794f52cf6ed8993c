//! Words for people that several outputs share.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use story_checker_core::charge::{Charge, Fate, ProxyCharge, SessionCharge};
use story_checker_core::{Class, MediaKind, Scope, Timestamp};

/// Text from outside must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Two units are precise enough for a person.
pub(crate) fn span(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{}s", span.as_secs()),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// The colour of a verdict.
pub(super) fn style(verdict: &str) -> Style {
    match verdict {
        "active" => AnsiColor::Green.on_default().bold(),
        "no story" => Style::new(),
        "unknown" => AnsiColor::Yellow.on_default().bold(),
        _ => AnsiColor::Cyan.on_default(),
    }
}

/// A short time, as `53 ms` or `1.3 s`.
pub(crate) fn short_span(span: Duration) -> String {
    match span.as_millis() {
        0 => format!("{} µs", span.as_micros()),
        millis @ 1..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}

/// A time to the second.
pub(crate) fn time(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or_default().replace('T', " "))
}

/// The time of a day to the millisecond.
pub(super) fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

/// A size, as `532 B` or `1.2 kB`.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point")]
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

pub(super) const fn media(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "picture",
        MediaKind::Video => "video",
        _ => "file",
    }
}

pub(super) const fn class(class: Class) -> &'static str {
    match class {
        Class::AuthRequired => "not, or no longer, logged in",
        Class::Blocked => "refused by the platform for a while",
        Class::Cancelled => "stopped from our side",
        Class::ChallengeRequired => "the platform wants a human to act",
        Class::Malformed => "an answer that cannot be understood, or may not be believed",
        Class::Permanent => "asking again will not help",
        Class::RateLimited => "too many requests",
        Class::Timeout => "no answer in time",
        Class::Transient => "something that usually passes by itself",
        _ => "a fault",
    }
}

pub(crate) const fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::App => "all our use of this API, or the registered application",
        Scope::Endpoint => "one route of the platform",
        Scope::Ours => "this side: its limits, settings or time",
        Scope::Proxy => "the proxy",
        Scope::Session => "the session",
        Scope::Target => "the target that was asked about",
        _ => "unclear",
    }
}

/// Who pays for a fault, by the charges table.
pub(super) const fn charged(charge: Charge) -> &'static str {
    match (charge.proxy, charge.session, charge.block) {
        _ if charge.count => "the endpoint: one more failure; it is left alone after several",
        (ProxyCharge::Cool, ..) => "the proxy: it rests",
        (ProxyCharge::Count, ..) => "the proxy: one more failure; it rests after several",
        (_, SessionCharge::Cool, _) => "the session: it rests",
        (_, SessionCharge::NeedLogin, _) => "the session: out of use until it is logged in again",
        (_, SessionCharge::Challenge, _) => "the session: out of use until its owner has acted",
        (_, SessionCharge::Suspend, _) => "the session: out of use",
        (_, _, true) => "nobody; but nothing more is sent there for a while",
        _ => "nobody",
    }
}

/// What happens to a job with a fault, by the charges table.
pub(super) const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Dead => "not tried again",
        Fate::Defer => "put off, without using an attempt",
        Fate::Release => "given back, as if it had never begun",
        Fate::Retry => "tried again, a few times",
        _ => "ended",
    }
}

/// What the operator can do.
pub(super) const fn advice(class: Class, scope: Scope) -> &'static str {
    match (class, scope) {
        (Class::Cancelled, _) => "Run it again.",
        (Class::RateLimited, Scope::Ours) => {
            "Nothing is broken: our own limits keep the pace. A longer --deadline lets more checks go."
        }
        (Class::RateLimited, Scope::Session) => "Wait, or add another session.",
        (Class::RateLimited, Scope::Proxy) => "Wait, or add another proxy.",
        (Class::RateLimited, _) => "Wait. Another session does not help: the limit is for all.",
        (Class::Blocked, Scope::Session) => "Leave this session alone for a while.",
        (Class::Blocked, Scope::Proxy) => {
            "Wait, and send less. Going on through other addresses makes a block worse."
        }
        (Class::Blocked, _) => "Wait, then try with fewer requests.",
        (Class::AuthRequired, Scope::Session) => {
            "Log in again with a browser and export the session, or get a new token; then name the \
             new file with --session."
        }
        (Class::AuthRequired, _) => "Name a session or token for this with --session.",
        (Class::ChallengeRequired, Scope::Session) => {
            "Open the platform as this account, in its app or a browser, and do what it asks. \
             story-checker never answers a challenge. Then export the session again."
        }
        (Class::ChallengeRequired, _) => "Look at what the platform asks for, as a person.",
        (Class::Permanent, Scope::Session) => {
            "Use another session: the platform no longer lets this one's account in, and only its \
             owner can appeal."
        }
        (Class::Permanent, Scope::Proxy) => "Look at the proxy's address, user and password.",
        (Class::Permanent, Scope::Target) => "Look at how the target is written.",
        (Class::Permanent, Scope::App) => "Look at the application's access and plan.",
        (Class::Permanent, _) => "Look at the settings; if they are right, report it as a bug.",
        (Class::Malformed, Scope::Proxy) => {
            "Look at what the proxy answers: some put a page of their own in the way."
        }
        (Class::Malformed, _) => {
            "Try again later. If it stays, the platform has changed its answers: report it."
        }
        (Class::Timeout, Scope::Ours) => "Give it more time with --deadline.",
        (Class::Timeout | Class::Transient, Scope::Proxy) => {
            "Try again later. If it stays, see whether the proxy can be reached."
        }
        _ => "Try again later.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        for (seconds, want) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_600, "1h"),
            (5_460, "1h 31m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), want);
        }
        for (micros, want) in [(300, "300 µs"), (53_400, "53 ms"), (1_250_000, "1.2 s")] {
            assert_eq!(short_span(Duration::from_micros(micros)), want);
        }
        assert_eq!([size(12), size(1_240), size(2_500_000)], ["12 B", "1.2 kB", "2.5 MB"]);
        assert_eq!(time(Timestamp::from_secs(1_795_252_000)), "2026-11-21 09:06:40Z");
    }
}
