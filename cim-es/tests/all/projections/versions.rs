//! A new version of a view is built beside the one that answers, and takes over in one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cim_es::document::{DocumentError, DocumentReader};
use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, ProjectDocuments, ProjectionError, ProjectionManager, ViewId, ViewState,
};
use cim_es::store::Position;
use cim_es::store::read_model::{ReadModelStorage, ReadModelStorageExt};

use super::{Card, LIMIT, Storage, deposit, on_each_storage, open_cards, until, until_answered};
use crate::account::{Account, AccountEvent};

/// The second version counts double. What it does outside, it notes; before position `waits_at` it waits for `may_go_on`.
#[derive(Projection, Clone)]
#[projection(name = "cards", version = 2, events = [AccountEvent], documents = Card)]
struct DoubleCards {
    outside: Arc<AtomicU64>,
    may_go_on: Arc<tokio::sync::Semaphore>,
}

impl DoubleCards {
    fn new(may_take: usize) -> Self {
        Self {
            outside: Arc::default(),
            may_go_on: Arc::new(tokio::sync::Semaphore::new(may_take)),
        }
    }
}

impl ProjectDocuments<AccountEvent> for DoubleCards {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        self.may_go_on.acquire().await?.forget();
        let AccountEvent::Deposited { amount } = event else {
            return Ok(());
        };
        if at.is_new() {
            self.outside.fetch_add(1, Ordering::Relaxed);
        }
        let mut card = cards.get(&at.id()).await?.unwrap_or_default();
        card.sum += 2 * amount as i64;
        card.events += 1;
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

async fn versions(storage: &Storage) -> Vec<(u32, bool)> {
    let views = storage.views("cards").await.unwrap();
    views
        .iter()
        .map(|record| (record.view.version(), record.is_serving))
        .collect()
}

#[tokio::test]
async fn a_new_version_answers_when_it_is_level_and_the_one_before_is_gone() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (_former, view) = open_cards(&store, &storage).await;
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, ann, 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        let elsewhere = DocumentReader::<Card>::new(storage.clone(), "cards");
        let sum = async || elsewhere.get(&ann).await.unwrap().value.unwrap().sum;
        assert_eq!(sum().await, 5);

        // It has to wait in the middle, and the former one goes on to answer.
        let double = DoubleCards::new(3);
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.documents_by(double.clone(), storage.clone());
        let new = opening.lease(Duration::from_millis(300)).await.unwrap();
        until(|| double.may_go_on.available_permits() == 0).await;
        last = deposit(&store, ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(sum().await, 6);
        assert_eq!(versions(&storage).await, [(1, true), (2, false)]);

        double.may_go_on.add_permits(1_000);
        new.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(new.get(&ann).await.unwrap().value.unwrap().sum, 12);
        until(|| matches!(view.status().state, ViewState::Stopped { .. })).await;
        let line = view.status().to_string();
        assert!(line.contains("a later version took over"), "{line}");
        assert_eq!(versions(&storage).await, [(2, true)]);
        let followed = async {
            while sum().await != 12 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, followed).await.unwrap();
        // What the former version had done with is not done again.
        assert_eq!(double.outside.load(Ordering::Relaxed), 0);
        last = deposit(&store, ann, 1).await;
        new.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(double.outside.load(Ordering::Relaxed), 1);

        // The older program does not bring its version back.
        let refused = ProjectionManager::new(store.clone())
            .documents::<super::Cards>(storage.clone())
            .await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpenError::Superseded { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_new_version_that_was_ended_in_between_goes_on_and_keeps_the_former_one_where_that_is_wanted()
 {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (former, view) = open_cards(&store, &storage).await;
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, ann, 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        former.stop().await;

        let manager = ProjectionManager::new(store.clone());
        let double = DoubleCards::new(2);
        let opening = manager.documents_by(double.clone(), storage.clone());
        let new = opening.lease(Duration::from_millis(300)).await.unwrap();
        until(|| double.may_go_on.available_permits() == 0).await;
        drop((new, manager));
        double.may_go_on.close();

        let manager = ProjectionManager::new(store.clone());
        let double = DoubleCards::new(1_000);
        let opening = manager.documents_by(double.clone(), storage.clone());
        let new = opening
            .lease(Duration::from_millis(300))
            .keep_former_versions()
            .await
            .unwrap();
        new.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(new.get(&ann).await.unwrap().value.unwrap().sum, 10);
        assert_eq!(versions(&storage).await, [(1, false), (2, true)]);
        let kept = storage
            .get(&ViewId::new("cards", 1).unwrap(), &ann.to_string())
            .await
            .unwrap();
        assert_eq!(kept.position, last);
        assert_eq!(double.outside.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test]
async fn a_version_that_was_made_of_another_history_answers_nobody_while_the_next_one_is_built() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (former, view) = open_cards(&store, &storage).await;
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, ann, 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        former.stop().await;

        // The former version is further than the store.
        let restored = MemoryEventStore::new();
        let last = deposit(&restored, ann, 7).await;
        let double = DoubleCards::new(0);
        let manager = ProjectionManager::new(restored.clone());
        let opening = manager.documents_by(double.clone(), storage.clone());
        let new = opening.lease(Duration::from_millis(300)).await.unwrap();
        let reader = DocumentReader::<Card>::new(storage.clone(), "cards");
        let is_hidden = async || {
            let answer = reader.get(&ann).await;
            matches!(answer, Err(DocumentError::NotServing { .. }))
        };
        until_answered(is_hidden).await;
        assert_eq!(versions(&storage).await, [(2, false)]);
        double.may_go_on.add_permits(1_000);
        new.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(reader.get(&ann).await.unwrap().value.unwrap().sum, 14);
    })
    .await;
}

#[tokio::test]
async fn the_former_version_goes_on_to_answer_where_the_next_one_never_gets_level() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (_former, view) = open_cards(&store, &storage).await;
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, ann, 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        // It refuses the first event.
        let double = DoubleCards::new(0);
        double.may_go_on.close();
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.documents_by(double, storage.clone());
        let new = opening.lease(Duration::from_millis(300)).await.unwrap();
        until(|| matches!(new.status().state, ViewState::Parked(_))).await;
        last = deposit(&store, ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let card = new.get(&ann).await.unwrap();
        assert_eq!((card.position, card.value.unwrap().sum), (last, 6));
        assert_eq!(versions(&storage).await, [(1, true), (2, false)]);
        let line = new.status().to_string();
        assert!(line.contains("`cards v1` answers"), "{line}");
    })
    .await;
}
