//! The binary, as a shell sees it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_story-checker-sim"))
}

#[cfg(unix)]
#[test]
fn it_says_where_it_listens_writes_its_files_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    std::fs::write(path("rules.json"), r#"[{"effect":{"row":"W1"}}]"#).unwrap();
    let mut child = binary()
        .args(["--seed", "5", "--sessions", "2", "--http-proxies", "1", "--socks-proxies", "1"])
        .args(["--proxy-login", "user:pass", "--limit", "5/60", "--latency", "0..1"])
        .args(["--start", "1795262400000", "--speed", "0"])
        .args(["--mix", "5", "--rules"])
        .arg(path("rules.json"))
        .arg("--ca-out")
        .arg(path("ca.pem"))
        .arg("--write-sessions")
        .arg(path("sessions"))
        .args(["--graph-tokens", "2", "--x-tokens", "1", "--x-spelling", "tweet"])
        .arg("--write-tokens")
        .arg(path("tokens"))
        .arg("--write-proxies")
        .arg(path("proxies.txt"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert!(ready["http"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(ready["https"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert_eq!(ready["sessions"], 2);
    let read = |name| std::fs::read_to_string(path(name)).unwrap();
    let proxies = read("proxies.txt");
    let proxies: Vec<_> = proxies.lines().collect();
    assert_eq!(ready["proxies"], Value::from(proxies.clone()));
    assert!(proxies[0].starts_with("http://user:pass@127.0.0.1:"));
    assert!(proxies[1].starts_with("socks5h://user:pass@127.0.0.1:"));
    assert!(read("ca.pem").starts_with("-----BEGIN CERTIFICATE-----"));
    let cookies = read("sessions/viewer_1.cookies.txt");
    assert!(cookies.contains("\tsessionid\t7000000001%3Asim"));
    assert!(cookies.lines().skip(1).all(|line| line.split('\t').count() == 7));
    let json = |name| serde_json::from_str::<Value>(&read(name)).unwrap();
    let token = json("tokens/acct_000001.graph.json");
    assert_eq!((&ready["graph_tokens"], &ready["x_tokens"]), (&2.into(), &1.into()));
    assert_eq!(
        (&token["username"], &token["ig_user_id"]),
        (&"acct_000001".into(), &"17841400000000001".into())
    );
    assert_eq!(token["issued_at"], 1_795_262_400);
    assert_eq!(token["expires_at"], 1_795_262_400 + 60 * 86_400);
    assert!(json("tokens/x_0.x.json")["bearer_token"].is_string());
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn bad_arguments_are_named() {
    for (arguments, part) in [
        (["--limit", "5"], "REQUESTS/SECONDS"),
        (["--latency", "9..3"], "longer than the longest"),
        (["--proxy-login", "user"], "USER:PASSWORD"),
        (["--private", "99"], "more than 100 percent"),
        (["--story-lifetime", "30days"], "1 second to 7 days"),
        (["--mix", "101"], "a percentage is 0 to 100"),
        (["--rules", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
        (["--rules", "/dev/null"], "/dev/null holds no rules"),
        (["--ca-out", "/nowhere/at/all"], "cannot write /nowhere/at/all"),
    ] {
        let output = binary().args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
    }
}
