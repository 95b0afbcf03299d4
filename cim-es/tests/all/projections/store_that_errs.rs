//! A store that does not answer, and one that has another history.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::prelude::*;
use cim_es::projection::{ProjectionManager, ViewState};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore, EventStream,
    Position, SealedCommit, Selection, StoreError, StreamExt, Versions,
};

use super::{Balances, Cards, LIMIT, all_cards, deposit, transfer};

/// A store that another can be put under, and that answers only as long as it is told to.
#[derive(Clone)]
struct Switchable(Arc<Mutex<Under>>);

struct Under {
    store: MemoryEventStore,
    is_away: bool,
    is_slow: bool,
}

impl Switchable {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Under {
            store: MemoryEventStore::new(),
            is_away: false,
            is_slow: false,
        })))
    }

    fn store(&self) -> MemoryEventStore {
        self.0.lock().unwrap().store.clone()
    }

    fn replace(&self, store: MemoryEventStore) {
        self.0.lock().unwrap().store = store;
    }

    fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
    }

    fn is_away(&self) -> bool {
        self.0.lock().unwrap().is_away
    }

    /// Each event, or an error in its place while the store is away; a stream that errs has ended.
    fn disturbed(&self, events: EventStream) -> EventStream {
        let store = self.clone();
        let events = events.map(move |event| match store.is_away() {
            true => Err(StoreError::Busy {
                location: "the store of the test".into(),
                reason: "it is away".to_owned(),
            }),
            false => event,
        });
        if !self.0.lock().unwrap().is_slow {
            return Box::pin(events);
        }
        // Each event comes after the one before it was taken.
        Box::pin(events.then(async |event| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            event
        }))
    }
}

#[async_trait]
impl EventStore for Switchable {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.store().append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.store().append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.store().history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.store().last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.store().kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.store().find(cid).await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.disturbed(EventStore::read(&self.store(), selection, after))
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.disturbed(self.store().follow(selection, after))
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.store().last_position().await
    }

    fn settings(&self) -> EngineSettings {
        self.store().settings()
    }
}

#[tokio::test]
async fn a_store_that_is_away_for_a_while_costs_time_and_no_event() {
    let store = Switchable::new();
    let view = ProjectionManager::new(store.clone())
        .in_memory::<Balances>()
        .await
        .unwrap();
    view.wait_for(deposit(&store, Id::new(), 1).await, LIMIT)
        .await
        .unwrap();
    store.set_away(true);
    let last = deposit(&store, Id::new(), 1).await;
    let is_waiting = async {
        while !matches!(view.status().state, ViewState::Waiting { .. }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, is_waiting).await.unwrap();
    let line = view.status().to_string();
    assert!(
        line.contains("the store of the test is busy: it is away"),
        "{line}"
    );
    store.set_away(false);
    view.wait_for(last, LIMIT).await.unwrap();
    let seen = view
        .read(|balances| (balances.sum(), balances.events))
        .await
        .unwrap();
    assert_eq!(seen.value, (2, 2));
}

#[tokio::test]
async fn a_view_of_another_history_is_built_again_and_says_so() {
    let store = Switchable::new();
    let view = ProjectionManager::new(store.clone())
        .in_memory::<Balances>()
        .await
        .unwrap();
    for _ in 0..5 {
        let last = deposit(&store, Id::new(), 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
    }
    // Another store with fewer events: what is followed breaks, and where the view goes on is not there.
    let other = MemoryEventStore::new();
    let last = deposit(&other, Id::new(), 7).await;
    store.set_away(true);
    deposit(&store, Id::new(), 1).await;
    store.replace(other);
    let is_waiting = async {
        while !matches!(view.status().state, ViewState::Waiting { .. }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, is_waiting).await.unwrap();
    store.set_away(false);
    let is_built = async {
        while view.status().rebuilt.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, is_built).await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    let seen = view
        .read(|balances| (balances.sum(), balances.events))
        .await
        .unwrap();
    assert_eq!((seen.value, seen.position), ((7, 1), last));
    let line = view.status().to_string();
    assert!(
        line.contains("built again: the store in memory has another history"),
        "{line}"
    );
}

#[tokio::test]
async fn where_events_come_one_by_one_no_reader_sees_half_a_commit() {
    let store = Switchable::new();
    store.0.lock().unwrap().is_slow = true;
    let manager = ProjectionManager::new(store.clone());
    let view = manager.in_memory::<Balances>().await.unwrap();
    let storage = cim_es::MemoryReadModels::new();
    let cards = manager.documents::<Cards>(storage).await.unwrap();
    let (ann, ben) = (Id::new(), Id::new());
    cards
        .wait_for(transfer(&store, ann, ben).await, LIMIT)
        .await
        .unwrap();
    let mut last = Position::START;
    for _ in 0..20 {
        last = transfer(&store, ann, ben).await;
    }
    let counted = async {
        while view.status().up_to.position < Position(last.0 - 1)
            || cards.status().up_to.position < last
        {
            let seen = view
                .read(|view| (view.sum(), view.events % 2))
                .await
                .unwrap();
            assert_eq!(seen.value, (0, 0));
            let sum: i64 = all_cards(&cards).await.iter().map(|card| card.sum).sum();
            assert_eq!(sum, 0);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.unwrap();
}
