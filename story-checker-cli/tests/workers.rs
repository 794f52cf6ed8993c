//! Workers that share a store.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::support::{
    EXAMPLE, EXAMPLE_ACCOUNTS, numbered_list, redis, run, sim, stderr, stdout, story_checker,
};

fn answered(said: &str) -> u64 {
    let line = said.lines().rev().find(|line| line.contains(" has ended: ")).unwrap();
    let count = line.split(" has ended: ").nth(1).unwrap();
    count.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_worker_checks_what_was_enqueued_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = ["--store", "sqlite:jobs.db"];
    let enqueue = |more: &[&str]| {
        let mut command = story_checker(folder.path());
        command.arg("enqueue").args(store).args(more).output().unwrap()
    };
    let output = enqueue(&["--json", EXAMPLE]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!((&told["enqueued"], &told["duplicates"]), (&EXAMPLE_ACCOUNTS.into(), &1.into()));
    let batch = told["batch"].as_str().unwrap();
    let output = enqueue(&["--batch", batch, "--priority", "0", "x:kite"]);
    assert_eq!(stdout(&output), format!("batch {batch}: 1 enqueued\n"));

    let arguments = ["worker", "--store", "sqlite:jobs.db", "--demo", "--until-empty"];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(answered(stderr(&output)), EXAMPLE_ACCOUNTS as u64 + 1, "{}", stderr(&output));

    // The results are in the store.
    let arguments = ["check", "--demo", "--csv", "--store", "sqlite:jobs.db", "--resume", batch];
    let output = run(folder.path(), &arguments);
    assert_eq!(stdout(&output).lines().count(), EXAMPLE_ACCOUNTS + 2, "{}", stderr(&output));
}

#[test]
fn three_workers_share_a_redis_and_do_everything_once() {
    const MANY: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let (_server, store) = redis(folder.path());
    let list = numbered_list(folder.path(), MANY);
    let output = run(folder.path(), &["enqueue", "--store", &store, list.to_str().unwrap()]);
    assert!(stdout(&output).contains(": 1000 enqueued"), "{}", stderr(&output));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let mut command = story_checker(folder.path());
            command.args(["worker", "--store", &store, "--demo", "--until-empty"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut total = 0;
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        total += answered(stderr(&output));
    }
    assert_eq!(total, MANY as u64);
}

#[test]
fn workers_share_the_sessions_of_a_store_and_never_use_one_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, ready) = sim(folder.path(), &["--sessions", "3"]);
    let base_url = ready["http"].as_str().unwrap();
    let list = numbered_list(folder.path(), 300);
    let list = list.to_str().unwrap();
    let store = ["--store", "sqlite:jobs.db", "--base-url", base_url];
    let worker = |more: &[&str]| {
        let mut command = story_checker(folder.path());
        command.arg("worker").args(store).args(["--until-empty", "--session-limit", "900 per 1s"]);
        command.args(more).stderr(Stdio::piped()).spawn().unwrap()
    };
    let nobody = worker(&[]).wait_with_output().unwrap();
    assert!(stderr(&nobody).contains("there is no session"), "{}", stderr(&nobody));
    assert_eq!(nobody.status.code(), Some(2));

    let output = run(folder.path(), &["enqueue", "--store", "sqlite:jobs.db", list]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let workers: Vec<_> = (0..3).map(|_| worker(&["--session", "cookies"])).collect();
    let mut total = 0;
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        total += answered(stderr(&output));
    }
    assert_eq!(total, 300);
    // The store has them now, sealed.
    run(folder.path(), &["enqueue", "--store", "sqlite:jobs.db", "tea_house"]);
    let output = worker(&[]).wait_with_output().unwrap();
    assert_eq!(answered(stderr(&output)), 1, "{}", stderr(&output));
    let stored = std::fs::read(folder.path().join("jobs.db")).unwrap();
    for entry in std::fs::read_dir(folder.path().join("cookies")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for value in text.lines().filter_map(|line| line.rsplit('\t').next()) {
            let secret = value.as_bytes();
            let found = secret.len() > 20 && stored.windows(secret.len()).any(|it| it == secret);
            assert!(!found, "a cookie stands in the store");
        }
    }
}

#[test]
fn a_run_goes_on_with_the_other_sessions_when_the_first_is_logged_out() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, ready) = sim(folder.path(), &["--sessions", "4"]);
    let base_url = ready["http"].as_str().unwrap();
    let address = base_url.strip_prefix("http://").unwrap();
    let mut control = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /_sim/sessions/0?state=logged_out HTTP/1.1\r\nHost: {address}\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    control.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    control.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    for names in [&["tea_house"][..], &["tea_house", "cafe"]] {
        let mut command = story_checker(folder.path());
        command.args(["check", "--session", "cookies", "--base-url", base_url]).args(names);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[cfg(unix)]
#[test]
fn a_worker_ends_in_order_when_it_is_told_to() {
    use std::io::{BufRead, BufReader, Read};

    let folder = tempfile::tempdir().unwrap();
    let mut command = story_checker(folder.path());
    command.args(["worker", "--store", "sqlite:jobs.db", "--demo", "--name", "one"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("worker one works on sqlite:jobs.db") {
        assert_ne!(errors.read_line(&mut said).unwrap(), 0, "{said}");
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains("worker one has ended: 0 answered"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_store_that_is_none_or_dies_with_its_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, want) in [
        (&["enqueue", "a"][..], "error: no store is named: say where the jobs are kept"),
        (&["worker", "--demo", "--store", "memory:"], "error: memory: is gone with the process"),
        (&["enqueue", "--store", "sqlite:a.db", "-"], "there was nothing to enqueue"),
    ] {
        let output = run(folder.path(), arguments);
        assert!(stderr(&output).starts_with(want), "{}", stderr(&output));
        assert_ne!(output.status.code(), Some(0));
    }
}
