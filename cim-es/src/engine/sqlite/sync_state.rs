//! What the file knows of the stream that it is kept level with: values by name, each with a digest.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Row;
use sha2::{Digest, Sha256};

use super::database::Database;
use super::{SqliteEventStore, files, format, schema};
use crate::store::lock_file::lock;
use crate::store::{Location, StateChange, StateClaim, StoreError, SyncState};

/// What is appended to the name of the file of events: an empty file that is locked by whoever keeps the events level with
/// a stream. The file of events itself cannot be, since its locks are SQLite's; and the lock of a program ends with it.
const CLAIMED: &str = "-level";

/// What a file has that knows something of a stream, in the words in which SQLite keeps it.
pub(super) const OBJECTS: &[(&str, &str)] = &[(
    "sync_state",
    "CREATE TABLE sync_state (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID",
)];

#[async_trait]
impl SyncState for SqliteEventStore {
    async fn change_state(&self, changes: Vec<StateChange>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let values = changes.iter().filter_map(|change| change.value.as_ref());
        let bytes = values.map(Bytes::len).sum();
        self.shared
            .writer
            .write(bytes, move |database| change(database, &changes))
            .await
    }

    async fn get_state(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let name = name.to_owned();
        self.shared
            .readers
            .read(move |database| get(database, &name))
            .await
    }

    async fn list_state(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let prefix = prefix.to_owned();
        self.shared
            .readers
            .read(move |database| list(database, &prefix))
            .await
    }

    async fn claim_state(&self) -> Result<StateClaim, StoreError> {
        let opened = &self.shared.files;
        let (path, location) = (
            files::beside(&opened.path, CLAIMED),
            opened.location.clone(),
        );
        self.shared
            .readers
            .read(move |_| claim(&path, location))
            .await
    }
}

fn claim(path: &Path, location: Location) -> Result<StateClaim, StoreError> {
    let locked = lock(path).map_err(|error| StoreError::Engine {
        location: path.into(),
        operation: "claiming what is known of the stream",
        source: Arc::new(error),
    })?;
    locked
        .map(StateClaim::new)
        .ok_or(StoreError::KeptLevel { location })
}

/// Changes values in the open transaction.
pub(super) fn change(database: &Database, changes: &[StateChange]) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    format::raise(database, schema::WITH_SYNC_STATE)?;
    changes
        .iter()
        .try_for_each(|change| write(database, change))
}

fn write(database: &Database, change: &StateChange) -> Result<(), StoreError> {
    let Some(value) = &change.value else {
        return database
            .execute(
                "removing what is known of the stream",
                "DELETE FROM sync_state WHERE name = ?1",
                (&change.name,),
            )
            .map(drop);
    };
    database.write_row(
        "keeping what is known of the stream",
        "INSERT INTO sync_state (name, value, digest) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, digest = excluded.digest",
        (&change.name, &value[..], digest(&change.name, value)),
    )
}

fn get(database: &Database, name: &str) -> Result<Option<Bytes>, StoreError> {
    if !has_table(database)? {
        return Ok(None);
    }
    let found = database.first(
        "reading what is known of the stream",
        "SELECT name, value, digest FROM sync_state WHERE name = ?1",
        (name,),
        row,
    )?;
    found
        .map(|row| row.opened(database).map(|(_, value)| value))
        .transpose()
}

fn list(database: &Database, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
    if !has_table(database)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let next = match &after {
            None => database.first(
                "reading what is known of the stream",
                "SELECT name, value, digest FROM sync_state WHERE name >= ?1 ORDER BY name LIMIT 1",
                (prefix,),
                row,
            )?,
            Some(after) => database.first(
                "reading what is known of the stream",
                "SELECT name, value, digest FROM sync_state WHERE name > ?1 ORDER BY name LIMIT 1",
                (after,),
                row,
            )?,
        };
        let Some(next) = next.filter(|row| row.name.starts_with(prefix)) else {
            return Ok(found);
        };
        let (name, value) = next.opened(database)?;
        after = Some(name.clone());
        found.push((name, value));
    }
}

/// Checks every value.
pub(super) fn check(database: &Database) -> Result<(), StoreError> {
    all(database)?.into_iter().collect()
}

/// Each value, or what is wrong with it.
pub(super) fn all(database: &Database) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    if !has_table(database)? {
        return Ok(Vec::new());
    }
    let rows = database.all(
        "reading what is known of the stream",
        "SELECT name, value, digest FROM sync_state",
        (),
        row,
    )?;
    let checked = rows.into_iter();
    Ok(checked.map(|row| row.opened(database).map(drop)).collect())
}

fn has_table(database: &Database) -> Result<bool, StoreError> {
    Ok(format::version(database)? >= schema::WITH_SYNC_STATE)
}

/// A row as it stands.
struct Kept {
    name: String,
    value: Bytes,
    is_intact: bool,
}

fn row(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let name: String = row.get(0)?;
    let value = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
    let is_intact = row.get_ref(2)?.as_blob()? == digest(&name, &value);
    Ok(Kept {
        name,
        value,
        is_intact,
    })
}

impl Kept {
    fn opened(self, database: &Database) -> Result<(String, Bytes), StoreError> {
        match self.is_intact {
            true => Ok((self.name, self.value)),
            false => Err(database.damaged(
                None,
                None,
                format!("`{}` of what is known of the stream is not what was written; remove the row, and the store finds out again by the stream", self.name),
            )),
        }
    }
}

fn digest(name: &str, value: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update((name.len() as u64).to_be_bytes())
        .chain_update(name)
        .chain_update(value)
        .finalize()
        .into()
}
