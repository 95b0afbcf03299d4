//! A program that keeps a view is killed, again and again: each event counts once all the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::EventStore;
use cim_es::store::read_model::Page;
use cim_es::{SqliteEventStore, SqliteReadModels};

use super::{Balances, Card, Cards, LIMIT, transfer};
use crate::account::Account;
use crate::sqlite_support::{Directory, child, is_long};

const ACCOUNTS: u128 = 5;

pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    runtime.expect("a runtime starts").block_on(test);
}

pub fn account(number: u128) -> Id<Account> {
    Uuid::from_u128(number % ACCOUNTS + 1).into()
}

async fn open(
    file: &Path,
) -> (
    SqliteEventStore,
    cim_es::projection::DocumentsView<Card>,
    ProjectionManager,
) {
    let store = SqliteEventStore::open(file).expect("the file opens");
    let storage = SqliteReadModels::open(file.with_extension("views")).expect("the file opens");
    let manager = ProjectionManager::new(store.clone());
    let opening = manager
        .documents::<Cards>(storage)
        .lease(Duration::from_millis(300));
    let view = opening.await.expect("the view opens");
    (store, view, manager)
}

#[test]
fn whoever_is_killed_when_each_event_counts_once_in_every_document() {
    let kills = if is_long() { 200 } else { 25 };
    let directory = Directory::new();
    let file = directory.file("events.db");
    let child = (module_path!(), "a_child_counts_until_it_is_killed");
    child::kill_each(child, &file, kills, 50..750, || ());
    run(async {
        let (store, view, manager) = open(&file).await;
        let last = store.last_position().await.expect("the store answers");
        let counted_before = view.status().up_to.position;
        view.wait_for(last, LIMIT).await.unwrap();
        let page = view.list(&Page::first(1_000)).await.unwrap();
        let cards: BTreeMap<_, _> = page
            .value
            .documents
            .into_iter()
            .map(|it| (it.key, it.document))
            .collect();

        let store: Arc<dyn EventStore> = Arc::new(store);
        let fold = super::open::<Balances>(&store).await;
        fold.wait_for(last, LIMIT).await.unwrap();
        let fold = fold.read(Balances::clone).await.unwrap().value;
        let sums: BTreeMap<_, _> = fold
            .accounts
            .iter()
            .map(|(id, sum)| (id.to_string(), *sum))
            .collect();
        let found: BTreeMap<_, _> = cards
            .iter()
            .map(|(key, card)| (key.clone(), card.sum))
            .collect();
        assert_eq!(found, sums);
        assert_eq!(
            cards.values().map(|card| card.events).sum::<u64>(),
            fold.events
        );
        assert!(
            fold.events > kills,
            "only {} events: the kills came too early",
            fold.events
        );
        eprintln!(
            "{kills} kills, {} events, the last start went on at {counted_before} of {last}",
            fold.events
        );
        manager.stop().await;
    });
}

/// Moves amounts about, and keeps the view of it, until it is killed.
#[test]
fn a_child_counts_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let (store, _view, _manager) = open(&file).await;
        let first = u128::from(child::number());
        for number in first.. {
            transfer(&store, account(number), account(number + 1)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

async fn open_split(
    file: &Path,
) -> (
    SqliteEventStore,
    cim_es::projection::SplitView<Card>,
    ProjectionManager,
) {
    let store = SqliteEventStore::open(file).expect("the file opens");
    let storage = SqliteReadModels::open(file.with_extension("views")).expect("the file opens");
    let manager = ProjectionManager::new(store.clone());
    let opening = manager
        .documents::<Cards>(storage)
        .lease(Duration::from_millis(300));
    let view = opening.split().parts(4).await.expect("the view opens");
    (store, view, manager)
}

/// One program stays, and shares the view with one after the other that is killed.
#[test]
fn whoever_is_killed_when_each_event_counts_once_in_every_part() {
    let kills = if is_long() { 200 } else { 15 };
    let directory = Directory::new();
    let file = directory.file("events.db");
    let child = (module_path!(), "a_child_shares_the_view_until_it_is_killed");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let (store, view, manager) = runtime.block_on(open_split(&file));
    child::kill_each(child, &file, kills, 50..1_500, || ());
    runtime.block_on(async {
        let last = store.last_position().await.expect("the store answers");
        view.wait_for(last, LIMIT).await.unwrap();
        let page = view.list(&Page::first(1_000)).await.unwrap();
        let cards = page.value.documents.into_iter();
        let found: BTreeMap<_, _> = cards.map(|it| (it.key, it.document)).collect();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let fold = super::open::<Balances>(&store).await;
        fold.wait_for(last, LIMIT).await.unwrap();
        let fold = fold.read(Balances::clone).await.unwrap().value;
        let sums = fold.accounts.iter().map(|(id, sum)| (id.to_string(), *sum));
        let sums: BTreeMap<_, _> = sums.collect();
        let shown = found.iter().map(|(key, card)| (key.clone(), card.sum));
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), sums);
        let counted = found.values().map(|card| card.events).sum::<u64>();
        assert_eq!(counted, fold.events);
        let here = view.status().counted();
        eprintln!(
            "{kills} kills, {counted} events, {here} of them counted by the program that stays"
        );
        manager.stop().await;
    });
}

/// Moves amounts about, and keeps its share of the view of it, until it is killed.
#[test]
fn a_child_shares_the_view_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let (store, _view, _manager) = open_split(&file).await;
        let first = u128::from(child::number());
        for number in first.. {
            transfer(&store, account(number), account(number + 1)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
