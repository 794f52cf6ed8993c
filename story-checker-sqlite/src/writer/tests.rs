use std::sync::Arc;
use std::time::Duration;

use story_checker_core::{Certainty, ErrorKind, Result};

use super::{Thread, Writer};
use crate::file::open_writer;
use crate::options::Synchronous;
use crate::time::SystemHost;
use crate::tx::Tx;

const MANY_BYTES: usize = 40_000;

/// Stores a proxy's state that takes some pages.
async fn store(writer: &Writer, name: String) -> Result<()> {
    let store = move |tx: &mut Tx<'_>| {
        let mut insert = tx.statement("INSERT INTO proxy (id, state) VALUES (?1, ?2)")?;
        insert.execute([&name, &"x".repeat(MANY_BYTES)])?;
        Ok(())
    };
    writer.call("store", store).await
}

async fn pages(writer: &Writer, most: u32) {
    let set = move |tx: &mut Tx<'_>| {
        let mut set = tx.statement(&format!("PRAGMA max_page_count = {most}"))?;
        Ok(set.query_row([], |row| row.get::<_, i64>(0))?)
    };
    writer.call("set", set).await.unwrap();
}

async fn stored(writer: &Writer) -> i64 {
    let count = |tx: &mut Tx<'_>| {
        let mut count = tx.statement("SELECT count(*) FROM proxy")?;
        Ok(count.query_row([], |row| row.get(0))?)
    };
    writer.call("count", count).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_costs_the_call_and_not_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = Arc::new(folder.path().join("store.sqlite"));
    let patience = Duration::from_secs(10);
    let (sql, _) = open_writer(&path, Synchronous::Full, true, patience).unwrap();
    let clock = Arc::new(SystemHost::new());
    let changed = Arc::default();
    let writer =
        Writer::start(Thread { sql, path: Arc::clone(&path), clock, patience, changed }).unwrap();
    pages(&writer, 100).await;
    let mut acknowledged = 0;
    let error = loop {
        match store(&writer, format!("proxy-{acknowledged}")).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Unavailable, Certainty::Transient));
    let text = error.to_string();
    assert!(text.contains("store.sqlite") && text.contains("no space is left"), "{text}");
    assert!(acknowledged > 0);
    assert_eq!(stored(&writer).await, acknowledged, "nothing is lost, and nothing half stored");
    pages(&writer, 100_000).await;
    store(&writer, "afterwards".to_owned()).await.unwrap();
    assert_eq!(stored(&writer).await, acknowledged + 1);
}
