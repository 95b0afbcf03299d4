//! Documents as they are read, and the index entries that stand with each.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::{Params, Row};

use super::schema;
use super::views::{self, View};
use crate::engine::sqlite::database::Database;
use crate::store::StoreError;
use crate::store::read_model::{
    DocumentPage, IndexEntry, Page, ReadModelError, StoredDocument, UpTo, ViewId,
};

/// The size of documents past which a page ends.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The documents with some keys.
pub(super) fn read(
    database: &Database,
    view: &ViewId,
    keys: &[String],
) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
    let view = views::expect(database, view)?;
    Ok(UpTo {
        value: read_of(database, view.number, keys)?,
        position: view.record.up_to.position,
    })
}

/// The documents with some keys of the view with a number.
pub(super) fn read_of(
    database: &Database,
    view: i64,
    keys: &[String],
) -> Result<Vec<Option<Bytes>>, StoreError> {
    let mut documents = Vec::with_capacity(keys.len());
    for key in keys {
        documents.push(value(database, view, key)?);
    }
    Ok(documents)
}

/// What stands under a key; none when nothing does.
pub(super) fn value(
    database: &Database,
    view: i64,
    key: &str,
) -> Result<Option<Bytes>, StoreError> {
    let found = database.first(
        "reading a document",
        "SELECT key, value, entries, digest FROM documents WHERE view = ?1 AND key = ?2",
        (view, key),
        |row| Ok(opened(view, row)),
    )?;
    match found {
        None => Ok(None),
        Some(Some(document)) => Ok(Some(document.value)),
        Some(None) => Err(changed(database, key)),
    }
}

/// The documents that have an index entry.
pub(super) fn find(
    database: &Database,
    view: &ViewId,
    entry: &IndexEntry,
    page: &Page,
) -> Result<UpTo<DocumentPage>, ReadModelError> {
    let view = views::expect(database, view)?;
    Ok(UpTo {
        value: find_of(database, &view, entry, page)?,
        position: view.record.up_to.position,
    })
}

/// As [`find`], of a view that was looked up.
pub(super) fn find_of(
    database: &Database,
    view: &View,
    entry: &IndexEntry,
    page: &Page,
) -> Result<DocumentPage, ReadModelError> {
    paged(
        database,
        view,
        page,
        "SELECT documents.key, documents.value, documents.entries, documents.digest
         FROM entries LEFT JOIN documents ON documents.view = entries.view AND documents.key = entries.key
         WHERE entries.view = ?1 AND entries.field = ?2 AND entries.value = ?3 AND entries.key > ?4
         ORDER BY entries.key",
        (
            view.number,
            &entry.field,
            &entry.value,
            page.start().unwrap_or_default(),
        ),
    )
}

/// All documents.
pub(super) fn list(
    database: &Database,
    view: &ViewId,
    page: &Page,
) -> Result<UpTo<DocumentPage>, ReadModelError> {
    let view = views::expect(database, view)?;
    Ok(UpTo {
        value: list_of(database, &view, page)?,
        position: view.record.up_to.position,
    })
}

/// As [`list`], of a view that was looked up.
pub(super) fn list_of(
    database: &Database,
    view: &View,
    page: &Page,
) -> Result<DocumentPage, ReadModelError> {
    paged(
        database,
        view,
        page,
        "SELECT key, value, entries, digest FROM documents WHERE view = ?1 AND key > ?2 ORDER BY key",
        (view.number, page.start().unwrap_or_default()),
    )
}

/// The first documents of a query, as many as a page takes.
fn paged(
    database: &Database,
    view: &View,
    page: &Page,
    sql: &'static str,
    parameters: impl Params,
) -> Result<DocumentPage, ReadModelError> {
    database.is_wanted()?;
    let mut documents: Vec<StoredDocument> = Vec::new();
    let mut bytes = 0;
    let read = || {
        let mut statement = database.connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            if documents.len() == page.limit() || bytes >= PAGE_BYTES {
                return Ok(Ok(true));
            }
            match opened(view.number, row) {
                Some(document) => {
                    bytes += document.value.len();
                    documents.push(document);
                }
                None => return Ok(Err(row.get::<_, String>(0).unwrap_or_default())),
            }
        }
        Ok(Ok(false))
    };
    let has_more = read()
        .map_err(database.failed("reading documents"))?
        .map_err(|key| changed(database, &key))?;
    let last = documents.last().filter(|_| has_more);
    Ok(DocumentPage {
        next: last.map(|last| last.key.clone()),
        documents,
    })
}

/// The document in a row; none when it is not what was written.
fn opened(view: i64, row: &Row<'_>) -> Option<StoredDocument> {
    let key: String = row.get(0).ok()?;
    let value = row.get_ref(1).ok()?.as_blob().ok()?;
    let entries = row.get_ref(2).ok()?.as_blob().ok()?;
    let found: i64 = row.get(3).ok()?;
    (found == digest(view, &key, value, entries)).then(|| StoredDocument {
        key,
        value: Bytes::copy_from_slice(value),
    })
}

/// What stands in the row of a document to tell that it is what was written.
pub(super) fn digest(view: i64, key: &str, value: &[u8], entries: &[u8]) -> i64 {
    schema::digest(&[&view.to_be_bytes(), key.as_bytes(), value, entries])
}

/// The index entries of a document as they stand in its row: no bytes for none.
pub(super) fn entries_of(index: &BTreeSet<&IndexEntry>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in index.iter().flat_map(|entry| [&*entry.field, &entry.value]) {
        // Neither is longer than some hundred bytes.
        bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The index entries in the row of a document; none when they are not what was written.
pub(super) fn entries_in(mut bytes: &[u8]) -> Option<BTreeSet<IndexEntry>> {
    let mut text = || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let mut entries = BTreeSet::new();
    while let Some(field) = text() {
        entries.insert(IndexEntry::new(field, text()?));
    }
    bytes.is_empty().then_some(entries)
}

pub(super) fn changed(database: &Database, key: &str) -> StoreError {
    database.damaged(
        None,
        None,
        format!(
            "document `{}` is not what was written; remove its view, and it is built anew from the events",
            key.escape_debug()
        ),
    )
}
