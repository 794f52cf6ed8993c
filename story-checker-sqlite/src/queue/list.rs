//! Lists of jobs, page by page in the order of their ids.
//!
//! Jobs of a state that few jobs are in are found by an index of that state and sorted here; all
//! others by walking along the ids, of one batch if one is asked for. A page walks only so far: if
//! hardly any job matches, pages are short and not slow.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use story_checker_core::JobId;
use story_checker_core::queue::{JobFilter, JobState, Page};

use super::view::get_row;
use crate::error::Fail;
use crate::tally::number;

type Result<T> = std::result::Result<T, Fail>;

/// How many rows one page looks at while it walks along the ids.
const LOOK: usize = 8_192;

/// Up to so many jobs of one state are sorted here rather than looked for along the ids.
const FEW: usize = 4_096;

/// A job that may be listed: its id and its row.
type Found = (JobId, i64);

/// What was found, and how far that is complete.
#[derive(Debug, Default)]
struct Part {
    found: Vec<Found>,
    /// None: to the end, or as far as was asked for.
    until: Option<JobId>,
}

/// What a filter means in numbers of the file.
#[derive(Clone, Debug, Default)]
struct Wanted {
    batch: Option<i64>,
    queue: Option<i64>,
    worker: Option<i64>,
    state: Option<JobState>,
    /// The batches whose waiting jobs are cancelled.
    cancelled: HashSet<i64>,
}

/// The columns of a [`Seen`].
macro_rules! seen {
    () => {
        "SELECT job.uid, job.id, job.batch, job.queue, job.worker, job.state FROM job "
    };
}

/// As much of a job as a filter asks for.
#[derive(Debug)]
struct Seen {
    found: Found,
    batch: i64,
    queue: i64,
    worker: i64,
    state: u8,
}

impl Seen {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            found: (JobId::from_bytes(row.get(0)?), row.get(1)?),
            batch: row.get(2)?,
            queue: row.get(3)?,
            worker: row.get(4)?,
            state: row.get(5)?,
        })
    }
}

impl Wanted {
    fn fits(&self, job: &Seen) -> bool {
        let hidden = job.state < 2 && self.cancelled.contains(&job.batch);
        let state = if hidden { number(JobState::Cancelled) } else { job.state };
        self.batch.is_none_or(|batch| batch == job.batch)
            && self.queue.is_none_or(|queue| queue == job.queue)
            && self.worker.is_none_or(|worker| worker == job.worker)
            && self.state.is_none_or(|wanted| number(wanted) == state)
    }
}

pub(super) fn list(
    sql: &Connection,
    filter: &JobFilter,
    after: Option<JobId>,
    limit: usize,
) -> Result<Page> {
    let mut page = Page::default();
    let Some(wanted) = wanted(sql, filter)? else { return Ok(page) };
    // One more than the page holds shows whether there is another page.
    let Part { mut found, until } = find(sql, &wanted, after, limit.saturating_add(1))?;
    let more = found.len() > limit;
    found.truncate(limit);
    for (_, row) in &found {
        page.jobs.extend(get_row(sql, *row)?);
    }
    page.next = if more { found.last().map(|(id, _)| *id) } else { until };
    Ok(page)
}

/// None if nothing can match.
fn wanted(sql: &Connection, filter: &JobFilter) -> Result<Option<Wanted>> {
    let number = |text: &str, name: Value| -> Result<Option<i64>> {
        Ok(sql.prepare_cached(text)?.query_row([name], |row| row.get(0)).optional()?)
    };
    let mut wanted = Wanted { state: filter.state, ..Wanted::default() };
    if let Some(batch) = &filter.batch {
        let name = Value::Blob(batch.as_bytes().to_vec());
        wanted.batch = number("SELECT id FROM batch WHERE uid = ?1", name)?;
        if wanted.batch.is_none() {
            return Ok(None);
        }
    }
    if let Some(queue) = &filter.queue {
        let name = Value::Text(queue.as_str().to_owned());
        wanted.queue = number("SELECT id FROM queue WHERE name = ?1", name)?;
        if wanted.queue.is_none() {
            return Ok(None);
        }
    }
    if let Some(worker) = &filter.worker {
        let name = Value::Text(worker.as_str().to_owned());
        wanted.worker = number("SELECT id FROM worker WHERE name = ?1", name)?;
        if wanted.worker.is_none() {
            return Ok(None);
        }
    }
    let mut all = sql.prepare_cached("SELECT id FROM batch WHERE cancelled = 1")?;
    let rows = all.query_map([], |row| row.get(0))?;
    wanted.cancelled = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Some(wanted))
}

