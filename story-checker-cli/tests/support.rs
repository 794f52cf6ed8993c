//! How the tests run the binary.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The list that comes with the repository, and how many accounts it names.
pub(crate) const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/accounts.txt");
pub(crate) const EXAMPLE_ACCOUNTS: usize = 60;

/// The binary in a folder of its own, without settings from outside.
pub(crate) fn story_checker(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("story-checker"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STORY_CHECKER_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_STATE_HOME", folder.join("state"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A Redis server of this test, and the address of it as a store.
pub(crate) fn redis(folder: &Path) -> (Process, String) {
    // Free when it is looked for; the server takes it at once.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is needed: apt-get install redis-server");
    let server = Process(server);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::yield_now();
    }
    (server, format!("redis://127.0.0.1:{port}"))
}

/// Starts `story-checker sim`, which writes its sessions to `cookies`; returns it and what it says
/// when it is ready.
pub(crate) fn sim(folder: &Path, more: &[&str]) -> (Process, serde_json::Value) {
    let mut command = story_checker(folder);
    command.args(["sim", "--write-sessions", "cookies"]).args(more).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    (Process(child), serde_json::from_str(&ready).unwrap())
}

/// Runs the binary to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    story_checker(folder).args(arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    let text = std::str::from_utf8(&output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// Reports, one per line.
pub(crate) fn ndjson(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A list with that many accounts.
pub(crate) fn numbered_list(folder: &Path, many: usize) -> PathBuf {
    let mut text = String::new();
    (0..many).for_each(|number| writeln!(text, "account_{number}").unwrap());
    let path = folder.join("many.txt");
    std::fs::write(&path, text).unwrap();
    path
}

/// A megabyte that is nothing, the same each time.
pub(crate) fn garbage() -> Vec<u8> {
    let mut number = 1u32;
    let mut next = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    };
    (0..1024 * 1024).map(|_| next()).collect()
}
