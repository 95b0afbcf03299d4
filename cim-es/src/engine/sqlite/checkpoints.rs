//! Checkpoints in the file, by the reader's name.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::SqliteEventStore;
use super::database::Database;
use crate::store::{CheckpointStore, Position, StoreError};

#[async_trait]
impl CheckpointStore for SqliteEventStore {
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError> {
        let reader = reader.to_owned();
        self.shared
            .writer
            .write(0, move |database| save(database, &reader, position.0))
            .await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError> {
        let reader = reader.to_owned();
        self.shared
            .readers
            .read(move |database| get(database, &reader))
            .await
    }
}

fn save(database: &Database, reader: &str, position: u64) -> Result<(), StoreError> {
    // The same 64 bits: a position that no event ever has is kept as it is, too.
    let position = position.cast_signed();
    database.write_row(
        "saving a checkpoint",
        "INSERT INTO checkpoints (reader, position, digest) VALUES (?1, ?2, ?3)
         ON CONFLICT (reader) DO UPDATE SET position = excluded.position, digest = excluded.digest",
        (reader, position, digest(reader, position).as_slice()),
    )
}

fn get(database: &Database, reader: &str) -> Result<Option<Position>, StoreError> {
    let found = database.first(
        "reading a checkpoint",
        "SELECT position, digest FROM checkpoints WHERE reader = ?1",
        (reader,),
        |row| {
            let position: i64 = row.get(0)?;
            let intact = row.get_ref(1)?.as_blob()? == digest(reader, position);
            Ok((intact, position.cast_unsigned()))
        },
    )?;
    match found {
        Some((true, position)) => Ok(Some(Position(position))),
        Some((false, _)) => Err(changed(database, reader)),
        // The index over the names says no; the rows themselves must agree, and be what was written.
        None => match check(database)?.iter().any(|known| known == reader) {
            false => Ok(None),
            true => Err(changed(database, reader)),
        },
    }
}

/// Checks every checkpoint and gives the names of the readers.
pub(super) fn check(database: &Database) -> Result<Vec<String>, StoreError> {
    let rows = database.all(
        "reading the checkpoints",
        "SELECT reader, position, digest FROM checkpoints NOT INDEXED",
        (),
        |row| {
            let reader: String = row.get(0)?;
            let intact = row.get_ref(2)?.as_blob()? == digest(&reader, row.get(1)?);
            Ok((reader, intact))
        },
    )?;
    rows.into_iter()
        .map(|(reader, intact)| match intact {
            true => Ok(reader),
            false => Err(changed(database, &reader)),
        })
        .collect()
}

fn changed(database: &Database, reader: &str) -> StoreError {
    database.damaged(
        None,
        None,
        format!("the checkpoint of reader `{reader}` is not what was written; start the reader again from a position that you know"),
    )
}

fn digest(reader: &str, position: i64) -> [u8; 32] {
    Sha256::new()
        .chain_update(reader)
        .chain_update([0])
        .chain_update(position.to_be_bytes())
        .finalize()
        .into()
}
