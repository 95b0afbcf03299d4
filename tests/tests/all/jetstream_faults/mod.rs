//! Proof under faults: programs at work on three servers with three replicas, while servers are parted, killed, paused and
//! deposed, networks are slow, deaf and lossy, programs are killed, and the stream is full at times.
//!
//! `CIM_ES_SEED` draws the same faults again; the seed of each run is printed. `CIM_ES_LONG=1` takes half an hour, or as
//! many minutes as `CIM_ES_MINUTES` says:
//!
//! ```sh
//! CIM_ES_SEED=7 CIM_ES_MINUTES=5 cargo test -p cim-es-tests --test all -- --nocapture nothing_is_lost
//! ```

mod checks;
mod control;
mod faults;
mod killed;
mod ledger;
mod program;
mod readers;
mod record;
mod work;
mod world;

use std::time::{Duration, SystemTime};

use world::World;

/// How long things go wrong.
fn time() -> Duration {
    const SHORT: Duration = Duration::from_secs(45);
    const LONG: u64 = 30;
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match (number("CIM_ES_MINUTES"), std::env::var_os("CIM_ES_LONG")) {
        (Some(minutes), _) => Duration::from_secs(60 * minutes),
        (None, Some(_)) => Duration::from_secs(60 * LONG),
        (None, None) => SHORT,
    }
}

fn seed() -> u64 {
    let chosen = std::env::var("CIM_ES_SEED").ok();
    let chosen = chosen.and_then(|seed| seed.parse().ok());
    chosen.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_forked_split_or_skipped_whatever_the_network_does() {
    let seed = seed();
    println!("CIM_ES_SEED={seed}");
    let mut world = World::start(seed).await;
    let faults = faults::go_wrong(&mut world, time()).await;
    let record = std::sync::Arc::clone(&world.record);
    let wrong = world.end().await;
    let count: u64 = faults.values().sum();
    println!("{count} faults: {faults:?}");
    assert!(
        wrong.is_empty(),
        "CIM_ES_SEED={seed}: {} violations:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let stored = record.acknowledged();
    assert!(stored > 100, "only {stored} commits were acknowledged");
}
