//! Moments as text, the way that APIs write them.

use std::time::Duration;

use crate::time::Timestamp;

/// Days in a cycle of 400 years.
const CYCLE: u64 = 146_097;
/// From 0000-03-01 to the Unix epoch.
const EPOCH_DAYS: u64 = 719_468;

/// The date and the time to the second, without a zone: `2026-11-21T12:00:00`.
pub(crate) fn iso(time: Timestamp) -> String {
    let secs = time.unix_secs();
    let (days, second) = (secs / 86_400, secs % 86_400);
    // Years that begin in March put the leap day at their end.
    let days = days + EPOCH_DAYS;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + cycle * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The moment behind `2026-11-21T12:00:00Z`, with or without a fraction of a second.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (cycle, year) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day = year * 365 + year / 4 - year / 100 + (153 * shifted + 2) / 5 + day - 1;
    let secs = (cycle * CYCLE + day).checked_sub(EPOCH_DAYS)? * 86_400;
    let millis = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let time = Timestamp::from_unix_secs(secs + hour * 3600 + minute * 60 + second);
    let time = time.saturating_add(Duration::from_millis(millis));
    // A day that its month does not have comes out as another one.
    (iso(time) == format!("{date}T{clock}")).then_some(time)
}

fn numbers(text: &str, by: char) -> Option<[u64; 3]> {
    let mut parts = text.split(by).map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_everybody_does() {
        let written = |secs| iso(Timestamp::from_unix_secs(secs));
        assert_eq!(written(0), "1970-01-01T00:00:00");
        assert_eq!(written(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(written(1_795_262_400), "2026-11-21T12:00:00");
        assert_eq!(written(4_107_542_399), "2100-02-28T23:59:59");
        let fraction = parse("2026-11-21T12:00:00.25Z").unwrap();
        assert_eq!(fraction.unix_millis(), 1_795_262_400_250);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T12:00:00",
            "2026-11-31T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00Z",
            "2026-11-21T12:00:00.xZ",
            "26-11-21T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(secs in 0..253_402_300_800u64) {
            let time = Timestamp::from_unix_secs(secs);
            prop_assert_eq!(parse(&(iso(time) + "Z")), Some(time));
        }
    }
}
