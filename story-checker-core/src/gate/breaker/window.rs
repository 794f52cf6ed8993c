use super::policy::BreakerPolicy;

/// So many slices are counted: the last minute.
const SLICES: u32 = 6;
/// The length of a slice of the window, in microseconds.
const SLICE: u64 = 10_000_000;

/// The results of the last minute, in slices of ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The number of the newest slice since the beginning of time.
    newest: u32,
    slices: [Slice; SLICES as usize],
}

/// Both numbers are halved before one is too large: the share stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    good: u8,
    bad: u8,
}

fn number(now: u64) -> u32 {
    u32::try_from(now / SLICE).unwrap_or(u32::MAX)
}

impl Window {
    pub(super) fn new(now: u64) -> Self {
        Self { newest: number(now), slices: Default::default() }
    }

    pub(super) fn count(&mut self, now: u64, good: bool) {
        self.roll(now);
        let slice = &mut self.slices[place(self.newest)];
        if slice.good.max(slice.bad) == u8::MAX {
            *slice = Slice { good: slice.good / 2, bad: slice.bad / 2 };
        }
        if good {
            slice.good += 1;
        } else {
            slice.bad += 1;
        }
    }

    /// Empties the slices whose time is over.
    fn roll(&mut self, now: u64) {
        let newest = number(now).max(self.newest);
        if newest - self.newest >= SLICES {
            self.slices = Default::default();
        } else {
            for number in self.newest..newest {
                self.slices[place(number + 1)] = Slice::default();
            }
        }
        self.newest = newest;
    }

    /// Failures and results, as far as they are kept.
    pub(super) fn counts(mut self, now: u64) -> (u32, u32) {
        self.roll(now);
        self.slices.iter().fold((0, 0), |(bad, all), slice| {
            (bad + u32::from(slice.bad), all + u32::from(slice.bad) + u32::from(slice.good))
        })
    }

    /// Whether surely more has failed than the policy allows.
    pub(super) fn surely_fails(self, policy: &BreakerPolicy, now: u64) -> bool {
        let (bad, all) = self.counts(now);
        all >= policy.least && surely(bad, all) > policy.share
    }

    /// When the last result came, rounded down.
    pub(super) fn last(self) -> u64 {
        u64::from(self.newest) * SLICE
    }
}

fn place(number: u32) -> usize {
    (number % SLICES) as usize
}

/// The share of failures that there is at the least: the lower end of Wilson's 95 % interval.
fn surely(bad: u32, all: u32) -> f64 {
    const Z: f64 = 1.96;
    let (n, share) = (f64::from(all), f64::from(bad) / f64::from(all));
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (share + Z * Z / (2.0 * n) - spread) / (1.0 + Z * Z / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_results_prove_little() {
        for (bad, all, least) in [(5, 8, 0.30), (7, 8, 0.52), (8, 8, 0.67), (60, 100, 0.50)] {
            assert!(
                (surely(bad, all) - least).abs() < 0.01,
                "{bad} of {all}: {}",
                surely(bad, all)
            );
        }
    }

    #[test]
    fn results_leave_the_window_after_a_minute_and_a_full_slice_keeps_the_share() {
        let mut window = Window::new(0);
        for number in 0..1_000 {
            window.count(0, number % 4 != 0);
        }
        let (bad, all) = window.counts(59_999_999);
        let share = f64::from(bad) / f64::from(all);
        assert!(all > 100 && (share - 0.25).abs() < 0.03, "{bad} of {all}");
        window.count(30_000_000, false);
        assert_eq!(window.counts(60_000_000), (1, 1));
        assert_eq!(window.counts(90_000_000), (0, 0));
    }
}
