//! What the stream refuses for good is set aside with the reason; what follows on its aggregate waits, others go on.

use std::sync::Arc;

use cim_es::MemoryEventStore;
use cim_es::hybrid::{
    DivergenceCause, HybridError, HybridOptions, Noticed, RemoteStore, UpStep, Way,
};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    CommitRequest, EventStore, ExpectedVersion, NewEvent, Position, SealOptions, StoreError,
};

use super::network::Network;
use super::{Node, cids, commit, key};

/// A commit of one event with a payload of some bytes.
fn large(id: &str, bytes: u16) -> CommitRequest {
    let mut payload = vec![0xa1, 0x61, b'b', 0x59];
    payload.extend(bytes.to_be_bytes());
    payload.resize(payload.len() + usize::from(bytes), 7);
    let event = NewEvent::from_payload("test.note.filled", 1, payload);
    let identity = MessageIdentity::new_from_user("ann");
    CommitRequest::new(identity, Timestamp::from_micros(1)).aggregate(
        key(id),
        ExpectedVersion::Any,
        vec![event],
    )
}

fn narrow_stream() -> MemoryEventStore {
    MemoryEventStore::with_options(SealOptions {
        max_payload: 1_000,
        ..SealOptions::default()
    })
}

fn remote(store: &MemoryEventStore) -> Arc<dyn RemoteStore> {
    Arc::new(store.clone())
}

/// Makes steps until nothing is left, and gives them.
async fn flush(node: &Node, shared: &MemoryEventStore) -> Vec<UpStep> {
    let mut steps = Vec::new();
    loop {
        let step = node.protocol.up(&remote(shared)).await.unwrap();
        if step == UpStep::Level {
            return steps;
        }
        steps.push(step);
    }
}

/// A node that wrote around a commit which the stream is too narrow for, at position 4.
async fn with_a_large_commit() -> Node {
    let node = Node::new().await;
    for id in ["a", "b", "c"] {
        node.write(id, "ann").await;
    }
    node.protocol.append(large("b", 2_000)).await.unwrap();
    for id in ["a", "b", "c"] {
        node.write(id, "ann").await;
    }
    node.write_several(&["b", "d"], "ann").await;
    node.write("d", "ann").await;
    node
}

#[tokio::test]
async fn a_commit_that_is_refused_for_good_is_parked_and_others_go_on() {
    let (node, shared) = (with_a_large_commit().await, narrow_stream());
    let steps = flush(&node, &shared).await;
    let refused = steps
        .iter()
        .filter(|it| matches!(it, UpStep::Refused { .. }));
    assert_eq!(refused.count(), 2, "{steps:?}");
    assert!(steps.contains(&UpStep::Parked {
        position: Position(4)
    }));
    assert_eq!(shared.last_position().await.unwrap(), Position(5));
    let parked = node.protocol.parked();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].way, parked[0].attempts), (Way::Up, 3));
    assert_eq!(parked[0].aggregates, [key("b")]);
    assert!(parked[0].reason.contains("1000"), "{}", parked[0].reason);
    // The commit, what follows on its aggregate, and what is tied to it.
    assert_eq!(node.queue().await, 5);
    // Commands are taken; they wait.
    node.write("b", "ann").await;
    assert_eq!(flush(&node, &shared).await, [UpStep::Passed]);
    // The next program knows it.
    let node = Node::on(node.kept.clone()).await;
    flush(&node, &shared).await;
    assert_eq!(node.protocol.parked().len(), 1);
    assert_eq!(node.queue().await, 6);
}

#[tokio::test]
async fn what_was_parked_goes_on_once_a_person_resends_it() {
    let (node, shared) = (with_a_large_commit().await, narrow_stream());
    flush(&node, &shared).await;
    let wide = MemoryEventStore::new();
    let there = shared.read(
        cim_es::store::Selection::everything(),
        cim_es::store::Bookmark::START,
    );
    let there: Vec<_> = futures_util::TryStreamExt::try_collect(there)
        .await
        .unwrap();
    let commits = cim_es::store::SealedCommit::split(&there).unwrap();
    wide.append_sealed(commits).await.unwrap();
    node.protocol.resend(Way::Up, Position(4)).await.unwrap();
    assert!(node.protocol.parked().is_empty());
    flush(&node, &wide).await;
    assert_eq!(node.queue().await, 0);
    let (mut ours, mut theirs) = (cids(&node.kept).await, cids(&wide).await);
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    let told = node.protocol.notices().into_iter();
    let resent = Noticed::Resent {
        position: Position(4),
    };
    assert_eq!(told.filter(|it| it.what == resent).count(), 1);
    let unknown = node.protocol.resend(Way::Up, Position(4)).await;
    assert!(matches!(unknown, Err(HybridError::NotParked { .. })));
}

