//! What the database knows of a view beside its documents.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::{Connections, Execute, Parameters, Transaction};
use super::tables;
use crate::block::parse_cid;
use crate::domain::message::Timestamp;
use crate::store::read_model::{
    Held, Hold, ReadModelError, Skipped, ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Bookmark, Damage, Location, Position, StoreError};

/// A view in the database, locked for this transaction.
pub(super) struct View {
    /// By which its documents name it.
    pub(super) number: i64,
    /// Whether a document of it ever had an index entry.
    pub(super) is_indexed: bool,
    pub(super) record: ViewRecord,
    /// The time of the server, by which leases are counted.
    now: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, is_indexed, name, version, fingerprint, position, cid, settled, parked, skipped, holder, \
             held_until, lease, is_serving, (extract(epoch FROM clock_timestamp()) * 1000000)::int8 FROM views ",
            $rest
        )
    };
}

const READING: &str = "reading a view";
const LOCKED: &str = select!("WHERE name = $1 AND version = $2 FOR UPDATE");

/// A view by name and version, locked; none when it is not there.
pub(super) async fn find(
    transaction: &Transaction<'_>,
    view: &ViewId,
) -> Result<Option<View>, StoreError> {
    let number = view.number().cast_signed();
    let given: Parameters<'_> = &[&view.name(), &number];
    let found = transaction.query(READING, LOCKED, given).await?;
    first(transaction.location(), &found)
}

/// Begins a transaction with a view that must be there, locked, in one round trip.
pub(super) async fn begin<'a>(
    connections: &'a Connections,
    view: &ViewId,
) -> Result<(Transaction<'a>, View), ReadModelError> {
    let number = view.number().cast_signed();
    let given: Parameters<'_> = &[&view.name(), &number];
    let (transaction, found) = connections.begin_with(READING, LOCKED, given).await?;
    let location = transaction.location();
    let found = found.and_then(|rows| first(location, &rows));
    let found = found.map_err(ReadModelError::from);
    match found.and_then(|found| found.ok_or_else(|| no_such_view(location, view))) {
        Ok(view) => Ok((transaction, view)),
        Err(error) => {
            transaction.roll_back().await;
            Err(error)
        }
    }
}

fn first(location: &Location, rows: &[Row]) -> Result<Option<View>, StoreError> {
    let found = rows.first().map(|row| opened(location, row));
    found.transpose()
}

/// As [`find`], for a view that must be there.
pub(super) async fn expect(
    transaction: &Transaction<'_>,
    view: &ViewId,
) -> Result<View, ReadModelError> {
    let found = find(transaction, view).await?;
    found.ok_or_else(|| no_such_view(transaction.location(), view))
}

pub(super) fn no_such_view(location: &Location, view: &ViewId) -> ReadModelError {
    ReadModelError::NoSuchView {
        location: location.clone(),
        view: view.clone(),
    }
}

/// All versions of a view, by rising version.
pub(super) async fn named(
    connections: &Connections,
    name: &str,
) -> Result<Vec<ViewRecord>, ReadModelError> {
    // No view has a name that PostgreSQL has no text for.
    if name.contains('\0') {
        return Ok(Vec::new());
    }
    let found = connections
        .query(
            "reading the versions of a view",
            select!("WHERE name = $1 ORDER BY version"),
            &[&name],
        )
        .await?;
    let records = found
        .iter()
        .map(|row| Ok(opened(connections.location(), row)?.record));
    let mut records = records.collect::<Result<Vec<_>, ReadModelError>>()?;
    records.sort_by(|one, other| one.view.cmp(&other.view));
    Ok(records)
}

/// All versions of a view as they are for a transaction.
pub(super) async fn all(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Vec<View>, StoreError> {
    let found = transaction
        .query(
            "reading the versions of a view",
            select!("WHERE name = $1 ORDER BY version"),
            &[&name],
        )
        .await?;
    let views = found.iter().map(|row| opened(transaction.location(), row));
    views.collect()
}

/// Makes a view, or gives the one that is there.
pub(super) async fn open(
    transaction: &Transaction<'_>,
    declaration: &ViewDeclaration,
) -> Result<ViewRecord, ReadModelError> {
    let record = ViewRecord::new(declaration);
    transaction
        .execute(
            "making a view",
            "INSERT INTO views (name, version, fingerprint, position, settled, skipped, held_until, lease, is_serving,
                is_indexed)
             VALUES ($1, $2, $3, 0, $4, $5, 0, 0, false, false)
             ON CONFLICT (name, version) DO NOTHING",
            &[
                &record.view.name(),
                &record.view.number().cast_signed(),
                &record.fingerprint.cast_signed(),
                &record.settled.0.cast_signed(),
                &written(&record.skipped),
            ],
        )
        .await?;
    let view = expect(transaction, &declaration.view).await?;
    view.record.check(declaration, transaction.location())?;
    Ok(view.record)
}

/// Writes what is known of a view in place of what was.
pub(super) async fn save(transaction: &Transaction<'_>, view: &View) -> Result<(), StoreError> {
    save_with(transaction, view, Vec::new()).await
}

