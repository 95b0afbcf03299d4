//! What an export looks at of an event, and its blocks as a bundle has them: made by the threads that read, where the engine
//! has several.

use std::ops::Range;

use crate::block::{CID_BYTES, CommitPart, Place, Position, ShortCid, StoredEvent, prove};
use crate::car::push_proved;
use crate::domain::message::Timestamp;
use crate::store::raw::{Name, RawBlock, RawItem, RawPage};
use crate::store::{Damage, Location, StoreError};

/// The bytes that a bundle has beside the two blocks of an event, at most.
const BESIDE: usize = 2 * (CID_BYTES + 5);

/// Some events in the store's order.
#[derive(Default)]
pub(super) struct Page {
    pub(super) events: Vec<Looked>,
    /// The blocks of all of them, one after the other; none where nobody writes them.
    pub(super) blocks: Option<Vec<u8>>,
    /// Their kinds and ids.
    texts: String,
}

/// What the envelope of an event says, as far as an export asks for it.
pub(super) struct Looked {
    pub(super) position: Position,
    pub(super) cid: ShortCid,
    pub(super) previous: Option<ShortCid>,
    pub(super) sequence: u64,
    pub(super) commit: CommitPart,
    pub(super) timestamp: Timestamp,
    /// The length of both blocks.
    pub(super) bytes: u64,
    /// Whether its aggregate is wanted because of it.
    pub(super) is_wanted: bool,
    kind: Range<usize>,
    id: Range<usize>,
    /// Where its blocks end, and those of the next one begin.
    pub(super) end: usize,
}

impl Looked {
    pub(super) fn place(&self) -> Place {
        Place {
            cid: self.cid.cid(),
            position: self.position,
            sequence: Some(self.sequence),
        }
    }
}

impl Page {
    fn new(events: usize, bytes: Option<usize>) -> Self {
        Self {
            events: Vec::with_capacity(events),
            blocks: bytes.map(Vec::with_capacity),
            texts: String::new(),
        }
    }

    /// The kind and the id of the aggregate of one of its events.
    pub(super) fn aggregate(&self, event: &Looked) -> (&str, &str) {
        (
            &self.texts[event.kind.clone()],
            &self.texts[event.id.clone()],
        )
    }

    /// Of events that a reader has proved, with their blocks or without.
    pub(super) fn of_events(
        events: &[StoredEvent],
        with_blocks: bool,
        is_wanted: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Self, StoreError> {
        let bytes = || events.iter().map(|event| event.body().len() + BESIDE).sum();
        let mut made = Self::new(events.len(), with_blocks.then(bytes));
        for event in events {
            let envelope = &event.envelope;
            let short = |cid| {
                ShortCid::of(cid).ok_or_else(|| {
                    let reason = format!("{cid} is no CID that this library makes");
                    let location = Location::Other("the store".into());
                    Damage::new(location, event.position, event.cid, reason)
                })
            };
            let (cid, payload) = (short(&event.cid)?, short(&envelope.payload)?);
            let (kind, id) = made.put(
                (&envelope.aggregate, &envelope.aggregate_id),
                [(&cid, event.envelope_bytes()), (&payload, event.payload())],
            );
            made.events.push(Looked {
                position: event.position,
                cid,
                previous: envelope.previous.as_ref().map(short).transpose()?,
                sequence: envelope.sequence,
                commit: envelope.commit,
                timestamp: envelope.timestamp,
                bytes: event.body().len() as u64 - 1,
                is_wanted: is_wanted(event),
                kind,
                id,
                end: made.blocks.as_ref().map_or(0, Vec::len),
            });
        }
        Ok(made)
    }

    /// Of what an engine gives under its readers, proved and compared with what stands beside it. An error is what a reader
    /// would say.
    pub(super) fn of_raw(
        page: RawPage,
        location: &Location,
        with_blocks: bool,
    ) -> Result<Self, StoreError> {
        let bytes = |item: &RawItem| match item {
            RawItem::Block(block) => block.body.len() + BESIDE,
            RawItem::Unreadable { .. } => 0,
        };
        let bytes = || page.items.iter().map(bytes).sum();
        let mut made = Self::new(page.items.len(), with_blocks.then(bytes));
        for (index, item) in page.items.into_iter().enumerate() {
            let RawBlock {
                position,
                cid,
                body,
                ..
            } = match item {
                RawItem::Block(block) => block,
                RawItem::Unreadable { damage, .. } => return Err(StoreError::Damaged(damage)),
            };
            let damaged = |cid, reason| Damage::new(location.clone(), position, cid, reason);
            let cid = cid.map_err(|reason| damaged(None, reason))?;
            let Some((envelope, payload_at)) = prove(&cid, &body) else {
                let verdict = StoredEvent::verify(position, cid.cid(), body.clone()).err();
                let damage = verdict.map(|verdict| Damage::of(verdict, location.clone()));
                let unproved = || damaged(Some(cid.cid()), "it cannot be proved".to_owned());
                return Err(damage.unwrap_or_else(unproved).into());
            };
            let name = Name::of(envelope.aggregate, envelope.aggregate_id);
            if let Some(reason) = (page.beside)(index, &envelope, &name) {
                let damage = damaged(Some(cid.cid()), reason);
                return Err(damage.in_history_of(&envelope.aggregate_key()).into());
            }
            let (kind, id) = made.put(
                (envelope.aggregate, envelope.aggregate_id),
                [
                    (&cid, &body[1..payload_at]),
                    (&envelope.payload, &body[payload_at..]),
                ],
            );
            made.events.push(Looked {
                position,
                cid,
                previous: envelope.previous,
                sequence: envelope.sequence,
                commit: envelope.commit,
                timestamp: envelope.timestamp,
                bytes: body.len() as u64 - 1,
                is_wanted: false,
                kind,
                id,
                end: made.blocks.as_ref().map_or(0, Vec::len),
            });
        }
        Ok(made)
    }

    /// Puts the texts and the blocks of an event behind those of the others; gives the places of its texts.
    fn put(
        &mut self,
        (kind, id): (&str, &str),
        blocks: [(&ShortCid, &[u8]); 2],
    ) -> (Range<usize>, Range<usize>) {
        if let Some(out) = &mut self.blocks {
            for (cid, block) in blocks {
                push_proved(out, cid, block);
            }
        }
        let mut place = |text: &str| {
            let start = self.texts.len();
            self.texts.push_str(text);
            start..self.texts.len()
        };
        (place(kind), place(id))
    }
}
