//! Files filled with events, and the view that is kept of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectTables, ProjectionError, Tables};
use cim_es::store::{EventStore, NewEvent, Position};
use cim_es_benches::{Host, HostEvent, commit, registration};
use futures_util::StreamExt;
use futures_util::stream;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(3_600);
/// Commits that are made at the same time: each task makes some.
const TASKS: u64 = 4;
const EACH: usize = 64;

/// A directory that is gone with the value, unless somebody named it.
pub struct Directory {
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("cim-es-bench-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).expect("a directory for the bench");
        Self {
            path,
            is_kept: false,
        }
    }

    pub fn kept(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("a directory for the bench");
        Self {
            path,
            is_kept: true,
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept {
            // What remains is in the directory for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The id of an aggregate, in no order, as ids of many writers come.
fn id(number: u64) -> u128 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mixed) << 64 | 0x7000_8000
}

/// The key of the document that is made of the `n`-th aggregate.
pub fn document_key(number: u64) -> String {
    Uuid::from_u128(id(number)).to_string()
}

/// The path of a file with a number of events, each in a commit of its own, of a number of aggregates.
pub async fn filled(directory: &Directory, events: u64, aggregates: u64) -> PathBuf {
    let path = directory.file(&format!("events-{events}-of-{aggregates}.db"));
    let store = open(&path);
    let present = store.last_position().await.expect("it reads").0;
    if present < events {
        assert_eq!(present, 0, "`{}` is not a file of a bench", path.display());
        eprintln!("filling {} …", path.display());
        let tasks =
            (0..TASKS).map(|task| tokio::spawn(fill(store.clone(), task, events, aggregates)));
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("it is filled");
        }
    }
    store.close().await;
    path
}

async fn fill(store: SqliteEventStore, task: u64, events: u64, aggregates: u64) {
    let append = |number: u64| {
        let event = HostEvent::Registered(registration(number));
        let event = NewEvent::of(&event).expect("it encodes");
        let message = 1 << 64 | u128::from(number);
        let request = commit(id(number % aggregates), message, vec![event]);
        let store = &store;
        async move { store.append(request).await.expect("it is stored").len() }
    };
    // An aggregate is of one task alone, so that no commit waits for one that it follows.
    let mine = (0..events).filter(|number| number % aggregates % TASKS == task);
    let mut appended = stream::iter(mine).map(append).buffered(EACH);
    while appended.next().await.is_some() {}
}

pub fn open(path: &Path) -> SqliteEventStore {
    SqliteEventStore::options()
        .check_on_open_up_to(0)
        .open(path)
        .expect("the file opens")
}

pub async fn end(store: &SqliteEventStore) -> Position {
    store.last_position().await.expect("it reads")
}

/// A document of about 150 bytes.
#[derive(Document, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    hostname: String,
    architecture: String,
    rack: Option<String>,
    memory: u64,
    registrations: u64,
}

/// The document that one event makes.
pub fn card(number: u64) -> Card {
    let registered = registration(number);
    Card {
        hostname: registered.hostname,
        architecture: registered.architecture,
        rack: registered.rack,
        memory: registered.memory,
        registrations: 1,
    }
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [HostEvent], documents = Card)]
pub struct Cards;

impl ProjectDocuments<HostEvent> for Cards {
    async fn project(
        &self,
        event: HostEvent,
        at: &Source<'_, Host>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let HostEvent::Registered(registered) = event;
        let before = cards.get(&at.id()).await?;
        let card = Card {
            hostname: registered.hostname,
            architecture: registered.architecture,
            rack: registered.rack,
            memory: registered.memory,
            registrations: before.map_or(0, |card| card.registrations) + 1,
        };
        cards.put(&at.id(), card)?;
        Ok(())
    }
}

#[derive(Projection)]
#[projection(
    name = "rows",
    version = 1,
    events = [HostEvent],
    tables = "CREATE TABLE {hosts} (id TEXT PRIMARY KEY, hostname TEXT NOT NULL, memory INTEGER NOT NULL,
        registrations INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)]
pub struct Rows;

impl ProjectTables<HostEvent> for Rows {
    fn project(
        &self,
        event: HostEvent,
        at: &Source<'_, Host>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        let HostEvent::Registered(registered) = event;
        let memory = i64::try_from(registered.memory)?;
        tables.execute(
            "INSERT INTO {hosts} VALUES (?1, ?2, ?3, 1)
             ON CONFLICT DO UPDATE SET hostname = excluded.hostname, registrations = registrations + 1",
            (at.id_text(), &registered.hostname, memory),
        )?;
        Ok(())
    }
}
