//! The proof: three nodes that were offline come together by one stream, in every order, while connections are cut, programs
//! and servers are killed, disks are full and clocks are wrong. Nothing is lost, nothing is there twice, and what went on
//! apart is told once.
//!
//! `CIM_ES_LONG=1` has each node do a thousand commits while it is offline; `CIM_ES_SEED` draws the same again.

mod checks;
#[cfg(target_os = "linux")]
mod full_disk;
mod plan;
mod program;
mod restored;
mod world;

use std::time::SystemTime;

use cim_es_tests::nats::{Cluster, Server};
use tokio::task::JoinSet;

use crate::jetstream::random::Random;
use plan::{Expected, NODES};
use world::{Servers, World};

/// The orders in which the nodes join.
const ORDERS: [[usize; NODES]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// How much is done: the commits of each node, and how many times something goes wrong while one joins.
fn size() -> (usize, usize) {
    match std::env::var_os("CIM_ES_LONG").is_some_and(|value| value != "0") {
        true => (1_000, 12),
        false => (100, 3),
    }
}

fn seed() -> u64 {
    let chosen = std::env::var("CIM_ES_SEED").ok();
    let chosen = chosen.and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()))
    });
    println!("CIM_ES_SEED={seed}");
    seed
}

/// Three nodes do their work apart, join in an order, and have the same in the end.
async fn come_together(servers: Servers, order: [usize; NODES], seed: u64) {
    let (commits, faults) = size();
    let mut world = World::new(servers, seed).await;
    let plans = Random::new(seed);
    for node in 0..NODES {
        let commits = plan::commits(&plans.of(node as u64), node, commits);
        world.is_offline(node, commits).await;
    }
    let mut expected = Expected::default();
    let mut waiting = Vec::new();
    for node in order {
        world.join(node, faults).await;
        waiting.push((node, expected.join(node, &world.nodes[node].commits)));
    }
    // Those that were there before get what the others have brought.
    for node in order {
        world.come_back(node).await;
    }
    let stream = checks::history(&*world.remote).await;
    checks::is_whole(&stream);
    for (node, waiting) in &waiting {
        checks::is_level(&world, *node, &stream, waiting).await;
    }
    for node in order {
        checks::is_one_in_the_end(&world, node).await;
    }
    println!("{order:?}: {:?}", world.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn nodes_that_were_offline_lose_and_double_nothing_in_whatever_order_they_join() {
    let seed = seed();
    let mut all = JoinSet::new();
    for (number, order) in (0..).zip(ORDERS) {
        let server = Servers::One(Server::start());
        all.spawn(come_together(server, order, seed.wrapping_add(number)));
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_were_offline_join_three_servers_that_are_killed_one_by_one() {
    let servers = Servers::Three(Cluster::start(3));
    come_together(servers, [2, 0, 1], seed()).await;
}
