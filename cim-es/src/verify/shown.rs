//! What the envelope of a proved event says, as far as histories, commits and lists ask for it. Its texts stay in the
//! body: an event takes no memory of its own on its way from the thread that has proved it.

use std::ops::Range;

use bytes::Bytes;

use crate::block::{
    CommitPart, Envelope, EnvelopeRef, Fault, Place, Position, ShortCid, Verdict,
    delimited_envelope, read_envelope,
};
use crate::domain::aggregate::IdText;
use crate::domain::message::Timestamp;
use crate::store::AggregateKey;
use crate::store::raw::Name;

pub(super) struct Shown {
    pub(super) name: Name,
    pub(super) position: Position,
    pub(super) cid: ShortCid,
    pub(super) previous: Option<ShortCid>,
    pub(super) sequence: u64,
    pub(super) commit: CommitPart,
    pub(super) timestamp: Timestamp,
    kind: Range<u32>,
    id: Range<u32>,
    event_type: Range<u32>,
    body: Bytes,
}

impl Shown {
    /// Of an envelope that was read from the body. None where its CIDs are not such as this library makes.
    pub(super) fn of(
        position: Position,
        cid: ShortCid,
        name: Name,
        envelope: &EnvelopeRef<'_>,
        body: &Bytes,
    ) -> Option<Self> {
        let place_of = |text: &str| {
            let start = text.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
            let end = start + text.len();
            let place = u32::try_from(start).ok()?..u32::try_from(end).ok()?;
            (end <= body.len()).then_some(place)
        };
        Some(Self {
            name,
            position,
            cid,
            previous: envelope.previous,
            sequence: envelope.sequence,
            commit: envelope.commit,
            timestamp: envelope.timestamp,
            kind: place_of(envelope.aggregate)?,
            id: place_of(envelope.aggregate_id)?,
            event_type: place_of(envelope.event_type)?,
            body: body.clone(),
        })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            cid: self.cid.cid(),
            position: self.position,
            sequence: Some(self.sequence),
        }
    }

    /// Whether the event is of a type, and of a kind where one is given.
    pub(super) fn is_of(&self, kind: Option<&str>, event_type: &str) -> bool {
        self.bytes(&self.event_type) == event_type.as_bytes()
            && kind.is_none_or(|kind| self.bytes(&self.kind) == kind.as_bytes())
    }

    pub(super) fn kind(&self) -> String {
        self.text(&self.kind)
    }

    pub(super) fn id(&self) -> String {
        self.text(&self.id)
    }

    pub(super) fn event_type(&self) -> String {
        self.text(&self.event_type)
    }

    pub(super) fn aggregate_key(&self) -> AggregateKey {
        AggregateKey::new(self.kind(), IdText::trusted(&self.id()))
    }

    /// The whole envelope, read once more.
    pub(super) fn envelope(&self) -> Result<Envelope, Verdict> {
        let block = delimited_envelope(&self.body).unwrap_or_default();
        read_envelope(block).map_err(|refusal| {
            let reason = format!("the envelope: {refusal}");
            Fault::NotCanonical { reason }.at(self.place())
        })
    }

    fn text(&self, place: &Range<u32>) -> String {
        String::from_utf8_lossy(self.bytes(place)).into_owned()
    }

    fn bytes(&self, place: &Range<u32>) -> &[u8] {
        &self.body[place.start as usize..place.end as usize]
    }
}
