//! An event as a store keeps it.

use ::cid::Cid;
use bytes::Bytes;
use uuid::Uuid;

use super::envelope_block::EnvelopeRef;
use super::reader::{NULL, NotCanonical, Reader};
use super::{
    Envelope, Fault, Place, ShortCid, Verdict, accept_cid, canonical, envelope_block, verify_cid,
};
use super::{Head, Position};
use crate::block::payload::{Decoded, PayloadError, decode_enveloped};
use crate::domain::event::{DomainEvent, OneToOne};
use crate::domain::message::{Cause, Timestamp};
use crate::domain::subject::Subjects;

/// The head of the body: an array of two.
pub(crate) const BODY_HEAD: u8 = 0x82;

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

impl Cause for StoredEvent {
    fn cause_id(&self) -> Uuid {
        self.envelope.cause_id()
    }

    fn correlation_id(&self) -> Uuid {
        self.envelope.correlation_id
    }

    fn actor(&self) -> Option<&str> {
        self.envelope.actor()
    }

    fn cid(&self) -> Option<Cid> {
        Some(self.cid)
    }
}

impl StoredEvent {
    /// The event that stored bytes hold, proved: the envelope hashes to the CID beside it, the payload to the link in
    /// the envelope, and both are canonical. Whether the event fits its history is for
    /// [`ChainVerifier`](super::ChainVerifier) to say.
    ///
    /// # Errors
    /// [`Fault::Tampered`], [`Fault::NotCanonical`] or [`Fault::PayloadMissing`].
    pub fn verify(position: Position, cid: Cid, body: Bytes) -> Result<Self, Verdict> {
        let short = accept_cid(cid).ok().and_then(|cid| ShortCid::of(&cid));
        let proved = short.and_then(|short| prove(&short, &body));
        match proved.map(|(envelope, payload_at)| (envelope.into_envelope(), payload_at)) {
            Some((envelope, payload_at)) => Ok(Self {
                position,
                cid,
                envelope,
                body,
                payload_at,
            }),
            None => Err(judge(position, cid, &body)),
        }
    }

    /// The event of two blocks that were proved to hash to their CIDs, proved as [`verify`](Self::verify) does it.
    pub(crate) fn of_blocks(
        position: Position,
        (cid, envelope): (Cid, &[u8]),
        (payload_cid, payload): (Cid, &[u8]),
    ) -> Result<Self, Verdict> {
        let mut body = Vec::with_capacity(1 + envelope.len() + payload.len());
        body.push(BODY_HEAD);
        body.extend_from_slice(envelope);
        body.extend_from_slice(payload);
        let body = Bytes::from(body);
        match read_envelope(envelope) {
            Ok(read)
                if read.payload == payload_cid
                    && check_payload(read.encryption.is_some(), payload).is_ok() =>
            {
                Ok(Self {
                    position,
                    cid,
                    envelope: read,
                    body,
                    payload_at: 1 + envelope.len(),
                })
            }
            _ => Err(judge(position, cid, &body)),
        }
    }

    /// Whether CID and envelope still are those of the body, whose payload was proved when the event was made.
    pub(crate) fn is_as_read(&self) -> bool {
        let mut reader = Reader::new(&self.body[1..]);
        envelope_block::read(&mut reader).is_ok_and(|read| {
            reader.at() + 1 == self.payload_at
                && read.is(&self.envelope)
                && verify_cid(&self.cid, self.envelope_bytes())
        })
    }

    /// Where it stands, as verdicts name it.
    pub fn place(&self) -> Place {
        Place {
            cid: self.cid,
            position: self.position,
            sequence: Some(self.envelope.sequence),
        }
    }

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

