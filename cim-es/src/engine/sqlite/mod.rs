//! The embedded engine: one SQLite file.
//!
//! One thread writes. It takes the commits that wait and stores them in one transaction, so that many writers share
//! one sync of the disk; an acknowledged commit survives a power cut (write-ahead log, `synchronous=FULL`). A small commit
//! that is alone is stored by the thread that awaits it, where the disk is fast
//! ([`longest_block`](SqliteOptions::longest_block)). A few threads read, each answer in one transaction of its own, and never wait for the writer. Several processes may open
//! one file, as long as it lies on a local disk.
//!
//! An append that does not come from a repository has to know that its message is new: the first one on an aggregate with
//! events reads which messages are behind these, once for an open store.
//!
//! The file is an ordinary SQLite database; the view `history` shows the events to any SQLite tool.
//!
//! What waits is bounded: further writers and readers wait to be among those who wait. Work that nobody waits for any more
//! is not begun, or ends early. Streams read a mebibyte at a time.
//!
//! The file, its log (`-wal`) and the log's index (`-shm`) belong together, and SQLite finds the other two by the name of
//! the first. While a store is open, nobody may delete, rename or replace them, or a directory above them. The store
//! looks at each transaction and refuses it with [`StoreError::Replaced`] as long as the path does not lead to what it
//! has open. A file with several names (hard links), and one that is mounted without its directory, are not opened.
//!
//! A process that has the store open must not open and close the file by other means, such as to copy it: on Unix it
//! then loses its locks on the file, and a tool that finds itself alone there removes the log. Copy it with another
//! process, or with SQLite's own `VACUUM INTO`.
//!
//! # What is noticed
//! Every event that is read is hashed, and every list is compared with a second structure of the file (see
//! `schema.rs`), so a page that was damaged on the disk gives an error and never another or a shorter answer. Files
//! up to a size are also checked as a whole when they are opened; [`SqliteEventStore::check`] does that for any size.
//!
//! A log beside a new file, and one whose pages do not fit the file, are refused.
//!
//! What cannot be noticed from the file alone: an older copy of the file, or a file whose log (`-wal`) was lost or
//! cut, is a history that is shorter and whole. Who must notice that keeps the CID of a head elsewhere and compares.
//! The same holds for a rewrite by someone who may write to the file.

mod aggregates;
mod aside;
mod branches;
mod check;
mod checkpoints;
mod cids;
mod create;
mod cut;
mod database;
mod epochs;
mod events;
mod failure;
mod files;
mod format;
mod history;
mod leftover;
mod listing;
mod mounts;
mod object_details;
mod objects;
mod open;
mod options;
mod pages;
mod raw;
mod read_models;
mod reader;
mod repeats;
mod scan;
mod schema;
mod select;
mod size_limit;
mod snapshots;
mod stream;
mod sync_state;
mod type_positions;
mod types;
mod upgrade;
mod values;
mod wanted;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

pub use self::check::CheckReport;
pub use self::options::SqliteOptions;
pub(crate) use self::read_models::{
    DeclaredTables, InlineView, Kept, OpenView, RegisterError, Registration, Standing, Step,
    Uncounted, Unkept, is_storages, said,
};
pub use self::read_models::{InlineReadModels, SqliteReadModels, SqliteReadModelsOptions, Tables};

use self::aggregates::NameDigest;
use self::database::Database;
use self::files::Files;
use self::read_models::Beside;
use self::reader::Readers;
use self::writer::Writer;
use crate::block::{Cid, HashCode, StoredEvent};
use crate::domain::aggregate::IdText;
use crate::store::{
    AggregateKey, AggregatePage, AggregateQuery, AppendedCommit, Bookmark, CommitRequest,
    EngineSettings, EventStore, EventStream, Head, ObjectEntry, Position, ProvedCommit,
    SealedCommit, Selection, StoreError, StoredType, Versions,
};

/// Keeps events, snapshots, objects and checkpoints in one SQLite file.
///
/// A clone is another handle of the same store. When the last handle is dropped, the writes that wait are finished and
/// the file is closed; the drop waits for that, so prefer [`close`](Self::close) where a thread must not block.
#[derive(Clone)]
pub struct SqliteEventStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    files: Arc<Files>,
    options: SqliteOptions,
    hash: HashCode,
    digest: NameDigest,
    readers: Readers,
    writer: Writer,
    /// What is kept beside the events.
    read_models: Beside,
}

