//! Making the file: all at once, so that nobody ever finds half of it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::files::is_same;
use super::format::Format;
use super::{failure, schema};
use crate::store::{Location, StoreError};

/// Makes the file under another name and links it into place, so that nobody ever finds half of it; whoever comes
/// second uses the file of the first.
pub(super) fn create(path: &Path, location: &Location, format: &Format) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let unusable = |reason: String| StoreError::Incompatible {
        location: location.clone(),
        reason,
    };
    match fs::metadata(&directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(unusable(format!(
                "`{}` is not a directory",
                directory.display()
            )));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(unusable(format!(
                "the directory `{}` does not exist; create it first",
                directory.display()
            )));
        }
        Err(error) => {
            return Err(unusable(format!(
                "the directory `{}` cannot be looked at: {error}",
                directory.display()
            )));
        }
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::now_v7().simple()));
    let draft = directory.join(name);
    let made = fill(&draft, location, format).and_then(|()| {
        match fs::hard_link(&draft, path) {
            Ok(()) => sync_directory(&directory),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // A file system without links: renaming would replace the file of another process that came first.
            Err(_) if !path.exists() => {
                fs::rename(&draft, path).and_then(|()| sync_directory(&directory))
            }
            Err(error) => Err(error),
        }
        .map_err(|error| creation_failed(location, &directory, &error))
    });
    if let Err(error) = fs::remove_file(&draft)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(draft = %draft.display(), %error, "a draft of a new file could not be removed");
    }
    made
}

/// Removes the other names of a file under which it was made, which a program that was killed there left behind.
pub(super) fn remove_drafts(path: &Path) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut start = name.to_owned();
    start.push(".");
    for entry in entries.flatten() {
        let other = entry.file_name();
        let is_draft = other
            .as_encoded_bytes()
            .strip_prefix(start.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(b".new"))
            .is_some_and(|id| id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit));
        if is_draft && is_same(&entry.path(), path) {
            // Whoever made it may be about to remove it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn fill(draft: &Path, location: &Location, format: &Format) -> Result<(), StoreError> {
    // The file is made here and not by SQLite to know why when it cannot be.
    File::create_new(draft).map_err(|error| {
        let directory = draft.parent().unwrap_or(Path::new("."));
        creation_failed(location, directory, &error)
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let fill = || {
        let connection = Connection::open_with_flags(draft, flags)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; BEGIN;")?;
        connection.execute_batch(&format.creation())?;
        connection.pragma_update(None, "schema_version", schema::mark())?;
        connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL;")?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| failure::store_error(location, "creating the file", error))
}

fn creation_failed(location: &Location, directory: &Path, error: &std::io::Error) -> StoreError {
    let location = location.clone();
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly {
            location,
            reason: format!("no file can be made in `{}`: {error}", directory.display()),
        },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full {
            location,
            reason: error.to_string(),
        },
        _ => StoreError::Incompatible {
            location,
            reason: format!("no file can be made in `{}`: {error}", directory.display()),
        },
    }
}

/// Makes the entry of a new file survive a power cut.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
