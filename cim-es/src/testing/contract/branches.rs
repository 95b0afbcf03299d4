//! What a store promises in which branches of the history can be replaced. One that offers no such port keeps these
//! promises by that.

use std::sync::Arc;

use futures_util::StreamExt;

use super::Provider;
use super::counter::{Counter, CounterCommand, add, builder, repository};
use super::sample::*;
use super::sealed::commits_of;
use crate::block::{Cid, EventBlock, StoredEvent};
use crate::domain::aggregate::Id;
use crate::domain::message::MessageIdentity;
use crate::engine::memory::MemoryEventStore;
use crate::store::{
    AggregateKey, Bookmark, Branch, BranchError, BranchReplacement, BranchStore, Epoch, EventStore,
    EventStoreExt, ExpectedVersion, ObjectStore, Position, SealedCommit, Selection, StoreError,
    Versions, taken_out,
};

/// A store and a stream that went on from the same events: aggregate `one` on both sides, `other` here alone.
struct Sides<S> {
    store: S,
    branches: Arc<dyn BranchStore>,
    stream: MemoryEventStore,
    one: AggregateKey,
    other: AggregateKey,
}

/// The version up to which both sides have the same of `one`.
const COMMON: u64 = 3;

impl<S: EventStore> Sides<S> {
    /// None for a store in which nothing can be replaced.
    async fn new(store: S) -> Option<Self> {
        let branches = store.settings().branches?;
        let (one, other, stream) = (key(), key(), MemoryEventStore::new());
        append_each(&stream, &one, 1..=COMMON).await;
        append_each(&stream, &other, [10, 11]).await;
        store
            .append_sealed(commits_of(&stream).await)
            .await
            .unwrap();
        // Here they go on in turn.
        append_each(&store, &one, [4]).await;
        append_each(&store, &other, [12]).await;
        append(&store, &one, ExpectedVersion::Any, [5, 6])
            .await
            .unwrap();
        append_each(&store, &key(), [20]).await;
        append_each(&store, &other, [13]).await;
        append_each(&stream, &one, [104]).await;
        let marked = vec![event_of_type(OTHER_TYPE, 105)];
        let marked = commit().aggregate(one.clone(), ExpectedVersion::Any, marked);
        stream.append(marked).await.unwrap();
        Some(Self {
            store,
            branches,
            stream,
            one,
            other,
        })
    }

    /// What the store has of an aggregate from a version on.
    async fn ours(&self, aggregate: &AggregateKey, from: u64) -> Branch {
        branch(&self.store, aggregate, from).await
    }

    /// What the stream has of an aggregate from a version on.
    async fn theirs(&self, aggregate: &AggregateKey, from: u64) -> Vec<SealedCommit> {
        let events = self.stream.get_events(aggregate, from).await.unwrap();
        SealedCommit::split(&events).expect("its commits are of this aggregate alone")
    }

    /// Takes the side of the stream.
    async fn replace(&self) -> Epoch {
        let ours = self.ours(&self.one, COMMON + 1).await;
        let theirs = self.theirs(&self.one, COMMON + 1).await;
        let replacement = BranchReplacement::new([ours], theirs);
        let replaced = self.branches.replace_branches(replacement).await.unwrap();
        replaced.epoch
    }
}

async fn branch(store: &impl EventStore, aggregate: &AggregateKey, from: u64) -> Branch {
    let last = store.last(aggregate).await.unwrap();
    Branch {
        aggregate: aggregate.clone(),
        from,
        head: last.expect("it has events").cid,
    }
}

fn blocks(events: &[StoredEvent]) -> Vec<EventBlock> {
    events.iter().map(EventBlock::from).collect()
}

fn cids(events: &[StoredEvent]) -> Vec<Cid> {
    events.iter().map(|event| event.cid).collect()
}

