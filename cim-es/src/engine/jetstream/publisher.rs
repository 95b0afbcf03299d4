//! Publishing events that were decided elsewhere: stored with the version that their aggregate must have, then known to
//! all who listen on their public subjects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use tokio::time::timeout;

use super::Connection;
use super::api::headers_of;
use crate::block::StoredEvent;
use crate::block::payload::PayloadError;
use crate::domain::aggregate::Aggregate;
use crate::domain::aggregate::IdTextError;
use crate::domain::event::AggregateEvent;
use crate::domain::message::{Clock, MessageIdentity, SystemClock};
use crate::store::{
    AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent, StoreError,
};

/// Publishes events that were decided elsewhere, such as those of an import.
///
/// It asks no machine whether an event fits the state of its aggregate: a [`Repository`](crate::Repository) does, and is
/// what commands go through. An event that has no edge in its state is stored, and the aggregate does not load.
///
/// With a store on JetStream the server publishes what it has stored. With any other store this publisher does, once
/// the event is stored: such a message is at most once, as all of core NATS is, and the store has the event in any case.
///
/// ```no_run
/// # use cim_es::{event::AggregateEvent, prelude::*};
/// # use cim_es::jetstream::{EventPublisher, JetStreamEventStore, NatsConfig, EventStoreConfig, JetStreamOptions};
/// # use std::sync::Arc;
/// # async fn example<A: Aggregate<Event = E>, E: AggregateEvent>(registered: E, updated: E, id: A::Id)
/// # -> Result<(), Box<dyn std::error::Error>> where E: AggregateEvent<Aggregate = A> {
/// let connection = NatsConfig::default().connect().await?;
/// let options = JetStreamOptions::new(EventStoreConfig::default());
/// let store = JetStreamEventStore::open(connection.clone(), options).await?;
/// let publisher = EventPublisher::new(connection, Arc::new(store)).with_actor("import");
/// publisher.publish(registered, id.clone(), 1).await?;
/// publisher.publish(updated, id, 2).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventPublisher {
    connection: Connection,
    store: Arc<dyn EventStore>,
    actor: Arc<str>,
    clock: Arc<dyn Clock>,
}

/// How long telling listeners may take.
const TELLING: Duration = Duration::from_secs(2);

/// One event of a batch: which aggregate it is of, and the version of that aggregate after it.
#[derive(Clone, Debug)]
pub struct Publication {
    aggregate: AggregateKey,
    sequence: u64,
    event: NewEvent,
}

/// Why events were not published.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Versions are counted from 1.
    #[error("{aggregate} has no version 0 after an event: the first event gives version 1")]
    SequenceZero {
        /// The aggregate.
        aggregate: AggregateKey,
    },
    /// The events of one aggregate in a batch do not follow each other.
    #[error(
        "in the batch an event of {aggregate} with version {found} follows one with version {before}: give them in order, without a gap"
    )]
    OutOfOrder {
        /// The aggregate.
        aggregate: AggregateKey,
        /// The version of the event before.
        before: u64,
        /// The version of the event that does not follow it.
        found: u64,
    },
    /// The batch has no event.
    #[error("the batch is empty: there is nothing to publish")]
    Empty,
    /// An event cannot be stored.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// An id is empty or too long.
    #[error(transparent)]
    Id(#[from] IdTextError),
    /// The store refused or failed; a [`StoreError::Conflict`] says which version the aggregate has.
    #[error(transparent)]
    Store(StoreError),
}

impl Publication {
    /// An event with the aggregate's id, and the version of the aggregate after it, from 1.
    ///
    /// # Errors
    /// [`PublishError`] for an event that cannot be stored, an id that is empty or too long, and version 0.
    pub fn new<E: AggregateEvent>(
        event: &E,
        aggregate_id: &<E::Aggregate as Aggregate>::Id,
        sequence: u64,
    ) -> Result<Self, PublishError> {
        let aggregate = AggregateKey::of::<E::Aggregate>(aggregate_id)?;
        if sequence == 0 {
            return Err(PublishError::SequenceZero { aggregate });
        }
        Ok(Self {
            aggregate,
            sequence,
            event: NewEvent::of(event)?,
        })
    }

    /// The same event with what caused it: the CIDs of events, which stand as its parents. In a batch each has its own.
    pub fn with_parents(mut self, parents: impl IntoIterator<Item = Cid>) -> Self {
        self.event = self.event.with_parents(parents);
        self
    }
}

