//! In which periods targets could be answered.

use crate::case::{PERIOD, PERIODS};
use crate::diary::millis;

/// A period counts if it was fair for so long without a break.
const FAIR: u64 = 10 * 60_000;

/// When it was fair: targets could be answered.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// Each look: when, and whether it was fair.
    looks: Vec<(u64, bool)>,
}

impl Weather {
    /// Somebody has looked.
    pub(crate) fn note(&mut self, now: u64, fair: bool) {
        self.looks.push((now, fair));
    }

    /// For each period whether its targets were answerable: ten minutes in a row were fair.
    pub(crate) fn fair_periods(&self) -> Vec<bool> {
        let mut fair = vec![false; PERIODS];
        let mut since = None;
        for &(at, is_fair) in &self.looks {
            let period = usize::try_from(at / millis(PERIOD)).unwrap_or(PERIODS);
            let Some(place) = fair.get_mut(period) else { break };
            let begun = period as u64 * millis(PERIOD);
            since = is_fair.then(|| since.unwrap_or(at).max(begun));
            *place |= since.is_some_and(|since| at - since >= FAIR);
        }
        fair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_fair_minutes_in_a_row_make_a_period_count() {
        let mut weather = Weather::default();
        for minute in 0..90 {
            let fair = match minute {
                // Never ten in a row.
                0..30 => minute % 10 != 9,
                // The last of one period and the first of the next do not add up.
                30..60 => minute >= 52,
                60..90 => !(62..75).contains(&minute),
                _ => false,
            };
            weather.note(minute * 60_000, fair);
        }
        assert_eq!(weather.fair_periods()[..3], [false, false, true]);
    }
}
