//! What an operator does with a store: each test on a file of its own.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{ndjson, run, stderr, stdout};

const STORE: &str = "sqlite:jobs.db";

/// Runs a command on the store of the folder.
fn on_store(folder: &Path, command: &str) -> Output {
    let mut arguments: Vec<_> = command.split(' ').collect();
    if !arguments.contains(&"--store") {
        arguments.extend(["--store", STORE]);
    }
    run(folder, &arguments)
}

/// What a command says, if it succeeds.
fn told(folder: &Path, command: &str) -> String {
    let output = on_store(folder, command);
    assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
    stdout(&output).to_owned()
}

fn json(folder: &Path, command: &str) -> Value {
    serde_json::from_str(&told(folder, &format!("{command} --json"))).unwrap()
}

/// Five accounts enqueued; returns their batch.
fn enqueued(folder: &Path) -> String {
    let answer = json(folder, "enqueue tea_house cafe bakery nobody_here_1 kite");
    answer["batch"].as_str().unwrap().to_owned()
}

#[test]
fn a_batch_is_listed_paused_and_its_reports_are_written_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let batch = enqueued(folder);

    let listed = told(folder, "batch list");
    assert!(listed.starts_with("BATCH") && listed.contains(&batch), "{listed}");
    assert!(listed.contains("running") && listed.contains("0/5 (0 %)"), "{listed}");
    assert_eq!(json(folder, "batch list")["batches"][0]["total"], 5);

    let paused = told(folder, &format!("batch pause {batch}"));
    assert_eq!(paused, format!("batch {batch}: paused; 5 jobs to go\n"));
    assert!(told(folder, &format!("batch show {batch}")).contains("paused"));
    told(folder, &format!("batch resume {batch}"));

    told(folder, "worker --demo --until-empty --quiet");
    let shown = json(folder, &format!("batch show {}", &batch[..18]));
    assert_eq!((&shown["state"], &shown["ended"]), (&"ended".into(), &5.into()));
    let log = told(folder, &format!("batch log {batch} --ndjson --follow"));
    assert_eq!(ndjson(&log).len(), 5);
    assert!(ndjson(&log).iter().all(|report| report["verdict"].is_string()));
    let file = told(folder, &format!("batch log {batch} --csv --output reports.csv"));
    assert_eq!(file, "");
    assert_eq!(fs::read_to_string(folder.join("reports.csv")).unwrap().lines().count(), 6);
    assert!(told(folder, &format!("batch log {batch}")).starts_with("ACCOUNT"));

    let workers = told(folder, "workers");
    assert!(workers.starts_with("WORKER") && workers.contains("alive"), "{workers}");
}

