//! Whether the server is one to rely on.

use std::collections::HashMap;

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use story_checker_core::{Error, Result};

use crate::error::{Effect, failed};
use crate::shared::Shared;

const OPERATION: &str = "open the Redis store";

/// The oldest version that has all commands of the scripts.
const OLDEST: (u32, u32) = (6, 2);

/// Returns what may lose jobs, or why the server cannot be used.
pub(crate) async fn check(shared: &Shared) -> Result<Vec<String>> {
    let link = &shared.link;
    let place = link.address().to_string();
    let failed = |error: RedisError| failed(OPERATION, Effect::Reads, &place, error);
    let mut connection = link.any_node().await.map_err(failed)?;
    let info = match info(&mut connection).await {
        Ok(info) => info,
        Err(error) if error.code() == Some("NOPERM") => HashMap::new(),
        Err(error) => return Err(failed(error)),
    };
    let version = info.get("redis_version").map_or("unknown", String::as_str);
    // Valkey tells a version of Redis here that it is compatible with.
    if parse_version(version).is_some_and(|version| version < OLDEST) {
        let (major, minor) = OLDEST;
        let what = format!("{place} has version {version}; it takes {major}.{minor} or newer");
        return Err(Error::invalid(OPERATION, what));
    }
    let is_cluster = info.get("redis_mode").is_some_and(|mode| mode == "cluster");
    if is_cluster && !link.address().cluster {
        let what = format!("{place} is a node of a cluster: use redis+cluster:// for its address");
        return Err(Error::invalid(OPERATION, what));
    }
    // The connection that all calls use.
    link.ask(OPERATION, Effect::Reads, &redis::cmd("PING")).await?;
    let mut warnings = Vec::new();
    match settings(&mut connection).await {
        Ok(settings) => judge(&settings, &mut warnings),
        Err(_) => warnings.push(
            "whether the server keeps its data could not be checked: this user may not read its \
             settings (CONFIG GET)"
                .to_owned(),
        ),
    }
    Ok(warnings)
}

fn judge(settings: &HashMap<String, String>, warnings: &mut Vec<String>) {
    let setting = |name: &str| settings.get(name).map_or("", String::as_str);
    if setting("appendonly") == "no" && setting("save").is_empty() {
        warnings.push(
            "the server keeps nothing on disk (appendonly no, save empty): a restart loses all \
             jobs and sessions; set appendonly yes"
                .to_owned(),
        );
    } else if setting("appendonly") == "no" {
        warnings.push(
            "the server writes to disk only now and then (appendonly no): a crash loses all since; \
             set appendonly yes"
                .to_owned(),
        );
    }
    if setting("appendonly") == "yes" && setting("appendfsync") == "no" {
        warnings.push(
            "the server leaves writing to the system (appendfsync no): a crash of the machine \
             loses half a minute; set appendfsync everysec"
                .to_owned(),
        );
    }
    let policy = setting("maxmemory-policy");
    if !policy.is_empty() && policy != "noeviction" {
        warnings.push(format!(
            "the server may drop jobs and sessions when its memory is full (maxmemory-policy \
             {policy}): set noeviction"
        ));
    }
}

async fn info(
    connection: &mut MultiplexedConnection,
) -> Result<HashMap<String, String>, RedisError> {
    let text: String = redis::cmd("INFO").arg("server").query_async(connection).await?;
    let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn settings(
    connection: &mut MultiplexedConnection,
) -> Result<HashMap<String, String>, RedisError> {
    let mut settings = HashMap::new();
    for name in ["appendonly", "appendfsync", "save", "maxmemory-policy"] {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        let found: HashMap<String, String> = command.query_async(connection).await?;
        settings.extend(found);
    }
    Ok(settings)
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(settings: &[(&str, &str)]) -> String {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut warnings = Vec::new();
        judge(&settings.iter().map(own).collect(), &mut warnings);
        warnings.join("\n")
    }

    #[test]
    fn settings_that_may_lose_jobs_are_named_with_what_to_set() {
        let good = [
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            ("save", ""),
            ("maxmemory-policy", "noeviction"),
        ];
        assert_eq!(warnings(&good), "");
        for (name, value, what) in [
            ("appendonly", "no", "keeps nothing on disk"),
            ("appendfsync", "no", "appendfsync everysec"),
            ("maxmemory-policy", "allkeys-lru", "set noeviction"),
        ] {
            let mut settings = good.to_vec();
            settings.push((name, value));
            assert!(warnings(&settings).contains(what), "{name} {value}");
        }
        let snapshots = [("appendonly", "no"), ("save", "3600 1")];
        assert!(warnings(&snapshots).contains("now and then"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("6.0.16").unwrap() < OLDEST);
        assert!(parse_version("10.1").unwrap() > OLDEST);
        assert_eq!(parse_version("unknown"), None);
    }
}
