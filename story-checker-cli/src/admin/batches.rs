//! `story-checker batch`.

use serde_json::json;
use story_checker_core::BatchId;
use story_checker_core::queue::{Alter, BatchStats, Select, StatsQuery};

use super::{Admin, counted, log, table, view};
use crate::args::{BatchCommand, ChangeArgs, LookArgs, PageArgs};
use crate::ids::Prefix;
use crate::output::words::time;

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn batch(command: &BatchCommand) -> anyhow::Result<u8> {
    match command {
        BatchCommand::List { page, look } => list(page, look),
        BatchCommand::Show { id, look } => show(id, look),
        BatchCommand::Log(args) => log::log(args),
        BatchCommand::Pause { id, look } => alter(id, look, Alter::Pause, "paused"),
        BatchCommand::Resume { id, look } => alter(id, look, Alter::Resume, "resumed"),
        BatchCommand::Cancel { id, change } => cancel(id, change),
    }
}

fn list(page: &PageArgs, look: &LookArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let after = page.after.as_ref().map(|id| BatchId::from_bytes(id.low()));
        let limit = usize::from(page.limit);
        let query = StatsQuery::BatchesAfter { after, limit: limit + 1 };
        let mut batches = queue.stats(&query).await?.batches;
        let more = batches.len() > limit;
        batches.truncate(limit);
        let next = batches.last().filter(|_| more).map(|batch| batch.batch);
        let json = || json!({"batches": batches.iter().map(view::batch).collect::<Vec<_>>(), "next": next});
        let rows = || batches.iter().map(|batch| row(&admin, batch)).collect();
        admin.rows(json, &["BATCH", "STATE", "ENDED", "DEAD", "CREATED", "CHANGED"], rows)?;
        if batches.is_empty() {
            admin.voice.say(format_args!("there are no batches in {}", admin.address));
        }
        if let Some(next) = next.filter(|_| !admin.json) {
            admin.voice.say(format_args!("next: --after {next}"));
        }
        Ok(0)
    })
}

fn row(admin: &Admin, batch: &BatchStats) -> Vec<String> {
    vec![
        batch.batch.to_string(),
        view::batch_word(batch).to_owned(),
        view::progress(&batch.counts),
        batch.counts.dead.to_string(),
        admin.ago(batch.created_at),
        admin.ago(batch.changed_at),
    ]
}

fn show(id: &Prefix, look: &LookArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let batch = view::stats(&*queue, id.batch(&*queue).await?).await?;
        let text = || {
            table::pairs(&[
                ("batch", batch.batch.to_string()),
                ("state", view::batch_word(&batch).to_owned()),
                ("ended", view::progress(&batch.counts)),
                ("jobs", view::spelled(&batch.counts)),
                (
                    "created",
                    format!("{} ({})", time(batch.created_at), admin.ago(batch.created_at)),
                ),
                (
                    "changed",
                    format!("{} ({})", time(batch.changed_at), admin.ago(batch.changed_at)),
                ),
            ])
        };
        admin.answer(|| view::batch(&batch), text)?;
        Ok(0)
    })
}

fn alter(id: &Prefix, look: &LookArgs, alter: Alter, word: &str) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let id = id.batch(&*queue).await?;
        queue.alter(&Select::Batch(id), alter).await?;
        let live = view::stats(&*queue, id).await?.counts.live();
        let json = || json!({"batch": id, "live": live});
        admin.answer(json, || format!("batch {id}: {word}; {} to go\n", counted(live, "job")))?;
        Ok(0)
    })
}

fn cancel(id: &Prefix, change: &ChangeArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&change.look.store, change.look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let id = id.batch(&*queue).await?;
        let live = view::stats(&*queue, id).await?.counts.live();
        let what = format!("cancel {} of batch {id} in {}", counted(live, "job"), admin.address);
        admin.confirm(change.yes, &what)?;
        let altered = queue.alter(&Select::Batch(id), Alter::Cancel).await?;
        let json = || json!({"batch": id, "cancelled": altered.changed});
        let text = || format!("batch {id}: {} cancelled\n", counted(altered.changed, "job"));
        admin.answer(json, text)?;
        Ok(0)
    })
}
