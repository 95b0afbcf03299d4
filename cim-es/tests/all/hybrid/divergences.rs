//! Both sides of an aggregate went on from one event: it is told once, and keeps nobody else.

use cim_es::MemoryEventStore;
use cim_es::hybrid::{Divergence, DivergenceCause, HybridError, Noticed, UpStep};
use cim_es::store::{EventStore, StateChange, StoreError, SyncState};

use super::{Node, commit, key, sorted, stream};

/// Two nodes with aggregate `a` in common, each of which wrote to it alone since; the first one reached the stream.
async fn apart() -> (Node, Node, MemoryEventStore) {
    let shared = MemoryEventStore::new();
    let (one, other) = (Node::new().await, Node::new().await);
    one.write("a", "ann").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.write("a", "ann").await;
    one.write("a", "ann").await;
    other.write("a", "bob").await;
    other.write("b", "bob").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    (one, other, shared)
}

async fn diverged(node: &Node, shared: &MemoryEventStore) -> Vec<Divergence> {
    let remote = stream(shared);
    node.protocol.divergences(Some(&remote)).await.unwrap()
}

#[tokio::test]
async fn a_divergence_is_told_once_with_what_either_side_did() {
    for is_up_first in [true, false] {
        let (_one, other, shared) = apart().await;
        if is_up_first {
            let up = other.protocol.up(&stream(&shared)).await.unwrap();
            assert_eq!(up, UpStep::Diverged(key("a")));
        }
        for _ in 0..3 {
            other.protocol.level(&stream(&shared)).await.unwrap();
        }
        let found = diverged(&other, &shared).await;
        assert_eq!(found.len(), 1);
        let found = &found[0];
        assert_eq!(found.aggregate, key("a"));
        assert_eq!(found.cause, DivergenceCause::WentOnApart);
        assert_eq!(found.common_version(), 1);
        let actors = |events: &[cim_es::hybrid::BranchEvent]| -> Vec<_> {
            let told = events.iter();
            told.map(|it| (it.version, it.actor.clone().unwrap_or_default()))
                .collect()
        };
        assert_eq!(actors(&found.ours.events), [(2, "bob".to_owned())]);
        let ann = "ann".to_owned();
        assert_eq!(actors(&found.theirs.events), [(2, ann.clone()), (3, ann)]);
        assert_eq!(found.theirs.events[0].event_type, "test.note.written");
        let told = other.protocol.notices().into_iter();
        let told = told.filter(|it| matches!(it.what, Noticed::Diverged { .. }));
        assert_eq!(told.count(), 1);
    }
}

