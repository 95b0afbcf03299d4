//! The queue of the writer: bounded, so that writers who are faster than the disk wait and do not fill the memory.
//!
//! The writer says how many must wait for it to be woken. To wake it for each of many who come one after the other would
//! take them longer than all else that they do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::answer::Answer;
use super::import::Imported;
use super::prepare::Prepared;
use super::repeats::Added;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::reader::closed;
use crate::store::{Branch, BranchError, ProvedCommit, ReplacedBranches, StateChange, StoreError};

/// The KiB of commits that may wait; further ones wait to be among them.
const ROOM: u32 = 64 * 1024;
/// What a commit counts for at least, which bounds how many wait.
const LEAST: u32 = 16;

pub(super) type Write = Box<dyn Fn(&Database) -> Result<(), StoreError> + Send>;

/// What the writer is asked for.
pub(super) enum Job {
    Append(Append),
    Import(Import),
    Replace(Replace),
    Write(Work),
    /// A subscription began to wait: look for commits of other processes from now on.
    Look,
}

/// A commit that waits.
pub(super) struct Append {
    pub(super) prepared: Box<Prepared>,
    /// Gives the commit back, with what became of it: what remains to be done is done by who waits.
    pub(super) answer: Answer<(Added, Box<Prepared>)>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Commits that were sealed elsewhere, and wait.
pub(super) struct Import {
    pub(super) commits: Vec<ProvedCommit>,
    pub(super) answer: Answer<Imported>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Branches that are to be replaced.
pub(super) struct Replace {
    pub(super) branches: Vec<Branch>,
    pub(super) commits: Vec<ProvedCommit>,
    pub(super) changes: Vec<StateChange>,
    pub(super) answer: Answer<Result<ReplacedBranches, BranchError>>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Another write that waits.
pub(super) struct Work {
    pub(super) write: Write,
    pub(super) answer: Answer<()>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// The queue, as its two ends share it.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    arrived: Condvar,
    /// How many wait, for a look without the lock.
    length: AtomicUsize,
    room: Arc<Semaphore>,
}

struct Waiting {
    jobs: VecDeque<Job>,
    state: State,
    /// The number of jobs at which the writer is to be woken, while it sleeps.
    wakes_at: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// No further job is taken.
    Closed,
    /// Nobody serves it any more.
    Failed,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                jobs: VecDeque::new(),
                state: State::Open,
                wakes_at: None,
            }),
            arrived: Condvar::new(),
            length: AtomicUsize::new(0),
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
        let mut waiting = self.lock();
        match waiting.state {
            State::Open => {}
            State::Closed => return Err(closed()),
            State::Failed => {
                return Err(StoreError::Closed {
                    reason: "the writing thread failed; open the file again".into(),
                });
            }
        }
        waiting.jobs.push_back(job);
        let length = waiting.jobs.len();
        self.length.store(length, Ordering::Relaxed);
        let wakes = waiting.wakes_at.take_if(|wakes_at| length >= *wakes_at);
        drop(waiting);
        if wakes.is_some() {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes no further job.
    pub(super) fn close(&self) {
        self.room.close();
        let mut waiting = self.lock();
        if waiting.state == State::Open {
            waiting.state = State::Closed;
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Moves all that waits.
    pub(super) fn take(&self, into: &mut VecDeque<Job>) {
        if self.seems_empty() {
            return;
        }
        let mut waiting = self.lock();
        into.append(&mut waiting.jobs);
        self.length.store(0, Ordering::Relaxed);
    }

    /// Whether nothing waits, as far as can be seen without the lock.
    pub(super) fn seems_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    /// Sleeps until some jobs wait or a moment has come. Whether there is, or may be, anything to do: not when the queue is
    /// closed and empty.
    pub(super) fn sleep(&self, jobs: usize, until: Option<Instant>) -> bool {
        let mut waiting = self.lock();
        while waiting.jobs.len() < jobs && waiting.state == State::Open {
            waiting.wakes_at = Some(jobs);
            let pause = until.map(|until| until.saturating_duration_since(Instant::now()));
            waiting = match pause {
                Some(pause) if pause.is_zero() => break,
                Some(pause) => {
                    let woken = self.arrived.wait_timeout(waiting, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.arrived.wait(waiting);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        waiting.wakes_at = None;
        waiting.state == State::Open || !waiting.jobs.is_empty()
    }

    /// Gives up what waits: its thread ends.
    fn abandon(&self) {
        let mut waiting = self.lock();
        if waiting.state == State::Open {
            waiting.state = State::Failed;
        }
        let jobs = std::mem::take(&mut waiting.jobs);
        self.length.store(0, Ordering::Relaxed);
        drop(waiting);
        // Each of them tells who waits.
        drop(jobs);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the queue that the writer has. When it is dropped, also by a panic, nobody waits for ever.
pub(super) struct Served(Arc<Queue>);

impl Served {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }
}

impl std::ops::Deref for Served {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Job {
    /// A measure of how much there is to write.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.prepared.bytes,
            // It has a transaction of its own.
            Self::Import(_) | Self::Replace(_) | Self::Write(_) | Self::Look => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Job, Queue, Served};
    use crate::store::StoreError;

    /// What `sleep` answered, and how many jobs there were when it did.
    fn sleep(queue: &Arc<Queue>, jobs: usize) -> std::thread::JoinHandle<(bool, usize)> {
        let queue = queue.clone();
        std::thread::spawn(move || {
            let may_be = queue.sleep(jobs, None);
            let mut found = VecDeque::new();
            queue.take(&mut found);
            (may_be, found.len())
        })
    }

    fn wait_until_asleep(queue: &Queue) {
        while queue.lock().wakes_at.is_none() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_writer_is_woken_by_the_last_of_those_that_it_waits_for() {
        let queue = Arc::new(Queue::new());
        let sleeping = sleep(&queue, 3);
        wait_until_asleep(&queue);
        for _ in 0..2 {
            queue.send(Job::Look).expect("it is open");
            assert!(queue.lock().wakes_at.is_some(), "it sleeps on");
        }
        queue.send(Job::Look).expect("it is open");
        assert_eq!(sleeping.join().expect("no panic"), (true, 3));
        assert!(queue.seems_empty());
    }

    #[test]
    fn a_queue_that_is_closed_wakes_the_writer_which_first_does_what_waits() {
        let queue = Arc::new(Queue::new());
        let sleeping = sleep(&queue, 2);
        wait_until_asleep(&queue);
        queue.send(Job::Look).expect("it is open");
        queue.close();
        assert_eq!(sleeping.join().expect("no panic"), (true, 1));
        assert!(!queue.sleep(1, None), "nothing is left to be done");
        let refused = queue.send(Job::Look);
        assert!(matches!(refused, Err(StoreError::Closed { .. })));
    }

    #[test]
    fn the_writer_does_not_wait_past_its_moment() {
        let queue = Queue::new();
        queue.send(Job::Look).expect("it is open");
        assert!(queue.sleep(2, Some(Instant::now() + Duration::from_millis(1))));
    }

    #[test]
    fn where_the_writer_ends_what_waits_is_given_up_and_nothing_more_is_taken() {
        let queue = Arc::new(Queue::new());
        let served = Served::new(queue.clone());
        queue.send(Job::Look).expect("it is open");
        drop(served);
        assert!(queue.lock().jobs.is_empty());
        let Err(StoreError::Closed { reason }) = queue.send(Job::Look) else {
            panic!("nobody would serve it");
        };
        assert!(reason.contains("the writing thread failed"), "{reason}");
    }
}
