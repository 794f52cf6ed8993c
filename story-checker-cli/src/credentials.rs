//! Sessions and proxies from files. No error here quotes what a file holds.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use story_checker_core::SessionId;
use story_checker_core::proxy::{InvalidProxyList, Proxy, read_list};
use story_checker_core::session::SessionRecord;
use story_checker_http::import;

use crate::settings::shown;
use crate::targets::{UTF_16, is_utf16};

/// A longer list of proxies is a mistake.
const MAX_LIST: u64 = 64 * 1024 * 1024;

/// What is said to who names a secret instead of the file that holds it.
const NO_FILE: &str = "this names no file but looks like a secret, which others can see here; \
                       write it into a file, and name that";

/// Warnings of one kind are told one by one up to this many.
const TOLD: usize = 3;

/// What was found in session files.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) records: Vec<SessionRecord>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Reads the sessions of files, and of all files in folders but hidden ones and TOML, in whatever
/// format they are. Each is named after its file.
///
/// # Errors
/// If one cannot be used; the text names the file and the place in it.
pub(crate) fn sessions(paths: &[PathBuf]) -> anyhow::Result<Sessions> {
    let mut found = Sessions::default();
    let mut labels = HashSet::new();
    let mut open = Vec::new();
    for path in paths {
        for file in session_files(path)? {
            let name = shown(&file.display().to_string());
            let bytes = read_file(&file, import::MAX_FILE as u64).map_err(|error| {
                match name == file.display().to_string() {
                    true => error.context(format!("session {name}")),
                    false => anyhow!("session {name}: {NO_FILE}"),
                }
            })?;
            let label = import::label(&file.file_name().unwrap_or_default().to_string_lossy());
            let read =
                import::read(label, &bytes).map_err(|error| anyhow!("session {name}: {error}"))?;
            let warnings = read.warnings.iter().map(|warning| format!("session {name}: {warning}"));
            found.warnings.extend(warnings);
            for mut record in read.sessions {
                if let Some(same) = found.records.iter().find(|known| is_same(known, &record)) {
                    let text =
                        format!("session {name}: it is the same as {}, and used once", same.id);
                    found.warnings.push(text);
                    continue;
                }
                let stem = record.id.clone();
                for number in 2.. {
                    if labels.insert(record.id.clone()) {
                        break;
                    }
                    record.id = SessionId::new(format!("{stem}-{number}"));
                }
                found.records.push(record);
            }
            if is_open(&file) {
                open.push(name);
            }
        }
    }
    found.warnings.extend(open_files(&open));
    Ok(found)
}

fn session_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let shown = path.display();
    let mut files = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("cannot read the folder {shown}"))?;
    let is_hidden = |file: &PathBuf| {
        file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
    };
    // No session is TOML, but settings are, and they may stand beside the sessions.
    let is_toml = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "toml");
    files.retain(|file| !is_hidden(file) && !file.is_dir() && !is_toml(file));
    files.sort();
    if files.is_empty() {
        bail!("the folder {shown} holds no session: there is no file in it");
    }
    Ok(files)
}

/// Whether two records are one session of the platform: it must not be used twice at once.
pub(crate) fn is_same(known: &SessionRecord, new: &SessionRecord) -> bool {
    let login = |record: &SessionRecord| {
        record.credentials.cookie("sessionid").map(|cookie| cookie.value.clone())
    };
    let token = |record: &SessionRecord| record.credentials.tokens.get("access_token").cloned();
    known.kind == new.kind && login(known) == login(new) && token(known) == token(new)
}

/// What is to be said about files that others on this machine can read.
fn open_files(files: &[String]) -> Option<String> {
    let told = files.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match files.len() {
        0 => None,
        1 => Some(format!("other users of this machine can read {told}: chmod 600 it")),
        2..=TOLD => Some(format!("other users of this machine can read {told}: chmod 600 them")),
        more => Some(format!(
            "other users of this machine can read {told} and {} more: chmod 600 them",
            more - TOLD
        )),
    }
}

#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let metadata = fs::metadata(file);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

