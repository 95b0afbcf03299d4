//! What is kept of one durable subscription: a view whose position is how far it came, with a document for each parked
//! event and one for who is at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use uuid::Uuid;

use super::names;
use crate::store::read_model::{
    DocumentChange, Hold, Page, ReadModelError, ReadModelStorage, ReadModelStorageExt,
    StoredDocument, ViewChanges, ViewDeclaration, ViewId,
};
use crate::store::subscription::ParkedEvent;
use crate::store::{Bookmark, Damage, Position};

/// Stands for what the documents look like.
const FINGERPRINT: u64 = 1;
/// The key of the document about who is at work.
const STATE: &str = "state";
/// How the keys of parked events begin.
const PARKED: &str = "parked.";
/// How many documents are read at once.
const PAGE: usize = 500;

/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(2);

/// Who is at work on a subscription, and on which event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Who works; none after a stop in order.
    pub(super) owner: Option<Uuid>,
    /// The event that a program was about to hand over when it was last known to be careful.
    pub(super) trying: Option<Position>,
    /// How many times in a row a program went away in the middle of it.
    pub(super) abandoned: u32,
}

/// A parked event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) event: ParkedEvent,
    /// The last request that was done.
    pub(super) answered: Option<Uuid>,
}

/// What is known of a subscription.
pub(super) struct Known {
    pub(super) up_to: Bookmark,
    /// None for one that was never defined.
    pub(super) state: Option<State>,
    pub(super) parked: Vec<Entry>,
}

/// Reads and writes what is kept.
pub(super) struct Record {
    pub(super) storage: Arc<dyn ReadModelStorage>,
    pub(super) view: ViewId,
    pub(super) me: Uuid,
}

impl Record {
    /// The record of the durable subscription of a name, made where it is missing.
    pub(super) async fn open(
        storage: Arc<dyn ReadModelStorage>,
        name: &str,
    ) -> Result<Self, ReadModelError> {
        Self::open_as(storage, names::DURABLE, name).await
    }

    /// Another view of a subscription, made where it is missing.
    pub(super) async fn open_as(
        storage: Arc<dyn ReadModelStorage>,
        kind: &str,
        name: &str,
    ) -> Result<Self, ReadModelError> {
        let view = names::view(kind, name)?;
        let declaration = ViewDeclaration::new(view.clone(), FINGERPRINT);
        storage.open_view(&declaration).await?;
        let me = Uuid::now_v7();
        Ok(Self { storage, view, me })
    }

    /// Asks to be the one who writes.
    pub(super) async fn hold(&self, lease: Duration) -> Result<Hold, ReadModelError> {
        self.storage.hold(&self.view, self.me, lease).await
    }

    /// Leaves it to others.
    pub(super) async fn release(&self) {
        let released = timeout(LEAVING, self.storage.release(&self.view, self.me)).await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::debug!(view = %self.view, "a subscription could not be left to others before its lease ends");
        }
    }

    /// What is known, as who holds it reads it.
    pub(super) async fn load(&self) -> Result<Known, ReadModelError> {
        let documents = documents(&*self.storage, &self.view).await?;
        let mut known = Known {
            up_to: self.up_to().await?,
            state: None,
            parked: Vec::new(),
        };
        for document in documents {
            if document.key == STATE {
                known.state = Some(decoded(&*self.storage, &document)?);
            } else {
                known.parked.push(decoded(&*self.storage, &document)?);
            }
        }
        Ok(known)
    }

    /// How far it came.
    pub(super) async fn up_to(&self) -> Result<Bookmark, ReadModelError> {
        let record = self.storage.view(&self.view).await?;
        record
            .map(|record| record.up_to)
            .ok_or_else(|| ReadModelError::NoSuchView {
                location: self.storage.location(),
                view: self.view.clone(),
            })
    }

    /// Writes down how far the subscription came, with what changed.
    pub(super) async fn commit(
        &self,
        after: Bookmark,
        up_to: Bookmark,
        documents: Vec<DocumentChange>,
    ) -> Result<(), ReadModelError> {
        let changes = ViewChanges::new(self.me, after, up_to).with_documents(documents);
        self.storage.commit(&self.view, changes).await
    }
}

/// Whether another was first with what was to be written.
pub(super) fn is_lost(error: &ReadModelError) -> bool {
    matches!(
        error,
        ReadModelError::NotHeld { .. } | ReadModelError::Moved { .. }
    )
}

/// The change that writes down who is at work.
pub(super) fn state(state: &State) -> DocumentChange {
    DocumentChange::put(STATE, encoded(state))
}

/// The change that parks an event.
pub(super) fn parked(entry: &Entry) -> DocumentChange {
    let event = &entry.event;
    let (position, event_type) = (event.position, &event.event_type);
    tracing::warn!(%position, event_type, reason = event.reason, "an event is parked");
    written(entry)
}

/// The change that writes down what is known of a parked event.
pub(super) fn written(entry: &Entry) -> DocumentChange {
    DocumentChange::put(parked_key(entry.event.position), encoded(entry))
}

/// The change after which an event is no longer parked.
pub(super) fn removed(position: Position) -> DocumentChange {
    DocumentChange::delete(parked_key(position))
}

/// The parked events of a view, in order; none where nobody opened it.
pub(super) async fn all_parked(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<BTreeMap<Position, Entry>, ReadModelError> {
    let documents = match documents(storage, view).await {
        Err(ReadModelError::NoSuchView { .. }) => Vec::new(),
        documents => documents?,
    };
    let parked = documents.iter().filter(|document| document.key != STATE);
    parked
        .map(|document| {
            let entry: Entry = decoded(storage, document)?;
            Ok((entry.event.position, entry))
        })
        .collect()
}

/// All documents of a view, in the order of their keys.
pub(super) async fn documents(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<Vec<StoredDocument>, ReadModelError> {
    let (mut documents, mut page) = (Vec::new(), Page::first(PAGE));
    loop {
        let read = storage.list(view, &page).await?.value;
        documents.extend(read.documents);
        let Some(next) = read.next else {
            return Ok(documents);
        };
        page = page.after(next);
    }
}

pub(super) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    // A record of plain fields always has a form.
    serde_ipld_dagcbor::to_vec(value).unwrap_or_default()
}

pub(super) fn decoded<T: DeserializeOwned>(
    storage: &dyn ReadModelStorage,
    document: &StoredDocument,
) -> Result<T, ReadModelError> {
    serde_ipld_dagcbor::from_slice(&document.value).map_err(|error| {
        let reason = format!(
            "the document `{}` of a subscription cannot be read ({error}); start the subscription over under another name",
            document.key
        );
        let damage = Damage::new(storage.location(), None, None, reason);
        ReadModelError::Storage(damage.into())
    })
}

/// Positions of one length, so that the keys have the order of the events.
fn parked_key(position: Position) -> String {
    format!("{PARKED}{:020}", position.0)
}
