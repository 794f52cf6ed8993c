//! A thread that reads: it sees what is committed and never waits for the writer.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use story_checker_core::{Certainty, Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use crate::error::Fail;
use crate::writer::closed;

/// Questions that may stand in line; more wait outside.
const LINE: usize = 256;

type Question = Box<dyn FnOnce(&mut Connection, &PathBuf) + Send>;

/// Hands questions to the thread. The thread ends when the last of them is gone.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    line: mpsc::Sender<Question>,
}

impl Reader {
    /// Starts the thread on this connection.
    pub(crate) fn start(mut sql: Connection, path: Arc<PathBuf>) -> Result<Self> {
        let (line, mut questions) = mpsc::channel::<Question>(LINE);
        let name = "story-checker-sqlite-read".to_owned();
        let run = move || {
            while let Some(question) = questions.blocking_recv() {
                question(&mut sql, &path);
            }
        };
        std::thread::Builder::new().name(name).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Unavailable, Certainty::Transient, "open the store")
                .with_context("no thread can be started")
                .with_source(error)
        })?;
        Ok(Self { line })
    }

    /// Runs `look`, which sees the file as it was at one moment.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |sql: &mut Connection, path: &PathBuf| {
            let at_once = || {
                let sql = sql.transaction_with_behavior(TransactionBehavior::Deferred)?;
                look(&sql)
            };
            // Whoever does not wait any more needs no answer.
            _ = reply.send(at_once().map_err(|fail: Fail| fail.into_error(operation, path)));
        });
        self.line.send(question).await.map_err(|_| closed(operation))?;
        answer.await.unwrap_or_else(|_| Err(closed(operation)))
    }
}
