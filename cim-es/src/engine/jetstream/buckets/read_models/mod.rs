//! Read models in a key-value bucket.
//!
//! ```text
//! view.<name>.<version>                       what is known of a view; how far it has come
//! serving.<name>                              the version that answers those who ask by name
//! doc.<build>.<key>                           a document: its last value, and the one before
//! index.<build>.<field>.<value>.<key>         a document may have this entry
//! ```
//!
//! Nothing in a bucket spans keys, so a commit is made of steps, of which the last one makes it count:
//! 1. The record of the view gets an **attempt**: a number that no other attempt has. The write is guarded by the record's
//!    revision, so that of two attempts one sees the other.
//! 2. Each document is written with its value of this attempt (`now`) and its last committed one (`before`), guarded by the
//!    document's revision; new index entries stand before the documents.
//! 3. The record gets the position and says that the attempt is committed, guarded again.
//!
//! Who reads takes the record first, and of each document the value of the last attempt that was committed in it. So
//! nobody sees a part of a commit; what an attempt left that came to nothing is passed over, and written over by the next
//! one. An index entry only says where to look: whether the document has it is seen in the document.
//!
//! What is not needed any more costs room alone: a deleted document stays as an empty one, and index entries of former
//! values go some hundred at a time.

mod commit;
mod document;
mod read;
mod record;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use uuid::Uuid;

use self::commit::Dropped;
use super::bucket::Bucket;
use super::create::Making;
use super::purpose::Purpose;
use crate::domain::message::Timestamp;
use crate::engine::jetstream::api::ApiFailure;
use crate::engine::jetstream::connect::Connection;
use crate::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, UpTo, ViewChanges,
    ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Location, StoreError};

/// What a message has beside the values of a document: headers, keys, and room to spare.
const MESSAGE_HEAD: usize = 4_096;

/// Keeps read models in a key-value bucket.
///
/// A document may have nearly half of what the servers take in a message, because its last value and the one before
/// stand in one: about 500 kB with the usual limit of a megabyte. A larger one is
/// [`ReadModelError::DocumentTooLarge`]. A list reads the names of all keys of its view, so views of many thousand
/// documents that are listed belong into SQLite or PostgreSQL.
///
/// A clone is another handle to the same bucket.
#[derive(Clone)]
pub struct JetStreamReadModels {
    bucket: Bucket,
    /// Commits of this handle wait for each other here, and not for each other's attempts.
    turn: Arc<Mutex<Dropped>>,
}

impl JetStreamReadModels {
    /// Opens a bucket, and creates it with a number of replicas when it is missing. A position means something in one
    /// stream alone, so that the views of each stream have a bucket of their own.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when it is missing and this user may not create it, [`StoreError::Incompatible`] for a
    /// bucket that loses what it keeps, and the engine's failures.
    pub async fn open(
        connection: impl Into<Connection>,
        bucket: &str,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        let making = Making::with_replicas(replicas);
        let bucket = Bucket::open(connection.into(), bucket, Purpose::ReadModels, making).await?;
        Ok(Self {
            bucket,
            turn: Arc::default(),
        })
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.bucket.name())
    }

    /// The largest value that a document may have.
    fn largest(&self) -> usize {
        self.bucket.max_message().saturating_sub(MESSAGE_HEAD) / 2
    }
}

impl std::fmt::Debug for JetStreamReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamReadModels")
            .field("bucket", &self.bucket.name())
            .finish_non_exhaustive()
    }
}

/// Names a failure for what it is: servers that do not answer at the moment are busy, and may answer later.
fn named(error: ReadModelError) -> ReadModelError {
    let ReadModelError::Storage(StoreError::Engine {
        location,
        operation,
        source,
    }) = &error
    else {
        return error;
    };
    match source.downcast_ref::<ApiFailure>() {
        Some(failure) if failure.is_transient() => StoreError::Busy {
            location: location.clone(),
            reason: format!("{operation}: {failure}"),
        }
        .into(),
        _ => error,
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[async_trait]
impl ReadModelStorage for JetStreamReadModels {
    fn location(&self) -> Location {
        self.bucket.location()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        self.open_or_make(declaration).await.map_err(named)
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        self.named(name).await.map_err(named)
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        self.hold_view(view, holder, lease).await.map_err(named)
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        self.release_view(view, holder).await.map_err(named)
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        self.store(view, changes).await.map_err(named)
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        self.read_documents(view, keys).await.map_err(named)
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.find_documents(view, entry, page).await.map_err(named)
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.list_documents(view, page).await.map_err(named)
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.serve_view(view).await.map_err(named)
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.remove(view).await.map_err(named)
    }
}
