//! A view of documents in parts: several programs keep it, and each event counts once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cim_es::document::{DocumentError, DocumentReader, SplitReader};
use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, ProjectDocuments, ProjectionError, ProjectionManager, SplitView, ViewState,
};
use cim_es::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, UpTo, ViewChanges,
    ViewDeclaration, ViewId, ViewRecord,
};
use cim_es::store::{Location, Position};
use tokio::task::yield_now;

use super::{
    Card, Cards, LIMIT, Storage, deposit, on_each_storage, open_cards, transfer, until,
    until_answered,
};
use crate::account::{Account, AccountEvent};

const PARTS: u8 = 4;
const LEASE: Duration = Duration::from_millis(300);

async fn open(store: &MemoryEventStore, storage: &Storage) -> (ProjectionManager, SplitView<Card>) {
    let manager = ProjectionManager::new(store.clone());
    let opening = manager.documents::<Cards>(storage.clone()).lease(LEASE);
    let view = opening.split().parts(PARTS).await;
    (manager, view.expect("the view opens"))
}

/// All cards with their keys, a few at a time.
async fn all(reader: &SplitReader<Card>) -> Vec<(String, Card)> {
    let (mut cards, mut page) = (Vec::new(), Page::first(7));
    loop {
        let found = reader.list(&page).await.expect("the view answers").value;
        assert!(found.documents.len() <= page.limit());
        cards.extend(found.documents.into_iter().map(|it| (it.key, it.document)));
        match found.next {
            Some(next) => page = page.after(next),
            None => return cards,
        }
    }
}

/// What all accounts hold together.
async fn sum_of(reader: &SplitReader<Card>) -> i64 {
    all(reader).await.iter().map(|(_, card)| card.sum).sum()
}

/// So many accounts, each with a deposit of one, and the last of these.
async fn deposited(store: &MemoryEventStore, count: usize) -> (Vec<Id<Account>>, Position) {
    let ids: Vec<_> = (0..count).map(|_| Id::new()).collect();
    let mut last = Position::START;
    for id in &ids {
        last = deposit(store, *id, 1).await;
    }
    (ids, last)
}

