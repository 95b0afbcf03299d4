//! Some nodes and one stream, and what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cim_es::block::StoredEvent;
use cim_es::hybrid::{HybridOptions, OnDivergence, Protocol, RemoteStore};
use cim_es::prelude::*;
use cim_es::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, ExpectedVersion, NewEvent, SealedCommit,
    Selection, StateChange, SyncState, TryStreamExt,
};

use super::network::Network;
use super::{Fault, Numbers};
use crate::account::{Account, AccountEvent};

/// The aggregates that all nodes write to, and those of each node.
const SHARED: u64 = 2;
const OWN: u64 = 2;

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub fault: Fault,
    /// Whether what diverged is taken again; else it waits.
    pub reapplies: bool,
    /// Whether nodes are restored from older copies.
    pub restores: bool,
    /// Whether the stream takes in the end what it has refused, and a person has it sent again.
    pub resends: bool,
}

pub struct Node {
    pub file: MemoryEventStore,
    pub protocol: Protocol,
    copy: Option<MemoryEventStore>,
    own: Vec<Id<Account>>,
}

/// What was acknowledged by a file: an event of its own, told by its amount.
#[derive(Clone)]
pub struct Written {
    pub event: StoredEvent,
    pub amount: u64,
    /// A file that had it was replaced by an older copy before it reached the stream.
    pub is_excused: bool,
}

pub struct World {
    pub setting: Setting,
    pub network: Network,
    pub remote: Arc<dyn RemoteStore>,
    pub nodes: Vec<Node>,
    pub written: Vec<Written>,
    shared: Vec<Id<Account>>,
    numbers: Numbers,
}

impl World {
    pub async fn new(setting: Setting) -> Self {
        let mut numbers = Numbers::new(setting.seed);
        let stream = MemoryEventStore::new();
        let shared: Vec<_> = (0..SHARED).map(|_| Id::new()).collect();
        for id in &shared {
            let opened = NewEvent::of(&AccountEvent::Opened).unwrap();
            let key = AggregateKey::of::<Account>(id).unwrap();
            let commit = request().aggregate(key, ExpectedVersion::NoStream, vec![opened]);
            stream.append(commit).await.unwrap();
        }
        let network = Network::new(stream, setting.fault, numbers.next());
        let remote: Arc<dyn RemoteStore> = Arc::new(network.clone());
        let mut nodes = Vec::new();
        for _ in 0..2 + numbers.below(2) {
            let file = MemoryEventStore::new();
            nodes.push(Node {
                protocol: opened(&file, setting).await,
                file,
                copy: None,
                own: (0..OWN).map(|_| Id::new()).collect(),
            });
        }
        Self {
            setting,
            network,
            remote,
            nodes,
            written: Vec::new(),
            shared,
            numbers,
        }
    }

    /// Something happens.
    pub async fn step(&mut self) {
        let at = self.numbers.below(self.nodes.len() as u64) as usize;
        let restores = self.setting.restores;
        match self.numbers.below(40) {
            0..12 => self.write(at).await,
            12..23 => drop(self.nodes[at].protocol.up(&self.remote).await),
            23..32 => drop(self.nodes[at].protocol.down(&self.remote).await),
            32..34 => drop(self.nodes[at].protocol.save().await),
            34 => drop(self.nodes[at].protocol.greet(&self.remote).await),
            35 => drop(self.nodes[at].protocol.mark(&self.remote).await),
            36 => match self.numbers.below(2) {
                0 => self.network.deliver().await,
                _ => self.decide(at).await,
            },
            37 => self.restart(at).await,
            38 if restores => self.nodes[at].copy = Some(copied(&self.nodes[at].file).await),
            39 if restores => self.restore(at).await,
            _ => {}
        }
    }

    async fn write(&mut self, at: usize) {
        let node = &self.nodes[at];
        let mut commit = request();
        let parts = if self.numbers.below(5) == 0 { 2 } else { 1 };
        let mut ids = Vec::new();
        for _ in 0..parts {
            let id = match self.numbers.below(4) {
                0 => self.shared[self.numbers.below(SHARED) as usize],
                _ => node.own[self.numbers.below(OWN) as usize],
            };
            if ids.contains(&id) {
                continue;
            }
            ids.push(id);
            let key = AggregateKey::of::<Account>(&id).unwrap();
            let is_new = node.file.last(&key).await.unwrap().is_none();
            let amount = self.written.len() as u64 * 8 + ids.len() as u64;
            let mut events = vec![NewEvent::of(&AccountEvent::Deposited { amount }).unwrap()];
            if is_new && node.own.contains(&id) {
                events.insert(0, NewEvent::of(&AccountEvent::Opened).unwrap());
            }
            commit = commit.aggregate(key, ExpectedVersion::Any, events);
        }
        // One that waits takes no command.
        let Ok(events) = node.protocol.append(commit).await else {
            return;
        };
        for event in events {
            if let Some(amount) = amount_of(&event) {
                self.written.push(Written {
                    event,
                    amount,
                    is_excused: false,
                });
            }
        }
    }

