//! What an operator asks about sessions and proxies, and tells them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{run, sim, stderr, stdout};

const STORE: &str = "sqlite:jobs.db";

fn on_store(folder: &Path, command: &str) -> Output {
    let mut arguments: Vec<_> = command.split(' ').collect();
    arguments.extend(["--store", STORE]);
    run(folder, &arguments)
}

/// What a command says, if it ends with this status.
fn told(folder: &Path, command: &str, status: i32) -> String {
    let output = on_store(folder, command);
    assert_eq!(output.status.code(), Some(status), "{command}: {}", stderr(&output));
    stdout(&output).to_owned()
}

fn json(folder: &Path, command: &str, status: i32) -> Value {
    serde_json::from_str(&told(folder, &format!("{command} --json"), status)).unwrap()
}

/// What a command that cannot be done says.
fn refused(folder: &Path, command: &str) -> String {
    let output = on_store(folder, command);
    assert_eq!(output.status.code(), Some(2), "{command}: {}", stdout(&output));
    stderr(&output).to_owned()
}

/// A session that no platform knows.
fn cookies(folder: &Path, name: &str, user: u32) {
    let text = format!(
        "# Netscape HTTP Cookie File\n.instagram.com\tTRUE\t/\tTRUE\t2147483647\tsessionid\t{user}%3APLANTED\n"
    );
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn sessions_are_imported_listed_reinstated_and_removed_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cookies(folder, "main.txt", 12);
    cookies(folder, "spare.txt", 13);
    let imported = told(folder, "sessions import main.txt spare.txt", 0);
    assert_eq!(imported, "2 sessions imported\n");
    let again = told(folder, "sessions import main.txt", 1);
    assert_eq!(again, "0 sessions imported; 1 known, which the store keeps as they are\n");

    let listed = told(folder, "sessions list", 0);
    assert!(listed.starts_with("SESSION") && listed.contains("instagram-web"), "{listed}");
    assert!(listed.contains("never") && !listed.contains("PLANTED"), "{listed}");
    let all = json(folder, "sessions list", 0);
    assert_eq!(
        (&all["sessions"][0]["session"], &all["sessions"][0]["state"]),
        (&"main".into(), &"valid".into())
    );
    assert!(!all.to_string().contains("PLANTED"));
    assert_eq!(
        json(folder, "sessions list --state challenged", 0)["sessions"],
        Value::Array(vec![])
    );
    assert!(refused(folder, "sessions list --state tired").contains("challenged, cooling_down"));

    assert!(refused(folder, "sessions reinstate main").contains("may be used already"));
    assert!(refused(folder, "sessions reinstate nobody").contains("there: main, spare"));
    assert!(refused(folder, "sessions remove main").contains("say --yes if you mean it"));
    assert!(refused(folder, "sessions remove main nobody --yes").contains("there is no session"));
    assert_eq!(told(folder, "sessions remove main --yes", 0), "1 session removed\n");
    assert_eq!(json(folder, "sessions list", 0)["sessions"].as_array().unwrap().len(), 1);
    assert!(refused(folder, "sessions import none.txt").contains("session none.txt"));
}

#[test]
fn a_session_is_validated_with_one_request_and_comes_back_only_with_a_new_login() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_sim, ready) = sim(folder, &["--sessions", "1"]);
    let base_url = ready["http"].as_str().unwrap();
    let good = fs::read_dir(folder.join("cookies")).unwrap().next().unwrap().unwrap().path();
    fs::copy(&good, folder.join("good.txt")).unwrap();
    cookies(folder, "bad.txt", 12);
    told(folder, "sessions import good.txt bad.txt", 0);

    let validate = format!("sessions validate --base-url {base_url}");
    assert_eq!(told(folder, &format!("{validate} good"), 0).lines().count(), 2);
    let found = json(folder, &format!("{validate} --all"), 1);
    let [bad, good] = [&found["sessions"][0], &found["sessions"][1]];
    assert_eq!((&bad["result"], &bad["state"]), (&"failed".into(), &"needs_login".into()), "{bad}");
    assert_eq!(
        (&bad["fault"]["fault_of"], &good["result"]),
        (&"session".into(), &"logged_in".into())
    );
    let listed = told(folder, "sessions list", 0);
    assert!(listed.contains("needs login") && listed.contains("0s ago"), "{listed}");
    // It is not asked about again: only a new login brings it back.
    let again = told(folder, &format!("{validate} bad"), 1);
    assert!(again.contains("not asked") && again.contains("out of use"), "{again}");
    assert!(refused(folder, "sessions reinstate bad").contains("say --with FILE"));
    let other = refused(folder, "sessions reinstate bad --with good.txt");
    assert!(other.contains("another account"), "{other}");
    cookies(folder, "new.txt", 12);
    let back = told(folder, "sessions reinstate bad --with new.txt", 0);
    assert_eq!(back, "session bad: valid; it was needs login\n");
    assert!(refused(folder, "sessions validate").contains("--all"));
}

