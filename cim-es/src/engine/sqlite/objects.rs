//! Objects in the file, by CID.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Row;

use super::database::{Database, count, stored};
use super::object_details::Columns;
use super::{SqliteEventStore, cids, object_details};
use crate::block::{Cid, parse_cid, verify_cid};
use crate::store::{ContentType, ObjectEntry, ObjectInfo, ObjectStore, StoreError};

#[async_trait]
impl ObjectStore for SqliteEventStore {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        let (hash, writer) = (self.shared.hash, &self.shared.writer);
        let hashed = bytes.clone();
        let cid = writer.aside(bytes.len(), move || hash.cid(&hashed)).await?;
        let size = bytes.len();
        let info = ObjectInfo::new(cid, size as u64).with(content_type, SystemTime::now().into());
        writer
            .write(size, move |database| put(database, &info, &bytes))
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

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        let cid = *cid;
        self.shared
            .readers
            .read(move |database| info(database, &cid))
            .await
    }
}

/// Keeps a block with what stands beside it, unless it is there.
pub(super) fn put(database: &Database, info: &ObjectInfo, bytes: &[u8]) -> Result<(), StoreError> {
    // An object that is there is compared, so that a damaged one is not taken for kept.
    if get(database, &info.cid)?.is_some() {
        return Ok(());
    }
    object_details::begin(database)?;
    database.write_row(
        "keeping an object",
        "INSERT INTO objects (cid, body) VALUES (?1, ?2)",
        (info.cid.to_bytes(), bytes),
    )?;
    let number = database.connection.last_insert_rowid();
    object_details::add(database, number.cast_unsigned(), info)
}

/// A block of dag-cbor that is kept now.
pub(super) fn put_block(database: &Database, cid: &Cid, bytes: &[u8]) -> Result<(), StoreError> {
    let info = ObjectInfo::new(*cid, bytes.len() as u64);
    let info = info.with(ContentType::DAG_CBOR, SystemTime::now().into());
    put(database, &info, bytes)
}

/// The object with a CID.
pub(super) fn get(database: &Database, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
    let body = find(
        database,
        cid,
        "SELECT body FROM objects INDEXED BY sqlite_autoindex_objects_1 WHERE cid = ?1",
        |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)),
    )?;
    match body {
        Some(body) if !verify_cid(cid, &body) => {
            Err(database.damaged(None, *cid, "the object does not hash to its CID"))
        }
        body => Ok(body),
    }
}

/// What stands beside the object with a CID.
fn info(database: &Database, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
    if !object_details::has_table(database)? {
        let size = find(
            database,
            cid,
            "SELECT length(body) FROM objects INDEXED BY sqlite_autoindex_objects_1 WHERE cid = ?1",
            |row| count(row, 0),
        )?;
        return Ok(size.map(|size| ObjectInfo::new(*cid, size)));
    }
    let found = find(
        database,
        cid,
        "SELECT length(body), size, content_type, stored_at, digest
         FROM objects INDEXED BY sqlite_autoindex_objects_1
         LEFT JOIN object_details ON object_details.number = objects.number WHERE cid = ?1",
        |row| Ok((count(row, 0)?, Columns::of(row, 1)?)),
    )?;
    let Some((size, columns)) = found else {
        return Ok(None);
    };
    let info = columns.opened(*cid, size);
    info.map(Some)
        .ok_or_else(|| object_details::damaged(database, *cid))
}

/// The row of an object by its CID. Two indexes lead to it, one over the CID and one over its last 16 bytes; only when
/// neither knows it, it is not there.
fn find<T>(
    database: &Database,
    cid: &Cid,
    sql: &'static str,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let Some(wanted) = cids::bytes(cid) else {
        return Ok(None);
    };
    let found = database.first("reading an object", sql, (wanted.as_slice(),), row)?;
    if found.is_none() {
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
    }
    Ok(found)
}

/// Objects behind a place in their list, without their bytes.
pub(super) fn list(
    database: &Database,
    after: u64,
    limit: usize,
) -> Result<Vec<ObjectEntry>, StoreError> {
    let has_details = object_details::has_table(database)?;
    let sql = match has_details {
        true => {
            "SELECT objects.number, cid, length(body), size, content_type, stored_at, digest
             FROM objects LEFT JOIN object_details ON object_details.number = objects.number
             WHERE objects.number > ?1 ORDER BY objects.number LIMIT ?2"
        }
        false => {
            "SELECT number, cid, length(body), NULL, NULL, NULL, NULL
             FROM objects WHERE number > ?1 ORDER BY number LIMIT ?2"
        }
    };
    let rows = database.all(
        "listing the objects",
        sql,
        (stored(after), stored(limit as u64)),
        |row| {
            let cid = parse_cid(row.get_ref(1)?.as_blob()?);
            Ok((count(row, 0)?, cid, count(row, 2)?, Columns::of(row, 3)?))
        },
    )?;
    let entries = rows.into_iter().map(|(cursor, cid, size, columns)| {
        let cid = cid.map_err(|error| {
            let reason = format!("the CID of object {cursor}: {error}");
            database.damaged(None, None, reason)
        })?;
        let info = match has_details {
            true => columns.opened(cid, size),
            false => Some(ObjectInfo::new(cid, size)),
        };
        Ok(ObjectEntry {
            info: info.ok_or_else(|| object_details::damaged(database, cid))?,
            cursor,
        })
    });
    entries.collect()
}

/// What the check of an object came to.
pub(super) struct Checked {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) wrong: Option<StoreError>,
}

/// Checks the next object behind a number, with what stands beside it.
pub(super) fn check_next(database: &Database, after: u64) -> Result<Option<Checked>, StoreError> {
    let has_details = object_details::has_table(database)?;
    let sql = match has_details {
        true => {
            "SELECT objects.number, cid, body, size, content_type, stored_at, digest
             FROM objects LEFT JOIN object_details ON object_details.number = objects.number
             WHERE objects.number > ?1 ORDER BY objects.number LIMIT 1"
        }
        false => {
            "SELECT number, cid, body, NULL, NULL, NULL, NULL
             FROM objects WHERE number > ?1 ORDER BY number LIMIT 1"
        }
    };
    database.first("reading an object", sql, (stored(after),), |row| {
        let cid = parse_cid(row.get_ref(1)?.as_blob()?).ok();
        let body = row.get_ref(2)?.as_blob()?;
        let bytes = body.len() as u64;
        let columns = Columns::of(row, 3)?;
        let fits = cid.filter(|cid| verify_cid(cid, body));
        let wrong = match fits {
            None => Some(database.damaged(None, cid, "the object does not hash to its CID")),
            Some(cid) if has_details && columns.opened(cid, bytes).is_none() => {
                Some(object_details::damaged(database, cid))
            }
            Some(_) => None,
        };
        Ok(Checked {
            number: count(row, 0)?,
            bytes,
            wrong,
        })
    })
}

/// Checks every object and gives their number.
pub(super) fn check(database: &Database) -> Result<u64, StoreError> {
    if let Some(error) = object_details::astray(database)?.pop() {
        return Err(error);
    }
    let (mut number, mut after) = (0, 0);
    while let Some(checked) = check_next(database, after)? {
        if let Some(error) = checked.wrong {
            return Err(error);
        }
        after = checked.number;
        number += 1;
    }
    Ok(number)
}
