//! The epochs of the file: each begins where branches of the history were replaced.
//!
//! What a connection remembers of the events is true within one epoch.

use sha2::{Digest, Sha256};

use super::database::{Database, count, stored};
use super::{format, schema};
use crate::store::{AggregateKey, Epoch, StoreError};

/// What a file has in which a branch was replaced, in the words in which SQLite keeps it.
pub(super) const OBJECTS: &[(&str, &str)] = &[(
    "epochs",
    "CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    value BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT",
)];

/// The number of the present epoch; 0 where nothing was replaced yet.
pub(super) fn number(database: &Database) -> Result<u64, StoreError> {
    if !has_table(database)? {
        return Ok(0);
    }
    let last = database.first(
        "reading the epoch",
        "SELECT coalesce(max(number), 0) FROM epochs",
        (),
        |row| count(row, 0),
    )?;
    Ok(last.unwrap_or(0))
}

/// The epochs behind a number, oldest first.
pub(super) fn since(database: &Database, number: u64) -> Result<Vec<Epoch>, StoreError> {
    if !has_table(database)? {
        return Ok(Vec::new());
    }
    let rows = database.all(
        "reading the epochs",
        "SELECT number, value, digest FROM epochs WHERE number > ?1 ORDER BY number",
        (stored(number),),
        |row| {
            let (number, value) = (count(row, 0)?, row.get_ref(1)?.as_blob()?);
            let is_intact = row.get_ref(2)?.as_blob()? == digest(number, value);
            let epoch = Epoch::decode(value).filter(|epoch| is_intact && epoch.number == number);
            Ok((number, epoch))
        },
    )?;
    let mut epochs = Vec::with_capacity(rows.len());
    for ((found, epoch), expected) in rows.into_iter().zip(number + 1..) {
        let epoch = epoch.filter(|_| found == expected);
        epochs.push(epoch.ok_or_else(|| {
            database.damaged(
                None,
                None,
                format!("epoch {expected} is not what was written"),
            )
        })?);
    }
    Ok(epochs)
}

/// Whether something of an aggregate was taken out since an epoch.
pub(super) fn concern(
    database: &Database,
    number: u64,
    aggregate: &AggregateKey,
) -> Result<bool, StoreError> {
    let since = since(database, number)?;
    Ok(since.iter().any(|epoch| epoch.concerns(aggregate)))
}

/// Begins an epoch, in the open transaction.
pub(super) fn begin(database: &Database, epoch: &Epoch) -> Result<(), StoreError> {
    format::raise(database, schema::WITH_EPOCHS)?;
    let value = epoch.encode()?;
    database.write_row(
        "beginning an epoch",
        "INSERT INTO epochs (number, value, digest) VALUES (?1, ?2, ?3)",
        (
            stored(epoch.number),
            value.as_slice(),
            digest(epoch.number, &value).as_slice(),
        ),
    )
}

/// Checks every epoch.
pub(super) fn check(database: &Database) -> Result<(), StoreError> {
    since(database, 0).map(drop)
}

fn has_table(database: &Database) -> Result<bool, StoreError> {
    Ok(format::version(database)? >= schema::WITH_EPOCHS)
}

fn digest(number: u64, value: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(number.to_be_bytes())
        .chain_update(value)
        .finalize()
        .into()
}
