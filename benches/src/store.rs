//! The stores that the benches of queues compare, each empty and in a place of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use story_checker_core::SystemClock;
use story_checker_core::queue::{InMemoryJobQueue, JobQueue, Retention};
use story_checker_redis::{RedisOptions, RedisStore};
use story_checker_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::process::BoxError;

/// A sort of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    /// With `synchronous=FULL`.
    Sqlite,
    /// With the append-only file written every second.
    Redis,
}

impl Store {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Redis];
    /// Those that outlive their process.
    pub(crate) const DURABLE: [Self; 2] = [Self::Sqlite, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, BoxError> {
        let found = Self::ALL.into_iter().find(|store| store.name() == name);
        found.ok_or_else(|| format!("no store is named {name:?}").into())
    }

    /// A new and empty one.
    pub(crate) async fn open(self, retention: Retention) -> Result<Opened, BoxError> {
        let place = self.place()?;
        let queue = self.connect(&place.address, retention).await?;
        Ok(Opened { queue, place })
    }

    /// Where one can be made.
    pub(crate) fn place(self) -> Result<Place, BoxError> {
        let folder = tempfile::tempdir()?;
        let (address, server) = match self {
            Self::Memory => (String::new(), None),
            Self::Sqlite => (folder.path().join("jobs.db").display().to_string(), None),
            Self::Redis => {
                let server = RedisServer::start(folder.path())?;
                (server.url(), Some(server))
            }
        };
        Ok(Place { address, server, folder })
    }

    /// One that is there already, perhaps made by another process.
    pub(crate) async fn connect(
        self,
        place: &str,
        retention: Retention,
    ) -> Result<Arc<dyn JobQueue>, BoxError> {
        Ok(match self {
            Self::Memory => {
                let clock = Arc::new(SystemClock::new());
                Arc::new(InMemoryJobQueue::with_retention(clock, retention))
            }
            Self::Sqlite => {
                let mut options = SqliteOptions::default();
                options.retention = retention;
                Arc::new(SqliteStore::open(place, options).await?.queue())
            }
            Self::Redis => {
                let options = RedisOptions::default().with_retention(retention);
                Arc::new(RedisStore::connect(place, options).await?.queue())
            }
        })
    }
}

/// A queue in a store of its own, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) place: Place,
}

impl Opened {
    /// Opens the same place, which is a durable one, with another retention.
    pub(crate) async fn reopen(
        &mut self,
        store: Store,
        retention: Retention,
    ) -> Result<(), BoxError> {
        self.queue = store.connect(&self.place.address, retention).await?;
        Ok(())
    }
}

/// A folder, and the server that writes there.
#[derive(Debug)]
pub(crate) struct Place {
    /// The file or URL.
    pub(crate) address: String,
    /// Before the folder: it writes there to the end.
    server: Option<RedisServer>,
    folder: TempDir,
}

impl Place {
    /// What the store takes: of the disk, or of the server's memory.
    pub(crate) fn bytes(&self) -> Result<u64, BoxError> {
        match &self.server {
            Some(server) => server.used_memory(),
            None => bytes_below(self.folder.path()),
        }
    }
}

fn bytes_below(folder: &Path) -> Result<u64, BoxError> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// A Redis server of our own, with the append-only file written every second.
#[derive(Debug)]
struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    fn start(folder: &Path) -> Result<Self, BoxError> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server cannot be started: {error}"))?;
        let server = Self { process, port };
        let begun = Instant::now();
        while server.command("PING").is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn used_memory(&self) -> Result<u64, BoxError> {
        let info = self.command("INFO memory")?;
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(line.ok_or("no used_memory in INFO")?.trim().parse()?)
    }

    /// Sends one command as a line; a bulk answer is returned without its head.
    fn command(&self, line: &str) -> Result<String, BoxError> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        answer.read_line(&mut head)?;
        let head = head.trim_end();
        match (head.strip_prefix('$'), head.strip_prefix('+')) {
            (Some(length), _) => {
                let mut body = vec![0; length.parse()?];
                answer.read_exact(&mut body)?;
                Ok(String::from_utf8(body)?)
            }
            (None, Some(word)) => Ok(word.to_owned()),
            (None, None) => Err(format!("Redis answers {head:?} to {line}").into()),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // What it keeps is of no use any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
