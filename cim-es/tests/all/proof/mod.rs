//! Checkpoints of stores and what is proved by them.

mod automatic;
mod changed_history;
mod log;

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::proof::{CheckpointLog, Reading, SignedCheckpoint, SigningKey, Tiles, Trust};
use cim_es::store::{EventStore, EventStoreExt, Position, SealedCommit, TryStreamExt};

use crate::sqlite_support::{Directory, any, note};

const ORIGIN: &str = "example.org/library";

/// The keys of Go's documentation of notes and of RFC 8410, which nobody else has to keep secret.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

fn key() -> SigningKey {
    SigningKey::parse(ORIGIN, PEM).expect("it is a key")
}

fn trust() -> Trust {
    Trust::new([key().verifying_key()])
}

fn sqlite(directory: &Directory, name: &str) -> SqliteEventStore {
    SqliteEventStore::open(directory.file(name)).expect("the file opens")
}

/// Stores so many events, each in a commit of its own, of 7 aggregates in turn.
async fn fill(store: &impl EventStore, from: u64, to: u64) {
    for number in from..to {
        let commit = any(format!("n{}", number % 7), vec![note(number)]);
        store.append(commit).await.expect("it is stored");
    }
}

async fn events(store: &impl EventStore) -> Vec<StoredEvent> {
    store
        .read_all(Position::START)
        .try_collect()
        .await
        .expect("the store is whole")
}

/// Stores events that come from elsewhere, in the order of the list.
async fn import(store: &impl EventStore, events: &[StoredEvent]) {
    let commits = events
        .iter()
        .map(|event| SealedCommit::split(std::slice::from_ref(event)));
    let commits: Result<Vec<_>, _> = commits.collect();
    let commits = commits
        .expect("each is a whole commit")
        .into_iter()
        .flatten()
        .collect();
    store
        .append_sealed(commits)
        .await
        .expect("they follow each other");
}

fn log(store: &(impl EventStore + Clone), tiles: Tiles) -> CheckpointLog {
    CheckpointLog::new(store.clone(), ORIGIN, tiles)
}

async fn checkpoint(log: &CheckpointLog, reading: Reading) -> SignedCheckpoint {
    log.checkpoint(&key(), reading)
        .await
        .expect("a checkpoint is made")
}
