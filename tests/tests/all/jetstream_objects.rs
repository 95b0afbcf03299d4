//! Objects whose writers end in the middle: what they leave is removed, and never what another is
//! putting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use cim_es::jetstream::JetStreamObjectStore;
use cim_es::store::ObjectStore;
use cim_es_tests::nats::{Server, User};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::jetstream::ask;
use crate::jetstream::tap::{Tap, as_is, published};

async fn messages(client: &Client, bucket: &str) -> u64 {
    let info = ask(client, &format!("STREAM.INFO.OBJ_{bucket}"), json!({})).await;
    info["state"]["messages"].as_u64().unwrap()
}

fn unique() -> String {
    format!("o{}", uuid::Uuid::now_v7().simple())
}

fn bytes(seed: u8, length: usize) -> bytes::Bytes {
    let bytes = (0..length).map(|at| seed.wrapping_add((at % 251) as u8));
    bytes.collect::<Vec<_>>().into()
}

/// A store whose chunks no longer arrive after so many.
async fn ending_after(chunks: u64, bucket: &str) -> JetStreamObjectStore {
    let sent = Arc::new(AtomicU64::new(0));
    let prefix = format!("$O.{bucket}.C.");
    let change = move |operation: Vec<u8>| {
        let is_chunk = published(&operation).starts_with(&prefix);
        let is_lost = is_chunk && sent.fetch_add(1, Ordering::SeqCst) >= chunks;
        (!is_lost).then_some(operation)
    };
    let tap = Tap::on(Server::shared().address(), Arc::new(change), as_is()).await;
    let client = User::Operator.options().connect(tap.url()).await.unwrap();
    JetStreamObjectStore::open(client, bucket, 1).await.unwrap()
}

async fn wait_for(client: &Client, bucket: &str, count: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    while messages(client, bucket).await != count {
        let found = messages(client, bucket).await;
        assert!(Instant::now() < end, "{found} messages, not {count}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_put_that_is_given_up_leaves_nothing() {
    let (client, bucket) = (Server::shared().connect(User::Operator).await, unique());
    let ending = ending_after(3, &bucket).await;
    let putting = tokio::spawn(async move { ending.put_object(bytes(1, 1_000_000)).await });
    wait_for(&client, &bucket, 3).await;
    putting.abort();
    wait_for(&client, &bucket, 0).await;
}

#[tokio::test]
async fn what_a_crashed_writer_left_is_collected_and_whole_objects_stay() {
    let (client, bucket) = (Server::shared().connect(User::Operator).await, unique());
    let store = JetStreamObjectStore::open(client.clone(), &bucket, 1).await;
    let store = store.unwrap();
    let whole = store.put_object(bytes(1, 300_000)).await.unwrap();
    let before = messages(&client, &bucket).await;
    let ending = ending_after(3, &bucket).await;
    let mut putting = Box::pin(ending.put_object(bytes(2, 1_000_000)));
    let _ = tokio::time::timeout(Duration::from_secs(2), &mut putting).await;
    // As a crash does: nothing is cleaned up.
    std::mem::forget(putting);
    wait_for(&client, &bucket, before + 3).await;
    let much = Duration::from_secs(3_600);
    assert_eq!(store.collect_abandoned_chunks(much).await.unwrap(), 0);
    assert_eq!(messages(&client, &bucket).await, before + 3);
    let collected = store.collect_abandoned_chunks(Duration::ZERO).await;
    assert_eq!(collected.unwrap(), 1);
    assert_eq!(messages(&client, &bucket).await, before);
    assert!(store.get_object(&whole).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collecting_all_the_while_harms_no_object_that_is_being_put() {
    let (client, bucket) = (Server::shared().connect(User::Operator).await, unique());
    let store = JetStreamObjectStore::open(client.clone(), &bucket, 1).await;
    let store = store.unwrap();
    let collecting = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                let collected = store.collect_abandoned_chunks(Duration::ZERO).await;
                collected.unwrap();
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    for round in 0..4_u8 {
        let mut putting = tokio::task::JoinSet::new();
        for seed in 0..8_u8 {
            let store = store.clone();
            // Two programs put each object at the same time.
            let bytes = bytes(round * 8 + seed / 2, 400_000);
            putting.spawn(async move { (store.put_object(bytes.clone()).await.unwrap(), bytes) });
        }
        for (cid, bytes) in putting.join_all().await {
            assert_eq!(store.get_object(&cid).await.unwrap().unwrap(), bytes);
        }
    }
    collecting.abort();
}
