//! The table of aggregates: where each one's history ends.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Row};
use sha2::{Digest, Sha256};

use super::cids;
use super::database::{Database, count, stored};
use crate::block::{Cid, parse_cid};
use crate::domain::aggregate::IdText;
use crate::domain::message::Timestamp;
use crate::store::{AggregateKey, Head, Position, StoreError};

/// How many names may share a digest of 64 bits before a further one is refused.
const MAX_PROBES: u64 = 8;

/// Where an aggregate is kept, or would be.
pub(super) enum Slot {
    /// It has events.
    Taken {
        /// The key of its row.
        key: i64,
        /// Its last event.
        head: Head,
    },
    /// It has none.
    Free {
        /// The key that its row would have.
        key: i64,
    },
}

/// The digest under which an aggregate is looked for first.
pub(super) type NameDigest = fn(kind: &str, id: &str) -> i64;

/// The first 8 bytes of the SHA-256 of the kind, a zero byte and the id.
pub(super) fn name_digest(kind: &str, id: &str) -> i64 {
    let digest = Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(id)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// A row of the table of aggregates, as it is stored.
pub(super) struct Stored {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) position: u64,
    pub(super) cid: Vec<u8>,
    pub(super) timestamp: i64,
}

/// Finds an aggregate. Keys in `reserved` count as taken by others.
///
/// Two names may share a digest; the later one then has one of the next keys. A row whose own name does not belong
/// near its key was not written so, and a name that the index knows but no key leads to has lost its row.
pub(super) fn find(
    database: &Database,
    aggregate: &AggregateKey,
    digest: NameDigest,
    reserved: &HashSet<i64>,
) -> Result<Slot, StoreError> {
    let (kind, id) = (aggregate.kind(), aggregate.id().as_str());
    let home = digest(kind, id);
    for probe in 0..MAX_PROBES {
        let key = home.wrapping_add_unsigned(probe);
        if reserved.contains(&key) {
            continue;
        }
        let Some(row) = row(database, key)? else {
            if indexed(database, kind, id)? {
                return Err(database.damaged(
                    None,
                    None,
                    format!("the row of {aggregate} is missing from the table of aggregates"),
                ));
            }
            return Ok(Slot::Free { key });
        };
        if row.kind == kind && row.id == id {
            let head = row.head(database)?;
            return Ok(Slot::Taken { key, head });
        }
        check_place(database, key, &row.kind, &row.id, digest)?;
    }
    Err(StoreError::InvalidCommit {
        reason: format!(
            "the name of {aggregate} shares a digest of 64 bits with {MAX_PROBES} others; give it another id"
        ),
    })
}

/// Whether a name belongs under a key: its digest, or one of the next keys.
pub(super) fn is_place(key: i64, kind: &str, id: &str, digest: NameDigest) -> bool {
    let displaced = key.wrapping_sub(digest(kind, id));
    (0..MAX_PROBES as i64).contains(&displaced)
}

/// Checks that a name belongs near the key of its row.
pub(super) fn check_place(
    database: &Database,
    key: i64,
    kind: &str,
    id: &str,
    digest: NameDigest,
) -> Result<(), StoreError> {
    if is_place(key, kind, id, digest) {
        return Ok(());
    }
    Err(database.damaged(
        None,
        None,
        format!("the row of aggregate `{kind} {id}` does not belong under key {key}"),
    ))
}

/// Checks that every row belongs under its key, so that the kinds in them are those that were written.
pub(super) fn check_places(database: &Database, digest: NameDigest) -> Result<(), StoreError> {
    let failed = database.failed("reading the aggregates");
    let mut statement = database
        .connection
        .prepare_cached("SELECT key, kind, id FROM aggregates")
        .map_err(&failed)?;
    let mut rows = statement.query(()).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let key = row.get(0).map_err(&failed)?;
        let text = |column| {
            let text = row.get_ref(column).and_then(|text| Ok(text.as_str()?));
            text.map_err(&failed)
        };
        check_place(database, key, text(1)?, text(2)?, digest)?;
    }
    Ok(())
}

/// Keeps the last events of aggregates, each after it was found.
pub(super) struct Saving<'a> {
    database: &'a Database,
    add: CachedStatement<'a>,
    advance: CachedStatement<'a>,
}

