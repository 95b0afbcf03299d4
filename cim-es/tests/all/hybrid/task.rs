//! The task beside the file: it connects when there is a way, and keeps both sides level by itself.

use std::time::Duration;

use cim_es::MemoryEventStore;
use cim_es::hybrid::{HybridError, HybridEventStore, HybridOptions, Way};
use cim_es::store::{EventStore, Position, StoreError};

use super::network::Network;
use super::{commit, key, sorted};

async fn open(network: &Network) -> HybridEventStore {
    open_on(MemoryEventStore::new(), network).await
}

async fn open_on(kept: MemoryEventStore, network: &Network) -> HybridEventStore {
    let pause = Duration::from_millis(1);
    HybridOptions::new()
        .pauses(pause, pause * 10)
        .save_interval(pause * 10)
        .open(kept, network.clone())
        .await
        .expect("it opens")
}

/// Waits until something holds; what never does is a defect.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "what was waited for never came");
}

#[tokio::test]
async fn a_program_works_without_a_network_and_connects_when_there_is_one() {
    let network = Network::to(MemoryEventStore::new());
    network.is_away(true);
    let store = open(&network).await;
    for _ in 0..5 {
        store.append(commit(&["a"], "ann")).await.unwrap();
    }
    assert_eq!(store.load_queue().await.unwrap(), 5);
    until(async || store.status().await.unwrap().failure.is_some()).await;
    assert!(!store.is_connected());
    let refused = store.flush_queue().await;
    assert!(
        matches!(refused, Err(HybridError::NotConnected { source: Some(_) })),
        "{refused:?}"
    );
    let status = store.status().await.unwrap().to_string();
    assert!(
        status.starts_with("Connected: false, Queue Size: 5"),
        "{status}"
    );

    network.is_away(false);
    until(async || store.queue_size().await.unwrap() == 0).await;
    assert!(store.is_connected());
    assert_eq!(store.flush_queue().await.unwrap(), 0);
    let status = store.status().await.unwrap().to_string();
    assert_eq!(status, "Connected: true, Queue Size: 0");
    assert_eq!(sorted(&store).await, sorted(&network.stream).await);
    store.close().await;
}

#[tokio::test]
async fn what_others_do_comes_down_while_the_program_works() {
    let network = Network::to(MemoryEventStore::new());
    let store = open(&network).await;
    let first = network.stream.append(commit(&["a"], "bob")).await.unwrap();
    until(async || store.find(&first[0].cid).await.unwrap().is_some()).await;
    store.append(commit(&["a"], "ann")).await.unwrap();
    until(async || network.stream.last_position().await.unwrap() == Position(2)).await;
    network.is_away(true);
    network.stream.append(commit(&["a"], "bob")).await.unwrap();
    until(async || !store.is_connected()).await;
    store.append(commit(&["b"], "ann")).await.unwrap();
    network.is_away(false);
    until(async || sorted(&store).await == sorted(&network.stream).await).await;
    assert_eq!(
        store
            .last(&key("a"))
            .await
            .unwrap()
            .unwrap()
            .envelope
            .sequence,
        3
    );
    store.close().await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_on_a_network_that_fails_again_and_again() {
    let network = Network::to(MemoryEventStore::new());
    network.fails_each(3);
    let (one, other) = (open(&network).await, open(&network).await);
    for number in 0..50 {
        one.append(commit(&[&format!("one{}", number % 7)], "ann"))
            .await
            .unwrap();
        let ids = [&*format!("other{}", number % 5), "other"];
        other.append(commit(&ids, "bob")).await.unwrap();
        network.loses_answers(number % 2 == 0);
        tokio::task::yield_now().await;
    }
    network.loses_answers(false);
    until(async || {
        let all = sorted(&network.stream).await;
        all.len() == 150 && sorted(&one).await == all && sorted(&other).await == all
    })
    .await;
    until(async || one.queue_size().await.unwrap() + other.queue_size().await.unwrap() == 0).await;
    assert!(one.parked().is_empty() && one.notices().is_empty());
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle() {
    let network = Network::to(MemoryEventStore::new());
    let store = open(&network).await;
    let protocol = std::sync::Arc::downgrade(store.protocol());
    drop(store.clone());
    assert!(protocol.upgrade().is_some());
    drop(store);
    until(async || protocol.upgrade().is_none()).await;
}

#[tokio::test]
async fn one_store_keeps_a_file_level_and_another_takes_over_when_it_ends() {
    let network = Network::to(MemoryEventStore::new());
    let kept = MemoryEventStore::new();
    let first = open_on(kept.clone(), &network).await;
    first.append(commit(&["a"], "ann")).await.unwrap();
    until(async || first.queue_size().await.unwrap() == 0).await;
    let second = open_on(kept.clone(), &network).await;
    // It reads and writes the file, and the first one sends what it wrote.
    until(async || second.status().await.unwrap().failure.is_some()).await;
    let status = second.status().await.unwrap().to_string();
    assert!(
        status.starts_with("Connected: false") && status.contains("another program"),
        "{status}"
    );
    second.append(commit(&["b"], "ann")).await.unwrap();
    until(async || sorted(&network.stream).await.len() == 2).await;
    until(async || second.queue_size().await.unwrap() == 0).await;
    assert!(!second.is_connected());
    for decided in [
        second.resend(Way::Up, Position(1)).await,
        second.discard(Position(1), "a mistake").await,
    ] {
        assert!(
            matches!(
                decided,
                Err(HybridError::Store(StoreError::KeptLevel { .. }))
            ),
            "{decided:?}"
        );
    }
    let node = first.protocol().node();
    first.close().await;
    until(async || second.is_connected()).await;
    assert_eq!(second.protocol().node(), node);
    second.append(commit(&["c"], "ann")).await.unwrap();
    until(async || second.queue_size().await.unwrap() == 0).await;
    assert_eq!(sorted(&second).await, sorted(&network.stream).await);
    assert!(second.notices().is_empty(), "{:?}", second.notices());
    // What was closed decides nothing while another keeps the file level.
    let decided = first.resend(Way::Up, Position(1)).await;
    assert!(
        matches!(
            decided,
            Err(HybridError::Store(StoreError::KeptLevel { .. }))
        ),
        "{decided:?}"
    );
    second.close().await;
    let decided = first.resend(Way::Up, Position(1)).await;
    assert!(
        matches!(decided, Err(HybridError::NotParked { .. })),
        "{decided:?}"
    );
    let third = open_on(kept, &network).await;
    until(async || third.is_connected()).await;
    third.close().await;
}

#[tokio::test]
async fn a_store_that_stands_by_takes_no_command_on_what_the_other_found_apart() {
    let network = Network::to(MemoryEventStore::new());
    let kept = MemoryEventStore::new();
    let first = open_on(kept.clone(), &network).await;
    let second = open_on(kept, &network).await;
    network.is_away(true);
    until(async || !first.is_connected()).await;
    first.append(commit(&["a"], "ann")).await.unwrap();
    network.stream.append(commit(&["a"], "bob")).await.unwrap();
    network.is_away(false);
    until(async || first.status().await.unwrap().diverged == 1).await;
    until(async || second.status().await.unwrap().diverged == 1).await;
    let refused = second.append(commit(&["a"], "ann")).await;
    assert!(
        matches!(refused, Err(StoreError::Unresolved { .. })),
        "{refused:?}"
    );
    first.close().await;
    second.close().await;
}