#[tokio::test]
async fn documents_of_all_parts_are_read_found_and_listed_as_those_of_one_view() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open(&store, &storage).await;
        let ids: Vec<Id<Account>> = (0..50).map(|_| Id::new()).collect();
        let mut last = Position::START;
        for (number, id) in ids.iter().enumerate() {
            last = deposit(&store, *id, 20 + number as u64).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        // Who only asks needs nothing but the storage.
        let reader = SplitReader::<Card>::new(storage.clone(), "cards");
        let cards = all(&reader).await;
        let mut keys: Vec<_> = ids.iter().map(|id| id.to_string()).collect();
        keys.sort();
        let found: Vec<_> = cards.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(found, keys);
        for (number, id) in ids.iter().enumerate() {
            let card = reader.get(id).await.unwrap().value.unwrap();
            assert_eq!((card.sum, card.events), (20 + number as i64, 1));
        }
        assert_eq!(reader.get(&Id::<Account>::new()).await.unwrap().value, None);
        let full = reader.find("is_empty", &false, &Page::first(10)).await;
        let full = full.unwrap().value;
        let first: Vec<_> = full.documents.into_iter().map(|it| it.key).collect();
        assert_eq!(
            (first.as_slice(), full.next.as_ref()),
            (&keys[..10], keys.get(9))
        );
        let status = view.status();
        assert_eq!(
            (status.kept_here(), status.counted()),
            (usize::from(PARTS), 50)
        );
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_parts_of_which_nothing_came_for_long_is_true_up_to_the_end() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open(&store, &storage).await;
        // All of one part.
        let id = Id::new();
        let mut last = Position::START;
        for _ in 0..5 {
            last = deposit(&store, id, 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        until_answered(|| async {
            let page = view.list(&Page::default()).await.unwrap();
            page.position == last
        })
        .await;
        // What comes behind that is counted by every part.
        for _ in 0..40 {
            last = deposit(&store, Id::new(), 1).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        let events: u64 = all(view.reader()).await.iter().map(|it| it.1.events).sum();
        assert_eq!(events, 45);
    })
    .await;
}

#[tokio::test]
async fn two_programs_share_the_parts_and_one_takes_over_those_of_the_other_when_it_stops() {
    on_each_storage(|store, storage| async move {
        let ids: Vec<Id<Account>> = (0..16).map(|_| Id::new()).collect();
        let (first, one) = open(&store, &storage).await;
        let mut last = Position::START;
        let count = async |turns: usize| {
            let mut last = Position::START;
            for turn in 0..turns {
                last = transfer(&store, ids[turn % 16], ids[(turn + 3) % 16]).await;
            }
            last
        };
        last = last.max(count(40).await);
        one.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(one.status().kept_here(), usize::from(PARTS));

        let (_second, other) = open(&store, &storage).await;
        until(|| (one.status().kept_here(), other.status().kept_here()) == (2, 2)).await;
        last = count(40).await;
        one.wait_for(last, LIMIT).await.unwrap();
        other.wait_for(last, LIMIT).await.unwrap();
        // Each transfer is three events.
        until(|| one.status().counted() + other.status().counted() == 240).await;
        assert!(other.status().counted() > 0);

        first.stop().await;
        last = count(40).await;
        other.wait_for(last, LIMIT).await.unwrap();
        until(|| other.status().kept_here() == usize::from(PARTS)).await;
        let cards = all(other.reader()).await;
        let (sum, events) = cards.iter().fold((0, 0), |(sum, events), (_, card)| {
            (sum + card.sum, events + card.events)
        });
        assert_eq!((cards.len(), sum, events), (16, 0, 240));
    })
    .await;
}

#[test]
fn the_parts_of_a_program_that_is_gone_without_a_word_are_taken_over_within_the_lease() {
    let (store, storage) = (MemoryEventStore::new(), cim_es::MemoryReadModels::new());
    let storage: Storage = Arc::new(storage);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_time().build().unwrap()
    };
    let ids: Vec<Id<Account>> = (0..16).map(|_| Id::new()).collect();
    let (gone, stays) = (runtime(), runtime());
    let (_manager, other) = stays.block_on(open(&store, &storage));
    let (_gone, view) = gone.block_on(open(&store, &storage));
    let shared = until(|| (view.status().kept_here(), other.status().kept_here()) == (2, 2));
    stays.block_on(shared);
    gone.shutdown_background();
    stays.block_on(async {
        let mut last = Position::START;
        for turn in 0..40 {
            last = transfer(&store, ids[turn % 16], ids[(turn + 3) % 16]).await;
        }
        other.wait_for(last, LIMIT).await.unwrap();
        let cards = all(other.reader()).await;
        let events: u64 = cards.iter().map(|(_, card)| card.events).sum();
        assert_eq!(events, 80);
        assert_eq!(other.status().kept_here(), usize::from(PARTS));
    });
}

/// The second version counts double. What it does outside, it notes.
#[derive(Projection, Clone, Default)]
#[projection(name = "cards", version = 2, events = [AccountEvent], documents = Card)]
struct DoubleCards {
    outside: Arc<AtomicU64>,
}

impl ProjectDocuments<AccountEvent> for DoubleCards {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        self.outside
            .fetch_add(at.is_new().into(), Ordering::Relaxed);
        Cards.project(event.clone(), at, cards).await?;
        Cards.project(event, at, cards).await
    }
}

mod third {
    use super::*;

    /// The third version counts as the first.
    #[derive(Projection, Clone, Default)]
    #[projection(name = "cards", version = 3, events = [AccountEvent], documents = Card)]
    pub struct ThirdCards {
        pub outside: Arc<AtomicU64>,
    }

