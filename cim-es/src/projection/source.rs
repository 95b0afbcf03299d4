//! Where an event stands that a projection takes.

use std::fmt;

use cid::Cid;
use uuid::Uuid;

use super::ProjectionError;
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::domain::event::EventOrigin;
use crate::domain::message::Timestamp;
use crate::store::Position;

/// Where an event stands that a projection takes: whose it is, when it happened, who asked for it.
///
/// `O` is what it comes from: its aggregate, or [`Elsewhere`](crate::event::Elsewhere) for events whose aggregate is
/// declared in another program.
pub struct Source<'a, O: EventOrigin> {
    event: &'a StoredEvent,
    id: O::Id,
    is_new: bool,
}

impl<'a, O: EventOrigin> Source<'a, O> {
    /// # Errors
    /// When the id is not one of this kind of aggregate.
    pub(crate) fn new(event: &'a StoredEvent, is_new: bool) -> Result<Self, ProjectionError> {
        let text = IdText::new(&event.envelope.aggregate_id)?;
        Ok(Self {
            id: O::id_of(&text)?,
            event,
            is_new,
        })
    }

    /// The id of the aggregate.
    pub fn id(&self) -> O::Id {
        self.id.clone()
    }

    /// The id of the aggregate as it is stored.
    pub fn id_text(&self) -> &'a str {
        &self.event.envelope.aggregate_id
    }

    /// When the event happened.
    pub fn time(&self) -> Timestamp {
        self.event.timestamp()
    }

    /// Its place in the store's order of all events.
    pub fn position(&self) -> Position {
        self.event.position
    }

    /// The event CID.
    pub fn cid(&self) -> Cid {
        self.event.cid
    }

    /// The version of the aggregate after the event, from 1.
    pub fn version(&self) -> u64 {
        self.event.envelope.sequence
    }

    /// Who or what issued the command.
    pub fn actor(&self) -> Option<&'a str> {
        self.event.envelope.source.as_deref()
    }

    /// The id of the conversation that the event belongs to.
    pub fn correlation_id(&self) -> Uuid {
        self.event.envelope.correlation_id
    }

    /// Whether the event is counted for the first time. It is not where a view is built again over events that an
    /// earlier build or version had done with: what a projection does outside, such as sending a mail, is then not to be
    /// repeated.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The event as it is stored, with its whole envelope.
    pub fn stored(&self) -> &'a StoredEvent {
        self.event
    }
}

impl<O: EventOrigin> fmt::Debug for Source<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("id", &self.id)
            .field("version", &self.version())
            .field("position", &self.position())
            .field("is_new", &self.is_new)
            .finish_non_exhaustive()
    }
}
