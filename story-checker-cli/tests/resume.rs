//! Runs that are interrupted or killed, and continued.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{ndjson, numbered_list, run, stderr, stdout, story_checker};

const MANY: usize = 1_000;

/// Starts a run and waits for its first answers.
fn started(folder: &Path, more: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    numbered_list(folder, MANY);
    let mut command = story_checker(folder);
    command.args(["check", "--demo", "--ndjson"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..10 {
        output.read_line(&mut String::new()).unwrap();
    }
    (child, output)
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Each target of the list exactly once, and all answered.
fn assert_complete(text: &str) {
    let reports = ndjson(text);
    let targets: BTreeSet<_> = reports.iter().map(|report| report["target"].to_string()).collect();
    assert_eq!((reports.len(), targets.len()), (MANY, MANY));
    assert!(reports.iter().all(|report| report["verdict"] != "unknown"));
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("state/story-checker/runs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_interrupted_run_says_how_to_continue_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (child, mut output) = started(folder.path(), &["many.txt"]);
    signal("-INT", &child);
    output.read_to_string(&mut String::new()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let hint = stderr(&ended).lines().last().unwrap().to_owned();
    let command = hint.strip_prefix("continue with: story-checker ").unwrap();
    assert!(command.ends_with(".sqlite --demo --ndjson many.txt"), "{hint}");

    let words: Vec<_> = command.split(' ').collect();
    let again = run(folder.path(), &words);
    assert_complete(stdout(&again));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stderr(&again).contains("continuing: "), "{}", stderr(&again));
    assert_eq!(files(folder.path()), [""; 0], "nothing is left");
}

#[test]
fn a_killed_run_is_the_last_one_and_needs_its_list_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _output) = started(folder.path(), &["many.txt"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = run(folder.path(), &["check", "--demo", "tea_house"]);
    assert!(stderr(&other).contains("an earlier run was not finished"), "{}", stderr(&other));
    let again = run(folder.path(), &["check", "--demo", "--ndjson", "--resume", "-f", "many.txt"]);
    assert_complete(stdout(&again));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(files(folder.path()), [""; 0], "nothing is left");
    let none = run(folder.path(), &["check", "--demo", "--resume"]);
    assert!(stderr(&none).contains("there is no run to continue"), "{}", stderr(&none));
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_named_store_is_kept_and_its_batch_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _output) = started(folder.path(), &["--store", "sqlite:jobs.db", "many.txt"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let arguments = ["check", "--demo", "--ndjson", "--resume", "jobs.db", "many.txt"];
    let again = run(folder.path(), &arguments);
    assert_complete(stdout(&again));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    // Once more: nothing is left to be done, and everything is told again.
    assert_complete(stdout(&run(folder.path(), &arguments)));
}

#[test]
fn two_runs_do_not_meddle_with_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, mut first) = started(folder.path(), &["many.txt"]);
    let (two, mut second) = started(folder.path(), &["many.txt"]);
    for (child, output) in [(one, &mut first), (two, &mut second)] {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
        assert!(!stderr(&ended).contains("was not finished"), "{}", stderr(&ended));
        assert_eq!(ndjson(&text).len(), MANY - 10);
    }
}

#[test]
fn what_cannot_be_continued_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("list.txt"), "tea_house\n").unwrap();
    let batch = "0190a0b0-0000-7000-8000-000000000000";
    for (arguments, want) in [
        (&["--resume", "missing"][..], "error: cannot continue missing: there is no such file"),
        (&["--resume", batch], "error: say in which store the batch 0190"),
        (&["--resume", "--store", "sqlite:jobs.db"], "error: say which batch of sqlite:jobs.db"),
        (&["--resume", "list.txt"], "error: "),
    ] {
        let mut command = story_checker(folder.path());
        let output = command.args(["check", "--demo"]).args(arguments).output().unwrap();
        assert!(stderr(&output).contains(want), "{}", stderr(&output));
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    }
}
