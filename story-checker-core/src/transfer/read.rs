//! Takes everything into a store.

use std::io::{self, BufRead, Read};

use super::line::{Batch, FORMAT, Line, NOT_BASE64, Queue, Session};
use super::{BAD_LINES_KEPT, BadLine, Imported, Stores};
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::id::{ProxyId, SessionId};
use crate::proxy::ProxyState;
use crate::queue::{Alter, Enqueued, MAX_ITEMS, NewJob, QueueControl, QueueName, Select};
use crate::session::{Credentials, PutReply, SessionRecord, SessionState};

const IMPORT: &str = "import an export";

/// A longer line is no line of an export: no store takes such a payload.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// Takes in what an export holds. Calls `progress` after each page with what was taken in so far.
///
/// A line that cannot be understood, or that a store refuses, is counted and described, and the
/// others are taken in. Jobs and sessions that are there already stay as they are; settings of
/// queues, states of proxies and flags of batches become those of the export. So a second import of
/// the same export changes nothing, and one that was broken off is simply repeated.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is no export at all, or of a newer format, and
/// [`ErrorKind::Unavailable`] if it cannot be read. As
/// [`JobQueue::enqueue`](crate::queue::JobQueue::enqueue) and the like if a store fails; the text
/// then names the line.
///
/// # Cancel safety
/// Any part may have been taken in; repeating it does no harm. Flags of batches come last.
pub async fn import<R: BufRead + Send>(
    stores: &Stores<'_>,
    from: R,
    mut progress: impl FnMut(&Imported) + Send,
) -> Result<Imported> {
    let mut import = Import { stores, done: Imported::default(), last: Last::default() };
    let mut lines = Lines { from, number: 0, text: Vec::new(), max: MAX_LINE };
    header(&mut lines)?;
    let mut page = Page::default();
    loop {
        let read = lines.next()?;
        let end = read.is_none();
        if let Some(read) = read {
            match read.and_then(parse) {
                Ok(line) => import.sort(lines.number, line, &mut page),
                Err(what) => import.bad(lines.number, what),
            }
        }
        if end || page.len() >= MAX_ITEMS {
            let stored = import.store(std::mem::take(&mut page)).await;
            stored.map_err(|error| import.broken_off(lines.number, error))?;
            progress(&import.done);
        }
        if end {
            let stored = import.finish().await;
            stored.map_err(|error| import.broken_off(lines.number, error))?;
            progress(&import.done);
            return Ok(import.done);
        }
    }
}

/// What is sent to the stores at once, each with the number of its line.
#[derive(Default)]
struct Page {
    jobs: Vec<(u64, NewJob)>,
    sessions: Vec<(u64, SessionRecord)>,
    proxies: Vec<(ProxyId, ProxyState)>,
    paused: Vec<QueueName>,
}

impl Page {
    const fn len(&self) -> usize {
        self.jobs.len() + self.sessions.len() + self.proxies.len() + self.paused.len()
    }
}

/// What is set when all jobs are in: a limit would keep them out, and a batch is known only by its
/// jobs.
#[derive(Default)]
struct Last {
    limits: Vec<(QueueName, usize)>,
    batches: Vec<(u64, Batch)>,
}

struct Import<'a> {
    stores: &'a Stores<'a>,
    done: Imported,
    last: Last,
}

