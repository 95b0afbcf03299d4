//! Snapshots as a repository uses them: a cache, which is passed over where it does not answer
//! promptly.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::backoff::pause;
use crate::store::{AggregateKey, Snapshot, SnapshotStore, StoreError};

/// How long a load or a command waits for the snapshots.
const PROMPTLY: Duration = Duration::from_millis(800);
/// For how long snapshots that did not answer are not asked again.
const REST: Duration = Duration::from_secs(5);

/// The snapshots of a repository. No load and no command waits for them longer than a moment:
/// without them a history is read from its beginning.
pub(super) struct SnapshotCache {
    snapshots: Arc<dyn SnapshotStore>,
    reads: Promptness,
    writes: Promptness,
}

impl SnapshotCache {
    pub(super) fn new(snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self {
            snapshots,
            reads: Promptness::new("read"),
            writes: Promptness::new("written"),
        }
    }

    /// The newest snapshot of an aggregate; none where there is none, or none came in time.
    ///
    /// # Errors
    /// What is wrong with this one snapshot.
    pub(super) async fn newest(
        &self,
        key: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        let found = self.snapshots.get_latest_snapshot(key, tag);
        Ok(self.reads.promptly(found).await?.flatten())
    }

    /// Keeps a snapshot, or goes on without where that takes too long.
    ///
    /// # Errors
    /// What is wrong with this one snapshot.
    pub(super) async fn save(
        &self,
        key: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let saved = self.snapshots.save_snapshot(key, snapshot);
        self.writes.promptly(saved).await.map(drop)
    }
}

/// Whether something answers, and what was said about it.
struct Promptness {
    /// What is done, in a word for the log.
    done: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rests_until: Option<Instant>,
    /// Whether it was logged since the last good answer.
    is_told: bool,
}

impl Promptness {
    fn new(done: &'static str) -> Self {
        Self {
            done,
            state: Mutex::default(),
        }
    }

    /// What some work comes to; none where it does not come in time, fails with all others alike,
    /// or rests.
    async fn promptly<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let now = Instant::now();
        if self.state().rests_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        let done = match select(pin!(work), pin!(pause(PROMPTLY))).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => {
                self.state().rests_until = Some(Instant::now() + REST);
                self.tell(&format!("no answer within {} ms", PROMPTLY.as_millis()));
                return Ok(None);
            }
        };
        match done {
            Ok(done) => {
                *self.state() = State::default();
                Ok(Some(done))
            }
            Err(error) if is_of_one(&error) => Err(error),
            Err(error) => {
                self.tell(&error.to_string());
                Ok(None)
            }
        }
    }

    fn tell(&self, reason: &str) {
        if !std::mem::replace(&mut self.state().is_told, true) {
            tracing::warn!(
                reason,
                "snapshots cannot be {}: they are passed over until they can, and loading takes longer",
                self.done
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says something of one snapshot, and not of the place where all of them are.
fn is_of_one(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Damaged(_) | StoreError::InvalidCommit { .. } | StoreError::Payload(_)
    )
}
