//! A leaf node and its hub: two JetStream domains that one connection reaches.

use std::net::TcpListener;
use std::time::Duration;

use async_nats::Client;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    EventStoreConfig, EventSubscriberBuilder, FnEventHandler, JetStreamEventStore, JetStreamStores,
    NatsConfig, OpenError,
};
use cim_es::store::*;
use cim_es_tests::nats::{Layout, Server};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::jetstream::ask;
use crate::jetstream::sample::*;

/// A server with a domain, and what its configuration says beside.
fn server(domain: &str, more: &str) -> Server {
    let text = format!(
        "jetstream {{ store_dir: $SITE_DIRECTORY, domain: {domain}, max_file_store: 1GB, max_memory_store: 64MB }}\n\
         authorization {{ user: operator, password: operator-password }}\n{more}"
    );
    Server::start_with(&Layout::Login { text })
}

/// A hub and its leaf node, once the two have found each other.
async fn hub_and_leaf() -> (Server, Server) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let hub = server(
        "hub",
        &format!("leafnodes {{ host: 127.0.0.1, port: {port} }}"),
    );
    let remote = format!("nats://operator:operator-password@127.0.0.1:{port}");
    let leaf = server(
        "leaf",
        &format!("leafnodes {{ remotes: [ {{ url: \"{remote}\" }} ] }}"),
    );
    let client = config(&leaf).connect().await.unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let asked = || client.client().request("$JS.hub.API.INFO", "".into());
    while asked().await.is_err() {
        assert!(Instant::now() < end, "the leaf node has not found its hub");
        sleep(Duration::from_millis(50)).await;
    }
    (hub, leaf)
}

fn config(server: &Server) -> NatsConfig {
    NatsConfig::new([server.url()])
        .user_and_password("operator", "operator-password")
        .patience(Duration::from_secs(10))
        .event_store(EventStoreConfig::new("EVENTS", ["contract.>"]))
}

async fn note(stores: &JetStreamStores, number: u64) -> StoredEvent {
    let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes([number]));
    stores.append(request).await.unwrap().remove(0)
}