/// The other side's events stand in the place of a branch, as they were sealed; what others wrote stays in its order, and
/// every way to an event leads to what is there now.
pub async fn a_replaced_branch_gives_way_to_the_other(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let elsewhere = provider.open().await;
    // Known before, so that what is remembered of it would be old.
    assert_eq!(everything(&elsewhere).await.len(), 11);
    let taken = history(&elsewhere, &sides.one).await.split_off(3);
    let epoch = sides.replace().await;
    for store in [&sides.store, &elsewhere] {
        let (here, there) = (
            history(store, &sides.one).await,
            history(&sides.stream, &sides.one).await,
        );
        assert_eq!(blocks(&here), blocks(&there));
        assert_chained(&here);
        let all = everything(store).await;
        assert_eq!(numbers(&all), [1, 2, 3, 10, 11, 12, 20, 13, 104, 105]);
        assert!(all.is_sorted_by(|one, next| one.position < next.position));
        assert_eq!(
            store.last_position().await.unwrap(),
            all[all.len() - 1].position
        );
        assert_eq!(
            store.last(&sides.one).await.unwrap().as_ref(),
            all.last(),
            "the head is the other side's"
        );
        for event in &all {
            assert_eq!(store.find(&event.cid).await.unwrap().as_ref(), Some(event));
        }
        for event in &taken {
            assert_eq!(store.find(&event.cid).await.unwrap(), None);
        }
        let of_type: Vec<_> = all
            .iter()
            .filter(|event| event.event_type() == TYPE)
            .collect();
        let selected = collect(store.read(Selection::subjects(TYPE), Bookmark::START)).await;
        assert_eq!(selected.iter().collect::<Vec<_>>(), of_type);
        assert_chained(&history(store, &sides.other).await);
    }
    assert_eq!((epoch.number, epoch.unchanged.position), (1, Position(5)));
    let epochs = elsewhere
        .settings()
        .branches
        .expect("a port")
        .epochs()
        .await;
    assert_eq!(epochs.unwrap(), [epoch]);
    append_each(&elsewhere, &sides.one, [7]).await;
    append_each(&sides.store, &sides.other, [14]).await;
    assert_chained(&history(&sides.store, &sides.one).await);
    assert_eq!(everything(&elsewhere).await.len(), 12);
}

/// Nothing that was taken out is lost: each event is there as two blocks, under the CIDs by which it is linked.
pub async fn a_replaced_branch_stays_readable_by_cid(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let taken = history(&sides.store, &sides.one).await.split_off(3);
    let epoch = sides.replace().await;
    let elsewhere = provider.open().await;
    let found = taken_out(&elsewhere, &epoch.branches[0]).await.unwrap();
    assert_eq!(found.map(|found| blocks(&found)), Some(blocks(&taken)));
    for event in &taken {
        let envelope = elsewhere.get_object(&event.cid).await.unwrap();
        assert_eq!(envelope.as_deref(), Some(event.envelope_bytes()));
        let payload = elsewhere.get_object(&event.envelope.payload).await.unwrap();
        assert_eq!(payload.as_deref(), Some(event.payload()));
    }
    let other = sides.ours(&sides.other, 1).await;
    assert_eq!(taken_out(&elsewhere, &other).await.unwrap(), None);
}

/// A reader that has read one of the replaced events, or one behind them, is told; one that has not goes on.
pub async fn a_bookmark_behind_a_replaced_event_is_noticed(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let before = everything(&sides.store).await;
    let epoch = sides.replace().await;
    let after = everything(&sides.store).await;
    for event in &before {
        let mut rest = sides.store.read(Selection::everything(), event.bookmark());
        if event.position <= epoch.unchanged.position {
            let rest = collect(rest).await;
            assert_eq!(rest, after[event.position.0 as usize..]);
            continue;
        }
        let told = rest.next().await;
        assert!(
            matches!(told, Some(Err(StoreError::AnotherHistory(_)))),
            "at {}: {told:?}",
            event.position
        );
    }
}

/// Who follows while a branch is replaced is told when it was given what is gone; else it misses nothing, even of what
/// moved behind where it has looked already.
pub async fn who_follows_while_a_branch_is_replaced_is_told(provider: impl Provider) {
    let store = provider.open().await;
    let Some(sides) = Sides::new(store).await else {
        return;
    };
    let mut of_all = sides.store.subscribe(Position::START);
    take(&mut of_all, 11).await;
    let mut of_type = sides
        .store
        .follow(Selection::subjects(OTHER_TYPE), Bookmark::START);
    assert!(step(&mut of_type.next()).await.is_pending());
    sides.replace().await;
    // There are as many as before, so that their number alone says nothing.
    append_each(&sides.store, &sides.other, [14, 15]).await;
    let told = of_all.next().await;
    assert!(
        matches!(told, Some(Err(StoreError::AnotherHistory(_)))),
        "{told:?}"
    );
    assert_eq!(numbers(&take(&mut of_type, 1).await), [105]);
}

