//! What is written where.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use story_checker_core::Report;

use crate::support::{
    EXAMPLE, EXAMPLE_ACCOUNTS, ndjson, numbered_list, run, stderr, stdout, story_checker,
};

#[test]
fn the_demo_answers_for_every_account_of_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", EXAMPLE, "--json"]);
    // Nothing but JSON on standard output, and every report can be read back.
    let reports: Vec<Report> = serde_json::from_slice(&output.stdout).unwrap();
    let targets: HashSet<_> = reports.iter().map(|report| &report.target).collect();
    assert_eq!((reports.len(), targets.len()), (EXAMPLE_ACCOUNTS, EXAMPLE_ACCOUNTS));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.starts_with("demo: these accounts are simulated"), "{said}");
    let summary = said.lines().last().unwrap();
    assert!(summary.starts_with("60 accounts: ") && summary.contains("; 1 duplicate"), "{summary}");
    let verdicts: HashSet<_> = reports.iter().map(|report| report.verdict.as_str()).collect();
    assert_eq!(verdicts, HashSet::from(["active", "no_story", "private", "not_found"]));
    // Every answer came by a proxy, with a session, and says by which request.
    for report in &reports {
        assert!(report.evidence.proxy.is_some() && report.evidence.session.is_some());
        assert!(!report.evidence.requests.is_empty() && !report.evidence.facts.is_empty());
    }
}

#[test]
fn the_table_has_a_row_for_every_account_and_no_colours_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", EXAMPLE]);
    let text = stdout(&output);
    assert_eq!(text.lines().count(), EXAMPLE_ACCOUNTS + 1, "{text}");
    assert!(text.starts_with("ACCOUNT") && text.contains("tea_house_lisbon"), "{text}");
    assert!(!text.contains('\u{1b}') && !stderr(&output).contains('\u{1b}'));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_same_seed_gives_the_same_kinds_of_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let found = |seed: &str| {
        let arguments = ["check", "--demo", "--demo-seed", seed, EXAMPLE, "--ndjson", "--quiet"];
        let output = run(folder.path(), &arguments);
        assert_eq!(stderr(&output), "");
        let kind = |report: &serde_json::Value| {
            let verdict = report["verdict"].as_str().unwrap();
            ["private", "not_found"].contains(&verdict).then(|| report["target"].to_string())
        };
        ndjson(stdout(&output)).iter().filter_map(kind).collect::<HashSet<_>>()
    };
    assert_eq!(found("7"), found("7"));
    assert_ne!(found("7"), found("8"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let list = numbered_list(folder.path(), 5_000);
    for format in ["--ndjson", "--json"] {
        let mut child = story_checker(folder.path())
            .args(["check", "--demo", format])
            .arg(&list)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        // The reader is gone now, as with `| head -1`.
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
    }
}

#[test]
fn results_come_while_the_list_is_still_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = story_checker(folder.path())
        .args(["check", "--demo", "--ndjson", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for name in ["tea_house", "cafe"] {
        writeln!(input, "{name}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!("instagram/account/{name}")), "{line}");
    }
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_deadline_reports_everything_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let list = numbered_list(folder.path(), 30_000);
    let list = list.to_str().unwrap();
    let output = run(folder.path(), &["check", "--demo", "--ndjson", "--deadline", "3s", list]);
    let reports = ndjson(stdout(&output));
    assert_eq!(reports.len(), 30_000, "{}", stderr(&output));
    let unknown: Vec<_> = reports.iter().filter(|report| report["verdict"] == "unknown").collect();
    assert!(!unknown.is_empty() && unknown.len() < 30_000, "{}", stderr(&output));
    for report in unknown {
        assert!(report["cause"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(output.status.code(), Some(1));
}
