//! What a commit changes.

use std::collections::BTreeSet;

use rusqlite::CachedStatement;

use super::documents::{self, entries_in, entries_of};
use super::views::{self, View};
use crate::engine::sqlite::database::Database;
use crate::store::StoreError;
use crate::store::read_model::{DocumentChange, IndexEntry, ReadModelError, ViewChanges, ViewId};

/// Stores all that a commit changes in the open transaction.
pub(super) fn store(
    database: &Database,
    view: &ViewId,
    mut changes: ViewChanges,
) -> Result<(), ReadModelError> {
    let mut view = views::expect(database, view)?;
    view.record.take(&changes, database.location())?;
    // In the order of the table, which then finds each page once.
    changes
        .documents
        .sort_unstable_by(|one, other| one.key.cmp(&other.key));
    write(database, &mut view, &changes.documents)?;
    Ok(())
}

/// Writes the record of a view, and documents in the order of their keys.
pub(super) fn write(
    database: &Database,
    view: &mut View,
    documents: &[DocumentChange],
) -> Result<(), StoreError> {
    view.is_indexed |= documents.iter().any(|document| !document.index.is_empty());
    views::save(database, view)?;
    if documents.is_empty() {
        return Ok(());
    }
    // A row that is there is written over where it stands: a key has no other row, and nothing refers to one.
    let mut put = database
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO documents (view, key, value, entries, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .map_err(database.failed("writing a document"))?;
    for change in documents {
        change_document(database, &mut put, view, change)?;
    }
    Ok(())
}

fn change_document(
    database: &Database,
    put: &mut CachedStatement<'_>,
    view: &View,
    change: &DocumentChange,
) -> Result<(), StoreError> {
    let index: BTreeSet<&IndexEntry> = change.index.iter().collect();
    let entries = entries_of(&index);
    if view.is_indexed {
        change_entries(database, view.number, &change.key, &index, &entries)?;
    }
    let Some(value) = &change.value else {
        return database
            .execute(
                "removing a document",
                "DELETE FROM documents WHERE view = ?1 AND key = ?2",
                (view.number, &change.key),
            )
            .map(drop);
    };
    let digest = documents::digest(view.number, &change.key, value, &entries);
    let written = put.execute((view.number, &change.key, &value[..], &entries, digest));
    match written.map_err(database.failed("writing a document"))? {
        1 => Ok(()),
        rows => Err(database.damaged(
            None,
            None,
            format!("writing a document: {rows} rows were written in place of one"),
        )),
    }
}

/// Brings the index entries of a document from what they were to what they are.
fn change_entries(
    database: &Database,
    view: i64,
    key: &str,
    index: &BTreeSet<&IndexEntry>,
    entries: &[u8],
) -> Result<(), StoreError> {
    let before: Vec<u8> = database
        .first(
            "reading the index entries of a document",
            "SELECT entries FROM documents WHERE view = ?1 AND key = ?2",
            (view, key),
            |row| row.get(0),
        )?
        .unwrap_or_default();
    if before == entries {
        return Ok(());
    }
    let before = entries_in(&before).ok_or_else(|| documents::changed(database, key))?;
    for entry in before.iter().filter(|entry| !index.contains(entry)) {
        database.execute(
            "removing an index entry",
            "DELETE FROM entries WHERE view = ?1 AND field = ?2 AND value = ?3 AND key = ?4",
            (view, &entry.field, &entry.value, key),
        )?;
    }
    for entry in index.iter().filter(|entry| !before.contains(**entry)) {
        database.write_row(
            "writing an index entry",
            "INSERT INTO entries (view, field, value, key) VALUES (?1, ?2, ?3, ?4)",
            (view, &entry.field, &entry.value, key),
        )?;
    }
    Ok(())
}
