//! The names without a version, by which any program reads the tables of the version that serves.

use std::collections::BTreeMap;

use super::made;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::views;
use crate::store::StoreError;
use crate::store::read_model::{ReadModelError, TableNames, quoted};

/// Brings the names of a view to what serves now: a change of them is seen with the rest of the transaction, in one step.
pub(super) fn update(database: &Database, name: &str) -> Result<(), ReadModelError> {
    let mut wanted = BTreeMap::new();
    let mut known = Vec::new();
    for version in views::named(database, name)? {
        let view = views::expect(database, &version.view)?;
        let Some(record) = made::record(database, view.number)? else {
            continue;
        };
        let names = record.names_of(&version.view);
        for table in &record.tables {
            let shown = TableNames::unversioned(name, table);
            if version.is_serving {
                let sql = declaration(&shown, &names.in_database(table));
                wanted.insert(shown.clone(), sql);
            }
            known.push(shown);
        }
    }
    set(database, name, &known, &wanted)
}

/// Removes the names of a version that serves and goes.
pub(super) fn remove(
    database: &Database,
    name: &str,
    tables: impl IntoIterator<Item = String>,
) -> Result<(), ReadModelError> {
    let known: Vec<_> = tables
        .into_iter()
        .map(|table| TableNames::unversioned(name, &table))
        .collect();
    set(database, name, &known, &BTreeMap::new())
}

/// Has just those of some names be there that are wanted.
fn set(
    database: &Database,
    view: &str,
    known: &[String],
    wanted: &BTreeMap<String, String>,
) -> Result<(), ReadModelError> {
    for shown in known {
        let there = database.first(
            "reading the schema",
            "SELECT type, sql FROM sqlite_schema WHERE name = ?1",
            (shown,),
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)),
        )?;
        let wanted = wanted.get(shown);
        let run = |sql: &str| {
            let done = database.connection.execute_batch(sql);
            done.map_err(database.failed("naming the tables of a view"))
        };
        if let Some((kind, sql)) = there {
            let sql = sql.unwrap_or_default();
            if wanted == Some(&sql) {
                continue;
            }
            let is_ours = kind == "view" && sql.starts_with(&declaration_of(shown, view));
            if !is_ours && wanted.is_none() {
                continue;
            }
            if !is_ours {
                return Err(StoreError::Incompatible {
                    location: database.location().clone(),
                    reason: format!(
                        "the {kind} `{shown}` stands where a table of view `{view}` is to be read; rename it or drop it"
                    ),
                }
                .into());
            }
            run(&format!("DROP VIEW {}", quoted(shown)))?;
        }
        if let Some(sql) = wanted {
            run(sql)?;
        }
    }
    Ok(())
}

fn declaration(shown: &str, table: &str) -> String {
    format!(
        "CREATE VIEW {} AS SELECT * FROM {}",
        quoted(shown),
        quoted(table)
    )
}

/// How the declaration of such a name begins for any version.
fn declaration_of(shown: &str, view: &str) -> String {
    format!("CREATE VIEW {} AS SELECT * FROM \"{view}_", quoted(shown))
}
