//! An event named by its own content.

use std::fmt;

use ::cid::Cid;
use serde::{Deserialize, Serialize};

use super::{HashCode, verify_cid};
use crate::block::payload::{PayloadError, encode_payload};
use crate::domain::event::DomainEvent;

/// The CID of an event's payload: the same event has the same CID, wherever and whenever it happened. What stands in a
/// history is named by the event CID instead, which covers its place in the history too.
///
/// # Errors
/// [`PayloadError::NotStorable`] for an event that cannot be stored.
pub fn generate_cid<E: DomainEvent>(event: &E) -> Result<Cid, PayloadError> {
    Ok(HashCode::default().cid(&encode_payload(event)?))
}

/// An event together with the CID of its payload.
///
/// ```
/// use cim_es::block::ContentAddressedEvent;
/// use cim_es::event::{DomainEvent, PayloadError};
///
/// fn name<E: DomainEvent>(event: E) -> Result<String, PayloadError> {
///     let named = ContentAddressedEvent::new(event)?;
///     assert!(named.verify()?);
///     Ok(named.cid().to_string())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentAddressedEvent<E> {
    cid: Cid,
    event: E,
}

impl<E: DomainEvent> ContentAddressedEvent<E> {
    /// Names an event by SHA2-256.
    ///
    /// # Errors
    /// [`PayloadError::NotStorable`] for an event that cannot be stored.
    pub fn new(event: E) -> Result<Self, PayloadError> {
        Self::new_with(HashCode::default(), event)
    }

    /// Names an event by a hash of your choice.
    ///
    /// # Errors
    /// [`PayloadError::NotStorable`] for an event that cannot be stored.
    pub fn new_with(hash: HashCode, event: E) -> Result<Self, PayloadError> {
        let cid = hash.cid(&encode_payload(&event)?);
        Ok(Self { cid, event })
    }

    /// An event and a CID that came from elsewhere; [`verify`](Self::verify) tells whether they fit.
    pub fn from_parts(cid: Cid, event: E) -> Self {
        Self { cid, event }
    }

    /// Whether the event has this CID.
    ///
    /// # Errors
    /// [`PayloadError::NotStorable`] for an event that cannot be stored, and so has no CID.
    pub fn verify(&self) -> Result<bool, PayloadError> {
        let is_ours = super::accept_cid(self.cid).is_ok();
        Ok(is_ours && verify_cid(&self.cid, &encode_payload(&self.event)?))
    }

    /// The CID.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The event.
    pub fn event(&self) -> &E {
        &self.event
    }

    /// The event, by value.
    pub fn into_event(self) -> E {
        self.event
    }
}

impl<E> fmt::Display for ContentAddressedEvent<E> {
    /// The CID as text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cid.fmt(f)
    }
}
