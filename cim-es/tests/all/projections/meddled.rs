//! What somebody does to a view while it is at work: nothing is half counted, and it says what became of it.

use std::sync::Arc;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{
    ProjectDocuments, ProjectionError, ProjectionManager, SplitView, ViewId, WaitError,
};
use cim_es::store::Position;
use cim_es::store::read_model::ReadModelStorage;
use tokio::sync::Semaphore;

use super::{
    Balances, Card, Cards, LIMIT, Storage, all_cards, commit, deposit, on_each_storage, open_cards,
    until,
};
use crate::account::{Account, AccountEvent};

const LEASE: Duration = Duration::from_millis(300);

/// Counts an event where it may.
#[derive(Projection, Clone)]
#[projection(name = "slow", version = 1, events = [AccountEvent], documents = Card)]
struct Slow {
    may_count: Arc<Semaphore>,
}

impl Slow {
    fn new(may_count: usize) -> Self {
        let may_count = Arc::new(Semaphore::new(may_count));
        Self { may_count }
    }
}

impl ProjectDocuments<AccountEvent> for Slow {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        self.may_count.acquire().await?.forget();
        Cards.project(event, at, cards).await
    }
}

async fn filled(store: &MemoryEventStore, ids: &[Id<Account>]) -> Position {
    let mut last = Position::START;
    for id in ids {
        last = deposit(store, *id, 1).await;
    }
    last
}

/// Another manager opens the view, which then has counted one event of each account.
async fn the_next_counts_each_once(
    store: &MemoryEventStore,
    storage: &Storage,
    slow: Slow,
    (accounts, last): (usize, Position),
) {
    let next = ProjectionManager::new(store.clone());
    let opening = next.documents_by(slow, storage.clone());
    let view = opening.lease(LEASE).await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    let cards = all_cards(&view).await;
    assert_eq!(cards.len(), accounts);
    assert!(cards.iter().all(|card| card.events == 1));
}

#[tokio::test]
async fn a_view_that_is_removed_while_it_fills_says_so_and_is_built_anew_by_the_next() {
    on_each_storage(|store, storage| async move {
        let ids: Vec<_> = (0..40).map(|_| Id::new()).collect();
        let last = filled(&store, &ids).await;
        let slow = Slow::new(20);
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.documents_by(slow.clone(), storage.clone());
        let view = opening.lease(LEASE).await.unwrap();
        until(|| slow.may_count.available_permits() == 0).await;
        let id = ViewId::new("slow", 1).unwrap();
        storage.remove_view(&id).await.unwrap();
        slow.may_count.add_permits(1_000);
        let refused = view.wait_for(last, LIMIT).await.unwrap_err();
        assert!(matches!(refused, WaitError::Stopped { .. }), "{refused}");
        assert!(
            refused.to_string().contains("what it kept was removed"),
            "{refused}"
        );

        the_next_counts_each_once(&store, &storage, slow, (ids.len(), last)).await;
    })
    .await;
}

#[tokio::test]
async fn a_handle_that_is_dropped_while_its_view_fills_leaves_it_to_the_next() {
    on_each_storage(|store, storage| async move {
        let ids: Vec<_> = (0..40).map(|_| Id::new()).collect();
        let last = filled(&store, &ids).await;
        let slow = Slow::new(20);
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.documents_by(slow.clone(), storage.clone());
        drop(opening.lease(LEASE).await.unwrap());
        until(|| slow.may_count.available_permits() == 0).await;
        drop(manager);
        slow.may_count.add_permits(1_000);
        the_next_counts_each_once(&store, &storage, slow, (ids.len(), last)).await;
    })
    .await;
}

/// The sums of some accounts in a view in parts.
async fn sums(view: &SplitView<Card>, ids: &[Id<Account>]) -> Vec<i64> {
    let mut sums = Vec::new();
    for id in ids {
        let card = view.get(id).await.unwrap().value;
        sums.push(card.map_or(0, |card| card.sum));
    }
    sums
}

#[tokio::test]
async fn an_event_that_is_skipped_within_a_commit_takes_no_other_of_it_along() {
    on_each_storage(|store, storage: Storage| async move {
        let (_manager, view) = open_cards(&store, &storage).await;
        let split = ProjectionManager::new(store.clone());
        let opening = split.documents_by(Unlucky, storage.clone()).lease(LEASE);
        let in_parts = opening.split().parts(2).await.unwrap();
        let memory = super::open::<Balances>(&(Arc::new(store.clone()) as _)).await;
        let (ann, ben, eve) = (Id::new(), Id::new(), Id::new());
        let parts = [
            (ann, vec![AccountEvent::Deposited { amount: 1 }]),
            (
                ben,
                vec![
                    AccountEvent::Deposited { amount: 2 },
                    AccountEvent::Deposited { amount: 13 },
                    AccountEvent::Deposited { amount: 3 },
                ],
            ),
            (eve, vec![AccountEvent::Deposited { amount: 4 }]),
        ];
        let last = commit(&store, parts).await;
        memory.wait_for(last, LIMIT).await.unwrap();
        until(|| view.status().parked().is_some()).await;
        view.skip("an unlucky number", "Eve").await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        let of = async |id| view.get(&id).await.unwrap().value.unwrap();
        let (ann_has, ben_has, eve_has) = (of(ann).await, of(ben).await, of(eve).await);
        assert_eq!((ann_has.sum, ben_has.sum, eve_has.sum), (1, 5, 4));
        assert_eq!(ben_has.events, 2);

        until(|| in_parts.status().parked().count() > 0).await;
        let parked = in_parts.parts().iter();
        for part in parked.filter(|part| part.status().parked().is_some()) {
            part.skip("an unlucky number", "Eve").await.unwrap();
        }
        in_parts.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(sums(&in_parts, &[ann, ben, eve]).await, [1, 5, 4]);
    })
    .await;
}

/// As `Cards`, under another name.
#[derive(Projection, Clone)]
#[projection(name = "unlucky", version = 1, events = [AccountEvent], documents = Card)]
struct Unlucky;

impl ProjectDocuments<AccountEvent> for Unlucky {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        Cards.project(event, at, cards).await
    }
}
