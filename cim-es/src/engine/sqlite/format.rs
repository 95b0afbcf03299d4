//! The kinds of files of this library, and whether a file is one of them: its header, and everything that is declared
//! in it.

use std::collections::HashSet;

use super::database::Database;
use super::{read_models, schema};
use crate::store::StoreError;

/// A kind of files that this library writes.
pub(super) struct Format {
    /// What a file of this kind is.
    pub(super) name: &'static str,
    /// What to take for the same in memory.
    pub(super) in_memory: &'static str,
    /// Marks a file as one of this kind.
    pub(super) application_id: i32,
    /// The version of its tables in a new file.
    pub(super) user_version: i32,
    /// The oldest version of them that can still be used.
    pub(super) oldest_version: i32,
    /// How an object of `objects` is declared in a file of a version.
    pub(super) declaration: fn(i32, &str, &'static str) -> &'static str,
    /// Everything in it by name, in the words in which SQLite keeps it.
    pub(super) objects: &'static [(&'static str, &'static str)],
    /// What files of later versions have beside these, in the order of the versions: each has what those before it have.
    pub(super) beside: &'static [Beside],
    /// Whether a program may keep tables of its own beside these.
    pub(super) is_shared: bool,
    /// What is to survive a power cut, in SQLite's words.
    pub(super) synchronous: &'static str,
    /// Checks what a log brings, when a file is opened with one.
    pub(super) check_latest: fn(&Database) -> Result<(), StoreError>,
}

/// What is added to a file only once it is needed, and the version that the file has from then on.
pub(super) struct Beside {
    pub(super) version: i32,
    pub(super) objects: &'static [(&'static str, &'static str)],
}

impl Format {
    /// The newest version of its tables that can be used.
    fn newest_version(&self) -> i32 {
        let last = self.beside.last().map(|beside| beside.version);
        last.unwrap_or(self.user_version)
    }

    /// Everything in a file of a version, by name.
    fn objects_of(
        &self,
        version: i32,
    ) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let beside = self.beside.iter();
        let beside = beside.filter(move |beside| version >= beside.version);
        self.objects
            .iter()
            .chain(beside.flat_map(|beside| beside.objects))
    }

    /// The statements that make an empty file one of this kind.
    pub(super) fn creation(&self) -> String {
        let mut script = String::new();
        for (_, sql) in self.objects {
            script.push_str(sql);
            script.push_str(";\n");
        }
        script
            + &format!(
                "PRAGMA application_id = {};\nPRAGMA user_version = {};\n",
                self.application_id, self.user_version
            )
    }

    /// Whether something of a kind may stand beside what is known: in a file of events the tables of inline views, and no
    /// trigger, which could change events.
    fn has_room_for(&self, version: i32, kind: &str) -> bool {
        let first = self.beside.first();
        let has_views = first.is_some_and(|beside| version >= beside.version);
        self.is_shared || (has_views && kind != "trigger")
    }

    fn has(&self, version: i32, name: &str) -> bool {
        self.objects_of(version).any(|(known, _)| *known == name)
    }
}

/// Brings the file to a later version of those that have more, in the open transaction: makes what is missing of it.
pub(super) fn raise(database: &Database, to: i32) -> Result<(), StoreError> {
    let present = version(database)?;
    if present >= to {
        return Ok(());
    }
    let format = database.files.format;
    let added = format.beside.iter();
    let added = added.filter(|beside| present < beside.version && beside.version <= to);
    let mut script = String::new();
    for (_, sql) in added.flat_map(|beside| beside.objects) {
        script.push_str(sql);
        script.push_str(";\n");
    }
    tracing::info!(location = %database.location(), "the file gets more tables, and version {to}");
    database
        .connection
        .execute_batch(&script)
        .and_then(|()| {
            let connection = &database.connection;
            connection.pragma_update(None, "user_version", to)
        })
        .map_err(database.failed("making further tables"))
}

/// What SQLite itself adds to a file when its statistics are asked for; it changes no answer.
const STATISTICS: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];
/// How the names of the indexes begin that SQLite makes for the constraints of a table.
const AUTOMATIC: &str = "sqlite_autoindex_";

/// The version of the tables.
pub(super) fn version(database: &Database) -> Result<i32, StoreError> {
    database
        .first("reading the header", "PRAGMA user_version", (), |row| {
            row.get(0)
        })
        .map(Option::unwrap_or_default)
}

/// Every kind of files.
const FORMATS: [&Format; 2] = [&schema::FORMAT, &read_models::FORMAT];

/// Compares the marks in the header.
pub(super) fn check_identity(database: &Database) -> Result<(), StoreError> {
    let application: i32 = database
        .connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(database.failed("reading the header"))?;
    let version = version(database)?;
    let incompatible = |reason: String| {
        Err(StoreError::Incompatible {
            location: database.location().clone(),
            reason,
        })
    };
    let format = database.files.format;
    if let Some(other) = FORMATS
        .iter()
        .find(|other| other.application_id == application)
        .filter(|other| other.application_id != format.application_id)
    {
        return incompatible(format!(
            "it is {}, and {} is needed; give another path",
            other.name, format.name
        ));
    }
    if application != format.application_id {
        return incompatible(format!(
            "it is an SQLite file of another program: its application id is {application:#010x}, {} has {:#010x}; give another path",
            format.name, format.application_id
        ));
    }
    let (oldest, present) = (format.oldest_version, format.newest_version());
    if !(oldest..=present).contains(&version) {
        let known = match present - oldest {
            0 => format!("version {present}"),
            1 => format!("versions {oldest} and {present}"),
            _ => format!("versions {oldest} to {present}"),
        };
        return incompatible(format!(
            "the file has version {version}, this program knows {known}; use a program of the file's version"
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
    let (version, found) = declared(database)?;
    let format = database.files.format;
    for (name, sql) in format.objects_of(version) {
        let sql = (format.declaration)(version, name, sql);
        let declared = found.iter().find(|found| found.name == *name);
        if declared.and_then(|declared| declared.sql.as_deref()) != Some(sql) {
            return Err(database.damaged(
                None,
                None,
                format!("`{name}` is not declared as it was written; restore the file from a copy"),
            ));
        }
    }
    if let Some(other) = found
        .iter()
        .find(|found| !found.is_accepted(format, version))
    {
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

/// The version of the tables and everything that is declared, both as they were at one moment: another handle may bring
/// the file to a later version between two reads.
fn declared(database: &Database) -> Result<(i32, Vec<Declared>), StoreError> {
    let mut before = version(database)?;
    loop {
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
        let after = version(database)?;
        if after == before {
            return Ok((after, found));
        }
        before = after;
    }
}

impl Declared {
    fn is_accepted(&self, format: &Format, version: i32) -> bool {
        let is_beside =
            format.has_room_for(version, &self.kind) && !format.has(version, &self.table);
        is_beside
            || match self.kind.as_str() {
                "index" if self.sql.is_none() => {
                    format.has(version, &self.table) && self.name.starts_with(AUTOMATIC)
                }
                "table" if STATISTICS.contains(&self.name.as_str()) => true,
                _ => format.has(version, &self.name),
            }
    }
}
