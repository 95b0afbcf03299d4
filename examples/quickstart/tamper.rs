//! The demonstration that damage is noticed: one byte is flipped in a copy of the store, and the copy is read.

use std::path::Path;

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::store::{AggregateKey, EventStoreExt, StoreError};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::error::QuickstartError;

/// What was damaged, and what reading it came to.
#[derive(Debug, Serialize)]
pub struct Tampering {
    /// The version of the event whose payload was changed.
    pub version: u64,
    /// Its public subject.
    pub subject: String,
    /// Its CID.
    pub cid: String,
    /// Its place in the store.
    pub position: u64,
    /// The place of the changed byte in the copy, from 0.
    pub offset: usize,
    /// The byte as it was.
    pub before: u8,
    /// The byte as it was made.
    pub after: u8,
    /// What reading the copy gave.
    pub verdict: String,
    /// The place in the store that the verdict names.
    pub verdict_position: Option<u64>,
    /// The CID that the verdict names.
    pub verdict_cid: Option<String>,
}

/// Flips one byte in the middle of the history, in a copy of the store, and reads the copy.
///
/// # Errors
/// [`QuickstartError::NotNoticed`] when reading the copy finds nothing wrong; what kept the copy from being made.
pub async fn tamper(
    store: &Path,
    key: &AggregateKey,
    events: &[StoredEvent],
) -> Result<Tampering, QuickstartError> {
    let event = events
        .get(events.len() / 2)
        .ok_or_else(|| QuickstartError::NotRegistered(store.to_owned()))?;
    let directory = tempfile::tempdir().map_err(unusable)?;
    let copy = directory.path().join("tampered.db");
    copy_store(store, &copy)?;
    let (offset, before) = flip(&copy, event)?;
    let Some(damage) = damage_in(&copy, key).await? else {
        return Err(QuickstartError::NotNoticed);
    };
    Ok(Tampering {
        version: event.envelope.sequence,
        subject: event.event_type().to_owned(),
        cid: event.cid.to_string(),
        position: event.position.0,
        offset,
        before,
        after: before ^ 1,
        verdict: match damage.verdict() {
            Some(verdict) => verdict.to_string(),
            None => damage.to_string(),
        },
        verdict_position: damage.position().map(|position| position.0),
        verdict_cid: damage.cid().map(|cid| cid.to_string()),
    })
}

/// SQLite makes the copy, so that it is whole also while another process writes.
fn copy_store(store: &Path, copy: &Path) -> Result<(), QuickstartError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(store, flags).map_err(unusable)?;
    let copy = copy.to_string_lossy();
    database
        .execute("VACUUM INTO ?1", [copy.as_ref()])
        .map_err(unusable)?;
    Ok(())
}

/// Flips the lowest bit of the byte in the middle of the event's payload; gives the byte's place and what it was.
fn flip(copy: &Path, event: &StoredEvent) -> Result<(usize, u8), QuickstartError> {
    let mut bytes = std::fs::read(copy).map_err(unusable)?;
    let start = [event.body().as_ref(), event.payload()]
        .into_iter()
        .find_map(|part| end_of(&bytes, part))
        .map(|end| end - event.payload().len())
        .ok_or_else(|| QuickstartError::Copy("the event is not in it in one piece".to_owned()))?;
    let offset = start + event.payload().len() / 2;
    let before = bytes[offset];
    bytes[offset] ^= 1;
    std::fs::write(copy, bytes).map_err(unusable)?;
    Ok((offset, before))
}

fn end_of(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let start = bytes
        .windows(part.len())
        .position(|window| window == part)?;
    Some(start + part.len())
}

/// What reading a store finds damaged, whether when it is opened or when the history is read.
async fn damage_in(
    copy: &Path,
    key: &AggregateKey,
) -> Result<Option<cim_es::store::Damage>, QuickstartError> {
    let read = match SqliteEventStore::open(copy) {
        Ok(store) => store.get_events(key, 1).await.map(drop),
        Err(error) => Err(error),
    };
    match read {
        Ok(()) => Ok(None),
        Err(StoreError::Damaged(damage)) => Ok(Some(*damage)),
        Err(other) => Err(other.into()),
    }
}

fn unusable(error: impl std::fmt::Display) -> QuickstartError {
    QuickstartError::Copy(error.to_string())
}
