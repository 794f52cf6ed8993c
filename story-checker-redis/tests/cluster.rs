//! A real cluster of three nodes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use story_checker_core::cache::{Cache, CacheEntry};
use story_checker_core::queue::{Alter, JobFilter, JobQueue, Outcome, Select, Settlement};
use story_checker_core::{BatchId, ErrorKind};
use story_checker_redis::{RedisOptions, RedisStore};

use crate::faults::{claim, insist, job};
use crate::server::Server;

fn cluster() -> Vec<Server> {
    let node = |_| Server::with(&["--cluster-enabled", "yes", "--appendonly", "yes", "--save", ""]);
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]);
    create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
    let text = "redis-cli is not installed: the package redis-tools (apt-get install redis-tools)";
    let output = create.arg("--cluster-yes").stdin(Stdio::null()).output().expect(text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let begun = Instant::now();
    let ready = |node: &Server| {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut node.client()).unwrap();
        info.contains("cluster_state:ok")
    };
    while !nodes.iter().all(ready) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the cluster did not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    nodes
}

#[tokio::test]
async fn a_namespace_lives_on_one_node_of_a_cluster_and_many_on_many() {
    let nodes = cluster();
    let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    for namespace in ["story-checker", "a", "b", "c", "d"] {
        let options = RedisOptions::default().with_namespace(namespace);
        let store = RedisStore::connect(&url, options).await.unwrap();
        let queue = store.queue();
        let batch = BatchId::from(uuid::Uuid::now_v7());
        let mut jobs: Vec<_> = (0..3).map(|_| job()).collect();
        jobs[0].queue = "other".into();
        jobs.iter_mut().for_each(|job| job.batch = Some(batch));
        let (_, errors) = insist(async || queue.enqueue(jobs.clone()).await).await;
        assert!(errors.is_empty(), "{errors:?}");
        let claimed = claim(&queue).await.unwrap();
        assert_eq!(claimed.jobs.len(), 2);
        let done = Outcome::Done { result: "r".into() };
        let settlements = claimed.jobs.iter().map(|job| Settlement::new(job.lease, done.clone()));
        queue.settle(settlements.collect(), None).await.unwrap();
        let altered = queue.alter(&Select::Batch(batch), Alter::Cancel).await.unwrap();
        assert_eq!(altered.changed, 1);
        queue.maintain(100).await.unwrap();
        assert_eq!(queue.list(&JobFilter::batch(batch), None, 9).await.unwrap().jobs.len(), 3);
        store.cache().put(vec![CacheEntry::new("a", "b")]).await.unwrap();
        assert_eq!(store.cache().get(&["a".into()]).await.unwrap(), [Some("b".into())]);
    }
    let keys = |node: &Server| redis::cmd("DBSIZE").query::<u64>(&mut node.client()).unwrap();
    assert!(nodes.iter().filter(|node| keys(node) > 0).count() > 1, "the namespaces are spread");

    let error = nodes[0].url();
    let error = RedisStore::connect(&error, RedisOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("redis+cluster"), "{error}");
}
