//! What was done on either side comes to the other, once, as it was written.

use cim_es::MemoryEventStore;
use cim_es::hybrid::{DownStep, HybridOptions, UpStep};
use cim_es::store::{EventStore, EventStoreExt, Position, Selection};

use super::network::Network;
use super::{Node, cids, commit, key, sorted, stream};
use std::sync::Arc;

#[tokio::test]
async fn what_was_done_offline_comes_to_the_stream_in_the_order_of_the_file() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    for number in 0..10 {
        node.write(&format!("a{}", number % 3), "ann").await;
    }
    node.write_several(&["a0", "a1", "b"], "ann").await;
    assert_eq!(node.queue().await, 13);
    let up = node.protocol.up(&stream(&shared)).await.unwrap();
    assert_eq!(
        up,
        UpStep::Sent {
            events: 13,
            were_there: 0
        }
    );
    assert_eq!(cids(&shared).await, cids(&node.kept).await);
    assert_eq!(node.queue().await, 0);
    assert_eq!(
        node.protocol.up(&stream(&shared)).await.unwrap(),
        UpStep::Level
    );
}

#[tokio::test]
async fn what_others_did_comes_into_the_file_and_is_not_queued() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    for _ in 0..5 {
        shared.append(commit(&["a", "b"], "bob")).await.unwrap();
    }
    node.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(cids(&node.kept).await, cids(&shared).await);
    assert_eq!(node.queue().await, 0);
    assert_eq!(node.protocol.acknowledged(), Position(10));
}

#[tokio::test]
async fn nodes_that_worked_apart_have_the_same_in_the_end() {
    let shared = MemoryEventStore::new();
    let nodes = [Node::new().await, Node::new().await, Node::new().await];
    for round in 0..3 {
        for (number, node) in nodes.iter().enumerate() {
            for id in 0..4 {
                node.write(&format!("n{number}-{id}"), "ann").await;
                node.write_several(
                    &[&format!("n{number}-{id}"), &format!("n{number}-x")],
                    "ann",
                )
                .await;
            }
        }
        for place in [round, (round + 1) % 3, (round + 2) % 3] {
            nodes[place].protocol.level(&stream(&shared)).await.unwrap();
        }
    }
    for node in &nodes {
        node.protocol.level(&stream(&shared)).await.unwrap();
        assert_eq!(sorted(&node.kept).await, sorted(&shared).await);
        assert_eq!(node.queue().await, 0);
    }
    assert_eq!(shared.last_position().await.unwrap(), Position(108));
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing() {
    let (node, network) = (Node::new().await, Network::to(MemoryEventStore::new()));
    let remote: Arc<dyn cim_es::hybrid::RemoteStore> = Arc::new(network.clone());
    for _ in 0..4 {
        node.write("a", "ann").await;
    }
    network.loses_answers(true);
    assert!(node.protocol.up(&remote).await.is_err());
    assert_eq!(node.queue().await, 4, "nobody said that they arrived");
    // The program ends before it saved anything, and begins anew.
    let node = Node::on(node.kept.clone()).await;
    network.loses_answers(false);
    let up = node.protocol.up(&remote).await.unwrap();
    assert_eq!(
        up,
        UpStep::Sent {
            events: 4,
            were_there: 4
        }
    );
    assert_eq!(cids(&network.stream).await, cids(&node.kept).await);
}

#[tokio::test]
async fn a_commit_that_comes_back_tells_that_it_arrived() {
    let (node, network) = (Node::new().await, Network::to(MemoryEventStore::new()));
    let remote: Arc<dyn cim_es::hybrid::RemoteStore> = Arc::new(network.clone());
    node.write("a", "ann").await;
    network.loses_answers(true);
    assert!(node.protocol.up(&remote).await.is_err());
    let down = node.protocol.down(&remote).await.unwrap();
    let read = DownStep::Read {
        stored: 0,
        diverged: Vec::new(),
        parked: 0,
    };
    assert_eq!(down, read);
    assert_eq!(node.queue().await, 0);
}

#[tokio::test]
async fn own_commits_are_passed_over_without_being_read() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    for _ in 0..7 {
        node.write("a", "ann").await;
    }
    node.protocol.up(&stream(&shared)).await.unwrap();
    assert_eq!(
        node.protocol.down(&stream(&shared)).await.unwrap(),
        DownStep::Level
    );
    assert_eq!(node.protocol.read_up_to().position, Position(7));
}

#[tokio::test]
async fn a_node_goes_on_where_it_was_saved() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    for _ in 0..3 {
        node.write("a", "ann").await;
        shared.append(commit(&["b"], "bob")).await.unwrap();
    }
    node.protocol.level(&stream(&shared)).await.unwrap();
    let name = node.protocol.node();
    node.write("a", "ann").await;
    let node = Node::on(node.kept.clone()).await;
    assert_eq!(node.protocol.node(), name);
    assert_eq!(node.queue().await, 1);
    assert_eq!(node.protocol.read_up_to().position, Position(6));
}

#[tokio::test]
async fn a_selection_brings_whole_commits_and_whole_histories() {
    let shared = MemoryEventStore::new();
    for _ in 0..3 {
        shared.append(commit(&["other"], "bob")).await.unwrap();
    }
    shared
        .append(commit(&["other", "mine"], "bob"))
        .await
        .unwrap();
    shared.append(commit(&["unwanted"], "bob")).await.unwrap();
    let options = HybridOptions::new().selection(Selection::aggregate(key("mine")));
    let node = Node::with(MemoryEventStore::new(), options).await;
    node.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(
        node.kept.get_events(&key("mine"), 1).await.unwrap().len(),
        1
    );
    assert_eq!(
        node.kept.get_events(&key("other"), 1).await.unwrap().len(),
        4
    );
    assert_eq!(node.kept.last_position().await.unwrap(), Position(5));
    assert_eq!(node.queue().await, 0);
}

#[tokio::test]
async fn a_long_queue_goes_in_lists_of_whole_commits() {
    let shared = MemoryEventStore::new();
    let options = HybridOptions::new().list_events(5);
    let node = Node::with(MemoryEventStore::new(), options).await;
    for _ in 0..20 {
        node.write_several(&["a", "b", "c"], "ann").await;
    }
    let mut lists = Vec::new();
    while let UpStep::Sent { events, .. } = node.protocol.up(&stream(&shared)).await.unwrap() {
        lists.push(events);
    }
    assert_eq!(lists, [6; 10]);
    assert_eq!(cids(&shared).await, cids(&node.kept).await);
}
