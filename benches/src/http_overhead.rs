//! What the engine costs over HTTP: the whole of it, with its default settings, against a bare
//! reqwest loop that makes the same two requests per check and the same validation. Both run in
//! turn in one process on one core; the platform has the other. Without latency also with the jobs in
//! SQLite, each safe on the disk.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use story_checker_benches::Figure;
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::Checker;
use story_checker_core::engine::{
    Engine, EngineConfig, EngineHandle, Event, Overflow, SubmitOptions, Subscription,
};
use story_checker_core::gate::Limits;
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionStore};
use story_checker_core::{Clock, SystemClock, Target, Timestamp, Verdict};
use story_checker_http::instagram::{self, ProfileAnswer, Sighting, WebChecker, WebConfig};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use story_checker_sim::numbered_name;

use crate::platform::{Plan, Running};
use crate::process::{self, BoxError, median};
use crate::store::Store;

type Fallible<T> = Result<T, BoxError>;

/// The first argument of the process that streams a million targets.
pub(crate) const STREAM_ROLE: &str = "--stream";

/// The first argument of a process that runs one side only, for a profiler.
pub(crate) const PROFILE_ROLE: &str = "--profile";

const NAME: &str = "http_overhead";
const SESSIONS: usize = 256;
const ROUNDS: usize = 5;