#[tokio::test]
async fn what_was_discarded_is_recorded_and_its_aggregate_takes_no_command() {
    let (node, shared) = (with_a_large_commit().await, narrow_stream());
    flush(&node, &shared).await;
    let refused = node.protocol.discard(Position(4), " ").await;
    assert!(matches!(refused, Err(HybridError::NoReason)));
    node.protocol.discard(Position(4), "a test").await.unwrap();
    flush(&node, &shared).await;
    assert_eq!(node.queue().await, 0, "nothing is to be sent any more");
    assert!(node.protocol.parked().is_empty());
    for id in ["b", "d"] {
        let refused = node.protocol.append(commit(&[id], "ann")).await;
        assert!(matches!(refused, Err(StoreError::Unresolved { .. })));
    }
    let found = node.protocol.divergences(None).await.unwrap();
    let discarded = DivergenceCause::Discarded {
        reason: "a test".to_owned(),
    };
    assert_eq!(found[0].cause, discarded);
    assert_eq!(
        (found[0].common_version(), &found[0].tied[..]),
        (1, &[key("d")][..])
    );
    node.write("a", "ann").await;
    flush(&node, &shared).await;
    assert_eq!(node.queue().await, 0);
}

#[tokio::test]
async fn what_the_file_refuses_is_parked_on_its_way_down() {
    let shared = MemoryEventStore::new();
    shared.append(commit(&["a"], "bob")).await.unwrap();
    shared.append(large("b", 2_000)).await.unwrap();
    shared.append(commit(&["b"], "bob")).await.unwrap();
    shared.append(commit(&["a"], "bob")).await.unwrap();
    let node = Node::with(narrow_stream(), HybridOptions::new()).await;
    node.protocol.level(&remote(&shared)).await.unwrap();
    let parked = node.protocol.parked();
    assert_eq!((parked.len(), parked[0].way), (1, Way::Down));
    assert_eq!(node.kept.last_position().await.unwrap(), Position(2));
    let refused = node.protocol.append(commit(&["b"], "ann")).await;
    assert!(matches!(refused, Err(StoreError::Unresolved { .. })));
    node.protocol.resend(Way::Down, Position(2)).await.unwrap();
    node.protocol.level(&remote(&shared)).await.unwrap();
    assert_eq!(node.protocol.parked().len(), 1, "it is as large as before");
}

#[tokio::test]
async fn a_refused_commit_that_is_larger_than_all_before_it_is_found() {
    let (node, shared) = (Node::new().await, narrow_stream());
    node.write("a", "ann").await;
    let mut commit = commit(&["b", "c"], "ann");
    commit.aggregates.extend(large("d", 2_000).aggregates);
    node.protocol.append(commit).await.unwrap();
    let mut steps = 0;
    while node.protocol.up(&remote(&shared)).await.unwrap() != UpStep::Level {
        steps += 1;
        assert!(steps < 20, "it is narrowed for ever");
    }
    assert_eq!(node.protocol.parked()[0].position, Position(2));
    assert_eq!(shared.last_position().await.unwrap(), Position(1));
}

#[tokio::test]
async fn what_stands_before_the_commit_that_ties_it_goes_on_when_its_answer_was_lost() {
    let (node, shared) = (Node::new().await, narrow_stream());
    node.protocol.append(large("a", 2_000)).await.unwrap();
    let parked = flush(&node, &shared).await;
    assert!(parked.contains(&UpStep::Parked {
        position: Position(1)
    }));
    node.write("b", "ann").await;
    node.write_several(&["a", "b"], "ann").await;
    let network = Network::to(shared.clone());
    network.loses_answers(true);
    let network: Arc<dyn RemoteStore> = Arc::new(network);
    assert!(node.protocol.up(&network).await.is_err());
    flush(&node, &shared).await;
    let sent = shared.last(&key("b")).await.unwrap().unwrap();
    assert_eq!(sent.envelope.sequence, 1);
    assert_eq!(
        node.queue().await,
        3,
        "what was parked, and what is tied to it"
    );
    // The next program knows from where they wait.
    let again = Node::on(node.kept.clone()).await;
    again.write("b", "ann").await;
    flush(&again, &shared).await;
    assert_eq!(again.queue().await, 4);
}
