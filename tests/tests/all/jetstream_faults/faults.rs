//! What goes wrong, drawn from a seed: between servers, between a program and the servers, and in either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::world::{Site, World};
use crate::jetstream::proxy::Weather;
use crate::jetstream::random::Random;

/// What can go wrong with the servers; one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// One server is parted from the others.
    Partition,
    /// Two servers do not reach each other; both reach the third.
    Part,
    /// What one server says does not arrive at another, or at none.
    OneWay,
    /// The connections of one server come and go.
    Flap,
    /// A server is killed and started again.
    Kill,
    /// A server stands still for some time.
    Pause,
    /// Two servers stand still, or none reaches another: no majority is left.
    Majority,
    /// The leader gives up its office.
    StepDown,
    /// The stream is full for some time.
    Limit,
    /// A program is killed and started again.
    KillProgram,
    /// A member of a subscription crashes, and another comes.
    CrashMember,
}

const FAULTS: [Fault; 11] = [
    Fault::Partition,
    Fault::Part,
    Fault::OneWay,
    Fault::Flap,
    Fault::Kill,
    Fault::Pause,
    Fault::Majority,
    Fault::StepDown,
    Fault::Limit,
    Fault::KillProgram,
    Fault::CrashMember,
];

/// How many of each there were.
pub type Counts = BTreeMap<String, u64>;

/// Lets things go wrong until it is time to end: each fault once at least, in an order that the seed gives, and then over
/// again.
pub async fn go_wrong(world: &mut World, time: Duration) -> Counts {
    let end = Instant::now() + time;
    let mut counts = Counts::new();
    let mut rest = Vec::new();
    while Instant::now() < end {
        if rest.is_empty() {
            rest = FAULTS.to_vec();
        }
        let fault = rest.swap_remove(world.random.within(0..rest.len() as u64) as usize);
        let weather = world.random.once_in(2).then(|| {
            let site = Arc::clone(world.random.one_of(&world.sites));
            *counts.entry("Weather".to_owned()).or_default() += 1;
            tokio::spawn(bad_weather(
                site,
                world.random.of(world.random.next()),
                world.began,
            ))
        });
        *counts.entry(format!("{fault:?}")).or_default() += 1;
        happen(world, fault).await;
        if let Some(weather) = weather {
            weather.await.unwrap();
        }
        sleep(Duration::from_millis(world.random.within(300..2_500))).await;
    }
    counts
}

fn say(began: Instant, what: &str) {
    println!("[{:7.1} s] {what}", began.elapsed().as_secs_f64());
}