    /// Whether it is a further event of the commit of one that stands before it.
    pub(crate) fn continues(&self, earlier: &Self) -> bool {
        let (earlier, later) = (&earlier.envelope, &self.envelope);
        earlier.causation_id == later.causation_id
            && earlier.commit.whole_of == later.commit.whole_of
            && earlier.commit.whole_index < later.commit.whole_index
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
    pub fn decode<E: OneToOne>(&self) -> Result<E, PayloadError> {
        let events = self.decoded::<E>()?;
        events.one(self.event_type(), self.envelope.schema)
    }

    /// The typed events as which this one is read, in order: one, unless an upcaster with `into_several` reads it as
    /// several, or as none. It stays one event for the version of its aggregate.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_all<E: DomainEvent>(&self) -> Result<Vec<E>, PayloadError> {
        Ok(self.decoded()?.into_iter().collect())
    }

    pub(crate) fn decoded<E: DomainEvent>(&self) -> Result<Decoded<E>, PayloadError> {
        let kind = E::KIND;
        decode_enveloped(&self.envelope.view(), self.payload()).map_err(|error| match error {
            PayloadError::NewerThanThisProgram { event_type, .. }
                if !E::is_kind(&self.envelope.aggregate) =>
            {
                PayloadError::OfAnotherAggregate {
                    event_type,
                    aggregate: self.envelope.aggregate.clone(),
                    expected: kind,
                }
            }
            error => error,
        })
    }

    /// The typed event where it is one of this kind of aggregate, none where it is of another: for a reader of a whole
    /// store, which also holds the events of other aggregates and those of
    /// [unique names](crate::aggregate::UniqueName).
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// use cim_es::store::{Bookmark, EventStore, Selection, StreamExt};
    ///
    /// async fn switches(store: &dyn EventStore) -> Result<usize, Box<dyn std::error::Error>> {
    ///     let mut events = store.read(Selection::everything(), Bookmark::START);
    ///     let mut switches = 0;
    ///     while let Some(stored) = events.next().await {
    ///         if let Some(LampEvent::Switched { .. }) = stored?.event_of()? {
    ///             switches += 1;
    ///         }
    ///     }
    ///     Ok(switches)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode), for an event of this kind of aggregate.
    pub fn event_of<E: OneToOne>(&self) -> Result<Option<E>, PayloadError> {
        let is_one = E::is_kind(&self.envelope.aggregate);
        is_one.then(|| self.decode()).transpose()
    }

    /// As [`event_of`](Self::event_of), for events of which what is stored as one may be read as several: all of them, in
    /// order, and none for an event of another kind of aggregate.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), for an event of this kind of aggregate.
    pub fn events_of<E: DomainEvent>(&self) -> Result<Vec<E>, PayloadError> {
        match E::is_kind(&self.envelope.aggregate) {
            true => self.decode_all(),
            false => Ok(Vec::new()),
        }
    }
}

/// The quick way for what is in order, which is nearly everything: the envelope, and where the payload starts. Of what it
/// refuses, [`StoredEvent::verify`] says what is wrong.
pub(crate) fn prove<'a>(cid: &ShortCid, body: &'a [u8]) -> Option<(EnvelopeRef<'a>, usize)> {
    let (&BODY_HEAD, blocks) = body.split_first()? else {
        return None;
    };
    let mut reader = Reader::new(blocks);
    let envelope = envelope_block::read(&mut reader).ok()?;
    let (envelope_bytes, payload) = blocks.split_at(reader.at());
    let is_proved = cid.is_of(envelope_bytes)
        && envelope.payload.is_of(payload)
        && check_payload(envelope.encryption.is_some(), payload).is_ok();
    is_proved.then_some((envelope, 1 + envelope_bytes.len()))
}

/// A payload is one canonical value; a map, unless it is encrypted.
fn check_payload(is_encrypted: bool, payload: &[u8]) -> Result<(), Box<NotCanonical>> {
    canonical::check(payload)?;
    if !is_encrypted {
        Reader::new(payload).expect(super::reader::major::MAP, "the payload is no map")?;
    }
    Ok(())
}