/// A proxy that answers every request itself.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap();
            let broken = String::from_utf8_lossy(&buffer[..read]).contains("/broken");
            let status = if broken { "500 Oh" } else { "204 No Content" };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            _ = stream.write_all(head.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn proxies_are_tried_with_a_page_of_the_operator_and_a_fault_says_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let works = proxy();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let list = format!("{works}\nhttp://user:PLANTED@{closed}\n");
    fs::write(folder.join("proxies.txt"), list).unwrap();
    let test = "proxies test --proxies proxies.txt";
    assert!(refused(folder, test).contains("say with --url"));
    assert!(refused(folder, &format!("{test} --url ftp://a.test")).contains("http://"));
    assert!(refused(folder, "proxies test --url http://a.test").contains("name a list"));
    let one = told(folder, &format!("{test} --url http://a.test/ {works}"), 0);
    assert!(one.contains("works") && one.contains("status 204"), "{one}");
    let broken = told(folder, &format!("{test} --url http://a.test/broken {works}"), 1);
    assert!(
        broken.contains("one route of the platform") || broken.contains("status 500"),
        "{broken}"
    );

    let all = json(folder, &format!("{test} --url http://a.test/"), 1);
    assert_eq!(all["failed"], 1);
    let dead = &all["proxies"][1];
    assert_eq!((&dead["ok"], &dead["fault_of"]), (&false.into(), &"proxy".into()));
    assert!(!all.to_string().contains("PLANTED"));
    let unknown = refused(folder, &format!("{test} --url http://a.test/ http://b.test:1"));
    assert!(unknown.contains("no proxy http://b.test:1 in the list"), "{unknown}");
}

#[test]
fn a_proxy_taken_out_of_use_stays_so_until_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("proxies.txt"), "a.test:1\nu:PLANTED@b.test:1\n").unwrap();
    let list = "proxies list --proxies proxies.txt";
    assert!(told(folder, list, 0).contains("http://b.test:1"));
    let disabled = told(folder, "proxies disable b.test:1 --reason sold --proxies proxies.txt", 0);
    assert_eq!(disabled, "http://b.test:1: disabled; it was active\n");
    let states = json(folder, list, 0);
    let b = &states["proxies"][1];
    assert_eq!(
        (&b["state"], &b["cause"], &b["listed"]),
        (&"disabled".into(), &"sold".into(), &true.into())
    );
    let unknown = refused(folder, "proxies disable c.test:1 --proxies proxies.txt");
    assert!(unknown.contains("there is no proxy http://c.test:1"), "{unknown}");
    // Also what is in no list any more is told.
    assert_eq!(json(folder, "proxies list", 0)["proxies"][0]["listed"], false);
    assert!(told(folder, "proxies enable http://b.test:1", 0).contains("active; it was disabled"));
    assert_eq!(json(folder, list, 0)["proxies"][1]["state"], "active");
    assert!(refused(folder, "proxies enable ftp://x").starts_with("error: proxy"));
    let redis = run(folder, &["proxies", "list", "--store", "redis://127.0.0.1:1"]);
    assert!(stderr(&redis).contains("keeps nothing of proxies"), "{}", stderr(&redis));
}

#[test]
fn a_job_tells_where_its_time_went_and_the_doctor_what_bounds_the_workers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    told(folder, "migrate up", 0);
    let output = on_store(folder, "doctor");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no worker"), "{}", stderr(&output));

    told(folder, "enqueue tea_house", 0);
    let id = json(folder, "jobs list", 0)["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert!(told(folder, &format!("explain {id}"), 0).contains("No report tells yet"));
    told(folder, "worker --demo --until-empty --quiet", 0);
    let drawn = told(folder, &format!("explain {id}"), 0);
    for part in ["queued", "connect", "first byte", "parse", "settle", "all", "█"] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
    let parts = json(folder, &format!("explain {id}"), 0)["parts"].as_array().unwrap().clone();
    let mut at = 0.0;
    for part in &parts {
        let from = part["from_ms"].as_f64().unwrap();
        assert!(from >= at - 1e-6, "{parts:?}");
        at = from + part["took_ms"].as_f64().unwrap();
    }
    assert!(refused(folder, "explain ffff").contains("begins with ffff"));

    let told = told(folder, "doctor", 0);
    assert!(told.starts_with("bottleneck") && told.contains("WORKER"), "{told}");
    let doctor = json(folder, "doctor", 0);
    assert_eq!(doctor["workers"][0]["shares"]["calls"], 1, "{doctor}");
    assert!(doctor["bottleneck"].is_string() && doctor["advice"].is_string(), "{doctor}");
}