#[test]
fn jobs_are_listed_page_by_page_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    enqueued(folder);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = json(folder, &format!("jobs list --limit 2{after}"));
        for job in page["jobs"].as_array().unwrap() {
            seen.push(job["payload"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!(" --after {next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let output = on_store(folder, "jobs list --limit 2");
    assert!(stderr(&output).contains("next: --after "), "{}", stderr(&output));
    assert_eq!(json(folder, "jobs list --state dead")["jobs"].as_array().unwrap().len(), 0);
    let other = json(folder, "jobs list --queue check/x/account");
    assert_eq!(other["jobs"].as_array().unwrap().len(), 0);
}

#[test]
fn jobs_are_cancelled_retried_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let batch = enqueued(folder);
    let first = json(folder, "jobs list --limit 1")["jobs"][0]["id"].as_str().unwrap().to_owned();

    // Whoever cannot be asked must say that it is meant.
    let output = on_store(folder, &format!("jobs cancel {first}"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("say --yes if you mean it"), "{}", stderr(&output));
    let output = on_store(folder, "jobs cancel --yes");
    assert!(stderr(&output).contains("say which: --batch"), "{}", stderr(&output));

    assert_eq!(told(folder, &format!("jobs cancel {first} --yes")), "1 job cancelled\n");
    assert!(told(folder, &format!("jobs show {first}")).contains("state     cancelled"));
    assert_eq!(told(folder, &format!("jobs retry {first}")), "1 job begun anew\n");
    let all = json(folder, &format!("jobs cancel --batch {batch} --yes"));
    assert_eq!(all["changed"], 5);
    // Nothing is left that could be cancelled.
    let output = on_store(folder, &format!("batch cancel {batch} --yes"));
    assert_eq!(stdout(&output), format!("batch {batch}: 0 jobs cancelled\n"));
    let output = on_store(folder, "jobs show ffff");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("begins with ffff"), "{}", stderr(&output));
}

#[test]
fn dead_jobs_are_replayed_and_purged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    enqueued(folder);
    // Dead by hand: an export tells what a job went through.
    told(folder, "export all.ndjson");
    let text = fs::read_to_string(folder.join("all.ndjson")).unwrap();
    let dead = text.replace(
        r#""state":"ready","#,
        r#""state":"dead","dead_reason":"permanent","at":"2126-11-21T09:00:00.000Z","#,
    );
    fs::write(folder.join("dead.ndjson"), dead).unwrap();
    told(folder, "import dead.ndjson --store sqlite:dead.db");

    let listed = told(folder, "dead list --store sqlite:dead.db");
    assert_eq!(listed.lines().count(), 6, "{listed}");
    assert!(listed.contains("asking again will not help"), "{listed}");
    let id = json(folder, "dead list --limit 1 --store sqlite:dead.db")["jobs"][0]["id"].clone();
    let id = id.as_str().unwrap();
    assert!(told(folder, &format!("dead show {id} --store sqlite:dead.db")).contains("why"));
    let replayed = json(folder, &format!("dead replay {id} --store sqlite:dead.db"));
    assert_eq!(replayed["changed"], 1);
    let output = on_store(folder, "dead purge --all --store sqlite:dead.db");
    assert_eq!(output.status.code(), Some(2));
    let purged = told(folder, "dead purge --all --yes --store sqlite:dead.db");
    assert_eq!(purged, "4 jobs dropped\n");
    let left = json(folder, "jobs list --store sqlite:dead.db");
    assert_eq!(left["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn queues_are_paused_and_limited_and_unknown_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    enqueued(folder);
    let queue = "check/instagram/account";
    assert!(told(folder, &format!("queue pause {queue}")).contains("paused; 5 ready"));
    assert!(told(folder, &format!("queue limit {queue} 7")).contains("no more than 7 live jobs"));
    let stats = json(folder, "queue stats");
    assert_eq!(
        (&stats["queues"][0]["paused"], &stats["queues"][0]["max_len"]),
        (&true.into(), &7.into())
    );
    assert!(told(folder, "queue stats").contains("paused"));
    told(folder, &format!("queue limit {queue}"));
    told(folder, &format!("queue resume {queue}"));
    assert_eq!(json(folder, "queue stats")["queues"][0]["max_len"], Value::Null);
    let output = on_store(folder, "queue pause check/instagram/acount");
    assert!(stderr(&output).contains("there: check/instagram/account"), "{}", stderr(&output));
}

#[test]
fn an_export_taken_in_elsewhere_is_the_same_export() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let batch = enqueued(folder);
    told(folder, "worker --demo --until-empty --quiet");
    told(folder, &format!("enqueue --batch {batch} later_1 later_2"));
    told(folder, &format!("batch pause {batch}"));
    assert!(told(folder, "export one.ndjson").starts_with("exported 7 jobs"));
    let output = on_store(folder, "export one.ndjson");
    assert!(stderr(&output).contains("replace one.ndjson"), "{}", stderr(&output));
    assert!(told(folder, "import one.ndjson --store sqlite:b.db").starts_with("imported 7 jobs"));
    told(folder, "export two.ndjson --store sqlite:b.db");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("one.ndjson"), read("two.ndjson"));
    let again = json(folder, "import one.ndjson --store sqlite:b.db");
    assert_eq!((&again["taken"]["jobs"], &again["known"]["jobs"]), (&0.into(), &7.into()));

    // A line that is bad loses no other, and is named.
    let mut lines: Vec<_> = read("one.ndjson").lines().map(str::to_owned).collect();
    lines.insert(1, "PLANTED".to_owned());
    lines.pop();
    fs::write(folder.join("bad.ndjson"), lines.join("\n")).unwrap();
    let output = on_store(folder, "import bad.ndjson --store sqlite:c.db");
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("bad.ndjson: line 2: ") && said.contains("cut off"), "{said}");
    assert!(!said.contains("PLANTED") && stdout(&output).starts_with("imported 7 jobs"));
}

