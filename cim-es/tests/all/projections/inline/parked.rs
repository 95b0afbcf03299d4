//! A view that cannot count an event fails nobody: it is parked, in the transaction that stores the event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::projection::{
    DocumentsView, ProjectDocuments, ProjectionError, ProjectionManager, ViewId, ViewState,
    WaitError,
};
use cim_es::store::read_model::{ReadModelStorage, ReadModelStorageExt};

use super::{Kept, folded, held};
use crate::account::{Account, AccountEvent};
use crate::projections::{Card, LIMIT, commit, deposit, transfer};
use crate::sqlite_support::Directory;

#[tokio::test]
async fn an_event_that_is_refused_or_panicked_at_parks_the_view_before_its_commit_and_fails_nobody()
{
    for (amount, reason) in [
        (13, "13 is not counted"),
        (14, "the projection panicked: 14 is not counted"),
    ] {
        let kept = Kept::new().await;
        let (ann, ben) = (Id::new(), Id::new());
        let before = deposit(&kept.store, ann, 5).await;
        let parts = [
            (ann, vec![AccountEvent::Deposited { amount: 1 }]),
            (ben, vec![AccountEvent::Deposited { amount }]),
        ];
        let failing = commit(&kept.store, parts).await;
        // Who has the answer can know it.
        let status = kept.cards.status();
        let parked = status.parked().expect("it is parked");
        assert_eq!(parked.bookmark.position, failing);
        assert!(parked.reason.contains(reason), "{}", parked.reason);
        assert_eq!(status.up_to.position, before);
        let id = ViewId::new("cards", 1).unwrap();
        let record = kept.store.read_models().view(&id).await.unwrap().unwrap();
        assert_eq!(record.parked.as_ref(), Some(parked));

        // The others go on, and readers see how far it is.
        let last = transfer(&kept.store, ann, ben).await;
        let card = kept.cards.get(&ann).await.unwrap();
        assert_eq!((card.position, card.value.unwrap().sum), (before, 5));
        let refused = kept.cards.wait_for(last, LIMIT).await.unwrap_err();
        assert!(matches!(refused, WaitError::Parked { .. }), "{refused}");

        // It is tried again, and stops there again.
        kept.cards.resume().await.unwrap();
        let refused = kept.cards.wait_for(last, LIMIT).await.unwrap_err();
        assert!(matches!(refused, WaitError::Parked { .. }), "{refused}");
        kept.cards.skip("an unlucky number", "Eve").await.unwrap();
        kept.cards.wait_for(last, LIMIT).await.unwrap();
        let last = transfer(&kept.store, ann, ben).await;
        let card = kept.cards.get(&ben).await.unwrap();
        assert_eq!((card.position, card.value.unwrap().sum), (last, 2));
        let skipped = kept.cards.status().skipped;
        assert_eq!(skipped.len(), 1);
        assert_eq!(
            (&*skipped[0].reason, &*skipped[0].by),
            ("an unlucky number", "Eve")
        );
        let record = kept.store.read_models().view(&id).await.unwrap().unwrap();
        assert_eq!((record.skipped, record.parked), (skipped, None));
        kept.store.check().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_view_parks_at_among_others_in_one_transaction_leaves_the_others_in_it() {
    let kept = Kept::new().await;
    let ids: Vec<Id<Account>> = (0..20).map(|_| Id::new()).collect();
    let all = ids.iter().enumerate().map(|(number, id)| {
        let amount = if number == 10 { 13 } else { 1 };
        deposit(&kept.store, *id, amount)
    });
    futures_util::future::join_all(all).await;
    let status = kept.cards.status();
    let parked = status.parked().expect("it is parked").bookmark.position;
    assert_eq!(status.up_to.position.0, parked.0 - 1);
    assert_eq!(held(&kept.cards).await.len() as u64, parked.0 - 1);
    kept.cards.skip("an unlucky number", "Eve").await.unwrap();
    kept.cards
        .wait_for(cim_es::store::Position(20), LIMIT)
        .await
        .unwrap();
    let mut expected = folded(&kept.store).await;
    expected.remove(&ids[10].to_string());
    assert_eq!(held(&kept.cards).await, expected);
}

/// Waits for a timer, or for nothing that ever comes, as long as it is not mended.
#[derive(Projection, Clone)]
#[projection(name = "slow", version = 1, events = [AccountEvent], documents = Card)]
struct Slow {
    is_mended: Arc<AtomicBool>,
    has_timer: bool,
}

impl ProjectDocuments<AccountEvent> for Slow {
    async fn project(
        &self,
        _: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let mut card = cards.get(&at.id()).await?.unwrap_or_default();
        match self.is_mended.load(Ordering::Relaxed) {
            true => {}
            false if self.has_timer => tokio::time::sleep(Duration::from_millis(1)).await,
            false => std::future::pending().await,
        }
        card.events += 1;
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_that_waits_for_something_else_parks_and_is_resumed_once_it_is_mended() {
    for has_timer in [true, false] {
        let directory = Directory::new();
        let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
        let manager = ProjectionManager::new(store.clone());
        let is_mended = Arc::new(AtomicBool::new(false));
        let slow = Slow {
            is_mended: Arc::clone(&is_mended),
            has_timer,
        };
        let view: DocumentsView<Card> = manager.inline_by(slow, &store).await.unwrap();
        let ann = Id::new();
        deposit(&store, ann, 1).await;
        let last = deposit(&store, ann, 1).await;
        let status = view.status();
        let said = &status.parked().expect("it is parked").reason;
        let is_said = said.contains("waits for something else than its documents")
            || said.contains("the projection panicked");
        assert!(is_said, "{said}");
        is_mended.store(true, Ordering::Relaxed);
        view.resume().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(view.status().state, ViewState::Live);
        assert_eq!(view.get(&ann).await.unwrap().value.unwrap().events, 2);
    }
}

#[tokio::test]
async fn a_view_that_is_parked_holds_up_no_other() {
    let kept = Kept::new().await;
    let slow = Slow {
        is_mended: Arc::new(AtomicBool::new(true)),
        has_timer: false,
    };
    let other = kept.manager.inline_by(slow, &kept.store).await.unwrap();
    let ann = Id::new();
    let last = deposit(&kept.store, ann, 13).await;
    assert!(kept.cards.status().parked().is_some());
    assert_eq!(other.get(&ann).await.unwrap().position, last);
    let last = deposit(&kept.store, ann, 1).await;
    let card = other.get(&ann).await.unwrap();
    assert_eq!((card.position, card.value.unwrap().events), (last, 2));
    let views = kept.store.read_models();
    assert_eq!(views.views("cards").await.unwrap().len(), 1);
    assert_eq!(views.views("slow").await.unwrap().len(), 1);
}
