//! Where the store of a run lives, and how it is taken away.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// A server of its own, on a free port, with an append-only file that is synced at each write.
    Redis,
    /// A file in the folder of the run.
    Sqlite,
}

impl Sort {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
        }
    }
}

/// The store of a run.
#[derive(Debug)]
pub(crate) enum Place {
    Redis { folder: PathBuf, port: u16, server: Option<Child> },
    Sqlite { file: PathBuf, holder: Option<Child> },
}

impl Place {
    pub(crate) fn start(sort: Sort, folder: &Path) -> Result<Self> {
        match sort {
            Sort::Sqlite => Ok(Self::Sqlite { file: folder.join("jobs.db"), holder: None }),
            Sort::Redis => {
                let folder = folder.join("redis");
                std::fs::create_dir(&folder)?;
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let mut place = Self::Redis { folder, port, server: None };
                place.give_back()?;
                Ok(place)
            }
        }
    }

    /// How processes find it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Redis { port, .. } => format!("redis://127.0.0.1:{port}/0"),
            Self::Sqlite { file, .. } => format!("sqlite:{}", file.display()),
        }
    }

    /// Takes the store away: kills the server, or lets a process hold the write lock of the file,
    /// with changes that it will never commit.
    pub(crate) fn take_away(&mut self) -> Result<()> {
        match self {
            Self::Redis { server, .. } => kill(server),
            Self::Sqlite { file, holder } => {
                let crash = std::env::current_exe()?;
                let mut command = Command::new(crash);
                command.arg("hold").arg(file).stdin(Stdio::piped()).stdout(Stdio::null());
                *holder = Some(command.spawn().context("could not start the holder of the lock")?);
                Ok(())
            }
        }
    }

    /// Brings the store back: starts the server again on what it had written, or kills the holder
    /// of the lock inside of its transaction.
    pub(crate) fn give_back(&mut self) -> Result<()> {
        match self {
            Self::Sqlite { holder, .. } => kill(holder),
            Self::Redis { folder, port, server } => {
                let log = folder.join("redis.log");
                let settings = [
                    ["--bind", "127.0.0.1"],
                    ["--port", &port.to_string()],
                    ["--dir", &folder.display().to_string()],
                    ["--logfile", &log.display().to_string()],
                    ["--appendonly", "yes"],
                    ["--appendfsync", "always"],
                    ["--save", ""],
                ];
                let started = Command::new("redis-server")
                    .args(settings.as_flattened())
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn();
                let started = server.insert(started.context("could not start redis-server")?);
                wait_for(*port, started, &log)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (Self::Redis { server: child, .. } | Self::Sqlite { holder: child, .. }) = self;
        _ = kill(child);
    }
}

fn kill(child: &mut Option<Child>) -> Result<()> {
    if let Some(mut child) = child.take() {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn wait_for(port: u16, server: &mut Child, log: &Path) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let (begun, address) = (Instant::now(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    while TcpStream::connect_timeout(&address, PATIENCE).is_err() {
        if let Some(status) = server.try_wait()? {
            bail!("redis-server ended: {status}; see {}", log.display());
        }
        if begun.elapsed() > PATIENCE {
            bail!("redis-server does not listen after {PATIENCE:?}; see {}", log.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
