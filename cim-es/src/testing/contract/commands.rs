//! What commands promise on a store: through the repository, several of them, and after a restart.

use tokio::task::JoinSet;
use uuid::Uuid;

use super::Provider;
use super::counter::{Counter, CounterCommand, CounterError, CounterEvent, TWICE, UNDECLARED};
use super::sample::{append, everything, key};
use crate::block::StoredEvent;
use crate::domain::aggregate::Id;
use crate::domain::message::{FixedClock, MessageIdentity, Timestamp};
use crate::repository::{
    At, Commit, ExecuteError, LoadError, Recorded, Repository, RepositoryBuilder,
};
use crate::store::{
    AggregateKey, EventStore, ExpectedVersion, Position, Snapshot, SnapshotStore, StoreError,
};

use CounterCommand::{Add, Close, SetLimit};

type Outcome = Result<Commit, ExecuteError<CounterError>>;

fn builder(store: &(impl EventStore + Clone)) -> RepositoryBuilder<Counter> {
    Repository::builder(store.clone())
}

fn repository(store: &(impl EventStore + Clone)) -> Repository<Counter> {
    builder(store).build()
}

async fn execute(
    counters: &Repository<Counter>,
    id: &Id<Counter>,
    command: CounterCommand,
) -> Outcome {
    counters
        .execute(id, command, &MessageIdentity::new_from_user("contract"))
        .await
}

async fn add(counters: &Repository<Counter>, id: &Id<Counter>, amount: u64) -> Outcome {
    execute(counters, id, Add { amount }).await
}

/// A command that comes again with the same message id gives the earlier commit, and stores nothing.
pub async fn a_command_takes_effect_once(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    let identity = MessageIdentity::new_from_user("contract");
    let first = counters
        .execute(&id, Add { amount: 5 }, &identity)
        .await
        .unwrap();
    add(&counters, &id, 1).await.unwrap();
    let again = counters
        .execute(&id, Add { amount: 5 }, &identity)
        .await
        .unwrap();
    assert!(!first.is_repeated() && again.is_repeated());
    assert_eq!(again.events(), first.events());
    assert_eq!(
        (again.version(), counters.load(&id).await.unwrap().total),
        (1, 6)
    );
    let cold = repository(&store)
        .execute(&id, Add { amount: 5 }, &identity)
        .await
        .unwrap();
    assert!(cold.is_repeated());
    assert_eq!(everything(&store).await.len(), 2);
}

/// Several commands are one commit, each decided on what the ones before it led to; all come again with their message id.
pub async fn several_commands_are_one_commit(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    let identity = MessageIdentity::new_from_user("contract");
    let commands = [
        Add { amount: 5 },
        SetLimit { limit: 7 },
        Add { amount: 2 },
        Close,
    ];
    let commit = counters
        .execute_all(&id, commands.clone(), &identity)
        .await
        .unwrap();
    let places = |commit: &Commit| {
        let place = |event: &StoredEvent| {
            let part = <[u32; 4]>::from(event.envelope.commit);
            (part, event.envelope.causation_id)
        };
        commit.events().iter().map(place).collect::<Vec<_>>()
    };
    let expected = (1..=4).map(|index| ([index, 4, index, 4], identity.message_id()));
    assert_eq!(places(&commit), expected.collect::<Vec<_>>());
    let again = repository(&store)
        .execute_all(&id, commands, &identity)
        .await
        .unwrap();
    assert!(again.is_repeated());
    assert_eq!(again.events(), commit.events());
    let counter = counters.load(&id).await.unwrap();
    assert_eq!((counter.version(), counter.total), (4, 7));
    assert_eq!(everything(&store).await.len(), 4);
}

