//! Runs that can be continued: each `check` without a store of its own has a file while it runs.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{anyhow, bail};
use story_checker_core::Timestamp;

/// Behind the names of these files.
const ENDING: &str = "sqlite";

/// The file of a run, locked: no other process takes it for one that was left behind.
#[derive(Debug)]
pub(crate) struct RunFile {
    path: PathBuf,
    _lock: File,
}

impl RunFile {
    /// A new one.
    ///
    /// # Errors
    /// If there is no place for it.
    pub(crate) fn create() -> io::Result<Self> {
        let folder = folder();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(&folder)?;
        let now = Timestamp::from(SystemTime::now()).to_string().replace(':', "-");
        let name = format!("{}-{}.{ENDING}", now.trim_end_matches('Z'), std::process::id());
        let path = folder.join(name);
        let lock = lock(&path)?.ok_or_else(|| io::Error::other("its name is taken"))?;
        Ok(Self { path, _lock: lock })
    }

    /// The file of a run that has ended; none if `path` is no such file, but one that its user
    /// named.
    ///
    /// # Errors
    /// If the run still goes on, or its file cannot be opened.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Option<Self>> {
        let whole = |path: &Path| path.canonicalize().ok();
        let ours = path.parent().and_then(whole).is_some_and(|parent| {
            whole(&folder()) == Some(parent) && path.extension().is_some_and(|it| it == ENDING)
        });
        if !ours {
            return Ok(None);
        }
        match lock(path) {
            Ok(Some(lock)) => Ok(Some(Self { path: path.to_owned(), _lock: lock })),
            Ok(None) => bail!("the run of {} still goes on", path.display()),
            Err(error) => Err(anyhow!(error).context(format!("cannot open {}", path.display()))),
        }
    }

    /// The file of the last run that was left behind.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn latest() -> anyhow::Result<Self> {
        left_behind().pop().ok_or_else(|| {
            anyhow!("there is no run to continue: no file of one is left in {}", folder().display())
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes it, when nothing is left to be done.
    pub(crate) fn remove(self) {
        for ending in ["", "-wal", "-shm", ".lock"] {
            let path = with_ending(&self.path, ending);
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a file is left behind");
            }
        }
    }
}

/// How many runs were left behind.
pub(crate) fn unfinished() -> usize {
    left_behind().len()
}

/// The files of runs that do not go on any more, the last one last.
fn left_behind() -> Vec<RunFile> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == ENDING)).collect();
    let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
    paths.sort_by_cached_key(|path| (changed(path), path.clone()));
    let open = |path: PathBuf| RunFile::open(&path).ok().flatten();
    paths.into_iter().filter_map(open).collect()
}

/// Where these files are.
fn folder() -> PathBuf {
    let absolute = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("story-checker").join("runs")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Locks the file of a run by one beside it: closing a second handle of the file itself would end
/// the locks of the database. None if another process holds it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(with_ending(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}
