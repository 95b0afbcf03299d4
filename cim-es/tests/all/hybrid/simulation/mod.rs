//! A deterministic simulation of the protocol: nodes and a stream in memory, and a network that loses, doubles, delays and
//! reorders by the numbers of a seed. A seed that fails is printed; `CIM_ES_SEED` plays it again.

mod network;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use cim_es::block::{Cid, CommitVerifier, StoredEvent};
use cim_es::hybrid::{Divergence, DivergenceCause, Noticed, Way};
use cim_es::store::{AggregateKey, EventStore};

use world::{Setting, World, amount_of, amounts, everything};

/// What is wrong, in a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// What got no answer counts as stored.
    ALostAnswerIsAnAcknowledgement,
    /// What got no answer is written again as another commit.
    ARequestIsSentAgainUnderNewIds,
    /// A program that begins takes the queue for sent.
    ARestartSkipsTheQueue,
    /// A program that begins does not know what diverged.
    ItForgetsWhatDiverged,
    /// A program that begins takes what was parked for sent.
    WhatIsParkedCountsAsSent,
}

/// Numbers that look random and are the same in each run: xorshift.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self((seed ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }
}

async fn run(setting: Setting) {
    let mut world = World::new(setting).await;
    let steps = 20 + Numbers::new(setting.seed).below(40);
    for _ in 0..steps {
        world.step().await;
    }
    world.settle().await;
    check(&world).await;
}

/// Nothing is lost, nothing is there twice, all have the same, and what has not is told once.
async fn check(world: &World) {
    let stream = everything(&world.network.stream).await;
    let mut commits = CommitVerifier::new();
    for event in &stream {
        commits.accept(event).expect("the stream has whole commits");
    }
    commits.finish().expect("the last commit is whole");
    let there = amounts(&world.network.stream).await;
    for (amount, times) in &there {
        assert_eq!(*times, 1, "{amount} is in the stream {times} times");
    }
    let in_stream: HashSet<_> = stream.iter().map(|event| event.cid).collect();
    let (mut waiting, mut waiting_amounts) = (HashSet::new(), HashSet::new());
    for (number, node) in world.nodes.iter().enumerate() {
        let open: Vec<_> = node.protocol.recorded_divergences();
        let open: Vec<_> = open.iter().filter(|it| it.is_open()).collect();
        let is_discarded = |it: &Divergence| matches!(it.cause, DivergenceCause::Discarded { .. });
        let apart = open.iter().find(|it| !is_discarded(it));
        assert!(
            apart.is_none() || !world.setting.reapplies,
            "node {number} took nothing again of {apart:?}"
        );
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for notice in node.protocol.notices() {
            if let Noticed::Diverged { aggregate, .. } = notice.what {
                *told.entry(aggregate.to_string()).or_default() += 1;
            }
        }
        let mut held: HashSet<AggregateKey> = HashSet::new();
        for divergence in &open {
            let times = told.get(&divergence.aggregate.to_string());
            if !is_discarded(divergence) {
                assert_eq!(times, Some(&1), "{} was told", divergence.aggregate);
            }
            held.insert(divergence.aggregate.clone());
            held.extend(divergence.tied.iter().cloned());
        }
        let parked = node.protocol.parked();
        held.extend(parked.iter().flat_map(|it| it.aggregates.iter().cloned()));
        assert!(parked.iter().all(|it| it.way == Way::Up), "{parked:?}");
        assert!(parked.is_empty() || !world.setting.resends, "{parked:?}");
        let here = everything(&node.file).await;
        wait_with_them(&mut held, &here, &in_stream);
        let mut compared = HashSet::new();
        for event in here.iter().chain(&stream) {
            let key = AggregateKey::of_event(event);
            if held.contains(&key) {
                waiting.insert(event.cid);
                waiting_amounts.extend(amount_of(event));
                continue;
            }
            if !compared.insert(key.clone()) {
                continue;
            }
            let (ours, theirs) = (
                node.file.last(&key).await.unwrap(),
                world.network.stream.last(&key).await.unwrap(),
            );
            let cid = |last: Option<cim_es::block::StoredEvent>| last.map(|last| last.cid);
            assert_eq!(
                cid(ours),
                cid(theirs),
                "node {number} and the stream: {key}"
            );
        }
        if held.is_empty() {
            let queue = node.protocol.queue_size().await.unwrap();
            assert_eq!(queue, 0, "node {number} has something left");
        }
    }
    for written in world.written.iter().filter(|it| !it.is_excused) {
        let is_there = match world.setting.reapplies {
            true => {
                let amount = written.amount;
                there.contains_key(&amount)
                    || waiting_amounts.contains(&amount)
                    || has_no_edge(world, written.event.cid)
            }
            false => in_stream.contains(&written.event.cid) || waiting.contains(&written.event.cid),
        };
        assert!(is_there, "{} is lost", written.amount);
    }
}

