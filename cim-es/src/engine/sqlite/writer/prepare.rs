//! What a caller does before the writer: it seals, so that the writer has only to compare heads and to insert.

use super::heads::Heads;
use crate::block::{Cid, StoredEvent};
use crate::domain::message::Timestamp;
use crate::store::{
    AggregateKey, CommitRequest, ExpectedVersion, Head, Position, SealOptions, SealedEvent,
    StoreError, seal,
};

/// What the writer compares for one aggregate of a commit.
pub(super) struct Guard {
    pub(super) aggregate: AggregateKey,
    pub(super) expected: ExpectedVersion,
    /// The last event that the caller named, or on which its events were sealed.
    pub(super) base: Option<Base>,
}

/// The event on which others were sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) version: u64,
    pub(super) cid: Cid,
    /// The time of a new event follows from it, so it is part of what the seal covers.
    pub(super) timestamp: Timestamp,
}

/// A commit on its way to the writer.
pub(super) struct Prepared {
    pub(super) guards: Vec<Guard>,
    /// The guard of each event, by its place, in the order of the commit.
    pub(super) order: Box<[usize]>,
    /// The events, when they are sealed: by the caller where it could, else by the writer.
    pub(super) sealed: Option<Vec<SealedEvent>>,
    /// The commit, when the writer may have to seal it.
    request: Option<CommitRequest>,
    /// A measure of how much there is to write.
    pub(super) bytes: usize,
}

impl Prepared {
    /// The commit, to be sealed by the writer; what was sealed may have to be sealed again where any version will do.
    pub(super) fn request_to_seal(&mut self) -> Option<CommitRequest> {
        let may_move = |guard: &Guard| guard.expected == ExpectedVersion::Any;
        match self.guards.iter().any(may_move) {
            true => self.request.clone(),
            false => self.request.take(),
        }
    }

    /// Keeps events that were sealed on some heads. Should the transaction be rolled back, they are tried again.
    pub(super) fn seal_on(&mut self, heads: &[Option<Head>], sealed: Vec<SealedEvent>) {
        for (guard, head) in self.guards.iter_mut().zip(heads) {
            guard.base = head.map(Base::of);
        }
        self.sealed = Some(sealed);
    }

    /// The events at their places, once they are committed.
    pub(super) fn into_stored(self, first: u64) -> Vec<StoredEvent> {
        let places = (first..).map(Position);
        let sealed = self.sealed.into_iter().flatten();
        sealed
            .zip(places)
            .map(|(event, position)| event.into_stored(position))
            .collect()
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
    heads: &Heads,
    options: &SealOptions,
) -> Result<Prepared, StoreError> {
    let mut known = Vec::with_capacity(request.aggregates.len());
    let mut guards = Vec::with_capacity(request.aggregates.len());
    let mut all_known = true;
    let mut may_move = false;
    let bytes = bytes(&request);
    let order = request.in_order().collect();
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
        may_move |= part.expected == ExpectedVersion::Any;
        guards.push(Guard {
            aggregate: part.aggregate.clone(),
            expected: part.expected,
            base: head.map(Base::of),
        });
        known.push(head);
    }
    if !all_known {
        // What was found out is kept for the comparison only where the caller itself said it.
        for (guard, part) in guards.iter_mut().zip(&request.aggregates) {
            guard.base = part.head.map(Base::of);
        }
        return Ok(Prepared {
            guards,
            order,
            sealed: None,
            request: Some(request),
            bytes,
        });
    }
    let again = may_move.then(|| request.clone());
    Ok(Prepared {
        guards,
        order,
        sealed: Some(seal(request, &known, options)?),
        request: again,
        bytes,
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
