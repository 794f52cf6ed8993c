//! No-op jobs through apalis 1.0: `story-checker-peers redis URL JOBS`, `… sqlite FILE JOBS`. Prints
//! one JSON object: jobs a second, enqueued and worked off. The store must be empty.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::{
    BoxDynError, Data, TaskSink, WorkerBuilder, WorkerBuilderExt, WorkerContext,
};
use apalis_redis::RedisStorage;
use apalis_sqlite::SqliteStorage;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// A JSON text of 200 bytes, quotes included.
const PAYLOAD: usize = 198;
/// Best of 10, 50, 100 and 500 for both.
const BATCH: usize = 100;
const CONCURRENCY: usize = 100;
/// Its largest commands stay well below what Lua unpacks.
const CHUNK: usize = 500;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone)]
struct Countdown {
    left: Arc<AtomicUsize>,
    begun: Instant,
    done: Arc<std::sync::OnceLock<Duration>>,
}

/// Counts, and ends the worker with the last one.
async fn job(
    _: String,
    countdown: Data<Countdown>,
    worker: WorkerContext,
) -> Result<(), BoxDynError> {
    if countdown.left.fetch_sub(1, Ordering::AcqRel) == 1 {
        countdown.done.get_or_init(|| countdown.begun.elapsed());
        worker.stop()?;
    }
    Ok(())
}

fn payloads(jobs: usize) -> impl Iterator<Item = Vec<String>> {
    (0..jobs).step_by(CHUNK).map(move |start| {
        (start..jobs.min(start + CHUNK)).map(|number| format!("{number:0PAYLOAD$}")).collect()
    })
}

/// Pushes all jobs, then works them off; a macro because each storage has its own type.
macro_rules! measure {
    ($storage:expr, $jobs:expr) => {{
        let mut storage = $storage;
        let begun = Instant::now();
        for chunk in payloads($jobs) {
            storage.push_bulk(chunk).await?;
        }
        let enqueue = begun.elapsed();
        let countdown = Countdown {
            left: Arc::new(AtomicUsize::new($jobs)),
            begun: Instant::now(),
            done: Arc::default(),
        };
        // Its own workers may have registered under a name that lives on for a while.
        let worker = WorkerBuilder::new(format!("worker-{}", std::process::id()))
            .backend(storage)
            .data(countdown.clone())
            .concurrency(CONCURRENCY)
            .build(job);
        worker.run().await?;
        let process = countdown.done.get().copied().ok_or("the worker ended early")?;
        (enqueue, process)
    }};
}

async fn redis(url: &str, jobs: usize) -> Fallible<(Duration, Duration)> {
    let connection = apalis_redis::connect(url).await?;
    let config = apalis_redis::Config::default().queue("bench").batch_size(BATCH).lock_tasks(false);
    Ok(measure!(RedisStorage::<String>::new(connection).with_config(config), jobs))
}

async fn sqlite(file: &str, jobs: usize) -> Fallible<(Duration, Duration)> {
    // As durable as ours, on every connection; its own `setup` would set OFF on one of them.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    SqliteStorage::migrations().run(&pool).await?;
    let config = apalis_sqlite::Config::default().queue("bench").batch_size(BATCH);
    Ok(measure!(SqliteStorage::<String>::new(&pool).with_config(config), jobs))
}

fn run() -> Fallible<String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [store, place, jobs] = &arguments[..] else {
        return Err("say `redis URL JOBS` or `sqlite FILE JOBS`".into());
    };
    let jobs: usize = jobs.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (enqueue, process) = runtime.block_on(async {
        match store.as_str() {
            "redis" => redis(place, jobs).await,
            "sqlite" => sqlite(place, jobs).await,
            other => Err(format!("no store is named {other:?}").into()),
        }
    })?;
    let per_second = |time: Duration| jobs as f64 / time.as_secs_f64();
    let figures = serde_json::json!({
        "enqueue": per_second(enqueue),
        "process": per_second(process),
    });
    Ok(figures.to_string())
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("story-checker-peers: {error}");
            ExitCode::FAILURE
        }
    }
}
