//! The engines beside the one in memory, on which the domains prove themselves.

use cim_es::SqliteEventStore;
use cim_es::jetstream::{EventStoreConfig, JetStreamStores, NatsConfig};
use cim_es_tests::nats::{Server, User};
use tempfile::TempDir;

/// A new file; it is gone with the directory.
pub fn file() -> (TempDir, SqliteEventStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteEventStore::open(directory.path().join("events.db")).expect("a file");
    (directory, store)
}

/// A new stream for the subjects, on a server of its own; both are gone with the server.
pub async fn server(stream: &str, subjects: &str) -> (Server, JetStreamStores) {
    let server = Server::start();
    let config = NatsConfig::new([server.url()])
        .user_and_password("operator", User::Operator.password())
        .event_store(EventStoreConfig::new(stream, [subjects]));
    let stores = config.open().await.expect("the server answers");
    (server, stores)
}
