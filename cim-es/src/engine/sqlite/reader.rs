//! The threads that read or write, so that no async caller waits for the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::coop::unconstrained;

use super::database::Database;
use super::wanted::{Wanted, waiting};
use crate::store::StoreError;

/// How many jobs may wait for a thread; further ones wait to be among them.
const QUEUE: usize = 256;

/// What a thread works on: a connection, and what it knows beside it.
pub(super) trait Connected: Send + 'static {
    /// The connection.
    fn database(&self) -> &Database;

    /// What is due after an answer.
    fn tidy(&mut self) {}
}

impl Connected for Database {
    fn database(&self) -> &Database {
        self
    }
}

struct Job<C> {
    work: Box<dyn FnOnce(&mut C) + Send>,
    wanted: Wanted,
    /// The place in the queue.
    _place: OwnedSemaphorePermit,
}

/// The threads that read, each with a connection of its own.
pub(super) type Readers = Threads<Database>;

/// Threads that take their work from one queue, each with a connection of its own.
pub(super) struct Threads<C: Connected> {
    jobs: Mutex<Option<Sender<Job<C>>>>,
    queue: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Runs `work` on a reading thread, in one transaction. When the future is dropped before it is done, the work is
    /// not begun, or ends early.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_or(work).await
    }

    /// The same for work that goes on behind what is damaged.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(|database: &mut Database| database.look(work))
            .await
    }

    /// The same for work that has errors of its own.
    pub(super) async fn read_or<T, E>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(|database: &mut Database| database.read(work))
            .await
    }
}

impl<C: Connected> Threads<C> {
    /// Starts one thread for each connection.
    pub(super) fn start(name: &str, connections: Vec<C>) -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Job<C>>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = connections
            .into_iter()
            .map(|connected| {
                let receiver = receiver.clone();
                std::thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || serve(connected, &receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            queue: Arc::new(Semaphore::new(QUEUE)),
            threads: Mutex::new(threads),
        })
    }

    /// Runs `work` on a thread. When the future is dropped before it is done, the work is not begun, or ends early.
    pub(super) async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut C) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        // Without the budget of a task of tokio's: where that is spent, only the runtime wakes who waits, and the runtime
        // may itself wait here, in a `block_on` of another executor.
        unconstrained(async {
            let place = self.queue.clone().acquire_owned().await;
            let place = place.map_err(|_| closed())?;
            let (answer, question) = oneshot::channel();
            let (waits, wanted) = waiting();
            let job = Job {
                work: Box::new(move |connected| {
                    // Whoever asked may have gone meanwhile.
                    let _ = answer.send(work(connected));
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
                return Err(closed().into());
            }
            let outcome = question.await.unwrap_or_else(|_| {
                Err(StoreError::Closed {
                    reason: "a thread failed; this is a defect of the library".into(),
                }
                .into())
            });
            waits.answered();
            outcome
        })
        .await
    }

    /// Lets the threads end after the work that somebody waits for, and waits for them.
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
                tracing::error!("a thread failed");
            }
        }
    }
}

fn serve<C: Connected>(mut connected: C, jobs: &Mutex<Receiver<Job<C>>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        if !job.wanted.is_wanted() {
            continue;
        }
        connected.database().current.set(Some(job.wanted));
        // A defect in one job must not take the thread from all others; the caller notices that nobody answers.
        let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&mut connected)));
        connected.database().current.set(None);
        // Whatever it has left open is not the next one's.
        connected.database().rollback();
        connected.tidy();
    }
}

/// The answer of a store that was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Closed {
        reason: "it was closed by its owner; open it again".into(),
    }
}
