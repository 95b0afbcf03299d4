//! The port itself.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, UpTo, ViewChanges, ViewDeclaration,
    ViewId, ViewRecord,
};
use crate::store::Location;

/// Where read models are kept: views of documents, each with the position up to which it is true.
///
/// These are the methods that a storage writes; [`ReadModelStorageExt`](super::ReadModelStorageExt) has
/// what is made of them. A storage of your own proves itself by the contract in `cim_es::testing`.
///
/// ```
/// use std::time::Duration;
///
/// use cim_es::MemoryReadModels;
/// use cim_es::prelude::*;
/// use cim_es::store::Bookmark;
/// use cim_es::store::read_model::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = MemoryReadModels::new();
/// let cards = ViewDeclaration::new(ViewId::new("cards", 1)?, 0x5eed);
/// let (record, me) = (storage.open_view(&cards).await?, Uuid::now_v7());
/// storage.hold(&cards.view, me, Duration::from_secs(10)).await?;
///
/// let card = DocumentChange::put("dune", "…").indexed("reader", "ann");
/// let up_to = Bookmark::from(cim_es::store::Position(7));
/// let changes = ViewChanges::new(me, record.up_to, up_to).with_documents(vec![card]);
/// storage.commit(&cards.view, changes).await?;
///
/// let by_ann = IndexEntry::new("reader", "ann");
/// let found = storage.find(&cards.view, &by_ann, &Page::default()).await?;
/// assert_eq!(found.position.0, 7);
/// assert_eq!(found.value.documents[0].key, "dune");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ReadModelStorage: Send + Sync + 'static {
    /// Where it keeps what it keeps, for errors.
    fn location(&self) -> Location;

    /// Makes a view, or gives what is known of the one that is there.
    ///
    /// # Errors
    /// [`ReadModelError::DeclarationChanged`] for one that was made with another fingerprint; the
    /// storage's failures.
    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError>;

    /// All versions of a view, by rising version; none for a name that nobody has opened.
    ///
    /// # Errors
    /// The storage's failures.
    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError>;

    /// Asks to be the one who may commit to a view, for a time from now, or prolongs that. A hold is
    /// another's to take once its time is over, and that of its holder as long as nobody has taken it.
    ///
    /// # Errors
    /// [`ReadModelError::NoSuchView`]; the storage's failures.
    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError>;

    /// Gives a view free, so that another need not wait for the end of the lease. Of a view that another
    /// holds, or that is not there, it changes nothing.
    ///
    /// # Errors
    /// The storage's failures.
    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError>;

    /// Writes documents, their index entries, and the position, all of it or nothing. Whoever asks sees
    /// the view as it was before, or as it is after.
    ///
    /// # Errors
    /// [`ReadModelError::NotHeld`] from everybody but the last who was given the view and has not released
    /// it; [`ReadModelError::Moved`] where [`ViewChanges::after`] is not the last event that is counted;
    /// [`ReadModelError::InvalidChanges`] and [`ReadModelError::DocumentTooLarge`] for what cannot be
    /// stored; [`ReadModelError::NoSuchView`]; the storage's failures. Only
    /// [`ReadModelError::OutcomeUnknown`] leaves open whether it was stored.
    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError>;

    /// The documents with some keys at one moment, in the order of the keys; none in the place of one that
    /// is not there.
    ///
    /// # Errors
    /// [`ReadModelError::NoSuchView`]; the storage's failures.
    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError>;

    /// The documents that have an index entry, in the order of their keys.
    ///
    /// # Errors
    /// [`ReadModelError::NoSuchView`]; the storage's failures.
    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError>;

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// [`ReadModelError::NoSuchView`]; the storage's failures.
    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError>;

    /// Lets those who ask by name be answered from this version from now on, in one step, and no longer
    /// from another.
    ///
    /// # Errors
    /// [`ReadModelError::NoSuchView`]; the storage's failures.
    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError>;

    /// Removes a view with its documents, whoever holds it; nothing where it is not there. Opened again,
    /// it is empty.
    ///
    /// # Errors
    /// The storage's failures.
    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError>;
}
