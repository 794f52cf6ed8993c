//! A process that is killed while it writes: what it was told is stored, is.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use story_checker_core::JobId;
use story_checker_core::queue::{
    ClaimRequest, ClaimedJob, Enqueued, JobQueue, JobState, Outcome, Settled, Settlement,
};
use story_checker_sqlite::{SqliteOptions, SqliteStore};

use crate::files::job;
use crate::fixture::Fixture;

const FILE: &str = "STORY_CHECKER_KILLED_FILE";
const FIRST: &str = "STORY_CHECKER_KILLED_FIRST";

const KILLS: u128 = 10;

/// Enqueues and settles for ever, and says what was acknowledged.
#[tokio::test]
#[ignore = "the process that the test below starts and kills"]
async fn writes_until_it_is_killed() {
    let (Ok(file), Ok(first)) = (std::env::var(FILE), std::env::var(FIRST)) else { return };
    let mut next: u128 = first.parse().unwrap();
    let queue = SqliteStore::open(file, SqliteOptions::default()).await.unwrap().queue();
    let lease = Duration::from_secs(3_600);
    let request = ClaimRequest::new(vec![("check".into(), 2)], "w".into(), lease);
    loop {
        let jobs: Vec<_> = (next..next + 4).map(job).collect();
        assert_eq!(queue.enqueue(jobs).await.unwrap(), [Enqueued::Inserted; 4]);
        println!("\nenqueued {next}");
        next += 4;
        let claimed = queue.claim(&request).await.unwrap().jobs;
        let done = Outcome::Done { result: "seen".into() };
        let settle = |job: &ClaimedJob| Settlement::new(job.lease, done.clone());
        let settlements: Vec<_> = claimed.iter().map(settle).collect();
        let (settled, _) = queue.settle(settlements, None).await.unwrap();
        assert!(settled.iter().all(|reply| *reply == Settled::Applied));
        for job in claimed {
            println!("settled {}", u128::from_be_bytes(*job.lease.id.as_bytes()));
        }
    }
}

/// What was acknowledged.
#[derive(Debug, Default)]
struct Ledger {
    enqueued: HashSet<u128>,
    settled: HashSet<u128>,
}

impl Ledger {
    /// Starts the process, kills it once it has said so many lines, and notes what it said.
    fn kill_after(&mut self, lines: u128, file: &Path, first: u128) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(FILE, file)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (mut heard, mut line) = (0, String::new());
        while said.read_line(&mut line).unwrap() > 0 {
            // A line without its end was cut off by the kill.
            if line.ends_with('\n') && self.note(line.trim()) {
                heard += 1;
            }
            if heard == lines {
                child.kill().unwrap();
            }
            line.clear();
        }
        child.wait().unwrap();
        assert!(heard >= lines, "it ended by itself after {heard} lines");
    }

    fn note(&mut self, line: &str) -> bool {
        let Some((verb, number)) = line.split_once(' ') else { return false };
        let Ok(number) = number.parse::<u128>() else { return false };
        match verb {
            "enqueued" => self.enqueued.extend(number..number + 4),
            "settled" => _ = self.settled.insert(number),
            _ => return false,
        }
        true
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() {
    let fixture = Fixture::new();
    let file = fixture.path(1);
    let mut ledger = Ledger::default();
    for kill in 1..=KILLS {
        // Somewhere between and within the steps of its loop.
        ledger.kill_after(1 + kill * 7 % 23, &file, kill * 1_000_000);
        let sql = Connection::open(&file).unwrap();
        let found: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "after kill {kill}");
    }
    let queue = SqliteStore::open(&file, SqliteOptions::default()).await.unwrap().queue();
    assert!(ledger.enqueued.len() >= 40 && !ledger.settled.is_empty());
    for number in &ledger.enqueued {
        let id = JobId::from_bytes(number.to_be_bytes());
        let stored = queue.get(&[id]).await.unwrap().remove(0);
        let stored = stored.unwrap_or_else(|| panic!("job {number} is lost"));
        if ledger.settled.contains(number) {
            assert_eq!(stored.state, JobState::Done, "job {number}");
            assert_eq!(stored.result.as_deref(), Some(&b"seen"[..]));
        }
    }
}
