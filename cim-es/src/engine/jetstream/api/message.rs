//! An event as a message: its headers when it goes out, its proof when it comes in.

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use cid::Cid;

use super::request::Api;
use crate::block::{Envelope, StoredEvent, parse_cid_text};
use crate::domain::aggregate::IdText;
use crate::store::{Damage, Position, SealedEvent, StoreError, StoredSubjects};

/// The header that holds the event CID in text.
pub(crate) const CID: &str = "Cid";
/// The header by which the server recognises a message that it has; the event CID, which covers the aggregate and the
/// predecessor.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The last sequence that a guard must have.
pub(crate) const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
/// The guard that the sequence is meant for.
pub(crate) const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The headers of an event, which repeat for tools what the block says.
pub(crate) fn headers(event: &SealedEvent) -> HeaderMap {
    headers_of(&event.cid, &event.envelope)
}

/// The same for an event that is stored.
pub(crate) fn headers_of(cid: &Cid, envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let cid = cid.to_string();
    headers.insert(MESSAGE_ID, cid.as_str());
    headers.insert(CID, cid);
    if let Some(previous) = &envelope.previous {
        headers.insert("Previous-Cid", previous.to_string());
    }
    for (index, parent) in envelope.parents.iter().enumerate() {
        headers.insert(format!("Parent-{index}"), parent.to_string());
    }
    // As it stands in the subject, because a header cannot hold every text either.
    let id = IdText::trusted(&envelope.aggregate_id);
    headers.insert("Aggregate-Id", &*id.token());
    headers.insert("Event-Type", envelope.event_type.as_str());
    headers.insert("Correlation-Id", envelope.correlation_id.to_string());
    headers.insert("Causation-Id", envelope.causation_id.to_string());
    headers
}

/// What headers and body take in a message, rounded up.
pub(crate) fn size(headers: &HeaderMap, body: &Bytes) -> usize {
    const PUNCTUATION: usize = 4;
    const PREAMBLE: usize = 16;
    let fields = headers.iter().map(|(name, values)| {
        let name: &str = name.as_ref();
        let values = values.iter();
        values
            .map(|value| name.len() + value.as_str().len() + PUNCTUATION)
            .sum::<usize>()
    });
    PREAMBLE + fields.sum::<usize>() + body.len()
}

/// A message as the stream has it, not proved yet.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) sequence: u64,
    pub(crate) subject: Subject,
    /// The event CID that stands beside the body, when it is one.
    pub(crate) cid: Option<Cid>,
    pub(crate) body: Bytes,
}

impl Raw {
    pub(crate) fn new(sequence: u64, subject: Subject, headers: &HeaderMap, body: Bytes) -> Self {
        let cid = headers.get(CID);
        Self {
            sequence,
            subject,
            cid: cid.and_then(|cid| parse_cid_text(cid.as_str()).ok()),
            body,
        }
    }

    /// The event that the message holds, proved, and stored where its envelope says.
    pub(crate) fn verify(
        self,
        api: &Api,
        subjects: &StoredSubjects,
    ) -> Result<StoredEvent, StoreError> {
        let position = Position(self.sequence);
        let damaged = |cid, reason: String| {
            StoreError::from(Damage::new(api.location(), position, cid, reason))
        };
        let Some(cid) = self.cid else {
            let subject = &self.subject;
            let reason =
                format!("the message on `{subject}` has no event CID in its `{CID}` header");
            return Err(damaged(None, reason));
        };
        let event = StoredEvent::verify(position, cid, self.body)
            .map_err(|verdict| verdict.into_damage(api.location()))?;
        let envelope = &event.envelope;
        let id = IdText::trusted(&envelope.aggregate_id);
        if !subjects.is_stored(&self.subject, &id, &envelope.event_type) {
            let expected = subjects.stored(&id, &envelope.event_type);
            let subject = self.subject;
            let reason = format!("it stands on `{subject}`, its envelope belongs on `{expected}`");
            return Err(damaged(Some(cid), reason));
        }
        Ok(event)
    }
}
