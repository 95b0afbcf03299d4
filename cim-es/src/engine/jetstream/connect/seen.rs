//! What a program has seen of the streams on a connection, so that no older answer is taken for one.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// Of how many aggregates of a stream it is remembered up to where they were seen.
const AGGREGATES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// What was seen of each stream, by its API prefix and name.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<HashMap<String, Arc<Seen>>>);

impl Register {
    pub(super) fn of(&self, stream: String) -> Arc<Seen> {
        let mut register = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(register.entry(stream).or_default())
    }
}

/// What this program has seen of one stream.
///
/// A server that was cut off from the others, or paused, takes itself for the leader for some time and answers from the
/// past. What it says is held against this.
#[derive(Debug)]
pub(crate) struct Seen {
    last: AtomicU64,
    aggregates: Mutex<LruCache<Box<str>, u64>>,
    created: Mutex<Option<String>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(0),
            aggregates: Mutex::new(LruCache::new(AGGREGATES)),
            created: Mutex::new(None),
        }
    }
}

impl Seen {
    /// The last sequence of the stream that was seen.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Notes a sequence of the stream.
    pub(crate) fn note(&self, sequence: u64) {
        self.last.fetch_max(sequence, Ordering::Relaxed);
    }

    /// Up to where an aggregate was seen; 0 when it was not.
    pub(crate) fn of_aggregate(&self, id: &str) -> u64 {
        self.aggregates().get(id).copied().unwrap_or(0)
    }

    /// Notes an event of an aggregate.
    pub(crate) fn note_aggregate(&self, id: &str, sequence: u64) {
        self.note(sequence);
        let mut aggregates = self.aggregates();
        match aggregates.get_mut(id) {
            Some(seen) => *seen = sequence.max(*seen),
            None => {
                aggregates.put(id.into(), sequence);
            }
        }
    }

    /// Forgets an aggregate whose last event was removed from the stream.
    pub(crate) fn forget_aggregate(&self, id: &str) {
        self.aggregates().pop(id);
    }

    /// Begins anew when the stream was created at another time than it was before.
    pub(crate) fn identify(&self, created: &str) {
        let mut known = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref().is_some_and(|known| known != created) {
            self.last.store(0, Ordering::Relaxed);
            self.aggregates().clear();
        }
        *known = Some(created.to_owned());
    }

    fn aggregates(&self) -> MutexGuard<'_, LruCache<Box<str>, u64>> {
        self.aggregates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_never_becomes_less_while_the_stream_is_the_same() {
        let seen = Seen::default();
        seen.identify("monday");
        seen.note_aggregate("a", 7);
        seen.note_aggregate("a", 3);
        seen.note(5);
        assert_eq!(seen.of_aggregate("a"), 7);
        assert_eq!(seen.last(), 7);
        seen.identify("monday");
        assert_eq!(seen.of_aggregate("a"), 7);
        seen.identify("tuesday");
        assert_eq!(seen.of_aggregate("a"), 0);
        assert_eq!(seen.last(), 0);
    }
}
