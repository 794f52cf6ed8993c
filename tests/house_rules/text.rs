//! Words that no tracked file may hold.

use std::{fs, process::Command};

use crate::house_rules::members;

/// The folders that belong to one machine, without the slashes: this file is tracked too.
const FOLDERS: &[&str] = &["home", "root", "work"];

/// Returns where tracked text files name a folder of one machine.
pub(crate) fn machine_paths() -> Vec<String> {
    let root = members::root();
    let mut problems = Vec::new();
    for name in tracked_files() {
        // A file that git still tracks may be gone from the working tree; binary files hold no text.
        let Ok(text) = fs::read_to_string(root.join(&name)) else { continue };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| names_a_folder(line)) {
            problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
        }
    }
    problems
}

fn tracked_files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(members::root())
        .output()
        .expect("git lists the tracked files: install git");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs the git repository: {stderr}");
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether a line holds an absolute path into one of the folders; `a/root/b` and `./work/` are none.
fn names_a_folder(line: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && !".-_/}*".contains(c))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        for folder in FOLDERS {
            for line in ["/X/a", "see /X/a/b", "PATH=\"/X/bin\"", "a:/X/bin", "`/X/`"] {
                assert!(names_a_folder(&line.replace('X', folder)), "{line} with {folder}");
            }
        }
    }

    #[test]
    fn relative_paths_and_urls_are_not() {
        for folder in FOLDERS {
            for line in ["a/X/b", "./X/", "https://host/X/", "$HOME/X/", "${DIR}/X/", "X/", "/Xs/"]
            {
                assert!(!names_a_folder(&line.replace('X', folder)), "{line} with {folder}");
            }
        }
    }
}
