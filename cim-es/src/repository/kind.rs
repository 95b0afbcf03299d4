//! Under which kind a history stands: the aggregate's present one, or a former one.
//!
//! A history that began under a former kind goes on under it, so that a release which knows the former name alone and
//! one which knows both write to the same history, under the same guard.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::{LoadError, Repository};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, AggregateId, IdText};
use crate::store::{AggregateKey, EventStoreExt};

/// The ids whose kind is remembered.
const LIMIT: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Under which kind the histories of ids stand, of an aggregate with former kinds. It never changes for a history.
pub(super) struct KnownKinds<A: Aggregate>(Mutex<Option<LruCache<A::Id, &'static str>>>);

impl<A: Aggregate> KnownKinds<A> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, id: &A::Id) -> Option<&'static str> {
        self.lock().as_mut()?.get(id).copied()
    }

    fn put(&self, id: &A::Id, kind: &'static str) {
        let mut kinds = self.lock();
        let kinds = kinds.get_or_insert_with(|| LruCache::new(LIMIT));
        kinds.put(id.clone(), kind);
    }

    fn lock(&self) -> MutexGuard<'_, Option<LruCache<A::Id, &'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Aggregate> Repository<A> {
    /// The key under which the events of an id stand, or will stand when it has none.
    pub(super) async fn key(&self, id: &A::Id) -> Result<AggregateKey, LoadError> {
        let key = AggregateKey::of::<A>(id)?;
        if A::FORMER_KINDS.is_empty() {
            return Ok(key);
        }
        if let Some(kind) = self.inner.kinds.get(id) {
            return Ok(AggregateKey::of_kind::<A>(kind, id.text()?));
        }
        let present = self.inner.store.kinds(key.id()).await?;
        let ours = [A::KIND].into_iter().chain(A::FORMER_KINDS.iter().copied());
        let mut found = ours.filter(|kind| present.iter().any(|it| it == kind));
        match (found.next(), found.next()) {
            (None, _) => Ok(key),
            (Some(kind), None) => {
                self.inner.kinds.put(id, kind);
                Ok(AggregateKey::of_kind::<A>(kind, id.text()?))
            }
            (Some(one), Some(other)) => Err(two_histories(key.id(), one, other)),
        }
    }

    /// The whole history of an aggregate. Where it is empty, the id must not have events of a kind that the aggregate does
    /// not know: it may be its own under a former name.
    pub(super) async fn events(&self, key: &AggregateKey) -> Result<Vec<StoredEvent>, LoadError> {
        let events = self.inner.store.get_events(key, 1).await?;
        if events.is_empty() {
            self.refuse_unknown_kinds(key).await?;
        }
        Ok(events)
    }

    async fn refuse_unknown_kinds(&self, key: &AggregateKey) -> Result<(), LoadError> {
        let present = self.inner.store.kinds(key.id()).await?;
        let is_unknown =
            |kind: &String| !A::is_kind(kind) && !A::SHARES_IDS_WITH.contains(&&**kind);
        match present.into_iter().find(is_unknown) {
            None => Ok(()),
            Some(found) => Err(LoadError::UnknownKind {
                id: key.id().as_str().to_owned(),
                expected: A::KIND,
                found,
            }),
        }
    }
}

/// The error for an id that has events under two kinds of one aggregate.
pub(super) fn two_histories(id: &IdText, one: &str, other: &str) -> LoadError {
    LoadError::TwoHistories {
        id: id.as_str().to_owned(),
        kinds: [one.to_owned(), other.to_owned()],
    }
}
