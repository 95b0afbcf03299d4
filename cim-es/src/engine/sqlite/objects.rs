//! Objects in the file, by CID.

use async_trait::async_trait;
use bytes::Bytes;

use super::database::{Database, count, stored};
use super::{SqliteEventStore, cids};
use crate::block::{Cid, parse_cid, verify_cid};
use crate::store::{ObjectEntry, ObjectStore, StoreError};

#[async_trait]
impl ObjectStore for SqliteEventStore {
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        let (hash, writer) = (self.shared.hash, &self.shared.writer);
        let hashed = bytes.clone();
        let cid = writer.aside(bytes.len(), move || hash.cid(&hashed)).await?;
        writer
            .write(bytes.len(), move |database| put(database, &cid, &bytes))
            .await?;
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let cid = *cid;
        self.shared
            .readers
            .read(move |database| get(database, &cid))
            .await
    }
}

/// Keeps a block under its CID, unless it is there.
pub(super) fn put(database: &Database, cid: &Cid, bytes: &[u8]) -> Result<(), StoreError> {
    // An object that is there is compared, so that a damaged one is not taken for kept.
    if get(database, cid)?.is_some() {
        return Ok(());
    }
    database.write_row(
        "keeping an object",
        "INSERT INTO objects (cid, body) VALUES (?1, ?2)",
        (cid.to_bytes(), bytes),
    )
}

/// The object with a CID. Two indexes lead to it, one over the CID and one over its last 16 bytes; only when neither
/// knows it, it is not there.
pub(super) fn get(database: &Database, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
    let Some(wanted) = cids::bytes(cid) else {
        return Ok(None);
    };
    let body = database.first(
        "reading an object",
        "SELECT body FROM objects INDEXED BY sqlite_autoindex_objects_1 WHERE cid = ?1",
        (wanted.as_slice(),),
        |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)),
    )?;
    let Some(body) = body else {
        let other = database.first(
            "looking for an object",
            "SELECT 1 FROM objects INDEXED BY objects_by_tail WHERE substr(cid, 21) = ?1 AND cid = ?2",
            (&wanted[20..], wanted.as_slice()),
            |_| Ok(()),
        )?;
        return match other {
            None => Ok(None),
            Some(()) => Err(database.damaged(
                None,
                *cid,
                "the object is in one index of its table and missing from the other",
            )),
        };
    };
    if !verify_cid(cid, &body) {
        return Err(database.damaged(None, *cid, "the object does not hash to its CID"));
    }
    Ok(Some(body))
}

/// Objects behind a place in their list, without their bytes.
pub(super) fn list(
    database: &Database,
    after: u64,
    limit: usize,
) -> Result<Vec<ObjectEntry>, StoreError> {
    let rows = database.all(
        "listing the objects",
        "SELECT number, cid, length(body) FROM objects WHERE number > ?1 ORDER BY number LIMIT ?2",
        (stored(after), stored(limit as u64)),
        |row| {
            let cid = parse_cid(row.get_ref(1)?.as_blob()?);
            Ok((count(row, 0)?, cid, count(row, 2)?))
        },
    )?;
    let entries = rows.into_iter().map(|(cursor, cid, size)| {
        let cid = cid.map_err(|error| {
            let reason = format!("the CID of object {cursor}: {error}");
            database.damaged(None, None, reason)
        });
        Ok(ObjectEntry {
            cid: cid?,
            size,
            cursor,
        })
    });
    entries.collect()
}

/// Checks every object and gives their number.
pub(super) fn check(database: &Database) -> Result<u64, StoreError> {
    let mut number = 0;
    let mut after = i64::MIN;
    loop {
        let next = database.first(
            "reading an object",
            "SELECT number, cid, body FROM objects WHERE number > ?1 ORDER BY number LIMIT 1",
            (after,),
            |row| {
                let cid = parse_cid(row.get_ref(1)?.as_blob()?).ok();
                let fits = match &cid {
                    Some(cid) => verify_cid(cid, row.get_ref(2)?.as_blob()?),
                    None => false,
                };
                Ok((row.get::<_, i64>(0)?, cid, fits))
            },
        )?;
        match next {
            None => return Ok(number),
            Some((_, cid, false)) => {
                return Err(database.damaged(None, cid, "the object does not hash to its CID"));
            }
            Some((row, _, true)) => {
                after = row;
                number += 1;
            }
        }
    }
}
