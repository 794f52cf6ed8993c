//! The command line, for the binary of this crate and for any other that offers the simulator.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;

use crate::config::{
    ConfigError, GraphSettings, Latency, Limit, Population, SimConfig, XSettings, XSpelling,
};
use crate::platform::Platform;
use crate::scenario::{Rule, RuleError, parse_rules};
use crate::server::{ProxyCredentials, ProxyKind, ProxySpec, Server, ServerConfig, SimClock};
use crate::time::Timestamp;

/// How the simulated platform is made and where it is served.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct SimArgs {
    /// Everything that looks random follows from the seed
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Address of all listeners
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    pub bind: IpAddr,
    /// Port for plain HTTP; 0 takes any
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Port for TLS; 0 takes any
    #[arg(long, default_value_t = 0)]
    pub tls_port: u16,
    /// Number of HTTP proxies (CONNECT and plain)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub http_proxies: u16,
    /// Number of SOCKS5 proxies
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub socks_proxies: u16,
    /// User and password that every proxy asks for
    #[arg(long, value_name = "USER:PASSWORD", value_parser = credentials)]
    pub proxy_login: Option<ProxyCredentials>,
    /// Count requests that came past every proxy as violations
    #[arg(long)]
    pub expect_proxy: bool,
    /// Number of sessions that are logged in
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub sessions: usize,
    /// Private accounts that no session follows, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = Population::default().private)]
    pub private: u8,
    /// Private accounts that every session follows, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = Population::default().private_followed)]
    pub private_followed: u8,
    /// Names that nobody has, in percent; what remains is public
    #[arg(long, value_name = "PERCENT", default_value_t = Population::default().not_found)]
    pub not_found: u8,
    /// Accounts that ever post, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = Population::default().posting)]
    pub posting: u8,
    /// How often such an account posts a burst of 1 to 4 stories
    #[arg(long, value_name = "N", default_value_t = Population::default().bursts_per_day)]
    pub bursts_per_day: f64,
    /// How long a story lives
    #[arg(long, value_name = "DURATION", default_value = "24h",
        value_parser = humantime::parse_duration)]
    pub story_lifetime: Duration,
    /// How long an answer takes, in milliseconds
    #[arg(long, value_name = "MS|MIN..MAX", default_value = "0")]
    pub latency: Latency,
    /// Requests that one session may send
    #[arg(long, value_name = "N/SECONDS")]
    pub limit: Option<Limit>,
    /// Requests that one address (a proxy, or a direct client) may send
    #[arg(long, value_name = "N/SECONDS")]
    pub address_limit: Option<Limit>,
    /// Say Retry-After in answers with status 429
    #[arg(long)]
    pub retry_after: bool,
    /// Fill active reels up to about this size
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub pad: usize,
    /// Number of Graph API tokens, for the accounts acct_000000 and on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub graph_tokens: usize,
    /// Graph API requests about one account
    #[arg(long, value_name = "N/SECONDS")]
    pub graph_limit: Option<Limit>,
    /// Graph API requests of all tokens together
    #[arg(long, value_name = "N/SECONDS")]
    pub graph_app_limit: Option<Limit>,
    /// Number of X API bearer tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub x_tokens: usize,
    /// Posts that all X API tokens together may read
    #[arg(long, value_name = "N")]
    pub x_usage_cap: Option<u64>,
    /// How the X API spells fields: tweet, post, or now this, now that
    #[arg(long, value_name = "WORD", default_value = "either")]
    pub x_spelling: XSpelling,
    /// Rules to start with: a file of one rule or of a list, as for /_sim/rules
    #[arg(long, value_name = "FILE.json")]
    pub rules: Option<PathBuf>,
    /// Requests that draw one of all faults, in percent
    #[arg(long, value_name = "PERCENT")]
    pub mix: Option<f64>,
    /// How many requests the audit remembers one by one
    #[arg(long, value_name = "N", default_value_t = SimConfig::default().audit_capacity)]
    pub audit_capacity: usize,
    /// Time to start at, in milliseconds since the Unix epoch, instead of now
    #[arg(long, value_name = "UNIX_MS")]
    pub start: Option<u64>,
    /// How many times as fast the platform's time runs (latencies stay as they are)
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<f64>,
    /// Write the certificate that signs for every host to this file, as PEM
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Write the cookies of every session to this folder, as SESSION.cookies.txt
    #[arg(long, value_name = "DIR")]
    pub write_sessions: Option<PathBuf>,
    /// Write every API token to this folder, as NAME.graph.json and x_NUMBER.x.json
    #[arg(long, value_name = "DIR")]
    pub write_tokens: Option<PathBuf>,
    /// Write the URL of every proxy to this file, one a line
    #[arg(long, value_name = "FILE")]
    pub write_proxies: Option<PathBuf>,
}

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The arguments contradict each other or are out of range.
    #[error("no platform can be made of these arguments")]
    Config(#[source] ConfigError),
    /// The kinds of accounts are more than everybody.
    #[error("--private, --private-followed and --not-found add up to more than 100 percent")]
    Mix,
    /// The file of rules holds something else.
    #[error("{} holds no rules", path.display())]
    RulesFile {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        source: serde_json::Error,
    },
    /// A rule that can never do what it says.
    #[error("a rule cannot work")]
    Rule(#[source] RuleError),
    /// A port, a file or a signal handler.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl RunError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: what.into(), source }
    }
}

