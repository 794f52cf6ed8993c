//! Files that are not as they should be: a clear error, nothing lost, and work goes on.

use std::path::Path;

use rusqlite::Connection;
use story_checker_core::queue::{Enqueued, JobQueue, NewJob, StatsQuery};
use story_checker_core::{Certainty, Error, ErrorKind, JobId};
use story_checker_sqlite::{SqliteOptions, SqliteStore, migrate};

use crate::fixture::Fixture;

pub(crate) fn job(number: u128) -> NewJob {
    let id = JobId::from_bytes(number.to_be_bytes());
    NewJob::new(id, "check".into(), vec![b'x'; 200].into())
}

async fn refused(path: &Path, options: SqliteOptions, kind: ErrorKind) -> Error {
    let error = SqliteStore::open(path, options).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let name = path.file_name().unwrap_or(path.as_os_str()).to_str().unwrap();
    assert!(error.to_string().contains(name), "{error} names the file");
    error
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new();
    let text = fixture.path(1);
    std::fs::write(&text, "targets\n".repeat(1_000)).unwrap();
    refused(&text, fixture.options(), ErrorKind::Corrupt).await;
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "targets\n".repeat(1_000));

    let foreign = fixture.path(2);
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs(x)").unwrap();
    let error = refused(&foreign, fixture.options(), ErrorKind::Corrupt).await;
    assert!(error.to_string().contains("another program"), "{error}");

    refused(&fixture.path(3).join("below"), fixture.options(), ErrorKind::Unavailable).await;
    let memory = SqliteStore::open(":memory:", fixture.options()).await.unwrap_err();
    assert_eq!(memory.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_newer_file_is_refused_and_an_older_one_becomes_a_new_one() {
    let fixture = Fixture::new();
    let store = fixture.open(1).await;
    let version = store.schema_version().await.unwrap();
    store.queue().enqueue(vec![job(1)]).await.unwrap();
    drop(store);
    let path = fixture.path(1);
    let set = |version: u32| {
        let sql = Connection::open(&path).unwrap();
        sql.pragma_update(None, "user_version", version).unwrap();
        sql
    };
    set(version + 7);
    let error = refused(&path, fixture.options(), ErrorKind::Corrupt).await.to_string();
    assert!(error.contains(&(version + 7).to_string()) && error.contains(&version.to_string()));

    // Version 1 knew no sessions.
    let drop_all = "DROP TABLE session; DROP TABLE session_fence; DROP TABLE proxy;
                    DROP TABLE cache;";
    set(1).execute_batch(drop_all).unwrap();
    let mut careful = fixture.options();
    careful.migrate = false;
    refused(&path, careful, ErrorKind::Invalid).await;
    let migrated = migrate(&path).await.unwrap();
    assert_eq!((migrated.from, migrated.to), (1, version));
    let queue = fixture.open(1).await.queue();
    let counts = queue.stats(&StatsQuery::Queues).await.unwrap().queues[0].counts;
    assert_eq!(counts.ready, 1);
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let fixture = Fixture::new();
    let open = || SqliteStore::open(fixture.path(1), fixture.options());
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    for store in [a, b, c, d] {
        assert!(store.unwrap().schema_version().await.unwrap() > 0);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new();
    let store = fixture.open(1).await;
    store.queue().enqueue(vec![job(1)]).await.unwrap();
    for ending in ["", "-wal", "-shm"] {
        let path = format!("{}{ending}", fixture.path(1).display());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[tokio::test]
async fn a_locked_file_costs_the_call_and_not_the_store() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.patience = std::time::Duration::from_millis(30);
    let store = SqliteStore::open(fixture.path(1), options).await.unwrap();
    let queue = store.queue();
    queue.enqueue(vec![job(1)]).await.unwrap();
    let other = Connection::open(fixture.path(1)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = queue.enqueue(vec![job(2)]).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Unavailable, Certainty::Transient));
    assert!(error.to_string().contains("another process"), "{error}");
    assert!(queue.get(&[job(1).id]).await.unwrap()[0].is_some(), "reading goes on");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(queue.enqueue(vec![job(2)]).await.unwrap(), [Enqueued::Inserted]);
}

#[tokio::test]
async fn a_damaged_row_costs_the_call_and_not_the_store() {
    let fixture = Fixture::new();
    let queue = fixture.open(1).await.queue();
    queue.enqueue(vec![job(1), job(2)]).await.unwrap();
    let sql = Connection::open(fixture.path(1)).unwrap();
    sql.execute("UPDATE job SET state = 77 WHERE id = 1", []).unwrap();
    let error = queue.get(&[job(1).id]).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Corrupt, Certainty::Permanent));
    assert!(queue.get(&[job(2).id]).await.unwrap()[0].is_some());
    assert_eq!(queue.enqueue(vec![job(3)]).await.unwrap(), [Enqueued::Inserted]);
}