/// When one of several commands is refused, by a rule or by the machine, nothing is stored, and the answer names it.
pub async fn of_several_commands_all_take_effect_or_none(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    add(&counters, &id, 1).await.unwrap();
    let refused: [(Vec<CounterCommand>, usize); 2] = [
        (
            vec![SetLimit { limit: 3 }, Add { amount: 2 }, Add { amount: 1 }],
            2,
        ),
        (vec![Close, Add { amount: 1 }], 1),
    ];
    for (commands, expected) in refused {
        let identity = MessageIdentity::new_from_user("contract");
        let outcome = counters.execute_all(&id, commands, &identity).await;
        let Err(ExecuteError::OneOfSeveral { place, reason, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(place, expected, "{reason}");
    }
    assert_eq!(everything(&store).await.len(), 1);
    let identity = MessageIdentity::new_from_user("contract");
    let none = counters.execute_all(&id, [], &identity).await.unwrap();
    assert_eq!((none.version(), none.events().len()), (1, 0));
    assert_eq!(add(&counters, &id, 1).await.unwrap().version(), 2);
}

/// A message id that led to another command's events is refused, and not answered with them.
pub async fn a_message_id_that_another_command_used_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    let identity = MessageIdentity::new_from_user("contract");
    counters
        .execute(&id, Add { amount: 5 }, &identity)
        .await
        .unwrap();
    let outcome = counters.execute(&id, Close, &identity).await;
    let is_refused = matches!(
        outcome,
        Err(ExecuteError::MessageIdReused {
            command: "Close",
            version: 1,
            ..
        })
    );
    assert!(is_refused, "{outcome:?}");
    assert_eq!(everything(&store).await.len(), 1);
}

/// The events of one subject come typed, over all aggregates of the kind, in the store's order.
pub async fn events_of_a_subject_come_typed_and_in_order(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let ids = [Id::new(), Id::new()];
    for amount in 1..=6 {
        add(&counters, &ids[amount as usize % 2], amount)
            .await
            .unwrap();
        execute(
            &counters,
            &ids[0],
            SetLimit {
                limit: 100 + amount,
            },
        )
        .await
        .unwrap();
    }
    let subject = crate::subject!(CounterEvent, "contract.counter.added");
    let added = counters
        .events_of(subject, Position::START, 4)
        .await
        .unwrap();
    let amounts = |recorded: &[Recorded<CounterEvent>]| {
        let amount = |recorded: &Recorded<CounterEvent>| match recorded.event {
            CounterEvent::Added { amount } => amount,
            _ => 0,
        };
        recorded.iter().map(amount).collect::<Vec<_>>()
    };
    assert_eq!(amounts(&added), [1, 2, 3, 4]);
    let rest = counters
        .events_of(subject, added[3].stored.position, 100)
        .await
        .unwrap();
    assert_eq!(amounts(&rest), [5, 6]);
}

/// Every aggregate of a kind is loaded as it would be by itself, in the order of the first events; those of other kinds
/// are passed over.
pub async fn all_aggregates_of_a_kind_are_loaded_at_once(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let ids = [Id::new(), Id::new(), Id::new()];
    for (place, id) in [2, 0, 2, 1, 0, 2].into_iter().enumerate() {
        add(&counters, &ids[id], 1 + place as u64).await.unwrap();
        append(&store, &key(), ExpectedVersion::NoStream, [1])
            .await
            .unwrap();
    }
    execute(&counters, &ids[1], Close).await.unwrap();
    let all = counters.load_all().await.unwrap();
    let found: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, [ids[2], ids[0], ids[1]]);
    for (id, root) in all {
        let alone = counters.load(&id).await.unwrap();
        assert_eq!((root.head(), &*root), (alone.head(), &*alone));
    }
}

/// The message ids of the last commits are kept in the snapshot too.
pub async fn a_command_takes_effect_once_past_a_snapshot_and_a_restart(provider: impl Provider) {
    let id = Id::new();
    let identity = MessageIdentity::new_from_user("contract");
    {
        let store = provider.open().await;
        let counters = builder(&store).snapshot_threshold(3).build();
        counters
            .execute(&id, Add { amount: TWICE }, &identity)
            .await
            .unwrap();
        for _ in 0..10 {
            add(&counters, &id, 1).await.unwrap();
        }
    }
    let store = provider.open().await;
    let counters = builder(&store).snapshot_threshold(3).build();
    let again = counters
        .execute(&id, Add { amount: TWICE }, &identity)
        .await
        .unwrap();
    assert!(again.is_repeated());
    assert_eq!((again.version(), again.events().len()), (2, 2));
    assert_eq!(everything(&store).await.len(), 12);
}

/// A repository whose aggregate is stale meets the conflict, catches up, and decides again on the newer history.
pub async fn a_conflict_decides_again_on_the_newer_history(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (repository(&store), repository(&store));
    let id = Id::new();
    add(&one, &id, 1).await.unwrap();
    add(&other, &id, 2).await.unwrap();
    add(&other, &id, 3).await.unwrap();
    let commit = add(&one, &id, 4).await.unwrap();
    assert_eq!(commit.version(), 4);
    execute(&other, &id, SetLimit { limit: 11 }).await.unwrap();
    let refused = add(&one, &id, 2).await;
    assert!(
        matches!(refused, Err(ExecuteError::Refused(CounterError { .. }))),
        "{refused:?}"
    );
    assert_eq!(one.load(&id).await.unwrap().total, 10);
}