/// A history that is read while it is replaced is that of one branch.
pub async fn a_history_that_is_read_is_of_one_branch(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let long = key();
    for first in 0..6 {
        let numbers = first * 500..(first + 1) * 500;
        append(&sides.store, &long, ExpectedVersion::Any, numbers)
            .await
            .unwrap();
    }
    let mut ours = sides.store.history(&long, Versions::ALL);
    let mut given = take(&mut ours, 1).await;
    let replacement = BranchReplacement::new([sides.ours(&long, 1).await], Vec::new());
    sides.branches.replace_branches(replacement).await.unwrap();
    assert_eq!(history(&sides.store, &long).await, []);
    append(&sides.store, &long, ExpectedVersion::NoStream, 5_000..5_400)
        .await
        .unwrap();
    let told = loop {
        match ours.next().await {
            Some(Ok(event)) => given.push(event),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert_eq!(numbers(&given), (0..given.len() as u64).collect::<Vec<_>>());
    match told {
        Some(StoreError::AnotherHistory(_)) => {}
        None => assert_eq!(given.len(), 3_000, "a part of a history is not all of it"),
        Some(error) => panic!("it is another history, and not: {error}"),
    }
}

/// What does not fit is refused by name, and changes nothing.
pub async fn branches_that_do_not_fit_are_refused(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let (one, other) = (&sides.one, &sides.other);
    let both = commit()
        .event(one.clone(), ExpectedVersion::Any, note(30))
        .event(other.clone(), ExpectedVersion::Any, note(31));
    sides.store.append(both).await.unwrap();
    let before = everything(&sides.store).await;
    let refused = async |branches: Vec<Branch>, commits: Vec<SealedCommit>| {
        let replacement = BranchReplacement::new(branches, commits);
        let outcome = sides.branches.replace_branches(replacement).await;
        let error = outcome.expect_err("it does not fit");
        assert_eq!(everything(&sides.store).await, before, "{error}");
        assert_eq!(sides.branches.epochs().await.unwrap(), [], "{error}");
        error
    };
    let theirs = sides.theirs(one, COMMON + 1).await;
    let (ours, others) = (
        sides.ours(one, COMMON + 1).await,
        sides.ours(other, 5).await,
    );
    let none = refused(vec![], theirs.clone()).await;
    assert!(matches!(none, BranchError::NoBranch), "{none}");
    let twice = vec![ours.clone(), others.clone(), ours.clone()];
    let twice = refused(twice, theirs.clone()).await;
    assert!(matches!(twice, BranchError::NamedTwice { .. }), "{twice}");
    let unfit = [
        Branch {
            from: 0,
            ..ours.clone()
        },
        Branch {
            from: 8,
            ..ours.clone()
        },
        Branch {
            head: before[5].cid,
            ..ours.clone()
        },
        Branch {
            aggregate: key(),
            ..ours.clone()
        },
    ];
    for branch in unfit {
        let error = refused(vec![branch], theirs.clone()).await;
        assert!(matches!(error, BranchError::NotPresent { .. }), "{error}");
    }
    // The last commit is of both; the one of versions 5 and 6 would be parted.
    let alone = refused(vec![ours.clone()], theirs.clone()).await;
    let BranchError::TornCommit {
        other: missing,
        version: 5,
        ..
    } = &alone
    else {
        panic!("{alone}");
    };
    assert_eq!(**missing, *other);
    let parted = vec![
        Branch {
            from: 6,
            ..ours.clone()
        },
        others.clone(),
    ];
    let parted = refused(parted, Vec::new()).await;
    let BranchError::TornCommit {
        other: missing,
        version: 5,
        ..
    } = &parted
    else {
        panic!("{parted}");
    };
    assert_eq!(**missing, *one);
    let whole = vec![ours.clone(), others.clone()];
    let late = refused(whole.clone(), theirs[1..].to_vec()).await;
    assert!(
        matches!(
            late,
            BranchError::Store(StoreError::MissingPredecessor { .. })
        ),
        "{late}"
    );
    let late = vec![
        Branch {
            from: 5,
            ..ours.clone()
        },
        others.clone(),
    ];
    let late = refused(late, theirs.clone()).await;
    assert!(
        matches!(late, BranchError::Store(StoreError::Diverged { .. })),
        "{late}"
    );
    let mut changed = theirs.clone();
    changed[0].events[0].cid = theirs[1].events[0].cid;
    let changed = refused(whole, changed).await;
    assert!(
        matches!(changed, BranchError::Store(StoreError::Unproved(_))),
        "{changed}"
    );
}

/// Branches that hang together by a commit are replaced together, by commits over the same aggregates and over others.
pub async fn branches_of_several_aggregates_are_replaced_together(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    let (one, other, third) = (&sides.one, &sides.other, key());
    let ours = commit()
        .event(one.clone(), ExpectedVersion::Any, note(30))
        .event(other.clone(), ExpectedVersion::Any, note(31));
    sides.store.append(ours).await.unwrap();
    let theirs = commit()
        .event(one.clone(), ExpectedVersion::Any, note(130))
        .event(other.clone(), ExpectedVersion::Any, note(131))
        .event(third.clone(), ExpectedVersion::NoStream, note(132))
        .event(one.clone(), ExpectedVersion::Any, note(133));
    sides.stream.append(theirs).await.unwrap();
    let branches = vec![sides.ours(one, 4).await, sides.ours(other, 3).await];
    let commits = commits_of(&sides.stream).await.split_off(5);
    let replacement = BranchReplacement::new(branches, commits);
    let replaced = sides.branches.replace_branches(replacement).await.unwrap();
    assert_eq!(numbers(&replaced.events), [104, 105, 130, 131, 132, 133]);
    let all = everything(&sides.store).await;
    assert_eq!(
        numbers(&all),
        [1, 2, 3, 10, 11, 20, 104, 105, 130, 131, 132, 133]
    );
    assert_eq!(all[6..], replaced.events);
    for key in [one, other, &third] {
        let (here, there) = (
            history(&sides.store, key).await,
            history(&sides.stream, key).await,
        );
        assert_eq!(cids(&here), cids(&there));
    }
}

/// A branch in place of which nothing stands is gone, an aggregate without an event begins again, and replacing goes on
/// as often as one likes.
pub async fn a_branch_is_replaced_again_and_by_nothing(provider: impl Provider) {
    let Some(sides) = Sides::new(provider.open().await).await else {
        return;
    };
    sides.replace().await;
    let whole = sides.ours(&sides.one, 1).await;
    let replaced = BranchReplacement::new([whole], Vec::new());
    let replaced = sides.branches.replace_branches(replaced).await.unwrap();
    assert_eq!(replaced.epoch.unchanged, Bookmark::START);
    assert_eq!(sides.store.last(&sides.one).await.unwrap(), None);
    assert_eq!(
        numbers(&everything(&sides.store).await),
        [10, 11, 12, 20, 13]
    );
    let kinds = sides.store.kinds(sides.one.id()).await.unwrap();
    assert_eq!(kinds, Vec::<String>::new());
    append(&sides.store, &sides.one, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    for turn in 0..3 {
        append_each(&sides.store, &sides.one, [40 + turn]).await;
        let (ours, theirs) = (
            sides.ours(&sides.one, 1).await,
            sides.theirs(&sides.one, 1).await,
        );
        let replaced = BranchReplacement::new([ours], theirs);
        let replaced = sides.branches.replace_branches(replaced).await.unwrap();
        assert_eq!(replaced.epoch.number, 3 + turn);
        let here = history(&sides.store, &sides.one).await;
        assert_eq!(numbers(&here), [1, 2, 3, 104, 105]);
    }
}

/// A repository that knew the branch goes on from what took its place, with and without snapshots; a message of the
/// branch is a new one, and one of the other side took effect.
pub async fn a_repository_goes_on_from_what_took_the_place(provider: impl Provider) {
    let store = provider.open().await;
    let Some(branches) = store.settings().branches else {
        return;
    };
    let (stream, id) = (MemoryEventStore::new(), Id::new());
    let warm = builder(&store).snapshot_threshold(2).build();
    let theirs = repository(&stream);
    add(&theirs, &id, 1).await.unwrap();
    store
        .append_sealed(commits_of(&stream).await)
        .await
        .unwrap();
    let ours_by = MessageIdentity::new_from_user("here");
    let theirs_by = MessageIdentity::new_from_user("there");
    let command = |amount| CounterCommand::Add { amount };
    warm.execute(&id, command(2), &ours_by).await.unwrap();
    for amount in 3..=6 {
        add(&warm, &id, amount).await.unwrap();
    }
    theirs.execute(&id, command(10), &theirs_by).await.unwrap();
    add(&theirs, &id, 20).await.unwrap();
    let key = AggregateKey::of::<Counter>(&id).unwrap();
    let replacement = BranchReplacement::new(
        [branch(&store, &key, 2).await],
        commits_of(&stream).await.split_off(1),
    );
    branches.replace_branches(replacement).await.unwrap();
    let cold = builder(&store).snapshot_threshold(2).build();
    for counters in [&warm, &cold] {
        let loaded = counters.load(&id).await.unwrap();
        assert_eq!((loaded.version(), loaded.total), (3, 31));
    }
    let again = warm.execute(&id, command(10), &theirs_by).await.unwrap();
    assert!(again.is_repeated(), "it took effect on the other side");
    let anew = warm.execute(&id, command(2), &ours_by).await.unwrap();
    assert!(!anew.is_repeated(), "what it led to was taken out");
    assert_eq!(anew.version(), 4);
    let elsewhere = repository(&provider.open().await);
    assert_eq!(elsewhere.replay(&id).await.unwrap().total, 33);
    assert_eq!(elsewhere.load(&id).await.unwrap().total, 33);
}