/// As [`save`], in one round trip with what is written before.
pub(super) async fn save_with(
    transaction: &Transaction<'_>,
    view: &View,
    before: Vec<Execute<'_>>,
) -> Result<(), StoreError> {
    let mut all = before;
    let record = &view.record;
    let held = record.held;
    let save: Execute<'_> = (
        "writing a view",
        "UPDATE views SET position = $2, cid = $3, parked = $4, skipped = $5, holder = $6, held_until = $7, lease = $8,
            is_indexed = $9
         WHERE number = $1",
        &[
            &view.number,
            &record.up_to.position.0.cast_signed(),
            &record.up_to.cid.map(|cid| cid.to_bytes()),
            &record.parked.as_ref().map(written),
            &written(&record.skipped),
            &held.map(|held| held.holder),
            &held.map_or(0, |held| held.until.as_micros()),
            &held.map_or(0, |held| held.lease.cast_signed()),
            &view.is_indexed,
        ],
    );
    all.push(save);
    transaction.execute_all(&all).await
}

pub(super) async fn hold(
    transaction: &Transaction<'_>,
    mut view: View,
    holder: Uuid,
    lease: Duration,
) -> Result<Hold, ReadModelError> {
    let hold = Hold::decide(view.record.held.as_ref(), holder, lease, view.now);
    if let Hold::Held { .. } = hold {
        view.record.held = Some(Held::new(holder, lease, view.now));
        save(transaction, &view).await?;
    }
    Ok(hold)
}

pub(super) async fn release(
    transaction: &Transaction<'_>,
    view: &ViewId,
    holder: Uuid,
) -> Result<(), ReadModelError> {
    transaction
        .execute(
            "releasing a view",
            "UPDATE views SET holder = NULL WHERE name = $1 AND version = $2 AND holder = $3",
            &[&view.name(), &view.number().cast_signed(), &holder],
        )
        .await?;
    Ok(())
}

/// Lets one version serve, and no other, in one statement.
pub(super) async fn serve(
    transaction: &Transaction<'_>,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    let changed = transaction
        .execute(
            "letting a view serve",
            "UPDATE views SET is_serving = (version = $2)
             WHERE name = $1 AND EXISTS (SELECT 1 FROM views WHERE name = $1 AND version = $2)",
            &[&view.name(), &view.number().cast_signed()],
        )
        .await?;
    match changed {
        0 => Err(no_such_view(transaction.location(), view)),
        _ => tables::serve(transaction, view.name()).await,
    }
}

pub(super) async fn remove(
    transaction: &Transaction<'_>,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    const REMOVING: &str = "removing a view";
    // Locked first, so that no commit writes documents while they are removed.
    let Some(view) = find(transaction, view).await? else {
        return Ok(());
    };
    tables::remove(transaction, &view).await?;
    for sql in [
        "DELETE FROM entries WHERE view = $1",
        "DELETE FROM documents WHERE view = $1",
        "DELETE FROM views WHERE number = $1",
    ] {
        transaction.execute(REMOVING, sql, &[&view.number]).await?;
    }
    Ok(())
}

/// A row as it was written.
fn opened(location: &Location, row: &Row) -> Result<View, StoreError> {
    let changed = || {
        let reason =
            "the row of a view is not as it was written; remove the view, and it is built anew";
        StoreError::from(Damage::new(location.clone(), None, None, reason.to_owned()))
    };
    let name: String = row.get(2);
    let number = row.get::<_, i64>(3).cast_unsigned();
    let cid: Option<Vec<u8>> = row.get(6);
    let cid = cid
        .map(|cid| parse_cid(&cid))
        .transpose()
        .map_err(|_| changed())?;
    let parked: Option<Vec<u8>> = row.get(8);
    let skipped: Vec<Skipped> = read(&row.get::<_, Vec<u8>>(9)).ok_or_else(changed)?;
    let holder: Option<Uuid> = row.get(10);
    let mut declared = ViewDeclaration::new(
        ViewId::of_number(name, number).map_err(|_| changed())?,
        row.get::<_, i64>(4).cast_unsigned(),
    );
    declared.settled = Position(row.get::<_, i64>(7).cast_unsigned());
    let mut record = ViewRecord::new(&declared);
    record.up_to = Bookmark {
        position: Position(row.get::<_, i64>(5).cast_unsigned()),
        cid,
    };
    record.parked = match parked {
        Some(parked) => Some(read(&parked).ok_or_else(changed)?),
        None => None,
    };
    record.skipped = skipped;
    record.held = holder.map(|holder| Held {
        holder,
        until: Timestamp::from_micros(row.get(11)),
        lease: row.get::<_, i64>(12).cast_unsigned(),
    });
    record.is_serving = row.get(13);
    Ok(View {
        number: row.get(0),
        is_indexed: row.get(1),
        record,
        now: Timestamp::from_micros(row.get(14)),
    })
}

/// Such values as these always encode.
fn written<T: Serialize>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_ipld_dagcbor::from_slice(bytes).ok()
}