/// What is wrong with a body that the quick way refused.
///
/// The envelope is delimited leniently first, so that bytes which hash to their CIDs are never called tampered.
#[cold]
fn judge(position: Position, cid: Cid, body: &[u8]) -> Verdict {
    let place = Place {
        cid,
        position,
        sequence: None,
    };
    let tampered = |reason: &str| {
        let reason = reason.to_owned();
        Fault::Tampered { reason }.at(place)
    };
    if let Err(error) = accept_cid(cid) {
        return tampered(&format!(
            "what stands beside it is no CID of an event: {error}"
        ));
    }
    if verify_cid(&cid, body) {
        return judge_lone_envelope(place, body);
    }
    let (head, elements) = match body {
        [0x81, ..] => (1, 1),
        [BODY_HEAD, ..] => (1, 2),
        [0x98, 1, ..] => (2, 1),
        [0x98, 2, ..] => (2, 2),
        _ => return tampered("the body is no array of envelope and payload"),
    };
    let Some(end) = canonical::delimit(&body[head..]) else {
        return tampered("the envelope cannot be told from what follows it");
    };
    let (envelope_bytes, payload) = body[head..].split_at(end);
    if !verify_cid(&cid, envelope_bytes) {
        return tampered("the envelope does not hash to the CID beside it");
    }
    let envelope = match read_envelope(envelope_bytes) {
        Ok(envelope) => envelope,
        Err(refusal) => {
            let reason = format!("the envelope: {refusal}");
            return Fault::NotCanonical { reason }.at(place);
        }
    };
    let place = Place {
        sequence: Some(envelope.sequence),
        ..place
    };
    if payload.is_empty() || (elements == 2 && payload == [NULL]) {
        let payload = envelope.payload;
        return Fault::PayloadMissing { payload }.at(place);
    }
    if !verify_cid(&envelope.payload, payload) {
        let reason = "the payload does not hash to the link in the envelope".to_owned();
        return Fault::Tampered { reason }.at(place);
    }
    let reason = match check_payload(envelope.encryption.is_some(), payload) {
        Err(refusal) => format!("the payload: {refusal}"),
        Ok(()) => "the body is not an array of two in its shortest form".to_owned(),
    };
    Fault::NotCanonical { reason }.at(place)
}

/// The block that a damaged body has where its envelope belongs, proved to be nothing.
pub(crate) fn delimited_envelope(body: &[u8]) -> Option<&[u8]> {
    let blocks = match body {
        [BODY_HEAD | 0x81, blocks @ ..] => blocks,
        _ => body,
    };
    blocks.get(..canonical::delimit(blocks)?)
}

/// The whole body is the envelope block.
fn judge_lone_envelope(place: Place, body: &[u8]) -> Verdict {
    match read_envelope(body) {
        Ok(envelope) => {
            let payload = envelope.payload;
            Fault::PayloadMissing { payload }.at(Place {
                sequence: Some(envelope.sequence),
                ..place
            })
        }
        Err(refusal) => {
            let reason = format!("the envelope: {refusal}");
            Fault::NotCanonical { reason }.at(place)
        }
    }
}

/// The envelope that a block of its own holds.
pub(crate) fn read_envelope(block: &[u8]) -> Result<Envelope, Box<NotCanonical>> {
    read_envelope_ref(block).map(EnvelopeRef::into_envelope)
}

/// The same, with the texts of the block.
pub(crate) fn read_envelope_ref(block: &[u8]) -> Result<EnvelopeRef<'_>, Box<NotCanonical>> {
    let mut reader = Reader::new(block);
    let envelope = envelope_block::read(&mut reader)?;
    match reader.rest() {
        [] => Ok(envelope),
        _ => Err(reader.refuse("bytes behind the envelope")),
    }
}

impl Subjects {
    /// Whether an event is meant: its type matches, and where an enum of events was given it is of that aggregate.
    pub fn includes(&self, event: &StoredEvent) -> bool {
        self.selects(&event.envelope.aggregate, event.event_type())
    }
}
