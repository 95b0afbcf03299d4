//! What the file knows of a view beside its documents.

use std::time::Duration;

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::schema::digest;
use super::tables;
use crate::block::parse_cid;
use crate::domain::message::Timestamp;
use crate::engine::sqlite::database::Database;
use crate::store::read_model::{Held, Hold, ReadModelError, ViewDeclaration, ViewId, ViewRecord};
use crate::store::{Bookmark, Position, StoreError};

/// A view in the file.
#[derive(Clone)]
pub(super) struct View {
    /// By which its documents name it.
    pub(super) number: i64,
    /// Whether a document of it ever had an index entry.
    pub(super) is_indexed: bool,
    pub(super) record: ViewRecord,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, name, version, fingerprint, position, cid, settled, parked, skipped, held, is_serving, \
             is_indexed, digest FROM views ",
            $rest
        )
    };
}

/// A view by name and version; none when it is not there.
pub(super) fn find(database: &Database, view: &ViewId) -> Result<Option<View>, StoreError> {
    let found = database.first(
        "reading a view",
        select!("WHERE name = ?1 AND version = ?2"),
        (view.name(), view.number().cast_signed()),
        |row| Ok(opened(row)),
    )?;
    match found {
        None => Ok(None),
        Some(Some(view)) => Ok(Some(view)),
        Some(None) => Err(changed(database, view.name())),
    }
}

/// As [`find`], for a view that must be there.
pub(super) fn expect(database: &Database, view: &ViewId) -> Result<View, ReadModelError> {
    find(database, view)?.ok_or_else(|| ReadModelError::NoSuchView {
        location: database.location().clone(),
        view: view.clone(),
    })
}

/// All versions of a view, by rising version.
pub(super) fn named(database: &Database, name: &str) -> Result<Vec<ViewRecord>, StoreError> {
    let found = database.all(
        "reading the versions of a view",
        select!("WHERE name = ?1 ORDER BY version"),
        (name,),
        |row| Ok(opened(row)),
    )?;
    let records = found.into_iter().map(|view| {
        view.map(|view| view.record)
            .ok_or_else(|| changed(database, name))
    });
    let mut records = records.collect::<Result<Vec<_>, _>>()?;
    records.sort_by(|one, other| one.view.cmp(&other.view));
    Ok(records)
}

/// All views, each with its number; an error for one that is not what was written.
pub(super) fn all(database: &Database) -> Result<Vec<View>, StoreError> {
    let found = database.all("reading the views", select!("ORDER BY number"), (), |row| {
        Ok((row.get::<_, String>(1)?, opened(row)))
    })?;
    found
        .into_iter()
        .map(|(name, view)| view.ok_or_else(|| changed(database, &name)))
        .collect()
}

/// Makes a view, unless another process has done so meanwhile.
pub(super) fn make(
    database: &Database,
    declaration: &ViewDeclaration,
) -> Result<ViewRecord, ReadModelError> {
    if let Some(view) = find(database, &declaration.view)? {
        view.record.check(declaration, database.location())?;
        return Ok(view.record);
    }
    database.write_row(
        "making a view",
        "INSERT INTO views (name, version, fingerprint, position, cid, settled, parked, skipped, held, is_serving,
            is_indexed, digest)
         VALUES (?1, ?2, 0, 0, x'', 0, x'', x'', x'', 0, 0, 0)",
        (declaration.view.name(), declaration.view.number().cast_signed()),
    )?;
    let number = database.connection.last_insert_rowid();
    // Of a view with this number whose row a person deleted.
    remove_documents(database, number)?;
    let view = View {
        number,
        is_indexed: false,
        record: ViewRecord::new(declaration),
    };
    save(database, &view)?;
    Ok(view.record)
}

/// Writes what is known of a view in place of what was.
pub(super) fn save(database: &Database, view: &View) -> Result<(), StoreError> {
    let columns = Columns::of(view);
    database.write_row(
        "writing a view",
        "UPDATE views SET fingerprint = ?2, position = ?3, cid = ?4, settled = ?5, parked = ?6, skipped = ?7, held = ?8,
            is_serving = ?9, is_indexed = ?10, digest = ?11
         WHERE number = ?1",
        (
            view.number,
            columns.fingerprint,
            columns.position,
            &columns.cid,
            columns.settled,
            &columns.parked,
            &columns.skipped,
            &columns.held,
            columns.is_serving,
            columns.is_indexed,
            columns.digest(&view.record.view),
        ),
    )
}

/// See [`ReadModelStorage::hold`](crate::store::read_model::ReadModelStorage::hold).
pub(super) fn hold(
    database: &Database,
    view: &ViewId,
    holder: Uuid,
    lease: Duration,
    now: Timestamp,
) -> Result<Hold, ReadModelError> {
    let mut view = expect(database, view)?;
    let hold = Hold::decide(view.record.held.as_ref(), holder, lease, now);
    if let Hold::Held { .. } = hold {
        view.record.held = Some(Held::new(holder, lease, now));
        save(database, &view)?;
    }
    Ok(hold)
}

/// See [`ReadModelStorage::release`](crate::store::read_model::ReadModelStorage::release).
pub(super) fn release(
    database: &Database,
    view: &ViewId,
    holder: Uuid,
) -> Result<(), ReadModelError> {
    let Some(mut view) = find(database, view)? else {
        return Ok(());
    };
    if view.record.held.is_some_and(|held| held.holder == holder) {
        view.record.held = None;
        save(database, &view)?;
    }
    Ok(())
}

