//! The read models in the file of an event store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::keeping::Inline;
use super::{has_tables, kept, make_tables};
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::views::{self, View};
use crate::engine::sqlite::read_models::{Tables, changes, documents, now, tables};
use crate::engine::sqlite::{Shared, SqliteEventStore};
use crate::store::Location;
use crate::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, TableError, Unserved,
    UpTo, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};

/// The read models in the file of an event store: those that are kept inline, by whichever program.
///
/// [`SqliteEventStore::read_models`] gives it. Whoever asks a view needs no more than this, in any program that has the
/// file open, also for reading only.
///
/// It is a storage like any other. A view that is kept by a task of its own may stand in it, too, but then its writes and
/// those of events wait for each other: a file of its own, [`SqliteReadModels`](crate::SqliteReadModels), is better.
#[derive(Clone)]
pub struct InlineReadModels {
    shared: Arc<Shared>,
}

impl SqliteEventStore {
    /// The read models that stand in the file beside the events, for who asks them.
    ///
    /// ```
    /// # use cim_es::document::{Document, DocumentReader};
    /// # use cim_es::prelude::*;
    /// #[derive(Document, Debug, Serialize, Deserialize)]
    /// struct Card {
    ///     title: String,
    /// }
    ///
    /// fn cards(store: &SqliteEventStore) -> DocumentReader<Card> {
    ///     DocumentReader::new(store.read_models(), "cards")
    /// }
    /// ```
    pub fn read_models(&self) -> InlineReadModels {
        InlineReadModels {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl InlineReadModels {
    /// Writes in a transaction of the writer of events.
    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Database) -> Result<T, ReadModelError> + Send + 'static,
    ) -> Result<T, ReadModelError> {
        let work = move |database: &Database, inline: &Inline| {
            let done = work(database)?;
            inline.forget_known();
            Ok(done)
        };
        kept::write(&self.shared, work).await
    }

    /// The same on a view that is to be there.
    async fn write_view<T: Send + 'static>(
        &self,
        view: &ViewId,
        work: impl Fn(&Database, &ViewId) -> Result<T, ReadModelError> + Send + 'static,
    ) -> Result<T, ReadModelError> {
        let view = view.clone();
        let work = move |database: &Database| {
            expect(database, &view)?;
            work(database, &view)
        };
        self.write(work).await
    }

    /// Reads a view in one transaction.
    async fn read_view<T: Send + 'static>(
        &self,
        view: &ViewId,
        work: impl FnOnce(&Database, &View) -> Result<T, ReadModelError> + Send + 'static,
    ) -> Result<UpTo<T>, ReadModelError> {
        let view = view.clone();
        let read = move |database: &Database| {
            let view = expect(database, &view)?;
            Ok(UpTo {
                value: work(database, &view)?,
                position: view.record.up_to.position,
            })
        };
        self.shared.readers.read_or(read).await
    }

    /// Asks the tables of the version of a view that serves.
    pub(crate) async fn read_tables<T: Send + 'static>(
        &self,
        name: Arc<str>,
        ask: impl FnOnce(&Tables<'_>) -> Result<T, TableError> + Send + 'static,
    ) -> Result<UpTo<T>, TableError> {
        let read = move |database: &Database| match has_tables(database) {
            Ok(true) => tables::read(database, &name, ask),
            Ok(false) => Err(TableError::NotServing {
                name: name.to_string(),
                why: Unserved::NotThere,
            }),
            Err(error) => Err(ReadModelError::from(error).into()),
        };
        self.shared.readers.read_or(read).await
    }

    /// The versions of a view; none where the file has no read models.
    async fn versions(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        let name = name.to_owned();
        let read = move |database: &Database| match has_tables(database)? {
            true => views::named(database, &name),
            false => Ok(Vec::new()),
        };
        Ok(self.shared.readers.read(read).await?)
    }
}

/// A view that must be there, in a file that may have no read models.
fn expect(database: &Database, view: &ViewId) -> Result<View, ReadModelError> {
    match has_tables(database)? {
        true => views::expect(database, view),
        false => Err(ReadModelError::NoSuchView {
            location: database.location().clone(),
            view: view.clone(),
        }),
    }
}

impl std::fmt::Debug for InlineReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InlineReadModels")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ReadModelStorage for InlineReadModels {
    fn location(&self) -> Location {
        self.shared.files.location.clone()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let versions = self.versions(declaration.view.name()).await?;
        let there = versions
            .into_iter()
            .find(|record| record.view == declaration.view);
        if let Some(record) = there {
            record.check(declaration, &self.location())?;
            return Ok(record);
        }
        let declaration = declaration.clone();
        self.write(move |database| {
            make_tables(database)?;
            views::make(database, &declaration)
        })
        .await
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        self.versions(name).await
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        self.write_view(view, move |database, view| {
            views::hold(database, view, holder, lease, now())
        })
        .await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        let view = view.clone();
        self.write(move |database| match has_tables(database)? {
            true => views::release(database, &view, holder),
            false => Ok(()),
        })
        .await
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        changes.check(view)?;
        self.write_view(view, move |database, view| {
            changes::store(database, view, changes.clone())
        })
        .await
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.read_view(view, move |database, view| {
            Ok(documents::read_of(database, view.number, &keys)?)
        })
        .await
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let (entry, page) = (entry.clone(), page.clone());
        self.read_view(view, move |database, view| {
            documents::find_of(database, view, &entry, &page)
        })
        .await
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let page = page.clone();
        self.read_view(view, move |database, view| {
            documents::list_of(database, view, &page)
        })
        .await
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.write_view(view, views::serve).await
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let view = view.clone();
        self.write(move |database| match has_tables(database)? {
            true => views::remove(database, &view),
            false => Ok(()),
        })
        .await
    }
}
