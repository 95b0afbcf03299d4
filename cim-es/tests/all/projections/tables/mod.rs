//! Views in tables of the author's own, in a file of SQLite.

mod bad_input;
mod counting;
#[cfg(unix)]
mod killed;
#[cfg(target_os = "linux")]
mod memory;
mod versions;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cim_es::SqliteReadModels;
use cim_es::prelude::*;
use cim_es::projection::{ProjectTables, ProjectionError, ProjectionManager, Tables, TablesView};
use cim_es::store::Position;

use crate::account::{Account, AccountEvent};
use crate::sqlite_support::Directory;

/// What each account holds, with each movement. An amount of 13 is refused, one of 14 panics, and one of 15 breaks a rule
/// of the tables.
#[derive(Projection)]
#[projection(name = "sums", version = 1, events = [AccountEvent], tables = include_str!("sums.sql"))]
pub struct Sums;

pub fn change_of(event: &AccountEvent) -> Option<i64> {
    match event {
        AccountEvent::Deposited { amount } => Some(*amount as i64),
        AccountEvent::Withdrawn { amount } => Some(-(*amount as i64)),
        _ => None,
    }
}

pub fn add(
    tables: &Tables<'_>,
    id: &str,
    change: i64,
    at: Position,
) -> Result<(), ProjectionError> {
    tables.execute(
        "INSERT INTO {accounts} (id, sum, events) VALUES (?1, ?2, 1)
         ON CONFLICT (id) DO UPDATE SET sum = sum + excluded.sum, events = events + 1",
        (id, change),
    )?;
    tables.execute(
        "INSERT INTO {movements} (position, account, change) VALUES (?1, ?2, ?3)",
        (at, id, change),
    )?;
    Ok(())
}

impl ProjectTables<AccountEvent> for Sums {
    fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        let Some(change) = change_of(&event) else {
            return Ok(());
        };
        match change {
            13 => Err(ProjectionError::new("13 is not counted")),
            14 => panic!("14 is not counted"),
            15 => add(tables, at.id_text(), 0, at.position()),
            change => add(tables, at.id_text(), change, at.position()),
        }
    }
}

/// A store in memory, with a file for views that is gone with it.
pub struct Desk {
    pub store: MemoryEventStore,
    pub path: PathBuf,
    _directory: Directory,
}

impl Desk {
    pub fn new() -> Self {
        let directory = Directory::new();
        Self {
            store: MemoryEventStore::new(),
            path: directory.file("views.db"),
            _directory: directory,
        }
    }

    pub fn models(&self) -> SqliteReadModels {
        SqliteReadModels::open(&self.path).expect("the file opens")
    }

    pub async fn open(&self) -> (ProjectionManager, TablesView) {
        let manager = ProjectionManager::new(self.store.clone());
        let opening = manager.tables::<Sums>(self.models());
        let view = opening.lease(Duration::from_millis(300)).await;
        (manager, view.expect("the view opens"))
    }

    /// What a program sees that knows nothing but SQL.
    pub fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> rusqlite::Result<T> {
        sql_in(&self.path, sql)
    }

    /// What a person does to the file.
    pub fn meddle(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

pub fn sql_in<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> rusqlite::Result<T> {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection.query_row(sql, (), |row| row.get(0))
}

/// The sum of all accounts, and the number of events that are counted.
pub async fn total(view: &TablesView) -> (i64, i64) {
    let sum = "SELECT coalesce(sum(sum), 0), coalesce(sum(events), 0) FROM {accounts}";
    let read =
        view.read(move |tables| tables.query_row(sum, (), |row| Ok((row.get(0)?, row.get(1)?))));
    read.await.unwrap().value.unwrap()
}