/// Serves the platform until SIGINT or SIGTERM. When everything listens, one line of JSON on
/// standard output says where.
///
/// # Errors
///
/// Arguments that make no platform, a port that is taken, a file that cannot be written.
///
/// # Cancel safety
///
/// Cancel safe: every socket is closed.
pub async fn run(args: SimArgs) -> Result<(), RunError> {
    let stop = stop_signal().map_err(RunError::io("cannot listen for signals"))?;
    let clock = clock(&args);
    let config = config(&args, clock.now())?;
    let platform = Arc::new(Platform::new(config).map_err(RunError::Config)?);
    add_rules(&args, &platform)?;
    let server = Server::start(Arc::clone(&platform), server_config(&args), clock).await.map_err(
        RunError::io(format!(
            "cannot listen on {}, ports {} (HTTP) and {} (TLS; 0: any)",
            args.bind, args.port, args.tls_port
        )),
    )?;
    write_files(&args, &platform, &server)?;
    let ready = json!({
        "http": server.http_url(),
        "https": server.https_url(),
        "proxies": server.proxies().iter().map(|proxy| &proxy.url).collect::<Vec<_>>(),
        "sessions": platform.sessions(),
        "graph_tokens": platform.graph_tokens(),
        "x_tokens": platform.x_tokens(),
    });
    writeln!(io::stdout(), "{ready}")
        .and_then(|()| io::stdout().flush())
        .map_err(RunError::io("cannot write to standard output"))?;
    stop.await;
    server.shutdown().await;
    Ok(())
}

fn config(args: &SimArgs, start: Timestamp) -> Result<SimConfig, RunError> {
    let kinds = [args.private, args.private_followed, args.not_found];
    if kinds.into_iter().map(u32::from).sum::<u32>() > 100 {
        return Err(RunError::Mix);
    }
    let mut graph = GraphSettings::new(args.graph_tokens, start);
    (graph.account_limit, graph.app_limit) = (args.graph_limit, args.graph_app_limit);
    let mut x = XSettings::new(args.x_tokens);
    (x.usage_cap, x.spelling) = (args.x_usage_cap, args.x_spelling);
    Ok(SimConfig {
        seed: args.seed,
        sessions: args.sessions,
        population: Population::default()
            .with_mix(args.private, args.private_followed, args.not_found)
            .with_posting(args.posting, args.bursts_per_day)
            .with_story_lifetime(args.story_lifetime),
        latency: args.latency,
        session_limit: args.limit,
        address_limit: args.address_limit,
        retry_after: args.retry_after,
        pad: args.pad,
        expect_proxy: args.expect_proxy,
        audit_capacity: args.audit_capacity,
        graph,
        x,
    })
}

fn add_rules(args: &SimArgs, platform: &Platform) -> Result<(), RunError> {
    let mut rules = Vec::new();
    if let Some(path) = &args.rules {
        let text =
            std::fs::read(path).map_err(RunError::io(format!("cannot read {}", path.display())))?;
        let holds = |source| RunError::RulesFile { path: path.clone(), source };
        rules = parse_rules(&text).map_err(holds)?;
    }
    rules.extend(args.mix.map(Rule::mix));
    for rule in rules {
        platform.add_rule(rule).map_err(RunError::Rule)?;
    }
    Ok(())
}

