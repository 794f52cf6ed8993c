//! Ctrl-C and SIGTERM.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{ndjson, numbered_list, stderr, story_checker};

fn start(folder: &Path, format: &str) -> Child {
    let list = numbered_list(folder, 10_000);
    let mut command = story_checker(folder);
    command.args(["check", "--demo", format]).arg(list);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Reads the first lines of the output, sends the signal, and waits for the end.
fn interrupt(folder: &Path, format: &str, signal: &str) -> (Output, String, Duration) {
    let mut child = start(folder, format);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..5 {
        output.read_line(&mut text).unwrap();
    }
    send(signal, &child);
    let sent = Instant::now();
    output.read_to_string(&mut text).unwrap();
    (child.wait_with_output().unwrap(), text, sent.elapsed())
}

#[test]
fn once_ends_in_time_and_prints_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-INT", "-TERM"] {
        let (output, text, took) = interrupt(folder.path(), "--ndjson", signal);
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert!(took < Duration::from_secs(15), "{took:?}");
        let reports = ndjson(&text);
        assert!(reports.len() < 10_000);
        assert!(reports.iter().all(|report| report["verdict"] != "unknown"));
        let said = stderr(&output);
        assert_eq!(said.matches("stopping: ").count(), 1, "{said}");
        assert!(said.contains("\ncontinue with: story-checker check --resume "), "{said}");
        let summary = format!("interrupted: {} accounts: ", reports.len());
        assert!(said.contains(&summary) && said.contains(" left; "), "{said}");
    }
}

#[test]
fn an_interrupted_array_is_valid_json() {
    let folder = tempfile::tempdir().unwrap();
    let (output, text, _) = interrupt(folder.path(), "--json", "-INT");
    assert_eq!(output.status.code(), Some(130));
    let reports: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(reports.len() >= 4 && reports.len() < 10_000);
}

#[test]
fn twice_ends_at_once_even_if_nobody_reads_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), "--ndjson");
    // One line tells that it runs; after that the pipe fills up, and writing blocks.
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    send("-INT", &child);
    let mut line = String::new();
    while !line.starts_with("stopping: ") {
        line.clear();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it says that it stops");
    }
    send("-INT", &child);
    let sent = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(sent.elapsed() < Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(130));
}
