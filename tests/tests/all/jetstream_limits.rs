//! What is bounded: how far a history is read ahead, how long another history is waited for, how
//! many consumers there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cim_es::jetstream::{EventSubscriberBuilder, FnEventHandler};
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use crate::jetstream::sample::*;
use crate::jetstream::tap::{Tap, as_is};
use crate::jetstream::{ask, consumers, open, options};

#[tokio::test]
async fn a_long_history_is_read_no_further_ahead_than_it_is_asked_for() {
    const EVENTS: u64 = 2_000;
    const SIZE: usize = 20_000;
    let client = Server::shared().connect(User::Operator).await;
    let options = options(1);
    let store = open(client.clone(), &options).await;
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let count = move |operation: Vec<u8>| {
        counted.fetch_add(operation.len(), Ordering::SeqCst);
        Some(operation)
    };
    let tap = Tap::on(Server::shared().address(), as_is(), Arc::new(count)).await;
    let through = User::Operator.options().connect(tap.url()).await.unwrap();
    let reading = open(through, &options).await;
    // Of a declared kind, which is read by its subjects first, and of one that is read by its
    // pattern.
    for key in [tally(), key()] {
        for start in (0..EVENTS).step_by(100) {
            let events = (start..start + 100).map(|number| {
                let filler = "x".repeat(SIZE);
                let payload = std::collections::BTreeMap::from([("filler", filler)]);
                let payload = serde_ipld_dagcbor::to_vec(&payload).unwrap();
                assert!(number < EVENTS);
                NewEvent::from_payload("contract.tally.counted", 1, payload)
            });
            let request = commit().aggregate(key.clone(), ExpectedVersion::Any, events.collect());
            store.append(request).await.unwrap();
        }
        read.store(0, Ordering::SeqCst);
        let mut history = reading.history(&key, Versions::ALL);
        for expected in 1..=300 {
            let event = history.next().await.unwrap().unwrap();
            assert_eq!(event.envelope.sequence, expected);
        }
        let bytes = read.load(Ordering::SeqCst);
        assert!(
            bytes < EVENTS as usize * SIZE / 2,
            "{bytes} bytes were read"
        );
        // One that is read on is whole, and one that ends early leaves no consumer.
        let mut last = 300;
        while let Some(event) = history.next().await {
            last += 1;
            assert_eq!(event.unwrap().envelope.sequence, last);
        }
        assert_eq!(last, EVENTS);
        let some = reading.get_versions(&key, Versions::from(290..=400)).await;
        let some = some.unwrap();
        let versions = some.iter().map(|event| event.envelope.sequence);
        assert!(versions.eq(290..=400));
    }
    let end = Instant::now() + Duration::from_secs(10);
    while consumers(&client, store.stream_name()).await > 0 {
        assert!(Instant::now() < end, "a consumer is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn another_history_is_told_within_the_patience_of_the_store() {
    let cluster = Cluster::shared();
    let options = options(3).patience(Duration::from_secs(2));
    let store = open(cluster.connect(User::Operator).await, &options).await;
    let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes([1]));
    store.append(request).await.unwrap();
    let beyond = Bookmark::from(Position(1_000));
    let started = Instant::now();
    for mut events in [
        store.read(Selection::everything(), beyond),
        store.follow(Selection::everything(), beyond),
    ] {
        let told = events.next().await.unwrap();
        assert!(
            matches!(told, Err(StoreError::AnotherHistory(_))),
            "{told:?}"
        );
    }
    // Far less than the time after which a leader is known not to be deposed.
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_subscription_past_the_limit_of_consumers_ends_with_what_the_server_says() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client.clone(), &options(1)).await;
    let name = store.stream_name().to_owned();
    let info = ask(&client, &format!("STREAM.INFO.{name}"), json!({})).await;
    ask(&client, &format!("STREAM.DELETE.{name}"), json!({})).await;
    let mut config = info["config"].clone();
    config["max_consumers"] = json!(10);
    let made = ask(&client, &format!("STREAM.CREATE.{name}"), config).await;
    assert!(made["error"].is_null(), "{made}");
    let subscriber = EventSubscriberBuilder::new()
        .client(client)
        .store(&store)
        .subject("contract.>")
        .partitioned(&name)
        .handler(FnEventHandler::new(|_: cim_es::block::StoredEvent| Ok(())));
    let subscription = subscriber.build().unwrap().subscribe().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), subscription).await;
    let ended = ended.expect("it ends").unwrap_err();
    let said = cim_es::ErrorChain(&ended).to_string();
    assert!(said.contains("10026"), "{said}");
}
