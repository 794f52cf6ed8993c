//! `story-checker export` and `story-checker import`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use story_checker_core::proxy::ProxySource;
use story_checker_core::queue::JobQueue;
use story_checker_core::seal::Keyring;
use story_checker_core::transfer::{self, Counts, Imported};

use super::Admin;
use crate::args::{ExportArgs, ImportArgs};
use crate::keys;
use crate::settings::Shown;
use crate::stores::{self, StoreOptions, Stores};

/// Everything that is moved.
struct Whole {
    queue: Arc<dyn JobQueue>,
    rest: Option<(Stores, Arc<Keyring>)>,
    proxies: Option<Arc<dyn ProxySource>>,
}

impl Whole {
    /// Without keys only the jobs.
    async fn open(admin: &Admin, need_keys: bool) -> anyhow::Result<Self> {
        let options = StoreOptions::of(&admin.settings);
        let named = options.key_file.as_deref();
        match keys::keyring(&admin.address, named, &admin.voice) {
            Ok(keys) => {
                let stores = stores::open(&admin.address, &options, &admin.voice).await?;
                let proxies = stores.proxy_states();
                Ok(Self { queue: Arc::clone(&stores.queue), rest: Some((stores, keys)), proxies })
            }
            Err(error) if need_keys => Err(error),
            Err(error) => {
                admin.voice.say(format_args!("jobs only, without sessions: {error:#}"));
                Ok(Self { queue: admin.queue().await?, rest: None, proxies: None })
            }
        }
    }

    fn ports(&self, secrets: bool) -> transfer::Stores<'_> {
        let ports = transfer::Stores::new(&*self.queue);
        let Some((stores, keys)) = &self.rest else { return ports };
        let mut ports = ports.with_sessions(&*stores.sessions);
        if let Some(proxies) = &self.proxies {
            ports = ports.with_proxies(&**proxies);
        }
        if secrets { ports.with_secrets(keys) } else { ports }
    }
}

/// Writes an export; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store or the file fails.
pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&args.look.store, args.look.json)?;
    let config = match args.with_config {
        true => {
            let store = &args.look.store;
            Some(Shown::resolve(store.layer(), store.config.as_deref())?.to_string())
        }
        false => None,
    };
    let to_standard = args.file == Path::new("-");
    if !to_standard && args.file.exists() {
        admin.confirm(args.yes, &format!("replace {}", args.file.display()))?;
    }
    admin.run(async {
        let whole = Whole::open(&admin, args.with_secrets).await?;
        let ports = whole.ports(args.with_secrets);
        let progress =
            |counts: &Counts| admin.voice.step(format_args!("{} jobs", counts.jobs), false);
        let counts = if to_standard {
            let out = BufWriter::new(io::stdout());
            transfer::export(&ports, config.as_deref(), out, progress).await?
        } else {
            let place = || format!("cannot write {}", args.file.display());
            let part = Part::create(&args.file).with_context(place)?;
            let out = BufWriter::new(&part.file);
            let counts = transfer::export(&ports, config.as_deref(), out, progress).await?;
            part.finish().with_context(place)?;
            counts
        };
        admin.voice.clear();
        if to_standard {
            admin.voice.say(format_args!("exported {counts}"));
        } else {
            let file = args.file.display();
            let text = || format!("exported {counts} to {file}\n");
            admin.answer(|| json!({"file": args.file, "exported": counted(&counts)}), text)?;
        }
        Ok(0)
    })
}

fn counted(counts: &Counts) -> Value {
    let Counts { batches, jobs, proxies, queues, sessions, .. } = *counts;
    json!({
        "batches": batches, "jobs": jobs, "proxies": proxies, "queues": queues,
        "sessions": sessions,
    })
}

/// A file that gets its name when it is whole.
struct Part {
    file: File,
    path: PathBuf,
    name: PathBuf,
}

impl Part {
    fn create(name: &Path) -> io::Result<Self> {
        let mut path = OsString::from(name);
        path.push(".part");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = PathBuf::from(path);
        let file = options.open(&path)?;
        Ok(Self { file, path, name: name.to_owned() })
    }

    fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Not there any more if it has its name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes an export in; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store or the file fails.
pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&args.look.store, args.look.json)?;
    let from_standard = args.file == Path::new("-");
    let name =
        if from_standard { "standard input".into() } else { args.file.display().to_string() };
    admin.run(async {
        let file = match from_standard {
            true => None,
            false => Some(File::open(&args.file).with_context(|| format!("cannot read {name}"))?),
        };
        let whole = Whole::open(&admin, false).await?;
        let ports = whole.ports(true);
        let progress = |so_far: &Imported| {
            admin.voice.step(format_args!("{} jobs", so_far.taken.jobs + so_far.known.jobs), false);
        };
        let imported = match file {
            Some(file) => transfer::import(&ports, BufReader::new(file), progress).await,
            None => transfer::import(&ports, BufReader::new(io::stdin()), progress).await,
        };
        let imported = imported.with_context(|| name.clone())?;
        admin.voice.clear();
        for bad in &imported.bad_lines {
            admin.voice.problem(format_args!("{name}: {bad}"));
        }
        admin.voice.finish_problems();
        keep_config(&admin, args.config_to.as_deref(), imported.config.as_deref())?;
        admin.answer(|| json_of(&imported), || text_of(&imported))?;
        if !imported.complete {
            admin.voice.problem(format_args!("{name}: it was cut off: its last line is missing"));
        }
        Ok(u8::from(imported.bad > 0 || !imported.complete))
    })
}

fn keep_config(admin: &Admin, to: Option<&Path>, config: Option<&str>) -> anyhow::Result<()> {
    match (to, config) {
        (Some(path), Some(config)) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            file.and_then(|mut file| file.write_all(config.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))
        }
        (Some(_), None) => bail!("the export holds no settings: it was made without --with-config"),
        (None, Some(_)) => {
            admin.voice.say("the export holds settings: --config-to FILE writes them to a file");
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

fn json_of(imported: &Imported) -> Value {
    json!({
        "taken": counted(&imported.taken), "known": counted(&imported.known), "bad": imported.bad,
        "without_secrets": imported.without_secrets, "proxies_left_out": imported.proxies_left_out,
        "complete": imported.complete,
    })
}

fn text_of(imported: &Imported) -> String {
    let Imported { taken, known, bad, without_secrets, proxies_left_out, .. } = imported;
    let mut text = format!("imported {taken}");
    let parts = [
        (known.jobs, "jobs were there already"),
        (known.sessions, "sessions were there already"),
        (*without_secrets, "sessions came without their secrets and need a login"),
        (*proxies_left_out, "states of proxies were left out: they are not kept here"),
        (*bad, "lines were bad"),
    ];
    for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("; {count} {what}"));
    }
    text + "\n"
}
