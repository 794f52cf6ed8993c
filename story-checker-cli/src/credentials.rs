//! Sessions and proxies from files. No error here quotes what a file holds.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use story_checker_core::SessionId;
use story_checker_core::proxy::{Proxy, ProxyUrl};
use story_checker_core::session::SessionRecord;
use story_checker_http::import::{self, MAX_FILE};

use crate::targets::{Line, LineReader};

/// Reads the sessions of files, and of all `*.txt` files in folders. Each is named after its file.
///
/// # Errors
/// If one cannot be used; the text names file, line and field.
pub(crate) fn sessions<E: std::fmt::Display>(
    paths: &[PathBuf],
    read: impl Fn(SessionId, &[u8]) -> Result<Vec<SessionRecord>, E>,
) -> anyhow::Result<Vec<SessionRecord>> {
    let mut records: Vec<SessionRecord> = Vec::new();
    let mut labels = HashSet::new();
    for path in paths {
        for file in session_files(path)? {
            let shown = file.display();
            let bytes = read_file(&file).with_context(|| format!("session {shown}"))?;
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            let found = read(import::label(&name), &bytes);
            for mut record in found.map_err(|error| anyhow!("session {shown}: {error}"))? {
                let label = record.id.clone();
                for number in 2.. {
                    if labels.insert(record.id.clone()) {
                        break;
                    }
                    record.id = SessionId::new(format!("{label}-{number}"));
                }
                records.push(record);
            }
        }
    }
    Ok(records)
}

fn session_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let shown = path.display();
    let mut files = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("cannot read the folder {shown}"))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    if files.is_empty() {
        bail!("the folder {shown} holds no session: there is no .txt file in it");
    }
    Ok(files)
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What is longer is refused by whoever reads it.
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a list of proxies: one address per line.
///
/// # Errors
/// If the file cannot be read, a line is no proxy, or there is none; the text names file and line.
pub(crate) fn proxies(path: &Path) -> anyhow::Result<Vec<Proxy>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the proxy list {shown}"))?;
    let mut lines = LineReader::new(file);
    let mut known = HashSet::new();
    let mut proxies = Vec::new();
    while let Some((number, line)) =
        lines.next_line().with_context(|| format!("cannot read the proxy list {shown}"))?
    {
        let url: ProxyUrl = match line {
            Line::Text(text) => {
                text.parse().map_err(|error| anyhow!("{shown}:{number}: {error}"))?
            }
            Line::Bad(reason) => bail!("{shown}:{number}: {reason}"),
        };
        let proxy = Proxy::new(url);
        if known.insert(proxy.id().clone()) {
            proxies.push(proxy);
        }
    }
    if proxies.is_empty() {
        bail!("the proxy list {shown} is empty");
    }
    Ok(proxies)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use story_checker_core::session::{Credentials, SessionKind};

    use super::*;

    fn read(id: SessionId, file: &[u8]) -> Result<Vec<SessionRecord>, String> {
        if file.starts_with(b"bad") {
            return Err("line 1: the value is missing".to_owned());
        }
        let kind = SessionKind::from_static("test");
        Ok(vec![SessionRecord::new(id, kind, Credentials::default())])
    }

    #[test]
    fn sessions_are_named_after_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        for path in
            [folder.path().join("b.txt"), folder.path().join("a.txt"), other.path().join("a.txt")]
        {
            fs::write(path, "cookie").unwrap();
        }
        fs::write(folder.path().join("notes.md"), "bad").unwrap();
        let paths = [folder.path().to_owned(), other.path().join("a.txt")];
        let found = sessions(&paths, read).unwrap();
        let labels: Vec<_> = found.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(labels, ["a", "b", "a-2"]);
    }

    #[test]
    fn a_bad_session_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |path: &Path| format!("{:#}", sessions(&[path.to_owned()], read).unwrap_err());
        assert!(refuse(folder.path()).contains("holds no session"));
        let path = folder.path().join("a.txt");
        assert!(refuse(&path).contains("a.txt: "));
        fs::write(&path, "bad").unwrap();
        assert!(refuse(&path).contains("a.txt: line 1: the value is missing"), "{}", refuse(&path));
    }

    #[test]
    fn a_proxy_list_is_read_and_a_bad_line_is_named_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.txt");
        fs::write(&path, "# ours\n\nhttp://u:p@a.test:1\nb.test:2 # second\nb.test:2\n").unwrap();
        let ids: Vec<_> =
            proxies(&path).unwrap().iter().map(|proxy| proxy.id().to_string()).collect();
        assert_eq!(ids, ["http://a.test:1", "http://b.test:2"]);

        fs::write(&path, "a.test:1\nhttp://u:PLANTED@b.test:none\n").unwrap();
        let error = format!("{:#}", proxies(&path).unwrap_err());
        assert!(error.contains("p.txt:2: the port") && !error.contains("PLANTED"), "{error}");
        fs::write(&path, "# none\n").unwrap();
        assert!(proxies(&path).unwrap_err().to_string().ends_with("is empty"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("garbage");
            fs::write(&path, bytes).unwrap();
            let _ = (proxies(&path), sessions(&[path], read));
        }
    }
}
