//! Passwords, permissions, TLS, warnings.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use story_checker_core::cache::{Cache, CacheEntry};
use story_checker_core::queue::JobQueue;
use story_checker_core::{Certainty, ErrorKind};
use story_checker_redis::{RedisOptions, RedisStore};
use tempfile::TempDir;

use crate::faults::{claim, job};
use crate::server::{Server, free_port};

/// As docs/OPERATIONS.md has it.
const RULE: &str = "on >PLANTED ~{story-checker}* &{story-checker}* -@all +@read +@write \
    -@dangerous +@connection +eval +evalsha +time +publish +subscribe +unsubscribe +info +config|get";

#[tokio::test]
async fn a_user_with_the_rule_of_the_manual_can_do_everything() {
    let server = Server::start();
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("app").arg(RULE.split_whitespace().collect::<Vec<_>>());
    command.exec(&mut server.client()).unwrap();
    let url = format!("redis://app:PLANTED@127.0.0.1:{}", server.port);
    let store = RedisStore::connect(&url, RedisOptions::default()).await.unwrap();
    assert!(store.warnings().is_empty(), "{:?}", store.warnings());
    let queue = store.queue();
    queue.enqueue(vec![job()]).await.unwrap();
    let claimed = claim(&queue).await.unwrap();
    assert_eq!(claimed.jobs.len(), 1);
    queue.maintain(10).await.unwrap();
    store.cache().put(vec![CacheEntry::new("a", "b")]).await.unwrap();
    assert!(!format!("{store:?} {store} {queue:?} {queue}").contains("PLANTED"));

    let other = RedisOptions::default().with_namespace("other");
    let other = RedisStore::connect(&url, other).await.unwrap();
    let error = other.queue().enqueue(vec![job()]).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Unavailable, Certainty::Permanent));
    assert!(error.to_string().contains("OPERATIONS"), "{error}");

    let wrong = url.replace("PLANTED", "PLANTED-wrong");
    let error = RedisStore::connect(&wrong, RedisOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("password is wrong"), "{error}");
    assert!(!format!("{error:?}").contains("PLANTED"), "{error:?}");
}

#[tokio::test]
async fn what_may_lose_jobs_is_told() {
    let server =
        Server::with(&["--appendonly", "no", "--save", "", "--maxmemory-policy", "allkeys-lru"]);
    let warnings = server.store().await.warnings().join("\n");
    assert!(warnings.contains("appendonly yes") && warnings.contains("noeviction"), "{warnings}");
    assert!(Server::start().store().await.warnings().is_empty());

    let rule = RULE.replace("+config|get", "");
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("app").arg(rule.split_whitespace().collect::<Vec<_>>());
    command.exec(&mut server.client()).unwrap();
    let url = format!("redis://app:PLANTED@127.0.0.1:{}", server.port);
    let store = RedisStore::connect(&url, RedisOptions::default()).await.unwrap();
    assert!(store.warnings().join("\n").contains("could not be checked"));
}

/// A test authority and a certificate for 127.0.0.1 that it signed.
fn certificates(folder: &TempDir) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.path().join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.path().join("server.key"), key.serialize_pem()).unwrap();
    fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
    authority.pem()
}

#[tokio::test]
async fn tls_works_with_an_authority_of_ones_own_and_without_it_nothing_is_said() {
    let folder = TempDir::new().unwrap();
    let authority = certificates(&folder);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port();
    let server = Server::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("server.pem"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("authority.pem"),
        "--tls-auth-clients",
        "no",
        "--appendonly",
        "yes",
        "--requirepass",
        "",
    ]);
    let url = format!("rediss://127.0.0.1:{port}");
    let options = RedisOptions::default().with_authority(authority);
    let queue = RedisStore::connect(&url, options).await.unwrap().queue();
    queue.enqueue(vec![job()]).await.unwrap();
    assert_eq!(claim(&queue).await.unwrap().jobs.len(), 1);

    let error = RedisStore::connect(&url, RedisOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "an unknown authority is not trusted");
    drop(server);
}
