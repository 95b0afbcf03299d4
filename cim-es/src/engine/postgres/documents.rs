//! The documents of a view, with their index entries.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Row;

use super::connection::{Connections, Execute, Transaction};
use super::views::{self, View};
use crate::store::read_model::{
    DocumentChange, DocumentPage, IndexEntry, Page, ReadModelError, StoredDocument, UpTo,
    ViewChanges, ViewId,
};
use crate::store::{Damage, Location, Position, StoreError};

/// The largest document in bytes. PostgreSQL takes 1 GB in a value, and one message has room for no more.
const LARGEST: usize = 256 << 20;
/// About how many bytes are sent in one statement, or given in one page.
const CHUNK: usize = 8 << 20;

/// Refuses documents that the database does not take.
pub(super) fn check_sizes(
    location: &Location,
    view: &ViewId,
    changes: &ViewChanges,
) -> Result<(), ReadModelError> {
    for document in &changes.documents {
        let bytes = document.value.as_ref().map_or(0, Bytes::len);
        if bytes > LARGEST {
            return Err(ReadModelError::DocumentTooLarge {
                location: location.clone(),
                view: view.clone(),
                key: document.key.clone(),
                bytes,
                limit: LARGEST,
            });
        }
    }
    Ok(())
}

/// Writes what a commit changes, in one round trip unless it has many bytes.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    mut view: View,
    changes: &ViewChanges,
) -> Result<(), ReadModelError> {
    view.record.take(changes, transaction.location())?;
    let number = view.number;
    let mut puts = puts(changes);
    let last = puts.pop().unwrap_or_default();
    for Puts { keys, values } in puts {
        let put: Execute<'_> = (WRITING, PUT, &[&number, &keys, &values]);
        transaction.execute_all(&[put]).await?;
    }
    let keys = |is_wanted: fn(&DocumentChange) -> bool| -> Vec<&[u8]> {
        let wanted = changes.documents.iter().filter(|change| is_wanted(change));
        wanted.map(|change| change.key.as_bytes()).collect()
    };
    let gone = keys(|change| change.value.is_none());
    let changed = match view.is_indexed {
        true => keys(|_| true),
        false => Vec::new(),
    };
    let entries = entries(changes);
    view.is_indexed |= !entries.keys.is_empty();
    let all: [(bool, Execute<'_>); 4] = [
        (
            last.keys.is_empty(),
            (WRITING, PUT, &[&number, &last.keys, &last.values]),
        ),
        (
            gone.is_empty(),
            ("removing documents", REMOVE, &[&number, &gone]),
        ),
        (
            changed.is_empty(),
            (
                "removing index entries",
                REMOVE_ENTRIES,
                &[&number, &changed],
            ),
        ),
        (
            entries.keys.is_empty(),
            (
                "writing index entries",
                PUT_ENTRIES,
                &[&number, &entries.fields, &entries.values, &entries.keys],
            ),
        ),
    ];
    let wanted = all.into_iter().filter(|(is_empty, _)| !is_empty);
    let wanted = wanted.map(|(_, statement)| statement).collect();
    Ok(views::save_with(transaction, &view, wanted).await?)
}

const WRITING: &str = "writing documents";
const PUT: &str =
    "INSERT INTO documents (view, key, value) SELECT $1, * FROM unnest($2::bytea[], $3::bytea[])
     ON CONFLICT (view, key) DO UPDATE SET value = EXCLUDED.value";
const REMOVE: &str = "DELETE FROM documents WHERE view = $1 AND key = ANY($2)";
const REMOVE_ENTRIES: &str = "DELETE FROM entries WHERE view = $1 AND key = ANY($2)";
const PUT_ENTRIES: &str = "INSERT INTO entries (view, field, value, key)
     SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING";

/// Documents that one statement writes, a list for each column.
#[derive(Default)]
struct Puts<'a> {
    keys: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

/// The documents that are written, for as many statements as their bytes need.
fn puts(changes: &ViewChanges) -> Vec<Puts<'_>> {
    let mut puts: Vec<Puts<'_>> = Vec::new();
    let mut room = 0_usize;
    for change in &changes.documents {
        let Some(value) = &change.value else { continue };
        if room == 0 {
            puts.push(Puts::default());
            room = CHUNK;
        }
        room = room.saturating_sub(change.key.len() + value.len());
        if let Some(chunk) = puts.last_mut() {
            chunk.keys.push(change.key.as_bytes());
            chunk.values.push(value);
        }
    }
    puts
}

/// Index entries, a list for each column.
#[derive(Default)]
struct Entries<'a> {
    fields: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

fn entries(changes: &ViewChanges) -> Entries<'_> {
    let mut entries = Entries::default();
    for change in &changes.documents {
        for entry in &change.index {
            entries.fields.push(entry.field.as_bytes());
            entries.values.push(entry.value.as_bytes());
            entries.keys.push(change.key.as_bytes());
        }
    }
    entries
}

