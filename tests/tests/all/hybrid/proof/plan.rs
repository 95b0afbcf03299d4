//! What each node does while it is offline, and what has to come of it: drawn from a seed, and told without the protocol.

use std::collections::{HashMap, HashSet};

use crate::jetstream::random::Random;

/// How many nodes there are.
pub const NODES: usize = 3;
/// The aggregates that every node writes to.
const CONTESTED: u64 = 6;
/// Those that all know, and one node alone writes to.
const LENT: u64 = 4;
/// Those of one node.
const OWN: u64 = 12;
/// Those of one node that have commits with a contested one.
const TIED: u64 = 3;

/// A commit: an event for each of some aggregates.
pub type Commit = Vec<String>;

/// The aggregates that all nodes have before they part.
pub fn common() -> Vec<Commit> {
    let contested = (0..CONTESTED).map(|number| vec![format!("contested-{number}")]);
    let lent = (0..NODES).flat_map(|node| (0..LENT).map(move |number| vec![lent(node, number)]));
    contested.chain(lent).collect()
}

fn lent(node: usize, number: u64) -> String {
    format!("lent-{node}-{number}")
}

/// What a node does while it is offline.
pub fn commits(random: &Random, node: usize, count: usize) -> Vec<Commit> {
    (0..count).map(|_| commit(random, node)).collect()
}

fn commit(random: &Random, node: usize) -> Commit {
    let own = || format!("own-{node}-{}", random.within(0..OWN));
    let contested = || format!("contested-{}", random.within(0..CONTESTED));
    let ids = match random.within(0..20) {
        0..10 => vec![own()],
        10..13 => vec![own(), own()],
        13..16 => vec![lent(node, random.within(0..LENT))],
        16..18 => vec![contested()],
        18 => vec![
            contested(),
            format!("tied-{node}-{}", random.within(0..TIED)),
        ],
        _ => vec![format!("tied-{node}-{}", random.within(0..TIED))],
    };
    let mut commit = Commit::new();
    for id in ids {
        if !commit.contains(&id) {
            commit.push(id);
        }
    }
    commit
}

/// What becomes of the commits of nodes that join one after the other.
#[derive(Default)]
pub struct Expected {
    /// Which node brought an aggregate on.
    brought: HashMap<String, usize>,
}

impl Expected {
    /// A node joins: the aggregates that others have brought on meanwhile, and those that wait with them.
    pub fn join(&mut self, node: usize, commits: &[Commit]) -> Waiting {
        let mut waiting = Waiting::default();
        for commit in commits {
            let is_brought_on =
                |id: &&String| self.brought.get(*id).is_some_and(|who| *who != node);
            let apart: Vec<_> = commit.iter().filter(is_brought_on).cloned().collect();
            waiting.diverged.extend(apart.iter().cloned());
            if !apart.is_empty() || commit.iter().any(|id| waiting.all.contains(id)) {
                waiting.all.extend(commit.iter().cloned());
                continue;
            }
            for id in commit {
                self.brought.insert(id.clone(), node);
            }
        }
        waiting
    }
}

/// What waits at a node once it has joined.
#[derive(Default)]
pub struct Waiting {
    /// The aggregates that went on on both sides.
    pub diverged: HashSet<String>,
    /// These, and those that are tied to them by a commit of this node.
    pub all: HashSet<String>,
}