#[cfg(unix)]
#[test]
fn keys_are_made_once_and_rotated() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    enqueued(folder);
    let made = stdout(&run(folder, &["key", "new", "keys.txt"])).to_owned();
    assert!(made.starts_with("made the key k") && made.contains("keys.txt"), "{made}");
    let path = folder.join("keys.txt");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(folder, &["key", "new", "keys.txt"]).status.code(), Some(2));
    let line = stdout(&run(folder, &["key", "new"])).to_owned();
    assert_eq!(line.trim().len(), 9 + 1 + 64, "one line, an id and a key");

    let keys = |text: &str| text.lines().filter(|line| line.starts_with('k')).count();
    assert_eq!(keys(&fs::read_to_string(&path).unwrap()), 1);
    let rotated = told(folder, "key rotate --yes --key-file keys.txt");
    assert!(rotated.contains("sealed with the first key"), "{rotated}");
    assert_eq!(keys(&fs::read_to_string(&path).unwrap()), 2);
}

#[test]
fn a_store_says_its_schema_and_looking_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = on_store(folder, "migrate status");
    assert!(stderr(&output).contains("there is no file jobs.db"), "{}", stderr(&output));
    assert!(!folder.join("jobs.db").exists());
    assert!(told(folder, "migrate up").contains("made with schema"));
    assert!(told(folder, "migrate up").contains("up to date"));
    assert!(told(folder, "migrate status").contains("up to date"));
}

#[test]
fn a_store_that_is_gone_with_its_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["batch list", "jobs list", "workers", "queue stats", "export -"] {
        let output = on_store(folder.path(), &format!("{command} --store memory:"));
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(stderr(&output).contains("memory: is gone with the process"), "{command}");
    }
}

#[test]
fn every_command_shows_examples() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "batch", "jobs", "dead", "queue", "workers", "sessions", "proxies", "explain", "doctor",
        "export", "import", "key",
    ] {
        let output = run(folder.path(), &[command, "--help"]);
        assert!(stdout(&output).contains("Examples:"), "{command}");
    }
}

#[test]
fn sessions_are_sealed_again_by_a_new_key_and_leave_only_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let cookie = ".instagram.com\tTRUE\t/\tTRUE\t2147483647\tsessionid\t12%3APLANTED\n";
    fs::write(folder.join("cookies.txt"), format!("# Netscape HTTP Cookie File\n{cookie}"))
        .unwrap();
    told(folder, "worker --session cookies.txt --until-empty --quiet");
    let rotated = told(folder, "key rotate --yes");
    assert!(rotated.starts_with("1 session sealed with the first key"), "{rotated}");

    // The old key is not needed any more.
    let keys = fs::read_to_string(folder.join("jobs.db.key")).unwrap();
    let first = keys.lines().find(|line| line.starts_with('k')).unwrap();
    fs::write(folder.join("jobs.db.key"), format!("{first}\n")).unwrap();
    told(folder, "export sealed.ndjson --with-secrets");
    told(folder, "export bare.ndjson");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("sealed.ndjson").contains(r#""sealed":""#));
    assert!(!read("sealed.ndjson").contains("PLANTED") && !read("bare.ndjson").contains("sealed"));

    let bare = told(folder, "import bare.ndjson --store sqlite:bare.db");
    assert!(bare.contains("1 sessions came without their secrets and need a login"), "{bare}");
    let output = on_store(folder, "import sealed.ndjson --store sqlite:other.db");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("which is not in the key ring"), "{}", stderr(&output));
    let command = "import sealed.ndjson --store sqlite:same.db --key-file jobs.db.key";
    assert_eq!(told(folder, command), "imported 1 sessions\n");
}