async fn happen(world: &mut World, fault: Fault) {
    // The leader, more often than not.
    let leader = world.leader().await;
    let any = world.random.within(0..3) as usize;
    let one = leader.filter(|_| !world.random.once_in(3)).unwrap_or(any);
    let other = (one + 1 + world.random.within(0..2) as usize) % 3;
    // Some are over before a leader that was cut off knows that it is, some are not.
    let time = Duration::from_millis(*world.random.one_of(&[800, 3_000, 6_000, 11_000, 13_000]));
    say(
        world.began,
        &format!("{fault:?}: server {one}, {other}, {time:?}; leader {leader:?}"),
    );
    let network = world.cluster.network();
    let others: Vec<_> = (0..3).filter(|it| *it != one).collect();
    match fault {
        Fault::Partition => {
            let is_refused = world.random.once_in(3);
            for it in &others {
                match is_refused {
                    true => network.refuse(one, *it),
                    false => {
                        network.hold(one, *it);
                        network.hold(*it, one);
                    }
                }
            }
            sleep(time).await;
            // Either what was held up arrives now, or it is lost with the connections.
            if world.random.once_in(2) {
                others.iter().for_each(|it| network.cut(one, *it));
            }
            network.heal();
        }
        Fault::Part => {
            network.hold(one, other);
            network.hold(other, one);
            sleep(time).await;
            network.heal();
        }
        Fault::OneWay => {
            let to_all = world.random.once_in(2);
            for it in others.iter().filter(|it| to_all || **it == other) {
                match world.random.once_in(2) {
                    true => network.hold(one, *it),
                    false => network.hold(*it, one),
                }
            }
            sleep(time).await;
            network.heal();
        }
        Fault::Flap => {
            for _ in 0..world.random.within(3..8) {
                let is_cut = world.random.once_in(2);
                for it in &others {
                    if is_cut {
                        network.cut(one, *it);
                    }
                    network.hold(one, *it);
                }
                sleep(Duration::from_millis(world.random.within(50..900))).await;
                network.heal();
                sleep(Duration::from_millis(world.random.within(50..900))).await;
            }
        }
        Fault::Kill => {
            world.cluster.server(one).kill();
            sleep(time / 3).await;
            tokio::task::block_in_place(|| world.cluster.server(one).restart());
        }
        Fault::Pause => {
            world.cluster.server(one).pause();
            sleep(time).await;
            world.cluster.server(one).resume();
        }
        Fault::Majority if world.random.once_in(2) => {
            for it in [one, other] {
                world.cluster.server(it).pause();
            }
            sleep(time).await;
            for it in [other, one] {
                world.cluster.server(it).resume();
                sleep(Duration::from_millis(world.random.within(0..3_000))).await;
            }
        }
        Fault::Majority => {
            for (from, to) in [(0, 1), (0, 2), (1, 2)] {
                network.hold(from, to);
                network.hold(to, from);
            }
            sleep(time).await;
            network.heal();
        }
        Fault::StepDown => {
            for _ in 0..world.random.within(1..4) {
                world.ask("STREAM.LEADER.STEPDOWN", json!({})).await;
                sleep(Duration::from_millis(world.random.within(100..2_000))).await;
            }
        }
        Fault::Limit => limit(world).await,
        Fault::KillProgram => {
            for killed in &mut world.killed {
                sleep(Duration::from_millis(world.random.within(500..4_000))).await;
                tokio::task::block_in_place(|| killed.kill_and_restart());
            }
        }
        Fault::CrashMember => {
            for _ in 0..world.random.within(1..4) {
                world.readers.crash_one().await;
            }
        }
    }
}

/// The stream takes a few more messages, or bytes, and then none.
async fn limit(world: &World) {
    let Some(info) = world.ask("STREAM.INFO", json!({})).await else {
        return;
    };
    let before = info["config"].clone();
    let mut limited = before.clone();
    let room = world.random.within(0..40);
    let key = match world.random.once_in(2) {
        true => (
            "max_msgs",
            info["state"]["messages"].as_u64().unwrap_or(0) + room,
        ),
        false => (
            "max_bytes",
            info["state"]["bytes"].as_u64().unwrap_or(0) + room * 500,
        ),
    };
    limited[key.0] = json!(key.1);
    world.record.limit(true);
    let answer = world.ask("STREAM.UPDATE", limited).await;
    if answer.is_some_and(|answer| answer["error"].is_null()) {
        sleep(Duration::from_millis(world.random.within(1_500..4_000))).await;
    }
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = world.ask("STREAM.UPDATE", before.clone()).await;
        if answer.is_some_and(|answer| answer["error"].is_null()) {
            break;
        }
        if Instant::now() > end {
            world.record.wrong("the limit of the stream is not lifted");
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    world.record.limit(false);
}

/// The network of one program: slow, deaf, mute, lossy, cut.
async fn bad_weather(site: Arc<Site>, random: Random, began: Instant) {
    let time = Duration::from_millis(random.within(500..8_000));
    let mut weather = Weather::default();
    let kind = random.within(0..7);
    match kind {
        0 => weather.delay = Duration::from_millis(random.within(20..1_500)),
        1 => weather.holds_answers = true,
        2 => weather.holds_questions = true,
        3 => weather.lost_of_a_thousand = random.within(5..200),
        4 => weather.loses_acknowledgements = true,
        5 => weather.refuses = true,
        _ => {}
    }
    say(
        began,
        &format!("the network of a program for {time:?}: {weather:?}"),
    );
    if kind >= 5 {
        for _ in 0..random.within(1..6) {
            site.set(&weather);
            site.cut();
            sleep(time / 6).await;
            site.set(&Weather::default());
            sleep(Duration::from_millis(random.within(10..500))).await;
        }
        return;
    }
    // To all servers, or to one of them.
    match random.once_in(2) {
        true => site.set(&weather),
        false => random.one_of(&site.proxies).set(weather),
    }
    sleep(time).await;
    site.set(&Weather::default());
    if random.once_in(2) {
        site.cut();
    }
}
