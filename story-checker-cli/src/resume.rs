//! How to continue a run: the command that was typed, with `--resume`.

use std::ffi::OsString;

use crate::settings::shown;

/// `continue with: story-checker check --resume WHAT …`, with all else that was typed but what must
/// not be said again: an earlier `--resume`, and standard input, which has been read.
pub(crate) fn hint(
    what: &str,
    resumed: Option<&Option<String>>,
    typed: impl Iterator<Item = OsString>,
) -> String {
    let mut text = format!("continue with: story-checker check --resume {}", quoted(what));
    let earlier = resumed.and_then(Option::as_deref);
    // The program and the name of the command.
    let mut words = typed.map(|word| word.to_string_lossy().into_owned());
    words.by_ref().find(|word| word == "check");
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let is_stdin = |word: &String| word == "-";
        match word.as_str() {
            "-" => {}
            "-f-" | "--file=-" => {}
            "-f" | "--file" if words.next_if(is_stdin).is_some() => {}
            "--resume" => {
                words.next_if(|next| Some(next.as_str()) == earlier);
            }
            word if word.starts_with("--resume=") => {}
            word => {
                text.push(' ');
                text.push_str(&quoted(&shown(word)));
            }
        }
    }
    text
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=@,+%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''").replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_said_again_but_what_is_done() {
        for (typed, earlier, want) in [
            ("check -s c.txt a b", None, "-s c.txt a b"),
            ("check - --demo -f - --file=- -f-", None, "--demo"),
            ("check --resume old --demo", Some(Some("old".to_owned())), "--demo"),
            ("check --resume --demo", Some(None), "--demo"),
            ("check --resume=old list.txt", Some(Some("old".to_owned())), "list.txt"),
            ("check it's", None, r"'it'\''s'"),
            (
                "check --base-url http://u:PLANTED@a.test",
                None,
                "--base-url 'http://[redacted]@a.test'",
            ),
        ] {
            let words = format!("story-checker {typed}");
            let words = words.split(' ').map(OsString::from).collect::<Vec<_>>();
            let got = hint("run file", earlier.as_ref(), words.into_iter());
            let want = format!("continue with: story-checker check --resume 'run file' {want}");
            assert_eq!(got, want);
        }
    }
}
