//! What commands promise on a store: through the repository, several of them, and after a restart.

use tokio::task::JoinSet;
use uuid::Uuid;

use super::Provider;
use super::counter::{
    CounterCommand, CounterError, TWICE, UNDECLARED, add, builder, execute, repository,
};
use super::sample::everything;
use crate::block::StoredEvent;
use crate::domain::aggregate::Id;
use crate::domain::message::MessageIdentity;
use crate::repository::{Commit, ExecuteError};
use crate::store::StoreError;

use CounterCommand::{Add, Close, SetLimit};

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

/// Repositories on handles that were opened apart, each with its own memory, count together without a loss.
pub async fn repositories_on_two_handles_share_an_aggregate(provider: impl Provider) {
    const TASKS: u64 = 4;
    const EACH: u64 = 10;
    let handles = [provider.open().await, provider.open().await];
    let id = Id::new();
    let patient = |task: u64| {
        let store = &handles[task as usize % 2];
        builder(store).conflict_retries(1_000).build()
    };
    let counters: Vec<_> = (0..TASKS).map(patient).collect();
    // In turns first: each finds that another went on from what it remembers.
    for _ in 0..2 {
        for counters in &counters {
            add(counters, &id, 1).await.unwrap();
        }
    }
    let mut tasks = JoinSet::new();
    for counters in counters {
        tasks.spawn(async move {
            for _ in 2..EACH {
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
