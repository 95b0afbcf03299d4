//! A program that keeps a view with its events is killed, again and again: the view is level with them all the same.

use std::collections::BTreeMap;
use std::path::Path;

use cim_es::SqliteEventStore;
use cim_es::document::DocumentReader;
use cim_es::projection::{DocumentsView, ProjectionManager, ViewId};
use cim_es::store::EventStore;
use cim_es::store::read_model::{Page, ReadModelStorageExt};

use super::folded;
use crate::projections::killed::{account, run};
use crate::projections::{Card, Cards, transfer};
use crate::sqlite_support::{Directory, child, is_long};

async fn open(file: &Path) -> (SqliteEventStore, DocumentsView<Card>, ProjectionManager) {
    let store = SqliteEventStore::open(file).expect("the file opens");
    let manager = ProjectionManager::new(store.clone());
    let view = manager.inline::<Cards>(&store).await;
    (store, view.expect("the view opens"), manager)
}

/// Where the view stands, and the last event, as somebody sees it who only looks.
async fn look(file: &Path) {
    let Ok(store) = SqliteEventStore::options().read_only().open(file) else {
        return;
    };
    let id = ViewId::new("cards", 1).unwrap();
    let record = store.read_models().view(&id).await.unwrap();
    let Some(record) = record.filter(|record| record.is_serving) else {
        return;
    };
    let last = store.last_position().await.unwrap();
    assert_eq!(
        record.up_to.position, last,
        "the view is behind after a kill"
    );
    let reader = DocumentReader::<Card>::new(store.read_models(), "cards");
    let page = reader.list(&Page::first(1_000)).await.unwrap().value;
    let found = page.documents.into_iter();
    let found: BTreeMap<_, _> = found.map(|it| (it.key, it.document.sum)).collect();
    assert_eq!(found, folded(&store).await);
}

#[test]
fn whoever_is_killed_when_the_view_is_level_with_the_events() {
    let kills = if is_long() { 200 } else { 25 };
    let directory = Directory::new();
    let file = directory.file("events.db");
    let child = (module_path!(), "a_child_counts_until_it_is_killed");
    child::kill_each(child, &file, kills, 30..430, || run(look(&file)));
    run(async {
        let (store, view, manager) = open(&file).await;
        assert_eq!(super::held(&view).await, folded(&store).await);
        let report = store.check().await.unwrap();
        assert!(
            report.events > kills && report.views == 1,
            "the kills came too early: {report:?}"
        );
        manager.stop().await;
    });
}

/// Moves amounts about, one writer after the other and several at once, until it is killed.
#[test]
fn a_child_counts_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let (store, _view, _manager) = open(&file).await;
        let first = u128::from(child::number());
        for number in first.. {
            let writers = (0..1 + number % 4).map(|writer| {
                let (from, to) = (account(number + writer), account(number + writer + 1));
                transfer(&store, from, to)
            });
            futures_util::future::join_all(writers).await;
        }
    });
}