#[tokio::test]
async fn a_diverged_aggregate_takes_no_command_and_others_flow_on() {
    let (one, other, shared) = apart().await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    let refused = other.protocol.append(commit(&["a"], "bob")).await;
    let Err(StoreError::Unresolved { aggregate, with }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((*aggregate, with), (key("a"), None));
    // What was written to another aggregate has come across, and goes on.
    other.write("b", "bob").await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.protocol.level(&stream(&shared)).await.unwrap();
    let version = |last: Option<cim_es::block::StoredEvent>| last.unwrap().envelope.sequence;
    assert_eq!(version(one.kept.last(&key("b")).await.unwrap()), 2);
    // Nothing of either side is lost.
    assert_eq!(version(other.kept.last(&key("a")).await.unwrap()), 2);
    assert_eq!(version(shared.last(&key("a")).await.unwrap()), 3);
    // It is known in the next program as well.
    let again = Node::on(other.kept.clone()).await;
    assert!(again.protocol.append(commit(&["a"], "bob")).await.is_err());
    again.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(diverged(&again, &shared).await.len(), 1);
}

#[tokio::test]
async fn aggregates_that_share_a_commit_with_a_diverged_one_wait_with_it() {
    let (_one, other, shared) = apart().await;
    other.write_several(&["a", "tied"], "bob").await;
    other.write("tied", "bob").await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(shared.last(&key("tied")).await.unwrap(), None);
    let found = diverged(&other, &shared).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].tied, [key("tied")]);
    let refused = other.protocol.append(commit(&["tied"], "bob")).await;
    let Err(StoreError::Unresolved { with, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(with, Some(Box::new(key("a"))));
}

#[tokio::test]
async fn a_commit_of_the_stream_that_touches_a_diverged_aggregate_is_passed_over_and_comes_later() {
    let (one, other, shared) = apart().await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.write_several(&["a", "far"], "ann").await;
    one.write("far", "ann").await;
    one.write("free", "ann").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(other.kept.last(&key("far")).await.unwrap(), None);
    assert!(other.kept.last(&key("free")).await.unwrap().is_some());
    assert!(
        other
            .protocol
            .append(commit(&["far"], "bob"))
            .await
            .is_err()
    );

    // Still apart: resolving says so.
    let remote = stream(&shared);
    let refused = other.protocol.resolve(&remote, &key("a"), "by hand").await;
    assert!(
        matches!(refused, Err(HybridError::StillDiverged { version: 1, .. })),
        "{refused:?}"
    );
    let unknown = other.protocol.resolve(&remote, &key("b"), "by hand").await;
    assert!(matches!(unknown, Err(HybridError::NotDiverged { .. })));
}

#[tokio::test]
async fn a_file_that_has_one_of_the_histories_goes_on_with_what_was_passed_over() {
    let (one, other, shared) = apart().await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.write_several(&["a", "far"], "ann").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    // The stream is made anew without the branch of the other side, as an operator may do.
    let anew = MemoryEventStore::new();
    let two = Node::new().await;
    let of_both = other.kept.read(
        cim_es::store::Selection::everything(),
        cim_es::store::Bookmark::START,
    );
    let of_both: Vec<_> = futures_util::TryStreamExt::try_collect(of_both)
        .await
        .unwrap();
    let commits = cim_es::store::SealedCommit::split(&of_both).unwrap();
    anew.append_sealed(commits).await.unwrap();
    two.protocol.level(&stream(&anew)).await.unwrap();
    two.write("late", "cid").await;
    two.protocol.level(&stream(&anew)).await.unwrap();

    let remote = stream(&anew);
    other
        .protocol
        .resolve(&remote, &key("a"), "ours")
        .await
        .unwrap();
    other.protocol.level(&remote).await.unwrap();
    assert!(diverged(&other, &anew).await.is_empty());
    assert_eq!(sorted(&other.kept).await, sorted(&anew).await);
    other.write("a", "bob").await;
    other.protocol.level(&remote).await.unwrap();
    assert_eq!(other.queue().await, 0);
    let recorded = other.protocol.recorded_divergences();
    assert_eq!(recorded[0].resolved.as_ref().unwrap().how, "ours");
}

/// Another program on the file of a node, which does not know one of the things that were found out.
async fn without(node: &Node, name: &str) -> Node {
    node.protocol.save().await.unwrap();
    let forgotten = vec![StateChange::remove(name)];
    node.kept.change_state(forgotten).await.unwrap();
    Node::on(node.kept.clone()).await
}

#[tokio::test]
async fn what_both_sides_have_holds_nobody_when_it_is_read_once_more() {
    let (one, other, shared) = apart().await;
    one.write_several(&["x", "y"], "ann").await;
    one.write_several(&["a", "x"], "ann").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    let again = without(&other, "down").await;
    again.protocol.level(&stream(&shared)).await.unwrap();
    let refused = again.protocol.append(commit(&["x"], "bob")).await;
    assert!(matches!(refused, Err(StoreError::Unresolved { .. })));
    again.write("y", "bob").await;
    again.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(
        shared
            .last(&key("y"))
            .await
            .unwrap()
            .unwrap()
            .envelope
            .sequence,
        2
    );
}

#[tokio::test]
async fn what_was_sent_before_it_diverged_holds_nobody_when_its_answer_was_lost() {
    let shared = MemoryEventStore::new();
    let (one, other) = (Node::new().await, Node::new().await);
    other.write_several(&["a", "z"], "bob").await;
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.protocol.level(&stream(&shared)).await.unwrap();
    one.write("a", "ann").await;
    other.write("a", "bob").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    let again = without(&other, "up").await;
    again.protocol.up(&stream(&shared)).await.unwrap();
    again.write("z", "bob").await;
    again.protocol.level(&stream(&shared)).await.unwrap();
    assert_eq!(
        shared
            .last(&key("z"))
            .await
            .unwrap()
            .unwrap()
            .envelope
            .sequence,
        2
    );
    assert_eq!(again.queue().await, 1, "what diverged waits");
}
