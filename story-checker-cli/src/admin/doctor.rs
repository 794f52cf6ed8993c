//! `story-checker doctor`.

use serde_json::json;
use story_checker_core::WorkerId;
use story_checker_core::engine::{Bottleneck, Shares, WorkerStatus, diagnose, read_status};
use story_checker_core::queue::StatsQuery;

use super::{Admin, table};
use crate::args::DoctorArgs;
use crate::stores::{self, StoreOptions};

/// Says what bounds the workers of a store; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let look = &args.look;
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let statuses = statuses(&admin).await?;
        let mut all = Shares::default();
        statuses.iter().for_each(|status| all.add(&status.shares));
        let diagnosis = diagnose(&all);
        let json = || {
            let mut answer = json!(diagnosis);
            answer["workers"] = statuses.iter().map(|status| json!(status)).collect();
            answer
        };
        let text = || {
            let mut lines = vec![
                ("bottleneck", word(&diagnosis.bottleneck)),
                ("what helps", diagnosis.advice.clone()),
            ];
            let labels = std::iter::once("because").chain(std::iter::repeat(" "));
            lines.extend(labels.zip(diagnosis.evidence.iter().cloned()));
            table::pairs(&lines)
        };
        admin.answer(json, text)?;
        if statuses.is_empty() {
            let address = &admin.address;
            admin.voice.say(format_args!("no worker of {address} has said how it goes lately"));
        } else if !admin.json {
            crate::documents::print(b"\n")?;
            let row = |status: &WorkerStatus| {
                vec![
                    status.worker.to_string(),
                    admin.ago(status.at),
                    status.in_flight.to_string(),
                    status.sessions.to_string(),
                    word(&diagnose(&status.shares).bottleneck),
                ]
            };
            let rows: Vec<_> = statuses.iter().map(row).collect();
            table::print(&["WORKER", "SAID", "RUNNING", "SESSIONS", "BOTTLENECK"], &rows)?;
        }
        Ok(u8::from(statuses.is_empty()))
    })
}

/// What the workers of the store said of themselves lately.
pub(super) async fn statuses(admin: &Admin) -> anyhow::Result<Vec<WorkerStatus>> {
    let workers = admin.queue().await?.stats(&StatsQuery::Workers).await?.workers;
    let workers: Vec<WorkerId> = workers.into_iter().map(|worker| worker.worker).collect();
    let options = StoreOptions::of(&admin.settings);
    let board = stores::open_board(&admin.address, &options, &admin.voice).await?;
    Ok(read_status(&*board, &workers).await?)
}

fn word(bottleneck: &Bottleneck) -> String {
    match bottleneck {
        Bottleneck::Blocked => "the platform asks to be left alone".to_owned(),
        Bottleneck::Concurrency => "concurrency".to_owned(),
        Bottleneck::Held => "told to wait".to_owned(),
        Bottleneck::Limit(of) => format!("the limit of the {of}"),
        Bottleneck::NoWork => "none: there is nothing to do".to_owned(),
        Bottleneck::PlatformSlow => "the platform takes long".to_owned(),
        Bottleneck::Proxies => "no proxy may be used".to_owned(),
        Bottleneck::Retries => "checks fail".to_owned(),
        Bottleneck::Sessions => "too few sessions".to_owned(),
        Bottleneck::SessionsAway => "sessions rest or are elsewhere".to_owned(),
        Bottleneck::SessionsOut => "no session can be used".to_owned(),
        Bottleneck::SlowProxy(id) => format!("the proxy {id} is slow"),
        Bottleneck::Store => "the store is slow".to_owned(),
        Bottleneck::Worker => "the worker itself".to_owned(),
        _ => "unknown".to_owned(),
    }
}
