//! A file that is kept level with a stream: what the protocol does step by step, and what the store over it promises.

#[cfg(feature = "testing")]
mod contract;
mod divergences;
mod level;
mod names;
mod network;
mod once;
mod parking;
mod reapplied;
mod restored;
mod simulation;
mod task;

use std::sync::Arc;

use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::hybrid::{HybridOptions, Protocol, RemoteStore};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, ExpectedVersion, NewEvent, Selection,
    TryStreamExt,
};
use cim_es::subject::Token;

/// A node: what it keeps, and the protocol over it.
pub struct Node {
    pub kept: MemoryEventStore,
    pub protocol: Protocol,
}

impl Node {
    pub async fn new() -> Self {
        Self::on(MemoryEventStore::new()).await
    }

    /// A node that begins with what is kept.
    pub async fn on(kept: MemoryEventStore) -> Self {
        Self::with(kept, HybridOptions::new()).await
    }

    pub async fn with(kept: MemoryEventStore, options: HybridOptions) -> Self {
        let protocol = Protocol::open(Arc::new(kept.clone()), options).await;
        Self {
            kept,
            protocol: protocol.expect("what is kept can be read"),
        }
    }

    pub async fn write(&self, id: &str, actor: &str) -> StoredEvent {
        self.write_several(&[id], actor).await.remove(0)
    }

    pub async fn write_several(&self, ids: &[&str], actor: &str) -> Vec<StoredEvent> {
        let written = self.protocol.append(commit(ids, actor)).await;
        written.expect("it is written")
    }

    pub async fn queue(&self) -> u64 {
        self.protocol.queue_size().await.expect("it is counted")
    }
}

/// A commit of one event for each of some aggregates.
pub fn commit(ids: &[&str], actor: &str) -> CommitRequest {
    let identity = MessageIdentity::new_from_user(actor);
    let empty = CommitRequest::new(identity, Timestamp::from_micros(1));
    ids.iter().fold(empty, |commit, id| {
        let event = NewEvent::from_payload("test.note.written", 1, vec![0xa0]);
        commit.aggregate(key(id), ExpectedVersion::Any, vec![event])
    })
}

/// A commit of one event for an aggregate of any kind.
pub fn commit_on(aggregate: &AggregateKey) -> CommitRequest {
    let event = NewEvent::from_payload("test.note.written", 1, vec![0xa0]);
    let identity = MessageIdentity::new_from_user("ann");
    CommitRequest::new(identity, Timestamp::from_micros(1)).aggregate(
        aggregate.clone(),
        ExpectedVersion::Any,
        vec![event],
    )
}

pub fn key(id: &str) -> AggregateKey {
    AggregateKey::new("test.note", Token::new(id).expect("it is a token"))
}

pub fn stream(store: &MemoryEventStore) -> Arc<dyn RemoteStore> {
    Arc::new(store.clone())
}

/// The CIDs of what a store has, in its order.
pub async fn cids(store: &dyn EventStore) -> Vec<String> {
    let events = store.read(Selection::everything(), Bookmark::START);
    let events: Vec<_> = events.try_collect().await.expect("it reads");
    events.iter().map(|event| event.cid.to_string()).collect()
}

/// The same in an order that is no store's.
pub async fn sorted(store: &dyn EventStore) -> Vec<String> {
    let mut cids = cids(store).await;
    cids.sort_unstable();
    cids
}
