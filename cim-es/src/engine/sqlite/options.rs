//! How a file is opened.

use std::path::Path;
use std::time::Duration;

use super::SqliteEventStore;
use crate::block::HashCode;
use crate::store::{SealOptions, StoreError};

/// How a file is opened; [`SqliteEventStore::options`] gives the defaults.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("cim-es-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("options.db");
/// use cim_es::SqliteEventStore;
///
/// let store = SqliteEventStore::options().max_payload(64 * 1024).open(&path)?;
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(super) seal: SealOptions,
    pub(super) busy_timeout: Duration,
    pub(super) poll_interval: Duration,
    pub(super) longest_block: Duration,
    pub(super) max_file_bytes: Option<u64>,
    pub(super) checked_bytes: u64,
    pub(super) readers: usize,
    pub(super) access: Access,
    pub(super) accepts_damage: bool,
}

/// Further threads only hold files and memory.
const MOST_READERS: usize = 64;

/// What a store may do with its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
    Immutable,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            seal: SealOptions::default(),
            busy_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_millis(50),
            longest_block: Duration::from_micros(500),
            max_file_bytes: None,
            checked_bytes: 16 * 1024 * 1024,
            readers: 2,
            access: Access::ReadWrite,
            accepts_damage: false,
        }
    }
}

impl SqliteOptions {
    /// The hash of the CIDs that are made (SHA2-256 by default); both known hashes are read.
    pub fn hash(mut self, hash: HashCode) -> Self {
        self.seal.hash = hash;
        self
    }

    /// The largest payload of an event in bytes (1,000,000 by default, see [`SealOptions`]).
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.seal.max_payload = bytes;
        self
    }

    /// How long to wait for another process that holds the file (5 seconds by default) before
    /// [`StoreError::Busy`]. A write that nobody waits for any more ends sooner.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How often a subscription that waits looks for commits of other processes (every 50 milliseconds by default).
    /// Commits of this process wake it at once; so do not set this low without need.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// For how long an append may block the thread that awaits it (500 microseconds by default).
    ///
    /// A small commit that is alone, while nobody else writes, is stored by the thread that awaits it: to hand it to
    /// another thread and back would take about as long as a disk in the machine needs to keep it. That is done while the
    /// last such commit took less than this; on a slower disk, and with zero, every commit is handed over.
    pub fn longest_block(mut self, time: Duration) -> Self {
        self.longest_block = time;
        self
    }

    /// The size in bytes past which this store does not let the file grow: an append that needs more is
    /// [`StoreError::Full`]. No limit by default.
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = Some(bytes);
        self
    }

    /// The size in bytes up to which a file is checked as a whole when it is opened (16 MiB by default); a larger one
    /// is checked where it is read, and as a whole by [`SqliteEventStore::check`].
    pub fn check_on_open_up_to(mut self, bytes: u64) -> Self {
        self.checked_bytes = bytes;
        self
    }

    /// The number of threads that read, from 1 to 64 (2 by default).
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.clamp(1, MOST_READERS);
        self
    }

    /// Opens the file for reading only; it must exist. Every write is [`StoreError::ReadOnly`].
    ///
    /// The files beside it (`-wal`, `-shm`) must exist or be writable, because other processes may write meanwhile;
    /// for a medium that nobody writes to, see [`immutable`](Self::immutable).
    pub fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// Opens a file on a read-only medium for reading only. Nobody may write to the file meanwhile, in this or in
    /// another process: what is read then would be reported as damage.
    pub fn immutable(mut self) -> Self {
        self.access = Access::Immutable;
        self
    }

    /// Opens the file for reading only, even where what is in it is damaged: nothing of it is looked at when it is opened.
    /// Whatever is read is checked as ever. It is for a [`Verification`](crate::verify::Verification), which then tells
    /// all that is damaged, where opening would tell the first of it and refuse.
    pub fn even_if_damaged(mut self) -> Self {
        if self.access == Access::ReadWrite {
            self.access = Access::ReadOnly;
        }
        self.checked_bytes = 0;
        self.accepts_damage = true;
        self
    }

    /// Opens the file, and creates it when it is missing. This reads from the disk and blocks for as long.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a path that cannot hold a store, a file of another program and one of another
    /// version; [`StoreError::Damaged`] for a file that is not whole; [`StoreError::ReadOnly`] when it cannot be
    /// written and [`read_only`](Self::read_only) was not asked for; the engine's failures.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<SqliteEventStore, StoreError> {
        SqliteEventStore::start(path.as_ref(), self)
    }
}
