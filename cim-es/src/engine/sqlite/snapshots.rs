//! Snapshots in the file: a cache, so a damaged one counts as absent.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Row;

use super::SqliteEventStore;
use super::database::Database;
use crate::block::parse_cid;
use crate::domain::ErrorChain;
use crate::domain::aggregate::IdText;
use crate::store::{AggregateKey, Position, Snapshot, SnapshotStore, StoreError};

#[async_trait]
impl SnapshotStore for SqliteEventStore {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let aggregate = aggregate.clone();
        self.shared
            .writer
            .write(snapshot.state.len(), move |database| {
                save(database, &aggregate, &snapshot)
            })
            .await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        let aggregate = aggregate.clone();
        self.shared
            .readers
            .read(move |database| read(database, &aggregate, tag))
            .await
    }
}

fn save(
    database: &Database,
    aggregate: &AggregateKey,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    let kept = read(database, aggregate, snapshot.tag)?;
    if kept.is_some_and(|kept| kept.version > snapshot.version) {
        return Ok(());
    }
    database
        .write_row(
            "saving a snapshot",
            "INSERT INTO snapshots (kind, id, tag, version, position, cid, state, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (kind, id, tag) DO UPDATE SET version = excluded.version, position = excluded.position,
                cid = excluded.cid, state = excluded.state, digest = excluded.digest",
            (
                aggregate.kind(),
                aggregate.id().as_str(),
                snapshot.tag.cast_signed(),
                snapshot.version.cast_signed(),
                snapshot.position.0.cast_signed(),
                snapshot.last_cid.to_bytes(),
                &snapshot.state[..],
                snapshot.digest(aggregate).as_slice(),
            ),
        )
}

fn read(
    database: &Database,
    aggregate: &AggregateKey,
    tag: u64,
) -> Result<Option<Snapshot>, StoreError> {
    let found = database.first(
        "reading a snapshot",
        "SELECT version, position, cid, state, digest FROM snapshots WHERE kind = ?1 AND id = ?2 AND tag = ?3",
        (
            aggregate.kind(),
            aggregate.id().as_str(),
            tag.cast_signed(),
        ),
        |row| {
            let Ok(last_cid) = parse_cid(row.get_ref(2)?.as_blob()?) else {
                return Ok(None);
            };
            let snapshot = Snapshot {
                tag,
                version: row.get::<_, i64>(0)?.cast_unsigned(),
                position: Position(row.get::<_, i64>(1)?.cast_unsigned()),
                last_cid,
                state: Bytes::copy_from_slice(row.get_ref(3)?.as_blob()?),
            };
            let intact = row.get_ref(4)?.as_blob()? == snapshot.digest(aggregate);
            Ok(intact.then_some(snapshot))
        },
    );
    match found {
        Ok(Some(Some(snapshot))) => Ok(Some(snapshot)),
        Ok(None) => Ok(None),
        Ok(Some(None)) => {
            tracing::warn!(location = %database.location(), %aggregate, "a damaged snapshot is not used");
            Ok(None)
        }
        Err(StoreError::Damaged(damage)) => {
            tracing::warn!(%aggregate, damage = %ErrorChain(&*damage), "a damaged snapshot is not used");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The row of the next snapshot behind a number.
pub(super) const NEXT: &str = "SELECT number, kind, id, tag, version, position, cid, state, digest
     FROM snapshots WHERE number > ?1 ORDER BY number LIMIT 1";

/// The bytes of the snapshot in a row of [`NEXT`], and what is wrong with it.
pub(super) fn check_row(row: &Row<'_>) -> rusqlite::Result<(u64, Option<String>)> {
    let (kind, id): (String, String) = (row.get(1)?, row.get(2)?);
    let state = Bytes::copy_from_slice(row.get_ref(7)?.as_blob()?);
    let bytes = state.len() as u64;
    let aggregate = AggregateKey::new(kind, IdText::trusted(&id));
    let is_intact = match parse_cid(row.get_ref(6)?.as_blob()?) {
        Ok(last_cid) => {
            let snapshot = Snapshot {
                tag: row.get::<_, i64>(3)?.cast_unsigned(),
                version: row.get::<_, i64>(4)?.cast_unsigned(),
                position: Position(row.get::<_, i64>(5)?.cast_unsigned()),
                last_cid,
                state,
            };
            row.get_ref(8)?.as_blob()? == snapshot.digest(&aggregate)
        }
        Err(_) => false,
    };
    let wrong = format!("the snapshot of {aggregate} is not what was written; it is not used");
    Ok((bytes, (!is_intact).then_some(wrong)))
}
