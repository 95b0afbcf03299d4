//! Where the history is kept: in a file, or in a stream on a NATS server.

use std::path::PathBuf;

use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es::{Repository, SqliteEventStore};

use super::Surroundings;
use super::args::Args;
use super::domain::Compute;
use super::error::QuickstartError;
use crate::place::{self, PlaceError};

/// The stream that keeps the events of the domain.
const STREAM: &str = "INFRASTRUCTURE_EVENTS";

/// Opens the store that the command line names.
///
/// Gives the repository on it, and the name of the store for people.
///
/// # Errors
/// [`QuickstartError`] says why it cannot be used.
pub async fn open(
    args: &Args,
    surroundings: &Surroundings,
) -> Result<(Repository<Compute>, String), QuickstartError> {
    let Some(server) = &args.nats else {
        let path = file(args, surroundings)?;
        let store = SqliteEventStore::open(&path)?;
        return Ok((Repository::new(store), path.display().to_string()));
    };
    let stream = EventStoreConfig::new(STREAM, ["infrastructure.>"]);
    let stores = NatsConfig::new([server]).event_store(stream).open().await?;
    let name = format!("stream {STREAM} on {}", stores.connection.servers());
    Ok((Repository::new(stores), name))
}

/// The file that the command line names; its directory exists when facts are to be recorded.
///
/// # Errors
/// [`QuickstartError`] says why there can be no such file.
pub fn file(args: &Args, surroundings: &Surroundings) -> Result<PathBuf, QuickstartError> {
    let records_facts = args.decommission.is_none() && !args.tamper;
    let (data, named) = (
        surroundings.data_directory.as_deref(),
        args.store.as_deref(),
    );
    place::file_in(data, named, "quickstart.db", records_facts).map_err(|error| match error {
        PlaceError::NoStore(path) => QuickstartError::NoStore(path),
        error => error.into(),
    })
}
