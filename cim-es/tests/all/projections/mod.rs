//! Views in memory: what they promise, on every engine that needs no server.

mod commits;
mod control;
mod correlation;
mod counting;
mod documents;
mod domains;
mod faults;
mod given;
#[cfg(feature = "sqlite")]
mod inline;
#[cfg(all(feature = "sqlite", unix))]
mod killed;
#[cfg(feature = "testing")]
mod kit;
mod many_events;
mod meddled;
mod saved;
mod split;
pub mod storage_that_errs;
mod store_that_errs;
#[cfg(feature = "sqlite")]
mod tables;
mod versions;

use std::collections::BTreeMap;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{
    DocumentsView, InMemoryView, ProjectDocuments, ProjectionError, ProjectionManager,
};
use cim_es::store::read_model::{Page, ReadModelStorage};
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};

use crate::account::{Account, AccountEvent};

/// Long enough for a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What accounts hold, and what they hold together.
#[derive(Projection, Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[projection(name = "balances", version = 1, events = [AccountEvent::{Deposited, Withdrawn}])]
pub struct Balances {
    pub accounts: BTreeMap<Id<Account>, i64>,
    pub events: u64,
}

impl Project<AccountEvent> for Balances {
    fn project(&mut self, event: AccountEvent, at: &Source<Account>) {
        let change = match event {
            AccountEvent::Deposited { amount } => amount as i64,
            AccountEvent::Withdrawn { amount } => -(amount as i64),
            other => panic!("{other:?} is not chosen"),
        };
        *self.accounts.entry(at.id()).or_default() += change;
        self.events += 1;
    }
}

impl Balances {
    pub fn sum(&self) -> i64 {
        self.accounts.values().sum()
    }
}

/// The stores on which each promise is tried.
pub async fn on_each_store<F: Future<Output = ()>>(
    test: impl Fn(std::sync::Arc<dyn EventStore>) -> F,
) {
    test(std::sync::Arc::new(MemoryEventStore::new())).await;
    #[cfg(feature = "sqlite")]
    {
        let directory = crate::sqlite_support::Directory::new();
        let store = SqliteEventStore::open(directory.file("events.db")).expect("the file opens");
        test(std::sync::Arc::new(store)).await;
    }
}

pub fn key(id: &Id<Account>) -> AggregateKey {
    AggregateKey::of::<Account>(id).expect("an id has a text")
}

pub fn event(event: AccountEvent) -> NewEvent {
    NewEvent::of(&event).expect("the event is stored")
}

/// One commit over several accounts; gives the position of its last event.
pub async fn commit(
    store: &dyn EventStore,
    parts: impl IntoIterator<Item = (Id<Account>, Vec<AccountEvent>)>,
) -> Position {
    let identity = MessageIdentity::new_from_user("test");
    let now = cim_es::message::Clock::now(&cim_es::message::SystemClock);
    let request = CommitRequest::new(identity, now);
    let request = parts.into_iter().fold(request, |request, (id, events)| {
        let events = events.into_iter().map(event).collect();
        request.aggregate(key(&id), ExpectedVersion::Any, events)
    });
    let stored = store.append(request).await.expect("it is stored");
    stored.last().expect("an event").position
}

/// Moves an amount from one account to another; a third event, of a kind that the view does not take, is the last.
pub async fn transfer(store: &dyn EventStore, from: Id<Account>, to: Id<Account>) -> Position {
    let parts = [
        (from, vec![AccountEvent::Withdrawn { amount: 1 }]),
        (to, vec![AccountEvent::Deposited { amount: 1 }]),
        (Id::new(), vec![AccountEvent::Opened]),
    ];
    commit(store, parts).await
}

pub async fn deposit(store: &dyn EventStore, id: Id<Account>, amount: u64) -> Position {
    commit(store, [(id, vec![AccountEvent::Deposited { amount }])]).await
}

pub async fn open<V>(store: &std::sync::Arc<dyn EventStore>) -> InMemoryView<V>
where
    V: cim_es::projection::InMemory + Default,
{
    let manager = ProjectionManager::new(std::sync::Arc::clone(store));
    manager.in_memory::<V>().await.expect("the view opens")
}

/// What one account holds.
#[derive(Document, Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub sum: i64,
    pub events: u64,
    #[index]
    pub is_empty: bool,
}

/// A card for each account. An amount of 13 is refused, and one of 14 panics.
#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [AccountEvent], documents = Card)]
pub struct Cards;

impl ProjectDocuments<AccountEvent> for Cards {
    async fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let change = match event {
            AccountEvent::Deposited { amount: 13 } => {
                return Err(ProjectionError::new("13 is not counted"));
            }
            AccountEvent::Deposited { amount: 14 } => panic!("14 is not counted"),
            AccountEvent::Deposited { amount } => amount as i64,
            AccountEvent::Withdrawn { amount } => -(amount as i64),
            _ => return Ok(()),
        };
        let mut card = cards.get(&at.id()).await?.unwrap_or_default();
        card.sum += change;
        card.events += 1;
        card.is_empty = card.sum == 0;
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

/// A storage on which each promise is tried.
pub type Storage = std::sync::Arc<dyn ReadModelStorage>;

/// The storages on which each promise is tried, each with a store of its own.
pub async fn on_each_storage<F: Future<Output = ()>>(
    test: impl Fn(MemoryEventStore, Storage) -> F,
) {
    let memory = std::sync::Arc::new(cim_es::MemoryReadModels::new());
    test(MemoryEventStore::new(), memory).await;
    #[cfg(feature = "sqlite")]
    {
        let directory = crate::sqlite_support::Directory::new();
        let storage = cim_es::SqliteReadModels::open(directory.file("views.db"));
        let storage = std::sync::Arc::new(storage.expect("the file opens"));
        test(MemoryEventStore::new(), storage).await;
    }
}

pub async fn open_cards(
    store: &MemoryEventStore,
    storage: &Storage,
) -> (ProjectionManager, DocumentsView<Card>) {
    let manager = ProjectionManager::new(store.clone());
    let view = manager
        .documents::<Cards>(storage.clone())
        .lease(Duration::from_millis(300))
        .await;
    (manager, view.expect("the view opens"))
}

/// All cards at one moment.
pub async fn all_cards(view: &DocumentsView<Card>) -> Vec<Card> {
    let page = view
        .list(&Page::first(1_000))
        .await
        .expect("the view answers");
    page.value
        .documents
        .into_iter()
        .map(|keyed| keyed.document)
        .collect()
}

/// Waits until something holds that has to be asked for.
pub async fn until_answered<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .expect("it holds in time");
}

/// Waits until something holds.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .expect("it holds in time");
}
