//! Aggregates that get no event, and must not move while others change.

use std::sync::Arc;

use futures_util::future::join;
use tokio::sync::Barrier;

use super::Provider;
use super::club::*;
use super::sample::*;
use crate::domain::ErrorChain;
use crate::domain::aggregate::Id;
use crate::repository::{Together, TogetherError};
use crate::store::{AggregateKey, EventStore, ExpectedVersion, Head, StoreError};

use CopyCommand::{Lend, Return};
use MemberCommand::{Borrow, GiveBack};

/// An aggregate that was looked at and gets no event refuses the commit once it has moved.
pub async fn an_aggregate_that_is_looked_at_guards_the_commit(provider: impl Provider) {
    let store = provider.open().await;
    let (club, elsewhere) = (Club::new(&store), Club::new(&store));
    let (copy, member, fresh) = (Id::new(), Id::new(), Id::new());
    club.lend(&desk(), &Id::new(), &member)
        .commit()
        .await
        .unwrap();
    let seen = club.members.load(&member).await.unwrap();
    let label = |label: &str| {
        Together::new(&desk())
            .execute(&club.copies, &copy, named(label))
            .execute(&club.copies, &copy, Lend { member })
            .execute(&club.copies, &copy, Return)
    };
    let commits = label("a").unchanged(&club.members, &member);
    let commits = commits
        .unchanged(&club.members, &fresh)
        .commit()
        .await
        .unwrap();
    let versions: Vec<_> = commits.iter().map(|commit| commit.version()).collect();
    assert_eq!(versions, [3, 1, 0]);
    assert!(commits[1].events().is_empty() && !commits[1].is_repeated());

    elsewhere
        .members
        .execute(&member, GiveBack, &desk())
        .await
        .unwrap();
    let before = club.count().await;
    let moved = |error: TogetherError| match error {
        TogetherError::Moved { seen, actual, .. } => (seen, actual),
        error => panic!("{}", ErrorChain(&error)),
    };
    let guarded = label("b").unchanged(&club.members, &member).commit().await;
    assert_eq!(moved(guarded.unwrap_err()), (1, 2));
    let guarded = label("c")
        .unchanged_since(&club.members, &member, &seen)
        .commit()
        .await;
    assert_eq!(moved(guarded.unwrap_err()), (1, 2));
    let none = elsewhere.members.load(&fresh).await.unwrap();
    club.members
        .execute(&fresh, Borrow { copy }, &desk())
        .await
        .unwrap();
    let guarded = label("d")
        .unchanged_since(&club.members, &fresh, &none)
        .commit()
        .await;
    assert_eq!(moved(guarded.unwrap_err()), (0, 1));
    assert_eq!(club.count().await, before + 1);
    // Who looks again goes on.
    let seen = club.members.load(&member).await.unwrap();
    let guarded = label("e").unchanged_since(&club.members, &member, &seen);
    guarded.commit().await.unwrap();
}

/// Two who each go only while the other stays: however they race, one stays.
pub async fn of_two_that_look_at_each_other_one_gives_way(provider: impl Provider) {
    let store = provider.open().await;
    let pair = async |one: Id<Member>, other: Id<Member>| {
        let club = Club::new(&store);
        let seen = club.members.load(&other).await.unwrap();
        tokio::task::yield_now().await;
        if seen.held > 0 {
            return;
        }
        let borrow = || Borrow { copy: Id::new() };
        let left = Together::new(&desk())
            .execute(&club.members, &one, borrow())
            .execute(&club.members, &one, borrow())
            .unchanged_since(&club.members, &other, &seen);
        if let Err(error) = left.commit().await {
            assert!(error.is_conflict(), "{error}");
        }
    };
    for _ in 0..40 {
        let (one, other) = (Id::new(), Id::new());
        join(pair(one, other), pair(other, one)).await;
        let club = Club::new(&store);
        let held = async |id| club.members.load(&id).await.unwrap().held;
        assert!(held(one).await == 0 || held(other).await == 0);
    }
}

