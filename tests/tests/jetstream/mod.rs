//! What the tests of the distributed engine share: a store with all ports, and streams of their own on shared servers.
#![allow(dead_code, reason = "each test crate takes what it needs")]

pub mod checker;
pub mod proxy;
pub mod sample;

use std::sync::Arc;

use async_nats::Client;
use async_trait::async_trait;
use bytes::Bytes;
use cim_es::block::{Cid, StoredEvent};
use cim_es::jetstream::{
    EventStoreConfig, JetStreamCheckpointStore, JetStreamEventStore, JetStreamObjectStore,
    JetStreamOptions, JetStreamSnapshotStore,
};
use cim_es::store::*;

/// Every port on JetStream.
#[derive(Clone)]
pub struct Store {
    events: JetStreamEventStore,
    snapshots: JetStreamSnapshotStore,
    objects: JetStreamObjectStore,
    checkpoints: JetStreamCheckpointStore,
}

impl Store {
    /// A stream by itself, and the buckets that all tests of a program share: their keys differ.
    pub async fn open(client: Client, options: &JetStreamOptions, replicas: usize) -> Self {
        let snapshots = JetStreamSnapshotStore::open(client.clone(), "snapshots", replicas);
        let snapshots = snapshots.await.unwrap();
        let objects = JetStreamObjectStore::open(client.clone(), "objects", replicas);
        let checkpoints = JetStreamCheckpointStore::open(client.clone(), "checkpoints", replicas);
        let events = open(client.clone(), options).await;
        Self {
            events: events.with_snapshots(Arc::new(snapshots.clone())),
            snapshots,
            objects: objects.await.unwrap(),
            checkpoints: checkpoints.await.unwrap(),
        }
    }
}

/// Options for a stream of its own: its name and its stored subjects are nobody else's.
pub fn options(replicas: usize) -> JetStreamOptions {
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let stream = EventStoreConfig::new(&name, ["contract.>"]).replicas(replicas);
    JetStreamOptions::new(stream).stored_subjects(name.parse().unwrap())
}

/// Asks the JetStream API as an operator would.
pub async fn ask(client: &Client, subject: &str, body: serde_json::Value) -> serde_json::Value {
    let subject = format!("$JS.API.{subject}");
    let answer = client.request(subject, body.to_string().into()).await;
    serde_json::from_slice(&answer.unwrap().payload).unwrap()
}

/// How many consumers a stream has.
pub async fn consumers(client: &Client, stream: &str) -> u64 {
    let info = ask(
        client,
        &format!("STREAM.INFO.{stream}"),
        serde_json::json!({}),
    )
    .await;
    info["state"]["consumer_count"].as_u64().unwrap()
}

pub async fn open(client: Client, options: &JetStreamOptions) -> JetStreamEventStore {
    let store = JetStreamEventStore::open(client, options.clone()).await;
    store.unwrap_or_else(|error| panic!("{error}"))
}

#[async_trait]
impl EventStore for Store {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.events.append(commit).await
    }

    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.events.get_events(aggregate, from_version).await
    }

    async fn get_events_from(
        &self,
        aggregate: &AggregateKey,
        known: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.events.get_events_from(aggregate, known).await
    }

    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.events
            .get_events_by_type(event_type, after, limit)
            .await
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.events.last(aggregate).await
    }

    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.events.get_by_cid(cid).await
    }

    fn read_all(&self, after: Position) -> EventStream {
        self.events.read_all(after)
    }

    fn subscribe(&self, after: Position) -> EventStream {
        self.events.subscribe(after)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        self.events.snapshots()
    }
}

#[async_trait]
impl SnapshotStore for Store {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(aggregate, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.snapshots.get_latest_snapshot(aggregate, tag).await
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        self.objects.put_object(bytes).await
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.objects.get_object(cid).await
    }
}

#[async_trait]
impl CheckpointStore for Store {
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError> {
        self.checkpoints.save_checkpoint(reader, position).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError> {
        self.checkpoints.get_checkpoint(reader).await
    }
}
