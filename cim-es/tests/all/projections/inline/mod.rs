//! Views that are kept in the file of the events, in the transactions that store them.

mod behind;
mod branches;
mod damaged;
#[cfg(unix)]
mod killed;
mod model;
mod parked;
mod refusals;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use cim_es::SqliteEventStore;
use cim_es::document::DocumentReader;
use cim_es::prelude::*;
use cim_es::projection::{DocumentsView, ProjectionManager, ViewState};
use cim_es::store::read_model::Page;
use cim_es::store::{EventStore, Position, SealedCommit, Selection};
use futures_util::TryStreamExt;

use super::{Balances, Card, Cards, LIMIT, deposit, transfer, until};
use crate::account::Account;
use crate::sqlite_support::Directory;

/// A file with a view that is kept with its events.
pub struct Kept {
    pub directory: Directory,
    pub store: SqliteEventStore,
    pub manager: ProjectionManager,
    pub cards: DocumentsView<Card>,
}

impl Kept {
    pub async fn new() -> Self {
        let directory = Directory::new();
        let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
        let manager = ProjectionManager::new(store.clone());
        let cards = manager.inline::<Cards>(&store).await.unwrap();
        Self {
            directory,
            store,
            manager,
            cards,
        }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.directory.file("events.db")
    }
}

/// What the cards should hold, folded from the events.
pub async fn folded(store: &SqliteEventStore) -> BTreeMap<String, i64> {
    let last = store.last_position().await.unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store.clone());
    let fold = super::open::<Balances>(&store).await;
    fold.wait_for(last, LIMIT).await.unwrap();
    let accounts = fold.read(|fold| fold.accounts.clone()).await.unwrap().value;
    let sums = accounts.into_iter();
    sums.map(|(id, sum)| (id.to_string(), sum)).collect()
}

/// What the cards hold.
pub async fn held(cards: &DocumentsView<Card>) -> BTreeMap<String, i64> {
    let page = cards.list(&Page::first(1_000)).await.unwrap().value;
    let documents = page.documents.into_iter();
    documents.map(|it| (it.key, it.document.sum)).collect()
}

#[tokio::test]
async fn whoever_has_the_answer_finds_the_view_level_by_every_handle() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    deposit(&kept.store, ann, 5).await;
    let other = SqliteEventStore::options()
        .read_only()
        .open(kept.path())
        .unwrap();
    let elsewhere = DocumentReader::<Card>::new(other.read_models(), "cards");
    for turn in 1..=40 {
        // The last event of it is of a kind that the view does not take.
        let last = transfer(&kept.store, ann, ben).await;
        for card in [kept.cards.get(&ben).await, elsewhere.get(&ben).await] {
            let card = card.unwrap();
            assert_eq!((card.position, card.value.unwrap().sum), (last, turn));
        }
        let status = kept.cards.status();
        assert_eq!(
            (status.up_to.position, status.state),
            (last, ViewState::Live)
        );
        kept.cards
            .wait_for(last, std::time::Duration::ZERO)
            .await
            .unwrap();
    }
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
    let report = kept.store.check().await.unwrap();
    assert_eq!(report.events, 121);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_write_at_once_find_what_they_wrote_and_never_half_a_commit() {
    let kept = Kept::new().await;
    let ids: Vec<Id<Account>> = (0..8).map(|_| Id::new()).collect();
    let writing: Vec<_> = (0..16)
        .map(|writer: usize| {
            let (store, cards, ids) = (kept.store.clone(), kept.cards.clone(), ids.clone());
            tokio::spawn(async move {
                for turn in 0..20 {
                    let (from, to) = (ids[(writer + turn) % 8], ids[(writer + turn + 1) % 8]);
                    let last = transfer(&store, from, to).await;
                    let page = cards.list(&Page::first(1_000)).await.unwrap();
                    assert!(page.position >= last, "{} after {last}", page.position);
                    let sums = page.value.documents.iter().map(|it| it.document.sum);
                    assert_eq!(sums.sum::<i64>(), 0, "half a commit was seen");
                }
            })
        })
        .collect();
    for writer in writing {
        writer.await.unwrap();
    }
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
    assert_eq!(kept.cards.status().counted, 16 * 20 * 3);
}

#[tokio::test]
async fn what_is_imported_is_counted_with_it() {
    let kept = Kept::new().await;
    let memory = MemoryEventStore::new();
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..30 {
        transfer(&memory, ann, ben).await;
    }
    let events = memory.read(Selection::everything(), cim_es::store::Bookmark::START);
    let events: Vec<_> = events.try_collect().await.unwrap();
    let commits = SealedCommit::split(&events).unwrap();
    let (first, rest) = commits.split_at(10);
    for commits in [first.to_vec(), first.to_vec(), rest.to_vec()] {
        kept.store.append_sealed(commits).await.unwrap();
        let last = kept.store.last_position().await.unwrap();
        let card = kept.cards.get(&ben).await.unwrap();
        assert_eq!(
            (card.position, card.value.unwrap().sum),
            (last, last.0 as i64 / 3)
        );
    }
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_file_is() {
    let kept = Kept::new().await;
    let ann = Id::new();
    deposit(&kept.store, ann, 1).await;
    kept.manager.stop().await;
    // Nobody keeps it meanwhile, which the answer says.
    let last = deposit(&kept.store, ann, 2).await;
    let card = kept.cards.get(&ann).await.unwrap();
    assert_eq!((card.position, card.value.unwrap().sum), (Position(1), 1));
    let manager = ProjectionManager::new(kept.store.clone());
    let cards = manager.inline::<Cards>(&kept.store).await.unwrap();
    cards.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(cards.get(&ann).await.unwrap().value.unwrap().sum, 3);
    let last = deposit(&kept.store, ann, 3).await;
    let card = cards.get(&ann).await.unwrap();
    assert_eq!((card.position, card.value.unwrap().sum), (last, 6));
    assert_eq!(cards.status().counted, 2);
    until(|| cards.status().state == ViewState::Live).await;
}

#[tokio::test]
async fn a_view_whose_store_is_closed_says_so() {
    let kept = Kept::new().await;
    let last = deposit(&kept.store, Id::new(), 1).await;
    kept.store.close().await;
    let stopped = |status: ViewState| matches!(status, ViewState::Stopped { reason: Some(_) });
    until(|| stopped(kept.cards.status().state)).await;
    let status = kept.cards.status();
    assert_eq!(status.up_to.position, last);
    assert!(status.to_string().contains("closed"), "{status}");
}
