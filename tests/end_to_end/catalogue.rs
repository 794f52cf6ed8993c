//! Every answer of the simulator's catalogue through the whole engine: class, scope, and what becomes
//! of session, proxy and job.
//!
//! The crates that classify test their own tables; this one holds the judge and the judged together:
//! an answer that only one of them knows fails it.

use std::collections::BTreeMap;

use story_checker_core::Verdict;
use story_checker_core::charge::{Fate, charge};
use story_checker_core::engine::{Event, SubmitOptions};
use story_checker_core::retry::RetryPolicy;
use story_checker_sim::{AccountScript, Api, Row, Rule, rows};

use super::judge::Court;

/// Row, what the check ends with, the state of its session, whether a proxy rests, the job's fate.
const EXPECTED: &str = include_str!("catalogue.txt");

#[tokio::test(start_paused = true)]
async fn every_row_has_its_class_charge_and_verdict() {
    let mut lines = Vec::new();
    for row in rows() {
        for &api in apis(row.id) {
            lines.push(through_the_engine(row, api).await);
        }
    }
    let got = lines.join("\n");
    println!("{got}");
    let by_id = |text: &str| -> BTreeMap<String, String> {
        let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let parts = |line: &str| {
            let (id, rest) = line.split_once(' ').unwrap_or((line, ""));
            (id.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        rows.map(parts).collect()
    };
    let (got, expected) = (by_id(&got), by_id(EXPECTED));
    for (id, outcome) in &expected {
        assert_eq!(got.get(id), Some(outcome), "{id}");
    }
    assert_eq!(got.len(), expected.len(), "a row is missing in catalogue.txt");
}

/// One check of one account while every request to the row's API is answered with the row.
async fn through_the_engine(row: &Row, api: Api) -> String {
    let mut policy = RetryPolicy::default();
    // The first fault is the last.
    policy.max_attempts = 1;
    policy.max_deferrals = 1;
    let mut court = Court::with_policy(1, 1, 1, 1, policy).await;
    court.platform.set_account("acct_000000", AccountScript::no_story());
    court.platform.add_rule(Rule::row(row.id).with_api(api)).unwrap();
    let (engine, platform, session) = match api {
        Api::Graph => (1, "instagram", "graph-acct_000000"),
        Api::X => (0, "x", "x-0"),
        _ => (0, "instagram", "viewer_0"),
    };
    let target = format!("{platform}/account/acct_000000").parse().unwrap();
    court.engines[engine].submit([target], SubmitOptions::default()).await.unwrap();
    let mut proxy = "-".to_owned();
    let report = loop {
        match court.events[engine].next().await.unwrap() {
            Event::Reported { report, .. } => break report,
            Event::ProxyChanged { .. } => proxy = "proxy_rests".to_owned(),
            _ => {}
        }
    };
    let (ends, fate) = match &report.verdict {
        Verdict::Unknown { cause } => {
            let fate = match charge(cause.class, cause.scope).job {
                Fate::Dead => "dead",
                Fate::Defer => "defer",
                Fate::Release => "release",
                Fate::Retry => "retry",
                other => panic!("{other:?}"),
            };
            assert!(cause.message.len() > 20, "{}: the operator is told too little", row.id);
            (format!("{}/{}", cause.class, cause.scope), fate)
        }
        verdict => (verdict.as_str().to_owned(), "done"),
    };
    let state = court.states().await[session].as_str();
    for engine in court.engines {
        engine.shutdown(std::time::Duration::from_secs(1)).await;
    }
    let id = match api {
        Api::Graph => format!("{}@graph", row.id),
        Api::X => format!("{}@x", row.id),
        _ => format!("{}@web", row.id),
    };
    format!("{id:28} {ends:32} {state:14} {proxy:12} {fate}")
}

/// Which APIs give an answer: empty bodies, walls and the like stand before all of them.
fn apis(id: &str) -> &'static [Api] {
    match id.chars().next() {
        Some('E' | 'T') => &[Api::Web, Api::Graph, Api::X],
        Some('G') => &[Api::Graph],
        Some('X') => &[Api::X],
        _ => &[Api::Web],
    }
}
