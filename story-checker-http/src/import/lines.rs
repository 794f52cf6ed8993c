//! One session per line: what people copy from a browser or write by hand.

use story_checker_core::session::SessionRecord;

use super::error::ImportError;
use super::found::{Found, graph, graph_token, web_of_pairs, x};

const GRAPH: &str = "graph:";
const X: &str = "x:";

/// The lines that are neither blank nor comments, numbered from 1.
pub(super) fn content(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a line looks like one of ours.
pub(super) fn is_session(line: &str) -> bool {
    let bare = || !line.contains(char::is_whitespace) && id_of(unquoted(line)).is_some();
    !line.contains('\t')
        && (line.starts_with(GRAPH) || line.starts_with(X) || is_header(line) || bare())
}

pub(super) fn read(text: &str) -> Result<Found, ImportError> {
    let mut found = Found::default();
    for (number, line) in content(text) {
        let session = read_line(line).map_err(|error| error.in_line(number))?;
        found.add(session, "line", number);
    }
    Ok(found)
}

fn read_line(line: &str) -> Result<SessionRecord, ImportError> {
    if let Some(rest) = line.strip_prefix(GRAPH) {
        let parts: Vec<&str> = rest.splitn(3, ':').collect();
        let [username, ig_user_id, token] = parts[..] else {
            return Err(ImportError::file("it must be graph:username:ig_user_id:access_token"));
        };
        return graph(graph_token(username, ig_user_id, token));
    }
    if let Some(token) = line.strip_prefix(X) {
        return x(token);
    }
    if is_header(line) {
        let pairs = line.split_once("ookie:").map_or(line, |(_, pairs)| pairs).split(';');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        return web_of_pairs(pairs.map(|(name, value)| (name.trim(), value.trim())));
    }
    let value = unquoted(line);
    if id_of(value).is_none() || value.len() <= 30 {
        let what = "it is no sessionid: that begins with the number of the account, and is longer \
                    than 30 characters; copy it whole";
        return Err(ImportError::file(what));
    }
    // As the cookie has it.
    let value = value.replace(':', "%3A");
    web_of_pairs([("sessionid", value.as_str())])
}

/// A `Cookie` header, or at least a part of it.
fn is_header(line: &str) -> bool {
    let starts = |start| line.starts_with(start);
    ["Cookie:", "cookie:", "sessionid="].into_iter().any(starts) || line.contains("; sessionid=")
}

fn unquoted(line: &str) -> &str {
    line.trim_matches('"')
}

/// The number of the account that a sessionid begins with.
fn id_of(value: &str) -> Option<&str> {
    let digits = value.find(|letter: char| !letter.is_ascii_digit())?;
    let (id, rest) = value.split_at(digits);
    let separated = [":", "%3A", "%3a"].into_iter().any(|separator| rest.starts_with(separator));
    (separated && !id.is_empty()).then_some(id)
}
