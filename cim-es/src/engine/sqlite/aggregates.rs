//! The table of aggregates: where each one's history ends.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::database::{Database, count};
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

struct Stored {
    kind: String,
    id: String,
    version: u64,
    position: u64,
    cid: Vec<u8>,
    timestamp: i64,
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
        let displaced = key.wrapping_sub(digest(&row.kind, &row.id));
        if !(0..MAX_PROBES as i64).contains(&displaced) {
            return Err(database.damaged(
                None,
                None,
                format!(
                    "the row of aggregate `{} {}` does not belong under key {key}",
                    row.kind, row.id
                ),
            ));
        }
    }
    Err(StoreError::InvalidCommit {
        reason: format!(
            "the name of {aggregate} shares a digest of 64 bits with {MAX_PROBES} others; give it another id"
        ),
    })
}

/// Keeps the last event of an aggregate that had `before` events.
pub(super) fn save(
    database: &Database,
    aggregate: &AggregateKey,
    key: i64,
    before: u64,
    head: &Head,
) -> Result<(), StoreError> {
    let (version, position) = (
        super::database::stored(head.version),
        super::database::stored(head.position.0),
    );
    let timestamp = head.timestamp.as_micros();
    let cid = head.cid.to_bytes();
    let changed = if before == 0 {
        database.execute(
            "adding an aggregate",
            "INSERT INTO aggregates (key, kind, id, version, position, cid, timestamp)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                key,
                aggregate.kind(),
                aggregate.id().as_str(),
                version,
                position,
                cid.as_slice(),
                timestamp,
            ),
        )?
    } else {
        // The version in the condition makes a lost update impossible whatever the writer believed.
        database.execute(
            "moving the head of an aggregate",
            "UPDATE aggregates SET version = ?3, position = ?4, cid = ?5, timestamp = ?6
             WHERE key = ?1 AND version = ?2",
            (
                key,
                super::database::stored(before),
                version,
                position,
                cid.as_slice(),
                timestamp,
            ),
        )?
    };
    if changed != 1 {
        return Err(database.damaged(
            None,
            None,
            format!("the row of {aggregate} is not what the writer read"),
        ));
    }
    Ok(())
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
        |row| {
            Ok(Stored {
                kind: row.get(0)?,
                id: row.get(1)?,
                version: count(row, 2)?,
                position: count(row, 3)?,
                cid: row.get(4)?,
                timestamp: row.get(5)?,
            })
        },
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
