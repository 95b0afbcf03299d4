//! A folded aggregate together with what it was folded from.

use std::ops::Deref;

use super::LoadError;
use super::fold::{FoldFault, fold};
use crate::block::StoredEvent;
use crate::block::payload::Decoded;
use crate::domain::aggregate::{Aggregate, IdText};
use crate::domain::event::DomainEvent;
use crate::domain::kept;
use crate::store::{AggregateKey, Head, RecentCommits};

/// An aggregate as it is after its events up to a version; it dereferences to the aggregate.
///
/// An id without events gives version 0 and the aggregate's default, whose state is the initial one.
#[derive(Debug)]
pub struct Loaded<A> {
    pub(super) aggregate: A,
    pub(super) head: Option<Head>,
}

/// A loaded aggregate with what the repository keeps beside it: the commits by which a command takes effect once.
pub(super) struct Known<A> {
    pub(super) loaded: Loaded<A>,
    pub(super) recent: RecentCommits,
}

impl<A: Aggregate> Loaded<A> {
    pub(super) fn empty() -> Self {
        Self {
            aggregate: kept::initial(),
            head: None,
        }
    }

    /// The number of events that the aggregate was folded from.
    pub fn version(&self) -> u64 {
        self.head.map_or(0, |head| head.version)
    }

    /// The last event; none for an id without events.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// The aggregate by value.
    pub fn into_aggregate(self) -> A {
        self.aggregate
    }

    /// Folds a stored event: all that is read from it, as one version.
    pub(super) fn fold(&mut self, stored: &StoredEvent) -> Result<(), LoadError> {
        for event in read(stored)? {
            let folded = fold(&mut self.aggregate, event);
            folded.map_err(|fault| not_folded(stored, fault))?;
        }
        self.head = Some(stored.head());
        Ok(())
    }
}

impl<A: Aggregate> Known<A> {
    pub(super) fn empty(remembered_commits: usize) -> Self {
        Self {
            loaded: Loaded::empty(),
            recent: RecentCommits::new(remembered_commits),
        }
    }

    /// Folds stored events that follow.
    pub(super) fn fold_all(&mut self, events: &[StoredEvent]) -> Result<(), LoadError> {
        for event in events {
            self.loaded.fold(event)?;
            self.recent.note(&event.envelope);
        }
        Ok(())
    }
}

/// Why a stored event cannot be folded.
pub(super) fn not_folded(stored: &StoredEvent, fault: FoldFault) -> LoadError {
    let (aggregate, cid) = (Box::new(key_of(stored)), stored.cid);
    let version = stored.envelope.sequence;
    match fault {
        FoldFault::Unexpected(source) => LoadError::UnexpectedEvent {
            aggregate,
            cid,
            version,
            source,
        },
        FoldFault::Panicked { event, reason } => LoadError::FoldPanicked {
            aggregate,
            cid,
            version,
            event,
            reason,
        },
    }
}

/// The typed events, or where the one that cannot be read stands.
pub(super) fn read<E: DomainEvent>(stored: &StoredEvent) -> Result<Decoded<E>, LoadError> {
    stored.decoded().map_err(|source| LoadError::Unreadable {
        aggregate: Box::new(key_of(stored)),
        cid: stored.cid,
        version: stored.envelope.sequence,
        source,
    })
}

fn key_of(stored: &StoredEvent) -> AggregateKey {
    let envelope = &stored.envelope;
    AggregateKey::new(
        envelope.aggregate.clone(),
        IdText::trusted(&envelope.aggregate_id),
    )
}

impl<A: Aggregate> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self {
            aggregate: kept::copy_of(&self.aggregate),
            head: self.head,
        }
    }
}

impl<A> Deref for Loaded<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.aggregate
    }
}
