//! No secret is ever written, however much is logged.

use std::path::Path;

use crate::support::{Process, ndjson, run, sim, stderr, stdout};

/// The simulated platform with proxies and every kind of session.
fn world(folder: &Path) -> (Process, serde_json::Value) {
    sim(
        folder,
        &[
            "--sessions",
            "3",
            "--http-proxies",
            "2",
            "--socks-proxies",
            "1",
            "--proxy-login",
            "PLANTED-user:PLANTED-password",
            "--expect-proxy",
            "--graph-tokens",
            "2",
            "--x-tokens",
            "1",
            "--write-tokens",
            "tokens",
            "--write-proxies",
            "proxies.txt",
            "--ca-out",
            "authority.pem",
        ],
    )
}

#[test]
fn cookies_and_passwords_stay_secret_at_trace_level() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, ready) = world(folder.path());
    let mut secrets = vec!["PLANTED".to_owned()];
    for entry in std::fs::read_dir(folder.path().join("cookies")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.contains("\tsessionid\t")) {
            let value = line.rsplit('\t').next().unwrap();
            secrets.extend([value.to_owned(), value.replace("%3A", ":")]);
        }
    }
    assert!(secrets.len() >= 7, "three sessions were written");
    for entry in std::fs::read_dir(folder.path().join("tokens")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let token: serde_json::Value = serde_json::from_str(&text).unwrap();
        let found = ["access_token", "bearer_token"].iter().find_map(|name| token[name].as_str());
        secrets.push(found.unwrap().to_owned());
    }
    assert!(secrets.len() >= 10, "three tokens were written");
    let base_url = ready["http"].as_str().unwrap();
    let mut flags = vec!["--session", "cookies", "--session", "tokens", "--proxies", "proxies.txt"];
    for flag in ["--base-url", "--graph-base-url", "--x-base-url"] {
        flags.extend([flag, base_url]);
    }
    let run = |more: &[&str]| {
        let mut arguments = vec!["check", "tea_house", "cafe", "bakery", "acct_000001", "x:kite"];
        arguments.push("x:#moss");
        arguments.extend(&flags);
        arguments.extend(more);
        run(folder.path(), &arguments)
    };
    let output = run(&["--log", "trace", "--ndjson"]);
    let reports = ndjson(stdout(&output));
    assert_eq!(reports.len(), 6, "{}", stderr(&output));
    assert!(!stderr(&output).contains("other users"), "the simulator's files are private");
    let answered = reports.iter().filter(|report| report["verdict"] != "unknown").count();
    assert_eq!(answered, 6, "{}", stdout(&output));
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

#[test]
fn an_authority_of_our_own_is_trusted_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, ready) = world(folder.path());
    let base_url = ready["https"].as_str().unwrap();
    let check = |more: &[&str]| {
        let mut arguments = vec!["check", "tea_house", "--session", "cookies", "--ndjson"];
        arguments.extend(["--base-url", base_url, "--deadline", "3s"]);
        arguments.extend(more);
        run(folder.path(), &arguments)
    };
    let output = check(&["--ca-file", "authority.pem"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    std::fs::write(folder.path().join("bad.pem"), "PLANTED").unwrap();
    for (file, want) in [
        ("bad.pem", "error: certificate authority bad.pem: the extra root certificates"),
        ("missing.pem", "error: cannot read the certificate authority missing.pem: "),
    ] {
        let output = check(&["--ca-file", file]);
        assert!(stderr(&output).contains(want), "{}", stderr(&output));
        assert!(!stderr(&output).contains("PLANTED"));
        assert_eq!(output.status.code(), Some(2));
    }
}
