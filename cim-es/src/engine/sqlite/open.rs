//! Opening the file: what it must be before anything is read from it or written to it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::database::{Database, count};
use super::files::Files;
use super::format::Format;
use super::options::{Access, SqliteOptions};
use super::{create, failure, format, leftover, writer};
use crate::store::{Location, StoreError};

/// What every SQLite file of version 3 starts with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The smallest page of SQLite; a whole file has at least one.
const SMALLEST_FILE: u64 = 512;
/// The size in bytes to which a log is cut that had to grow longer and then began anew.
const LOG_BYTES: u32 = 16 * 1024 * 1024;
/// The longest time that SQLite can wait.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

/// The pages that a connection keeps at most, in KiB as SQLite counts them: with a minus sign.
const CACHE: i32 = -16_384;

/// Opens a file for the writer: makes it when it is missing, and checks that it is what this library writes.
/// `upgrade` brings the tables of an older file to what they are now.
pub(super) fn writer(
    path: &Path,
    format: &'static Format,
    options: &SqliteOptions,
    upgrade: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<Database, StoreError> {
    let location = Location::from(path);
    inspect(path, &location, format, options.access)?;
    let files = Arc::new(Files::at(path, &location, format)?);
    files.check_name()?;
    let has_log = match options.access {
        Access::Immutable => {
            leftover::refuse_for_immutable(&files)?;
            false
        }
        Access::ReadOnly | Access::ReadWrite => leftover::refuse_foreign(&files)?,
    };
    let mut database = connect(&files, options, options.access)?;
    if has_log {
        // Where the log was moved into the file in part, the file alone may not be readable.
        let without_log = connect(&files, options, Access::Immutable)
            .and_then(|without_log| without_log.schema_version());
        if let Ok(mark) = without_log {
            leftover::refuse_other_mark(&database, mark)?;
        }
    }
    format::check_identity(&database)?;
    if options.access == Access::ReadWrite {
        if database
            .connection
            .is_readonly(MAIN_DB)
            .map_err(database.failed("opening"))?
        {
            return Err(StoreError::ReadOnly {
                location: location.clone(),
                reason: "the file is write-protected".into(),
            });
        }
        use_log(&database, options.busy_timeout)?;
        pragma(&database, "synchronous", format.synchronous)?;
        // Where a plain sync leaves the data in the cache of the disk; elsewhere these change nothing.
        pragma(&database, "fullfsync", true)?;
        pragma(&database, "checkpoint_fullfsync", true)?;
        pragma(&database, "journal_size_limit", LOG_BYTES)?;
        pragma(&database, "cache_size", CACHE)?;
        limit_size(&database, options.max_file_bytes)?;
    }
    if options.access == Access::ReadOnly {
        expect_log(&database)?;
    }
    format::check_schema(&database)?;
    if options.access != Access::Immutable {
        files.watch_log()?;
    }
    database.check_opened()?;
    if !options.accepts_damage && size(&database)? <= options.checked_bytes {
        check_integrity(&database)?;
    }
    if has_log && !options.accepts_damage {
        database.read(format.check_latest)?;
    }
    if options.access == Access::ReadWrite {
        upgrade(&database)?;
    }
    database
        .connection
        .busy_timeout(options.busy_timeout.min(writer::BUSY))
        .map_err(database.failed("opening"))?;
    database.accept_log();
    Ok(database)
}

/// Opens the file for a reader, after [`writer`].
pub(super) fn reader(files: &Arc<Files>, options: &SqliteOptions) -> Result<Database, StoreError> {
    let access = match options.access {
        Access::Immutable => Access::Immutable,
        Access::ReadOnly | Access::ReadWrite => Access::ReadOnly,
    };
    files.check()?;
    let database = connect(files, options, access)?;
    pragma(&database, "query_only", true)?;
    pragma(&database, "cache_size", CACHE)?;
    database.check_opened()?;
    Ok(database)
}

/// Lets SQLite check its own structures.
pub(super) fn check_integrity(database: &Database) -> Result<(), StoreError> {
    let verdict = database
        .first(
            "checking the file",
            "PRAGMA integrity_check(1)",
            (),
            |row| row.get::<_, String>(0),
        )?
        .unwrap_or_default();
    if verdict != "ok" {
        return Err(database.damaged(
            None,
            None,
            format!("the file is not whole: {verdict}; restore it from a copy"),
        ));
    }
    Ok(())
}

/// Looks at the path before SQLite does, because SQLite would take an empty file for a new one and says little about
/// a path that cannot be opened.
fn inspect(
    path: &Path,
    location: &Location,
    format: &Format,
    access: Access,
) -> Result<(), StoreError> {
    let unusable = |reason: String| StoreError::Incompatible {
        location: location.clone(),
        reason,
    };
    // SQLite takes these for something else than a path, and would open another database than the file that is made here.
    let name = path.as_os_str().to_string_lossy();
    if name == ":memory:" {
        return Err(unusable(format!(
            "{} of this kind is a file; take {}",
            format.name, format.in_memory
        )));
    }
    if name.starts_with("file:") {
        return Err(unusable(
            "it is a URI, and a path is needed; write `./` in front if the file is called so"
                .into(),
        ));
    }
    let found = match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(unusable(
                "it is a directory; give the path of a file".into(),
            ));
        }
        Ok(found) if !found.is_file() => {
            return Err(unusable("it is not a file; give the path of a file".into()));
        }
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if access != Access::ReadWrite {
                return Err(unusable(
                    "the file does not exist, and it was to be opened for reading only".into(),
                ));
            }
            if fs::symlink_metadata(path).is_ok() {
                return Err(unusable(
                    "it is a link to a file that does not exist; give the path of the file itself"
                        .into(),
                ));
            }
            leftover::refuse_for_new(path, location)?;
            return create::create(path, location, format);
        }
        Err(error) => return Err(unusable(format!("it cannot be looked at: {error}"))),
    };
    let length = found.len();
    if length == 0 {
        return Err(failure::damaged(
            location,
            None,
            None,
            "the file is empty, as a file that was cut off may be; if nothing was kept in it, delete it and open again",
        ));
    }
    if length < SMALLEST_FILE {
        return Err(no_database(path, location).unwrap_or_else(|| {
            failure::damaged(
                location,
                None,
                None,
                format!("the file is cut off after {length} bytes; restore it from a copy"),
            )
        }));
    }
    Ok(())
}

