//! The queue of the writer: bounded, so that writers who are faster than the disk wait and do not fill the memory.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::prepare::Prepared;
use crate::block::StoredEvent;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::reader::closed;
use crate::store::{AppendedCommit, ProvedCommit, StoreError};

/// The KiB of commits that may wait; further ones wait to be among them.
const ROOM: u32 = 64 * 1024;
/// What a commit counts for at least, which bounds how many wait.
const LEAST: u32 = 16;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
pub(super) type Write = Box<dyn Fn(&Database) -> Result<(), StoreError> + Send>;

/// What the writer is asked for.
pub(super) enum Job {
    Append(Append),
    Import(Import),
    Write(Work),
    /// A subscription began to wait: look for commits of other processes from now on.
    Look,
}

/// A commit that waits.
pub(super) struct Append {
    pub(super) prepared: Prepared,
    pub(super) answer: Answer<Vec<StoredEvent>>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Commits that were sealed elsewhere, and wait.
pub(super) struct Import {
    pub(super) commits: Vec<ProvedCommit>,
    pub(super) answer: Answer<Vec<AppendedCommit>>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Another write that waits.
pub(super) struct Work {
    pub(super) write: Write,
    pub(super) answer: Answer<()>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// The way into the queue.
pub(super) struct Queue {
    jobs: Mutex<Option<Sender<Job>>>,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new(jobs: Sender<Job>) -> Self {
        Self {
            jobs: Mutex::new(Some(jobs)),
            room: Arc::new(Semaphore::new(ROOM as usize)),
        }
    }

    /// Waits until there is room for some bytes.
    pub(super) async fn place(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let weight = u32::try_from(bytes / 1024)
            .unwrap_or(ROOM)
            .clamp(LEAST, ROOM);
        match self.room.clone().try_acquire_many_owned(weight) {
            Ok(place) => Ok(place),
            Err(TryAcquireError::Closed) => Err(closed()),
            Err(TryAcquireError::NoPermits) => {
                let place = self.room.clone().acquire_many_owned(weight).await;
                place.map_err(|_| closed())
            }
        }
    }

    pub(super) fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .ok_or_else(closed)?
            .send(job)
            .map_err(|_| StoreError::Closed {
                reason: "the writing thread failed; open the file again".into(),
            })
    }

    /// Takes no further job.
    pub(super) fn close(&self) {
        self.room.close();
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Job {
    /// A measure of how much there is to write.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.prepared.bytes,
            // It has a transaction of its own.
            Self::Import(_) | Self::Write(_) | Self::Look => 0,
        }
    }
}
