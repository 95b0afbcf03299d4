//! The threads that read, so that no async caller waits for the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::coop::unconstrained;

use super::database::Database;
use super::wanted::{Wanted, waiting};
use crate::store::StoreError;

/// How many reads may wait for a thread; further ones wait to be among them.
const QUEUE: usize = 256;

struct Job {
    work: Box<dyn FnOnce(&Database) + Send>,
    wanted: Wanted,
    /// The place in the queue.
    _place: OwnedSemaphorePermit,
}

/// The threads that read, each with a connection of its own.
pub(super) struct Readers {
    jobs: Mutex<Option<Sender<Job>>>,
    queue: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(super) fn start(databases: Vec<Database>) -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = databases
            .into_iter()
            .map(|database| {
                let receiver = receiver.clone();
                std::thread::Builder::new()
                    .name("cim-es-read".into())
                    .spawn(move || serve(&database, &receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            queue: Arc::new(Semaphore::new(QUEUE)),
            threads: Mutex::new(threads),
        })
    }

    /// Runs `work` on a reading thread, in one transaction. When the future is dropped before it is done, the work is
    /// not begun, or ends early.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Without the budget of a task of tokio's: where that is spent, only the runtime wakes who waits, and the runtime
        // may itself wait here, in a `block_on` of another executor.
        unconstrained(async {
            let place = self.queue.clone().acquire_owned().await;
            let place = place.map_err(|_| closed())?;
            let (answer, question) = oneshot::channel();
            let (waits, wanted) = waiting();
            let job = Job {
                work: Box::new(move |database| {
                    // Whoever asked may have gone meanwhile.
                    let _ = answer.send(database.read(work));
                }),
                wanted,
                _place: place,
            };
            let sent = self
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .is_some_and(|jobs| jobs.send(job).is_ok());
            if !sent {
                return Err(closed());
            }
            let outcome = question.await.unwrap_or_else(|_| {
                Err(StoreError::Closed {
                    reason: "a reading thread failed; this is a defect of the library".into(),
                })
            });
            waits.answered();
            outcome
        })
        .await
    }

    /// Lets the threads end after the reads that somebody waits for, and waits for them.
    pub(super) fn stop(&self) {
        self.queue.close();
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Held while they end, so that whoever else stops them waits as well.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread failed");
            }
        }
    }
}

fn serve(database: &Database, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        if !job.wanted.is_wanted() {
            continue;
        }
        database.current.set(Some(job.wanted));
        // A defect in one read must not take the thread from all others; the caller notices that nobody answers.
        if catch_unwind(AssertUnwindSafe(|| (job.work)(database))).is_err() {
            database.rollback();
        }
        database.current.set(None);
    }
}

/// The answer of a store that was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Closed {
        reason: "it was closed by its owner; open it again".into(),
    }
}