impl EventPublisher {
    /// A publisher that stores in a store. Its name as the source of events is that of the program, unless
    /// [`with_actor`](Self::with_actor) gives another.
    pub fn new(client: impl Into<Connection>, store: Arc<dyn EventStore>) -> Self {
        Self {
            connection: client.into(),
            store,
            actor: program().into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The same publisher under another name: what stands as the source in every envelope, and in the log.
    pub fn with_actor(self, actor: impl AsRef<str>) -> Self {
        Self {
            actor: Arc::from(actor.as_ref()),
            ..self
        }
    }

    /// The same publisher with another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Publishes one event as a message of its own from this publisher. `sequence` is the version of the aggregate after
    /// it, from 1: the event is stored if the aggregate has exactly the version before.
    ///
    /// # Errors
    /// [`PublishError`] says why it was not stored; only [`StoreError::OutcomeUnknown`] leaves that open.
    pub async fn publish<E: AggregateEvent>(
        &self,
        event: E,
        aggregate_id: <E::Aggregate as Aggregate>::Id,
        sequence: u64,
    ) -> Result<StoredEvent, PublishError> {
        let identity = MessageIdentity::new_from_user(&self.actor);
        self.publish_as(event, aggregate_id, sequence, &identity)
            .await
    }

    /// The same under the identity of a message, such as one caused by another. It takes effect once: with the same
    /// message id it gives the earlier event again.
    ///
    /// # Errors
    /// [`PublishError`] says why it was not stored; only [`StoreError::OutcomeUnknown`] leaves that open.
    pub async fn publish_as<E: AggregateEvent>(
        &self,
        event: E,
        aggregate_id: <E::Aggregate as Aggregate>::Id,
        sequence: u64,
        identity: &MessageIdentity,
    ) -> Result<StoredEvent, PublishError> {
        let publication = Publication::new(&event, &aggregate_id, sequence)?;
        let mut stored = self.publish_batch_as([publication], identity).await?;
        // A batch gives as many events as it has.
        stored.pop().ok_or(PublishError::Empty)
    }

    /// Publishes several events of one or several aggregates as one commit: all of them are stored in the order of the
    /// batch, or none.
    ///
    /// A commit is of one message, so all have its id as `causation_id`; the events that caused each are its
    /// [parents](Publication::with_parents).
    ///
    /// # Errors
    /// [`PublishError`] says why nothing was stored; only [`StoreError::OutcomeUnknown`] leaves that open.
    pub async fn publish_batch(
        &self,
        batch: impl IntoIterator<Item = Publication>,
    ) -> Result<Vec<StoredEvent>, PublishError> {
        let identity = MessageIdentity::new_from_user(&self.actor);
        self.publish_batch_as(batch, &identity).await
    }

    /// The same under the identity of a message.
    ///
    /// # Errors
    /// [`PublishError`] says why nothing was stored; only [`StoreError::OutcomeUnknown`] leaves that open.
    pub async fn publish_batch_as(
        &self,
        batch: impl IntoIterator<Item = Publication>,
        identity: &MessageIdentity,
    ) -> Result<Vec<StoredEvent>, PublishError> {
        let request = CommitRequest::new(identity.clone(), self.clock.now());
        let request = in_order(request, batch)?;
        let tells = !self.store.settings().publishes;
        let before = match request.aggregates.first().filter(|_| tells) {
            Some(part) => self.store.last(&part.aggregate).await,
            None => Ok(None),
        };
        let before = before.map_err(PublishError::Store)?;
        let stored = self.store.append(request).await;
        let stored = stored.map_err(PublishError::Store)?;
        let is_new = |first: &StoredEvent| {
            before
                .as_ref()
                .is_none_or(|before| before.position < first.position)
        };
        for event in &stored {
            tracing::info!(
                publisher = identity.actor(),
                subject = event.event_type(),
                aggregate = event.envelope.aggregate_id,
                sequence = event.envelope.sequence,
                cid = %event.cid,
                "published"
            );
        }
        // What was published before was told to those who listened then.
        if tells && stored.first().is_some_and(is_new) {
            self.tell(&stored).await;
        }
        Ok(stored)
    }

    /// Sends stored events to those who listen now. While no server can be reached nobody does, and nothing waits for it.
    async fn tell(&self, events: &[StoredEvent]) {
        if timeout(TELLING, self.send(events)).await.is_err() {
            let count = events.len();
            tracing::warn!(
                count,
                "no server answers: listeners may not have been told of events"
            );
        }
    }

    async fn send(&self, events: &[StoredEvent]) {
        let client = self.connection.client();
        for event in events {
            let headers = headers_of(&event.cid, &event.envelope);
            let subject = event.event_type().to_owned();
            let body = event.body().clone();
            let sent = client.publish_with_headers(subject, headers, body).await;
            if let Err(error) = sent {
                // It is stored, so this is no failure of the publication.
                tracing::warn!(cid = %event.cid, %error, "listeners were not told of an event");
            }
        }
        if let Err(error) = client.flush().await {
            tracing::warn!(%error, "listeners may not have been told of events");
        }
    }
}

/// A commit with the events of a batch in their order, each aggregate with the version that it must have.
fn in_order(
    mut request: CommitRequest,
    batch: impl IntoIterator<Item = Publication>,
) -> Result<CommitRequest, PublishError> {
    for publication in batch {
        let Publication {
            aggregate,
            sequence,
            event,
        } = publication;
        let mut parts = request.aggregates.iter();
        if let Some(part) = parts.find(|part| part.aggregate == aggregate) {
            let before = before(part.expected) + part.events.len() as u64;
            if before.checked_add(1) != Some(sequence) {
                return Err(PublishError::OutOfOrder {
                    aggregate,
                    before,
                    found: sequence,
                });
            }
        }
        let expected = match sequence {
            1 => ExpectedVersion::NoStream,
            after => ExpectedVersion::Exactly(after - 1),
        };
        request = request.event(aggregate, expected, event);
    }
    match request.aggregates.is_empty() {
        true => Err(PublishError::Empty),
        false => Ok(request),
    }
}

/// The version that an aggregate of a batch has before its first event.
fn before(expected: ExpectedVersion) -> u64 {
    match expected {
        ExpectedVersion::Exactly(version) => version,
        _ => 0,
    }
}

fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "publisher".to_owned())
}

impl fmt::Debug for EventPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventPublisher")
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}
