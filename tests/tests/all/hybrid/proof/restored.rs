//! A file that is replaced by an older copy of itself in the middle of it all.

use cim_es::SqliteEventStore;
use cim_es::store::EventStore;
use cim_es_tests::nats::Server;

use super::checks;
use super::plan;
use super::world::{Servers, World};
use crate::jetstream::random::Random;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_that_is_restored_in_the_middle_is_noticed_and_nothing_is_lost() {
    let seed = super::seed();
    let (commits, faults) = super::size();
    let mut world = World::new(Servers::One(Server::start()), seed).await;
    let random = Random::new(seed);
    for node in 0..plan::NODES {
        let first = plan::commits(&random, node, commits / 2);
        world.is_offline(node, first).await;
    }
    let (file, copy) = (
        world.nodes[0].file().clone(),
        world.nodes[0].file().with_extension("copy"),
    );
    std::fs::copy(&file, &copy).unwrap();
    let at = {
        let store = SqliteEventStore::open(&copy).unwrap();
        let at = store.last_position().await.unwrap();
        store.close().await;
        at
    };
    let kept = world.nodes[0].commits.clone();
    world
        .is_offline(0, plan::commits(&random, 0, commits))
        .await;
    world.join_and_be_killed(0, at).await;
    // What reached the stream from the file that is gone.
    let brought = checks::history(&*world.remote).await;

    for extension in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(file.with_extension(extension));
    }
    std::fs::rename(&copy, &file).unwrap();
    world.nodes[0].commits = kept;
    world
        .is_offline(0, plan::commits(&random, 0, commits / 4))
        .await;
    for node in [1, 0, 2] {
        world.join(node, faults).await;
    }
    for node in 0..plan::NODES {
        world.come_back(node).await;
    }
    let stream = checks::history(&*world.remote).await;
    checks::is_whole(&stream);
    assert_eq!(stream.events[..brought.events.len()], brought.events);
    for node in 0..plan::NODES {
        let held = checks::is_the_same(&world, node, &stream).await;
        let restored = usize::from(node == 0);
        assert_eq!(held.restored, restored, "node {node}");
        assert_eq!(held.notices, held.roots.len() + restored, "node {node}");
        let commits = world.nodes[node].commits.len();
        assert!(held.commits >= commits, "node {node} lost a commit");
    }
    for node in 0..plan::NODES {
        checks::is_one_in_the_end(&world, node).await;
    }
    println!("{:?}", world.faults);
}
