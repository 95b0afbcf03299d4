//! Views of documents: each event counts once, in whole commits, whoever counts.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::document::DocumentReader;
use cim_es::prelude::*;
use cim_es::projection::{OpenError, ProjectionManager, ViewId, ViewState, WaitError};
use cim_es::store::Position;
use cim_es::store::read_model::{
    Page, ReadModelError, ReadModelStorageExt, ViewDeclaration, ViewRecord,
};

use super::{
    Card, Cards, LIMIT, all_cards, commit, deposit, on_each_storage, open_cards, transfer, until,
    until_answered,
};
use crate::account::{Account, AccountEvent};

#[tokio::test]
async fn documents_are_read_by_key_and_found_by_an_index_each_with_its_position() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open_cards(&store, &storage).await;
        let (ann, ben) = (Id::new(), Id::new());
        deposit(&store, ann, 5).await;
        transfer(&store, ann, ben).await;
        let last = commit(&store, [(ben, vec![AccountEvent::Withdrawn { amount: 1 }])]).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let card = view.get(&ann).await.unwrap();
        assert_eq!(card.position, last);
        assert_eq!(
            card.value,
            Some(Card {
                sum: 4,
                events: 2,
                is_empty: false
            })
        );
        // Who only asks needs nothing but the storage.
        let reader = DocumentReader::<Card>::new(storage, "cards");
        let empty = reader
            .find("is_empty", &true, &Page::default())
            .await
            .unwrap();
        let keys: Vec<_> = empty
            .value
            .documents
            .into_iter()
            .map(|keyed| keyed.key)
            .collect();
        assert_eq!(keys, [ben.to_string()]);
        assert_eq!(reader.get(&Id::<Account>::new()).await.unwrap().value, None);
    })
    .await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_storage_is() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        for turn in 1..=3_i64 {
            let mut last = Position::START;
            for _ in 0..20 {
                last = deposit(&store, ann, 1).await;
            }
            let (manager, view) = open_cards(&store, &storage).await;
            view.wait_for(last, LIMIT).await.unwrap();
            let card = view.get(&ann).await.unwrap().value.unwrap();
            assert_eq!((card.sum, card.events), (20 * turn, 20 * turn as u64));
            assert_eq!(view.status().counted, 20);
            manager.stop().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lists_documents_all_the_time_never_sees_half_a_commit() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open_cards(&store, &storage).await;
        let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
        view.wait_for(transfer(&store, ids[0], ids[1]).await, LIMIT)
            .await
            .unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (asked, over) = (view.clone(), Arc::clone(&is_over));
        let reader = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let cards = all_cards(&asked).await;
                let sum: i64 = cards.iter().map(|card| card.sum).sum();
                let events: u64 = cards.iter().map(|card| card.events).sum();
                assert_eq!((sum, events % 2), (0, 0));
            }
        });
        let mut last = Position::START;
        for turn in 0..100 {
            last = transfer(&store, ids[turn % 4], ids[(turn + 1) % 4]).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        is_over.store(true, Ordering::Relaxed);
        reader.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_projection_refuses_or_panics_at_parks_the_view_before_the_commit_and_is_recorded() {
    on_each_storage(|store, storage| async move {
        let (ann, ben) = (Id::new(), Id::new());
        for (amount, reason) in [
            (13, "13 is not counted"),
            (14, "the projection panicked: 14 is not counted"),
        ] {
            let (manager, view) = open_cards(&store, &storage).await;
            until(|| view.status().state == ViewState::Live).await;
            let before = transfer(&store, ann, ben).await;
            view.wait_for(before, LIMIT).await.unwrap();
            let parts = [
                (ann, vec![AccountEvent::Deposited { amount: 1 }]),
                (ben, vec![AccountEvent::Deposited { amount }]),
                (ann, vec![]),
            ];
            let failing = commit(&store, parts.into_iter().take(2)).await;
            let last = transfer(&store, ben, ann).await;
            let refused = view.wait_for(last, LIMIT).await.unwrap_err();
            assert!(matches!(&refused, WaitError::Parked { .. }), "{refused}");
            assert!(refused.to_string().contains(reason), "{refused}");
            view.wait_for(before, LIMIT).await.unwrap();
            // The event before it, of the same commit, is not shown.
            let sums: i64 = all_cards(&view).await.iter().map(|card| card.sum).sum();
            assert_eq!(sums, i64::from(amount == 14));
            let record = storage
                .view(&ViewId::new("cards", 1).unwrap())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(record.parked.unwrap().bookmark.position, failing);
            manager.stop().await;

            // The next start tries again, and stops again.
            let (manager, view) = open_cards(&store, &storage).await;
            view.wait_for(last, LIMIT).await.unwrap_err();
            view.skip("an unlucky number", "Eve").await.unwrap();
            view.wait_for(last, LIMIT).await.unwrap();
            let record = storage
                .view(&ViewId::new("cards", 1).unwrap())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(record.parked, None);
            assert_eq!(record.skipped.last().unwrap().bookmark.position, failing);
            manager.stop().await;
        }
        let (_manager, view) = open_cards(&store, &storage).await;
        until(|| view.status().skipped.len() == 2).await;
        let sums: i64 = all_cards(&view).await.iter().map(|card| card.sum).sum();
        assert_eq!(sums, 2);
    })
    .await;
}

#[tokio::test]
async fn of_two_programs_one_counts_and_the_other_takes_over_when_it_stops() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (first, view) = open_cards(&store, &storage).await;
        until(|| view.status().state == ViewState::Live).await;
        let (_second, other) = open_cards(&store, &storage).await;
        until(|| other.status().state == ViewState::Standby).await;
        let mut last = deposit(&store, ann, 1).await;
        // It is as far as the one that counts, and cannot be told what that one is to do.
        other.wait_for(last, LIMIT).await.unwrap();
        other.rebuild().await.unwrap_err();
        first.stop().await;
        last = Position(last.0.max(deposit(&store, ann, 1).await.0));
        other.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(other.status().counted, 1);
        let card = other.get(&ann).await.unwrap().value.unwrap();
        assert_eq!((card.sum, card.events), (2, 2));
    })
    .await;
}

