//! Sealing: an event gets its sequence, its predecessor and its CID.

use std::collections::HashSet;

use bytes::Bytes;
use cid::Cid;

use super::{AggregateCommit, CommitRequest, Head, NewEvent, Position, StoreError};
use crate::block::payload::{PayloadError, check_block};
use crate::block::{
    BODY_HEAD, CommitPart, Envelope, FORMAT, HashCode, StoredEvent, accept_cid, envelope_block,
};
use crate::domain::message::Timestamp;
use crate::domain::subject::pattern::is_subject;

/// The most events that one commit may have: what an atomic batch of a JetStream server takes.
pub(super) const MAX_EVENTS: usize = 1_000;
/// The largest envelope in bytes. With the largest payload and the headers that repeat its links in text, a message stays
/// below the 1 MiB that a NATS server accepts by default.
pub(super) const MAX_ENVELOPE: usize = 16_384;

/// What a store is configured to make and to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// The hash of the CIDs that are made; both known hashes are read.
    pub hash: HashCode,
    /// The largest payload in bytes.
    pub max_payload: usize,
}

impl Default for SealOptions {
    /// SHA2-256, and 1,000,000 bytes: with its envelope and headers a message stays below the 1 MiB that a NATS server
    /// accepts by default.
    fn default() -> Self {
        Self {
            hash: HashCode::default(),
            max_payload: 1_000_000,
        }
    }
}

/// An event that has everything but its place in the store.
#[derive(Clone, Debug)]
pub struct SealedEvent {
    /// The event CID.
    pub cid: Cid,
    /// The envelope.
    pub envelope: Envelope,
    // Private, because a proof of the payload is taken to hold as long as the event has its body: see `ProvedCommit`.
    body: Bytes,
    payload_at: usize,
}

impl SealedEvent {
    /// The body: the dag-cbor array `[envelope, payload]`.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The payload block.
    pub fn payload(&self) -> &[u8] {
        &self.body[self.payload_at..]
    }

    /// The event at its place in the store.
    pub fn into_stored(self, position: Position) -> StoredEvent {
        StoredEvent {
            position,
            cid: self.cid,
            envelope: self.envelope,
            body: self.body,
            payload_at: self.payload_at,
        }
    }
}

impl From<StoredEvent> for SealedEvent {
    /// The event without its place.
    fn from(event: StoredEvent) -> Self {
        Self {
            cid: event.cid,
            envelope: event.envelope,
            body: event.body,
            payload_at: event.payload_at,
        }
    }
}

/// Seals the events of a commit on the heads of its aggregates, given in the order of those.
///
/// The events have one time: the reading of the clock, raised to that of the heads within the bound that clocks may differ
/// by. Whether the heads have the expected versions is for the engine to check, under the lock that makes the append
/// atomic.
///
/// # Errors
/// [`StoreError::InvalidCommit`] for an empty commit, an aggregate without events or one that stands in it twice, more
/// than 1,000 events, an event type or a parent that cannot stand in an envelope; [`StoreError::Payload`] for a payload
/// that is not canonical or too large.
pub fn seal(
    commit: CommitRequest,
    heads: &[Option<Head>],
    options: &SealOptions,
) -> Result<Vec<SealedEvent>, StoreError> {
    seal_commit(&commit, heads, options)
}

/// The same for a commit that is still needed.
pub(crate) fn seal_commit(
    commit: &CommitRequest,
    heads: &[Option<Head>],
    options: &SealOptions,
) -> Result<Vec<SealedEvent>, StoreError> {
    check_form(commit)?;
    check_heads(commit, heads)?;
    let timestamp = commit.time(heads);
    let count = commit
        .aggregates
        .iter()
        .map(|aggregate| aggregate.events.len())
        .sum();
    let mut sealed = Vec::with_capacity(count);
    let parts = commit.aggregates.iter().zip(heads);
    let mut parts: Vec<_> = parts
        .map(|(part, head)| (part, part.events.iter().zip(1..), Chain::after(*head)))
        .collect();
    for number in commit.in_order() {
        let Some((aggregate, events, chain)) = parts.get_mut(number) else {
            continue;
        };
        let Some((event, index)) = events.next() else {
            continue;
        };
        // At most 1,000 events were let in.
        let part = CommitPart {
            index,
            of: aggregate.events.len() as u32,
            whole_index: sealed.len() as u32 + 1,
            whole_of: count as u32,
        };
        let place = chain.next(aggregate, part)?;
        let event = seal_event(
            commit,
            sealed.len(),
            aggregate,
            event,
            place,
            timestamp,
            options,
        )?;
        chain.previous = Some(event.cid);
        sealed.push(event);
    }
    Ok(sealed)
}

/// Where a history stands while events are added to it.
struct Chain {
    version: u64,
    previous: Option<Cid>,
}

/// The place of a new event in its history and in its commit.
struct Place {
    sequence: u64,
    previous: Option<Cid>,
    commit: CommitPart,
}

impl Chain {
    fn after(head: Option<Head>) -> Self {
        Self {
            version: head.map_or(0, |head| head.version),
            previous: head.map(|head| head.cid),
        }
    }

