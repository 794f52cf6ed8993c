//! The store's clock: it runs with the machine, not with the wall clock.
//!
//! A lease must end neither early nor late because somebody set the time. So the file keeps an
//! *anchor*: what the store's clock said at some moment since the machine's boot. From there it
//! counts the time since boot, which goes on during sleep and is the same for all processes. Only
//! after a reboot the wall clock is asked again; a difference that remains is made up slowly.

use std::fmt::Debug;

use story_checker_core::{Clock, SystemClock, Timestamp};

/// What the machine's clocks say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostTime {
    /// Which run of the machine this is.
    pub boot: u128,
    /// Milliseconds since it began, sleep included.
    pub since_boot: u64,
    /// What the calendar says; may jump.
    pub wall: Timestamp,
}

impl HostTime {
    /// A reading by its parts.
    #[must_use]
    pub const fn new(boot: u128, since_boot: u64, wall: Timestamp) -> Self {
        Self { boot, since_boot, wall }
    }
}

/// Reads the machine's clocks; tests put their own in its place.
pub trait HostClock: Debug + Send + Sync + 'static {
    /// All clocks at once.
    fn read(&self) -> HostTime;
}

/// The clocks of this machine.
#[derive(Debug)]
#[non_exhaustive]
pub struct SystemHost {
    boot: u128,
}

impl SystemHost {
    /// Looks up which run of the machine this is.
    #[must_use]
    pub fn new() -> Self {
        // Elsewhere than on Linux a reboot shows by the time since boot alone.
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        Self { boot: u128::from_str_radix(&digits, 16).unwrap_or_default() }
    }
}

impl Default for SystemHost {
    fn default() -> Self {
        Self::new()
    }
}

impl HostClock for SystemHost {
    fn read(&self) -> HostTime {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(id);
        let millis = time.tv_sec * 1_000 + time.tv_nsec / 1_000_000;
        HostTime {
            boot: self.boot,
            since_boot: u64::try_from(millis).unwrap_or_default(),
            wall: SystemClock::new().now(),
        }
    }
}

/// What the store's clock said at a moment since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) boot: u128,
    pub(crate) since_boot: u64,
    /// What it said.
    pub(crate) store: u64,
    /// By how much it is to be put right from there, slowly.
    pub(crate) slew: i64,
    /// The last time that is known to have been told.
    pub(crate) tick: u64,
}

/// Of the time that passes, this share at most is used to put the clock right.
const SLEW_SHARE: u64 = 100;

/// A smaller difference from the wall clock is left alone.
const SLEW_FROM: u64 = 100;

/// The wall clock is looked at this long after the last look: most jumps are taken back by then.
const SLEW_AFTER: u64 = 600_000;

impl Anchor {
    /// The store's time, and the new anchor if the machine has been restarted since.
    pub(crate) fn now(self, host: HostTime) -> (Timestamp, Option<Self>) {
        if self.boot != host.boot || host.since_boot < self.since_boot {
            let store = host.wall.as_millis().max(self.tick);
            let HostTime { boot, since_boot, .. } = host;
            let anchor = Self { boot, since_boot, store, slew: 0, tick: store };
            return (Timestamp::from_millis(store), Some(anchor));
        }
        let elapsed = host.since_boot - self.since_boot;
        let most = i64::try_from(elapsed / SLEW_SHARE).unwrap_or(i64::MAX);
        let slewed = self.slew.clamp(-most, most);
        let now = self.store.saturating_add(elapsed).saturating_add_signed(slewed);
        (Timestamp::from_millis(now), None)
    }

    /// The anchor from which the clock goes slowly towards the wall clock, if it is off.
    pub(crate) fn corrected(self, host: HostTime) -> Option<Self> {
        let (now, moved) = self.now(host);
        let (wall, store) = (host.wall.as_millis(), now.as_millis());
        let off = wall.abs_diff(store);
        let early = host.since_boot.saturating_sub(self.since_boot) < SLEW_AFTER;
        if moved.is_some() || early || (off < SLEW_FROM && self.slew == 0) {
            return moved;
        }
        let slew = i64::try_from(off).unwrap_or(i64::MAX);
        let slew = if off < SLEW_FROM { 0 } else { slew * if wall < store { -1 } else { 1 } };
        let HostTime { boot, since_boot, .. } = host;
        Some(Self { boot, since_boot, store, slew, tick: store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const START: u64 = 1_795_251_600_000;

    fn host(boot: u128, since_boot: u64, wall: u64) -> HostTime {
        HostTime::new(boot, since_boot, Timestamp::from_millis(wall))
    }

    fn anchor() -> Anchor {
        Anchor { boot: 1, since_boot: 5_000, store: START, slew: 0, tick: START }
    }

    #[test]
    fn a_jump_of_the_wall_clock_changes_nothing() {
        for wall in [START - HOUR, START, START + HOUR, 0] {
            let (now, moved) = anchor().now(host(1, 35_000, wall));
            assert_eq!((now.as_millis(), moved), (START + 30_000, None));
        }
    }

    #[test]
    fn after_a_restart_the_wall_clock_is_asked_but_time_never_goes_back() {
        let (now, moved) = anchor().now(host(2, 100, START + HOUR));
        assert_eq!(now.as_millis(), START + HOUR);
        assert_eq!(moved.unwrap().now(host(2, 200, 0)).0.as_millis(), START + HOUR + 100);
        let (now, moved) = anchor().now(host(2, 100, START - HOUR));
        assert_eq!(now.as_millis(), START);
        assert!(moved.is_some());
        // Without the name of the boot, a shorter time since boot tells.
        assert!(anchor().now(host(1, 4_000, START)).1.is_some());
    }

    #[test]
    fn a_difference_is_made_up_slowly_and_time_never_goes_back() {
        for off in [-10_000i64, 10_000] {
            let wall = |elapsed: u64| (START + elapsed).saturating_add_signed(off);
            let at = |elapsed| host(1, 5_000 + elapsed, wall(elapsed));
            assert_eq!(anchor().corrected(at(SLEW_AFTER - 1)), None, "not yet");
            let slewing = anchor().corrected(at(SLEW_AFTER)).unwrap();
            let mut last = START + SLEW_AFTER;
            for elapsed in (SLEW_AFTER..SLEW_AFTER + 2_000_000).step_by(1_000) {
                let now = slewing.now(at(elapsed)).0.as_millis();
                assert!(now >= last);
                let step = now - last;
                assert!(elapsed == SLEW_AFTER || (990..=1_010).contains(&step), "{step}");
                last = now;
            }
            assert_eq!(last, wall(SLEW_AFTER + 1_999_000), "and then it agrees");
        }
        let close = host(1, 5_000 + SLEW_AFTER, START + SLEW_AFTER + 50);
        assert_eq!(anchor().corrected(close), None, "close enough");
    }

    #[test]
    fn the_machine_knows_its_boot() {
        let host = SystemHost::new();
        let (first, second) = (host.read(), host.read());
        assert!(second.since_boot >= first.since_boot);
        assert_eq!(first.boot, SystemHost::default().read().boot);
    }
}
