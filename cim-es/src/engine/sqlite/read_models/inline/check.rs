//! The check of the views in the file of events.

use std::collections::BTreeSet;

use rusqlite::Row;

use super::has_tables;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::documents;
use crate::engine::sqlite::read_models::views::{self, View};
use crate::engine::sqlite::select;
use crate::store::StoreError;
use crate::store::read_model::IndexEntry;

/// Checks that each view is of the history in the file, each document what was written, and each index entry of a
/// document. Gives the number of the views, or the first thing that is wrong.
pub(in crate::engine::sqlite) fn check(database: &Database) -> Result<u64, StoreError> {
    check_all(database, Err)
}

/// The same, and tells what is wrong with each view; what `tell` refuses ends it.
pub(in crate::engine::sqlite) fn check_all(
    database: &Database,
    mut tell: impl FnMut(StoreError) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    if !has_tables(database)? {
        return Ok(0);
    }
    let views = views::all(database)?;
    for view in &views {
        let of_history = select::check(database, &view.record.up_to).map_err(|error| {
            let name = &view.record.view;
            database.damaged(
                view.record.up_to.position.0,
                view.record.up_to.cid,
                format!("view `{name}` is not of this history ({error}); build it again"),
            )
        });
        let checked = of_history.and_then(|()| check_documents(database, view));
        checked.or_else(&mut tell)?;
    }
    let orphans: Option<i64> = database.first(
        "checking the documents",
        "SELECT view FROM documents WHERE view NOT IN (SELECT number FROM views)
         UNION SELECT view FROM entries WHERE view NOT IN (SELECT number FROM views)",
        (),
        |row| row.get(0),
    )?;
    if let Some(number) = orphans {
        tell(database.damaged(
            None,
            None,
            format!("there are documents of view number {number}, which there is not; delete them"),
        ))?;
    }
    Ok(views.len() as u64)
}

fn check_documents(database: &Database, view: &View) -> Result<(), StoreError> {
    let indexed = database.all(
        "checking the index entries",
        "SELECT key, field, value FROM entries WHERE view = ?1",
        (view.number,),
        |row| {
            Ok((
                row.get(0)?,
                IndexEntry::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
            ))
        },
    )?;
    let mut indexed: BTreeSet<(String, IndexEntry)> = indexed.into_iter().collect();
    let rows = database.all(
        "checking the documents",
        "SELECT key, value, entries, digest FROM documents WHERE view = ?1",
        (view.number,),
        |row| Ok((row.get::<_, String>(0)?, entries_of(view, row))),
    )?;
    for (key, entries) in rows {
        let entries = entries.ok_or_else(|| documents::changed(database, &key))?;
        for entry in entries {
            if !indexed.remove(&(key.clone(), entry)) {
                return Err(documents::changed(database, &key));
            }
        }
    }
    match indexed.first() {
        None => Ok(()),
        Some((key, _)) => Err(documents::changed(database, key)),
    }
}

/// The index entries in the row of a document; none when the row is not what was written.
fn entries_of(view: &View, row: &Row<'_>) -> Option<BTreeSet<IndexEntry>> {
    let key: String = row.get(0).ok()?;
    let value = row.get_ref(1).ok()?.as_blob().ok()?;
    let entries = row.get_ref(2).ok()?.as_blob().ok()?;
    let found: i64 = row.get(3).ok()?;
    let is_whole = found == documents::digest(view.number, &key, value, entries);
    is_whole.then(|| documents::entries_in(entries)).flatten()
}
