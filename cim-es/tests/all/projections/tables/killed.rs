//! A program that keeps tables is killed, again and again: each event counts once all the same, in every row.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cim_es::projection::{ProjectionManager, TablesView};
use cim_es::store::{EventStore, EventStoreExt, Position};
use cim_es::{SqliteEventStore, SqliteReadModels};
use futures_util::StreamExt;

use super::super::{LIMIT, killed, transfer};
use super::{Sums, change_of};
use crate::account::AccountEvent;
use crate::sqlite_support::{Directory, child, is_long};

async fn open(file: &Path) -> (SqliteEventStore, TablesView, ProjectionManager) {
    let store = SqliteEventStore::open(file).expect("the file opens");
    let storage = SqliteReadModels::open(file.with_extension("views")).expect("the file opens");
    let manager = ProjectionManager::new(store.clone());
    let opening = manager
        .tables::<Sums>(storage)
        .lease(Duration::from_millis(300));
    let view = opening.await.expect("the view opens");
    (store, view, manager)
}

#[test]
fn whoever_is_killed_when_each_event_counts_once_in_every_row() {
    let kills = if is_long() { 200 } else { 25 };
    let directory = Directory::new();
    let file = directory.file("events.db");
    let child = (module_path!(), "a_child_counts_until_it_is_killed");
    child::kill_each(child, &file, kills, 50..750, || ());
    killed::run(async {
        let (store, view, manager) = open(&file).await;
        let last = store.last_position().await.expect("the store answers");
        let counted_before = view.status().up_to.position;
        view.wait_for(last, LIMIT).await.unwrap();

        let (mut sums, mut movements) = (BTreeMap::<String, (i64, i64)>::new(), Vec::new());
        let mut events = store.read_all(Position::START);
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            let id = event.envelope.aggregate_id.clone();
            let Some(change) = change_of(&event.decode::<AccountEvent>().unwrap()) else {
                continue;
            };
            let (sum, count) = sums.entry(id.clone()).or_default();
            (*sum, *count) = (*sum + change, *count + 1);
            movements.push((event.position, id, change));
        }
        let found = view
            .read(|tables| {
                let sums = tables.query("SELECT id, sum, events FROM {accounts}", (), |row| {
                    Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
                })?;
                let movements = tables.query(
                    "SELECT position, account, change FROM {movements} ORDER BY position",
                    (),
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )?;
                Ok((sums.into_iter().collect(), movements))
            })
            .await
            .unwrap();
        assert_eq!(found.value, (sums, movements));
        assert!(
            last.0 > kills,
            "only {last} events: the kills came too early"
        );
        eprintln!("{kills} kills, {last} events, the last start went on at {counted_before}");
        manager.stop().await;
    });
}

/// Moves amounts about, and keeps the tables of it, until it is killed.
#[test]
fn a_child_counts_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    killed::run(async {
        let (store, _view, _manager) = open(&file).await;
        for number in u128::from(child::number()).. {
            transfer(&store, killed::account(number), killed::account(number + 1)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
