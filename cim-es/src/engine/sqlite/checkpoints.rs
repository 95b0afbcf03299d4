//! Checkpoints in the file, by the reader's name.
//!
//! The last column has a digest of the row, and behind it the CID of the event at the position, where the reader named
//! it: so a checkpoint that was kept without one is read as it always was.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::SqliteEventStore;
use super::database::Database;
use crate::block::parse_cid;
use crate::store::{Bookmark, CheckpointStore, Position, StoreError};

#[async_trait]
impl CheckpointStore for SqliteEventStore {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        let reader = reader.to_owned();
        self.shared
            .writer
            .write(0, move |database| save(database, &reader, &at))
            .await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        let reader = reader.to_owned();
        self.shared
            .readers
            .read(move |database| get(database, &reader))
            .await
    }
}

fn save(database: &Database, reader: &str, at: &Bookmark) -> Result<(), StoreError> {
    // The same 64 bits: a position that no event ever has is kept as it is, too.
    let position = at.position.0.cast_signed();
    let cid = at.cid.map(|cid| cid.to_bytes()).unwrap_or_default();
    let mut proof = digest(reader, position, &cid).to_vec();
    proof.extend(cid);
    database.write_row(
        "saving a checkpoint",
        "INSERT INTO checkpoints (reader, position, digest) VALUES (?1, ?2, ?3)
         ON CONFLICT (reader) DO UPDATE SET position = excluded.position, digest = excluded.digest",
        (reader, position, proof),
    )
}

fn get(database: &Database, reader: &str) -> Result<Option<Bookmark>, StoreError> {
    let found = database.first(
        "reading a checkpoint",
        "SELECT position, digest FROM checkpoints WHERE reader = ?1",
        (reader,),
        |row| Ok(opened(reader, row.get(0)?, row.get_ref(1)?.as_blob()?)),
    )?;
    match found {
        Some(Some(at)) => Ok(Some(at)),
        Some(None) => Err(changed(database, reader)),
        // The index over the names says no; the rows themselves must agree, and be what was written.
        None => match check(database)?.iter().any(|known| known == reader) {
            false => Ok(None),
            true => Err(changed(database, reader)),
        },
    }
}

/// Checks every checkpoint and gives the names of the readers.
pub(super) fn check(database: &Database) -> Result<Vec<String>, StoreError> {
    all(database)?.into_iter().collect()
}

/// The reader of each checkpoint, or what is wrong with it.
pub(super) fn all(database: &Database) -> Result<Vec<Result<String, StoreError>>, StoreError> {
    let rows = database.all(
        "reading the checkpoints",
        "SELECT reader, position, digest FROM checkpoints NOT INDEXED",
        (),
        |row| {
            let reader: String = row.get(0)?;
            let is_intact = opened(&reader, row.get(1)?, row.get_ref(2)?.as_blob()?).is_some();
            Ok((reader, is_intact))
        },
    )?;
    let checked = rows.into_iter().map(|(reader, is_intact)| match is_intact {
        true => Ok(reader),
        false => Err(changed(database, &reader)),
    });
    Ok(checked.collect())
}

fn changed(database: &Database, reader: &str) -> StoreError {
    database.damaged(
        None,
        None,
        format!("the checkpoint of reader `{reader}` is not what was written; start the reader again from a position that you know"),
    )
}

/// The checkpoint in a row; none when the row is not what was written.
fn opened(reader: &str, position: i64, proof: &[u8]) -> Option<Bookmark> {
    let (found, cid) = proof.split_at_checked(32)?;
    if found != digest(reader, position, cid) {
        return None;
    }
    let cid = match cid {
        [] => None,
        cid => Some(parse_cid(cid).ok()?),
    };
    Some(Bookmark {
        position: Position(position.cast_unsigned()),
        cid,
    })
}

fn digest(reader: &str, position: i64, cid: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(reader)
        .chain_update([0])
        .chain_update(position.to_be_bytes())
        .chain_update(cid)
        .finalize()
        .into()
}