pub(super) async fn read(
    connections: &Connections,
    view: &ViewId,
    keys: &[&str],
) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
    let wanted: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
    let rows = connections
        .query(
            "reading documents",
            "SELECT views.position, documents.key, documents.value FROM views
             LEFT JOIN documents ON documents.view = views.number AND documents.key = ANY($3)
             WHERE views.name = $1 AND views.version = $2",
            &[&view.name(), &view.number().cast_signed(), &wanted],
        )
        .await?;
    let position = position(connections, view, &rows)?;
    let found: HashMap<&[u8], &[u8]> = rows.iter().filter_map(document).collect();
    let value = |key: &&str| {
        found
            .get(key.as_bytes())
            .map(|value| Bytes::copy_from_slice(value))
    };
    Ok(UpTo {
        value: keys.iter().map(value).collect(),
        position,
    })
}

/// A page of documents out of a list of them, as far as its bytes go, each with the number of those behind it. `$3` is the
/// key before the list, `$4` the number of documents to look at, `$5` the bytes.
macro_rules! page_of {
    ($list:literal) => {
        concat!(
            "SELECT views.position, page.key, page.value, page.behind FROM views
             LEFT JOIN LATERAL (
                SELECT key, value, count(*) OVER (ORDER BY key DESC) - 1 AS behind,
                    sum(octet_length(value)) OVER (ORDER BY key) - octet_length(value) AS before
                FROM (",
            $list,
            ") AS behind_start
             ) AS page ON page.before < $5
             WHERE views.name = $1 AND views.version = $2 ORDER BY page.key"
        )
    };
}

pub(super) async fn list(
    connections: &Connections,
    view: &ViewId,
    page: &Page,
) -> Result<UpTo<DocumentPage>, ReadModelError> {
    let start = page.start().unwrap_or_default().as_bytes();
    let rows = connections
        .query(
            "listing documents",
            page_of!(
                "SELECT key, value FROM documents WHERE view = views.number AND key > $3 ORDER BY key LIMIT $4"
            ),
            &[
                &view.name(),
                &view.number().cast_signed(),
                &start,
                &most(page),
                &(CHUNK as i64),
            ],
        )
        .await?;
    paged(connections, view, page, &rows)
}

pub(super) async fn find(
    connections: &Connections,
    view: &ViewId,
    entry: &IndexEntry,
    page: &Page,
) -> Result<UpTo<DocumentPage>, ReadModelError> {
    let start = page.start().unwrap_or_default().as_bytes();
    let rows = connections
        .query(
            "finding documents",
            page_of!(
                "SELECT documents.key, documents.value FROM entries
                 JOIN documents ON documents.view = entries.view AND documents.key = entries.key
                 WHERE entries.view = views.number AND entries.field = $6 AND entries.value = $7
                    AND entries.key > $3
                 ORDER BY entries.key LIMIT $4"
            ),
            &[
                &view.name(),
                &view.number().cast_signed(),
                &start,
                &most(page),
                &(CHUNK as i64),
                &entry.field.as_bytes(),
                &entry.value.as_bytes(),
            ],
        )
        .await?;
    paged(connections, view, page, &rows)
}

/// One more than is given, to know whether the list goes on.
fn most(page: &Page) -> i64 {
    i64::try_from(page.limit()).map_or(i64::MAX, |limit| limit.saturating_add(1))
}

fn paged(
    connections: &Connections,
    view: &ViewId,
    page: &Page,
    rows: &[Row],
) -> Result<UpTo<DocumentPage>, ReadModelError> {
    let position = position(connections, view, rows)?;
    let given = &rows[..rows.len().min(page.limit())];
    let mut documents = Vec::with_capacity(given.len());
    for (key, value) in given.iter().filter_map(document) {
        let key = std::str::from_utf8(key).map_err(|_| {
            let reason =
                "the key of a document is not a text; remove the view, and it is built anew";
            StoreError::from(Damage::new(
                connections.location().clone(),
                None,
                None,
                reason.to_owned(),
            ))
        })?;
        documents.push(StoredDocument {
            key: key.to_owned(),
            value: Bytes::copy_from_slice(value),
        });
    }
    let behind = given.last().and_then(|row| row.get::<_, Option<i64>>(3));
    let next = match behind.unwrap_or(0) > 0 {
        true => documents.last().map(|document| document.key.clone()),
        false => None,
    };
    Ok(UpTo {
        value: DocumentPage { documents, next },
        position,
    })
}

/// Every row has the position of the view; where there is none, there is no view.
fn position(
    connections: &Connections,
    view: &ViewId,
    rows: &[Row],
) -> Result<Position, ReadModelError> {
    match rows.first() {
        Some(row) => Ok(Position(row.get::<_, i64>(0).cast_unsigned())),
        None => Err(views::no_such_view(connections.location(), view)),
    }
}

fn document(row: &Row) -> Option<(&[u8], &[u8])> {
    Some((
        row.get::<_, Option<&[u8]>>(1)?,
        row.get::<_, Option<&[u8]>>(2)?,
    ))
}
