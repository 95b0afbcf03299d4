//! A folded aggregate together with what it was folded from.

use std::ops::Deref;

use super::LoadError;
use super::recent::RecentCommits;
use crate::block::StoredEvent;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::store::Head;

/// An aggregate as it is after its events up to a version; it dereferences to the aggregate.
///
/// An id without events gives version 0 and the aggregate's default, whose state is the initial one.
#[derive(Clone, Debug)]
pub struct Root<A> {
    pub(super) aggregate: A,
    pub(super) head: Option<Head>,
    pub(super) recent: RecentCommits,
}

impl<A: Aggregate> Root<A> {
    pub(super) fn empty(remembered_commits: usize) -> Self {
        Self {
            aggregate: A::default(),
            head: None,
            recent: RecentCommits::new(remembered_commits),
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

    /// Folds a stored event.
    pub(super) fn fold(&mut self, stored: &StoredEvent) -> Result<(), LoadError> {
        self.take(read(stored)?, stored)
    }

    /// Folds an event that is already decoded.
    pub(super) fn take(&mut self, event: A::Event, stored: &StoredEvent) -> Result<(), LoadError> {
        self.aggregate
            .apply(event)
            .map_err(|source| LoadError::UnexpectedEvent {
                cid: stored.cid,
                version: stored.envelope.sequence,
                source,
            })?;
        self.note(stored);
        Ok(())
    }

    /// Notes an event that is folded.
    pub(super) fn note(&mut self, stored: &StoredEvent) {
        self.head = Some(stored.head());
        self.recent.note(&stored.envelope);
    }
}

/// The typed event, or where the one that cannot be read stands.
pub(super) fn read<E: DomainEvent>(stored: &StoredEvent) -> Result<E, LoadError> {
    stored.decode().map_err(|source| LoadError::Unreadable {
        cid: stored.cid,
        version: stored.envelope.sequence,
        source,
    })
}

impl<A> Deref for Root<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.aggregate
    }
}
