//! The length of the log: it is moved into the file when it has some thousand pages, and then begins anew.
//!
//! SQLite moves what no reader needs any more, and begins the log anew when no reader is in it. Under reads that overlap
//! without end there is no such moment, and the log would grow for ever; so past a length the writer waits for those who
//! read now, while those who begin read from the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::MAIN_DB;
use rusqlite::wal::CheckpointMode;

use crate::engine::sqlite::database::Database;
use crate::store::StoreError;

/// The log is moved into the file when it has this many pages: rarely enough to write a page that many commits
/// touched once, and often enough to keep the log small.
pub(in crate::engine::sqlite) const PAGES: u32 = 4_000;
/// When it could not be moved as a whole, it is tried again after this many more.
const STEP: u32 = 1_000;
/// Past this many pages the writer waits for the readers.
const LONG: u32 = 4 * PAGES;
/// How long it waits for them.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long SQLite waits by itself for another process that writes.
pub(in crate::engine::sqlite) const BUSY: Duration = Duration::from_millis(50);

/// The log of one file.
pub(in crate::engine::sqlite) struct Log {
    /// How many pages it had at the last commit of this process.
    pages: Arc<AtomicU32>,
    /// How many it may have before it is moved.
    due: u32,
    /// When it was last tried to make a long one shorter.
    tried: Instant,
}

impl Log {
    /// Takes over from SQLite, which would move the log while a commit waits for its answer.
    pub(in crate::engine::sqlite) fn watch(database: &mut Database) -> Result<Self, StoreError> {
        let pages = Arc::new(AtomicU32::new(0));
        let now = pages.clone();
        database.on_commit(move |pages| now.store(pages, Ordering::Relaxed))?;
        Ok(Self {
            pages,
            due: PAGES,
            tried: Instant::now(),
        })
    }

    /// Whether it is so long that readers must be waited for.
    pub(super) fn is_long(&self) -> bool {
        self.pages() >= LONG
    }

    /// Whether it is to be moved.
    pub(super) fn is_due(&self) -> bool {
        self.pages() >= self.due
    }

    /// Moves the log when it is due.
    pub(in crate::engine::sqlite) fn tend(&mut self, database: &Database) {
        let pages = self.pages();
        if pages + STEP < self.due {
            // It began anew.
            self.due = PAGES.max(pages);
        }
        if pages < self.due {
            return;
        }
        let mode = match self.is_long() {
            true => CheckpointMode::RESTART,
            false => CheckpointMode::PASSIVE,
        };
        self.due = match self.checkpoint(database, mode) {
            true => PAGES,
            false => pages.saturating_add(STEP),
        };
        self.tried = Instant::now();
    }

    /// Tries again to shorten a log that is long although nobody writes.
    pub(super) fn shorten(&mut self, database: &Database, pause: Duration) {
        if self.is_long() && self.tried.elapsed() >= pause {
            self.tried = Instant::now();
            if self.checkpoint(database, CheckpointMode::TRUNCATE) {
                self.pages.store(0, Ordering::Relaxed);
                self.due = PAGES;
            }
        }
    }

    /// After a transaction that failed: moves what can be moved, so that the next one may begin the log anew.
    pub(in crate::engine::sqlite) fn make_room(&mut self, database: &Database) {
        if self.pages() > 0 {
            self.checkpoint(database, CheckpointMode::PASSIVE);
        }
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Moves the log; whether all of it was moved.
    fn checkpoint(&self, database: &Database, mode: CheckpointMode) -> bool {
        let waits = !matches!(mode, CheckpointMode::PASSIVE);
        let patience = |time| {
            if waits && let Err(error) = database.connection.busy_timeout(time) {
                tracing::warn!(%error, "SQLite does not take the time to wait");
            }
        };
        patience(PATIENCE);
        let moved = database.connection.wal_checkpoint_v2(Some(MAIN_DB), mode);
        patience(BUSY);
        match moved {
            Ok((all, moved)) => all == moved,
            Err(error) => {
                // It is tried again; the commits are safe where they are.
                tracing::debug!(location = %database.location(), %error, "the log was not moved");
                false
            }
        }
    }
}
