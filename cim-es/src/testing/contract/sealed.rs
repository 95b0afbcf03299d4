//! What becomes of commits that were sealed elsewhere.

use bytes::Bytes;
use futures_util::future::join;
use tokio::task::JoinSet;

use super::Provider;
use super::sample::*;
use crate::block::{Cid, EventBlock, StoredEvent};
use crate::engine::memory::MemoryEventStore;
use crate::store::{
    AggregateKey, AppendedCommit, EventStore, ExpectedVersion, SealedCommit, SealedOutcome,
    StoreError,
};

/// A store elsewhere with commits of one event and of several, over one aggregate and over two, and two kinds that
/// share an id.
async fn elsewhere() -> (MemoryEventStore, [AggregateKey; 3]) {
    let store = MemoryEventStore::new();
    let (one, two) = (key(), key());
    let other_kind = key_of_kind("contract.example", one.id().as_str());
    append(&store, &one, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    append(&store, &one, ExpectedVersion::Exactly(1), 2..=4)
        .await
        .unwrap();
    let both = commit()
        .aggregate(
            two.clone(),
            ExpectedVersion::NoStream,
            vec![note(5), note(6)],
        )
        .aggregate(one.clone(), ExpectedVersion::Exactly(4), vec![note(7)]);
    store.append(both).await.unwrap();
    append_each(&store, &other_kind, [8]).await;
    append_each(&store, &one, [9]).await;
    (store, [one, two, other_kind])
}

pub(super) async fn commits_of(store: &impl EventStore) -> Vec<SealedCommit> {
    SealedCommit::split(&everything(store).await).expect("a store has whole commits")
}

fn flat(appended: &[AppendedCommit]) -> Vec<StoredEvent> {
    let events = appended.iter().flat_map(|commit| &commit.events);
    events.cloned().collect()
}

fn blocks(events: &[StoredEvent]) -> Vec<EventBlock> {
    events.iter().map(EventBlock::from).collect()
}

/// Commits that were sealed elsewhere are stored as they are, byte by byte, and commands go on from them.
pub async fn sealed_commits_are_stored_as_they_are(provider: impl Provider) {
    let store = provider.open().await;
    let (source, keys) = elsewhere().await;
    let before = append_each(&store, &key(), [0]).await;
    let appended = store
        .append_sealed(commits_of(&source).await)
        .await
        .unwrap();
    assert!(appended.iter().all(|commit| !commit.was_there));
    let stored = flat(&appended);
    assert_eq!(blocks(&stored), blocks(&everything(&source).await));
    assert_eq!(everything(&store).await, [before, stored].concat());
    for key in &keys {
        let (here, there) = (history(&store, key).await, history(&source, key).await);
        assert_eq!(blocks(&here), blocks(&there), "{key}");
        let last = store.last(key).await.unwrap().expect("it has events");
        let request = commit().aggregate_at(key.clone(), last.head(), vec![note(100)]);
        store.append(request).await.unwrap();
        assert_chained(&history(&store, key).await);
    }
    assert_eq!(store.append_sealed(Vec::new()).await.unwrap(), []);
}

/// A commit that stands at its place already is passed over, and its place is given again: a list may be sent as often
/// as one likes, in whatever overlapping parts.
pub async fn sealed_commits_that_are_there_are_passed_over(provider: impl Provider) {
    let store = provider.open().await;
    let (source, _) = elsewhere().await;
    let commits = commits_of(&source).await;
    let first = store.append_sealed(commits[..2].to_vec()).await.unwrap();
    let second = store.append_sealed(commits.clone()).await.unwrap();
    let were_there: Vec<_> = second.iter().map(|commit| commit.was_there).collect();
    assert_eq!(were_there, [true, true, false, false, false]);
    assert_eq!(flat(&second[..2]), flat(&first));
    let twice = [commits.clone(), commits.clone()].concat();
    let third = store.append_sealed(twice).await.unwrap();
    assert!(third.iter().all(|commit| commit.was_there));
    assert_eq!(flat(&third[..5]), flat(&second));
    assert_eq!(flat(&third[5..]), flat(&second));
    assert_eq!(everything(&store).await, flat(&second));
}

/// The same commit twice in one list that is new is stored once.
pub async fn a_sealed_commit_twice_in_a_list_is_stored_once(provider: impl Provider) {
    let store = provider.open().await;
    let (source, _) = elsewhere().await;
    let commits = commits_of(&source).await;
    let twice = [commits.clone(), commits].concat();
    let appended = store.append_sealed(twice).await.unwrap();
    assert_eq!(flat(&appended[..5]), flat(&appended[5..]));
    let were_there: Vec<_> = appended.iter().map(|commit| commit.was_there).collect();
    assert_eq!(were_there, [[false; 5], [true; 5]].concat());
    assert_eq!(everything(&store).await, flat(&appended[..5]));
}

/// Where both sides went on from one event the store says so, with both events, and stores nothing of the list.
pub async fn a_sealed_commit_of_another_branch_is_told(provider: impl Provider) {
    let store = provider.open().await;
    let (source, [one, ..]) = elsewhere().await;
    let commits = commits_of(&source).await;
    store.append_sealed(commits[..2].to_vec()).await.unwrap();
    let ours = append_each(&store, &one, [50]).await;
    let theirs = history(&source, &one).await;
    let before = everything(&store).await;
    // In a list whose other commits would fit.
    let outcome = store.append_sealed(commits.clone()).await;
    assert_diverged(outcome, (&one, 5, ours[0].cid, theirs[4].cid));
    // By its link alone: the commit before it is not among those that are sent.
    let outcome = store.append_sealed(vec![commits[4].clone()]).await;
    assert_diverged(outcome, (&one, 5, ours[0].cid, theirs[4].cid));
    // Further back.
    append_each(&store, &one, [51, 52]).await;
    let outcome = store.append_sealed(vec![commits[2].clone()]).await;
    assert_diverged(outcome, (&one, 5, ours[0].cid, theirs[4].cid));
    assert_eq!(everything(&store).await[..before.len()], before);
    assert_eq!(everything(&store).await.len(), before.len() + 2);
}

/// The outcome names both blocks at a version of an aggregate: the one that is stored, and the one that came.
pub(super) fn assert_diverged(
    outcome: Result<Vec<AppendedCommit>, StoreError>,
    (key, at, expected_ours, expected_theirs): (&AggregateKey, u64, Cid, Cid),
) {
    match outcome {
        Err(StoreError::Diverged {
            aggregate,
            version,
            ours,
            theirs,
        }) => {
            assert_eq!((&*aggregate, version), (key, at));
            assert_eq!((*ours, *theirs), (expected_ours, expected_theirs));
        }
        other => panic!("no divergence but {other:?}"),
    }
}

/// A commit that follows events which are not there is refused, and so is a first event that another id has.
pub async fn a_sealed_commit_without_its_predecessor_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let (source, [one, ..]) = elsewhere().await;
    let commits = commits_of(&source).await;
    store.append_sealed(commits[..1].to_vec()).await.unwrap();
    let outcome = store.append_sealed(commits[2..].to_vec()).await;
    match outcome {
        Err(StoreError::MissingPredecessor {
            aggregate,
            version,
            needed,
        }) => assert_eq!((*aggregate, version, needed), (one, 1, 4)),
        other => panic!("the predecessor is missing, and the answer is {other:?}"),
    }
    assert_eq!(everything(&store).await.len(), 1);
}

