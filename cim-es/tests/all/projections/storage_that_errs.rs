//! A storage that fails, before or after it has stored what it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::MemoryReadModels;
use cim_es::prelude::*;
use cim_es::projection::WaitError;
use cim_es::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, UpTo, ViewChanges,
    ViewDeclaration, ViewId, ViewRecord,
};
use cim_es::store::{Location, Position, StoreError};

use super::{LIMIT, Storage, all_cards, deposit, open_cards};
use crate::account::Account;

/// Fails at two of three commits: at one it has stored nothing, at the other everything. It takes documents up to a size.
pub struct Failing {
    under: MemoryReadModels,
    commits: AtomicU64,
    /// The documents that were asked for.
    reads: AtomicU64,
    limit: usize,
    /// How long each commit takes, of a storage that does not fail.
    pause: Option<Duration>,
}

impl Failing {
    pub fn new(limit: usize) -> Self {
        Self {
            under: MemoryReadModels::new(),
            commits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            limit,
            pause: None,
        }
    }
}

fn away() -> ReadModelError {
    let (location, reason) = ("the storage of the test".into(), "it is away".to_owned());
    ReadModelError::Storage(StoreError::Busy { location, reason })
}

#[async_trait]
impl ReadModelStorage for Failing {
    fn location(&self) -> Location {
        self.under.location()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        self.under.open_view(declaration).await
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        self.under.views(name).await
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        self.under.hold(view, holder, lease).await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        self.under.release(view, holder).await
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        for document in &changes.documents {
            let bytes = document.value.as_ref().map_or(0, Bytes::len);
            if bytes > self.limit {
                return Err(ReadModelError::DocumentTooLarge {
                    location: self.location(),
                    view: view.clone(),
                    key: document.key.clone(),
                    bytes,
                    limit: self.limit,
                });
            }
        }
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause).await;
            return self.under.commit(view, changes).await;
        }
        match self.commits.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(away()),
            1 => {
                self.under.commit(view, changes).await?;
                let reason = "the answer was lost".to_owned();
                Err(ReadModelError::OutcomeUnknown { reason })
            }
            _ => self.under.commit(view, changes).await,
        }
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        self.reads.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.under.read(view, keys).await
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.under.find(view, entry, page).await
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.under.list(view, page).await
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.under.serve(view).await
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.under.remove_view(view).await
    }
}

pub fn failing(limit: usize) -> Storage {
    Arc::new(Failing::new(limit))
}

/// A storage that takes its time, and documents up to a size.
pub fn slow(pause: Duration, limit: usize) -> Storage {
    Arc::new(Failing {
        pause: Some(pause),
        ..Failing::new(limit)
    })
}

#[tokio::test]
async fn a_storage_that_fails_before_or_after_it_stored_costs_time_and_counts_nothing_twice() {
    let (store, storage) = (MemoryEventStore::new(), failing(usize::MAX));
    let (_manager, view) = open_cards(&store, &storage).await;
    let ann = Id::new();
    for turn in 1..=9_u64 {
        let last = deposit(&store, ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let card = view.get(&ann).await.unwrap().value.unwrap();
        assert_eq!((card.sum, card.events), (turn as i64, turn));
    }
}

#[tokio::test]
async fn a_document_that_is_too_large_parks_the_view_at_its_event_and_no_event_before_it_is_lost() {
    let store = MemoryEventStore::new();
    // A card with small numbers has 24 bytes, one with a large sum 28.
    let storage = failing(26);
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..10 {
        deposit(&store, Id::new(), 1).await;
    }
    let before = deposit(&store, ann, 1).await;
    let failing = deposit(&store, ben, 1_000_000_000).await;
    let last = deposit(&store, ann, 1).await;
    let (_manager, view) = open_cards(&store, &storage).await;
    let refused = view.wait_for(last, LIMIT).await.unwrap_err();
    let WaitError::Parked { parked, up_to, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(
        (parked.bookmark.position, *up_to),
        (failing, Position::START)
    );
    assert!(parked.reason.contains("takes"), "{refused}");
    assert_eq!(view.status().up_to.position, before);
    // A storage that is away keeps nothing, and says so; asked again it does.
    while view.skip("too much", "Eve").await.is_err() {}
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(all_cards(&view).await.len(), 11);
    assert_eq!(view.get(&ann).await.unwrap().value.unwrap().sum, 2);
}

#[tokio::test]
async fn a_view_that_begins_empty_looks_for_no_document_that_was_never_put() {
    let (store, storage) = (
        MemoryEventStore::new(),
        Arc::new(Failing {
            pause: Some(Duration::ZERO),
            ..Failing::new(usize::MAX)
        }),
    );
    let asked = || storage.reads.swap(0, Ordering::Relaxed);
    let home: Storage = storage.clone();
    let ids: Vec<Id<Account>> = (0..300).map(|_| Id::new()).collect();
    let mut last = Position::START;
    for amount in [1, 2] {
        for id in &ids {
            last = deposit(&store, *id, amount).await;
        }
    }
    let (manager, view) = open_cards(&store, &home).await;
    view.wait_for(last, LIMIT).await.unwrap();
    // A room of fixed size takes a few for met that were not.
    let looked_for = asked();
    assert!(looked_for < 10, "{looked_for} of 300");
    assert!(all_cards(&view).await.iter().all(|card| card.sum == 3));
    manager.stop().await;

    // Who goes on looks for each, since it did not see what was put.
    for id in &ids {
        last = deposit(&store, *id, 4).await;
    }
    asked();
    let (manager, view) = open_cards(&store, &home).await;
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(asked(), 300);
    assert!(all_cards(&view).await.iter().all(|card| card.sum == 7));

    // Built again it begins empty once more.
    view.rebuild().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    let looked_for = asked();
    assert!(looked_for < 10, "{looked_for} of 300");
    assert!(all_cards(&view).await.iter().all(|card| card.sum == 7));
    manager.stop().await;
}