    fn next(
        &mut self,
        aggregate: &AggregateCommit,
        commit: CommitPart,
    ) -> Result<Place, StoreError> {
        let Some(sequence) = self.version.checked_add(1) else {
            return Err(invalid(format!(
                "{} can have no further event",
                aggregate.aggregate
            )));
        };
        self.version = sequence;
        Ok(Place {
            sequence,
            previous: self.previous,
            commit,
        })
    }
}

fn seal_event(
    commit: &CommitRequest,
    number: usize,
    aggregate: &AggregateCommit,
    event: &NewEvent,
    place: Place,
    timestamp: Timestamp,
    options: &SealOptions,
) -> Result<SealedEvent, StoreError> {
    check_event(event, options)?;
    let envelope = Envelope {
        format: FORMAT,
        id: event.id.unwrap_or_else(|| commit.event_id(number as u32)),
        aggregate: aggregate.aggregate.kind().to_owned(),
        event_type: event.event_type.clone(),
        schema: event.schema,
        aggregate_id: aggregate.aggregate.id().as_str().to_owned(),
        sequence: place.sequence,
        commit: place.commit,
        previous: place.previous,
        parents: event.parents_in(&commit.identity, place.commit),
        payload: options.hash.cid(&event.payload),
        correlation_id: commit.identity.correlation_id(),
        causation_id: commit.identity.message_id(),
        timestamp,
        source: commit.identity.actor().map(str::to_owned),
        meta: commit.identity.meta().clone(),
        encryption: None,
    };
    let mut body = Vec::with_capacity(ENVELOPE_ROOM + event.payload.len());
    body.push(BODY_HEAD);
    envelope_block::write(&envelope, &mut body).map_err(invalid)?;
    let payload_at = body.len();
    if payload_at > MAX_ENVELOPE {
        return Err(invalid(format!(
            "the envelope of event `{}` has {payload_at} bytes, the limit is {MAX_ENVELOPE}: name fewer parents, or shorten the actor, the aggregate's id or `meta`",
            event.event_type
        )));
    }
    let cid = options.hash.cid(&body[1..]);
    body.extend_from_slice(&event.payload);
    Ok(SealedEvent {
        cid,
        envelope,
        body: Bytes::from(body),
        payload_at,
    })
}

/// Room for a usual envelope, so that the body grows once.
const ENVELOPE_ROOM: usize = 640;

fn check_heads(commit: &CommitRequest, heads: &[Option<Head>]) -> Result<(), StoreError> {
    if heads.len() != commit.aggregates.len() {
        let (heads, aggregates) = (heads.len(), commit.aggregates.len());
        return Err(invalid(format!(
            "{heads} heads were read for {aggregates} aggregates: give one for each, in the order of the commit"
        )));
    }
    Ok(())
}

/// Refuses a commit that is not well formed, whatever is stored.
pub(super) fn check_form(commit: &CommitRequest) -> Result<(), StoreError> {
    if commit.aggregates.is_empty() {
        return Err(invalid(
            "it names no aggregate: add events, or do not append",
        ));
    }
    let mut seen = HashSet::new();
    let mut count = 0;
    for AggregateCommit {
        aggregate,
        events,
        is_unchanged,
        ..
    } in &commit.aggregates
    {
        if events.is_empty() != *is_unchanged {
            return Err(invalid(format!(
                "it has no event for {aggregate}: leave the aggregate out"
            )));
        }
        if commit.aggregates.len() > 1 && !seen.insert(aggregate) {
            return Err(invalid(format!(
                "{aggregate} stands in it twice: put its events together"
            )));
        }
        if !is_subject(aggregate.kind()) {
            let kind = aggregate.kind();
            return Err(invalid(format!(
                "`{kind}` is no kind of aggregate: it must be tokens with dots between"
            )));
        }
        count += events.len();
    }
    if count == 0 {
        return Err(invalid(
            "it has no event: aggregates that must not move stand beside some that do",
        ));
    }
    if let Some(aggregate) = commit.out_of_order() {
        return Err(invalid(format!(
            "the events of {aggregate} are not those that were put in order: add each with `CommitRequest::event`"
        )));
    }
    if count > MAX_EVENTS {
        return Err(invalid(format!(
            "it has {count} events, at most {MAX_EVENTS} can be stored at once: make several commits"
        )));
    }
    Ok(())
}

fn check_event(event: &NewEvent, options: &SealOptions) -> Result<(), StoreError> {
    let event_type = &event.event_type;
    if !is_subject(event_type) {
        return Err(invalid(format!(
            "`{event_type}` is no type of event: it must be tokens with dots between"
        )));
    }
    if event.schema == 0 {
        return Err(invalid(format!(
            "event `{event_type}` has schema version 0: versions start at 1"
        )));
    }
    for parent in &event.parents {
        accept_cid(*parent)
            .map_err(|error| invalid(format!("a parent of event `{event_type}`: {error}")))?;
    }
    let bytes = event.payload.len();
    if bytes > options.max_payload {
        let limit = options.max_payload;
        return Err(PayloadError::too_large(event_type, &event.payload, limit).into());
    }
    Ok(check_block(event_type, &event.payload)?)
}

fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::InvalidCommit {
        reason: reason.into(),
    }
}