/// Blocks that are not what they say, and commits that are not whole, are refused before anything is stored.
pub async fn what_is_no_whole_commit_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let (source, _) = elsewhere().await;
    let commits = commits_of(&source).await;
    let changed = |at: usize, change: &dyn Fn(&mut Vec<EventBlock>)| {
        let mut commit = commits[at].clone();
        change(&mut commit.events);
        commit
    };
    let flipped = |from_end: usize| {
        changed(0, &move |events: &mut Vec<EventBlock>| {
            let mut body = events[0].body.to_vec();
            let at = body.len() - 1 - from_end;
            body[at] ^= 1;
            events[0].body = Bytes::from(body);
        })
    };
    let bad = [
        ("a payload is another", flipped(0)),
        ("an envelope is another", flipped(60)),
        (
            "a CID is of another block",
            changed(0, &|events| events[0].cid = commits[1].events[0].cid),
        ),
        (
            "a byte follows",
            changed(0, &|events| {
                let body = [&events[0].body[..], &[0]].concat();
                events[0].body = body.into();
            }),
        ),
        (
            "the end is missing",
            changed(1, &|events| drop(events.pop())),
        ),
        (
            "the start is missing",
            changed(1, &|events| drop(events.remove(0))),
        ),
        (
            "the middle is missing",
            changed(1, &|events| drop(events.remove(1))),
        ),
        (
            "the order is another",
            changed(1, &|events| events.swap(0, 1)),
        ),
        (
            "one aggregate is missing",
            changed(2, &|events| drop(events.pop())),
        ),
        (
            "the other aggregate is missing",
            changed(2, &|events| drop(events.drain(..2))),
        ),
        (
            "it has a block twice",
            changed(0, &|events| events.push(events[0].clone())),
        ),
        (
            "it is two commits",
            changed(0, &|events| events.extend(commits[1].events.clone())),
        ),
        ("it is empty", changed(0, &|events| events.clear())),
    ];
    for (what, commit) in bad {
        let good = commits[3].clone();
        let outcome = store.append_sealed(vec![good, commit]).await;
        let is_refused = matches!(
            outcome,
            Err(StoreError::Unproved(_) | StoreError::InvalidCommit { .. })
        );
        assert!(is_refused, "{what}: {outcome:?}");
        assert_eq!(everything(&store).await, [], "{what}");
    }
}

