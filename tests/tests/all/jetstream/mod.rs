//! What the tests of the distributed engine share: a store with all ports, and streams of their own on shared servers.

pub mod proxy;
pub mod random;
pub mod sample;
pub mod tap;

use std::sync::Arc;

use async_nats::Client;
use cim_es::jetstream::{
    Connection, EventStoreConfig, JetStreamCheckpointStore, JetStreamEventStore,
    JetStreamObjectStore, JetStreamOptions, JetStreamSnapshotStore, JetStreamStores,
};

/// Every port: a stream by itself, and the buckets that all tests of a program share, whose keys differ.
pub async fn open_all(
    client: Client,
    options: &JetStreamOptions,
    replicas: usize,
) -> JetStreamStores {
    let connection = Connection::from(client);
    let snapshots = JetStreamSnapshotStore::open(connection.clone(), "snapshots", replicas);
    let snapshots = snapshots.await.unwrap();
    let objects = JetStreamObjectStore::open(connection.clone(), "objects", replicas);
    let checkpoints = JetStreamCheckpointStore::open(connection.clone(), "checkpoints", replicas);
    let events = JetStreamEventStore::open(connection.clone(), options.clone()).await;
    JetStreamStores {
        events: events
            .unwrap_or_else(|error| panic!("{error}"))
            .with_snapshots(Arc::new(snapshots.clone())),
        snapshots,
        objects: objects.await.unwrap(),
        checkpoints: checkpoints.await.unwrap(),
        connection,
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

/// A store on a stream of its own, from which an operator may delete messages.
pub async fn open_to_deletes(client: &Client) -> JetStreamEventStore {
    let none = serde_json::json!({});
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let config = EventStoreConfig::new(&name, ["contract.>"]).accept_losing_events();
    let options = JetStreamOptions::new(config).stored_subjects(name.parse().unwrap());
    open(client.clone(), &options).await;
    let info = ask(client, &format!("STREAM.INFO.{name}"), none.clone()).await;
    ask(client, &format!("STREAM.DELETE.{name}"), none.clone()).await;
    let mut config = info["config"].clone();
    config["deny_delete"] = serde_json::json!(false);
    // A server that is busy may still be at the deletion.
    let mut tries = 0;
    let answer = loop {
        let answer = ask(client, &format!("STREAM.CREATE.{name}"), config.clone()).await;
        tries += 1;
        if answer["error"].is_null() || tries > 100 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(answer["error"].is_null(), "{answer}");
    open(client.clone(), &options).await
}
