//! Whether a report is true.

use story_checker_core::{Report, Timestamp, Verdict};
use story_checker_sim::{Platform, Timestamp as SimTime, TruthKind};

/// Whether the verdict, with all of its items, was true at some instant between the first request of
/// its check and the answer.
pub(crate) fn was_true(platform: &Platform, report: &Report) -> bool {
    let (first, last) = (report.timings.started, report.timings.ended);
    // Stories begin and end at whole seconds, so that nothing changes in between.
    let seconds = (first.as_secs() + 1..=last.as_secs()).map(Timestamp::from_secs);
    [last, first].into_iter().chain(seconds).any(|at| agrees(platform, report, at))
}

fn agrees(platform: &Platform, report: &Report, at: Timestamp) -> bool {
    let truth = platform.truth(report.target.handle(), SimTime::from_unix_millis(at.as_millis()));
    match (&report.verdict, truth.kind) {
        (Verdict::Active, TruthKind::Active) => {
            let said = sorted(report.items.iter().map(|item| number(&item.id)));
            said == sorted(truth.items.iter().map(|item| Some(item.pk)))
        }
        (Verdict::NoStory, TruthKind::NoStory)
        | (Verdict::Private, TruthKind::Private)
        | (Verdict::NotFound, TruthKind::NotFound) => report.items.is_empty(),
        _ => false,
    }
}

fn sorted(numbers: impl Iterator<Item = Option<u64>>) -> Vec<Option<u64>> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// The item's own number: ids come as `pk` or `pk_owner`.
fn number(id: &str) -> Option<u64> {
    id.split('_').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use story_checker_core::{Evidence, Item, MediaKind, Timings};
    use story_checker_sim::{AccountScript, ScriptedStory, SimConfig};

    use super::*;

    const POSTED: u64 = 1_795_251_600;

    #[test]
    fn a_verdict_must_have_been_true_while_it_was_looked_for() {
        let platform = Platform::new(SimConfig::new(1)).unwrap();
        let at = SimTime::from_unix_secs;
        let story = ScriptedStory::image(at(POSTED), at(POSTED + 60));
        platform.set_account("tea_house", AccountScript::active([story]));
        let pk = platform.truth("tea_house", at(POSTED)).items[0].pk;
        let judge = |verdict, items: &[u64], from: u64, to: u64| {
            let target = "instagram/account/tea_house".parse().unwrap();
            let started = Timestamp::from_millis(from);
            let timings = Timings::new(started, std::time::Duration::from_millis(to - from));
            let item = |pk| Item::new(format!("{pk}_9"), MediaKind::Image, started);
            let report = Report::new(target, verdict, Evidence::new("test/1"), timings);
            was_true(&platform, &report.with_items(items.iter().map(item).collect()))
        };
        let (posted, gone) = (POSTED * 1_000, (POSTED + 60) * 1_000);
        assert!(judge(Verdict::Active, &[pk], posted, posted + 10));
        assert!(judge(Verdict::NoStory, &[], posted - 1, posted + 10));
        assert!(!judge(Verdict::NoStory, &[], posted, posted + 10));
        assert!(!judge(Verdict::Active, &[pk + 1], posted, posted + 10));
        assert!(!judge(Verdict::Active, &[pk, pk], posted, posted + 10));
        assert!(!judge(Verdict::Active, &[pk], posted - 10, posted - 1));
        // It came and went while it was looked for.
        assert!(judge(Verdict::Active, &[pk], posted - 10, gone + 10));
        assert!(!judge(Verdict::Private, &[], posted - 10, gone + 10));
    }
}
