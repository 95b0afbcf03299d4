//! The names without a version, by which any program reads the tables of the version that serves.

use std::collections::{BTreeMap, BTreeSet};

use super::super::connection::{Snapshot, Transaction};
use super::super::views;
use super::made;
use crate::store::read_model::{ReadModelError, TableNames, TablesRecord, ViewId, quoted};
use crate::store::{Position, StoreError};

/// What marks a view of PostgreSQL as one of these, in its comment; the version follows.
const MARK: &str = "cim-es view ";

/// Brings the names of a view to what serves now: a change of them is seen with the rest of the transaction, in one step.
pub(super) async fn update(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<(), ReadModelError> {
    let mut wanted = BTreeMap::new();
    let mut known = BTreeSet::new();
    for version in views::all(transaction, name).await? {
        let Some(record) = made::record(transaction, version.number).await? else {
            continue;
        };
        let names = record.names_of(&version.record.view);
        for table in &record.tables {
            let shown = TableNames::unversioned(name, table);
            if version.record.is_serving {
                wanted.insert(shown.clone(), names.in_database(table));
            }
            known.insert(shown);
        }
    }
    set(transaction, name, &known, &wanted).await
}

/// Removes the names of a version that serves and goes.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    name: &str,
    tables: &BTreeSet<String>,
) -> Result<(), ReadModelError> {
    let known = tables
        .iter()
        .map(|table| TableNames::unversioned(name, table));
    set(transaction, name, &known.collect(), &BTreeMap::new()).await
}

/// Has just those of some names be there that are wanted, each for its table.
async fn set(
    transaction: &Transaction<'_>,
    view: &str,
    known: &BTreeSet<String>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), ReadModelError> {
    const NAMING: &str = "naming the tables of a view";
    for shown in known {
        let there = transaction
            .query(
                NAMING,
                "SELECT relkind::text, obj_description(oid, 'pg_class') FROM pg_class
                 WHERE relnamespace = current_schema()::regnamespace AND relname = $1",
                &[shown],
            )
            .await?;
        let wanted = wanted.get(shown);
        if let Some(row) = there.first() {
            let (kind, mark): (String, Option<String>) = (row.get(0), row.get(1));
            let mark = mark.unwrap_or_default();
            if wanted.is_some_and(|table| mark == marked(table)) && kind == "v" {
                continue;
            }
            let is_ours = kind == "v" && mark.starts_with(&format!("{MARK}{view}_"));
            if !is_ours && wanted.is_none() {
                continue;
            }
            if !is_ours {
                return Err(StoreError::Incompatible {
                    location: transaction.location().clone(),
                    reason: format!(
                        "`{shown}` stands where a table of view `{view}` is to be read; rename it or drop it"
                    ),
                }
                .into());
            }
            transaction.wait_for_readers().await?;
            let drop = format!("DROP VIEW {}", quoted(shown));
            transaction.run(NAMING, &drop).await?;
        }
        if let Some(table) = wanted {
            let sql = format!(
                "CREATE VIEW {view} AS SELECT * FROM {table}; COMMENT ON VIEW {view} IS '{mark}'",
                view = quoted(shown),
                table = quoted(table),
                // Names of views and tables have no quotes.
                mark = marked(table),
            );
            transaction.run(NAMING, &sql).await?;
        }
    }
    Ok(())
}

fn marked(table: &str) -> String {
    format!("{MARK}{table}")
}

/// The version that serves, as one moment of the database has it.
pub(super) async fn serving(
    snapshot: &Snapshot,
    name: &str,
) -> Result<Option<(ViewId, Position, TablesRecord)>, ReadModelError> {
    let rows = snapshot
        .query(
            "reading which version of a view answers",
            "SELECT version, position, value FROM views
             JOIN documents ON documents.view = views.number AND documents.key = ''
             WHERE name = $1 AND is_serving",
            &[&name],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let number = row.get::<_, i64>(0).cast_unsigned();
    let view = ViewId::of_number(name.to_owned(), number)?;
    let position = Position(row.get::<_, i64>(1).cast_unsigned());
    let record = made::read(row.get(2), snapshot.connections().location())?;
    Ok(Some((view, position, record)))
}