impl Import<'_> {
    fn bad(&mut self, line: u64, what: impl Into<String>) {
        self.done.bad += 1;
        if self.done.bad_lines.len() < BAD_LINES_KEPT {
            self.done.bad_lines.push(BadLine { line, what: what.into() });
        }
    }

    fn sort(&mut self, number: u64, line: Line, page: &mut Page) {
        match line {
            // Exports may be put one after the other.
            Line::StoryCheckerExport(header) if header.format <= FORMAT => {
                self.done.complete = false
            }
            Line::StoryCheckerExport(_) => self.bad(number, "from here on the format is newer"),
            Line::Config(text) => self.done.config = Some(text),
            Line::Queue(Queue { name, paused, max_len }) => {
                let name = QueueName::new(name);
                self.done.taken.queues += 1;
                // At once, so that nobody claims from it.
                page.paused.extend(paused.then(|| name.clone()));
                self.last.limits.extend(max_len.map(|max_len| (name, max_len)));
            }
            Line::Session(session) if self.stores.sessions.is_some() => {
                match self.record(session) {
                    Ok(record) => page.sessions.push((number, record)),
                    Err(what) => self.bad(number, what),
                }
            }
            Line::Session(_) => self.bad(number, "sessions cannot be stored here"),
            Line::Proxy(proxy) if self.stores.proxies.is_some() => {
                page.proxies.push((proxy.id, proxy.state));
            }
            Line::Proxy(_) => self.done.proxies_left_out += 1,
            Line::Job(job) => match job.into_new() {
                Ok(job) => page.jobs.push((number, job)),
                Err(what) => self.bad(number, what),
            },
            Line::Batch(batch) => self.last.batches.push((number, batch)),
            Line::End(_) => self.done.complete = true,
        }
    }

    fn record(&self, session: Session) -> Result<SessionRecord, String> {
        let Session { id, kind, account, mut state, home_proxy, sealed } = session;
        let credentials = match sealed {
            Some(sealed) => self.open(&id, &sealed)?,
            None => {
                // It must never be leased: a request without cookies is nobody's.
                if matches!(state, SessionState::Valid | SessionState::CoolingDown { .. }) {
                    let reason = "imported without its secrets".to_owned();
                    state = SessionState::NeedsLogin { reason };
                }
                Credentials::default()
            }
        };
        let mut record = SessionRecord::new(id, kind, credentials);
        record.account = account;
        record.state = state;
        record.home_proxy = home_proxy;
        Ok(record)
    }

    #[cfg(feature = "seal")]
    fn open(&self, id: &SessionId, sealed: &str) -> Result<Credentials, String> {
        let sealed = crate::base64::decode(sealed).ok_or(NOT_BASE64)?;
        let keys = self.stores.keys.ok_or("its secrets are sealed, and no keys were given")?;
        keys.open_credentials(id, &sealed).map_err(|error| error.to_string())
    }

    #[cfg(not(feature = "seal"))]
    fn open(&self, _: &SessionId, sealed: &str) -> Result<Credentials, String> {
        crate::base64::decode(sealed).ok_or(NOT_BASE64)?;
        Err("its secrets are sealed, and this build cannot open them (feature `seal`)".to_owned())
    }

    async fn store(&mut self, page: Page) -> Result<()> {
        for name in &page.paused {
            let control = QueueControl { paused: Some(true), ..QueueControl::default() };
            self.stores.queue.configure(name, control).await?;
        }
        if let Some(source) = self.stores.proxies.filter(|_| !page.proxies.is_empty()) {
            source.save(&page.proxies).await?;
            self.done.taken.proxies += page.proxies.len() as u64;
        }
        if let Some(store) = self.stores.sessions.filter(|_| !page.sessions.is_empty()) {
            let bare: Vec<_> = page.sessions.iter().map(|(_, record)| is_bare(record)).collect();
            let records = page.sessions.into_iter().map(|(_, record)| record).collect();
            for (reply, bare) in store.put(records).await?.into_iter().zip(bare) {
                match reply {
                    PutReply::Stored { .. } => {
                        self.done.taken.sessions += 1;
                        self.done.without_secrets += u64::from(bare);
                    }
                    PutReply::Conflict { .. } => self.done.known.sessions += 1,
                }
            }
        }
        if !page.jobs.is_empty() {
            let (numbers, jobs): (Vec<_>, Vec<_>) = page.jobs.into_iter().unzip();
            for (reply, number) in self.stores.queue.enqueue(jobs).await?.into_iter().zip(numbers) {
                match reply {
                    Enqueued::Inserted => self.done.taken.jobs += 1,
                    Enqueued::Duplicate { .. } => self.done.known.jobs += 1,
                    Enqueued::Full => self.bad(
                        number,
                        "its queue is full: lift the limit of the queue and import again",
                    ),
                }
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        let Last { limits, batches } = std::mem::take(&mut self.last);
        for (name, max_len) in limits {
            let control = QueueControl { max_len: Some(Some(max_len)), ..QueueControl::default() };
            self.stores.queue.configure(&name, control).await?;
        }
        for (number, Batch { id, cancelled, paused }) in batches {
            let select = Select::Batch(id);
            let mut refused = 0;
            let flags = [paused.then_some(Alter::Pause), cancelled.then_some(Alter::Cancel)];
            for alter in flags.into_iter().flatten() {
                refused += self.stores.queue.alter(&select, alter).await?.refused;
            }
            if refused > 0 {
                self.bad(number, "no job of this batch is there");
            } else {
                self.done.taken.batches += 1;
            }
        }
        Ok(())
    }

    /// The error of a store, with the place.
    fn broken_off(&self, line: u64, error: Error) -> Error {
        let what = format!(
            "near line {line}, after {}; import the same file again, what is there is left alone",
            self.done.taken
        );
        Error::new(error.kind(), error.certainty(), IMPORT).with_context(what).with_source(error)
    }
}

fn is_bare(record: &SessionRecord) -> bool {
    *record.credentials == Credentials::default()
}

/// Reads the first line.
fn header<R: BufRead>(lines: &mut Lines<R>) -> Result<()> {
    let foreign = || Error::invalid(IMPORT, "line 1: it does not begin like an export");
    match lines.next()?.ok_or_else(foreign)?.and_then(parse) {
        Ok(Line::StoryCheckerExport(header)) if header.format <= FORMAT => Ok(()),
        Ok(Line::StoryCheckerExport(header)) => Err(Error::invalid(
            IMPORT,
            format!(
                "line 1: the format is {}, this version of story-checker reads up to {FORMAT}; use \
                 a newer one",
                header.format
            ),
        )),
        _ => Err(foreign()),
    }
}

/// A line as what it says. Errors of serde may quote a payload: of them only what names fields is
/// told.
fn parse(text: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(text).map_err(|error| {
        let column = error.column();
        let said = error.to_string();
        if error.is_data() && (said.starts_with("missing field") || said.contains(NOT_BASE64)) {
            return said.split(" at line").next().unwrap_or_default().to_owned();
        }
        if error.is_data() {
            format!("column {column}: this is not what stands here in an export")
        } else {
            format!("column {column}: it is not JSON, or was cut off")
        }
    })
}

/// Lines of bounded length, counted.
struct Lines<R> {
    from: R,
    number: u64,
    text: Vec<u8>,
    max: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not empty; none at the end.
    fn next(&mut self) -> Result<Option<Result<&[u8], String>>> {
        loop {
            self.text.clear();
            self.number += 1;
            let read = (&mut self.from).take(self.max).read_until(b'\n', &mut self.text);
            let read = read.map_err(|error| self.unread(error))?;
            if read == 0 {
                self.number -= 1;
                return Ok(None);
            }
            if read as u64 == self.max && self.text.last() != Some(&b'\n') {
                self.skip().map_err(|error| self.unread(error))?;
                return Ok(Some(Err(format!("it is longer than {} bytes", self.max))));
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some(Ok(self.text.trim_ascii())));
            }
        }
    }

    /// Goes to the end of the line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.from.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (len, over) = (end.map_or(buffer.len(), |end| end + 1), end.is_some());
            let over = over || len == 0;
            self.from.consume(len);
            if over {
                return Ok(());
            }
        }
    }

    fn unread(&self, error: io::Error) -> Error {
        Error::new(ErrorKind::Unavailable, Certainty::Permanent, IMPORT)
            .with_context(format!("line {} cannot be read", self.number))
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let text = format!("{}\nshort\n{}", "x".repeat(100), "y".repeat(20));
        let from = io::BufReader::with_capacity(3, text.as_bytes());
        let mut lines = Lines { from, number: 0, text: Vec::new(), max: 16 };
        assert!(lines.next().unwrap().unwrap().unwrap_err().contains("longer than 16 bytes"));
        assert_eq!(lines.next().unwrap().unwrap(), Ok(b"short".as_slice()));
        assert!(lines.next().unwrap().unwrap().is_err());
        assert_eq!(lines.number, 3);
        assert!(lines.next().unwrap().is_none());
    }
}