impl SqliteEventStore {
    /// Opens a file with the default options, and creates it when it is missing. This reads from the disk and blocks
    /// for as long.
    ///
    /// # Errors
    /// See [`SqliteOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path)
    }

    /// How to open a file otherwise than by default.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Checks the whole file: SQLite's own structures, every event and its place in its history, every object and
    /// checkpoint, and that all tables agree. It reads everything once, on a thread of its own.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that is wrong, and the engine's failures.
    pub async fn check(&self) -> Result<CheckReport, StoreError> {
        check::run(&self.shared).await
    }

    /// A page of the aggregates, in the order of their ids and then of their kinds.
    ///
    /// It is read from the table of aggregates alone, so that it takes as long in a file of any size; a kind that few
    /// aggregates are of is looked for among the names of all. That none is missing from the table is what
    /// [`check`](Self::check) looks at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    pub async fn aggregates(&self, query: AggregateQuery) -> Result<AggregatePage, StoreError> {
        let digest = self.shared.digest;
        self.shared
            .readers
            .read(move |database| listing::aggregates(database, &query, digest))
            .await
    }

    /// The types of events that the file has, each with a kind of aggregates that has events of it, in the order of the
    /// kinds and then of the types.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    pub async fn event_types(&self) -> Result<Vec<StoredType>, StoreError> {
        self.shared.readers.read(listing::event_types).await
    }

    /// The objects of the file, in the order in which they were kept: those behind a place of the list, 0 for its beginning,
    /// and at most so many. Their bytes are not looked at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    pub async fn objects(&self, after: u64, limit: usize) -> Result<Vec<ObjectEntry>, StoreError> {
        self.shared
            .readers
            .read(move |database| objects::list(database, after, limit))
            .await
    }

    /// Finishes the writes that wait and closes the file, for all handles: what is asked of them later is
    /// [`StoreError::Closed`]. When it returns, the log is part of the file, unless another process has the file open.
    pub async fn close(&self) {
        let shared = self.shared.clone();
        let (done, closed) = tokio::sync::oneshot::channel();
        let closing = std::thread::Builder::new()
            .name("cim-es-close".into())
            .spawn(move || {
                shared.stop();
                // Whoever closed the store may have gone meanwhile.
                let _ = done.send(());
            });
        match closing {
            // An error means that the thread is gone, and then there is nothing to wait for.
            Ok(_) => drop(closed.await),
            Err(_) => self.shared.stop(),
        }
    }

    fn start(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        Self::start_with(path, options, aggregates::name_digest)
    }

    fn start_with(
        path: &Path,
        options: &SqliteOptions,
        digest: NameDigest,
    ) -> Result<Self, StoreError> {
        let upgrade = |database: &Database| upgrade::upgrade(database, digest);
        let for_writing = open::writer(path, &schema::FORMAT, options, upgrade)?;
        let files = for_writing.files.clone();
        let for_reading = (0..options.readers)
            .map(|_| open::reader(&files, options))
            .collect::<Result<Vec<_>, _>>()?;
        let writer = Writer::start(for_writing, options, digest)?;
        let readers =
            Readers::start("cim-es-read", for_reading).map_err(|error| StoreError::Engine {
                location: files.location.clone(),
                operation: "starting the reading threads",
                source: Arc::new(error),
            })?;
        Ok(Self {
            shared: Arc::new(Shared {
                read_models: Beside::new(&files.path, options),
                path: path.to_owned(),
                files,
                options: options.clone(),
                hash: options.seal.hash,
                digest,
                readers,
                writer,
            }),
        })
    }
}

impl Shared {
    /// The heads of a commit's aggregates, where it is so large that they are read before the writer has it; else none.
    async fn heads(&self, commit: &CommitRequest) -> Result<Vec<Option<Head>>, StoreError> {
        let mut heads = Vec::new();
        if self.writer.wants_heads(commit) {
            for part in &commit.aggregates {
                let (aggregate, digest) = (part.aggregate.clone(), self.digest);
                let last = self
                    .readers
                    .read(move |database| events::last(database, &aggregate, digest))
                    .await;
                heads.push(match last {
                    Ok(last) => last.map(|event| event.head()),
                    // The writer meets it as well, and says it of this commit alone.
                    Err(StoreError::Damaged(_)) => None,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(heads)
    }

    /// The readers end first: who closes the file last copies the log into it, and only the writer may.
    fn stop(&self) {
        self.readers.stop();
        self.writer.stop();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for SqliteEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteEventStore")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for SqliteEventStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        repeats::append(&self.shared, commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.shared.writer.append_sealed(commits).await
    }

    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.shared.writer.append_proved(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        stream::history(self.shared.clone(), aggregate.clone(), versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let (aggregate, digest) = (aggregate.clone(), self.shared.digest);
        self.shared
            .readers
            .read(move |database| events::last(database, &aggregate, digest))
            .await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        let id = id.clone();
        self.shared
            .readers
            .read(move |database| aggregates::kinds(database, &id))
            .await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        let cid = *cid;
        self.shared
            .readers
            .read(move |database| cids::find(database, &cid))
            .await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        let readers = &self.shared.readers;
        Ok(Position(readers.read(types::last_position).await?))
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        stream::read(self.shared.clone(), selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        stream::follow(self.shared.clone(), selection, after)
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
            .shared_as(&self.shared)
            .with_snapshots(Arc::new(self.clone()))
            .with_read_models(Arc::new(self.shared.read_models.clone()))
            .with_raw_events(Arc::new(self.clone()))
            .with_pages(Arc::new(self.clone()))
            .storing_sealed_in_order()
            .with_branches(Arc::new(self.clone()))
            .with_cid_index()
    }
}

#[cfg(test)]
mod tests;
