//! Sessions from the files that people have: recognised by their content, read without trust.
//!
//! What each format is, where it comes from and what is taken of it: `docs/SESSIONS.md`.

mod cookie;
mod cookies_txt;
mod error;
mod format;
mod found;
mod instagrapi;
mod json;
mod lines;
mod pickle;
#[cfg(test)]
mod tests;
mod tokens;

use story_checker_core::SessionId;
use story_checker_core::session::SessionRecord;

pub use self::error::ImportError;
pub use self::format::{Format, MAX_FILE};
use self::found::{Found, web_of_pairs};

const ENDINGS: [&str; 4] = [".cookies", ".json", ".pickle", ".txt"];

/// What a file held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Import {
    /// What the file was.
    pub format: Format,
    /// The sessions, in the order of the file; at least one.
    pub sessions: Vec<SessionRecord>,
    /// What the owner should know about them. Nothing secret.
    pub warnings: Vec<String>,
}

/// Reads the sessions of a file, whatever its format. The second and later ones of a file get a
/// number behind the label.
///
/// # Errors
/// [`ImportError`] if it is no known format, or one that cannot be read. It says where and what to
/// do, but not the name of the file, which only the caller knows.
///
/// # Examples
/// ```
/// use story_checker_http::import;
///
/// let file = b"4200000001%3Asample%3A1%3Avalue-of-a-cookie\n";
/// let sessions = import::sessions("main".into(), file)?;
/// assert_eq!(sessions[0].kind.as_str(), "instagram-web");
/// # Ok::<(), import::ImportError>(())
/// ```
pub fn sessions(label: SessionId, file: &[u8]) -> Result<Vec<SessionRecord>, ImportError> {
    read(label, file).map(|import| import.sessions)
}

/// As [`sessions`], and tells also what the file was and what is to be said about it.
///
/// # Errors
/// As [`sessions`].
pub fn read(label: SessionId, file: &[u8]) -> Result<Import, ImportError> {
    check_size(file)?;
    read_as(Format::of(file)?, label, file)
}

/// As [`read`], but the file must be of this format.
///
/// # Errors
/// [`ImportError`] if it is not, or cannot be read.
pub fn read_as(format: Format, label: SessionId, file: &[u8]) -> Result<Import, ImportError> {
    check_size(file)?;
    let read = || {
        let Found { mut sessions, warnings } = found(format, file)?;
        for (index, session) in sessions.iter_mut().enumerate() {
            session.id = match index {
                0 => label.clone(),
                index => SessionId::new(format!("{label}-{}", index + 1)),
            };
        }
        if sessions.is_empty() {
            return Err(ImportError::file("there is no session in it"));
        }
        Ok(Import { format, sessions, warnings })
    };
    read().map_err(|error: ImportError| error.in_format(format))
}

fn check_size(file: &[u8]) -> Result<(), ImportError> {
    if file.len() > MAX_FILE {
        return Err(ImportError::file("it is longer than 1 MiB, so it is no session"));
    }
    Ok(())
}

fn found(format: Format, file: &[u8]) -> Result<Found, ImportError> {
    let text = || format::text(file);
    let json = || json::read(text()?);
    match format {
        Format::CookieList => json::read_cookie_list(&json()?),
        Format::CookieObject => json::read_cookie_object(&json()?),
        Format::CookiesTxt => cookies_txt::read(text()?),
        Format::InstagrapiSettings => instagrapi::read(&json()?),
        Format::InstaloaderSession => web_of_pairs(pickle::read(file)?).map(Found::one),
        Format::Lines => lines::read(text()?),
        Format::Tokens => tokens::read(&json()?),
    }
}

/// The label of a session by the name of its file: without its ending, and without the prefix of
/// instaloader.
///
/// # Examples
/// ```
/// use story_checker_http::import::label;
///
/// assert_eq!(label("main.txt").as_str(), "main");
/// assert_eq!(label("session-tea.house").as_str(), "tea.house");
/// ```
#[must_use]
pub fn label(file_name: &str) -> SessionId {
    // A name may hold a dot, so not everything behind one is an ending.
    let stem = ENDINGS.iter().find_map(|ending| file_name.strip_suffix(ending));
    let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or(file_name);
    let stem = stem.strip_prefix("session-").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    SessionId::new(stem.replace(char::is_control, "-"))
}
