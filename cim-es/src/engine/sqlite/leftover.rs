//! Logs that do not belong to the file that they lie beside.
//!
//! SQLite takes whatever lies beside a file under its name for the file's own log. A log that outlived its file would
//! bring back deleted events, or overlay another file's pages.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::database::Database;
use super::files::{Files, beside};
use crate::store::{Location, StoreError};

/// What SQLite may leave beside a file.
const LEFT: [&str; 3] = ["-wal", "-journal", "-shm"];
/// What of that may hold commits that a reader of the file alone would not see.
const HOLDS_COMMITS: [&str; 2] = ["-wal", "-journal"];
/// How many changes of what a file declares its log may hold: each raises the mark by one.
const DECLARATIONS: i64 = 1_024;
/// The length of the header of a log.
const HEADER: usize = 32;
/// The length of the header of each of its frames.
const FRAME_HEADER: usize = 24;

/// Refuses to make a new file beside what a file of this name left behind.
pub(super) fn refuse_for_new(path: &Path, location: &Location) -> Result<(), StoreError> {
    let Some(log) = LEFT
        .map(|suffix| beside(path, suffix))
        .into_iter()
        .find(|log| holds(log))
    else {
        return Ok(());
    };
    // Another process may just have made the file.
    if path.exists() {
        return Ok(());
    }
    Err(StoreError::Incompatible {
        location: location.clone(),
        reason: format!(
            "the file does not exist, but `{0}` does: the file was deleted, renamed or moved without it, and it may hold \
             commits; put the file back, or delete `{0}` if it is not needed, and open again",
            log.display()
        ),
    })
}

/// Refuses to read a file without the commits beside it.
pub(super) fn refuse_for_immutable(files: &Files) -> Result<(), StoreError> {
    let logs = HOLDS_COMMITS.map(|suffix| beside(&files.path, suffix));
    match logs.into_iter().find(|log| holds(log)) {
        None => Ok(()),
        Some(log) => Err(StoreError::Incompatible {
            location: files.location.clone(),
            reason: format!(
                "`{}` holds commits that an immutable file would be read without; open it once for writing and close it",
                log.display()
            ),
        }),
    }
}

/// Refuses a log that cannot be that of the file: where its last commit ends, the file and the log together must have
/// every page. Says whether there is a log that holds commits.
pub(super) fn refuse_foreign(files: &Files) -> Result<bool, StoreError> {
    let path = beside(&files.path, "-wal");
    // No lock of SQLite is on the log, so it may be opened here.
    let Some(log) = read_log(&path) else {
        return Ok(false);
    };
    // After the log was read: meanwhile pages may only have come into the file.
    let length = fs::metadata(&files.path).map_or(0, |found| found.len());
    let in_file = length / log.page_size;
    let is_whole = (in_file + 1..=log.pages).all(|page| log.holds.contains(&page));
    // A file that was made smaller was written anew, page by page.
    let is_as_long = in_file <= log.pages || (1..=log.pages).all(|page| log.holds.contains(&page));
    if is_whole && is_as_long {
        return Ok(true);
    }
    Err(StoreError::Incompatible {
        location: files.location.clone(),
        reason: format!(
            "`{}` is the log of another file, or of another copy of this one: it ends at page {} and the file at page \
             {in_file}, and they do not fit; put together what belongs together, or delete the log if its commits are \
             not needed",
            path.display(),
            log.pages
        ),
    })
}

/// Refuses a log whose first page bears the mark of another file than the file alone: see
/// [`mark`](super::schema::mark).
pub(super) fn refuse_other_mark(with_log: &Database, without: i64) -> Result<(), StoreError> {
    let with = with_log.schema_version()?;
    if (0..=DECLARATIONS).contains(&(with - without)) {
        return Ok(());
    }
    Err(StoreError::Incompatible {
        location: with_log.location().clone(),
        reason: format!(
            "`{}` is the log of another file: its mark is {with}, that of the file is {without}; put together what \
             belongs together, or delete the log if its commits are not needed",
            beside(&with_log.files.path, "-wal").display()
        ),
    })
}

fn holds(log: &Path) -> bool {
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// What the committed part of a log holds.
struct Log {
    page_size: u64,
    /// The pages of the file after the last commit.
    pages: u64,
    /// The pages that the log has.
    holds: HashSet<u64>,
}

/// The committed part of a log; none when it has no commit, or cannot be read, which SQLite then says better.
fn read_log(path: &Path) -> Option<Log> {
    let mut reader = BufReader::with_capacity(FRAME_HEADER, File::open(path).ok()?);
    let mut header = [0; HEADER];
    reader.read_exact(&mut header).ok()?;
    let page_size = match number(&header, 8) {
        1 => 65_536,
        size @ 512..=32_768 => size,
        _ => return None,
    };
    let salts = [number(&header, 16), number(&header, 20)];
    let mut log = Log {
        page_size,
        pages: 0,
        holds: HashSet::new(),
    };
    let mut open = Vec::new();
    let mut frame = [0; FRAME_HEADER];
    while reader.read_exact(&mut frame).is_ok() {
        // A frame of an earlier round of the log.
        if [number(&frame, 8), number(&frame, 12)] != salts {
            break;
        }
        open.push(number(&frame, 0));
        let pages = number(&frame, 4);
        if pages > 0 {
            log.pages = pages;
            log.holds.extend(open.drain(..));
        }
        reader.seek(SeekFrom::Current(page_size as i64)).ok()?;
    }
    (log.pages > 0).then_some(log)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
