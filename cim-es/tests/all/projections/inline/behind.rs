//! A view that is behind says so, and is brought level.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cim_es::SqliteEventStore;
use cim_es::document::{DocumentError, DocumentReader};
use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager, ViewState};
use cim_es::store::EventStore;
use cim_es::store::read_model::ReadModelStorage;

use super::{Kept, folded, held};
use crate::account::{Account, AccountEvent};
use crate::projections::{Card, Cards, LIMIT, deposit, transfer, until};
use crate::sqlite_support::Directory;

/// The second version counts double.
#[derive(Projection)]
#[projection(name = "cards", version = 2, events = [AccountEvent], documents = Card)]
struct DoubleCards;

impl ProjectDocuments<AccountEvent> for DoubleCards {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let AccountEvent::Deposited { amount } = event else {
            return Ok(());
        };
        let mut card = cards.get(&at.id()).await?.unwrap_or_default();
        card.sum += 2 * amount as i64;
        // Counted where it is done for the first time.
        card.events += u64::from(at.is_new());
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_is_new_is_built_beside_the_commits_that_go_on_and_answers_once_it_is_level() {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..400 {
        transfer(&store, ann, ben).await;
    }
    let reader = DocumentReader::<Card>::new(store.read_models(), "cards");
    let refused = reader.get(&ann).await.unwrap_err();
    assert!(
        matches!(refused, DocumentError::NotServing { .. }),
        "{refused}"
    );

    let is_over = Arc::new(AtomicBool::new(false));
    let (writing, over) = (store.clone(), Arc::clone(&is_over));
    let writer = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            transfer(&writing, ben, ann).await;
        }
    });
    let manager = ProjectionManager::new(store.clone());
    let cards = manager.inline::<Cards>(&store).await.unwrap();
    until(|| cards.status().state == ViewState::Live).await;
    for _ in 0..20 {
        let last = transfer(&store, ann, ben).await;
        assert!(cards.get(&ann).await.unwrap().position >= last);
    }
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert_eq!(held(&cards).await, folded(&store).await);
    assert_eq!(
        cards.status().counted,
        store.last_position().await.unwrap().0
    );
}

#[tokio::test]
async fn where_a_program_writes_without_the_view_it_says_where_it_is_and_is_brought_level_soon() {
    let kept = Kept::new().await;
    let without = SqliteEventStore::open(kept.path()).unwrap();
    let reader = DocumentReader::<Card>::new(without.read_models(), "cards");
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..5 {
        let before = deposit(&kept.store, ann, 1).await;
        let mut last = before;
        for _ in 0..3 {
            last = transfer(&without, ben, ann).await;
        }
        let card = reader.get(&ann).await.unwrap();
        assert!(card.position >= before && card.position <= last);
        // The next commit that keeps it counts what is missing along.
        let last = deposit(&kept.store, ann, 1).await;
        assert_eq!(reader.get(&ann).await.unwrap().position, last);
        // Else it is looked for.
        let last = transfer(&without, ben, ann).await;
        kept.cards.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(reader.get(&ann).await.unwrap().position, last);
    }
    // So much that no commit is to wait for it.
    for _ in 0..300 {
        transfer(&without, ben, ann).await;
    }
    let last = deposit(&kept.store, ann, 1).await;
    kept.cards.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
}

#[tokio::test]
async fn two_programs_that_keep_one_view_count_each_event_once() {
    let kept = Kept::new().await;
    let other = SqliteEventStore::open(kept.path()).unwrap();
    let manager = ProjectionManager::new(other.clone());
    let cards = manager.inline::<Cards>(&other).await.unwrap();
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..40 {
        for (store, cards) in [(&kept.store, &cards), (&other, &kept.cards)] {
            let last = transfer(store, ann, ben).await;
            assert_eq!(cards.get(&ann).await.unwrap().position, last);
        }
    }
    assert_eq!(held(&cards).await, folded(&other).await);
    until(|| cards.status().up_to.position.0 == 240).await;
    manager.stop().await;
    let last = transfer(&kept.store, ann, ben).await;
    assert_eq!(kept.cards.get(&ann).await.unwrap().position, last);
}