/// Several who bring the same commits at once store each once, and all of them are told where it stands.
pub async fn racing_imports_store_each_commit_once(provider: impl Provider) {
    let store = provider.open().await;
    let (source, keys) = elsewhere().await;
    let commits = commits_of(&source).await;
    let mut imports = JoinSet::new();
    for _ in 0..4 {
        let (store, commits) = (provider.open().await, commits.clone());
        imports.spawn(async move { store.append_sealed(commits).await });
    }
    let mut stored = 0;
    while let Some(import) = imports.join_next().await {
        let appended = import.expect("an import ends without a panic");
        let appended = appended.expect("the commits are stored by one of them");
        assert_eq!(blocks(&flat(&appended)), blocks(&everything(&source).await));
        stored += appended.iter().filter(|commit| !commit.was_there).count();
    }
    assert!(stored >= commits.len(), "each is new to somebody");
    assert_eq!(
        everything(&store).await.len(),
        everything(&source).await.len()
    );
    for key in &keys {
        assert_chained(&history(&store, key).await);
    }
}

/// What a store says of a list that it does not store whole is so, where somebody else goes on with one of its aggregates
/// before it comes or meanwhile: of a part that is stored each commit is as it says, and after any other error nothing of
/// the list is there.
pub async fn what_is_said_of_a_list_that_is_not_stored_whole_is_so(provider: impl Provider) {
    let store = provider.open().await;
    for round in 0..6 {
        let source = MemoryEventStore::new();
        let keys: Vec<_> = (0..8).map(|_| key()).collect();
        for key in &keys {
            append_each(&source, key, [1, 2]).await;
        }
        let list = commits_of(&source).await;
        let taken = keys[round + 1].clone();
        let request = commit().aggregate(taken, ExpectedVersion::Any, vec![note(3)]);
        let append = store.append(request);
        let (append, import) = match round % 2 {
            0 => (append.await, store.append_sealed(list.clone()).await),
            _ => join(append, store.append_sealed(list.clone())).await,
        };
        append.expect("any version fits");
        let outcomes = match import {
            Ok(appended) => appended.into_iter().map(SealedOutcome::Stored).collect(),
            Err(StoreError::PartlyStored(partly)) => {
                let first = &partly.outcomes[partly.first];
                assert!(matches!(first, SealedOutcome::Failed(_)), "{first:?}");
                partly.outcomes
            }
            Err(_) => vec![SealedOutcome::NotSent; list.len()],
        };
        assert_eq!(outcomes.len(), list.len());
        for (commit, outcome) in list.iter().zip(outcomes) {
            let found = store.find(&commit.events[0].cid).await.unwrap();
            match outcome {
                SealedOutcome::Stored(appended) => {
                    assert_eq!(blocks(&appended.events), commit.events);
                    assert_eq!(found.as_ref(), appended.events.first());
                }
                SealedOutcome::Failed(StoreError::OutcomeUnknown { .. }) => {}
                other => assert_eq!(found, None, "{other:?}"),
            }
        }
    }
}

/// A writer and an import that go on from the same event never both win.
pub async fn an_import_and_a_writer_never_both_win(provider: impl Provider) {
    let store = provider.open().await;
    for _ in 0..10 {
        let key = key();
        let start = append_each(&store, &key, [1]).await;
        let source = MemoryEventStore::new();
        let start_commit = SealedCommit {
            events: blocks(&start),
        };
        source.append_sealed(vec![start_commit]).await.unwrap();
        let theirs = append_each(&source, &key, [2]).await;
        let branch = SealedCommit {
            events: blocks(&theirs),
        };
        let head = start[0].head();
        let request = commit().aggregate_at(key.clone(), head, vec![note(3)]);
        let import = store.append_sealed(vec![branch]);
        let (import, append) = join(import, store.append(request)).await;
        match (&import, &append) {
            (Ok(_), Err(StoreError::Conflict { .. }))
            | (Err(StoreError::Diverged { .. }), Ok(_)) => {}
            other => panic!("one wins, the other is told; but {other:?}"),
        }
        let events = history(&store, &key).await;
        assert_eq!(events.len(), 2);
        assert_chained(&events);
    }
}
