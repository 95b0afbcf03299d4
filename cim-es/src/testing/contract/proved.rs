//! What becomes of commits that were proved before they are brought.

use super::Provider;
use super::sample::*;
use super::sealed::commits_of;
use crate::block::EventBlock;
use crate::engine::memory::MemoryEventStore;
use crate::store::{
    AggregateKey, AppendedCommit, EventStore, ExpectedVersion, ProvedCommit, SealOptions,
    SealedCommit, StoreError,
};

/// Commits that are proved, of a store elsewhere.
async fn proved(source: &MemoryEventStore) -> Vec<ProvedCommit> {
    let commits = commits_of(source).await.into_iter();
    let prove = |commit: SealedCommit| commit.prove(&SealOptions::default());
    commits.map(prove).collect::<Result<_, _>>().unwrap()
}

fn blocks(appended: &[AppendedCommit]) -> Vec<EventBlock> {
    let events = appended.iter().flat_map(|commit| &commit.events);
    events.map(EventBlock::from).collect()
}

/// Commits that were proved are stored, passed over and refused as those are that the store proves itself: the whole list or
/// nothing of it.
pub async fn what_was_proved_is_stored_as_what_was_sealed(provider: impl Provider) {
    let store = provider.open().await;
    let source = MemoryEventStore::new();
    let (one, other) = (key(), key());
    append_each(&source, &one, [1]).await;
    let both = commit()
        .aggregate(one.clone(), ExpectedVersion::Any, vec![note(2)])
        .aggregate(other.clone(), ExpectedVersion::Any, vec![note(3), note(4)]);
    source.append(both).await.unwrap();
    append_each(&source, &other, [5]).await;
    let commits = proved(&source).await;
    let first = store.append_proved(commits[..2].to_vec()).await.unwrap();
    let all = store.append_proved(commits.clone()).await.unwrap();
    let were_there: Vec<_> = all.iter().map(|commit| commit.was_there).collect();
    assert_eq!(were_there, [true, true, false]);
    let sources = everything(&source).await;
    let sources: Vec<_> = sources.iter().map(EventBlock::from).collect();
    assert_eq!(blocks(&all), sources);
    assert_eq!(all[0].events, first[0].events);
    assert_eq!(all[1].events, first[1].events);
    assert_eq!(
        everything(&store).await,
        all.into_iter().flat_map(|it| it.events).collect::<Vec<_>>()
    );
    // Both go on, and the list has one that would fit.
    append_each(&store, &one, [50]).await;
    let before = everything(&store).await;
    append_each(&source, &other, [6]).await;
    append_each(&source, &one, [7]).await;
    let outcome = store.append_proved(proved(&source).await).await;
    let is_told = match &outcome {
        Err(StoreError::Diverged {
            aggregate, version, ..
        }) => (&**aggregate, *version) == (&one, 3),
        _ => false,
    };
    assert!(is_told, "{outcome:?}");
    assert_eq!(everything(&store).await, before);
    let elsewhere = behind_a_gap(&source, &other).await;
    let outcome = store.append_proved(elsewhere).await;
    assert!(
        matches!(
            outcome,
            Err(StoreError::MissingPredecessor { needed: 4, .. })
        ),
        "{outcome:?}"
    );
    assert_eq!(everything(&store).await, before);
    assert_eq!(store.append_proved(Vec::new()).await.unwrap(), []);
}

/// The last commit of an aggregate, behind one that is not brought.
async fn behind_a_gap(source: &MemoryEventStore, aggregate: &AggregateKey) -> Vec<ProvedCommit> {
    append_each(source, aggregate, [8]).await;
    proved(source).await.split_off(5)
}