fn find(sql: &Connection, wanted: &Wanted, after: Option<JobId>, limit: usize) -> Result<Part> {
    let state = match wanted.state {
        // Only leased jobs have a worker, and there are as many as workers hold.
        _ if wanted.worker.is_some() => Some(JobState::Leased),
        state => state,
    };
    match state {
        Some(JobState::Leased) => leased(sql, wanted, after),
        Some(state @ JobState::Dead) => ended(sql, wanted, state, after, limit),
        Some(state @ JobState::Cancelled) => {
            let mut parts = vec![ended(sql, wanted, state, after, limit)?];
            for batch in hiding_batches(sql, wanted)? {
                let of_batch = Wanted { batch: Some(batch), ..wanted.clone() };
                // Those that were ended are in the first part.
                parts.push(walk(sql, after, limit, Some(batch), |job| {
                    job.state < 2 && of_batch.fits(job)
                })?);
            }
            Ok(together(parts, limit))
        }
        Some(state) => match few(sql, wanted, state, after)? {
            Some(part) => Ok(part),
            None => walk(sql, after, limit, wanted.batch, |job| wanted.fits(job)),
        },
        None => walk(sql, after, limit, wanted.batch, |job| wanted.fits(job)),
    }
}

/// Puts parts together, as far as all of them are complete.
fn together(parts: Vec<Part>, limit: usize) -> Part {
    let until = parts.iter().filter_map(|part| part.until).min();
    let mut found: Vec<Found> = parts.into_iter().flat_map(|part| part.found).collect();
    found.retain(|(id, _)| until.is_none_or(|until| *id <= until));
    found.sort_unstable();
    found.truncate(limit);
    Part { found, until }
}

fn bound_after(after: Option<JobId>) -> Value {
    // Shorter than any id: before the first.
    Value::Blob(after.map_or(Vec::new(), |after| after.as_bytes().to_vec()))
}

/// Runs a statement that goes along the ids, until enough was found or looked at. Its first
/// parameter is the id to begin after, its second how many rows to look at.
fn along(
    sql: &Connection,
    text: &str,
    after: Option<JobId>,
    further: &[i64],
    limit: usize,
    fits: impl Fn(&Seen) -> bool,
) -> Result<Part> {
    let mut bound = vec![bound_after(after), Value::Integer(super::claim::as_limit(LOOK))];
    bound.extend(further.iter().copied().map(Value::Integer));
    let mut read = sql.prepare_cached(text)?;
    let mut rows = read.query(params_from_iter(bound))?;
    let (mut part, mut seen, mut last) = (Part::default(), 0, None);
    while let Some(row) = rows.next()? {
        let job = Seen::read(row)?;
        seen += 1;
        last = Some(job.found.0);
        if fits(&job) {
            part.found.push(job.found);
        }
        if part.found.len() >= limit {
            // Also the next part of others must not go beyond it.
            part.until = last;
            return Ok(part);
        }
    }
    part.until = last.filter(|_| seen == LOOK);
    Ok(part)
}

/// Walks along the ids of one batch or of all jobs.
fn walk(
    sql: &Connection,
    after: Option<JobId>,
    limit: usize,
    batch: Option<i64>,
    fits: impl Fn(&Seen) -> bool,
) -> Result<Part> {
    let Some(batch) = batch else {
        let text = concat!(seen!(), "WHERE job.uid > ?1 ORDER BY job.uid LIMIT ?2");
        return along(sql, text, after, &[], limit, fits);
    };
    let text = concat!(
        seen!(),
        "WHERE job.uid > ?1 AND job.batch = ?3 AND job.batch <> 0 ORDER BY job.uid LIMIT ?2"
    );
    along(sql, text, after, &[batch], limit, fits)
}

