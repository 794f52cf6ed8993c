//! How long a job waits for its check when the engine has nothing else to do: from before the call
//! that enqueues it, in this process and in another one.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use story_checker_benches::Figure;
use story_checker_core::engine::EngineConfig;
use story_checker_core::queue::{JobQueue, Retention};
use tokio::sync::mpsc;

use crate::jobs;
use crate::process::{BoxError, median, p99};
use crate::store::Store;

/// The first argument of the process that enqueues.
pub(crate) const ROLE: &str = "--enqueue";

const NAME: &str = "queue_latency";
const SAMPLES: u64 = 500;

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for store in Store::ALL {
        let own = runtime.block_on(measure(store, false))?;
        report(print, store, "in_process", own, 5.0);
        if store != Store::Memory {
            let other = runtime.block_on(measure(store, true))?;
            report(print, store, "other_process", other, 20.0);
        }
    }
    Ok(())
}

fn report(print: &mut dyn FnMut(Figure), store: Store, from: &str, waits: Vec<f64>, aim: f64) {
    let figure = |what: &str| format!("{}_{from}_{what}", store.name());
    print(Figure::info(NAME, &figure("p50"), median(waits.clone()), "ms"));
    print(Figure::at_most(NAME, &figure("p99"), p99(waits), "ms", aim));
}

/// The waits of all samples, in milliseconds.
async fn measure(store: Store, other_process: bool) -> Result<Vec<f64>, BoxError> {
    let opened = store.open(Retention::default()).await?;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let checker = Box::new(move |target: &story_checker_core::Target| {
        // The name says when it was enqueued.
        let wait = target.handle().parse().map(|then: u64| now().saturating_sub(then));
        _ = sender.send(wait);
    });
    let engine = jobs::engine(&opened.queue, Some(checker), EngineConfig::default())?;
    let engine = engine.start().await?;
    let mut other = match other_process {
        true => Some(Other::start(store, &opened.place.address)?),
        false => None,
    };
    let mut waits = Vec::new();
    for sample in 0..SAMPLES {
        // Idle again, and never in step with a poll.
        tokio::time::sleep(Duration::from_micros(20_000 + sample * 7_919 % 30_000)).await;
        match &mut other {
            Some(other) => other.enqueue()?,
            None => enqueue(&opened.queue).await?,
        }
        let wait = tokio::time::timeout(Duration::from_secs(10), seen.recv()).await?;
        waits.push(wait.ok_or("the engine has ended")?? as f64 / 1e6);
    }
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(waits)
}

/// Nanoseconds since 1970: two processes share no other clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

async fn enqueue(queue: &Arc<dyn JobQueue>) -> Result<(), BoxError> {
    let payload = Bytes::from(format!("instagram/account/{}", now()));
    queue.enqueue(vec![jobs::job(jobs::new_batch(), payload)]).await?;
    Ok(())
}

/// Enqueues one job per line of its input.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BoxError> {
    let [store, address] = arguments else { return Err("say which store and where".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let queue = runtime.block_on(Store::named(store)?.connect(address, Retention::default()))?;
    for line in std::io::stdin().lines() {
        line?;
        runtime.block_on(enqueue(&queue))?;
    }
    Ok(())
}

#[derive(Debug)]
struct Other {
    process: Child,
    input: Option<ChildStdin>,
}

impl Other {
    fn start(store: Store, address: &str) -> Result<Self, BoxError> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE, store.name(), address])
            .stdin(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        Ok(Self { process, input })
    }

    /// Only asks for it: waiting here would hold up the engine.
    fn enqueue(&mut self) -> Result<(), BoxError> {
        let input = self.input.as_mut().ok_or("no input")?;
        writeln!(input)?;
        input.flush()?;
        Ok(())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Closing its input ends it.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
