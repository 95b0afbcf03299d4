//! A store that is made for what is brought in, and does not stay where nothing was.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cim_es::SqliteEventStore;
use cim_es::jetstream::{Connection, JetStreamEventStore, NatsConfig};
use cim_es::store::{EventStore, Position};

use crate::failure::Failure;
use crate::store::{Store, Stream};

/// What stands where a store was named.
pub enum Found {
    /// A store, which is open.
    There(Store),
    /// Nothing.
    Free(Free),
}

/// Where a store can be made.
pub enum Free {
    File(PathBuf),
    Stream(Box<(Connection, NatsConfig)>),
}

/// A store that was made.
pub struct Made(Store);

impl Free {
    /// Makes it.
    pub async fn make(self) -> Result<Made, Failure> {
        Ok(Made(match self {
            Self::File(path) => Store::File(SqliteEventStore::open(path)?),
            Self::Stream(reached) => {
                let (connection, config) = *reached;
                let options = config.event_store.clone();
                let events = JetStreamEventStore::open(connection.clone(), options).await?;
                Store::Stream(Box::new(Stream {
                    events,
                    connection,
                    config,
                }))
            }
        }))
    }
}

impl Made {
    /// What takes the events.
    pub fn events(&self) -> &dyn EventStore {
        self.0.events()
    }

    /// Leaves it where something was stored, and takes it away where nothing was.
    pub async fn close(self) -> Result<(), Failure> {
        // What cannot be asked is left as it is.
        let is_empty = matches!(self.events().last_position().await, Ok(Position::START));
        match self.0 {
            Store::File(store) => {
                let path = store.path().to_owned();
                store.close().await;
                match is_empty {
                    true => remove(&path),
                    false => Ok(()),
                }
            }
            Store::Stream(stream) if is_empty => {
                let name = stream.events.stream_name();
                let deleted = stream.connection.jetstream().delete_stream(name).await;
                deleted.map(drop).map_err(|error| {
                    let message = format!(
                        "stream {name} was made and is empty, and cannot be deleted again: {error}"
                    );
                    Failure::new(crate::failure::Kind::Store, message).help("delete it by hand")
                })
            }
            Store::Stream(_) => Ok(()),
        }
    }
}

/// Removes a file and what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), Failure> {
    for beside in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let what = "an empty store was made, which cannot be removed:";
                return Err(Failure::file(what, Path::new(&name), &error));
            }
            _ => {}
        }
    }
    Ok(())
}
