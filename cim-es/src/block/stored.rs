//! An event as a store keeps it.

use ::cid::Cid;
use bytes::Bytes;

use super::Envelope;
use crate::event::{DomainEvent, PayloadError, decode_payload};
use crate::message::Timestamp;
use crate::store::{Head, Position};

/// An event as a store keeps it: the original bytes, the CID they hash to, and where they stand.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The place in the store's order of all events.
    pub position: Position,
    /// The event CID.
    pub cid: Cid,
    /// The envelope, decoded.
    pub envelope: Envelope,
    pub(crate) body: Bytes,
    pub(crate) payload_at: usize,
}

impl StoredEvent {
    /// The event's type, its public subject.
    pub fn event_type(&self) -> &str {
        &self.envelope.event_type
    }

    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        self.envelope.timestamp
    }

    /// What an append that follows this event has to know of it.
    pub fn head(&self) -> Head {
        Head {
            version: self.envelope.sequence,
            cid: self.cid,
            position: self.position,
            timestamp: self.envelope.timestamp,
        }
    }

    /// The body as stored: the dag-cbor array `[envelope, payload]`.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The envelope block as stored; it hashes to the event CID.
    pub fn envelope_bytes(&self) -> &[u8] {
        &self.body[1..self.payload_at]
    }

    /// The payload block as stored; it hashes to the payload CID.
    pub fn payload(&self) -> &[u8] {
        &self.body[self.payload_at..]
    }

    /// The typed event, brought up to the present schema.
    ///
    /// # Errors
    /// [`PayloadError`] when this program does not know the event, or its payload does not decode.
    pub fn decode<E: DomainEvent>(&self) -> Result<E, PayloadError> {
        decode_payload(self.event_type(), self.envelope.schema, self.payload())
    }
}