/// Dead or cancelled jobs.
fn ended(
    sql: &Connection,
    wanted: &Wanted,
    state: JobState,
    after: Option<JobId>,
    limit: usize,
) -> Result<Part> {
    let state = i64::from(number(state));
    // Named, for the planner would take the index of the state alone for a batch, too.
    match wanted.batch {
        None => {
            let text = concat!(
                seen!(),
                "INDEXED BY job_rest_state WHERE job.state >= 4 AND job.state = ?3
                 AND job.uid > ?1 ORDER BY job.uid LIMIT ?2"
            );
            along(sql, text, after, &[state], limit, |job| wanted.fits(job))
        }
        Some(batch) => {
            let text = concat!(
                seen!(),
                "INDEXED BY job_rest_batch WHERE job.state >= 4 AND job.state = ?3
                 AND job.batch = ?4 AND job.uid > ?1 ORDER BY job.uid LIMIT ?2"
            );
            along(sql, text, after, &[state, batch], limit, |job| wanted.fits(job))
        }
    }
}

/// Those among so many rows that fit, by id; none if there are more rows.
fn sorted(
    sql: &Connection,
    text: &str,
    further: &[i64],
    most: usize,
    fits: impl Fn(&Seen) -> bool,
) -> Result<Option<Part>> {
    let mut bound = vec![super::claim::as_limit(most)];
    bound.extend(further);
    let mut read = sql.prepare_cached(text)?;
    let mut rows = read.query(params_from_iter(bound))?;
    let (mut found, mut seen) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let job = Seen::read(row)?;
        seen += 1;
        if fits(&job) {
            found.push(job.found);
        }
    }
    found.sort_unstable();
    Ok((seen < most).then_some(Part { found, until: None }))
}

/// The jobs of a state that few jobs are in; none if many are.
fn few(
    sql: &Connection,
    wanted: &Wanted,
    state: JobState,
    after: Option<JobId>,
) -> Result<Option<Part>> {
    let (all, of_queue) = match state {
        JobState::Ready => (
            concat!(seen!(), "INDEXED BY job_ready WHERE job.state = 0 LIMIT ?1"),
            concat!(
                seen!(),
                "INDEXED BY job_ready WHERE job.state = 0 AND job.queue = ?2 LIMIT ?1"
            ),
        ),
        JobState::Scheduled => (
            concat!(seen!(), "INDEXED BY job_due WHERE job.state = 1 LIMIT ?1"),
            concat!(seen!(), "INDEXED BY job_due WHERE job.state = 1 AND job.queue = ?2 LIMIT ?1"),
        ),
        JobState::Done => {
            let all = concat!(seen!(), "INDEXED BY job_done WHERE job.state = 3 LIMIT ?1");
            return sorted(sql, all, &[], FEW, |job| after_it(job, after) && wanted.fits(job));
        }
        _ => return Ok(None),
    };
    let fits = |job: &Seen| after_it(job, after) && wanted.fits(job);
    match wanted.queue {
        Some(queue) => sorted(sql, of_queue, &[queue], FEW, fits),
        None => sorted(sql, all, &[], FEW, fits),
    }
}

fn after_it(job: &Seen, after: Option<JobId>) -> bool {
    after.is_none_or(|after| job.found.0 > after)
}

/// All leased jobs are few.
fn leased(sql: &Connection, wanted: &Wanted, after: Option<JobId>) -> Result<Part> {
    let text = concat!(seen!(), "INDEXED BY job_lease WHERE job.state = 2 LIMIT ?1");
    let fits = |job: &Seen| after_it(job, after) && wanted.fits(job);
    Ok(sorted(sql, text, &[], usize::MAX, fits)?.unwrap_or_default())
}

/// Cancelled batches that may have jobs which were not ended yet.
fn hiding_batches(sql: &Connection, wanted: &Wanted) -> Result<Vec<i64>> {
    let mut read = sql.prepare_cached(
        "SELECT batch FROM share WHERE hidden_ready + hidden_scheduled > 0 AND batch = ?1",
    )?;
    let mut hiding = Vec::new();
    for batch in &wanted.cancelled {
        if wanted.batch.is_none_or(|wanted| wanted == *batch) && read.exists([batch])? {
            hiding.push(*batch);
        }
    }
    Ok(hiding)
}
