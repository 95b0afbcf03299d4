//! A view of events that are given.

use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::projection::{ProjectionManager, RebuildError};
use cim_es::store::{EventStore, EventStoreExt, Position, TryStreamExt};

use super::{Balances, LIMIT, deposit, on_each_store, open, transfer};
use crate::account::{Account, AccountEvent};

async fn everything(store: &dyn EventStore) -> Vec<StoredEvent> {
    let events = store.read_all(Position::START);
    events.try_collect().await.expect("it reads")
}

#[tokio::test]
async fn a_view_of_the_events_of_a_store_is_the_one_that_is_kept_of_it() {
    on_each_store(|store| async move {
        let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
        let mut last = Position::START;
        for turn in 0..300 {
            last = transfer(&*store, ids[turn % 4], ids[(turn + 1) % 4]).await;
        }
        let kept = open::<Balances>(&store).await;
        kept.wait_for(last, LIMIT).await.unwrap();
        let kept = kept.read(Balances::clone).await.unwrap();
        let events = everything(&*store).await;
        let given = ProjectionManager::rebuild::<Balances>(&events).await;
        let given = given.unwrap();
        assert_eq!(given.value, kept.value);
        assert_eq!(given.position, last);
        // An event that the view does not take is the last: the view is true up to there all the same.
        assert_eq!(given.value.events, 600);
    })
    .await;
}

#[tokio::test]
async fn a_part_of_the_events_gives_what_they_make_and_up_to_where() {
    let store = MemoryEventStore::new();
    let ann = Id::new();
    for _ in 0..5 {
        deposit(&store, ann, 1).await;
    }
    let events = everything(&store).await;
    let given = ProjectionManager::rebuild::<Balances>(events[1..3].to_vec()).await;
    let given = given.unwrap();
    assert_eq!((given.value.sum(), given.position), (2, Position(3)));
    let none = ProjectionManager::rebuild::<Balances>(&[]).await.unwrap();
    assert_eq!((none.value.sum(), none.position), (0, Position::START));
}

#[tokio::test]
async fn events_that_are_not_in_order_or_come_twice_are_refused() {
    let store = MemoryEventStore::new();
    for _ in 0..3 {
        deposit(&store, Id::new(), 1).await;
    }
    let events = everything(&store).await;
    for (order, position, before) in [([0, 2, 1], 2, 3), ([0, 1, 1], 2, 2)] {
        let given = order.map(|at: usize| events[at].clone());
        let refused = ProjectionManager::rebuild::<Balances>(given).await;
        let expected = RebuildError::OutOfOrder {
            name: "balances",
            position: Position(position),
            before: Position(before),
        };
        assert_eq!(refused.unwrap_err(), expected);
    }
}

/// Refuses an amount of 13 by a panic.
#[derive(Projection, Debug, Default)]
#[projection(name = "superstitious", version = 1, events = [AccountEvent])]
struct Superstitious;

impl Project<AccountEvent> for Superstitious {
    fn project(&mut self, event: AccountEvent, at: &Source<Account>) {
        assert!(!at.is_new(), "what was done outside is not done again");
        if let AccountEvent::Deposited { amount: 13 } = event {
            panic!("thirteen is not counted");
        }
    }
}

#[tokio::test]
async fn an_event_that_the_projection_cannot_take_is_named_with_the_reason() {
    let store = MemoryEventStore::new();
    deposit(&store, Id::new(), 1).await;
    deposit(&store, Id::new(), 13).await;
    let events = everything(&store).await;
    let refused = ProjectionManager::rebuild::<Superstitious>(&events).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(
            &refused,
            RebuildError::Refused {
                position: Position(2),
                ..
            }
        ),
        "{refused}"
    );
    let said = refused.to_string();
    for part in [
        "`bank.account.deposited` at position 2",
        "thirteen is not counted",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
