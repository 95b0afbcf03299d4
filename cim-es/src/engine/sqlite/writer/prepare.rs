//! What a caller does before the writer: it seals, so that the writer has only to compare heads and to insert.

use super::heads::Heads;
use crate::block::{Cid, StoredEvent};
use crate::domain::message::Timestamp;
use crate::store::{
    CommitRequest, ExpectedVersion, Head, Position, SealOptions, SealedEvent, StoreError,
    seal_commit,
};

/// The event on which others were sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) version: u64,
    pub(super) cid: Cid,
    /// The time of a new event follows from it, so it is part of what the seal covers.
    pub(super) timestamp: Timestamp,
}

/// A commit on its way to the writer and back.
pub(super) struct Prepared {
    pub(super) request: CommitRequest,
    /// For each aggregate of the commit the last event that the caller named, or on which its events were sealed.
    pub(super) bases: Box<[Option<Base>]>,
    /// The events, when they are sealed: by the caller where it could, else by the writer.
    pub(super) sealed: Option<Vec<SealedEvent>>,
    pub(super) looked_for: LookedFor,
    /// A measure of how much there is to write.
    pub(super) bytes: usize,
}

/// Up to which version of the aggregates it is known that the message of a commit wrote nothing to them.
#[derive(Clone, Debug)]
pub(in crate::engine::sqlite) enum LookedFor {
    /// Up to the versions that the commit expects.
    ByTheCaller,
    /// Nobody has looked.
    NotYet,
    /// Up to these versions, one for each aggregate of the commit.
    UpTo(Vec<u64>),
}

impl Prepared {
    /// Keeps events that were sealed on some heads. Should the transaction be rolled back, they are tried again.
    pub(super) fn seal_on(&mut self, heads: &[Option<Head>], sealed: Vec<SealedEvent>) {
        self.bases = heads.iter().map(|head| head.map(Base::of)).collect();
        self.sealed = Some(sealed);
    }

    /// The events at their places, once they are committed, and the commit.
    pub(super) fn into_stored(self, first: u64) -> (CommitRequest, Vec<StoredEvent>) {
        let places = (first..).map(Position);
        let sealed = self.sealed.into_iter().flatten();
        let stored = sealed
            .zip(places)
            .map(|(event, position)| event.into_stored(position));
        (self.request, stored.collect())
    }
}

/// A measure of how much there is to seal and to write.
pub(super) fn bytes(request: &CommitRequest) -> usize {
    let events = request.aggregates.iter().flat_map(|part| &part.events);
    events.map(|event| event.payload.len() + 512).sum()
}

/// Seals a commit where the heads are known: to the caller, in `guesses`, which has one for each aggregate or none at
/// all, or here.
pub(super) fn prepare(
    request: CommitRequest,
    guesses: &[Option<Head>],
    looked_for: LookedFor,
    heads: &Heads,
    options: &SealOptions,
) -> Result<Prepared, StoreError> {
    let mut known = Vec::with_capacity(request.aggregates.len());
    let mut all_known = true;
    for (index, part) in request.aggregates.iter().enumerate() {
        let head: Option<Head> = match (part.expected, part.head) {
            (ExpectedVersion::NoStream | ExpectedVersion::Exactly(0), _) => None,
            (_, Some(head)) => Some(head),
            (expected, None) => {
                let guess = guesses.get(index).copied().flatten();
                let head = guess.or_else(|| heads.get(&part.aggregate).map(|known| known.head));
                all_known &= head.is_some_and(|head| expected.accepts(head.version));
                head
            }
        };
        known.push(head);
    }
    let sealed = match all_known {
        true => Some(seal_commit(&request, &known, options)?),
        false => {
            // What was found out is kept for the comparison only where the caller itself said it.
            known = request.aggregates.iter().map(|part| part.head).collect();
            None
        }
    };
    Ok(Prepared {
        bases: known.iter().map(|head| head.map(Base::of)).collect(),
        sealed,
        looked_for,
        bytes: bytes(&request),
        request,
    })
}

impl Base {
    pub(super) fn of(head: Head) -> Self {
        Self {
            version: head.version,
            cid: head.cid,
            timestamp: head.timestamp,
        }
    }
}
