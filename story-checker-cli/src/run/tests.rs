use std::fmt;
use std::fmt::Write as _;
use std::io::{self, Error, Read, Write as _};
use std::sync::Mutex;
use std::sync::mpsc as channel;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{Engine, EngineConfig, check_queue};
use story_checker_core::queue::{InMemoryJobQueue, JobQueue, Retention};
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{
    BatchId, Clock, Evidence, Fault, Platform, SystemClock, Target, TargetKind, Timings, Verdict,
};

use super::feed::CHUNK;
use super::*;
use crate::settings::{BarePlatform, Progress};

/// Answers after a while, or never.
#[derive(Debug)]
struct Slow(CheckerProfile, Option<Duration>);

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

#[async_trait]
impl Checker for Slow {
    fn profile(&self) -> &CheckerProfile {
        &self.0
    }

    async fn check(&self, targets: &[Target], _: &CheckContext) -> Vec<Result<Report, Fault>> {
        match self.1 {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
        let report = |target: &Target| {
            let evidence = Evidence::new("slow/1");
            Ok(Report::new(target.clone(), Verdict::NoStory, evidence, Timings::default()))
        };
        targets.iter().map(report).collect()
    }
}

/// Keeps the handles that were written, and may fail at some point.
struct Kept(Arc<Mutex<Vec<String>>>, usize);

impl ReportWriter for Kept {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        if kept.len() == self.1 {
            return Err(Error::from(io::ErrorKind::BrokenPipe));
        }
        kept.push(format!("{} {}", report.target.handle(), report.verdict.as_str()));
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    run: Run,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(answer: Option<Duration>, deadline: Duration, breaks_at: usize) -> Self {
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.max_batch = std::num::NonZeroUsize::new(50).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut config = EngineConfig::default();
        config.store_reports = false;
        config.give_up_early = true;
        config.max_in_flight = std::num::NonZeroUsize::new(16).unwrap();
        let retention = Retention::nothing();
        let queue: Arc<dyn JobQueue> =
            Arc::new(InMemoryJobQueue::with_retention(Arc::clone(&clock), retention));
        let engine = Engine::builder()
            .checker(Arc::new(Slow(profile, answer)))
            .queue(Arc::clone(&queue))
            .sessions(Arc::new(InMemorySessionStore::new(Arc::clone(&clock))))
            .clock(clock)
            .config(config);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let run = Run {
            engine: engine.build().unwrap(),
            jobs: Jobs {
                queue,
                batch: BatchId::from_bytes([7; 16]),
                queues: Arc::new([check_queue(&Platform::INSTAGRAM, TargetKind::Account)].into()),
                kept: false,
                shared: false,
                resumed: false,
            },
            writer: Box::new(Kept(Arc::clone(&kept), breaks_at)),
            voice: Voice::new(Progress::Never, true),
            deadline,
            grace: Duration::from_millis(500),
            interrupt: CancellationToken::new(),
        };
        Self { run, kept }
    }

    async fn check(self, list: TargetList) -> (anyhow::Result<Summary>, Vec<String>) {
        let limit = Duration::from_secs(60);
        let result = tokio::time::timeout(limit, self.run.check(list)).await.unwrap();
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        (result, kept)
    }
}

fn numbered(many: usize) -> TargetList {
    let mut text = String::new();
    (0..many).for_each(|number| writeln!(text, "account_{number}").unwrap());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    TargetList::open(&[], &[file.path().to_owned()], BarePlatform::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_is_reported_exactly_once() {
    let bench = Bench::new(Some(Duration::ZERO), Duration::from_secs(60), usize::MAX);
    let many = IN_FLIGHT + 2 * CHUNK + 7;
    let (summary, mut kept) = bench.check(numbered(many)).await;
    let summary = summary.unwrap();
    assert_eq!((summary.tally.no_story, summary.tally.total()), (many as u64, many as u64));
    assert_eq!((summary.unanswered, summary.exit_code()), (0, 0));
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), many);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_deadline_all_are_unknown_even_those_not_read_yet() {
    let bench = Bench::new(None, Duration::from_millis(300), usize::MAX);
    let many = IN_FLIGHT + 3 * CHUNK;
    let (summary, kept) = bench.check(numbered(many)).await;
    let summary = summary.unwrap();
    assert_eq!((summary.tally.unknown, summary.exit_code()), (many as u64, 1));
    assert!(kept.iter().all(|line| line.ends_with(" unknown")));
    assert_eq!(kept.len(), many);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_keeps_what_is_done_and_counts_the_rest() {
    let bench = Bench::new(Some(Duration::from_millis(20)), Duration::from_secs(60), usize::MAX);
    let (interrupt, kept) = (bench.run.interrupt.clone(), Arc::clone(&bench.kept));
    tokio::spawn(async move {
        while kept.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        interrupt.cancel();
    });
    let (summary, kept) = bench.check(numbered(1_000_000)).await;
    let summary = summary.unwrap();
    assert_eq!(summary.exit_code(), 130);
    assert!(summary.unanswered > 0 && summary.tally.unknown == 0, "{summary}");
    assert_eq!(kept.len() as u64, summary.tally.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_run() {
    let bench = Bench::new(Some(Duration::ZERO), Duration::from_secs(60), 3);
    let (result, kept) = bench.check(numbered(100_000)).await;
    let error = result.unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(kept.len(), 3);
}

/// Writing that never ends, as to a pipe that nobody reads.
struct Clogged(Mutex<channel::Receiver<()>>);

impl ReportWriter for Clogged {
    fn report(&mut self, _: &Report) -> io::Result<()> {
        _ = self.0.lock().unwrap().recv();
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_ends_the_run_even_if_nobody_reads_the_output() {
    let mut bench = Bench::new(Some(Duration::ZERO), Duration::from_secs(60), 0);
    let (sender, receiver) = channel::channel();
    bench.run.writer = Box::new(Clogged(Mutex::new(receiver)));
    let interrupt = bench.run.interrupt.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        interrupt.cancel();
    });
    let (summary, _) = bench.check(numbered(10_000)).await;
    assert_eq!(summary.unwrap().exit_code(), 130);
    drop(sender);
}

/// Gives one line and then blocks until its sender is gone.
struct Stuck(channel::Receiver<()>, bool);

impl Read for Stuck {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.1, true) {
            _ = self.0.recv();
            return Ok(0);
        }
        into[..4].copy_from_slice(b"tea\n");
        Ok(4)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_never_ends_is_worked_on_and_left_after_the_deadline() {
    let bench = Bench::new(Some(Duration::ZERO), Duration::from_millis(300), usize::MAX);
    let (sender, receiver) = channel::channel();
    let list =
        TargetList::of_reader("stuck", Box::new(Stuck(receiver, false)), BarePlatform::default());
    let (summary, kept) = bench.check(list).await;
    assert_eq!(kept, ["tea no_story"]);
    assert_eq!(summary.unwrap().exit_code(), 0);
    drop(sender);
}