    impl ProjectDocuments<AccountEvent> for ThirdCards {
        async fn project(
            &self,
            event: AccountEvent,
            at: &Source<'_, Account>,
            cards: &mut Documents<'_, Card>,
        ) -> Result<(), ProjectionError> {
            self.outside
                .fetch_add(at.is_new().into(), Ordering::Relaxed);
            Cards.project(event, at, cards).await
        }
    }
}

#[tokio::test]
async fn a_version_in_parts_takes_over_from_a_whole_one_and_a_whole_one_from_one_in_parts() {
    on_each_storage(|store, storage| async move {
        let (first, view) = open_cards(&store, &storage).await;
        let (ids, last) = deposited(&store, 16).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let reader = SplitReader::<Card>::new(storage.clone(), "cards");
        let sum = || sum_of(&reader);
        assert_eq!(sum().await, 16);

        // One version has one form.
        let second = ProjectionManager::new(store.clone());
        let refused = second.documents::<Cards>(storage.clone()).split();
        let refused = refused.await.unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::KeptOtherwise {
                is_in_parts: false,
                ..
            }
        );
        assert!(is_it, "{refused}");

        let double = DoubleCards::default();
        let opening = second.documents_by(double.clone(), storage.clone());
        let in_parts = opening.lease(LEASE).split().parts(3).await.unwrap();
        in_parts.wait_for(last, LIMIT).await.unwrap();
        until_answered(|| async {
            let sum = sum().await;
            assert!([16, 32].contains(&sum), "{sum}");
            sum == 32
        })
        .await;
        until(|| matches!(view.status().state, ViewState::Stopped { .. })).await;
        assert!(storage.views("cards").await.unwrap().is_empty());
        first.stop().await;
        assert_eq!(double.outside.load(Ordering::Relaxed), 0);
        let of_whole = DocumentReader::<Card>::new(storage.clone(), "cards");
        let said = of_whole.get(&ids[0]).await.unwrap_err().to_string();
        assert!(said.contains("ask it with a `SplitReader`"), "{said}");

        let later = ProjectionManager::new(store.clone());
        let refused = later.documents::<Cards>(storage.clone()).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, OpenError::Superseded { .. }),
            "{refused}"
        );
        let refused = later.documents_by(double.clone(), storage.clone()).await;
        let refused = refused.unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::KeptOtherwise {
                is_in_parts: true,
                ..
            }
        );
        assert!(is_it, "{refused}");

        let whole = third::ThirdCards::default();
        let opening = later.documents_by(whole.clone(), storage.clone());
        let cards = opening.lease(LEASE).await.unwrap();
        cards.wait_for(last, LIMIT).await.unwrap();
        until_answered(|| async {
            let sum = sum().await;
            assert!([16, 32].contains(&sum), "{sum}");
            sum == 16
        })
        .await;
        until_answered(|| async { storage.views("cards--parts").await.unwrap().is_empty() }).await;
        assert!(storage.views("cards--2-0").await.unwrap().is_empty());
        second.stop().await;
        assert_eq!(whole.outside.load(Ordering::Relaxed), 0);
        let last = deposit(&store, ids[0], 1).await;
        cards.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(whole.outside.load(Ordering::Relaxed), 1);
        let card = of_whole.get(&ids[0]).await.unwrap().value.unwrap();
        assert_eq!((card.sum, card.events), (2, 2));
    })
    .await;
}

/// A storage that lets others come to their turn before it does anything.
struct Courteous(cim_es::MemoryReadModels);

#[async_trait::async_trait]
impl ReadModelStorage for Courteous {
    fn location(&self) -> Location {
        self.0.location()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        yield_now().await;
        self.0.open_view(declaration).await
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        yield_now().await;
        self.0.views(name).await
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        yield_now().await;
        self.0.hold(view, holder, lease).await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        yield_now().await;
        self.0.release(view, holder).await
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        self.0.commit(view, changes).await
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        self.0.read(view, keys).await
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.0.find(view, entry, page).await
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.0.list(view, page).await
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        yield_now().await;
        self.0.serve(view).await
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        yield_now().await;
        self.0.remove_view(view).await
    }
}

