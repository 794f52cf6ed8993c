//! A Redis server of the test's own: on a free port, in a temporary folder, ended with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::ConnectionLike;
use story_checker_redis::{RedisOptions, RedisStore};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
}

/// A port that nobody listens to now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--loglevel", "warning"]);
    command.arg("--dir").arg(folder).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let text =
        "redis-server is not installed: the package redis-server (apt-get install redis-server)";
    command.spawn().expect(text)
}

impl Server {
    /// One that writes every change to its log, and to disk each second.
    pub(crate) fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--save", ""])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = spawn(port, folder.path(), &arguments);
        let server = Self { child, port, folder, arguments };
        server.wait_until_ready();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A plain connection, for looking behind the store.
    pub(crate) fn client(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(crate) async fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url(), RedisOptions::default()).await.unwrap()
    }

    pub(crate) fn wait_until_ready(&self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let client = redis::Client::open(self.url()).unwrap();
            let up = client.get_connection_with_timeout(Duration::from_secs(1));
            if up.is_ok_and(|mut connection| connection.check_connection()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server did not come up on port {}", self.port);
    }

    /// Ends it, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with its data.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, self.folder.path(), &self.arguments);
        self.wait_until_ready();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
