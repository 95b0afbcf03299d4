//! Documents in an SQLite file beside bare rusqlite: the same rows, by the same upserts, in transactions of the same size
//! and with the same pragmas.
//!
//! A view that catches up reads the events, makes documents of them and stores these. `commit` stores changes that were
//! made ready before; `batch` makes and stores them without reading events.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cim_es::SqliteReadModels;
use cim_es::document::DocumentBatch;
use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::read_model::{
    DocumentChange, ReadModelStorage, ViewChanges, ViewDeclaration, ViewId,
};
use cim_es::store::{Bookmark, Position};
use rusqlite::Connection;

use crate::Settings;
use crate::fixture::{Card, Cards, Directory, PATIENCE, card, document_key, end, filled, open};
use crate::report::rate;

/// The documents in one transaction.
pub const AT_ONCE: usize = 1_000;

pub async fn measure(settings: &Settings) {
    let documents = settings.documents;
    let events = filled(&settings.directory, documents, documents).await;
    let changes = changes(documents);
    let mut best = [Duration::MAX; 4];
    for _ in 0..settings.rounds {
        let times = [
            time_bare(&changes),
            time_commits(changes.clone()).await,
            time_batches(documents).await,
            time_view(&events).await,
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
        }
    }
    let [bare, commits, batches, view] = best;
    let what = "documents on SQLite, catching up";
    rate(what, documents, view, bare, "0.6x, 50,000/s");
    rate(
        "  making and storing them alone",
        documents,
        batches,
        bare,
        "",
    );
    rate("  storing them alone", documents, commits, bare, "");
}

/// Reads the events, makes the documents and stores them.
async fn time_view(events: &Path) -> Duration {
    let directory = Directory::new();
    let store = open(events);
    let storage = SqliteReadModels::open(directory.file("views.db")).expect("the file opens");
    let end = end(&store).await;
    let start = Instant::now();
    let projections = ProjectionManager::new(store);
    let cards = projections.documents::<Cards>(storage).await;
    let cards = cards.expect("it opens");
    cards.wait_for(end, PATIENCE).await.expect("it counts all");
    let taken = start.elapsed();
    projections.stop().await;
    taken
}

fn view() -> ViewId {
    ViewId::new("cards", 1).expect("the name of a view")
}

fn at(position: u64) -> Bookmark {
    Position(position).into()
}

async fn held(path: &Path) -> (SqliteReadModels, Uuid) {
    let storage = SqliteReadModels::open(path).expect("the file opens");
    let holder = Uuid::now_v7();
    let declaration = ViewDeclaration::new(view(), Card::FINGERPRINT);
    storage.open_view(&declaration).await.expect("it opens");
    let held = storage.hold(&view(), holder, PATIENCE).await;
    held.expect("it is held");
    (storage, holder)
}

/// What each transaction writes.
pub fn changes(documents: u64) -> Vec<Vec<DocumentChange>> {
    let bytes = |number| serde_ipld_dagcbor::to_vec(&card(number)).expect("it encodes");
    let change = |number| DocumentChange::put(document_key(number), bytes(number));
    let numbers: Vec<u64> = (0..documents).collect();
    let commits = numbers.chunks(AT_ONCE);
    commits
        .map(|commit| commit.iter().copied().map(change).collect())
        .collect()
}

async fn time_commits(changes: Vec<Vec<DocumentChange>>) -> Duration {
    let directory = Directory::new();
    let (storage, holder) = held(&directory.file("views.db")).await;
    let start = Instant::now();
    for (number, documents) in changes.into_iter().enumerate() {
        let number = number as u64;
        let commit = ViewChanges::new(holder, at(number), at(number + 1));
        let commit = commit.with_documents(documents);
        storage.commit(&view(), commit).await.expect("it is stored");
    }
    start.elapsed()
}

/// The table of the file, with its pragmas.
fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the file opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;
             PRAGMA cache_size = -16384; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;
             CREATE TABLE documents (view INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                entries BLOB NOT NULL, digest INTEGER NOT NULL, PRIMARY KEY (view, key)) STRICT, WITHOUT ROWID;
             CREATE TABLE views (number INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
             INSERT INTO views VALUES (1, 0);",
        )
        .expect("the tables are made");
    connection
}

fn time_bare(changes: &[Vec<DocumentChange>]) -> Duration {
    let directory = Directory::new();
    let connection = bare(&directory.file("bare.db"));
    let start = Instant::now();
    for documents in changes {
        let run = |sql: &str| {
            let mut statement = connection.prepare_cached(sql).expect("it is prepared");
            statement.execute(()).expect("it runs");
        };
        run("BEGIN IMMEDIATE");
        run("UPDATE views SET position = position + 1");
        for document in documents {
            let mut upsert = connection
                .prepare_cached(
                    "INSERT INTO documents (view, key, value, entries, digest) VALUES (1, ?1, ?2, x'', 7)
                     ON CONFLICT (view, key) DO UPDATE SET value = excluded.value, entries = excluded.entries,
                        digest = excluded.digest",
                )
                .expect("it is prepared");
            upsert
                .execute((&document.key, document.value.as_deref()))
                .expect("it is written");
        }
        run("COMMIT");
    }
    start.elapsed()
}

/// What a projection does that catches up, without the events.
async fn time_batches(documents: u64) -> Duration {
    let directory = Directory::new();
    let (storage, holder) = held(&directory.file("views.db")).await;
    let cards: Vec<(String, Card)> = (0..documents)
        .map(|number| (document_key(number), card(number)))
        .collect();
    let mut batch = DocumentBatch::<Card>::new(Arc::new(storage.clone()), view());
    let start = Instant::now();
    for (number, events) in cards.chunks(AT_ONCE).enumerate() {
        let keys = events.iter().map(|(key, _)| key.clone());
        batch.expect(keys).await.expect("it is read");
        let mut documents = batch.documents();
        for (key, card) in events {
            let present = documents.get(key).await.expect("it is read");
            black_box(present);
            documents.put(key, card).expect("it is put");
        }
        let number = number as u64;
        let commit = batch.changes(holder, at(number), at(number + 1));
        storage.commit(&view(), commit).await.expect("it is stored");
        batch.stored();
    }
    start.elapsed()
}
