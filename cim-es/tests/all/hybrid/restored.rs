//! A file that is an older copy, and a stream that is another one.

use cim_es::MemoryEventStore;
use cim_es::hybrid::Noticed;
use cim_es::store::{
    Bookmark, EventStore, SealedCommit, Selection, StateChange, SyncState, TryStreamExt,
};

use super::{Node, cids, commit, key, sorted, stream};

/// A copy of what a node keeps.
async fn copied(kept: &MemoryEventStore) -> MemoryEventStore {
    let copy = MemoryEventStore::new();
    let events = kept.read(Selection::everything(), Bookmark::START);
    let events: Vec<_> = events.try_collect().await.unwrap();
    let commits = SealedCommit::split(&events).unwrap();
    copy.append_sealed(commits).await.unwrap();
    let state = kept.list_state("").await.unwrap().into_iter();
    let state = state.map(|(name, value)| StateChange::put(name, value));
    copy.change_state(state.collect()).await.unwrap();
    copy
}

#[tokio::test]
async fn a_file_that_is_an_older_copy_is_noticed_and_gets_back_what_the_stream_has() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    node.write("a", "ann").await;
    node.protocol.level(&stream(&shared)).await.unwrap();
    let copy = copied(&node.kept).await;
    node.write("a", "ann").await;
    node.write("c", "ann").await;
    node.protocol.level(&stream(&shared)).await.unwrap();
    node.protocol.mark(&stream(&shared)).await.unwrap();
    let all = cids(&node.kept).await;
    drop(node);

    let node = Node::on(copy).await;
    node.write("b", "ann").await;
    node.protocol.greet(&stream(&shared)).await.unwrap();
    let notices = node.protocol.notices();
    assert!(
        matches!(notices[0].what, Noticed::FileRestored { .. }),
        "{notices:?}"
    );
    node.protocol.level(&stream(&shared)).await.unwrap();
    let now = cids(&node.kept).await;
    assert!(all.iter().all(|cid| now.contains(cid)));
    assert_eq!(sorted(&node.kept).await, sorted(&shared).await);
    node.protocol.mark(&stream(&shared)).await.unwrap();
    // It is said once.
    node.protocol.greet(&stream(&shared)).await.unwrap();
    assert_eq!(node.protocol.notices().len(), 1);
}

#[tokio::test]
async fn a_file_that_nothing_is_missing_from_is_not_taken_for_an_older_copy() {
    let (node, shared) = (Node::new().await, MemoryEventStore::new());
    for _ in 0..3 {
        node.protocol.greet(&stream(&shared)).await.unwrap();
        node.write("a", "ann").await;
        shared.append(commit(&["b"], "bob")).await.unwrap();
        node.protocol.level(&stream(&shared)).await.unwrap();
        node.protocol.mark(&stream(&shared)).await.unwrap();
    }
    assert!(node.protocol.notices().is_empty());
}

#[tokio::test]
async fn a_stream_that_was_made_anew_gets_everything_again() {
    for has_mark in [true, false] {
        let (node, shared) = (Node::new().await, MemoryEventStore::new());
        shared.append(commit(&["b"], "bob")).await.unwrap();
        for _ in 0..3 {
            node.write("a", "ann").await;
        }
        node.protocol.level(&stream(&shared)).await.unwrap();
        node.protocol.mark(&stream(&shared)).await.unwrap();
        let anew = MemoryEventStore::new();
        anew.append(commit(&["d"], "dan")).await.unwrap();
        match has_mark {
            true => node.protocol.greet(&stream(&anew)).await.unwrap(),
            false => drop(node.write("a", "ann").await),
        }
        node.protocol.level(&stream(&anew)).await.unwrap();
        let notices = node.protocol.notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(matches!(notices[0].what, Noticed::AnotherStream { .. }));
        assert_eq!(sorted(&node.kept).await, sorted(&anew).await);
        assert!(anew.last(&key("b")).await.unwrap().is_some());
        assert_eq!(node.queue().await, 0);
    }
}
