//! What stands beside each object, in a table of its own: size, content type and time, with a digest.
//!
//! The table is made when an object is kept for the first time since there is such a table; the objects that were there get
//! rows that know their size alone. From then on each object has a row.

use rusqlite::Row;
use sha2::{Digest, Sha256};

use super::database::{Database, count, stored};
use super::{format, schema};
use crate::block::Cid;
use crate::domain::message::Timestamp;
use crate::store::{ContentType, ObjectInfo, StoreError};

/// What a file has that keeps details of objects, in the words in which SQLite keeps it.
pub(super) const OBJECTS: &[(&str, &str)] = &[(
    "object_details",
    "CREATE TABLE object_details (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    content_type TEXT,
    stored_at INTEGER,
    digest BLOB NOT NULL
) STRICT",
)];

/// How many objects get their rows at once.
const PAGE: u64 = 1_000;
/// How many rows without an object are told at most.
const MOST: u64 = 1_000;

/// The columns of the details in a row that has them from one place on; all are NULL where the object has none.
pub(super) struct Columns {
    size: Option<i64>,
    content_type: Option<String>,
    stored_at: Option<i64>,
    digest: Option<Vec<u8>>,
}

impl Columns {
    pub(super) fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            size: row.get(first)?,
            content_type: row.get(first + 1)?,
            stored_at: row.get(first + 2)?,
            digest: row.get(first + 3)?,
        })
    }

    /// What they say of an object of so many bytes; none where it is not what was written.
    pub(super) fn opened(self, cid: Cid, bytes: u64) -> Option<ObjectInfo> {
        let content_type = self.content_type.map(ContentType::new);
        let info = ObjectInfo {
            content_type: content_type.transpose().ok()?,
            stored_at: self.stored_at.map(Timestamp::from_micros),
            ..ObjectInfo::new(cid, bytes)
        };
        let is_intact = self.size == Some(stored(bytes))
            && self.digest.as_deref() == Some(digest(&info).as_slice());
        is_intact.then_some(info)
    }
}

/// What is wrong with the details of an object.
pub(super) fn damaged(database: &Database, cid: Cid) -> StoreError {
    database.damaged(
        None,
        cid,
        "what stands beside the object (size, content type, time) is not what was written; its bytes can be read",
    )
}

/// Whether objects have details in this file.
pub(super) fn has_table(database: &Database) -> Result<bool, StoreError> {
    Ok(format::version(database)? >= schema::WITH_OBJECT_DETAILS)
}

/// Makes the table in the open transaction, unless it is there.
pub(super) fn begin(database: &Database) -> Result<(), StoreError> {
    if has_table(database)? {
        return Ok(());
    }
    format::raise(database, schema::WITH_OBJECT_DETAILS)?;
    let mut after = 0;
    loop {
        let page = database.all(
            "reading the objects",
            "SELECT number, cid, length(body) FROM objects WHERE number > ?1 ORDER BY number LIMIT ?2",
            (stored(after), stored(PAGE)),
            |row| {
                let cid = Cid::try_from(row.get_ref(1)?.as_blob()?).ok();
                Ok((count(row, 0)?, cid, count(row, 2)?))
            },
        )?;
        let Some((last, ..)) = page.last() else {
            return Ok(());
        };
        after = *last;
        for (number, cid, size) in page {
            let Some(cid) = cid else {
                let reason = format!("object {number} has no CID");
                return Err(database.damaged(None, None, reason));
            };
            add(database, number, &ObjectInfo::new(cid, size))?;
        }
    }
}

/// Keeps the details of the object with a number.
pub(super) fn add(database: &Database, number: u64, info: &ObjectInfo) -> Result<(), StoreError> {
    database.write_row(
        "keeping what stands beside an object",
        "INSERT INTO object_details (number, size, content_type, stored_at, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            stored(number),
            stored(info.size),
            info.content_type.as_ref().map(ContentType::as_str),
            info.stored_at.map(Timestamp::as_micros),
            digest(info).as_slice(),
        ),
    )
}

/// The rows that stand beside no object, as damage.
pub(super) fn astray(database: &Database) -> Result<Vec<StoreError>, StoreError> {
    if !has_table(database)? {
        return Ok(Vec::new());
    }
    let rows = database.all(
        "looking for details without an object",
        "SELECT number FROM object_details WHERE number NOT IN (SELECT number FROM objects) LIMIT ?1",
        (stored(MOST),),
        |row| row.get::<_, i64>(0),
    )?;
    let damages = rows.into_iter().map(|number| {
        let reason = format!("details of object {number} stand there, and not the object");
        database.damaged(None, None, reason)
    });
    Ok(damages.collect())
}

fn digest(info: &ObjectInfo) -> [u8; 32] {
    let cid = info.cid.to_bytes();
    let content_type = info.content_type.as_ref().map_or("", ContentType::as_str);
    let stored_at = info.stored_at.map(Timestamp::as_micros);
    Sha256::new()
        .chain_update((cid.len() as u64).to_be_bytes())
        .chain_update(cid)
        .chain_update(info.size.to_be_bytes())
        .chain_update([u8::from(stored_at.is_some())])
        .chain_update(stored_at.unwrap_or_default().to_be_bytes())
        .chain_update(content_type)
        .finalize()
        .into()
}
