use story_checker_core::Fence;

use super::*;
use crate::ledger::{Call, Lease, Pulse, Said};
use crate::spot::{Phase, Spot, Verb};

const SECOND: Micros = 1_000_000;
const LEASE: Micros = 2 * SECOND;

fn id(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

fn lease(number: u8, fence: u64) -> Lease {
    (id(number), Fence::new(fence))
}

/// A ledger by hand. Times are milliseconds.
#[derive(Clone, Debug, Default)]
struct Hand(Book, Call);

impl Hand {
    fn new(process: &str) -> Self {
        Self(Book { process: process.to_owned(), lines: Vec::new() }, 0)
    }

    fn line(mut self, at: u64, entry: Entry) -> Self {
        self.0.lines.push((at * 1_000, entry));
        self
    }

    /// Claims a job that has crashed so often; the answer takes a millisecond.
    fn claim(mut self, at: u64, (id, fence): Lease, crashes: u32) -> Self {
        self.1 += 1;
        let call = self.1;
        let jobs = vec![(id, fence, crashes)];
        self.line(at, Entry::Claim { call, lease: LEASE })
            .line(at + 1, Entry::Claimed { call, jobs })
    }

    fn run(mut self, from: u64, to: u64, lease: Lease) -> Self {
        self.1 += 1;
        let call = self.1;
        self.line(from, Entry::Begin { call, leases: vec![lease] }).line(to, Entry::End { call })
    }

    /// Begins, and dies of it.
    fn dies(mut self, at: u64, lease: Lease) -> Self {
        self.1 += 1;
        let call = self.1;
        self.line(at, Entry::Begin { call, leases: vec![lease] })
            .line(at, Entry::Died { spot: Spot::POISON })
    }

    fn settle(mut self, at: u64, (id, fence): Lease, sent: Sent, said: Said) -> Self {
        self.1 += 1;
        let call = self.1;
        self.line(at, Entry::Settle { call, items: vec![(id, fence, sent)] })
            .line(at + 1, Entry::Settled { call, replies: vec![said], lost: false })
    }

    fn beat(mut self, at: u64, held: Lease, pulse: Pulse) -> Self {
        self.1 += 1;
        let call = self.1;
        self.line(at, Entry::Beat { call, lease: LEASE, leases: vec![held] })
            .line(at + 1, Entry::Beaten { call, replies: vec![pulse] })
    }
}

fn controller(jobs: &[u8]) -> Hand {
    let jobs = jobs.iter().map(|number| id(*number)).collect();
    Hand::new("controller").line(0, Entry::Enqueued { jobs })
}

fn done(number: u8, fence: u64) -> Last {
    let fence = Fence::new(fence);
    let (kind, end, crashes) = (Kind::Plain, Some(Sent::Done), 0);
    Last { id: id(number), kind, end, crashes, fence, reported: Some(fence) }
}

fn case(hands: impl IntoIterator<Item = Hand>, last: impl IntoIterator<Item = Last>) -> Case {
    let last: Vec<_> = last.into_iter().collect();
    let live = last.iter().filter(|last| last.end.is_none()).count() as u64;
    Case {
        books: hands.into_iter().map(|hand| hand.0).collect(),
        counted: (live, last.len() as u64 - live),
        last,
        max_crashes: 3,
        guard: SECOND,
    }
}

/// The rules that are broken, once each.
fn broken(case: &Case) -> Vec<Rule> {
    let mut rules: Vec<_> = audit(case).findings.iter().map(|finding| finding.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

#[track_caller]
fn expect(rule: Rule, hands: impl IntoIterator<Item = Hand>, last: impl IntoIterator<Item = Last>) {
    let case = case(hands, last);
    assert_eq!(broken(&case), [rule], "{:?}", audit(&case).findings);
}

#[track_caller]
fn expect_clean(
    hands: impl IntoIterator<Item = Hand>,
    last: impl IntoIterator<Item = Last>,
) -> Counts {
    let audit = audit(&case(hands, last));
    assert_eq!(audit.findings, []);
    audit.counts
}

#[test]
fn a_job_that_is_executed_twice_and_settled_once_is_fine() {
    let died = Hand::new("w0.1").claim(10, lease(1, 1), 0).dies(12, lease(1, 1));
    let heir = Hand::new("w1.1")
        .claim(2_100, lease(1, 3), 1)
        .run(2_102, 2_110, lease(1, 3))
        .settle(2_111, lease(1, 3), Sent::Done, Said::Applied)
        .settle(2_115, lease(1, 3), Sent::Done, Said::AlreadyDone)
        .line(2_200, Entry::Left);
    let counts = expect_clean([controller(&[1]), died, heir], [done(1, 3)]);
    assert_eq!((counts.claims, counts.executions, counts.settled, counts.already), (2, 2, 1, 1));
    assert_eq!(counts.deaths, [(Death::At(Spot::POISON), 1)].into());
}

#[test]
fn a_zombie_that_wakes_stops_and_settles_nothing_is_fine() {
    let froze = |at, worker: &str| (at, Entry::Frozen { worker: worker.to_owned() });
    let (at, frozen) = froze(100, "w0.1");
    let boss =
        controller(&[1]).line(at, frozen).line(4_100, Entry::Thawed { worker: "w0.1".to_owned() });
    let zombie = Hand::new("w0.1")
        .claim(10, lease(1, 1), 0)
        .run(12, 4_105, lease(1, 1))
        .settle(4_106, lease(1, 1), Sent::Done, Said::Stale)
        .line(4_200, Entry::Left);
    let heir = Hand::new("w1.1")
        .claim(2_020, lease(1, 3), 1)
        .run(2_022, 2_030, lease(1, 3))
        .settle(2_031, lease(1, 3), Sent::Done, Said::Applied)
        .line(4_200, Entry::Left);
    let counts = expect_clean([boss, zombie.clone(), heir.clone()], [done(1, 3)]);
    assert_eq!((counts.stale, counts.zombies), (1, 1));
    // Nobody stopped it: it went on for two seconds on its own.
    expect(Rule::RanOn, [controller(&[1]), zombie, heir], [done(1, 3)]);
}

#[test]
fn a_job_that_is_not_there_is_lost() {
    let worker = Hand::new("w0.1").line(5, Entry::Left);
    expect(Rule::Lost, [controller(&[1]), worker], []);
}

#[test]
fn counters_that_tell_another_story_than_the_listing_are_a_loss() {
    let hand = Hand::new("w0.1").claim(10, lease(1, 1), 0).settle(
        20,
        lease(1, 1),
        Sent::Done,
        Said::Applied,
    );
    let mut case = case([controller(&[1]), hand], [done(1, 1)]);
    assert_eq!(broken(&case), []);
    case.counted = (1, 0);
    assert_eq!(broken(&case), [Rule::Lost]);
}

#[test]
fn a_job_that_has_not_ended_is_found() {
    let last = Last { end: None, reported: None, ..done(1, 0) };
    expect(Rule::Unended, [controller(&[1])], [last]);
}

#[test]
fn two_applied_ends_of_one_job_are_found() {
    let late = |name: &str, at, fence, crashes| {
        Hand::new(name).claim(at, lease(1, fence), crashes).settle(
            at + 2_500,
            lease(1, fence),
            Sent::Done,
            Said::Applied,
        )
    };
    let hands = [controller(&[1]), late("w0.1", 10, 1, 0), late("w1.1", 2_020, 3, 1)];
    let last = Last { fence: Fence::new(3), ..done(1, 1) };
    expect(Rule::SettledTwice, hands, [last]);
}

#[test]
fn one_lease_that_is_settled_twice_is_found() {
    let hand = Hand::new("w0.1")
        .claim(10, lease(1, 1), 0)
        .settle(20, lease(1, 1), Sent::Done, Said::Applied)
        .settle(30, lease(1, 1), Sent::Done, Said::Applied);
    expect(Rule::SettledTwice, [controller(&[1]), hand], [done(1, 1)]);
}

#[test]
fn a_claim_after_the_end_is_found() {
    let first = Hand::new("w0.1").claim(10, lease(1, 1), 0).settle(
        20,
        lease(1, 1),
        Sent::Done,
        Said::Applied,
    );
    let again = Hand::new("w1.1").claim(40, lease(1, 2), 0);
    expect(
        Rule::SettledTwice,
        [controller(&[1]), first, again],
        [Last { fence: Fence::new(2), ..done(1, 1) }],
    );
}

#[test]
fn leases_that_overlap_are_found_unless_the_first_was_given_up() {
    let first = Hand::new("w0.1").claim(10, lease(1, 1), 0);
    let second = |at| {
        Hand::new("w1.1").claim(at, lease(1, 3), 1).settle(
            at + 10,
            lease(1, 3),
            Sent::Done,
            Said::Applied,
        )
    };
    let hands = |first: &Hand, at| [controller(&[1]), first.clone(), second(at)];
    expect_clean(hands(&first, 2_010), [done(1, 3)]);
    expect(Rule::Overlapping, hands(&first, 1_900), [done(1, 3)]);
    // A beat that was answered with "held" gives it more time.
    let beaten = first.clone().beat(1_000, lease(1, 1), Pulse::Held);
    expect(Rule::Overlapping, hands(&beaten, 2_900), [done(1, 3)]);
    expect_clean(hands(&beaten, 3_000), [done(1, 3)]);
    let unheard = first.clone().beat(1_000, lease(1, 1), Pulse::Stale);
    expect_clean(hands(&unheard, 2_900), [done(1, 3)]);
    // Given back, it may go to anybody at once, whether the answer came or not.
    let given_back =
        first.line(50, Entry::Settle { call: 9, items: vec![(id(1), Fence::new(1), Sent::Again)] });
    expect_clean(hands(&given_back, 60), [done(1, 3)]);
}

#[test]
fn fences_that_do_not_grow_are_found() {
    let claims = |one, other| {
        let settled = |name: &str, at, fence, sent| {
            Hand::new(name).claim(at, lease(1, fence), 0).settle(
                at + 2,
                lease(1, fence),
                sent,
                Said::Applied,
            )
        };
        [
            controller(&[1]),
            settled("w0.1", 10, one, Sent::Again),
            settled("w1.1", 30, other, Sent::Done),
        ]
    };
    expect_clean(claims(1, 2), [done(1, 2)]);
    expect(Rule::Fences, claims(2, 1), [Last { fence: Fence::new(2), ..done(1, 1) }]);
    expect(Rule::Fences, claims(1, 1), [done(1, 1)]);
    // The store has forgotten a grant.
    expect(Rule::Fences, claims(1, 2), [Last { fence: Fence::new(1), ..done(1, 2) }]);
}

#[test]
fn work_on_a_lease_that_is_known_to_be_over_is_found() {
    let stale = Hand::new("w0.1")
        .claim(10, lease(1, 1), 0)
        .beat(2_100, lease(1, 1), Pulse::Stale)
        .run(2_110, 2_120, lease(1, 1));
    let heir = Hand::new("w1.1").claim(2_020, lease(1, 3), 1).settle(
        2_030,
        lease(1, 3),
        Sent::Done,
        Said::Applied,
    );
    expect(Rule::RanOn, [controller(&[1]), stale, heir], [done(1, 3)]);
    let unclaimed = Hand::new("w0.1").claim(10, lease(1, 1), 0).run(20, 30, lease(1, 7)).settle(
        31,
        lease(1, 1),
        Sent::Done,
        Said::Applied,
    );
    expect(Rule::RanOn, [controller(&[1]), unclaimed], [done(1, 1)]);
}

/// A poison job that kills so many workers, and is then settled as dead.
fn poison(deaths: u32) -> (Vec<Hand>, Last) {
    let at = |number: u32| u64::from(number) * 2_100;
    let mut hands = vec![controller(&[1])];
    for number in 0..deaths {
        let lease = lease(1, u64::from(number) * 2 + 1);
        hands.push(
            Hand::new(&format!("w0.{number}"))
                .claim(at(number), lease, number.min(2))
                .dies(at(number) + 5, lease),
        );
    }
    let fence = u64::from(deaths) * 2 + 1;
    let (lease, dead) = (lease(1, fence), Sent::Dead(DeadReason::Crashed));
    hands.push(Hand::new("w9.1").claim(at(deaths), lease, deaths).settle(
        at(deaths) + 2,
        lease,
        dead,
        Said::Applied,
    ));
    (hands, Last { kind: Kind::Poison, end: Some(dead), crashes: deaths, ..done(1, fence) })
}

#[test]
fn poison_kills_as_many_workers_as_the_cap_says() {
    let (hands, last) = poison(3);
    let counts = expect_clean(hands, [last]);
    assert_eq!(counts.poison, (1, 3));
    for deaths in [2, 4] {
        let (hands, last) = poison(deaths);
        expect(Rule::CrashCap, hands, [last]);
    }
    let (hands, last) = poison(3);
    let forgotten = Last { crashes: 1, ..last };
    expect(Rule::CrashCap, hands, [forgotten]);
}

#[test]
fn a_run_after_as_many_crashes_as_the_cap_says_is_found() {
    let hand = Hand::new("w0.1").claim(10, lease(1, 7), 3).run(12, 15, lease(1, 7)).settle(
        16,
        lease(1, 7),
        Sent::Done,
        Said::Applied,
    );
    expect(Rule::CrashCap, [controller(&[1]), hand], [Last { crashes: 3, ..done(1, 7) }]);
}

#[test]
fn a_claim_without_an_answer_may_have_brought_the_crash() {
    let (mut hands, last) = poison(2);
    let last = Last { crashes: 3, ..last };
    assert_eq!(broken(&case(hands.clone(), [last.clone()])), [Rule::CrashCap]);
    let unheard = Hand::new("w0.9").line(1, Entry::Claim { call: 1, lease: LEASE });
    hands.push(unheard.line(1, Entry::Died { spot: Spot(Verb::Claim, Phase::After) }));
    expect_clean(hands, [last]);
}

#[test]
fn a_cancelled_job_may_end_but_not_begin() {
    let doomed =
        |end, reported| Last { kind: Kind::Doomed, end: Some(end), reported, ..done(1, 1) };
    let cancelled = || controller(&[1]).line(100, Entry::Cancelled { changed: 1 });
    let held = Hand::new("w0.1").claim(10, lease(1, 1), 0).beat(200, lease(1, 1), Pulse::Cancel);
    let ends = held.clone().settle(210, lease(1, 1), Sent::Cancelled, Said::Applied);
    expect_clean([cancelled(), ends], [doomed(Sent::Cancelled, None)]);
    expect_clean(
        [cancelled()],
        [Last { fence: Fence::default(), ..doomed(Sent::Cancelled, None) }],
    );
    let begins =
        held.run(205, 208, lease(1, 1)).settle(210, lease(1, 1), Sent::Done, Said::Applied);
    let by = Some(Fence::new(1));
    expect(Rule::CancelledRan, [cancelled(), begins], [doomed(Sent::Done, by)]);
    let claims = Hand::new("w0.1").claim(110, lease(1, 1), 0).settle(
        130,
        lease(1, 1),
        Sent::Done,
        Said::Applied,
    );
    expect(Rule::CancelledRan, [cancelled(), claims], [doomed(Sent::Done, by)]);
}

#[test]
fn an_end_that_nobody_sent_is_found() {
    let hand = |said| {
        [
            controller(&[1]),
            Hand::new("w0.1").claim(10, lease(1, 1), 0).settle(20, lease(1, 1), Sent::Done, said),
        ]
    };
    expect_clean(hand(Said::Applied), [done(1, 1)]);
    let cancelled = Last { end: Some(Sent::Cancelled), reported: None, ..done(1, 1) };
    expect(Rule::Ended, hand(Said::Applied), [cancelled]);
    let other = Last { reported: Some(Fence::new(9)), ..done(1, 1) };
    expect(Rule::Ended, hand(Said::Applied), [other]);
    // The answer was lost: what was sent explains the end.
    let unheard = Hand::new("w0.1")
        .claim(10, lease(1, 1), 0)
        .line(20, Entry::Settle { call: 9, items: vec![(id(1), Fence::new(1), Sent::Done)] });
    expect_clean([controller(&[1]), unheard], [done(1, 1)]);
    expect(Rule::Ended, [controller(&[1])], [done(1, 0)]);
}

#[test]
fn the_place_of_a_death_is_what_was_open() {
    let at = |hand: Hand| Death::of(&hand.0).map(|death| death.to_string());
    let worker = || Hand::new("w0.1").claim(10, lease(1, 1), 0);
    let begin = Entry::Begin { call: 8, leases: vec![lease(1, 1)] };
    let settle = Entry::Settle { call: 9, items: vec![(id(1), Fence::new(1), Sent::Done)] };
    let killed = |place: &str| Some(format!("killed {place}"));
    assert_eq!(at(worker()), killed("between claim and settlement"));
    assert_eq!(at(worker().line(12, begin.clone())), killed("in mid-batch"));
    assert_eq!(at(worker().line(12, begin).line(13, settle)), killed("in a settlement"));
    let settled = worker().settle(20, lease(1, 1), Sent::Done, Said::Applied);
    assert_eq!(at(settled.clone()), killed("while idle"));
    assert_eq!(at(settled.line(30, Entry::Left)), None);
    assert_eq!(at(worker().dies(12, lease(1, 1))), Some("of poison".to_owned()));
    assert_eq!(at(controller(&[1])), None);
}
