//! Whether a file is one of this library: its header, and everything that is declared in it.

use std::collections::HashSet;

use super::database::Database;
use super::schema;
use crate::store::StoreError;

/// What SQLite itself adds to a file when its statistics are asked for; it changes no answer.
const STATISTICS: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];
/// How the names of the indexes begin that SQLite makes for the constraints of a table.
const AUTOMATIC: &str = "sqlite_autoindex_";

/// Compares the marks in the header.
pub(super) fn check_identity(database: &Database) -> Result<(), StoreError> {
    let number = |name: &str| {
        database
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(database.failed("reading the header"))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let incompatible = |reason: String| {
        Err(StoreError::Incompatible {
            place: database.place().to_string(),
            reason,
        })
    };
    if application != schema::APPLICATION_ID {
        return incompatible(format!(
            "it is an SQLite file of another program: its application id is {application:#010x}, a store has {:#010x}; give another path",
            schema::APPLICATION_ID
        ));
    }
    if version != schema::USER_VERSION {
        return incompatible(format!(
            "the file has version {version}, this program knows version {}; use a program of the file's version",
            schema::USER_VERSION
        ));
    }
    Ok(())
}

/// What `sqlite_schema` says of one object.
struct Declared {
    kind: String,
    name: String,
    table: String,
    sql: Option<String>,
    root: i64,
}

/// Compares what the file declares with what this library writes: everything must be there, and nothing else. A
/// trigger could swallow or change what is written, and an index could refuse it.
pub(super) fn check_schema(database: &Database) -> Result<(), StoreError> {
    let encoding: String = database
        .connection
        .pragma_query_value(None, "encoding", |row| row.get(0))
        .map_err(database.failed("reading the header"))?;
    if encoding != "UTF-8" {
        return Err(database.damaged(
            None,
            None,
            format!("the header says that texts are in {encoding}, they were written in UTF-8"),
        ));
    }
    let found = database.all(
        "reading the schema",
        "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema",
        (),
        |row| {
            Ok(Declared {
                kind: row.get(0)?,
                name: row.get(1)?,
                table: row.get(2)?,
                sql: row.get(3)?,
                root: row.get::<_, Option<i64>>(4)?.unwrap_or_default(),
            })
        },
    )?;
    for (name, sql) in schema::OBJECTS {
        let declared = found.iter().find(|found| found.name == *name);
        if declared.and_then(|declared| declared.sql.as_deref()) != Some(sql) {
            return Err(database.damaged(
                None,
                None,
                format!("`{name}` is not declared as it was written; restore the file from a copy"),
            ));
        }
    }
    if let Some(other) = found.iter().find(|found| !found.is_ours()) {
        return Err(database.damaged(
            None,
            None,
            format!(
                "the {kind} `{name}` on `{table}` was added by another program, and may change what is stored; remove \
                 it with `DROP {upper} \"{name}\"`",
                kind = other.kind,
                name = other.name,
                table = other.table,
                upper = other.kind.to_uppercase(),
            ),
        ));
    }
    let mut roots = HashSet::new();
    if !found
        .iter()
        .all(|found| found.root == 0 || roots.insert(found.root))
    {
        return Err(database.damaged(None, None, "two tables start on the same page"));
    }
    Ok(())
}

impl Declared {
    fn is_ours(&self) -> bool {
        let is_known = |name: &str| schema::OBJECTS.iter().any(|(known, _)| *known == name);
        match self.kind.as_str() {
            "index" if self.sql.is_none() => {
                is_known(&self.table) && self.name.starts_with(AUTOMATIC)
            }
            "table" if STATISTICS.contains(&self.name.as_str()) => true,
            _ => is_known(&self.name),
        }
    }
}
