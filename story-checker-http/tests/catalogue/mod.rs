//! The error catalogue: every answer that is known, what it means, who is charged, and what happens
//! to the job. W1 to W22 are the platform's answers, T rows transport and proxies, E rows what looks
//! empty, A, G, N and P rows what else can be said of an account.

mod rows;
mod script;

use std::collections::BTreeSet;
use std::time::Duration;

use story_checker_core::charge::{Fate, ProxyCharge, SessionCharge, charge};
use story_checker_core::{Class, Fault, Report, Scope, Timestamp};

use self::rows::{IDS, rows, second_rows};
use self::script::{Answer, NOW, Route, World};

/// One answer, or several that belong together.
struct Row {
    id: &'static str,
    /// What the platform answers instead of the usual.
    with: Vec<(Route, Answer)>,
    expect: Expect,
    /// What the operator's text, or the facts, must say.
    says: &'static str,
}

#[derive(Clone, Copy)]
enum Expect {
    Verdict(&'static str),
    /// Class, scope, who pays and what happens to the job, seconds of rest.
    Fault(Class, Scope, &'static str, Option<u64>),
}

fn check(row: &Row, outcome: &Result<Report, Fault>) {
    let id = row.id;
    match (row.expect, outcome) {
        (Expect::Verdict(verdict), Ok(report)) => {
            assert_eq!(report.verdict.as_str(), verdict, "{id}");
            let facts = report.evidence.facts.join("; ");
            assert!(facts.contains(row.says), "{id}: {facts}");
        }
        (Expect::Fault(class, scope, pays, rest), Err(fault)) => {
            assert_eq!((fault.class, fault.scope), (class, scope), "{id}: {fault}");
            assert_eq!(describe(class, scope), pays, "{id}");
            let rest = rest.map(|rest| Timestamp::from_secs(NOW) + Duration::from_secs(rest));
            assert_eq!(fault.until, rest, "{id}: {fault}");
            assert!(fault.message.contains(row.says), "{id}: {fault}");
            let evidence = fault.evidence.as_ref().unwrap_or_else(|| panic!("{id}: no evidence"));
            assert!(!evidence.requests.is_empty(), "{id}");
        }
        (_, outcome) => panic!("{id}: {outcome:?}"),
    }
}

/// Who pays, and what happens to the job.
fn describe(class: Class, scope: Scope) -> &'static str {
    let charge = charge(class, scope);
    match (charge.proxy, charge.session, charge.block, charge.job, charge.tell) {
        (ProxyCharge::Cool, SessionCharge::Nothing, false, Fate::Defer, false) => {
            "proxy rests, defer"
        }
        (ProxyCharge::Count, SessionCharge::Nothing, false, Fate::Retry, false) => {
            "proxy counts, retry"
        }
        (ProxyCharge::Nothing, SessionCharge::Cool, false, Fate::Defer, false) => {
            "session rests, defer"
        }
        (ProxyCharge::Nothing, SessionCharge::NeedLogin, false, Fate::Defer, true) => {
            "session needs login, defer, tell"
        }
        (ProxyCharge::Nothing, SessionCharge::Challenge, false, Fate::Defer, true) => {
            "session challenged, defer, tell"
        }
        (ProxyCharge::Nothing, SessionCharge::Suspend, false, Fate::Defer, true) => {
            "session suspended, defer, tell"
        }
        (ProxyCharge::Nothing, SessionCharge::Nothing, true, Fate::Defer, false) => "block, defer",
        (ProxyCharge::Nothing, SessionCharge::Nothing, false, Fate::Retry, false) => "retry",
        (ProxyCharge::Nothing, SessionCharge::Nothing, false, Fate::Dead, true) => "dead, tell",
        _ => "something else",
    }
}

#[tokio::test(start_paused = true)]
async fn every_row_of_the_catalogue() {
    let rows = rows();
    for row in &rows {
        check(row, &World::new(true).check(&row.with).await);
    }
    let known: BTreeSet<_> = IDS.iter().copied().collect();
    assert_eq!(known.len(), IDS.len(), "an id stands twice in the list");
    let shown: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    let missing: Vec<_> = known.symmetric_difference(&shown).collect();
    assert!(missing.is_empty(), "rows without id, or ids without row: {missing:?}");
}

/// A fault says the same whichever request it answers.
#[tokio::test(start_paused = true)]
async fn what_an_answer_means_does_not_depend_on_the_route() {
    for row in rows() {
        let ([(Route::Profile, answer)], Expect::Fault(..)) = (&row.with[..], row.expect) else {
            continue;
        };
        if !row.id.starts_with(['W', 'T']) {
            continue;
        }
        for route in [Route::Reels, Route::Viewer] {
            check(&row, &World::new(true).check(&[(route, answer.clone())]).await);
        }
    }
}

/// Without a proxy nothing is charged to one, and a session pays only for what it did.
#[tokio::test(start_paused = true)]
async fn without_a_proxy_our_own_way_pays() {
    for row in rows() {
        let Expect::Fault(class, scope, ..) = row.expect else { continue };
        let fault = World::new(false).check(&row.with).await.unwrap_err();
        let expected = match (class, scope) {
            // These can come from a proxy only.
            _ if ["T-407", "T-407-connect", "T-connect", "T-refused"].contains(&row.id) => continue,
            (Class::Blocked, Scope::Proxy) => (class, Scope::App),
            (Class::RateLimited, Scope::Proxy) => (class, Scope::Session),
            (Class::Malformed, Scope::Proxy) if row.id == "T-tls" => {
                (Class::Transient, Scope::Endpoint)
            }
            (_, Scope::Proxy) => (class, Scope::Endpoint),
            _ => (class, scope),
        };
        assert_eq!((fault.class, fault.scope), expected, "{}: {fault}", row.id);
    }
}

/// Rows that mean more the second time in a row.
#[tokio::test(start_paused = true)]
async fn what_comes_twice_in_a_row() {
    for row in second_rows() {
        let world = World::new(true);
        world.check(&row.with).await.unwrap_err();
        check(&row, &world.check(&row.with).await);
        // A good answer in between, and it is the first one again.
        world.check(&[]).await.unwrap();
        let first = rows().into_iter().find(|first| first.id == row.id).unwrap();
        let remembered: Vec<_> =
            row.with.iter().map(|(_, answer)| (Route::Reels, answer.clone())).collect();
        check(&first, &world.check(&remembered).await);
    }
}

/// Only the first answer of a kind is kept.
#[tokio::test(start_paused = true)]
async fn a_new_kind_of_error_is_kept_once() {
    for row in rows() {
        let ([(Route::Profile, Answer::Http { .. })], Expect::Fault(..)) =
            (&row.with[..], row.expect)
        else {
            continue;
        };
        let world = World::new(true);
        let mut kept = Vec::new();
        for _ in 0..3 {
            let fault = world.check(&row.with).await.unwrap_err();
            // Without its cookie the session asks nothing any more.
            kept.extend(fault.evidence.and_then(|evidence| evidence.specimen));
        }
        // What means more the second time is of another kind then.
        let twice = second_rows().iter().any(|second| row.id.starts_with(second.id));
        let (least, most) = if row.id == "E-latest" { (0, 0) } else { (1, 1 + usize::from(twice)) };
        assert!((least..=most).contains(&kept.len()), "{}: {kept:?}", row.id);
        for specimen in kept {
            assert!(specimen.starts_with("status ") && specimen.contains("body of "), "{specimen}");
            assert!(specimen.len() < 3_500, "{}", row.id);
        }
    }
}
