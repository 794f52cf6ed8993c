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
fn the_demo_knows_every_api() {
    let folder = tempfile::tempdir().unwrap();
    let targets = ["acct_000002", "tea_house", "x:cafe", "x:#tea", "x/query/from:kite has:media"];
    let mut arguments = vec!["check", "--demo", "--json"];
    arguments.extend(targets);
    let output = run(folder.path(), &arguments);
    let reports: Vec<Report> = serde_json::from_slice(&output.stdout).unwrap();
    let sessions: HashSet<_> = reports
        .iter()
        .filter_map(|report| report.evidence.session.as_ref()?.as_str().split_once('_'))
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(reports.len(), targets.len());
    // The account with a token of its own answers by it: with a story, or with a weak "no" that the
    // web API confirms.
    assert!(sessions.is_superset(&HashSet::from(["viewer", "x"])), "{sessions:?}");
    let official = reports.iter().find(|report| report.target.handle() == "acct_000002").unwrap();
    let facts = official.evidence.facts.join("; ");
    let source = &official.evidence.source;
    assert!(
        source.starts_with("instagram-graph/") || facts.contains("instagram-graph/"),
        "{facts}"
    );
    let summary = stderr(&output).lines().last().unwrap();
    assert!(summary.starts_with("5 targets: "), "{summary}");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_table_has_a_row_for_every_account_and_no_colours_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", EXAMPLE]);
    let text = stdout(&output);
    assert_eq!(text.lines().count(), EXAMPLE_ACCOUNTS + 1, "{text}");
    let list = std::fs::read_to_string(EXAMPLE).unwrap().to_lowercase();
    let places: Vec<_> = text
        .lines()
        .skip(1)
        .map(|row| list.find(row.split(' ').next().unwrap()).expect("it is in the list"))
        .collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.starts_with("ACCOUNT") && text.contains("tea_house_lisbon"), "{text}");
    assert!(!text.contains('\u{1b}') && !stderr(&output).contains('\u{1b}'));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn csv_has_a_line_for_every_account_below_the_names_of_the_columns() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", EXAMPLE, "--csv"]);
    let lines: Vec<_> = stdout(&output).split_terminator("\r\n").collect();
    assert_eq!(lines.len(), EXAMPLE_ACCOUNTS + 1);
    assert!(lines[0].starts_with("target,verdict,stories,newest,expires,source,session,proxy,"));
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{lines:?}");
    assert!(lines[1].starts_with("instagram/account/"), "{}", lines[1]);
    let empty = run(folder.path(), &["check", "--demo", "--csv", "-"]);
    assert_eq!(stdout(&empty), format!("{}\r\n", lines[0]));
}

#[test]
fn every_verdict_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", EXAMPLE, "--explain"]);
    let blocks: Vec<_> = stdout(&output).split("\n\n").collect();
    assert_eq!(blocks.len(), EXAMPLE_ACCOUNTS, "{}", stdout(&output));
    for block in blocks {
        for label in ["because", "source", "session", "proxy", "checked", "requests"] {
            assert!(block.contains(&format!("\n  {label} ")), "{label}: {block}");
        }
        let stories = block.lines().next().unwrap().ends_with(": active");
        assert_eq!(block.contains("\n  stories "), stories, "{block}");
    }
    // What has no answer says what to do.
    let late = ["check", "--demo", "--explain", "tea_house", "--deadline", "1ms"];
    let output = run(folder.path(), &late);
    for label in ["because", "class", "scope", "charged", "to do"] {
        assert!(stdout(&output).contains(&format!("\n  {label} ")), "{}", stdout(&output));
    }
    assert_eq!(output.status.code(), Some(1));
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