fn server_config(args: &SimArgs) -> ServerConfig {
    let kinds = std::iter::repeat_n(ProxyKind::Http, args.http_proxies.into())
        .chain(std::iter::repeat_n(ProxyKind::Socks5, args.socks_proxies.into()));
    let spec = |kind| ProxySpec { kind, credentials: args.proxy_login.clone() };
    ServerConfig {
        ip: args.bind,
        http_port: args.port,
        tls_port: args.tls_port,
        proxies: kinds.map(spec).collect(),
    }
}

fn clock(args: &SimArgs) -> SimClock {
    let clock = match args.start {
        Some(start) => SimClock::starting_at(Timestamp::from_unix_millis(start)),
        None => SimClock::system(),
    };
    match args.speed {
        Some(speed) => clock.with_speed(speed),
        None => clock,
    }
}

fn write_files(args: &SimArgs, platform: &Platform, server: &Server) -> Result<(), RunError> {
    if let Some(path) = &args.ca_out {
        write_file(path, server.ca_pem())?;
    }
    if let Some(path) = &args.write_proxies {
        let lines: String = server.proxies().iter().map(|proxy| proxy.url.clone() + "\n").collect();
        write_file(path, &lines)?;
    }
    if let Some(folder) = &args.write_sessions {
        std::fs::create_dir_all(folder)
            .map_err(RunError::io(format!("cannot create {}", folder.display())))?;
        for index in 0..platform.sessions() {
            let cookies = platform.session_credentials(index).into_iter().flatten();
            let name = platform.session_username(index).unwrap_or_default();
            write_file(&folder.join(format!("{name}.cookies.txt")), &cookies_txt(cookies))?;
        }
    }
    if let Some(folder) = &args.write_tokens {
        std::fs::create_dir_all(folder)
            .map_err(RunError::io(format!("cannot create {}", folder.display())))?;
        for token in (0..platform.graph_tokens()).filter_map(|index| platform.graph_token(index)) {
            let path = folder.join(format!("{}.graph.json", token.username));
            let (issued, expires) = (token.issued_at.unix_secs(), token.expires_at.unix_secs());
            let token = json!({
                "access_token": token.access_token,
                "ig_user_id": token.ig_user_id,
                "username": token.username,
                "login": "instagram",
                "issued_at": issued,
                "expires_at": expires,
            });
            write_file(&path, &format!("{token:#}\n"))?;
        }
        for index in 0..platform.x_tokens() {
            let token = json!({ "bearer_token": platform.x_token(index) });
            write_file(&folder.join(format!("x_{index}.x.json")), &format!("{token:#}\n"))?;
        }
    }
    Ok(())
}

/// The file format that browsers and downloaders exchange cookies in.
fn cookies_txt(cookies: impl Iterator<Item = (&'static str, String)>) -> String {
    let year = Duration::from_secs(365 * 86_400);
    let expires = Timestamp::from(SystemTime::now()).saturating_add(year).unix_secs();
    let mut text = String::from("# Netscape HTTP Cookie File\n");
    for (name, value) in cookies {
        text += &format!(".instagram.com\tTRUE\t/\tTRUE\t{expires}\t{name}\t{value}\n");
    }
    text
}

/// Writes a file that only its owner may read, because it may hold cookies or passwords; they are
/// good for nothing, but what reads them warns of files that others can read.
fn write_file(path: &Path, text: &str) -> Result<(), RunError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(RunError::io(format!("cannot write {}", path.display())))
}

fn credentials(text: &str) -> Result<ProxyCredentials, &'static str> {
    let (user, password) = text.split_once(':').ok_or("it is written USER:PASSWORD")?;
    // SOCKS5 counts both in one byte.
    if user.len() > 255 || password.len() > 255 {
        return Err("user and password have at most 255 bytes each");
    }
    Ok(ProxyCredentials::new(user, password))
}

/// Listens for the signals now, so that none is missed, and ends when one arrives.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for Ctrl-C and ends when it arrives.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler nobody could stop the simulator politely: then stop at once.
        let _ = tokio::signal::ctrl_c().await;
    })
}