/// See [`ReadModelStorage::serve`](crate::store::read_model::ReadModelStorage::serve).
pub(super) fn serve(database: &Database, view: &ViewId) -> Result<(), ReadModelError> {
    expect(database, view)?;
    for version in named(database, view.name())? {
        let mut version = expect(database, &version.view)?;
        version.record.is_serving = version.record.view == *view;
        save(database, &version)?;
    }
    tables::serve(database, view.name())
}

/// See [`ReadModelStorage::remove_view`](crate::store::read_model::ReadModelStorage::remove_view).
pub(super) fn remove(database: &Database, view: &ViewId) -> Result<(), ReadModelError> {
    let Some(view) = find(database, view)? else {
        return Ok(());
    };
    tables::remove(database, &view)?;
    remove_documents(database, view.number)?;
    let sql = "DELETE FROM views WHERE number = ?1";
    database.execute("removing a view", sql, (view.number,))?;
    Ok(())
}

fn remove_documents(database: &Database, view: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM entries WHERE view = ?1",
        "DELETE FROM documents WHERE view = ?1",
    ] {
        database.execute("removing the documents of a view", sql, (view,))?;
    }
    Ok(())
}

/// A view as it stands in its row.
struct Columns {
    fingerprint: i64,
    position: i64,
    cid: Vec<u8>,
    settled: i64,
    parked: Vec<u8>,
    skipped: Vec<u8>,
    held: Vec<u8>,
    is_serving: bool,
    is_indexed: bool,
}

impl Columns {
    fn of(view: &View) -> Self {
        let record = &view.record;
        Self {
            fingerprint: record.fingerprint.cast_signed(),
            position: record.up_to.position.0.cast_signed(),
            cid: record
                .up_to
                .cid
                .map(|cid| cid.to_bytes())
                .unwrap_or_default(),
            settled: record.settled.0.cast_signed(),
            parked: written(record.parked.as_ref()),
            skipped: written((!record.skipped.is_empty()).then_some(&record.skipped)),
            held: written(record.held.as_ref()),
            is_serving: record.is_serving,
            is_indexed: view.is_indexed,
        }
    }

    fn digest(&self, view: &ViewId) -> i64 {
        let number = view.number().to_be_bytes();
        // Of the first build the version alone.
        let version = match view.build() {
            0 => &number[4..],
            _ => &number[..],
        };
        digest(&[
            view.name().as_bytes(),
            version,
            &self.fingerprint.to_be_bytes(),
            &self.position.to_be_bytes(),
            &self.cid,
            &self.settled.to_be_bytes(),
            &self.parked,
            &self.skipped,
            &self.held,
            &[u8::from(self.is_serving), u8::from(self.is_indexed)],
        ])
    }
}

/// What a row holds; none when it is not what was written.
fn opened(row: &Row<'_>) -> Option<View> {
    let columns = Columns {
        fingerprint: row.get(3).ok()?,
        position: row.get(4).ok()?,
        cid: row.get(5).ok()?,
        settled: row.get(6).ok()?,
        parked: row.get(7).ok()?,
        skipped: row.get(8).ok()?,
        held: row.get(9).ok()?,
        is_serving: row.get(10).ok()?,
        is_indexed: row.get(11).ok()?,
    };
    let view = ViewId::of_number(
        row.get::<_, String>(1).ok()?,
        row.get::<_, i64>(2).ok()?.cast_unsigned(),
    );
    let view = view.ok()?;
    if row.get::<_, i64>(12).ok()? != columns.digest(&view) {
        return None;
    }
    let cid = match columns.cid.as_slice() {
        [] => None,
        cid => Some(parse_cid(cid).ok()?),
    };
    let mut record = ViewRecord::new(&ViewDeclaration::new(
        view,
        columns.fingerprint.cast_unsigned(),
    ));
    record.up_to = Bookmark {
        position: Position(columns.position.cast_unsigned()),
        cid,
    };
    record.settled = Position(columns.settled.cast_unsigned());
    record.parked = read(&columns.parked)?;
    record.skipped = read(&columns.skipped)?.unwrap_or_default();
    record.held = read(&columns.held)?;
    record.is_serving = columns.is_serving;
    Some(View {
        number: row.get(0).ok()?,
        is_indexed: columns.is_indexed,
        record,
    })
}

/// A value as bytes; no value is no bytes.
fn written<T: Serialize>(value: Option<&T>) -> Vec<u8> {
    // Texts, numbers and CIDs: they always encode.
    value
        .and_then(|value| serde_ipld_dagcbor::to_vec(value).ok())
        .unwrap_or_default()
}

/// The value in bytes: none for no bytes. None at all for other bytes than a value's.
#[expect(clippy::option_option, reason = "no bytes are a value, too")]
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<Option<T>> {
    match bytes {
        [] => Some(None),
        bytes => Some(Some(serde_ipld_dagcbor::from_slice(bytes).ok()?)),
    }
}

fn changed(database: &Database, name: &str) -> StoreError {
    database.damaged(
        None,
        None,
        format!(
            "what is recorded of view `{name}` is not what was written; {}, and it is built anew from the events",
            match database.files.format.is_shared {
                true => "delete the file",
                false => "delete its row from the table `views`",
            }
        ),
    )
}
