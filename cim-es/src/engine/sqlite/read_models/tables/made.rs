//! Making the tables of a view, telling whether they are as they were made, and removing them.

use std::collections::BTreeSet;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, ErrorCode};

use super::said::said;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::documents;
use crate::engine::sqlite::read_models::views::View;
use crate::store::StoreError;
use crate::store::read_model::{Made, RECORD, ReadModelError, TableNames, TablesRecord, quoted};

/// Runs the text that declares the tables of a view that was just made, and records what it made.
pub(super) fn make(
    database: &Database,
    view: &View,
    names: &TableNames,
    text: &str,
) -> Result<(), ReadModelError> {
    let invalid = |reason: String| ReadModelError::InvalidTables {
        view: names.view().clone(),
        reason,
    };
    let sql = names
        .resolve(text)
        .map_err(|error| invalid(error.to_string()))?;
    let before = declared(database)?;
    {
        let _declares = database.guard.declares(names.prefix());
        run(database, &sql).map_err(|failed| match failed {
            Failed::Storage(error) => ReadModelError::from(error),
            Failed::Text(reason) => invalid(reason),
        })?;
    }
    let mut made = declared(database)?;
    made.retain(|it| !before.contains(it));
    let has = |kind: Option<&str>, name: &str| {
        let name = names.in_database(name);
        let is_it = |it: &Made| it.name == name && kind.is_none_or(|kind| it.kind == kind);
        made.iter().any(is_it)
    };
    if let Some(missing) = names.declared().find(|name| !has(None, name)) {
        return Err(invalid(format!(
            "`{{{missing}}}` is named and not made: write `CREATE TABLE {{{missing}}} (…)`, or, where `{}` is there already, drop it",
            names.in_database(missing)
        )));
    }
    let is_named = |it: &Made| {
        names.declared().any(|name| {
            let full = names.in_database(name);
            // A virtual table keeps its rows in tables of its own.
            it.name == full || it.name.starts_with(&format!("{full}_"))
        })
    };
    if let Some(other) = made.iter().find(|it| !is_named(it)) {
        return Err(invalid(format!(
            "it makes {} `{}`, which no name in braces stands for: name it in braces",
            other.kind, other.name
        )));
    }
    let tables: BTreeSet<String> = names
        .declared()
        .filter(|name| has(Some("table"), name))
        .map(str::to_owned)
        .collect();
    if tables.is_empty() {
        return Err(invalid("it makes no table".to_owned()));
    }
    let record = TablesRecord {
        names: names.declared().map(str::to_owned).collect(),
        tables,
        made,
    };
    write(database, view.number, &record)
}

enum Failed {
    Storage(StoreError),
    Text(String),
}

/// Runs statements one by one.
fn run(database: &Database, sql: &str) -> Result<(), Failed> {
    let mut batch = Batch::new(&database.connection, sql);
    let mut number = 0;
    loop {
        number += 1;
        let failed = |error: rusqlite::Error| match super::is_storages(&error) {
            true => Failed::Storage(database.failed("making the tables of a view")(error)),
            false => {
                let reason = database.guard.take_refusal();
                let reason = reason.unwrap_or_else(|| said(&error));
                let remedy = match reason.contains("already exists") {
                    true => "; somebody else made it: drop it or rename it",
                    false => "",
                };
                Failed::Text(format!("statement {number}: {reason}{remedy}"))
            }
        };
        let Some(mut statement) = batch.next().map_err(failed)? else {
            return Ok(());
        };
        let mut rows = statement.raw_query();
        while rows.next().map_err(failed)?.is_some() {}
    }
}

/// Everything that the file declares.
fn declared(database: &Database) -> Result<Vec<Made>, StoreError> {
    database.all(
        "reading the schema",
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        (),
        |row| {
            let (kind, sql): (String, String) = (row.get(0)?, row.get(3)?);
            let is_plain_index = kind == "index" && !sql.starts_with("CREATE UNIQUE");
            Ok(Made {
                kind,
                name: row.get(1)?,
                table: row.get(2)?,
                declared: vec![sql],
                is_decisive: !is_plain_index,
            })
        },
    )
}