#[tokio::test]
async fn a_new_version_answers_once_it_is_level_and_the_one_before_is_gone() {
    let kept = Kept::new().await;
    let ann = Id::new();
    for _ in 0..300 {
        deposit(&kept.store, ann, 1).await;
    }
    // The program of the next release, while this one still runs.
    let other = SqliteEventStore::open(kept.path()).unwrap();
    let manager = ProjectionManager::new(other.clone());
    let double = manager.inline::<DoubleCards>(&other).await.unwrap();
    let last = deposit(&other, ann, 1).await;
    double.wait_for(last, LIMIT).await.unwrap();
    let card = double.get(&ann).await.unwrap();
    let value = card.value.unwrap();
    assert_eq!((card.position, value.sum), (last, 602));
    assert!(value.events <= 1, "{} were done again", value.events);
    let versions = other.read_models().views("cards").await.unwrap();
    assert_eq!(versions.len(), 1);
    // The former one is gone, and fails no commit of its program.
    let last = deposit(&kept.store, ann, 1).await;
    double.wait_for(last, LIMIT).await.unwrap();
    until(|| {
        kept.cards
            .status()
            .to_string()
            .contains("a later version took over")
    })
    .await;
    assert_eq!(double.get(&ann).await.unwrap().value.unwrap().sum, 604);
    let former = DocumentReader::<Card>::new(kept.store.read_models(), "cards");
    assert_eq!(former.get(&ann).await.unwrap().value.unwrap().sum, 604);
}

#[tokio::test]
async fn a_view_that_is_built_again_comes_out_the_same() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..200 {
        transfer(&kept.store, ann, ben).await;
    }
    let before = held(&kept.cards).await;
    kept.cards.rebuild().await.unwrap();
    kept.cards
        .wait_for(cim_es::store::Position(600), LIMIT)
        .await
        .unwrap();
    assert_eq!(held(&kept.cards).await, before);
    let last = transfer(&kept.store, ann, ben).await;
    assert_eq!(kept.cards.get(&ann).await.unwrap().position, last);
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
}

/// Refuses the event at a position, as long as that is not 0.
#[derive(Projection, Clone, Default)]
#[projection(name = "choosy", version = 1, events = [AccountEvent], documents = Card)]
struct Choosy {
    refused: Arc<AtomicU64>,
}

impl ProjectDocuments<AccountEvent> for Choosy {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        match at.position().0 == self.refused.load(Ordering::Relaxed) {
            true => Err(ProjectionError::new("not this one")),
            false => Cards.project(event, at, cards).await,
        }
    }
}

#[tokio::test]
async fn a_view_that_is_built_again_answers_as_it_was_until_it_is_level_and_goes_on_after_an_end() {
    let directory = Directory::new();
    let choosy = Choosy::default();
    let open = async || {
        let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.inline_by(choosy.clone(), &store);
        (opening.await.unwrap(), store, manager)
    };
    let (cards, store, manager) = open().await;
    // Another program that keeps the view.
    let (elsewhere, other, _other_manager) = open().await;
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..20 {
        transfer(&store, ann, ben).await;
    }
    choosy.refused.store(40, Ordering::Relaxed);
    cards.rebuild().await.unwrap();
    until(|| cards.status().parked().is_some()).await;
    let sum = async || {
        let card = cards.get(&ben).await.unwrap();
        (card.position.0, card.value.unwrap().sum)
    };
    assert_eq!(sum().await, (60, 20));
    // The other one goes on with what answers.
    let last = transfer(&other, ann, ben).await;
    assert_eq!(elsewhere.get(&ben).await.unwrap().position, last);
    assert_eq!(sum().await, (63, 21));
    let builds = async || {
        let versions = other.read_models().views("choosy").await.unwrap();
        let builds = versions.iter().map(|it| (it.view.build(), it.is_serving));
        builds.collect::<Vec<_>>()
    };
    assert_eq!(builds().await, [(0, true), (1, false)]);

    manager.stop().await;
    let (cards, store, _manager) = open().await;
    until(|| cards.status().parked().is_some()).await;
    assert_eq!(cards.get(&ben).await.unwrap().position, last);
    choosy.refused.store(0, Ordering::Relaxed);
    cards.resume().await.unwrap();
    cards.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(builds().await, [(1, true)]);
    assert_eq!(held(&cards).await, folded(&store).await);
    // The other one turns to what answers now.
    let last = transfer(&other, ann, ben).await;
    elsewhere.wait_for(last, LIMIT).await.unwrap();
    let last = transfer(&other, ann, ben).await;
    assert_eq!(elsewhere.get(&ben).await.unwrap().position, last);
    assert_eq!(held(&elsewhere).await, folded(&store).await);
    assert_eq!(other.check().await.unwrap().events, last.0);
}

#[tokio::test]
async fn a_view_that_is_paused_stands_still_and_says_so() {
    let kept = Kept::new().await;
    let ann = Id::new();
    let before = deposit(&kept.store, ann, 1).await;
    kept.cards.pause().await.unwrap();
    let last = deposit(&kept.store, ann, 1).await;
    let card = kept.cards.get(&ann).await.unwrap();
    assert_eq!((card.position, card.value.unwrap().sum), (before, 1));
    assert_eq!(kept.cards.status().state, ViewState::Paused);
    kept.cards.resume().await.unwrap();
    kept.cards.wait_for(last, LIMIT).await.unwrap();
    let last = deposit(&kept.store, ann, 1).await;
    assert_eq!(kept.cards.get(&ann).await.unwrap().position, last);
}
