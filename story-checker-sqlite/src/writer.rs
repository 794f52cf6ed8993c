//! The one thread that writes: what is asked at the same time is committed together.
//!
//! A commit waits for the disk, and that is what a write costs. So the thread runs every call that
//! stands in line inside one transaction and answers only after the commit. If one of them fails,
//! the transaction is undone and each call is run alone, so that none spoils the others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use story_checker_core::{Certainty, Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::error::{Fail, is_busy, unclear};
use crate::time::HostClock;
use crate::tx::Tx;

/// At most so many calls in one transaction.
const GROUP: usize = 512;

/// No further call joins a transaction that has been open for so long.
const GROUP_TIME: Duration = Duration::from_millis(4);

/// Calls that may stand in line; more wait outside.
const LINE: usize = 1_024;

/// A call as the thread sees it.
trait Call: Send {
    fn operation(&self) -> &'static str;

    /// May be called again after the transaction was undone.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fail>;

    /// Answers, if the caller still waits.
    fn reply(self: Box<Self>, failed: Option<Error>);
}

struct Asked<A, T> {
    operation: &'static str,
    act: A,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<A, T> Call for Asked<A, T>
where
    A: FnMut(&mut Tx<'_>) -> Result<T, Fail> + Send,
    T: Send,
{
    fn operation(&self) -> &'static str {
        self.operation
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fail> {
        self.value = Some((self.act)(tx)?);
        Ok(())
    }

    fn reply(self: Box<Self>, failed: Option<Error>) {
        let outcome = match (failed, self.value) {
            (None, Some(value)) => Ok(value),
            (Some(error), _) => Err(error),
            (None, None) => Err(closed(self.operation)),
        };
        // Whoever does not wait any more needs no answer.
        _ = self.reply.send(outcome);
    }
}

/// What the thread answers to once it has ended.
pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, Certainty::MaybeApplied, operation)
}

/// Hands calls to the thread. The thread ends when the last of them is gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    line: mpsc::Sender<Box<dyn Call>>,
}

impl Writer {
    /// Starts the thread on this connection.
    pub(crate) fn start(thread: Thread) -> Result<Self> {
        let (line, calls) = mpsc::channel(LINE);
        let name = "story-checker-sqlite".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(move || thread.run(calls));
        started.map_err(|error| {
            Error::new(ErrorKind::Unavailable, Certainty::Transient, "open the store")
                .with_context("no thread can be started")
                .with_source(error)
        })?;
        Ok(Self { line })
    }

    /// Runs `act` in a transaction and returns what it returns once that is committed.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnMut(&mut Tx<'_>) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let asked = Box::new(Asked { operation, act, value: None, reply });
        self.line.send(asked).await.map_err(|_| closed(operation))?;
        answer.await.unwrap_or_else(|_| Err(closed(operation)))
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) sql: Connection,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) clock: Arc<dyn HostClock>,
    pub(crate) patience: Duration,
    /// Told when jobs may have become due.
    pub(crate) changed: Arc<Notify>,
}

impl Thread {
    fn run(self, mut calls: mpsc::Receiver<Box<dyn Call>>) {
        while let Some(call) = calls.blocking_recv() {
            self.serve(call, &mut calls);
        }
        // Closing the last connection to the file writes its log back.
    }

    /// Runs one call and all that stand in line behind it.
    fn serve(&self, first: Box<dyn Call>, calls: &mut mpsc::Receiver<Box<dyn Call>>) {
        let mut group = vec![first];
        match self.try_together(&mut group, calls) {
            Ok(wake) => {
                for call in group {
                    call.reply(None);
                }
                self.wake(wake);
            }
            Err(failed) if group.len() == 1 => {
                let call = group.remove(0);
                let error = failed.into_error(call.operation(), &self.path);
                call.reply(Some(error));
            }
            // To run them again would claim twice what was perhaps claimed.
            Err(Fail::Unclear(error)) => {
                let cause = Arc::new(error);
                for call in group {
                    let error = unclear(Arc::clone(&cause), call.operation(), &self.path);
                    call.reply(Some(error));
                }
            }
            Err(_) => {
                for mut call in group {
                    match self.transaction(|tx| call.run(tx)) {
                        Ok(wake) => {
                            call.reply(None);
                            self.wake(wake);
                        }
                        Err(failed) => {
                            let error = failed.into_error(call.operation(), &self.path);
                            call.reply(Some(error));
                        }
                    }
                }
            }
        }
    }

    fn wake(&self, wake: bool) {
        if wake {
            self.changed.notify_waiters();
        }
    }

    fn try_together(
        &self,
        group: &mut Vec<Box<dyn Call>>,
        calls: &mut mpsc::Receiver<Box<dyn Call>>,
    ) -> Result<bool, Fail> {
        self.transaction(|tx| {
            let started = Instant::now();
            group[0].run(tx)?;
            while group.len() < GROUP && started.elapsed() < GROUP_TIME {
                let Ok(mut call) = calls.try_recv() else { break };
                let run = call.run(tx);
                group.push(call);
                run?;
            }
            Ok(())
        })
    }

    /// Runs `act` in a transaction; says whether waiting workers are to be woken.
    fn transaction(
        &self,
        mut act: impl FnMut(&mut Tx<'_>) -> Result<(), Fail>,
    ) -> Result<bool, Fail> {
        self.begin()?;
        let done = Tx::new(&self.sql, &*self.clock).and_then(|mut tx| {
            act(&mut tx)?;
            Ok(tx.wake())
        });
        match done {
            Ok(wake) => self.commit().map(|()| wake),
            Err(failed) => {
                self.undo();
                Err(failed)
            }
        }
    }

    /// Takes the write lock, waiting for another process as long as is allowed.
    fn begin(&self) -> Result<(), Fail> {
        let give_up = Instant::now() + self.patience;
        let mut pause = Duration::from_micros(200);
        loop {
            match self.sql.prepare_cached("BEGIN IMMEDIATE")?.execute([]) {
                Ok(_) => return Ok(()),
                Err(error) if is_busy(&error) && Instant::now() < give_up => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(2));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn commit(&self) -> Result<(), Fail> {
        let Err(error) = self.sql.prepare_cached("COMMIT")?.execute([]) else { return Ok(()) };
        // Still open: then nothing was written, and undoing it makes that sure. Else nobody knows.
        let open = !self.sql.is_autocommit();
        self.undo();
        if open {
            return Err(error.into());
        }
        Err(Fail::Unclear(error))
    }

    fn undo(&self) {
        if !self.sql.is_autocommit()
            && let Err(error) = self.sql.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "could not undo a transaction");
        }
    }
}