impl<'a> Saving<'a> {
    pub(super) fn new(database: &'a Database) -> Result<Self, StoreError> {
        let prepare = |sql| {
            let prepared = database.connection.prepare_cached(sql);
            prepared.map_err(database.failed("keeping the last event of an aggregate"))
        };
        Ok(Self {
            database,
            add: prepare(
                "INSERT INTO aggregates (key, kind, id, version, position, cid, timestamp)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            // The version in the condition makes a lost update impossible whatever the writer believed.
            advance: prepare(
                "UPDATE aggregates SET version = ?3, position = ?4, cid = ?5, timestamp = ?6
                 WHERE key = ?1 AND version = ?2",
            )?,
        })
    }

    /// Keeps the last event of an aggregate that had `before` events.
    pub(super) fn save(
        &mut self,
        aggregate: &AggregateKey,
        key: i64,
        before: u64,
        head: &Head,
    ) -> Result<(), StoreError> {
        let (version, position) = (stored(head.version), stored(head.position.0));
        let timestamp = head.timestamp.as_micros();
        let cid = cids::column(self.database, &head.cid)?;
        let changed = match before {
            0 => self.add.execute((
                key,
                aggregate.kind(),
                aggregate.id().as_str(),
                version,
                position,
                cid.as_slice(),
                timestamp,
            )),
            _ => self.advance.execute((
                key,
                stored(before),
                version,
                position,
                cid.as_slice(),
                timestamp,
            )),
        };
        match changed.map_err(
            self.database
                .failed("keeping the last event of an aggregate"),
        )? {
            1 => Ok(()),
            _ => Err(self.database.damaged(
                None,
                None,
                format!("the row of {aggregate} is not what the writer read"),
            )),
        }
    }
}

/// Makes an earlier event the last one of an aggregate.
pub(super) fn set_back(database: &Database, key: i64, head: &Head) -> Result<(), StoreError> {
    database.write_row(
        "setting an aggregate back",
        "UPDATE aggregates SET version = ?2, position = ?3, cid = ?4, timestamp = ?5 WHERE key = ?1",
        (
            key,
            stored(head.version),
            stored(head.position.0),
            head.cid.to_bytes(),
            head.timestamp.as_micros(),
        ),
    )
}

/// The kinds of the aggregates with an id.
pub(super) fn kinds(database: &Database, id: &IdText) -> Result<Vec<String>, StoreError> {
    database.all(
        "looking for aggregates by their id",
        "SELECT kind FROM aggregates INDEXED BY sqlite_autoindex_aggregates_1 WHERE id = ?1",
        (id.as_str(),),
        |row| row.get(0),
    )
}

fn row(database: &Database, key: i64) -> Result<Option<Stored>, StoreError> {
    database.first(
        "reading the head of an aggregate",
        "SELECT kind, id, version, position, cid, timestamp FROM aggregates WHERE key = ?1",
        (key,),
        |row| Stored::of(row, 0),
    )
}

fn indexed(database: &Database, kind: &str, id: &str) -> Result<bool, StoreError> {
    database
        .first(
            "looking for an aggregate",
            "SELECT key FROM aggregates INDEXED BY sqlite_autoindex_aggregates_1
             WHERE kind = ?1 AND id = ?2",
            (kind, id),
            |row| row.get::<_, i64>(0),
        )
        .map(|key| key.is_some())
}

impl Stored {
    /// Reads kind, id, version, position, CID and timestamp, of which the kind is column `first`.
    pub(super) fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: row.get(first)?,
            id: row.get(first + 1)?,
            version: count(row, first + 2)?,
            position: count(row, first + 3)?,
            cid: row.get(first + 4)?,
            timestamp: row.get(first + 5)?,
        })
    }

    fn head(&self, database: &Database) -> Result<Head, StoreError> {
        let cid: Cid = parse_cid(&self.cid).map_err(|error| {
            database.damaged(
                self.position,
                None,
                format!(
                    "the head of aggregate `{} {}` has no CID: {error}",
                    self.kind, self.id
                ),
            )
        })?;
        Ok(Head {
            version: self.version,
            cid,
            position: Position(self.position),
            timestamp: Timestamp::from_micros(self.timestamp),
        })
    }
}
