//! A whole history, verified from the bytes that someone hands over.

use ::cid::Cid;
use bytes::Bytes;

use super::Position;
use super::stored::read_envelope;
use super::{
    ChainHead, ChainVerifier, CidError, Envelope, Fault, Place, StoredEvent, Truncation, Verdict,
    accept_cid, parse_cid, verify_cid,
};

/// An event as it is handed over: the body, and the CID that stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBlock {
    /// The event CID.
    pub cid: Cid,
    /// The dag-cbor array `[envelope, payload]`.
    pub body: Bytes,
}

impl EventBlock {
    /// From a CID in binary form and a body, both from outside.
    ///
    /// # Errors
    /// [`CidError`] for a CID that [`parse_cid`] does not accept.
    pub fn new(cid: &[u8], body: impl Into<Bytes>) -> Result<Self, CidError> {
        Ok(Self {
            cid: parse_cid(cid)?,
            body: body.into(),
        })
    }
}

impl From<&StoredEvent> for EventBlock {
    fn from(event: &StoredEvent) -> Self {
        Self {
            cid: event.cid,
            body: event.body().clone(),
        }
    }
}

/// The envelope of an event without its payload: what is left of an event whose payload is gone, or is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeBlock {
    /// The event CID.
    pub cid: Cid,
    /// The envelope block, which hashes to the CID.
    pub bytes: Bytes,
}

impl From<&StoredEvent> for EnvelopeBlock {
    fn from(event: &StoredEvent) -> Self {
        Self {
            cid: event.cid,
            bytes: event.body.slice(1..event.payload_at),
        }
    }
}

/// Verifies the history of one aggregate from its first event: every block, the links between them, and that it passes
/// through the expected head. Gives the events; positions count the blocks from 1.
///
/// Give the head that you know from elsewhere: what was printed, signed, or sent to someone else. **Without one, events
/// that are missing at the end, and a history that someone who may write has rewritten and linked anew, are not
/// detectable.** A head that is older than the history is fine: the history must pass through it, and what follows is
/// given as well.
///
/// # Errors
/// The [`Verdict`] on the first fault.
pub fn verify_event_chain(
    blocks: &[EventBlock],
    expected_head: Option<ChainHead>,
) -> Result<Vec<StoredEvent>, Verdict> {
    walk(blocks, expecting(expected_head))
}

/// Verifies as [`verify_event_chain`] does, and demands that every causal parent stands earlier in the history or is
/// known to the caller, such as a store that is asked for it.
///
/// # Errors
/// The [`Verdict`] on the first fault.
pub fn verify_event_chain_with_parents<'a>(
    blocks: &[EventBlock],
    expected_head: Option<ChainHead>,
    knows: impl Fn(&Cid) -> bool + Send + Sync + 'a,
) -> Result<Vec<StoredEvent>, Verdict> {
    walk(blocks, expecting(expected_head).knowing_parents(knows))
}

/// Verifies a history by its envelopes alone: what happened when, and in which order, is proved as by
/// [`verify_event_chain`]; the payloads are not looked at. An encrypted payload whose key was destroyed leaves the
/// history whole.
///
/// # Errors
/// The [`Verdict`] on the first fault.
pub fn verify_envelope_chain(
    envelopes: &[EnvelopeBlock],
    expected_head: Option<ChainHead>,
) -> Result<Vec<Envelope>, Verdict> {
    walk(envelopes, expecting(expected_head))
}

fn expecting<'a>(head: Option<ChainHead>) -> ChainVerifier<'a> {
    let verifier = ChainVerifier::of_any_aggregate();
    match head {
        Some(head) => verifier.expecting(head),
        None => verifier,
    }
}

/// A block that can be proved on its own.
trait Provable {
    type Proved: HasEnvelope;

    fn cid(&self) -> Cid;
    fn prove(&self, position: Position) -> Result<Self::Proved, Verdict>;
}

trait HasEnvelope {
    fn envelope(&self) -> &Envelope;
}

impl Provable for EventBlock {
    type Proved = StoredEvent;

    fn cid(&self) -> Cid {
        self.cid
    }

    fn prove(&self, position: Position) -> Result<StoredEvent, Verdict> {
        StoredEvent::verify(position, self.cid, self.body.clone())
    }
}

impl HasEnvelope for StoredEvent {
    fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

impl Provable for EnvelopeBlock {
    type Proved = Envelope;

    fn cid(&self) -> Cid {
        self.cid
    }

    fn prove(&self, position: Position) -> Result<Envelope, Verdict> {
        let place = Place {
            cid: self.cid,
            position,
            sequence: None,
        };
        if accept_cid(self.cid).is_err() || !verify_cid(&self.cid, &self.bytes) {
            let reason = "the envelope does not hash to the CID beside it".to_owned();
            return Err(Fault::Tampered { reason }.at(place));
        }
        read_envelope(&self.bytes).map_err(|refusal| {
            let reason = format!("the envelope: {refusal}");
            Fault::NotCanonical { reason }.at(place)
        })
    }
}

impl HasEnvelope for Envelope {
    fn envelope(&self) -> &Envelope {
        self
    }
}

fn walk<B: Provable>(
    blocks: &[B],
    mut verifier: ChainVerifier<'_>,
) -> Result<Vec<B::Proved>, Verdict> {
    let mut proved = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        let position = Position(index as u64 + 1);
        let event = block.prove(position)?;
        verifier
            .accept_envelope(position, block.cid(), event.envelope())
            .map_err(|verdict| look_around(verdict, blocks))?;
        proved.push(event);
    }
    verifier.finish()?;
    Ok(proved)
}

/// Says more precisely what the whole list shows and one event at a time does not: a start that stands elsewhere in the
/// list, and a second event for a sequence further back.
fn look_around<B: Provable>(verdict: Verdict, blocks: &[B]) -> Verdict {
    let Verdict { place, fault } = verdict;
    let fault = match fault {
        Fault::Truncated {
            missing: Truncation::Start { first },
        } if blocks.iter().any(is_first) => Fault::Gap {
            expected: 1,
            found: first,
        },
        Fault::Gap { expected, found } if found < expected => {
            // What was accepted so far stands in order from 1, so the sequence is the place in the list.
            let other = usize::try_from(found - 1)
                .ok()
                .and_then(|index| blocks.get(index))
                .map(B::cid);
            match other {
                Some(other) if other != place.cid => Fault::Fork { other },
                _ => Fault::Gap { expected, found },
            }
        }
        fault => fault,
    };
    fault.at(place)
}

fn is_first<B: Provable>(block: &B) -> bool {
    block
        .prove(Position::START)
        .is_ok_and(|event| event.envelope().sequence == 1)
}
