//! What was sealed elsewhere is as good as what was written here: it is followed, found and guarded, and seen whole.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::Provider;
use super::club::{Club, CopyCommand, CopyEvent, desk, named};
use super::sample::*;
use super::sealed::commits_of;
use super::whole::{assert_whole_commits, give_up_after, of_both};
use crate::block::{HashCode, StoredEvent};
use crate::domain::aggregate::Id;
use crate::engine::memory::MemoryEventStore;
use crate::repository::ExecuteError;
use crate::store::{
    AggregateKey, Bookmark, EventStore, EventStoreExt, ExpectedVersion, Position, SealOptions,
    SealedCommit, Selection, partition,
};

/// Events of a sealed commit that alternate between aggregates stand as they were sealed.
pub async fn a_sealed_commit_keeps_the_order_of_events_that_alternate(provider: impl Provider) {
    let (store, source) = (provider.open().await, MemoryEventStore::new());
    let (one, other) = (key(), key());
    let any = ExpectedVersion::Any;
    for number in 0..3 {
        let alternating = commit()
            .event(one.clone(), any, note(number * 4))
            .event(other.clone(), any, note(number * 4 + 1))
            .event(one.clone(), any, note(number * 4 + 2))
            .event(other.clone(), any, note(number * 4 + 3));
        source.append(alternating).await.unwrap();
    }
    let appended = store
        .append_sealed(commits_of(&source).await)
        .await
        .unwrap();
    let answers: Vec<_> = appended
        .iter()
        .map(|commit| numbers(&commit.events))
        .collect();
    assert_eq!(answers, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
    assert_eq!(
        numbers(&everything(&store).await),
        (0..12).collect::<Vec<_>>()
    );
    for key in [&one, &other] {
        assert_chained(&history(&store, key).await);
    }
}

/// What was sealed elsewhere is found by every way to an event, by another handle too, and those who follow get it.
pub async fn what_was_sealed_elsewhere_is_followed_and_found(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let source = MemoryEventStore::new();
    let (mine, theirs) = (key(), key());
    let other_kind = key_of_kind("contract.example", theirs.id().as_str());
    let ours = append_each(&store, &mine, 1..=3).await;
    let mut following = [
        store.subscribe(Position::START),
        elsewhere.subscribe(Position::START),
        elsewhere.subscribe(ours[2].position),
    ];
    let mut of_aggregate = elsewhere.follow(theirs.clone().into(), Bookmark::START);
    let mut of_type = store.follow(Selection::subjects(OTHER_TYPE), Bookmark::START);
    for following in &mut following[..2] {
        assert_eq!(take(following, 3).await, ours);
    }
    // They wait for what comes.
    assert!(step(&mut of_aggregate.next()).await.is_pending());
    append(&source, &theirs, ExpectedVersion::NoStream, 4..=5)
        .await
        .unwrap();
    let marked = commit()
        .aggregate(other_kind.clone(), ExpectedVersion::NoStream, vec![note(6)])
        .aggregate(
            theirs.clone(),
            ExpectedVersion::Exactly(2),
            vec![event_of_type(OTHER_TYPE, 7)],
        );
    source.append(marked).await.unwrap();
    let appended = store
        .append_sealed(commits_of(&source).await)
        .await
        .unwrap();
    let mut came: Vec<_> = appended
        .into_iter()
        .flat_map(|commit| commit.events)
        .collect();
    for store in [&store, &elsewhere] {
        assert_eq!(store.last(&theirs).await.unwrap().as_ref(), came.last());
        assert_eq!(
            store.last(&other_kind).await.unwrap().as_ref(),
            Some(&came[2])
        );
    }
    // Behind it one that every follower waits for: who was not told of the others shows it by this one.
    let after = vec![event_of_type(OTHER_TYPE, 8)];
    let after = commit().aggregate(theirs.clone(), ExpectedVersion::Exactly(3), after);
    came.extend(elsewhere.append(after).await.unwrap());
    let all = [ours, came.clone()].concat();
    assert!(all.is_sorted_by(|one, next| one.position < next.position));
    for following in &mut following {
        assert_eq!(take_until(following, &came[4]).await, came);
    }
    let of = |is_it: &dyn Fn(&&StoredEvent) -> bool| -> Vec<StoredEvent> {
        came.iter().filter(is_it).cloned().collect()
    };
    let of_theirs = of(&|event| theirs.has(event));
    let marked = of(&|event| event.event_type() == OTHER_TYPE);
    assert_eq!(take_until(&mut of_aggregate, &came[4]).await, of_theirs);
    assert_eq!(take_until(&mut of_type, &came[4]).await, marked);
    for store in [&store, &elsewhere] {
        assert_eq!(everything(store).await, all);
        for event in &came {
            let found = store.get_by_cid(&event.cid).await.unwrap();
            assert_eq!(found.as_ref(), Some(event));
        }
        assert_eq!(history(store, &theirs).await, of_theirs);
        assert_eq!(
            store.last(&theirs).await.unwrap().as_ref(),
            of_theirs.last()
        );
        assert_eq!(history(store, &other_kind).await, came[2..3]);
        let kinds = store.kinds(theirs.id()).await.unwrap();
        let both = ["contract.example", "contract.sample"].map(str::to_owned);
        assert_eq!(kinds.into_iter().collect::<BTreeSet<_>>(), both.into());
        let of_type = store
            .get_events_by_type(OTHER_TYPE, Position::START, 9)
            .await;
        assert_eq!(of_type.unwrap(), marked);
        let theirs_alone = Selection::everything().in_partitions([partition(theirs.id().as_str())]);
        let in_partition = collect(store.read(theirs_alone, all[2].bookmark())).await;
        assert_eq!(in_partition, came);
    }
    // What comes next follows what came from elsewhere, whoever writes it.
    for (store, version) in [(&elsewhere, 4), (&store, 5)] {
        assert_conflict(append(store, &theirs, ExpectedVersion::Exactly(version - 1), [0]).await);
        append(store, &theirs, ExpectedVersion::Exactly(version), [version])
            .await
            .unwrap();
    }
    assert_chained(&history(&store, &theirs).await);
}

/// A store with commits over two aggregates, each of as many events.
async fn commits_over(keys: &[AggregateKey; 2], commits: u64, events: u64) -> Vec<SealedCommit> {
    let source = MemoryEventStore::new();
    for _ in 0..commits {
        source.append(of_both(keys, events)).await.unwrap();
    }
    commits_of(&source).await
}

/// A commit of as many events as are allowed comes whole from elsewhere, for one aggregate and for a hundred.
pub async fn a_sealed_commit_of_the_most_events_is_stored_whole(provider: impl Provider) {
    const MOST: u64 = 1_000;
    let (store, source) = (provider.open().await, MemoryEventStore::new());
    append(&source, &key(), ExpectedVersion::NoStream, 0..MOST)
        .await
        .unwrap();
    let of_all = (0..MOST / 10).fold(commit(), |request, number| {
        let notes = (0..10).map(|place| note(number * 10 + place)).collect();
        request.aggregate(key(), ExpectedVersion::NoStream, notes)
    });
    source.append(of_all).await.unwrap();
    let appended = store
        .append_sealed(commits_of(&source).await)
        .await
        .unwrap();
    let stored = everything(&store).await;
    assert_eq!(stored.len() as u64, 2 * MOST);
    for (half, commit) in stored.chunks(MOST as usize).zip(&appended) {
        assert_eq!(numbers(half), (0..MOST).collect::<Vec<_>>());
        assert!(
            commit.events == half,
            "the answer is another than what is stored"
        );
    }
}

/// While a commit that was sealed elsewhere is stored nobody sees a part of it.
pub async fn nobody_sees_a_part_of_a_sealed_commit(provider: impl Provider) {
    const COMMITS: u64 = 12;
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let import = |commits: Vec<SealedCommit>| {
        let store = store.clone();
        async move {
            for pair in commits.chunks(2) {
                store.append_sealed(pair.to_vec()).await.unwrap();
            }
        }
    };
    let keys = [key(), key()];
    let mut beside = JoinSet::new();
    beside.spawn(import(commits_over(&keys, COMMITS, 30).await));
    let mut is_stored = false;
    while !is_stored {
        if let Some(outcome) = beside.try_join_next() {
            outcome.expect("an import ends without a panic");
            is_stored = true;
        }
        assert_whole_commits(&elsewhere, &keys).await;
    }
    let keys = [key(), key()];
    let mut importing = Box::pin(import(commits_over(&keys, COMMITS, 30).await));
    while step(&mut importing).await.is_pending() {
        assert_whole_commits(&elsewhere, &keys).await;
    }
    assert_eq!(everything(&elsewhere).await.len() as u64, 4 * COMMITS * 30);
}

/// A commit from elsewhere that its caller gives up is stored whole or not at all, and can be brought again.
pub async fn an_import_that_is_given_up_is_whole_or_not_there(provider: impl Provider) {
    const EVENTS: u64 = 12;
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    for steps in 0..12 {
        let keys = [key(), key()];
        let commits = commits_over(&keys, 1, EVENTS).await;
        let import = store.append_sealed(commits.clone());
        give_up_after(steps, import, &elsewhere, &keys, EVENTS).await;
        store.append_sealed(commits).await.unwrap();
        for key in &keys {
            let events = history(&elsewhere, key).await;
            assert_eq!(events.len() as u64, EVENTS, "after {steps} steps");
            assert_chained(&events);
        }
    }
}

/// Blocks that another hash names are stored as they are, and found by it; what follows them links to it.
pub async fn blocks_of_another_hash_are_stored_as_they_are(provider: impl Provider) {
    let store = provider.open().await;
    let own = append_each(&store, &key(), [1]).await[0].cid.hash().code();
    for hash in [HashCode::Sha2_256, HashCode::Blake3_256] {
        let source = MemoryEventStore::with_options(SealOptions {
            hash,
            ..SealOptions::default()
        });
        let key = key();
        let theirs = append_each(&source, &key, 1..=2).await;
        store
            .append_sealed(commits_of(&source).await)
            .await
            .unwrap();
        let next = append(&store, &key, ExpectedVersion::Exactly(2), [3])
            .await
            .unwrap();
        assert_eq!(
            next[0].cid.hash().code(),
            own,
            "what is written here has its own hash"
        );
        let events = history(&store, &key).await;
        assert_chained(&events);
        for (event, their) in events.iter().zip(&theirs) {
            assert_eq!((event.cid, event.body()), (their.cid, their.body()));
            let found = store.get_by_cid(&their.cid).await.unwrap();
            assert_eq!(found.as_ref(), Some(event));
        }
    }
}

/// A command whose commit came from elsewhere has had its effect, an aggregate that was in memory is caught up with, and
/// a unique name that came along is held.
pub async fn commands_go_on_from_what_was_sealed_elsewhere(provider: impl Provider) {
    let (store, source) = (provider.open().await, MemoryEventStore::new());
    let (here, there) = (Club::new(&store), Club::new(&source));
    let (copy, other, member, identity) = (Id::new(), Id::new(), Id::new(), desk());
    assert_eq!(here.copies.load(&copy).await.unwrap().version(), 0);
    assert_eq!(here.members.load(&member).await.unwrap().held, 0);
    there
        .lend(&identity, &copy, &member)
        .commit()
        .await
        .unwrap();
    there
        .copies
        .execute(&copy, named("a"), &desk())
        .await
        .unwrap();
    store
        .append_sealed(commits_of(&source).await)
        .await
        .unwrap();
    let count = here.count().await;
    for club in [&here, &Club::new(&store)] {
        let again = club.lend(&identity, &copy, &member).commit().await.unwrap();
        assert!(again.iter().all(|commit| commit.is_repeated()));
        assert_eq!(club.members.load(&member).await.unwrap().held, 1);
        let taken = club.copies.execute(&other, named("a"), &desk()).await;
        assert!(
            matches!(taken, Err(ExecuteError::NameTaken { .. })),
            "{taken:?}"
        );
    }
    assert_eq!(here.count().await, count);
    let returned = here
        .copies
        .execute(&copy, CopyCommand::Return, &desk())
        .await
        .unwrap();
    assert_eq!(
        returned.typed::<CopyEvent>().unwrap(),
        [CopyEvent::Returned]
    );
    assert_eq!(returned.version(), 3);
}
