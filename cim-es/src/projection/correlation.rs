//! Conversations: which events follow from one message, in order.
//!
//! Every message belongs to a conversation, named by its correlation id: the first message has its own, and each that is
//! caused by it carries it on. [`Correlations`] is a projection that is ready made: its view lists the events of each.
//!
//! ```
//! # use cim_es::prelude::*;
//! # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
//! # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
//! # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! # enum LampEvent { Switched { on: bool } }
//! # #[derive(Command, Clone, Debug)]
//! # enum LampCommand { Switch }
//! # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! # #[aggregate(domain = "home", name = "lamp")]
//! # struct Lamp { state: LampState, on: bool }
//! # impl Decide for Lamp {
//! #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
//! #         emit(LampEvent::Switched { on: !self.on })
//! #     }
//! # }
//! use std::time::Duration;
//!
//! use cim_es::MemoryReadModels;
//! use cim_es::projection::ProjectionManager;
//! use cim_es::projection::correlation::{Conversations, Correlations};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryEventStore::new();
//! # let lamps = Repository::<Lamp>::new(store.clone());
//! # let (hall, stairs) = (Id::new(), Id::new());
//! // On SQLite, `projections.inline::<Correlations>(&store)` keeps it level with every commit.
//! let projections = ProjectionManager::new(store.clone());
//! let documents = MemoryReadModels::new();
//! let view = projections.documents::<Correlations>(documents.clone()).await?;
//!
//! let request = MessageIdentity::new_from_user("Ann");
//! let first = lamps.execute(&hall, LampCommand::Switch, &request).await?;
//! let second = MessageIdentity::caused_by(&first.events()[0]);
//! let second = lamps.execute(&stairs, LampCommand::Switch, &second).await?;
//! view.wait_for(second.position(), Duration::from_secs(5)).await?;
//!
//! let conversations = Conversations::new(store, documents);
//! let events = conversations.find_by_correlation(request.correlation_id()).await?;
//! assert_eq!(events.value.len(), 2);
//! assert_eq!(events.value[1].cid, second.events()[0].cid);
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InDocuments, Projection, ProjectionError, WithoutFields};
use crate::block::{Cid, StoredEvent};
use crate::document::{Document, DocumentError, DocumentReader, Documents};
use crate::domain::aggregate::IdText;
use crate::store::read_model::{Page, ReadModelStorage, UpTo};
use crate::store::{AggregateKey, EventStore, Position, Selection, StoreError, Versions};

/// How many documents are read at once.
const PAGE: usize = 100;

/// The projection of all events to the conversations that they belong to. Its view is named `correlations`.
///
/// It is kept as any projection into documents: by
/// [`ProjectionManager::documents`](super::ProjectionManager::documents) in any storage, or, so that it is never behind,
/// by `ProjectionManager::inline` in the file of an SQLite store. [`Conversations`] asks it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Correlations;

/// An event of a conversation: what it is and where it stands.
#[derive(Document, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelatedEvent {
    /// The event CID.
    pub cid: Cid,
    /// Its place in the store's order of all events.
    pub position: Position,
    /// Its type, which is its public subject.
    pub event_type: String,
    /// The kind of its aggregate.
    pub aggregate: String,
    /// The id of its aggregate.
    pub aggregate_id: String,
    /// The version of its aggregate after it.
    pub version: u64,
    /// The message that it comes from.
    pub causation_id: Uuid,
}

impl Projection for Correlations {
    const NAME: &'static str = "correlations";
    const VERSION: u32 = 1;
    const FINGERPRINT: u64 = CorrelatedEvent::FINGERPRINT;

    fn selection() -> Selection {
        Selection::everything()
    }
}

impl WithoutFields for Correlations {
    fn new() -> Self {
        Self
    }
}

impl InDocuments for Correlations {
    type Document = CorrelatedEvent;

    async fn take(
        &self,
        event: &StoredEvent,
        _: bool,
        documents: &mut Documents<'_, CorrelatedEvent>,
    ) -> Result<(), ProjectionError> {
        let envelope = &event.envelope;
        let document = CorrelatedEvent {
            cid: event.cid,
            position: event.position,
            event_type: envelope.event_type.clone(),
            aggregate: envelope.aggregate.clone(),
            aggregate_id: envelope.aggregate_id.clone(),
            version: envelope.sequence,
            causation_id: envelope.causation_id,
        };
        documents.put(&key(envelope.correlation_id, event.position), document)?;
        Ok(())
    }
}

/// A document for each event, so that a long conversation is not written anew with each; in the order of the events.
fn key(correlation_id: Uuid, position: Position) -> String {
    format!("{correlation_id}/{:020}", position.0)
}

