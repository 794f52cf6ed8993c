//! Takes everything out of a store.

use std::io::Write;

use super::line::{Batch, FORMAT, Header, Job, Line, Proxy, Queue, Session};
use super::{Counts, Stores};
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::queue::{JobFilter, MAX_ITEMS, StatsQuery};
use crate::session::SessionRecord;

const EXPORT: &str = "export the store";

/// Writes everything that the stores hold as lines of JSON, and a configuration if there is one to
/// go with it. Calls `progress` after each page.
///
/// What changes meanwhile is in it as it was before or after; nothing is in it twice.
///
/// # Errors
/// As [`JobQueue::list`](crate::queue::JobQueue::list) and the like, and
/// [`ErrorKind::Unavailable`] if the lines cannot be written.
///
/// # Cancel safety
/// Safe: it only reads. What was written so far has no end line.
pub async fn export<W: Write + Send>(
    stores: &Stores<'_>,
    config: Option<&str>,
    to: W,
    mut progress: impl FnMut(&Counts) + Send,
) -> Result<Counts> {
    let mut lines = Lines { to, counts: Counts::default() };
    lines.put(&Line::StoryCheckerExport(Header { format: FORMAT }))?;
    if let Some(config) = config {
        lines.put(&Line::Config(config.to_owned()))?;
    }
    queues(stores, &mut lines).await?;
    sessions(stores, &mut lines, &mut progress).await?;
    proxies(stores, &mut lines).await?;
    jobs(stores, &mut lines, &mut progress).await?;
    batches(stores, &mut lines, &mut progress).await?;
    lines.put(&Line::End(lines.counts))?;
    lines.to.flush().map_err(unwritten)?;
    progress(&lines.counts);
    Ok(lines.counts)
}

struct Lines<W> {
    to: W,
    counts: Counts,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, line: &Line) -> Result<()> {
        // In one write, so that nobody who follows the file sees half a line.
        let mut text = serde_json::to_vec(line).map_err(unwritten)?;
        text.push(b'\n');
        self.to.write_all(&text).map_err(unwritten)?;
        let count = match line {
            Line::StoryCheckerExport(_) | Line::Config(_) | Line::End(_) => return Ok(()),
            Line::Queue(_) => &mut self.counts.queues,
            Line::Session(_) => &mut self.counts.sessions,
            Line::Proxy(_) => &mut self.counts.proxies,
            Line::Job(_) => &mut self.counts.jobs,
            Line::Batch(_) => &mut self.counts.batches,
        };
        *count += 1;
        Ok(())
    }
}

fn unwritten(error: impl Into<std::io::Error>) -> Error {
    Error::new(ErrorKind::Unavailable, Certainty::Permanent, EXPORT)
        .with_context("a line cannot be written")
        .with_source(error.into())
}

async fn queues<W: Write>(stores: &Stores<'_>, lines: &mut Lines<W>) -> Result<()> {
    for queue in stores.queue.stats(&StatsQuery::Queues).await?.queues {
        if queue.paused || queue.max_len.is_some() {
            let name = queue.queue.as_str().to_owned();
            lines.put(&Line::Queue(Queue {
                name,
                paused: queue.paused,
                max_len: queue.max_len,
            }))?;
        }
    }
    Ok(())
}

async fn sessions<W: Write>(
    stores: &Stores<'_>,
    lines: &mut Lines<W>,
    progress: &mut (impl FnMut(&Counts) + Send),
) -> Result<()> {
    let Some(store) = stores.sessions else { return Ok(()) };
    let mut after = None;
    loop {
        let page = store.list(after, MAX_ITEMS).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.clone());
        for record in page {
            lines.put(&Line::Session(session(stores, record)?))?;
        }
        progress(&lines.counts);
    }
}

fn session(stores: &Stores<'_>, record: SessionRecord) -> Result<Session> {
    let sealed = sealed(stores, &record)?;
    let SessionRecord { id, kind, account, state, home_proxy, .. } = record;
    Ok(Session { id, kind, account, state, home_proxy, sealed })
}

#[cfg(feature = "seal")]
fn sealed(stores: &Stores<'_>, record: &SessionRecord) -> Result<Option<String>> {
    let seal = |keys: &crate::seal::Keyring| {
        let sealed = keys.seal_credentials(&record.id, &record.credentials)?;
        Ok(crate::base64::encode(&sealed))
    };
    stores.keys.map(seal).transpose()
}

#[cfg(not(feature = "seal"))]
fn sealed(_: &Stores<'_>, _: &SessionRecord) -> Result<Option<String>> {
    Ok(None)
}

async fn proxies<W: Write>(stores: &Stores<'_>, lines: &mut Lines<W>) -> Result<()> {
    let Some(source) = stores.proxies else { return Ok(()) };
    let mut states = source.load().await?;
    states.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (id, state) in states {
        lines.put(&Line::Proxy(Proxy { id, state }))?;
    }
    Ok(())
}

async fn jobs<W: Write>(
    stores: &Stores<'_>,
    lines: &mut Lines<W>,
    progress: &mut (impl FnMut(&Counts) + Send),
) -> Result<()> {
    let mut after = None;
    loop {
        let page = stores.queue.list(&JobFilter::default(), after, MAX_ITEMS).await?;
        for job in page.jobs {
            lines.put(&Line::Job(Box::new(Job::of(job))))?;
        }
        progress(&lines.counts);
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

/// The batches that are cancelled or paused. One of which no job is left says nothing any more, and
/// could not be told to another store: batches begin with their jobs.
async fn batches<W: Write>(
    stores: &Stores<'_>,
    lines: &mut Lines<W>,
    progress: &mut (impl FnMut(&Counts) + Send),
) -> Result<()> {
    let mut after = None;
    loop {
        let query = StatsQuery::BatchesAfter { after, limit: MAX_ITEMS };
        let page = stores.queue.stats(&query).await?.batches;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.batch);
        for batch in page.iter().filter(|batch| batch.cancelled || batch.paused) {
            let jobs = stores.queue.list(&JobFilter::batch(batch.batch), None, 1).await?.jobs;
            if !jobs.is_empty() {
                let (cancelled, paused) = (batch.cancelled, batch.paused);
                lines.put(&Line::Batch(Batch { id: batch.batch, cancelled, paused }))?;
            }
        }
        progress(&lines.counts);
    }
}
