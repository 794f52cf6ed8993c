//! `story-checker queue` and `story-checker workers`.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use story_checker_core::queue::{
    JobFilter, JobView, MAX_ITEMS, QueueControl, QueueName, QueueStats, StatsQuery, WorkerStats,
};

use super::{Admin, jobs, view};
use crate::args::{LookArgs, QueueCommand, WorkersArgs};

/// Workers beat several times a minute: one that is silent for longer is gone, or stands still.
const SILENT: Duration = Duration::from_secs(60);

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn queue(command: &QueueCommand) -> anyhow::Result<u8> {
    let mut control = QueueControl::default();
    let (name, look) = match command {
        QueueCommand::Stats { look } => return stats(look),
        QueueCommand::Pause { name, look } => {
            control.paused = Some(true);
            (name, look)
        }
        QueueCommand::Resume { name, look } => {
            control.paused = Some(false);
            (name, look)
        }
        QueueCommand::Limit { name, most, look } => {
            control.max_len = Some(*most);
            (name, look)
        }
    };
    configure(name, look, control)
}

fn stats(look: &LookArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queues = admin.queue().await?.stats(&StatsQuery::Queues).await?.queues;
        let json = || json!({"queues": queues.iter().map(json_of).collect::<Vec<_>>()});
        let header = [
            "QUEUE",
            "STATE",
            "READY",
            "SCHEDULED",
            "LEASED",
            "DONE",
            "DEAD",
            "CANCELLED",
            "LIMIT",
        ];
        admin.rows(json, &header, || queues.iter().map(row).collect())?;
        if queues.is_empty() {
            admin.voice.say(format_args!("there are no queues in {}", admin.address));
        }
        Ok(0)
    })
}

const fn word(paused: bool) -> &'static str {
    if paused { "paused" } else { "open" }
}

fn json_of(queue: &QueueStats) -> Value {
    json!({
        "queue": queue.queue.as_str(), "paused": queue.paused, "max_len": queue.max_len,
        "counts": view::counts(&queue.counts),
    })
}

fn row(stats: &QueueStats) -> Vec<String> {
    let counts = &stats.counts;
    let numbers =
        [counts.ready, counts.scheduled, counts.leased, counts.done, counts.dead, counts.cancelled];
    let mut row = vec![stats.queue.to_string(), word(stats.paused).to_owned()];
    row.extend(numbers.map(|number| number.to_string()));
    row.push(stats.max_len.map_or_else(|| "none".to_owned(), |most| most.to_string()));
    row
}

fn configure(name: &str, look: &LookArgs, control: QueueControl) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let stats = || queue.stats(&StatsQuery::Queues);
        let known = stats().await?.queues;
        if known.iter().all(|known| known.queue.as_str() != name) {
            let names: Vec<_> = known.iter().map(|known| known.queue.as_str()).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            bail!("there is no queue {name:?} in {}; there: {there}", admin.address);
        }
        queue.configure(&QueueName::new(name), control).await?;
        for stats in stats().await?.queues.iter().filter(|queue| queue.queue.as_str() == name) {
            let limit = stats
                .max_len
                .map_or_else(String::new, |most| format!(", takes no more than {most} live jobs"));
            let text = || {
                format!("{name}: {}{limit}; {}\n", word(stats.paused), view::spelled(&stats.counts))
            };
            admin.answer(|| json_of(stats), text)?;
        }
        Ok(0)
    })
}

/// Shows who works, and on what.
///
/// # Errors
/// As [`queue`].
pub(crate) fn workers(args: &WorkersArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&args.look.store, args.look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let workers = queue.stats(&StatsQuery::Workers).await?.workers;
        let mut held: Vec<Vec<JobView>> = Vec::new();
        for worker in workers.iter().filter(|_| args.jobs) {
            let mut filter = JobFilter::default();
            filter.worker = Some(worker.worker.clone());
            held.push(queue.list(&filter, None, MAX_ITEMS).await?.jobs);
        }
        let state = |worker: &WorkerStats| match admin.now.since(worker.seen_at) > SILENT {
            true => "silent",
            false => "alive",
        };
        let json = || {
            let worker = |(index, worker): (usize, &WorkerStats)| {
                let jobs =
                    held.get(index).map(|jobs| jobs.iter().map(view::job).collect::<Vec<_>>());
                json!({
                    "worker": worker.worker, "state": state(worker), "seen_at": worker.seen_at,
                    "leases": worker.leases, "jobs": jobs,
                })
            };
            json!({"workers": workers.iter().enumerate().map(worker).collect::<Vec<_>>()})
        };
        let rows = || {
            let row = |worker: &WorkerStats| {
                vec![
                    worker.worker.to_string(),
                    state(worker).to_owned(),
                    admin.ago(worker.seen_at),
                    worker.leases.to_string(),
                ]
            };
            workers.iter().map(row).collect()
        };
        admin.rows(json, &["WORKER", "STATE", "SEEN", "HOLDS"], rows)?;
        if workers.is_empty() {
            let address = &admin.address;
            admin.voice.say(format_args!("no worker was seen at {address} in the last hour"));
        }
        let held: Vec<_> = held.iter().flatten().map(|job| jobs::row(&admin, job)).collect();
        if !held.is_empty() && !admin.json {
            crate::documents::print(b"\n")?;
            super::table::print(&["JOB", "STATE", "WHEN", "WHAT", "TRIES", "NOTE"], &held)?;
        }
        Ok(0)
    })
}