    /// A person has something sent again that was parked, or discards it.
    async fn decide(&mut self, at: usize) {
        let protocol = &self.nodes[at].protocol;
        let Some(parked) = protocol.parked().pop() else {
            return;
        };
        let decided = match self.numbers.below(2) {
            0 => protocol.resend(parked.way, parked.position).await,
            _ => protocol.discard(parked.position, "a test").await,
        };
        decided.unwrap();
    }

    /// Another program goes on with what the file has.
    async fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let faults: &[&str] = match self.setting.fault {
            Fault::ItForgetsWhatDiverged => &["divergence/", "block/"],
            Fault::WhatIsParkedCountsAsSent => &["parked/", "block/"],
            _ => &[],
        };
        for prefix in faults {
            let known = node.file.list_state(prefix).await.unwrap().into_iter();
            let forgotten = known.map(|(name, _)| StateChange::remove(name));
            node.file.change_state(forgotten.collect()).await.unwrap();
        }
        let is_parked = !node.protocol.parked().is_empty();
        let skips = match self.setting.fault {
            Fault::ARestartSkipsTheQueue => true,
            Fault::WhatIsParkedCountsAsSent => is_parked,
            _ => false,
        };
        if skips {
            let last = node.file.last_position().await.unwrap();
            let all = (last.0, Vec::<(u64, u64)>::new());
            let all = serde_ipld_dagcbor::to_vec(&all).unwrap();
            let skipped = vec![StateChange::put("up", all)];
            node.file.change_state(skipped).await.unwrap();
        }
        node.protocol = opened(&node.file, self.setting).await;
    }

    /// The file is replaced by an older copy.
    async fn restore(&mut self, at: usize) {
        let Some(copy) = self.nodes[at].copy.take() else {
            return;
        };
        let (lost, kept) = (amounts(&self.nodes[at].file).await, amounts(&copy).await);
        let arrived = amounts(&self.network.stream).await;
        for written in &mut self.written {
            let is_safe =
                kept.contains_key(&written.amount) || arrived.contains_key(&written.amount);
            written.is_excused |= lost.contains_key(&written.amount) && !is_safe;
        }
        self.nodes[at].file = copy;
        self.nodes[at].protocol = opened(&self.nodes[at].file, self.setting).await;
    }

    /// The network holds, and everything arrives, until nothing changes any more.
    pub async fn settle(&mut self) {
        while !self.network.is_empty() {
            self.network.deliver().await;
        }
        self.network.calm_down();
        self.level().await;
        if self.setting.resends {
            self.network.take_all();
            for node in &self.nodes {
                for parked in node.protocol.parked() {
                    let resent = node.protocol.resend(parked.way, parked.position).await;
                    resent.unwrap();
                }
            }
            self.level().await;
        }
    }

    async fn level(&self) {
        let mut before = None;
        for _ in 0..50 {
            let mut now = vec![self.network.stream.last_position().await.unwrap().0];
            for node in &self.nodes {
                node.protocol.greet(&self.remote).await.unwrap();
                node.protocol.level(&self.remote).await.unwrap();
                now.push(node.file.last_position().await.unwrap().0);
                now.push(node.protocol.queue_size().await.unwrap());
                now.push(node.protocol.notices().len() as u64);
            }
            if before.as_ref() == Some(&now) {
                return;
            }
            before = Some(now);
        }
        panic!("something goes on for ever: {before:?}");
    }
}

fn request() -> CommitRequest {
    CommitRequest::new(
        MessageIdentity::new_from_user("node"),
        Timestamp::from_micros(1),
    )
}

async fn opened(file: &MemoryEventStore, setting: Setting) -> Protocol {
    let options = HybridOptions::new().list_events(3).max_retries(1);
    let options = match setting.reapplies {
        true => options.on_divergence(OnDivergence::<Account>::reapply(|_, _, _| true)),
        false => options,
    };
    let file = Arc::new(file.clone());
    Protocol::open(file, options).await.unwrap()
}

pub fn amount_of(event: &StoredEvent) -> Option<u64> {
    match event.decode::<AccountEvent>() {
        Ok(AccountEvent::Deposited { amount }) => Some(amount),
        _ => None,
    }
}

pub async fn everything(store: &MemoryEventStore) -> Vec<StoredEvent> {
    let events = store.read(Selection::everything(), Bookmark::START);
    events.try_collect().await.unwrap()
}

/// How many times each amount is there.
pub async fn amounts(store: &MemoryEventStore) -> BTreeMap<u64, usize> {
    let mut amounts = BTreeMap::new();
    for amount in everything(store).await.iter().filter_map(amount_of) {
        *amounts.entry(amount).or_default() += 1;
    }
    amounts
}

/// A copy of what a node keeps, as it is now.
async fn copied(file: &MemoryEventStore) -> MemoryEventStore {
    let copy = MemoryEventStore::new();
    let commits = SealedCommit::split(&everything(file).await).unwrap();
    copy.append_sealed(commits).await.unwrap();
    let state = file.list_state("").await.unwrap().into_iter();
    let state = state.map(|(name, value)| StateChange::put(name, value));
    copy.change_state(state.collect()).await.unwrap();
    copy
}
