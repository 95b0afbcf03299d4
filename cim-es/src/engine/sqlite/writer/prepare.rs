//! What a caller does before the writer: it seals, so that the writer has only to compare heads and to insert.

use super::heads::Heads;
use crate::block::Cid;
use crate::domain::message::Timestamp;
use crate::store::{
    AggregateKey, CommitRequest, ExpectedVersion, Head, SealOptions, SealedEvent, StoreError, seal,
};

/// What the writer compares for one aggregate of a commit.
pub(super) struct Guard {
    pub(super) aggregate: AggregateKey,
    pub(super) expected: ExpectedVersion,
    /// The last event that the caller named, or on which its events were sealed.
    pub(super) base: Option<Base>,
    pub(super) events: usize,
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
    /// The events, when the caller could seal them.
    pub(super) sealed: Option<Vec<SealedEvent>>,
    /// The commit, when the writer may have to seal it.
    pub(super) request: Option<CommitRequest>,
    /// A measure of how much there is to write.
    pub(super) bytes: usize,
}

/// Seals a commit where the heads are known.
pub(super) fn prepare(
    request: CommitRequest,
    heads: &Heads,
    options: &SealOptions,
) -> Result<Prepared, StoreError> {
    let mut known = Vec::with_capacity(request.aggregates.len());
    let mut guards = Vec::with_capacity(request.aggregates.len());
    let mut all_known = true;
    let mut may_move = false;
    let mut bytes = 0;
    for part in &request.aggregates {
        let head: Option<Head> = match (part.expected, part.head) {
            (ExpectedVersion::NoStream | ExpectedVersion::Exactly(0), _) => None,
            (_, Some(head)) => Some(head),
            (expected, None) => {
                let head = heads.get(&part.aggregate).map(|known| known.head);
                all_known &= head.is_some_and(|head| expected.accepts(head.version));
                head
            }
        };
        may_move |= part.expected == ExpectedVersion::Any;
        bytes += part
            .events
            .iter()
            .map(|event| event.payload.len() + 512)
            .sum::<usize>();
        guards.push(Guard {
            aggregate: part.aggregate.clone(),
            expected: part.expected,
            base: head.map(Base::of),
            events: part.events.len(),
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
            sealed: None,
            request: Some(request),
            bytes,
        });
    }
    let again = may_move.then(|| request.clone());
    Ok(Prepared {
        guards,
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
