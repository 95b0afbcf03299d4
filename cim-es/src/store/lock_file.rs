//! A file that is locked by one program at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Locks a file, which is made where there is none, until what is given is closed or the program ends; none while somebody
/// else has it locked, in this program or another.
///
/// # Errors
/// What keeps it from being made or locked.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
