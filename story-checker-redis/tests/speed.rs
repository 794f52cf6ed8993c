//! Figures of the store alone: `cargo nextest run --release -p story-checker-redis --run-ignored all
//! --no-capture speed`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use story_checker_core::queue::{ClaimRequest, JobQueue, NewJob, Outcome, Retention, Settlement};
use story_checker_core::{BatchId, JobId};
use story_checker_redis::{RedisOptions, RedisStore};

use crate::server::Server;

const JOBS: usize = 100_000;

fn jobs(count: usize, batch: Option<BatchId>) -> Vec<NewJob> {
    let job = |_| {
        let id = JobId::from(uuid::Uuid::now_v7());
        let mut job = NewJob::new(id, "check/instagram/account".into(), Bytes::from(vec![7; 200]));
        job.batch = batch;
        job
    };
    (0..count).map(job).collect()
}

fn used_memory(server: &Server) -> f64 {
    let info: String = redis::cmd("INFO").arg("memory").query(&mut server.client()).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

fn commands(server: &Server, per: usize) {
    let info: String = redis::cmd("INFO").arg("commandstats").query(&mut server.client()).unwrap();
    let mut rows: Vec<_> = info
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let field = |name: &str| -> f64 {
                let part = rest.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
                part.parse().unwrap()
            };
            Some((field("usec="), field("calls="), name.to_owned()))
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (usec, calls, name) in rows.iter().take(16) {
        println!(
            "    {name:16} {:8.3} us per job {:8.4} calls per job",
            usec / per as f64,
            calls / per as f64
        );
    }
}

async fn measure(retention: Retention, workers: usize, batches: usize) {
    let server = Server::start();
    let options = RedisOptions::default().with_retention(retention);
    let store = RedisStore::connect(&server.url(), options).await.unwrap();
    let queue = Arc::new(store.queue());
    let before = used_memory(&server);
    let mut all = Vec::new();
    for n in 0..batches.max(1) {
        let batch = (batches > 0).then(|| BatchId::from(uuid::Uuid::from_u128(n as u128 + 1)));
        all.extend(jobs(JOBS / batches.max(1), batch));
    }
    let begun = Instant::now();
    for some in all.chunks(100) {
        queue.enqueue(some.to_vec()).await.unwrap();
    }
    let total = all.len();
    println!("enqueue {:.0}/s", total as f64 / begun.elapsed().as_secs_f64());
    println!("{:.1} bytes per job", (used_memory(&server) - before) / total as f64);
    commands(&server, total);
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.client()).unwrap();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..workers {
        let queue = Arc::clone(&queue);
        tasks.spawn(async move {
            let wants = vec![("check/instagram/account".into(), 100)];
            let name = format!("w{worker}").as_str().into();
            let request = ClaimRequest::new(wants, name, Duration::from_secs(30));
            let mut claimed = queue.claim(&request).await.unwrap();
            let mut count = 0;
            while !claimed.jobs.is_empty() {
                count += claimed.jobs.len();
                let result = Bytes::from_static(b"{\"verdict\":\"no_story\"}");
                let end = |job: &story_checker_core::queue::ClaimedJob| {
                    Settlement::new(job.lease, Outcome::Done { result: result.clone() })
                };
                let settlements = claimed.jobs.iter().map(end).collect();
                claimed = queue.settle(settlements, Some(&request)).await.unwrap().1;
            }
            count
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done.unwrap();
    }
    assert_eq!(count, total);
    println!("claim+settle {:.0}/s", total as f64 / begun.elapsed().as_secs_f64());
    commands(&server, total);
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, retention, batches) in [
        ("nothing kept, no batch", Retention::nothing(), 0),
        ("default retention, one batch", Retention::default(), 1),
        ("default retention, 10 batches", Retention::default(), 10),
    ] {
        println!("--- {name}");
        runtime.block_on(measure(retention, 4, batches));
    }
}
