//! Where a worker was when it died.

use std::collections::HashMap;
use std::fmt;

use crate::ledger::{Book, Entry};
use crate::spot::Spot;

/// Where a worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Death {
    /// It ended itself there, as it was told, or by a job.
    At(Spot),
    /// Killed from outside, with this unanswered or undone.
    Outside(&'static str),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(Spot::POISON) => f.write_str("of poison"),
            Self::At(spot) => write!(f, "{spot}"),
            Self::Outside(place) => write!(f, "killed {place}"),
        }
    }
}

impl Death {
    /// Where the process of this ledger died, if it is a worker that did.
    pub(super) fn of(book: &Book) -> Option<Self> {
        let (mut open, mut claimed) = (HashMap::new(), 0_usize);
        for (_, entry) in &book.lines {
            match entry {
                Entry::Beat { call, .. } => _ = open.insert(*call, "in a beat"),
                Entry::Begin { call, .. } => _ = open.insert(*call, "in mid-batch"),
                Entry::Claim { call, .. } => _ = open.insert(*call, "in a claim"),
                Entry::Settle { call, items } => {
                    claimed = claimed.saturating_sub(items.len());
                    open.insert(*call, "in a settlement");
                }
                Entry::Claimed { call, jobs } => {
                    claimed += jobs.len();
                    open.remove(call);
                }
                Entry::Beaten { call, .. }
                | Entry::End { call }
                | Entry::Failed { call, .. }
                | Entry::Settled { call, .. } => _ = open.remove(call),
                Entry::Died { spot } => return Some(Self::At(*spot)),
                Entry::Left | Entry::Enqueued { .. } | Entry::Frozen { .. } => return None,
                Entry::Cancelled { .. }
                | Entry::Maintained { .. }
                | Entry::Outage
                | Entry::Thawed { .. } => {}
            }
        }
        // What is closest to the store tells most.
        let places = ["in a settlement", "in a beat", "in a claim", "in mid-batch"];
        let place = places.into_iter().find(|place| open.values().any(|it| it == place));
        let idle = if claimed > 0 { "between claim and settlement" } else { "while idle" };
        Some(Self::Outside(place.unwrap_or(idle)))
    }
}