/// The error for a file that does not start as those of SQLite do; none for one that does.
///
/// Only a file that SQLite cannot use may be looked at here: where a process closes a file, it loses every lock that it
/// has on it, and a store that is open in this process would lose its hold on its own file.
fn no_database(path: &Path, location: &Location) -> Option<StoreError> {
    let mut start = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    let reason = match read {
        Err(error) => format!("it cannot be read: {error}; check its permissions"),
        Ok(_) if start != MAGIC => {
            "it is no SQLite file; give the path of a store, or of a file that does not exist yet"
                .into()
        }
        Ok(_) => return None,
    };
    Some(StoreError::Incompatible {
        location: location.clone(),
        reason,
    })
}

fn connect(
    files: &Arc<Files>,
    options: &SqliteOptions,
    access: Access,
) -> Result<Database, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut name = files.path.clone();
    match access {
        Access::ReadWrite => flags |= OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::ReadOnly => flags |= OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Immutable => {
            flags |= OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            name = immutable_uri(&files.path);
        }
    }
    let failed = |error| opening_failed(&files.path, &files.location, access, error);
    let connection = Connection::open_with_flags(name, flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    let database = Database::new(connection, files.clone())?;
    database
        .connection
        .busy_timeout(options.busy_timeout.min(LONGEST_WAIT))
        .map_err(database.failed("opening"))?;
    // Both make SQLite trust the file less.
    pragma(&database, "trusted_schema", false)?;
    pragma(&database, "cell_size_check", true)?;
    // The first look into the file; what keeps it from being opened shows here.
    database
        .connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
        .map_err(failed)?;
    Ok(database)
}

fn opening_failed(
    path: &Path,
    location: &Location,
    access: Access,
    error: rusqlite::Error,
) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
        && let Some(error) = no_database(path, location)
    {
        return error;
    }
    let cannot_open = error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        || error.sqlite_error_code() == Some(ErrorCode::ReadOnly);
    if !cannot_open {
        return failure::store_error(location, "opening", error);
    }
    match access {
        Access::ReadWrite => StoreError::ReadOnly {
            location: location.clone(),
            reason: format!(
                "the file, or those beside it with `-wal` and `-shm` in their names, cannot be read and written ({error})"
            ),
        },
        Access::ReadOnly | Access::Immutable => StoreError::Incompatible {
            location: location.clone(),
            reason: format!(
                "it cannot be opened for reading beside other processes ({error}); if nobody writes to it, open it as immutable"
            ),
        },
    }
}

/// The name by which SQLite opens a file that nobody writes to.
fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}

/// Refuses to read a file that another tool keeps in another mode: a store keeps its commits in the log.
fn expect_log(database: &Database) -> Result<(), StoreError> {
    let mode: String = database
        .connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(database.failed("reading the header"))?;
    match mode == "wal" {
        true => Ok(()),
        false => Err(StoreError::Incompatible {
            location: database.location().clone(),
            reason: format!(
                "another program keeps its journal in mode `{mode}`, a store needs `wal`; open it once for writing, which \
                 changes it back"
            ),
        }),
    }
}

/// Turns on the log, which the file keeps on from its creation; somebody's tool may have turned it off.
fn use_log(database: &Database, patience: Duration) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        let mode = database
            .connection
            .query_row("PRAGMA journal_mode = WAL", (), |row| {
                row.get::<_, String>(0)
            });
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::Incompatible {
                    location: database.location().clone(),
                    reason: format!(
                        "SQLite keeps its journal in mode `{mode}` there, a store needs `wal`; put the file on a local disk"
                    ),
                });
            }
            // SQLite does not wait by itself while it changes the mode.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && started.elapsed() < patience =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(database.failed("turning on the log")(error)),
        }
    }
}

fn limit_size(database: &Database, bytes: Option<u64>) -> Result<(), StoreError> {
    let Some(bytes) = bytes else {
        return Ok(());
    };
    let page: u32 = database
        .connection
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .map_err(database.failed("reading the header"))?;
    let pages = (bytes / u64::from(page.max(1))).clamp(1, 4_294_967_294);
    database
        .connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(()))
        .map_err(database.failed("limiting the size"))
}

fn size(database: &Database) -> Result<u64, StoreError> {
    database
        .first(
            "reading the size",
            "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)",
            (),
            |row| count(row, 0),
        )
        .map(Option::unwrap_or_default)
}

fn pragma(database: &Database, name: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
    database
        .connection
        .pragma_update(None, name, value)
        .map_err(database.failed("setting up a connection"))
}
