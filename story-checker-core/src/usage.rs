//! How often something was used, and what came of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::fault::Class;

/// Counts of one proxy or session since its worker began to use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Checks that it was used for.
    pub uses: u64,
    /// Targets that were answered.
    pub ok: u64,
    /// Faults that were its own, by class.
    pub faults: BTreeMap<Class, u64>,
    /// The end of the latest of them.
    pub last_used: Option<Timestamp>,
}

/// The same in few bytes: most proxies never have a fault.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    uses: u64,
    ok: u64,
    last_used: Timestamp,
}

/// Faults by class.
#[derive(Debug, Default)]
pub(crate) struct Faults([u32; Class::ALL.len()]);

impl Tally {
    pub(crate) fn add(&mut self, ok: u64, now: Timestamp) {
        self.uses += 1;
        self.ok += ok;
        self.last_used = now;
    }

    pub(crate) fn usage(&self, faults: Option<&Faults>) -> Usage {
        Usage {
            uses: self.uses,
            ok: self.ok,
            faults: faults.map(Faults::by_class).unwrap_or_default(),
            last_used: (self.uses > 0).then_some(self.last_used),
        }
    }
}

impl Faults {
    pub(crate) fn add(&mut self, class: Class) {
        if let Some(count) = self.0.get_mut(class as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn by_class(&self) -> BTreeMap<Class, u64> {
        let counts = Class::ALL.iter().copied().zip(self.0);
        counts.filter(|(_, count)| *count > 0).map(|(class, n)| (class, n.into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_counted_by_its_own_name() {
        let (mut tally, mut faults) = (Tally::default(), Faults::default());
        assert_eq!(tally.usage(None), Usage::default());
        tally.add(3, Timestamp::from_secs(7));
        for (times, class) in Class::ALL.iter().enumerate() {
            (0..times).for_each(|_| faults.add(*class));
        }
        let usage = tally.usage(Some(&faults));
        assert_eq!((usage.uses, usage.ok), (1, 3));
        assert_eq!(usage.last_used, Some(Timestamp::from_secs(7)));
        for (times, class) in (0..).zip(Class::ALL).skip(1) {
            assert_eq!(usage.faults[class], times, "{class}");
        }
        assert!(!usage.faults.contains_key(&Class::ALL[0]), "what never came is not shown");
    }
}