/// Checks per second, and processor time per check.
#[derive(Clone, Copy, Debug)]
struct Speed {
    per_second: f64,
    cpu_ms: f64,
}

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Fallible<()> {
    process::pin(std::process::id(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (latency_ms, checks, aim) in [(0, 40_000, 0.8), (50, 12_000, 0.97)] {
        let platform = Running::start(Plan { active: checks, sessions: SESSIONS, latency_ms })?;
        let (mut bare, mut engine, mut durable) = (Vec::new(), Vec::new(), Vec::new());
        // The first round only warms up: connections, caches, the branch predictor.
        for round in 0..=ROUNDS {
            let pair = runtime.block_on(async {
                // Whoever goes second must not always be the same.
                if round % 2 == 0 {
                    let first = bare_loop(&platform, checks).await?;
                    Fallible::Ok((first, engine_run(&platform, checks, Store::Memory).await?))
                } else {
                    let first = engine_run(&platform, checks, Store::Memory).await?;
                    Fallible::Ok((bare_loop(&platform, checks).await?, first))
                }
            })?;
            if round > 0 {
                bare.push(pair.0);
                engine.push(pair.1);
                if latency_ms == 0 {
                    let run = engine_run(&platform, checks, Store::Sqlite);
                    durable.push(runtime.block_on(run)?);
                }
            }
        }
        let figure = |what: &str| format!("{what}_{latency_ms}ms");
        let against_bare = |runs: &[Speed], of: fn(&Speed) -> f64| {
            median(runs.iter().zip(&bare).map(|(run, bare)| of(run) / of(bare)).collect())
        };
        let ratio = |of| against_bare(&engine, of);
        let mid = |runs: &[Speed], of: fn(&Speed) -> f64| median(runs.iter().map(of).collect());
        print(Figure::info(NAME, &figure("bare"), mid(&bare, |run| run.per_second), "checks/s"));
        print(Figure::info(
            NAME,
            &figure("engine"),
            mid(&engine, |run| run.per_second),
            "checks/s",
        ));
        print(Figure::at_least(
            NAME,
            &figure("ratio"),
            ratio(|run| run.per_second),
            "of bare",
            aim,
        ));
        print(Figure::info(NAME, &figure("bare_cpu"), mid(&bare, |run| run.cpu_ms), "ms/check"));
        print(Figure::info(
            NAME,
            &figure("engine_cpu"),
            mid(&engine, |run| run.cpu_ms),
            "ms/check",
        ));
        let cpu = ratio(|run| run.cpu_ms);
        if latency_ms == 0 {
            print(Figure::at_most(NAME, &figure("cpu_ratio"), cpu, "of bare", 1.3));
            let speed = mid(&durable, |run| run.per_second);
            print(Figure::info(NAME, &figure("engine_on_sqlite"), speed, "checks/s"));
            let ratio = against_bare(&durable, |run| run.per_second);
            print(Figure::at_least(NAME, &figure("ratio_on_sqlite"), ratio, "of bare", 0.5));
        } else {
            print(Figure::info(NAME, &figure("cpu_ratio"), cpu, "of bare"));
        }
    }
    let per_answer = runtime.block_on(requests_per_answer())?;
    print(Figure::at_most(NAME, "requests_per_answer", per_answer, "", 0.03));
    let (per_second, peak) = stream_in_own_process()?;
    print(Figure::info(NAME, "stream_1m", per_second, "checks/s"));
    print(Figure::at_most(NAME, "stream_1m_peak_rss", peak, "MB", 100.0));
    Ok(())
}

async fn timed(checks: u32, work: impl Future<Output = Fallible<()>>) -> Fallible<Speed> {
    let (cpu, begun) = (process::cpu_time()?, Instant::now());
    work.await?;
    let checks = f64::from(checks);
    let cpu_ms = (process::cpu_time()? - cpu).as_secs_f64() * 1e3 / checks;
    Ok(Speed { per_second: checks / begun.elapsed().as_secs_f64(), cpu_ms })
}

/// The bare loop: one task per session, no time limits, no logs, nothing kept.
async fn bare_loop(platform: &Running, checks: u32) -> Fallible<Speed> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(512).build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let headers = platform.headers()?;
    let work = async {
        let mut tasks = tokio::task::JoinSet::new();
        for headers in headers {
            let (client, next, url) = (client.clone(), Arc::clone(&next), platform.url.clone());
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= checks as usize {
                        return Fallible::Ok(());
                    }
                    let name = numbered_name(u32::try_from(number)?);
                    bare_check(&client, &headers, &url, &name).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    };
    timed(checks, work).await
}

async fn bare_check(
    client: &reqwest::Client,
    headers: &reqwest::header::HeaderMap,
    url: &str,
    name: &str,
) -> Fallible<()> {
    let get = async |url: String| {
        let answer = client.get(url).headers(headers.clone()).send().await?.error_for_status()?;
        answer.bytes().await
    };
    let body = get(format!("{url}/api/v1/users/web_profile_info/?username={name}")).await?;
    let ProfileAnswer::User { id, .. } = instagram::parse_profile(&body)? else {
        return Err("no such account".into());
    };
    let body = get(format!("{url}/api/v1/feed/reels_media/?reel_ids={id}")).await?;
    let now = Timestamp::from(std::time::SystemTime::now());
    match instagram::parse_reels(&body)?.sighting(&id, now) {
        Sighting::Live { .. } => Ok(()),
        other => Err(format!("{name} has no story: {other:?}").into()),
    }
}

/// An engine as the command line tool's `check` has it: reports are consumed as events and not
/// stored with their jobs. There are no limits, and the batch is given.
async fn engine(
    platform: &Running,
    batch: usize,
    cache: Arc<dyn Cache>,
    queue: Arc<dyn JobQueue>,
) -> Fallible<(EngineHandle, Subscription)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sessions = InMemorySessionStore::new(Arc::clone(&clock));
    sessions.put(platform.sessions()?).await?;
    let mut web = WebConfig::default();
    web.base_url.clone_from(&platform.url);
    let transport = ReqwestTransport::new(ReqwestTransportConfig::default())?;
    let checker = WebChecker::new(Arc::new(transport), web)?;
    let mut config = EngineConfig::default();
    config.max_batch = NonZeroUsize::new(batch);
    config.max_queued = Some(1_000);
    config.store_reports = false;
    config.limits.insert(checker.profile().app.to_string(), Limits::default());
    let engine = Engine::builder()
        .checker(Arc::new(checker))
        .queue(queue)
        .sessions(Arc::new(sessions))
        .cache(cache)
        .clock(clock)
        .config(config)
        .build()?
        .start()
        .await?;
    let events = engine.subscribe(256, Overflow::Wait);
    Ok((engine, events))
}

async fn in_memory() -> Fallible<Arc<dyn JobQueue>> {
    Store::Memory.connect("", Retention::nothing()).await
}

fn new_cache() -> Arc<dyn Cache> {
    Arc::new(InMemoryCache::with_capacity(Arc::new(SystemClock::new()), 50_000))
}

fn target(number: u32) -> Target {
    let handle = numbered_name(number);
    format!("instagram/account/{handle}").parse().expect("a numbered name is a handle")
}

/// Submits accounts in chunks and receives their reports; says how many were active.
async fn check_all(
    engine: &EngineHandle,
    events: &mut Subscription,
    accounts: u32,
) -> Fallible<u32> {
    let submit = async {
        for start in (0..accounts).step_by(500) {
            let chunk = (start..accounts.min(start + 500)).map(target);
            engine.submit(chunk, SubmitOptions::default()).await?;
        }
        Fallible::Ok(())
    };
    let receive = async {
        let (mut active, mut left) = (0, accounts);
        while left > 0 {
            match events.next().await.ok_or("the engine has ended")? {
                Event::Reported { report, .. } => {
                    left -= 1;
                    match &report.verdict {
                        Verdict::Active => active += 1,
                        Verdict::Unknown { cause } => return Err(cause.message.clone().into()),
                        _ => {}
                    }
                }
                Event::PutOff { cause, .. } => return Err(cause.message.into()),
                _ => {}
            }
        }
        Fallible::Ok(active)
    };
    Ok(tokio::try_join!(submit, receive)?.1)
}

async fn engine_run(platform: &Running, checks: u32, store: Store) -> Fallible<Speed> {
    let opened = store.open(Retention::nothing()).await?;
    let queue = Arc::clone(&opened.queue);
    let (engine, mut events) = engine(platform, 1, new_cache(), queue).await?;
    let work = async {
        let active = check_all(&engine, &mut events, checks).await?;
        if active == checks {
            Ok(())
        } else {
            Err(format!("{active} of {checks} were active").into())
        }
    };
    let speed = timed(checks, work).await?;
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(speed)
}

/// How many requests an answer costs when all ids are known.
async fn requests_per_answer() -> Fallible<f64> {
    const TARGETS: u32 = 5_000;
    let platform = Running::start(Plan { active: TARGETS, sessions: 8, latency_ms: 0 })?;
    let (engine, mut events) = engine(&platform, 50, new_cache(), in_memory().await?).await?;
    check_all(&engine, &mut events, TARGETS).await?;
    let before = platform.requests().await?;
    check_all(&engine, &mut events, TARGETS).await?;
    let requests = platform.requests().await? - before;
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(u32::try_from(requests)? as f64 / f64::from(TARGETS))
}

fn stream_in_own_process() -> Fallible<(f64, f64)> {
    let out = std::process::Command::new(std::env::current_exe()?).arg(STREAM_ROLE).output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into());
    }
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// One side alone, `bare`, `engine` or `durable`, with so many checks: for `perf`, `callgrind` and their like.
pub(crate) fn profile(arguments: &[String]) -> Fallible<()> {
    process::pin(std::process::id(), 0);
    let checks = arguments.get(1).map_or(Ok(40_000), |text| text.parse())?;
    let platform = Running::start(Plan { active: checks, sessions: SESSIONS, latency_ms: 0 })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let speed = match arguments.first().map(String::as_str) {
        Some("bare") => runtime.block_on(bare_loop(&platform, checks))?,
        Some("engine") => runtime.block_on(engine_run(&platform, checks, Store::Memory))?,
        Some("durable") => runtime.block_on(engine_run(&platform, checks, Store::Sqlite))?,
        _ => return Err("say `bare`, `engine` or `durable`, and how many checks".into()),
    };
    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{speed:?}\n"))?;
    Ok(())
}

/// A million accounts through one engine; prints its speed and the most memory it had.
pub(crate) fn stream(_: &[String]) -> Fallible<()> {
    const TARGETS: u32 = 1_000_000;
    process::pin(std::process::id(), 0);
    let platform = Running::start(Plan { active: 0, sessions: SESSIONS, latency_ms: 0 })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(async {
        let (engine, mut events) = engine(&platform, 1, new_cache(), in_memory().await?).await?;
        check_all(&engine, &mut events, TARGETS).await?;
        engine.shutdown(Duration::from_secs(5)).await;
        Fallible::Ok(())
    })?;
    let per_second = f64::from(TARGETS) / begun.elapsed().as_secs_f64();
    let line = serde_json::to_string(&(per_second, process::peak_memory()?))?;
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}