#[tokio::test]
async fn everything_works_in_the_domain_of_the_hub_over_a_leaf_node() {
    let (_hub, leaf) = hub_and_leaf().await;
    let stores = config(&leaf).domain("hub").open().await.unwrap();
    let stored = note(&stores, 1).await;
    let key = AggregateKey::new(
        "contract.sample",
        cim_es::subject::Token::new(&stored.envelope.aggregate_id).unwrap(),
    );
    assert_eq!(history(&stores, &key).await, std::slice::from_ref(&stored));

    let bytes: bytes::Bytes = vec![7; 300_000].into();
    let cid = stores.put_object(bytes.clone()).await.unwrap();
    assert_eq!(stores.get_object(&cid).await.unwrap(), Some(bytes.clone()));
    let child = stores.put_object("child".into()).await.unwrap();
    stores
        .objects
        .link_objects(&cid, &child, "has")
        .await
        .unwrap();
    let links = stores.objects.traverse(&cid, Some("has")).await.unwrap();
    assert_eq!(links[0].child, child);

    for state in [bytes::Bytes::from("small"), vec![9; 2_000_000].into()] {
        let snapshot = Snapshot {
            tag: state.len() as u64,
            version: 1,
            last_cid: stored.cid,
            position: stored.position,
            state,
        };
        stores.save_snapshot(&key, snapshot.clone()).await.unwrap();
        let kept = stores.get_latest_snapshot(&key, snapshot.tag).await;
        assert_eq!(kept.unwrap(), Some(snapshot));
    }
    stores
        .save_checkpoint("reader", stored.bookmark())
        .await
        .unwrap();
    let checkpoint = stores.get_checkpoint("reader").await.unwrap();
    assert_eq!(checkpoint, Some(stored.bookmark()));

    for way in ["durable", "group", "partitioned"] {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let builder = EventSubscriberBuilder::new()
            .client(stores.connection.clone())
            .store(&stores.events)
            .subject("contract.>")
            .handler(FnEventHandler::new(move |event: StoredEvent| {
                let _ = sender.send(event.cid);
                Ok(())
            }));
        let builder = match way {
            "durable" => builder.durable(way),
            "group" => builder.group(way),
            _ => builder.partitioned(way),
        };
        let subscription = builder.build().unwrap().subscribe().await.unwrap();
        let handled = tokio::time::timeout(Duration::from_secs(30), receiver.recv()).await;
        assert_eq!(handled.unwrap(), Some(stored.cid), "{way}");
        subscription.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_same_subjects_at_a_hub_and_at_its_leaf_node_are_refused() {
    let (hub, leaf) = hub_and_leaf().await;
    let at_hub = config(&hub).open().await.unwrap();
    note(&at_hub, 1).await;
    let refused = config(&leaf).open().await;
    let Err(OpenError::Store(StoreError::Incompatible { reason, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("stream EVENTS as well"), "{reason}");
    // The hub, which was there first, is told by its doctor.
    let findings = at_hub.events.doctor().await.unwrap();
    assert!(
        findings.iter().any(|it| it.about == "subjects"),
        "{findings:?}"
    );

    // With subjects of its own the leaf has a stream of its own.
    let stream = EventStoreConfig {
        stored_subjects: "leaf".parse().unwrap(),
        ..EventStoreConfig::new("LEAF", ["contract.>"])
    };
    let connection = config(&leaf).connect().await.unwrap();
    let own = cim_es::jetstream::JetStreamEventStore::open(connection, stream).await;
    own.unwrap();
}

/// How many messages a stream has.
async fn messages(client: &Client, stream: &str) -> u64 {
    let info = ask(client, &format!("STREAM.INFO.{stream}"), json!({})).await;
    info["state"]["messages"].as_u64().unwrap_or(0)
}

async fn wait_for_messages(client: &Client, stream: &str, count: u64) {
    let end = Instant::now() + Duration::from_secs(90);
    while messages(client, stream).await < count {
        assert!(Instant::now() < end, "{stream} has not got what it missed");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_leaf_node_works_while_its_hub_is_away_and_a_mirror_there_gets_what_it_missed() {
    let (mut hub, leaf) = hub_and_leaf().await;
    let stores = config(&leaf).open().await.unwrap();
    note(&stores, 1).await;
    let mirror = json!({
        "name": "COPY",
        "mirror": { "name": "EVENTS", "external": { "api": "$JS.leaf.API" } },
    });
    let at_hub = config(&hub).connect().await.unwrap();
    let made = ask(at_hub.client(), "STREAM.CREATE.COPY", mirror).await;
    assert!(made["error"].is_null(), "{made}");
    wait_for_messages(at_hub.client(), "COPY", 1).await;

    hub.kill();
    // One that goes on, and one that starts while it is away.
    let started = config(&leaf).open().await.unwrap();
    for number in 2..=20 {
        note(&stores, number).await;
        let key = key();
        let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes(0..3));
        started.append(request).await.unwrap();
        assert_eq!(history(&started, &key).await.len(), 3);
    }
    let events: Vec<_> = stores
        .read_all(Position::START)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(events.len(), 1 + 19 * 4);

    hub.restart();
    let at_hub = config(&hub).connect().await.unwrap();
    wait_for_messages(at_hub.client(), "COPY", events.len() as u64).await;
    let copy = at_hub.jetstream().get_stream("COPY").await.unwrap();
    for event in &events {
        let there = copy.get_raw_message(event.position.0).await.unwrap();
        assert_eq!(there.payload, event.body());
        let cid = there.headers.get("Cid").unwrap();
        assert_eq!(cid.as_str(), event.cid.to_string());
    }
}

#[tokio::test]
async fn a_hub_copies_the_commits_of_its_leaf_node_into_a_stream_of_its_own() {
    let (hub, leaf) = hub_and_leaf().await;
    let stores = config(&leaf).open().await.unwrap();
    let several = commit().aggregate(key(), ExpectedVersion::NoStream, notes(0..3));
    let several = several.aggregate(key(), ExpectedVersion::NoStream, notes(0..2));
    stores.append(several).await.unwrap();
    note(&stores, 7).await;

    let over_the_hub = config(&hub).domain("leaf").connect().await.unwrap();
    let at_leaf = JetStreamEventStore::open_existing(over_the_hub, "EVENTS")
        .await
        .unwrap();
    let stream = EventStoreConfig {
        stored_subjects: "hub".parse().unwrap(),
        public_prefix: Some("hub-public".to_owned()),
        ..EventStoreConfig::new("HUB", ["contract.>"])
    };
    let connection = config(&hub).connect().await.unwrap();
    let own = JetStreamEventStore::open(connection, stream).await.unwrap();
    let blocks = |events: Vec<StoredEvent>| {
        let blocks = events
            .into_iter()
            .map(|event| (event.cid, event.body().clone()));
        blocks.collect::<Vec<_>>()
    };
    // The second time there is nothing new.
    for _ in 0..2 {
        at_leaf.copy_whole_commits(&own).await.unwrap();
        let there: Vec<_> = stores
            .read_all(Position::START)
            .try_collect()
            .await
            .unwrap();
        let here: Vec<_> = own.read_all(Position::START).try_collect().await.unwrap();
        assert_eq!(blocks(here), blocks(there));
    }
}

#[tokio::test]
async fn a_server_without_jetstream_is_named_with_what_it_lacks() {
    let server = Server::start_with(&Layout::WithoutJetStream);
    let config = NatsConfig::new([server.url()]).patience(Duration::from_secs(5));
    let started = Instant::now();
    let refused = config.open().await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("-js") && said.contains(&server.address()),
        "{said}"
    );
    let connection = config.connect().await.unwrap();
    let stream = EventStoreConfig::default();
    let refused = cim_es::jetstream::JetStreamEventStore::open(connection, stream).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("-js"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(15));
}