/// A repository that is set to decide once gives the conflict to its caller.
pub async fn without_retries_the_conflict_is_the_answer(provider: impl Provider) {
    let store = provider.open().await;
    let one = builder(&store).conflict_retries(0).build();
    let id = Id::new();
    add(&one, &id, 1).await.unwrap();
    add(&repository(&store), &id, 2).await.unwrap();
    let outcome = add(&one, &id, 3).await;
    let is_conflict = matches!(
        outcome,
        Err(ExecuteError::Store(StoreError::Conflict { .. }))
    );
    assert!(is_conflict, "{outcome:?}");
    add(&one, &id, 4).await.unwrap();
    assert_eq!(one.load(&id).await.unwrap().total, 7);
}

/// A refusal from memory is confirmed against the store: what another process allowed meanwhile is allowed.
pub async fn a_refusal_on_a_stale_aggregate_is_confirmed_first(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let (one, other) = (repository(&store), repository(&elsewhere));
    let id = Id::new();
    execute(&one, &id, SetLimit { limit: 10 }).await.unwrap();
    assert!(matches!(
        add(&one, &id, 50).await,
        Err(ExecuteError::Refused(_))
    ));
    execute(&other, &id, SetLimit { limit: 100 }).await.unwrap();
    add(&one, &id, 50).await.unwrap();
}

/// So is an acceptance that changes nothing.
pub async fn an_acceptance_without_change_is_confirmed_first(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let (one, other) = (repository(&store), repository(&elsewhere));
    let id = Id::new();
    execute(&one, &id, SetLimit { limit: 10 }).await.unwrap();
    let unchanged = execute(&one, &id, SetLimit { limit: 10 }).await.unwrap();
    assert_eq!((unchanged.events().len(), unchanged.version()), (0, 1));
    execute(&other, &id, SetLimit { limit: 20 }).await.unwrap();
    let changed = execute(&one, &id, SetLimit { limit: 10 }).await.unwrap();
    assert_eq!((changed.events().len(), changed.version()), (1, 3));
}

/// An event that the machine does not declare for the command is refused before anything is stored.
pub async fn an_undeclared_event_stores_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    let outcome = add(&counters, &id, UNDECLARED).await;
    let is_undeclared = matches!(
        outcome,
        Err(ExecuteError::UndeclaredEvent {
            state: "Counting",
            command: "Add",
            event: "Closed"
        })
    );
    assert!(is_undeclared, "{outcome:?}");
    assert_eq!(everything(&store).await, []);
}

/// A command for which the present state has no edge is refused by the machine.
pub async fn a_command_without_an_edge_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let id = Id::new();
    execute(&counters, &id, Close).await.unwrap();
    let outcome = add(&counters, &id, 1).await;
    let is_refused = matches!(
        outcome,
        Err(ExecuteError::NotAccepted {
            state: "Closed",
            command: "Add",
            ..
        })
    );
    assert!(is_refused, "{outcome:?}");
}

/// A load from a snapshot gives what a load of the whole history gives.
pub async fn a_snapshot_plus_the_rest_is_the_whole(provider: impl Provider) {
    let store = provider.open().await;
    let counters = builder(&store).snapshot_threshold(4).build();
    let id = Id::new();
    let key = AggregateKey::of::<Counter>(&id).unwrap();
    for amount in 1..=10 {
        add(&counters, &id, amount).await.unwrap();
        let from_snapshot = repository(&store).load(&id).await.unwrap();
        let whole = builder(&store)
            .without_snapshots()
            .build()
            .load(&id)
            .await
            .unwrap();
        assert_eq!(*from_snapshot, *whole);
        assert_eq!((whole.version(), whole.total), (amount, (1..=amount).sum()));
        assert_eq!(from_snapshot.head(), whole.head());
    }
    let tag = tag_of(&store, &key).await;
    assert_eq!(
        store
            .get_latest_snapshot(&key, tag)
            .await
            .unwrap()
            .unwrap()
            .version,
        8
    );
}