/// Asks which events belong to a conversation.
///
/// It needs the store and the storage in which [`Correlations`] is kept, by this program or another. A clone is another
/// handle to the same.
#[derive(Clone)]
pub struct Conversations {
    store: Arc<dyn EventStore>,
    reader: DocumentReader<CorrelatedEvent>,
}

/// Why the events of a conversation cannot be given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The view cannot be asked: see [`DocumentError::NotServing`] where nobody keeps it.
    #[error("the view of conversations cannot be asked")]
    View(#[from] DocumentError),
    /// An event could not be read.
    #[error("an event of the conversation cannot be read")]
    Store(#[from] StoreError),
    /// The store does not have an event that the view lists.
    #[error(
        "the view of conversations lists {event_type} at position {position} ({cid}), and the store does not have it: it is of another history, so build view `correlations` again"
    )]
    NoSuchEvent {
        /// Its CID.
        cid: Cid,
        /// Where it stood.
        position: Position,
        /// Its type.
        event_type: String,
    },
}

impl Conversations {
    /// Asks about the events of a store, whose conversations are kept in a storage.
    pub fn new(store: impl EventStore, storage: impl ReadModelStorage) -> Self {
        Self {
            store: Arc::new(store),
            reader: DocumentReader::new(storage, Correlations::NAME),
        }
    }

    /// The same where the conversations are kept in the file of the events.
    #[cfg(feature = "sqlite")]
    pub fn inline(store: &crate::engine::sqlite::SqliteEventStore) -> Self {
        Self::new(store.clone(), store.read_models())
    }

    /// The events of a conversation, in the store's order, as they are stored; none for one that is not known.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn find_by_correlation(
        &self,
        correlation_id: Uuid,
    ) -> Result<UpTo<Vec<StoredEvent>>, ConversationError> {
        let listed = self.list(correlation_id).await?;
        let mut events = Vec::with_capacity(listed.value.len());
        for event in listed.value {
            events.push(self.event(event).await?);
        }
        Ok(UpTo {
            value: events,
            position: listed.position,
        })
    }

    /// What the view knows of the events of a conversation, in the store's order, without reading them.
    ///
    /// # Errors
    /// As [`DocumentReader::list`].
    pub async fn list(
        &self,
        correlation_id: Uuid,
    ) -> Result<UpTo<Vec<CorrelatedEvent>>, DocumentError> {
        self.list_behind(correlation_id, Position::START, usize::MAX)
            .await
    }

    /// The same for a part of a conversation that may be long: no more than `most` events behind a position.
    ///
    /// # Errors
    /// As [`DocumentReader::list`].
    pub async fn list_behind(
        &self,
        correlation_id: Uuid,
        behind: Position,
        most: usize,
    ) -> Result<UpTo<Vec<CorrelatedEvent>>, DocumentError> {
        let of_it = format!("{correlation_id}/");
        let mut after = key(correlation_id, behind);
        let mut events = Vec::new();
        loop {
            let page = Page::first(most.saturating_sub(events.len()).min(PAGE)).after(&after);
            let found = self.reader.list(&page).await?;
            let position = found.position;
            let count = found.value.documents.len();
            for keyed in found.value.documents {
                if keyed.key.starts_with(&of_it) && events.len() < most {
                    events.push(keyed.document);
                    after = keyed.key;
                } else {
                    return Ok(UpTo {
                        value: events,
                        position,
                    });
                }
            }
            if found.value.next.is_none() || count == 0 || events.len() >= most {
                return Ok(UpTo {
                    value: events,
                    position,
                });
            }
        }
    }

    /// An event that is listed.
    async fn event(&self, listed: CorrelatedEvent) -> Result<StoredEvent, ConversationError> {
        let found = match self.store.settings().has_cid_index {
            true => self.store.find(&listed.cid).await?,
            false => self.in_history(&listed).await?,
        };
        let found = found.filter(|event| event.cid == listed.cid);
        found.ok_or(ConversationError::NoSuchEvent {
            cid: listed.cid,
            position: listed.position,
            event_type: listed.event_type,
        })
    }

    async fn in_history(
        &self,
        listed: &CorrelatedEvent,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let Ok(id) = IdText::new(&listed.aggregate_id) else {
            return Ok(None);
        };
        let aggregate = AggregateKey::new(listed.aggregate.clone(), id);
        let versions = Versions::from(listed.version..=listed.version);
        let mut history = self.store.history(&aggregate, versions);
        history.next().await.transpose()
    }
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Conversations").field(&self.reader).finish()
    }
}