/// What a view made; none for a view of documents.
pub(super) fn record(database: &Database, view: i64) -> Result<Option<TablesRecord>, StoreError> {
    let Some(value) = documents::value(database, view, RECORD)? else {
        return Ok(None);
    };
    let record = serde_ipld_dagcbor::from_slice(&value);
    let record = record.map_err(|error| {
        let reason = format!("what is recorded of the tables of a view cannot be read: {error}");
        database.damaged(None, None, reason)
    })?;
    Ok(Some(record))
}

fn write(database: &Database, view: i64, record: &TablesRecord) -> Result<(), ReadModelError> {
    // Texts alone: they always encode.
    let value = serde_ipld_dagcbor::to_vec(record).unwrap_or_default();
    Ok(database.write_row(
        "recording the tables of a view",
        "INSERT INTO documents (view, key, value, entries, digest) VALUES (?1, ?2, ?3, x'', ?4)",
        (
            view,
            RECORD,
            &value,
            documents::digest(view, RECORD, &value, &[]),
        ),
    )?)
}

/// Refuses tables that are not as they were made.
pub(super) fn check(database: &Database, view: &View) -> Result<TablesRecord, ReadModelError> {
    let changed = |differs: String| ReadModelError::TablesChanged {
        location: database.location().clone(),
        view: view.record.view.clone(),
        differs,
    };
    let record = record(database, view.number)?;
    let record =
        record.ok_or_else(|| changed("what is recorded of its tables is gone".to_owned()))?;
    let mut found = declared(database)?;
    found.retain(|it| record.made.iter().any(|made| made.table == it.table));
    match record.difference(&found) {
        None => Ok(record),
        Some(differs) => Err(changed(differs)),
    }
}

/// Removes the tables of a view, whatever became of them.
pub(super) fn remove(database: &Database, record: &TablesRecord) -> Result<(), ReadModelError> {
    let is_there: BTreeSet<String> = declared(database)?
        .into_iter()
        .filter(|it| it.kind == "table")
        .map(|it| it.name)
        .collect();
    let is_virtual = |made: &Made| {
        made.declared
            .iter()
            .any(|sql| sql.starts_with("CREATE VIRTUAL"))
    };
    // A virtual table removes those in which it keeps its rows. Of the others the last may refer to the first.
    let (virtuals, tables): (Vec<_>, Vec<_>) = record
        .made_tables()
        .rev()
        .partition(|made| is_virtual(made));
    let mut left: Vec<&Made> = virtuals.into_iter().chain(tables).collect();
    left.retain(|made| is_there.contains(&made.name));
    // Rows of one that is left may refer to rows of another.
    while !left.is_empty() {
        let before = left.len();
        let mut refused = None;
        left.retain(|made| match drop_table(database, made) {
            Ok(()) => false,
            Err(error) => {
                refused = Some(error);
                true
            }
        });
        match refused {
            Some(error) if left.len() == before => return drop_circle(database, &left, error),
            _ => {}
        }
    }
    Ok(())
}

fn drop_table(database: &Database, made: &Made) -> rusqlite::Result<()> {
    let sql = format!("DROP TABLE IF EXISTS {}", quoted(&made.name));
    database.connection.execute_batch(&sql)
}

/// Removes tables whose rows refer to each other in a circle: the rows first, all together.
fn drop_circle(
    database: &Database,
    tables: &[&Made],
    refused: rusqlite::Error,
) -> Result<(), ReadModelError> {
    let failed = database.failed("removing the tables of a view");
    if refused.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return Err(failed(refused).into());
    }
    let run = |sql: &str| database.connection.execute_batch(sql).map_err(&failed);
    run("PRAGMA defer_foreign_keys = ON")?;
    for made in tables {
        run(&format!("DELETE FROM {}", quoted(&made.name)))?;
    }
    for made in tables {
        drop_table(database, made).map_err(&failed)?;
    }
    Ok(())
}