/// Reads a file, but not more than one byte beyond the limit: whoever understands it refuses it.
fn read_file(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a certificate authority, as PEM; whether it is one is seen when it is used.
///
/// # Errors
/// If the file cannot be read; the text names it.
pub(crate) fn authority(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_file(path, MAX_LIST).with_context(|| {
        format!("cannot read the certificate authority {}", shown(&path.display().to_string()))
    })
}

/// Reads a list of proxies, one address per line; with a warning if others can read passwords in
/// it.
///
/// # Errors
/// If the file cannot be read, a line is no proxy, or there is none; the text names file and line.
pub(crate) fn proxies(path: &Path) -> anyhow::Result<(Vec<Proxy>, Option<String>)> {
    let shown = shown(&path.display().to_string());
    let bytes =
        read_file(path, MAX_LIST).with_context(|| format!("cannot read the proxy list {shown}"))?;
    if bytes.len() as u64 > MAX_LIST {
        bail!("the proxy list {shown} is longer than 64 MiB");
    }
    if is_utf16(&bytes) {
        bail!("cannot read the proxy list {shown}: {UTF_16}");
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        anyhow!("{shown}:{line}: this is not UTF-8 text")
    })?;
    let proxies = read_list(text).map_err(|error| match error {
        InvalidProxyList::Line { line, why } => anyhow!("{shown}:{line}: {why}"),
        other => anyhow!("{shown}: {other}"),
    })?;
    let secret = proxies.iter().any(|proxy| proxy.url().credentials().is_some());
    let warning = if secret && is_open(path) { open_files(&[shown]) } else { None };
    Ok((proxies, warning))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(name: &str) -> String {
        format!(".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\t4200000001%3A{name}%3A28%3Aplanted\n")
    }

    fn write(path: &Path, bytes: impl AsRef<[u8]>) {
        fs::write(path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn labels(found: &Sessions) -> Vec<&str> {
        found.records.iter().map(|record| record.id.as_str()).collect()
    }

    #[test]
    fn sessions_of_any_format_are_named_after_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        write(&folder.path().join("b.txt"), login("b"));
        write(&folder.path().join("a"), login("a"));
        write(&folder.path().join("token.json"), r#"{"bearer_token": "AAAA%2Fplanted"}"#);
        write(&folder.path().join(".hidden"), "no session");
        write(&folder.path().join("story-checker.toml"), "sessions = ['.']");
        fs::create_dir(folder.path().join("below")).unwrap();
        write(&other.path().join("a.txt"), login("c"));
        let paths = [folder.path().to_owned(), other.path().join("a.txt")];
        let found = sessions(&paths).unwrap();
        assert_eq!(labels(&found), ["a", "b", "token", "a-2"]);
        assert_eq!(found.records[2].kind.as_str(), "x-api");
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }

    #[test]
    fn a_session_that_stands_in_two_files_is_used_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.txt"] {
            write(&folder.path().join(name), login("same"));
        }
        let found = sessions(&[folder.path().to_owned()]).unwrap();
        assert_eq!(labels(&found), ["a"]);
        assert!(found.warnings[0].ends_with("b.txt: it is the same as a, and used once"));
    }

    #[cfg(unix)]
    #[test]
    fn files_that_others_can_read_are_told() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c", "d", "e"] {
            let path = folder.path().join(name);
            write(&path, login(name));
            if name != "b" {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            }
        }
        let found = sessions(&[folder.path().to_owned()]).unwrap();
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        assert!(warning.contains("/a, ") && !warning.contains("/b"), "{warning}");
        assert!(warning.ends_with("/d and 1 more: chmod 600 them"), "{warning}");

        let list = folder.path().join("proxies");
        for (text, mode, warns) in [
            ("u:p@a.test:1", 0o644, true),
            ("u:p@a.test:1", 0o600, false),
            ("a.test:1", 0o644, false),
        ] {
            write(&list, text);
            fs::set_permissions(&list, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(proxies(&list).unwrap().1.is_some(), warns, "{text} {mode:o}");
        }
    }

    #[test]
    fn a_bad_session_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |path: &Path| format!("{:#}", sessions(&[path.to_owned()]).unwrap_err());
        assert!(refuse(folder.path()).contains("holds no session"));
        let path = folder.path().join("a.txt");
        assert!(refuse(&path).contains("a.txt: "));
        for (bytes, want) in [
            (b".instagram.com\tTRUE\t/\tPLANTED".as_slice(), "a.txt: "),
            (b"{\"PLANTED\": ", "a.txt: "),
            (&[b'x'; import::MAX_FILE + 1], "longer than 1 MiB"),
        ] {
            write(&path, bytes);
            let error = refuse(folder.path());
            assert!(error.contains(want) && !error.contains("PLANTED"), "{error}");
        }
    }

    #[test]
    fn a_proxy_list_is_read_and_a_bad_line_is_named_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.txt");
        fs::write(&path, "# ours\n\nhttp://u:p@a.test:1\nb.test:2 # second\nb.test:2\n").unwrap();
        let (found, _) = proxies(&path).unwrap();
        let ids: Vec<_> = found.iter().map(|proxy| proxy.id().to_string()).collect();
        assert_eq!(ids, ["http://a.test:1", "http://b.test:2"]);
        for (bytes, want) in [
            (b"a.test:1\nhttp://u:PLANTED@b.test:none\n".as_slice(), "p.txt:2: the port"),
            (b"a.test:1\n\xff\xfePLANTED", "p.txt:2: this is not UTF-8"),
            (b"\xff\xfea\0\n\0", "this is UTF-16 text"),
            (b"# none\n", "p.txt: there is no proxy in the list"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", proxies(&path).unwrap_err());
            assert!(error.contains(want) && !error.contains("PLANTED"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("garbage");
            fs::write(&path, bytes).unwrap();
            let _ = (proxies(&path), sessions(&[path]));
        }
    }
}