/// Whether it is told of an event that its machine has no edge for it: a program on an older copy of its file opens an account
/// once more; what shares a commit with that is left out, too, and so is what follows it on an account that is not there.
fn has_no_edge(world: &World, event: Cid) -> bool {
    let nodes = world.nodes.iter().filter(|_| world.setting.restores);
    let divergences = nodes.flat_map(|node| node.protocol.recorded_divergences());
    let resolved = divergences.filter_map(|it| it.resolved);
    let mut left_out = resolved.flat_map(|it| it.left_out);
    left_out.any(|it| it.cid == event && it.reason.contains("has no edge"))
}

/// What follows on an aggregate that waits, and has not reached the stream, waits too; then all of its aggregates do.
fn wait_with_them(
    held: &mut HashSet<AggregateKey>,
    here: &[StoredEvent],
    in_stream: &HashSet<Cid>,
) {
    let mut commit: Vec<AggregateKey> = Vec::new();
    for event in here {
        commit.push(AggregateKey::of_event(event));
        if event.envelope.commit.is_last_of_whole() {
            let commit = std::mem::take(&mut commit);
            let waits = commit.iter().any(|key| held.contains(key));
            if waits && !in_stream.contains(&event.cid) {
                held.extend(commit);
            }
        }
    }
}

fn setting(seed: u64, fault: Fault) -> Setting {
    Setting {
        seed,
        fault,
        reapplies: seed.is_multiple_of(2),
        restores: seed.is_multiple_of(5),
        resends: seed.is_multiple_of(3),
    }
}

/// Whether a run fails.
fn fails(setting: Setting) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(setting)))).is_err()
}

#[test]
fn many_nodes_lose_nothing_and_double_nothing_whatever_the_network_does() {
    let given = std::env::var("CIM_ES_SEED").ok();
    if let Some(seed) = given.and_then(|seed| seed.parse().ok()) {
        assert!(!fails(setting(seed, Fault::None)), "seed {seed} fails");
        return;
    }
    let is_long = std::env::var_os("CIM_ES_LONG").is_some_and(|value| value != "0");
    let runs = if is_long { 100_000 } else { 10_000 };
    let next = AtomicU64::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= runs {
                        return;
                    }
                    if fails(setting(seed, Fault::None)) {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "of {runs} runs these failed: {failed:?}; CIM_ES_SEED={} plays one again",
        failed[0]
    );
}

#[test]
fn a_planted_fault_is_found() {
    let faults = [
        Fault::ALostAnswerIsAnAcknowledgement,
        Fault::ARequestIsSentAgainUnderNewIds,
        Fault::ARestartSkipsTheQueue,
        Fault::ItForgetsWhatDiverged,
        Fault::WhatIsParkedCountsAsSent,
    ];
    for fault in faults {
        // The messages of what fails here say nothing of interest.
        let found = (0..500).find(|seed| fails(setting(*seed, fault)));
        assert!(found.is_some(), "{fault:?} was not found");
    }
}
