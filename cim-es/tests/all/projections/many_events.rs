//! Many events at once: documents are made of some while those of the events before them are being stored.

use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager, WaitError};
use cim_es::store::Position;
use cim_es::store::read_model::Page;

use super::storage_that_errs::{failing, slow};
use super::{Card, LIMIT, all_cards, deposit, on_each_storage, open_cards};
use crate::account::{Account, AccountEvent};

const EVENTS: u64 = 1_200;
const ACCOUNTS: usize = 60;
/// Long enough for the next documents to be made meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Events of some accounts in turn; gives the accounts and the last position.
async fn filled(store: &MemoryEventStore) -> (Vec<Id<Account>>, Position) {
    let accounts: Vec<Id<Account>> = (0..ACCOUNTS).map(|_| Id::new()).collect();
    let mut last = Position::START;
    for number in 0..EVENTS {
        last = deposit(store, accounts[number as usize % ACCOUNTS], 1).await;
    }
    (accounts, last)
}

fn each_has(cards: &[Card], events: u64) {
    assert_eq!(cards.len(), ACCOUNTS);
    for card in cards {
        assert_eq!((card.sum, card.events), (events as i64, events));
    }
}

#[tokio::test]
async fn each_of_many_events_counts_once_over_a_storage_that_fails_in_between() {
    let (store, storage) = (MemoryEventStore::new(), failing(usize::MAX));
    let (_, last) = filled(&store).await;
    let (_manager, view) = open_cards(&store, &storage).await;
    view.wait_for(last, LIMIT).await.unwrap();
    each_has(&all_cards(&view).await, EVENTS / ACCOUNTS as u64);
}

#[tokio::test]
async fn an_event_that_is_refused_among_many_parks_the_view_there_and_all_before_it_are_counted() {
    on_each_storage(|store, storage| async move {
        let (accounts, before) = filled(&store).await;
        let refused = deposit(&store, accounts[0], 13).await;
        let last = deposit(&store, accounts[0], 1).await;
        let (_manager, view) = open_cards(&store, &storage).await;
        let stopped = view.wait_for(last, LIMIT).await.unwrap_err();
        let WaitError::Parked { parked, .. } = &stopped else {
            panic!("{stopped}")
        };
        assert_eq!(parked.bookmark.position, refused);
        assert_eq!(view.status().up_to.position, before);
        view.skip("thirteen is not counted", "Eve").await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        let cards = all_cards(&view).await;
        let events: u64 = cards.iter().map(|card| card.events).sum();
        assert_eq!(events, EVENTS + 1);
    })
    .await;
}

#[tokio::test]
async fn a_document_too_large_among_many_parks_the_view_there_and_all_before_it_are_counted() {
    // A card with small numbers has 24 bytes, one with a large sum 28.
    let (store, storage) = (MemoryEventStore::new(), slow(Duration::ZERO, 26));
    let (_, before) = filled(&store).await;
    let refused = deposit(&store, Id::new(), 1_000_000_000).await;
    let (_manager, view) = open_cards(&store, &storage).await;
    let stopped = view.wait_for(refused, LIMIT).await.unwrap_err();
    let WaitError::Parked { parked, .. } = &stopped else {
        panic!("{stopped}")
    };
    assert_eq!(parked.bookmark.position, refused);
    assert_eq!(view.status().up_to.position, before);
    while view.skip("too much", "Eve").await.is_err() {}
    view.wait_for(refused, LIMIT).await.unwrap();
    each_has(&all_cards(&view).await, EVENTS / ACCOUNTS as u64);
}

/// Gives each account a number when its first event comes: the number of accounts that it finds.
#[derive(Projection)]
#[projection(name = "numbers", version = 1, events = [AccountEvent], documents = Card)]
struct Numbers;

impl ProjectDocuments<AccountEvent> for Numbers {
    async fn project(
        &self,
        _: AccountEvent,
        at: &Source<'_, Account>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let page = Page::first(1_000);
        let listed = cards.list(&page).await?.documents.len();
        let found = cards.find("is_empty", &false, &page).await?.documents.len();
        let there = cards.get(&at.id()).await?;
        let seen = (listed, found, there.is_some());
        if listed != found || there.is_some() {
            return Err(ProjectionError::new(format!("it sees {seen:?}")));
        }
        let card = Card {
            sum: listed as i64,
            ..Card::default()
        };
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_made_of_an_event_sees_what_is_being_stored_of_those_before_it() {
    let store = MemoryEventStore::new();
    let mut last = Position::START;
    for _ in 0..600 {
        last = deposit(&store, Id::new(), 1).await;
    }
    let manager = ProjectionManager::new(store);
    let view = manager.documents::<Numbers>(slow(PAUSE, usize::MAX)).await;
    let view = view.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    let mut numbers: Vec<i64> = all_cards(&view).await.iter().map(|it| it.sum).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..600));
}