#[test]
fn when_the_program_that_counts_is_gone_without_a_word_another_takes_over_within_the_lease() {
    let (store, storage) = (MemoryEventStore::new(), cim_es::MemoryReadModels::new());
    let storage: super::Storage = Arc::new(storage);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_time().build().unwrap()
    };
    let (gone, ann) = (runtime(), Id::new());
    let view = gone.block_on(async {
        let (_manager, view) = open_cards(&store, &storage).await;
        view.wait_for(deposit(&store, ann, 1).await, LIMIT)
            .await
            .unwrap();
        view
    });
    gone.shutdown_background();
    runtime().block_on(async {
        until(|| matches!(view.status().state, ViewState::Stopped { .. })).await;
        let (_manager, other) = open_cards(&store, &storage).await;
        let last = deposit(&store, ann, 1).await;
        other.wait_for(last, LIMIT).await.unwrap();
        let card = other.get(&ann).await.unwrap().value.unwrap();
        assert_eq!((card.sum, card.events), (2, 2));
    });
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [AccountEvent::{Deposited}], documents = Card)]
struct OtherCards;

impl cim_es::projection::ProjectDocuments<AccountEvent> for OtherCards {
    async fn project(
        &self,
        _: AccountEvent,
        _: &Source<'_, Account>,
        _: &mut Documents<'_, Card>,
    ) -> Result<(), cim_es::projection::ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_declaration_that_changed_under_the_same_version_is_refused_and_says_to_raise_it() {
    on_each_storage(|store, storage| async move {
        open_cards(&store, &storage).await.0.stop().await;
        let manager = ProjectionManager::new(store);
        let refused = manager.documents::<OtherCards>(storage).await.unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::Storage(ReadModelError::DeclarationChanged { .. })
        );
        assert!(is_it, "{refused}");
        assert!(
            refused
                .to_string()
                .contains("raise the version of the projection"),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn documents_that_are_built_again_come_out_the_same() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open_cards(&store, &storage).await;
        let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
        let mut last = Position::START;
        for turn in 0..50 {
            last = transfer(&store, ids[turn % 4], ids[(turn + 1) % 4]).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        let before = all_cards(&view).await;
        view.rebuild().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(all_cards(&view).await, before);
        assert_eq!(
            view.status().rebuilt.as_deref(),
            Some("a person asked for it")
        );
    })
    .await;
}

#[tokio::test]
async fn documents_of_another_history_are_built_again() {
    on_each_storage(|store, storage| async move {
        let (manager, view) = open_cards(&store, &storage).await;
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, Id::new(), 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        manager.stop().await;

        let (restored, ann) = (MemoryEventStore::new(), Id::new());
        let last = deposit(&restored, ann, 7).await;
        let (_manager, view) = open_cards(&restored, &storage).await;
        until(|| view.status().rebuilt.is_some()).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let cards = all_cards(&view).await;
        assert_eq!(
            cards,
            [Card {
                sum: 7,
                events: 1,
                is_empty: false
            }]
        );
        let line = view.status().to_string();
        assert!(
            line.contains("built again: the store in memory has another history"),
            "{line}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_view_that_is_built_for_the_first_time_says_that_it_cannot_be_asked_yet() {
    on_each_storage(|_, storage| async move {
        let reader = DocumentReader::<Card>::new(storage, Cards::NAME);
        let refused = reader.get("4711").await.unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("no version of view `cards` can be asked yet"),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_view_that_stops_before_it_was_level_says_so_where_it_is_read() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        deposit(&store, ann, 1).await;
        let refused = deposit(&store, ann, 13).await;
        let (_manager, view) = open_cards(&store, &storage).await;
        until(|| view.status().parked().is_some()).await;
        // Another program, which knows nothing of the view but its name.
        let view_storage = storage.clone();
        let reader = DocumentReader::<Card>::new(storage, Cards::NAME);
        let said = reader.get(&ann).await.unwrap_err().to_string();
        assert!(
            said.contains("`cards v1` is parked before bank.account.deposited at position 2: 13 is not counted"),
            "{said}"
        );
        view.skip("thirteen is not counted", "Eve").await.unwrap();
        view.wait_for(refused, LIMIT).await.unwrap();
        assert_eq!(reader.get(&ann).await.unwrap().value.unwrap().sum, 1);

        deposit(&store, ann, 13).await;
        until(|| view.status().parked().is_some()).await;
        // It was level, so it answers with what it has.
        assert_eq!(reader.get(&ann).await.unwrap().position, refused);
        view.rebuild().await.unwrap();
        until(|| view.status().up_to.position == refused && view.status().parked().is_some()).await;
        // It comes no further than before, and what it was before still answers.
        let reader = DocumentReader::<Card>::new(view_storage, Cards::NAME);
        let card = reader.get(&ann).await.unwrap();
        assert_eq!((card.value.unwrap().sum, card.position), (1, refused));
    })
    .await;
}

/// Stands before each event until it is let go on.
#[derive(Projection)]
#[projection(name = "held", version = 1, events = [AccountEvent], documents = Card)]
struct Held(Arc<tokio::sync::Semaphore>);

impl cim_es::projection::ProjectDocuments<AccountEvent> for Held {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), cim_es::projection::ProjectionError> {
        self.0.acquire().await?.forget();
        Cards.project(event, at, cards).await
    }
}

#[tokio::test]
async fn readers_are_answered_from_the_former_documents_while_they_are_built_again() {
    on_each_storage(|store, storage| async move {
        let manager = ProjectionManager::new(store.clone());
        let turns = Arc::new(tokio::sync::Semaphore::new(6_000));
        let held = Held(Arc::clone(&turns));
        let view = manager.documents_by(held, Arc::clone(&storage)).await;
        let view = view.unwrap();
        let mut last = Position::START;
        for _ in 0..5_000 {
            last = deposit(&store, Id::new(), 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        let reader = DocumentReader::<Card>::new(Arc::clone(&storage), Held::NAME);
        let page = Page::first(10);
        let former = reader.list(&page).await.unwrap();
        assert_eq!(former.position, last);

        // The first two thousand are stored, two more are on their way, and the last are not made.
        turns.forget_permits(usize::MAX);
        view.rebuild().await.unwrap();
        turns.add_permits(4_400);
        until(|| view.status().up_to.position >= Position(2_000)).await;
        assert_eq!(reader.list(&page).await.unwrap(), former);
        assert!(matches!(view.status().state, ViewState::CatchingUp));
        turns.add_permits(600);
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(reader.list(&page).await.unwrap(), former);

        // Of the two builds the former is gone, and a third takes the place of the second.
        let builds = |views: Vec<ViewRecord>| views.into_iter().map(|it| it.view.build());
        let views = storage.views(Held::NAME).await.unwrap();
        assert_eq!(builds(views).collect::<Vec<_>>(), [1]);
        turns.add_permits(5_000);
        view.rebuild().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(reader.list(&page).await.unwrap(), former);
        let views = storage.views(Held::NAME).await.unwrap();
        assert_eq!(builds(views).collect::<Vec<_>>(), [2]);
    })
    .await;
}

#[tokio::test]
async fn a_build_beside_is_gone_on_with_by_the_next_program_and_followed_by_one_that_waits() {
    on_each_storage(|store, storage| async move {
        let by = |manager: &ProjectionManager| {
            let opening = manager.documents::<Cards>(Arc::clone(&storage));
            opening.lease(Duration::from_millis(400)).into_future()
        };
        let builds = || async {
            let views = storage.views(Cards::NAME).await.unwrap();
            let builds = views.into_iter().map(|it| (it.view.build(), it.is_serving));
            builds.collect::<Vec<_>>()
        };
        let (manager, view) = open_cards(&store, &storage).await;
        let ann = Id::new();
        let last = deposit(&store, ann, 5).await;
        view.wait_for(last, LIMIT).await.unwrap();
        manager.stop().await;

        // A program that was killed before the build beside had counted anything.
        let former = storage.serving(Cards::NAME).await.unwrap().unwrap();
        let again = former.view.rebuilt();
        let declared = ViewDeclaration::new(again, former.fingerprint).settled_up_to(last);
        storage.open_view(&declared).await.unwrap();
        assert_eq!(builds().await, [(0, true), (1, false)]);
        let manager = ProjectionManager::new(store.clone());
        let view = by(&manager).await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        until_answered(|| async { builds().await == [(1, true)] }).await;
        assert_eq!(view.get(&ann).await.unwrap().value.unwrap().sum, 5);

        // One that waits follows the build that takes the place of what it waits for.
        let waiting = ProjectionManager::new(store.clone());
        let other = by(&waiting).await.unwrap();
        until(|| matches!(other.status().state, ViewState::Standby)).await;
        view.rebuild().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        until_answered(|| async { builds().await == [(2, true)] }).await;
        manager.stop().await;
        let last = deposit(&store, ann, 6).await;
        other.wait_for(last, LIMIT).await.unwrap();
        let card = other.get(&ann).await.unwrap();
        assert_eq!((card.value.unwrap().sum, card.position), (11, last));
        assert_eq!(builds().await, [(2, true)]);
    })
    .await;
}

static TRIES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[derive(Projection)]
#[projection(name = "refused", version = 1, events = [AccountEvent], documents = Card)]
struct Refused;

impl cim_es::projection::ProjectDocuments<AccountEvent> for Refused {
    async fn project(
        &self,
        _: AccountEvent,
        _: &Source<'_, Account>,
        _: &mut Documents<'_, Card>,
    ) -> Result<(), cim_es::projection::ProjectionError> {
        TRIES.fetch_add(1, Ordering::Relaxed);
        Err(cim_es::projection::ProjectionError::new("it is refused"))
    }
}

#[tokio::test]
async fn a_parked_view_stays_so_and_is_held_until_a_person_says_otherwise() {
    let (store, storage) = (MemoryEventStore::new(), cim_es::MemoryReadModels::new());
    deposit(&store, Id::new(), 1).await;
    let manager = ProjectionManager::new(store.clone());
    let lease = std::time::Duration::from_millis(300);
    let opening = manager.documents::<Refused>(storage.clone()).lease(lease);
    let view = opening.await.unwrap();
    until(|| view.status().parked().is_some()).await;
    tokio::time::sleep(2 * lease).await;
    assert_eq!(TRIES.load(Ordering::Relaxed), 1);
    let record = storage.view(view.id()).await.unwrap().unwrap();
    let now = cim_es::message::Clock::now(&cim_es::message::SystemClock);
    assert!(!record.held.unwrap().has_lapsed(now));
    view.resume().await.unwrap();
    until(|| TRIES.load(Ordering::Relaxed) == 2).await;
}