#[tokio::test]
async fn of_two_programs_that_open_a_version_in_both_forms_at_once_one_is_refused() {
    let mut whole_came_first = BTreeSet::new();
    // One of them begins later by so many steps.
    for later in 0..12 {
        for is_whole_later in [false, true] {
            let storage: Storage = Arc::new(Courteous(cim_es::MemoryReadModels::new()));
            let store = MemoryEventStore::new();
            let (one, other) = (
                ProjectionManager::new(store.clone()),
                ProjectionManager::new(store),
            );
            let wait = async |is_later: bool| {
                for _ in 0..if is_later { later } else { 0 } {
                    yield_now().await;
                }
            };
            let as_whole = async {
                wait(is_whole_later).await;
                one.documents::<Cards>(storage.clone()).await
            };
            let in_parts = async {
                wait(!is_whole_later).await;
                other.documents::<Cards>(storage.clone()).split().await
            };
            let (as_whole, in_parts) = tokio::join!(as_whole, in_parts);
            let refused = match (as_whole, in_parts) {
                (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
                outcome => panic!("{later} later: {outcome:?}"),
            };
            let OpenError::KeptOtherwise { is_in_parts, .. } = &refused else {
                panic!("{refused}");
            };
            whole_came_first.insert(!is_in_parts);
            one.stop().await;
            other.stop().await;
            // Which form a version had is forgotten with it.
            let in_parts = "cards--parts";
            for view in storage.views("cards").await.unwrap() {
                storage.remove_view(&view.view).await.unwrap();
            }
            for view in storage.views(in_parts).await.unwrap() {
                storage.remove_view(&view.view).await.unwrap();
            }
            let again = ProjectionManager::new(MemoryEventStore::new());
            let opening = again.documents::<Cards>(storage.clone());
            match is_in_parts {
                true => drop(opening.await.unwrap()),
                false => drop(opening.split().await.unwrap()),
            }
        }
    }
    assert_eq!(whole_came_first.len(), 2);
}

mod fourth {
    use super::*;

    /// The fourth version counts an event where it may.
    #[derive(Projection, Clone)]
    #[projection(name = "cards", version = 4, events = [AccountEvent], documents = Card)]
    pub struct SlowCards {
        pub may_count: Arc<tokio::sync::Semaphore>,
    }

    impl ProjectDocuments<AccountEvent> for SlowCards {
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
}

#[tokio::test]
async fn a_version_in_parts_answers_once_it_is_as_far_as_a_whole_one_that_is_ahead() {
    on_each_storage(|store, storage| async move {
        let ann = Id::new();
        let (_first, view) = open_cards(&store, &storage).await;
        for _ in 0..5 {
            deposit(&store, ann, 1).await;
        }
        let slow = fourth::SlowCards {
            may_count: Arc::new(tokio::sync::Semaphore::new(4)),
        };
        let second = ProjectionManager::new(store.clone());
        let opening = second.documents_by(slow.clone(), storage.clone());
        let in_parts = opening.lease(LEASE).split().parts(2).await.unwrap();
        until(|| slow.may_count.available_permits() == 0).await;
        // It counts what was there when it began to read, and the former one is ahead of that.
        let last = deposit(&store, ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        slow.may_count.add_permits(1);
        until(|| in_parts.status().counted() == 5).await;
        // For as long as its parts are held again a few times.
        tokio::time::sleep(LEASE * 2).await;
        let reader = SplitReader::<Card>::new(storage.clone(), "cards");
        assert_eq!(sum_of(&reader).await, 6);
        assert!(
            storage
                .views("cards--parts")
                .await
                .unwrap()
                .iter()
                .all(|it| !it.is_serving)
        );
        slow.may_count.add_permits(100);
        in_parts.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(sum_of(&reader).await, 6);
        until_answered(|| async { storage.views("cards").await.unwrap().is_empty() }).await;
        assert!(storage.views("cards--form").await.unwrap().len() == 1);
    })
    .await;
}

#[tokio::test]
async fn a_version_in_another_number_of_parts_answers_when_all_are_level_and_the_former_is_gone() {
    on_each_storage(|store, storage| async move {
        let (manager, view) = open(&store, &storage).await;
        let (_, last) = deposited(&store, 16).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let reader = view.reader().clone();
        let sum = || sum_of(&reader);
        assert_eq!(sum().await, 16);

        // Another number of parts is another declaration.
        let again = ProjectionManager::new(store.clone());
        let refused = again.documents::<Cards>(storage.clone()).split().parts(3);
        let refused = refused.await.unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::Storage(ReadModelError::DeclarationChanged { .. })
        );
        assert!(is_it, "{refused}");

        let opening = again.documents_by(DoubleCards::default(), storage.clone());
        let double = opening.lease(LEASE).split().parts(3).await.unwrap();
        double.wait_for(last, LIMIT).await.unwrap();
        // Within a second; what is asked meanwhile is of one version or the other.
        until_answered(|| async {
            let sum = sum().await;
            assert!([16, 32].contains(&sum), "{sum}");
            sum == 32
        })
        .await;
        until_answered(|| async { storage.views("cards--1-0").await.unwrap().is_empty() }).await;
        until(|| {
            (view.status().parts.iter()).all(|part| matches!(part.state, ViewState::Stopped { .. }))
        })
        .await;
        manager.stop().await;
        // A program of the former version is told.
        let late = ProjectionManager::new(store.clone());
        let refused = late
            .documents::<Cards>(storage.clone())
            .split()
            .parts(PARTS);
        let refused = refused.await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::Superseded { .. }),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_event_that_one_part_cannot_count_holds_up_no_other_part() {
    on_each_storage(|store, storage| async move {
        let (_manager, view) = open(&store, &storage).await;
        let (ids, last) = deposited(&store, 32).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let refused = deposit(&store, ids[0], 13).await;
        until(|| view.status().parked().count() == 1).await;
        for id in &ids {
            deposit(&store, *id, 2).await;
        }
        let counted = async || {
            let cards = all(view.reader()).await.into_iter();
            let twice = cards.filter(|(_, card)| card.events == 2);
            twice.map(|(key, _)| key).collect::<BTreeSet<_>>()
        };
        until_answered(|| async { counted().await.len() >= 8 }).await;
        let counted = counted().await;
        assert!(!counted.contains(&ids[0].to_string()));
        let line = view.status().to_string();
        assert!(
            line.contains("parked before bank.account.deposited"),
            "{line}"
        );
        let (part, parked) = view
            .status()
            .parked()
            .map(|(part, it)| (part, it.clone()))
            .next()
            .unwrap();
        assert_eq!(parked.bookmark.position, refused);
        view.parts()[part]
            .skip("13 is not counted", "Eve")
            .await
            .unwrap();
        let last = deposit(&store, ids[0], 3).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let card = view.get(&ids[0]).await.unwrap().value.unwrap();
        assert_eq!((card.sum, card.events), (6, 3));
    })
    .await;
}

#[tokio::test]
async fn a_view_of_which_not_all_parts_are_level_says_that_it_cannot_be_asked_yet() {
    on_each_storage(|store, storage| async move {
        let refused = deposit(&store, Id::new(), 13).await;
        let (_manager, view) = open(&store, &storage).await;
        until(|| view.status().parked().count() == 1).await;
        let said = view.get("4711").await.unwrap_err();
        assert!(matches!(said, DocumentError::NotServing { .. }), "{said}");
        view.wait_for(refused, LIMIT).await.unwrap_err();
        let part = view.status().parked().next().map(|(part, _)| part).unwrap();
        view.parts()[part]
            .skip("13 is not counted", "Eve")
            .await
            .unwrap();
        view.wait_for(refused, LIMIT).await.unwrap();
        assert_eq!(view.get("4711").await.unwrap().value, None);
    })
    .await;
}
