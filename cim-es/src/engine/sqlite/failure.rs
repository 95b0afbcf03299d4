//! What SQLite reports, in the words of [`StoreError`].

use std::sync::Arc;

use cid::Cid;
use rusqlite::ffi;
use rusqlite::{Error, ErrorCode};

use super::size_limit;
use crate::store::{Damage, Location, Position, StoreError};

/// Names a failure that leaves nothing stored: every one but that of a commit.
pub(super) fn store_error(
    location: &Location,
    operation: &'static str,
    error: Error,
) -> StoreError {
    let reason = error.to_string();
    let unlike_written = |reason: &str| {
        let reason = format!("{operation}: {reason}");
        damaged(
            location,
            None,
            None,
            format!("{reason}; restore the file from a copy"),
        )
    };
    let Some(code) = error.sqlite_error() else {
        // Not SQLite but the conversion of what it gave: a column holds what was never written there.
        return unlike_written(&reason);
    };
    let location = location.clone();
    match code.code {
        ErrorCode::DiskFull => StoreError::Full { location, reason },
        // The shared index of the log grows by whole pages of the file system; no room is why that fails.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            StoreError::Full { location, reason }
        }
        ErrorCode::SystemIoFailure
            if code.extended_code == ffi::SQLITE_IOERR_WRITE
                && let Some(limit) = size_limit_at(&location) =>
        {
            StoreError::Full {
                location,
                reason: format!(
                    "the system lets this process write no file of more than {limit} bytes: raise the limit (`ulimit -f`)"
                ),
            }
        }
        // A read past the end of the file or of its log, where their own headers say that there is more.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHORT_READ => {
            unlike_written("the file or its log ends before it should")
        }
        ErrorCode::ReadOnly => StoreError::ReadOnly { location, reason },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy {
            location,
            reason: format!("it is held by another process ({reason})"),
        },
        // A statement of ours that the file does not understand, or a row that is there already: the tables are not
        // what was written.
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::Unknown
        | ErrorCode::ConstraintViolation => unlike_written(&reason),
        _ => StoreError::Engine {
            location,
            operation,
            source: Arc::new(error),
        },
    }
}

/// The limit of the system on the size of files, where it was reached.
fn size_limit_at(location: &Location) -> Option<u64> {
    match location {
        Location::File(path) => size_limit::reached(path),
        _ => None,
    }
}

/// Names the failure of a commit.
///
/// SQLite writes the frames of a transaction to the log, the one that makes it count last, then syncs the log, then
/// publishes the frames in the shared index. A failed write or no room means that the last frame is not whole. After
/// any other failure the frame may be there, and a recovery would take it for committed.
pub(super) fn commit_error(location: &Location, error: Error) -> StoreError {
    let nothing_stored = error.sqlite_error().is_some_and(|code| {
        matches!(
            code.code,
            ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ReadOnly
        ) || code.extended_code == ffi::SQLITE_IOERR_WRITE
    });
    if nothing_stored {
        return store_error(location, "committing", error);
    }
    StoreError::OutcomeUnknown {
        reason: format!("{location}: committing failed: {error}"),
    }
}

/// What is stored is not what was written.
pub(super) fn damaged(
    location: &Location,
    position: impl Into<Option<u64>>,
    cid: impl Into<Option<Cid>>,
    reason: impl Into<String>,
) -> StoreError {
    let position = position.into().map(Position);
    Damage::new(location.clone(), position, cid, reason).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location() -> Location {
        "store.db".into()
    }

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_commit_that_may_have_reached_the_log_has_an_unknown_outcome() {
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_IOERR,
        ] {
            let error = commit_error(&location(), failure(code));
            assert!(
                matches!(error, StoreError::OutcomeUnknown { .. }),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_commit_that_did_not_reach_the_log_stored_nothing() {
        let full = commit_error(&location(), failure(ffi::SQLITE_FULL));
        assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
        let busy = commit_error(&location(), failure(ffi::SQLITE_BUSY));
        assert!(matches!(busy, StoreError::Busy { .. }), "{busy:?}");
        let write = commit_error(&location(), failure(ffi::SQLITE_IOERR_WRITE));
        assert!(matches!(write, StoreError::Engine { .. }), "{write:?}");
    }

    #[test]
    fn a_failure_is_named_for_what_it_is() {
        for (code, text) in [
            (ffi::SQLITE_FULL, "no room left"),
            (ffi::SQLITE_IOERR_SHMSIZE, "no room left"),
            (ffi::SQLITE_READONLY, "read-only"),
            (ffi::SQLITE_BUSY, "held by another process"),
            (ffi::SQLITE_CORRUPT, "damaged"),
            (ffi::SQLITE_NOTADB, "damaged"),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, "damaged"),
            (ffi::SQLITE_IOERR_READ, "reading failed"),
        ] {
            let error = store_error(&location(), "reading", failure(code)).to_string();
            assert!(
                error.contains(text) && error.contains("store.db"),
                "{error}"
            );
        }
    }
}
