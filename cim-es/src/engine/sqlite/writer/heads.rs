//! The last events of the aggregates that were written lately, shared by the writer and by the callers that seal.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::store::{AggregateKey, Head, KnownMessages};

/// How many aggregates are remembered: a few megabytes.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// The last event of an aggregate, and the key of its row.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) key: i64,
    pub(super) head: Head,
}

/// An aggregate and its last event.
pub(super) type Entry = (AggregateKey, Known);

/// The heads that are known without reading. For a caller they are a guess, because another process may have written
/// since; the writer drops them when one has.
pub(super) struct Heads {
    last: Mutex<LruCache<AggregateKey, Known>>,
    /// The messages of what is committed. They stay true whoever writes, and are at most behind, until a
    /// branch is replaced.
    messages: Mutex<KnownMessages>,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self {
            last: Mutex::new(LruCache::new(CAPACITY)),
            messages: Mutex::default(),
        }
    }

    pub(super) fn get(&self, aggregate: &AggregateKey) -> Option<Known> {
        self.lock().get(aggregate).copied()
    }

    pub(super) fn put_all(&self, heads: impl IntoIterator<Item = Entry>) {
        let mut kept = self.lock();
        for (aggregate, known) in heads {
            kept.put(aggregate, known);
        }
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Forgets which messages wrote to the aggregates: branches were replaced.
    pub(super) fn forget_messages(&self) {
        *self.messages() = KnownMessages::default();
    }

    /// The messages that wrote to the aggregates.
    pub(super) fn messages(&self) -> MutexGuard<'_, KnownMessages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<AggregateKey, Known>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
