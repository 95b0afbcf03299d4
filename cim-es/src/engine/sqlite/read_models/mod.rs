//! Read models in an SQLite file of their own.
//!
//! The file stands beside the one of the events, so that a view never slows the writer of events. It has the same care:
//! files of other programs, logs of other files, files that were replaced under an open storage, full and read-only
//! media are told by the errors that an event store gives.
//!
//! One thread writes, each commit in one transaction with documents, index entries and position; a few threads read,
//! each answer in one transaction. What is committed is there after the program was killed. At a power cut the last
//! commits may be lost (`synchronous=NORMAL`), always from a commit on, with their documents and their positions: the
//! view then stands where it stood a moment before, and counts the events behind that again.

mod beside;
mod changes;
mod documents;
pub(super) mod inline;
mod open;
mod schema;
mod tables;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

pub(super) use self::beside::Beside;
pub use self::inline::InlineReadModels;
pub(crate) use self::inline::{
    DeclaredTables, InlineView, Kept, OpenView, RegisterError, Registration, Standing, Step,
    Uncounted, Unkept,
};
pub use self::open::SqliteReadModelsOptions;
pub(super) use self::schema::{FORMAT, OBJECTS};
pub(super) use self::tables::Guard;
pub use self::tables::Tables;
pub(crate) use self::tables::{is_storages, said};

use self::open::Committing;
use super::files::Files;
use super::reader::{Readers, Threads};
use crate::domain::message::Timestamp;
use crate::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, TableError, TableNames,
    UpTo, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Location, StoreError};

/// Keeps read models in an SQLite file of their own.
///
/// A clone is another handle of the same storage. Several processes may open one file, as long as it lies on a local
/// disk. When the last handle is dropped, the commits that wait are finished and the file is closed; the drop waits for
/// that, so prefer [`close`](Self::close) where a thread must not block.
///
/// What is committed outlives the program. A power cut may take the last commits of a view with it, each with its
/// documents and its position, so that the events of them are counted again and none is counted twice.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("cim-es-views-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("views.db");
/// use cim_es::SqliteReadModels;
///
/// let storage = SqliteReadModels::open(&path)?;
/// # drop(storage);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteReadModels {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    files: Arc<Files>,
    readers: Readers,
    writer: Threads<Committing>,
}

impl SqliteReadModels {
    /// Opens a file with the default options, and creates it when it is missing. This reads from the disk and blocks
    /// for as long.
    ///
    /// # Errors
    /// See [`SqliteReadModelsOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path)
    }

    /// How to open a file otherwise than by default.
    pub fn options() -> SqliteReadModelsOptions {
        SqliteReadModelsOptions::default()
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Finishes the commits that wait and closes the file, for all handles: what is asked of them later is
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        let shared = self.shared.clone();
        let (done, closed) = tokio::sync::oneshot::channel();
        let closing = std::thread::Builder::new()
            .name("cim-es-close".into())
            .spawn(move || {
                shared.stop();
                // Whoever closed the storage may have gone meanwhile.
                let _ = done.send(());
            });
        match closing {
            // An error means that the thread is gone, and then there is nothing to wait for.
            Ok(_) => drop(closed.await),
            Err(_) => self.shared.stop(),
        }
    }

    /// Writes in one transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Committing) -> Result<T, ReadModelError> + Send + 'static,
    ) -> Result<T, ReadModelError> {
        self.shared
            .writer
            .run(|committing: &mut Committing| committing.transact(work))
            .await
    }
}

/// Tables of an author's own.
impl SqliteReadModels {
    /// Makes a view with its tables, or gives what is known of the one that is there.
    pub(crate) async fn open_tables(
        &self,
        declaration: &ViewDeclaration,
        names: &Arc<TableNames>,
        text: &'static str,
    ) -> Result<ViewRecord, ReadModelError> {
        let (declaration, names) = (declaration.clone(), Arc::clone(names));
        self.write(move |committing| tables::open(&committing.database, &declaration, &names, text))
            .await
    }

    /// Has a projection change the tables of a view, and commits that with what changes of the view itself; nothing is
    /// stored where the projection gives up.
    pub(crate) async fn commit_tables<E: Send + 'static>(
        &self,
        names: &Arc<TableNames>,
        changes: ViewChanges,
        project: impl FnOnce(&Tables<'_>) -> Result<(), E> + Send + 'static,
    ) -> Result<Result<(), E>, ReadModelError> {
        let names = Arc::clone(names);
        let work = move |committing: &Committing| {
            let database = &committing.database;
            let mut view = views::expect(database, names.view())?;
            view.record.take(&changes, database.location())?;
            committing.check_tables(&view)?;
            views::save(database, &view)?;
            Ok(tables::project(database, &names, project))
        };
        self.shared
            .writer
            .run(|committing: &mut Committing| committing.transact_or(work))
            .await
    }

    /// Asks the tables of the version of a view that serves, at one moment.
    pub(crate) async fn read_tables<T: Send + 'static>(
        &self,
        name: Arc<str>,
        ask: impl FnOnce(&Tables<'_>) -> Result<T, TableError> + Send + 'static,
    ) -> Result<UpTo<T>, TableError> {
        self.shared
            .readers
            .read_or(move |database| tables::read(database, &name, ask))
            .await
    }
}

impl Shared {
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

impl std::fmt::Debug for SqliteReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteReadModels")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[async_trait]
impl ReadModelStorage for SqliteReadModels {
    fn location(&self) -> Location {
        self.shared.files.location.clone()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let id = declaration.view.clone();
        let there = self
            .shared
            .readers
            .read(move |database| views::find(database, &id))
            .await?;
        if let Some(view) = there {
            view.record.check(declaration, &self.location())?;
            return Ok(view.record);
        }
        let declaration = declaration.clone();
        self.write(move |committing| views::make(&committing.database, &declaration))
            .await
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        let name = name.to_owned();
        let named = self
            .shared
            .readers
            .read(move |database| views::named(database, &name));
        Ok(named.await?)
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        let view = view.clone();
        self.write(move |committing| views::hold(&committing.database, &view, holder, lease, now()))
            .await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        let view = view.clone();
        self.write(move |committing| views::release(&committing.database, &view, holder))
            .await
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        changes.check(view)?;
        let view = view.clone();
        self.write(move |committing| changes::store(&committing.database, &view, changes))
            .await
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        let view = view.clone();
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.shared
            .readers
            .read_or(move |database| documents::read(database, &view, &keys))
            .await
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let (view, entry, page) = (view.clone(), entry.clone(), page.clone());
        self.shared
            .readers
            .read_or(move |database| documents::find(database, &view, &entry, &page))
            .await
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let (view, page) = (view.clone(), page.clone());
        self.shared
            .readers
            .read_or(move |database| documents::list(database, &view, &page))
            .await
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let view = view.clone();
        self.write(move |committing| views::serve(&committing.database, &view))
            .await
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let view = view.clone();
        self.write(move |committing| views::remove(&committing.database, &view))
            .await
    }
}
