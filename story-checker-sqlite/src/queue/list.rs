//! Lists of jobs, page by page in the order of their ids.
//!
//! Jobs of a state that few jobs are in are found by an index of that state; all others by walking
//! along the ids, of one batch if one is asked for.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use story_checker_core::JobId;
use story_checker_core::queue::{JobFilter, JobState, Page};

use super::view::get_row;
use crate::error::Fail;
use crate::tally::number;

type Result<T> = std::result::Result<T, Fail>;

/// A job that may be listed: its id and its row.
type Found = (JobId, i64);

/// What a filter means in numbers of the file.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    batch: Option<i64>,
    queue: Option<i64>,
    worker: Option<i64>,
    state: Option<JobState>,
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
    let mut found = find(sql, wanted, after, limit.saturating_add(1))?;
    let more = found.len() > limit;
    found.truncate(limit);
    for (_, row) in &found {
        page.jobs.extend(get_row(sql, *row)?);
    }
    page.next = found.last().filter(|_| more).map(|(id, _)| *id);
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
    Ok(Some(wanted))
}

fn find(
    sql: &Connection,
    wanted: Wanted,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<Found>> {
    match wanted.state {
        // Only leased jobs have a worker, and there are as many as workers hold.
        _ if wanted.worker.is_some() => leased(sql, wanted, after, limit),
        Some(JobState::Leased) => leased(sql, wanted, after, limit),
        Some(state @ JobState::Dead) => ended(sql, wanted, state, after, limit),
        Some(state @ JobState::Cancelled) => {
            let mut found = ended(sql, wanted, state, after, limit)?;
            for batch in cancelled_batches(sql, wanted)? {
                let of_batch = Wanted { batch: Some(batch), ..wanted };
                found.extend(walk(sql, of_batch, "job.state < 2", after, limit)?);
            }
            found.sort_unstable();
            found.truncate(limit);
            Ok(found)
        }
        Some(state) => {
            let hidden = "(job.state < 2 AND job.batch <> 0
                 AND (SELECT cancelled FROM batch WHERE batch.id = job.batch))";
            let is = format!("job.state = {} AND NOT {hidden}", number(state));
            walk(sql, wanted, &is, after, limit)
        }
        None => walk(sql, wanted, "1", after, limit),
    }
}

/// Runs a statement whose parameters are given by name only where they are used.
fn run(sql: &Connection, text: &str, bound: Vec<Value>) -> Result<Vec<Found>> {
    let mut read = sql.prepare_cached(text)?;
    let rows = read.query_map(params_from_iter(bound), |row| {
        Ok((JobId::from_bytes(row.get(0)?), row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn bound_after(after: Option<JobId>) -> Value {
    // Shorter than any id: before the first.
    Value::Blob(after.map_or(Vec::new(), |after| after.as_bytes().to_vec()))
}

fn bound_limit(limit: usize) -> Value {
    Value::Integer(super::claim::as_limit(limit))
}

/// Walks along the ids of one batch or of all jobs.
fn walk(
    sql: &Connection,
    wanted: Wanted,
    is: &str,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<Found>> {
    let mut text = format!("SELECT job.uid, job.id FROM job WHERE job.uid > ?1 AND {is}");
    let mut bound = vec![bound_after(after), bound_limit(limit)];
    if let Some(batch) = wanted.batch {
        text.push_str(" AND job.batch = ?3 AND job.batch <> 0");
        bound.push(Value::Integer(batch));
    }
    if let Some(queue) = wanted.queue {
        // The sign keeps the planner from the index of the queue.
        text.push_str(&format!(" AND +job.queue = ?{}", bound.len() + 1));
        bound.push(Value::Integer(queue));
    }
    text.push_str(" ORDER BY job.uid LIMIT ?2");
    run(sql, &text, bound)
}

/// Dead or cancelled jobs.
fn ended(
    sql: &Connection,
    wanted: Wanted,
    state: JobState,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<Found>> {
    // Named, for the planner would take the index of the state alone for a batch, too.
    let index = if wanted.batch.is_some() { "job_rest_batch" } else { "job_rest_state" };
    let mut text = format!(
        "SELECT job.uid, job.id FROM job INDEXED BY {index} WHERE job.state >= 4
         AND job.state = ?3 AND job.uid > ?1"
    );
    let mut bound =
        vec![bound_after(after), bound_limit(limit), Value::Integer(number(state).into())];
    if let Some(batch) = wanted.batch {
        text.push_str(" AND job.batch = ?4");
        bound.push(Value::Integer(batch));
    }
    if let Some(queue) = wanted.queue {
        text.push_str(&format!(" AND +job.queue = ?{}", bound.len() + 1));
        bound.push(Value::Integer(queue));
    }
    text.push_str(" ORDER BY job.uid LIMIT ?2");
    run(sql, &text, bound)
}

/// All leased jobs are few: they are sorted here.
fn leased(
    sql: &Connection,
    wanted: Wanted,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<Found>> {
    let mut read = sql.prepare_cached(
        "SELECT job.uid, job.id, job.batch, job.queue, job.worker
         FROM job INDEXED BY job_lease WHERE job.state = 2",
    )?;
    let mut rows = read.query([])?;
    let mut found = Vec::new();
    if wanted.state.is_some_and(|state| state != JobState::Leased) {
        return Ok(found);
    }
    while let Some(row) = rows.next()? {
        let id = JobId::from_bytes(row.get(0)?);
        let is = |wanted: Option<i64>, index| -> rusqlite::Result<bool> {
            Ok(wanted.is_none_or(|wanted| row.get(index) == Ok(wanted)))
        };
        if is(wanted.batch, 2)?
            && is(wanted.queue, 3)?
            && is(wanted.worker, 4)?
            && after.is_none_or(|after| id > after)
        {
            found.push((id, row.get(1)?));
        }
    }
    found.sort_unstable();
    found.truncate(limit);
    Ok(found)
}

/// Cancelled batches that may have jobs which were not ended yet.
fn cancelled_batches(sql: &Connection, wanted: Wanted) -> Result<Vec<i64>> {
    let mut read = sql.prepare_cached(
        "SELECT batch FROM share WHERE hidden_ready + hidden_scheduled > 0 AND batch = ?1",
    )?;
    if let Some(batch) = wanted.batch {
        return Ok(if read.exists([batch])? { vec![batch] } else { Vec::new() });
    }
    let mut all = sql.prepare_cached("SELECT id FROM batch WHERE cancelled = 1")?;
    let rows = all.query_map([], |row| row.get(0))?;
    let all = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut hiding = Vec::new();
    for batch in all {
        if read.exists([batch])? {
            hiding.push(batch);
        }
    }
    Ok(hiding)
}
