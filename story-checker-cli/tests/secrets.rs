//! No secret is ever written, however much is logged.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::{ndjson, run, stderr, stdout, story_checker};

/// The simulated platform in a process of its own; it ends with the test.
struct Sim(Child);

impl Drop for Sim {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Starts `story-checker sim`; returns it and what it says when it is ready.
fn sim(folder: &Path) -> (Sim, serde_json::Value) {
    let mut child = story_checker(folder)
        .args(["sim", "--sessions", "3", "--http-proxies", "2", "--socks-proxies", "1"])
        .args(["--proxy-login", "PLANTED-user:PLANTED-password", "--expect-proxy"])
        .args(["--write-sessions", "cookies", "--write-proxies", "proxies.txt"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    (Sim(child), serde_json::from_str(&ready).unwrap())
}

#[test]
fn cookies_and_passwords_stay_secret_at_trace_level() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, ready) = sim(folder.path());
    let mut secrets = vec!["PLANTED".to_owned()];
    for entry in std::fs::read_dir(folder.path().join("cookies")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.contains("\tsessionid\t")) {
            let value = line.rsplit('\t').next().unwrap();
            secrets.extend([value.to_owned(), value.replace("%3A", ":")]);
        }
    }
    assert!(secrets.len() >= 7, "three sessions were written");
    let base_url = ready["http"].as_str().unwrap();
    let flags = ["--session", "cookies", "--proxies", "proxies.txt", "--base-url", base_url];
    let run = |more: &[&str]| {
        let mut arguments = vec!["check", "tea_house", "cafe", "bakery", "otter", "kite", "moss"];
        arguments.extend(flags);
        arguments.extend(more);
        run(folder.path(), &arguments)
    };
    let output = run(&["--log", "trace", "--ndjson"]);
    assert_eq!(ndjson(stdout(&output)).len(), 6, "{}", stderr(&output));
    assert!(stderr(&output).contains("TRACE"), "trace is on");
    for secret in &secrets {
        for text in [stdout(&output), stderr(&output)] {
            let place = text.find(secret.as_str()).map(|at| {
                text.lines().find(|line| line.contains(secret.as_str())).map(|line| (at, line))
            });
            assert!(place.is_none(), "a secret was written: {place:?}");
        }
    }
    // A wrong password is a fault of the proxy, and is not quoted either.
    let bad = std::fs::read_to_string(folder.path().join("proxies.txt")).unwrap();
    std::fs::write(folder.path().join("proxies.txt"), bad.replace("-password", "-wrong")).unwrap();
    let output = run(&["-vvv", "--deadline", "3s"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!stdout(&output).contains("PLANTED") && !stderr(&output).contains("PLANTED"));
}

#[test]
fn the_demo_tells_no_password_at_trace_level() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", "--log", "trace", "--json", "tea_house"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("TRACE"));
    assert!(!stdout(&output).contains("demo-password"));
    assert!(!stderr(&output).contains("demo-password"));
}
