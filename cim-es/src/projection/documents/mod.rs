//! Views of documents: what an author declares, and how such a view is asked.

mod open;
mod work;

pub use open::OpenDocuments;
pub(super) use work::DocumentsWork;

use std::future::Future;

use super::running::RunningView;
use super::{Lists, Projection, ProjectionError, Source};
use crate::block::StoredEvent;
use crate::document::{
    Document, DocumentError, DocumentKey, DocumentReader, Documents, Found, IndexField,
};
use crate::domain::event::{DomainEvent, EventOrigin};
use crate::store::read_model::{Page, UpTo};

/// What a projection makes of the events of an enum, in documents.
///
/// It reads and writes documents by key, and nothing of it is seen before the whole commit of the event is counted. Where
/// it gives an error or panics, the view stops before that commit ([`Parked`](super::Parked)), and no other view does.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// use cim_es::projection::{ProjectDocuments, ProjectionError};
///
/// /// A lamp as it is shown.
/// #[derive(Document, Debug, Default, PartialEq, Serialize, Deserialize)]
/// struct LampCard {
///     #[index]
///     on: bool,
///     switched: u32,
/// }
///
/// #[derive(Projection)]
/// #[projection(name = "lamps", version = 1, events = [LampEvent], documents = LampCard)]
/// struct LampCards;
///
/// impl ProjectDocuments<LampEvent> for LampCards {
///     async fn project(
///         &self,
///         event: LampEvent,
///         at: &Source<'_, Lamp>,
///         lamps: &mut Documents<'_, LampCard>,
///     ) -> Result<(), ProjectionError> {
///         let LampEvent::Switched { on } = event;
///         let mut card = lamps.get(&at.id()).await?.unwrap_or_default();
///         (card.on, card.switched) = (on, card.switched + 1);
///         lamps.put(&at.id(), card)?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{E}` and does not say what documents it makes of it",
    label = "`impl ProjectDocuments<{E}> for {Self}` is missing",
    note = "write `impl ProjectDocuments<{E}> for {Self}` with `async fn project(&self, event: {E}, at: &Source<…>, documents: &mut Documents<'_, …>) -> Result<(), ProjectionError>`, or take them out of `events = […]`"
)]
pub trait ProjectDocuments<E: DomainEvent<Origin: EventOrigin>>: InDocuments + Lists<E> {
    /// Takes the next event. `at` says where it stands: its aggregate, time, position, actor.
    ///
    /// # Errors
    /// Why the event cannot be counted; the view stops there. What the storage says of a document is handed on by `?`.
    fn project(
        &self,
        event: E,
        at: &Source<'_, E::Origin>,
        documents: &mut Documents<'_, Self::Document>,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// A projection whose view is documents; `#[derive(Projection)]` writes it where `documents = …` is named.
#[diagnostic::on_unimplemented(
    message = "the view of `{Self}` is not kept as documents",
    label = "not a projection into documents",
    note = "name the type of the documents, `#[projection(documents = …)]`, or keep the view in memory: `manager.in_memory::<{Self}>()`"
)]
pub trait InDocuments: Projection {
    /// The type of the documents.
    type Document: Document;

    /// Takes an event that the selection gives.
    ///
    /// # Errors
    /// [`ProjectionError`].
    #[doc(hidden)]
    fn take(
        &self,
        event: &StoredEvent,
        is_new: bool,
        documents: &mut Documents<'_, Self::Document>,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// A projection without fields, which anybody can make; `#[derive(Projection)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has fields, so it must be given",
    label = "which value is to project is not said",
    note = "write `manager.documents_by({Self} {{ … }}, storage)`, or `tables_by` for tables"
)]
pub trait WithoutFields: Sized {
    #[doc(hidden)]
    fn new() -> Self;
}

/// A view of documents that this program keeps current, or that it takes over when the program that does so ends.
///
/// [`ProjectionManager::documents`](super::ProjectionManager::documents) gives it. What is asked of every view, such as
/// [`wait_for`](RunningView::wait_for) and [`status`](RunningView::status), is asked of the [`RunningView`] that it is.
/// Who only asks takes a [`DocumentReader`], with nothing but the storage.
pub struct DocumentsView<D> {
    running: RunningView,
    reader: DocumentReader<D>,
}

impl<D> Clone for DocumentsView<D> {
    fn clone(&self) -> Self {
        Self {
            running: self.running.clone(),
            reader: self.reader.clone(),
        }
    }
}

impl<D> std::ops::Deref for DocumentsView<D> {
    type Target = RunningView;

    fn deref(&self) -> &RunningView {
        &self.running
    }
}

impl<D> std::fmt::Debug for DocumentsView<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DocumentsView").field(&self.running).finish()
    }
}

impl<D: Document> DocumentsView<D> {
    pub(super) fn new(running: RunningView, reader: DocumentReader<D>) -> Self {
        Self { running, reader }
    }

    /// What asks the view, for whoever is not to control it.
    pub fn reader(&self) -> &DocumentReader<D> {
        &self.reader
    }

    /// The document with a key; none when it is not there.
    ///
    /// # Errors
    /// As [`DocumentReader::get`].
    pub async fn get(
        &self,
        key: &(impl DocumentKey + ?Sized),
    ) -> Result<UpTo<Option<D>>, DocumentError> {
        self.reader.get(key).await
    }

    /// The documents with a value in a field that has `#[index]`, in the order of their keys.
    ///
    /// # Errors
    /// As [`DocumentReader::find`].
    pub async fn find(
        &self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<UpTo<Found<D>>, DocumentError> {
        self.reader.find(field, value, page).await
    }

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// As [`DocumentReader::list`].
    pub async fn list(&self, page: &Page) -> Result<UpTo<Found<D>>, DocumentError> {
        self.reader.list(page).await
    }
}