/// A snapshot whose event is not in the history, or whose bytes do not decode, changes no answer.
pub async fn a_snapshot_that_does_not_fit_is_ignored(provider: impl Provider) {
    let store = provider.open().await;
    let counters = builder(&store).snapshot_threshold(2).build();
    let (id, other) = (Id::new(), Id::new());
    for amount in [1, 2, 3] {
        add(&counters, &id, amount).await.unwrap();
        add(&counters, &other, amount * 100).await.unwrap();
    }
    let key = AggregateKey::of::<Counter>(&id).unwrap();
    let tag = tag_of(&store, &key).await;
    let foreign = AggregateKey::of::<Counter>(&other).unwrap();
    let foreign = store
        .get_latest_snapshot(&foreign, tag)
        .await
        .unwrap()
        .unwrap();
    let fitting = store.get_latest_snapshot(&key, tag).await.unwrap().unwrap();
    let unreadable = Snapshot {
        state: vec![0xff; 9].into(),
        version: 3,
        ..fitting.clone()
    };
    let too_new = Snapshot {
        version: 77,
        ..fitting
    };
    for snapshot in [foreign, unreadable, too_new] {
        store.save_snapshot(&key, snapshot).await.unwrap();
        let loaded = repository(&store).load(&id).await.unwrap();
        assert_eq!((loaded.version(), loaded.total), (3, 6));
    }
}

/// The tag under which the repository keeps snapshots of counters.
async fn tag_of(store: &impl SnapshotStore, key: &AggregateKey) -> u64 {
    let tag = crate::repository::snapshot_tag::<Counter>();
    assert!(
        store.get_latest_snapshot(key, tag).await.unwrap().is_some(),
        "no snapshot was written"
    );
    tag
}

/// An aggregate loads as it was after a version, at a time, and after an event.
pub async fn an_aggregate_loads_as_it_was(provider: impl Provider) {
    let store = provider.open().await;
    let id = Id::new();
    let second = |n: i64| Timestamp::from_micros(1_767_225_600_000_000 + n * 1_000_000);
    let mut cids = Vec::new();
    for number in 1..=6_i64 {
        let clock = FixedClock(second(number * 10));
        let counters = builder(&store).clock(clock).snapshot_threshold(4).build();
        let commit = add(&counters, &id, number as u64).await.unwrap();
        cids.push(commit.events()[0].cid);
    }
    let counters = repository(&store);
    let total = async |at: At| counters.load_at(&id, at).await.map(|root| root.total);
    for version in 0..=6_u64 {
        let expected = (1..=version).sum::<u64>();
        assert_eq!(total(At::Version(version)).await.unwrap(), expected);
        assert_eq!(
            total(At::Time(second(version as i64 * 10))).await.unwrap(),
            expected
        );
        assert_eq!(
            total(At::Time(second(version as i64 * 10 + 9)))
                .await
                .unwrap(),
            expected
        );
        if version > 0 {
            assert_eq!(
                total(At::Cid(cids[version as usize - 1])).await.unwrap(),
                expected
            );
        }
    }
    let past = total(At::Version(7)).await;
    assert!(
        matches!(
            past,
            Err(LoadError::NoSuchVersion {
                asked: 7,
                found: 6,
                ..
            })
        ),
        "{past:?}"
    );
    let elsewhere = add(&counters, &Id::new(), 1).await.unwrap().events()[0].cid;
    let foreign = total(At::Cid(elsewhere)).await;
    assert!(
        matches!(foreign, Err(LoadError::NoSuchEvent { .. })),
        "{foreign:?}"
    );
    let history = counters.history(&id).await.unwrap();
    let expected: Vec<_> = (1..=6)
        .map(|amount| CounterEvent::Added { amount })
        .collect();
    assert_eq!(
        history
            .iter()
            .map(|recorded| recorded.event.clone())
            .collect::<Vec<_>>(),
        expected
    );
}

/// Repositories on handles that were opened apart, each with its own memory, count together without a loss.
pub async fn repositories_on_two_handles_share_an_aggregate(provider: impl Provider) {
    const TASKS: u64 = 4;
    const EACH: u64 = 10;
    let handles = [provider.open().await, provider.open().await];
    let id = Id::new();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let counters = builder(&handles[task as usize % 2])
            .conflict_retries(1_000)
            .build();
        tasks.spawn(async move {
            for _ in 0..EACH {
                let identity = MessageIdentity::root(Uuid::now_v7(), None);
                for _ in 0..2 {
                    counters
                        .execute(&id, Add { amount: 1 }, &identity)
                        .await
                        .unwrap();
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task ends without a panic");
    }
    for store in &handles {
        let counter = repository(store).load(&id).await.unwrap();
        assert_eq!(
            (counter.version(), counter.total),
            (TASKS * EACH, TASKS * EACH)
        );
    }
}