/// An aggregate that must not move refuses the commit of others, whichever place it has, when it does not stand as it was
/// seen: moved on, begun meanwhile, or on another history. The conflict names it.
pub async fn an_unchanged_aggregate_is_guarded_in_every_place(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other, seen, fresh) = (key(), key(), key(), key());
    let first = append_each(&store, &seen, [1]).await[0].head();
    let foreign = append_each(&store, &key(), [99]).await[0].head();
    let with = |place: usize, unchanged: &AggregateKey, head: Option<Head>| {
        let changed = [(&one, [note(2), note(3)]), (&other, [note(4), note(5)])];
        let mut request = commit();
        for (at, (key, events)) in changed.into_iter().enumerate() {
            if at == place {
                request = request.unchanged(unchanged.clone(), head);
            }
            request = request.aggregate(key.clone(), ExpectedVersion::Any, events.into());
        }
        match place {
            2 => request.unchanged(unchanged.clone(), head),
            _ => request,
        }
    };
    for place in 0..3 {
        let stored = store.append(with(place, &seen, Some(first))).await.unwrap();
        assert_eq!(numbers(&stored), [2, 3, 4, 5], "place {place}");
        let stored = store.append(with(place, &fresh, None)).await.unwrap();
        assert_eq!(numbers(&stored), [2, 3, 4, 5], "place {place}");
    }
    assert_eq!(history(&store, &seen).await.len(), 1);
    append_each(&store, &seen, [6]).await;
    append_each(&store, &fresh, [7]).await;
    let before = everything(&store).await;
    for place in 0..3 {
        for (unchanged, head) in [
            (&seen, Some(first)),
            (&seen, Some(foreign)),
            (&seen, None),
            (&fresh, None),
            (&fresh, Some(foreign)),
        ] {
            match store.append(with(place, unchanged, head)).await {
                Err(StoreError::Conflict { aggregate, .. }) => assert_eq!(&aggregate, unchanged),
                outcome => panic!("no conflict at place {place} but {outcome:?}"),
            }
            assert_eq!(everything(&store).await, before, "place {place}");
        }
    }
}

/// An aggregate that must not move is not moved by another kind with its id.
pub async fn another_kind_with_the_id_of_an_unchanged_aggregate_may_move(provider: impl Provider) {
    let store = provider.open().await;
    let seen = key();
    let other = key_of_kind("contract.other", seen.id().as_str());
    let head = append_each(&store, &seen, [1]).await[0].head();
    for number in 2..5 {
        append_each(&store, &other, [number]).await;
        let beside = commit().unchanged(seen.clone(), Some(head)).aggregate(
            key(),
            ExpectedVersion::NoStream,
            vec![note(8), note(9)],
        );
        store.append(beside).await.unwrap();
        let itself = commit()
            .aggregate(other.clone(), ExpectedVersion::Any, vec![note(7)])
            .unchanged(seen.clone(), Some(head));
        store.append(itself).await.unwrap();
    }
    assert_eq!(numbers(&history(&store, &other).await), [2, 7, 3, 7, 4, 7]);
    assert_eq!(history(&store, &seen).await.len(), 1);
}

/// Two kinds with one id are each guarded: one that stands as expected does not answer for the other.
pub async fn two_kinds_with_one_id_are_guarded_each_by_itself(provider: impl Provider) {
    let store = provider.open().await;
    let one = key();
    let other = key_of_kind("contract.other", one.id().as_str());
    let stale = append_each(&store, &other, [1]).await[0].head();
    append_each(&store, &other, [2]).await;
    let right = append_each(&store, &one, [3]).await[0].head();
    let before = everything(&store).await;
    let changed = commit()
        .aggregate_at(one.clone(), right, vec![note(4)])
        .aggregate_at(other.clone(), stale, vec![note(5)]);
    let unchanged = commit()
        .aggregate_at(one.clone(), right, vec![note(4), note(5)])
        .unchanged(other.clone(), Some(stale));
    let swapped = commit().unchanged(other.clone(), Some(stale)).aggregate_at(
        one.clone(),
        right,
        vec![note(4), note(5)],
    );
    for request in [changed, unchanged, swapped] {
        match store.append(request).await {
            Err(StoreError::Conflict { aggregate, .. }) => assert_eq!(aggregate, other),
            outcome => panic!("no conflict but {outcome:?}"),
        }
        assert_eq!(everything(&store).await, before);
    }
}

/// Of two writers that each change their own aggregate while the other's must not move, one wins.
pub async fn racing_writers_that_look_at_each_other_never_both_win(provider: impl Provider) {
    const ROUNDS: u64 = 40;
    let handles = [provider.open().await, provider.open().await];
    for round in 0..ROUNDS {
        let keys = [key(), key()];
        let start = Arc::new(Barrier::new(2));
        let writer = |own: usize| {
            let (store, start) = (handles[own].clone(), Arc::clone(&start));
            let request = commit()
                .aggregate(
                    keys[own].clone(),
                    ExpectedVersion::NoStream,
                    vec![note(round), note(round)],
                )
                .unchanged(keys[1 - own].clone(), None);
            tokio::spawn(async move {
                start.wait().await;
                store.append(request).await
            })
        };
        let (one, other) = join(writer(0), writer(1)).await;
        let mut won = 0;
        for outcome in [one, other] {
            match outcome.expect("a writer ends without a panic") {
                Ok(_) => won += 1,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{}", ErrorChain(&error)),
            }
        }
        assert_eq!(won, 1, "round {round}");
        let (one, other) = (
            history(&handles[0], &keys[0]).await,
            history(&handles[0], &keys[1]).await,
        );
        assert_eq!(one.len() + other.len(), 2, "round {round}");
    }
}
