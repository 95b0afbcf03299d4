//! The one thread that writes: it takes what waits, stores it in one transaction, and answers everybody.

mod answer;
mod batch;
mod group;
mod heads;
mod import;
mod log;
mod prepare;
mod queue;
mod thread;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};
use tokio::task::coop::unconstrained;

use self::answer::Answers;
use self::heads::Heads;
pub(super) use self::log::BUSY;
use self::queue::{Append, Import, Job, Queue, Work};
use self::thread::Thread;
use super::aggregates::NameDigest;
use super::aside::Aside;
use super::database::Database;
use super::options::SqliteOptions;
use super::types;
use crate::block::StoredEvent;
use crate::store::{AppendedCommit, CommitRequest, Head, ProvedCommit, SealOptions, StoreError};

/// The way to the thread that writes.
pub(super) struct Writer {
    queue: Queue,
    thread: Mutex<Option<JoinHandle<()>>>,
    heads: Arc<Heads>,
    aside: Aside,
    options: SealOptions,
    last: watch::Receiver<u64>,
    answers: Answers,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        database: Database,
        options: &SqliteOptions,
        digest: NameDigest,
    ) -> Result<Self, StoreError> {
        let place = database.place().clone();
        let (moved, last) = watch::channel(database.read(types::last_position)?);
        let heads = Arc::new(Heads::new());
        let (sender, receiver) = channel();
        let thread = Thread::new(database, options, digest, heads.clone(), moved, receiver)?;
        let thread = std::thread::Builder::new()
            .name("cim-es-write".into())
            .spawn(move || thread.run())
            .map_err(|error| StoreError::Engine {
                place: place.to_string(),
                operation: "starting the writing thread",
                source: Arc::new(error),
            })?;
        Ok(Self {
            queue: Queue::new(sender),
            thread: Mutex::new(Some(thread)),
            heads,
            aside: Aside::new(),
            options: options.seal,
            last,
            answers: Answers::default(),
        })
    }

    /// Whether to seal a commit takes long, and some of its heads are not known: they are better read before than by the
    /// writer, who would then seal while the others wait.
    pub(super) fn wants_heads(&self, request: &CommitRequest) -> bool {
        prepare::bytes(request) >= super::aside::LONG
    }

    /// Stores a commit. `guesses` are heads of its aggregates, in order, that may have been read before.
    pub(super) async fn append(
        &self,
        request: CommitRequest,
        guesses: Vec<Option<Head>>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        // See `Readers::read` for the budget.
        unconstrained(async {
            let bytes = prepare::bytes(&request);
            let place = self.queue.place(bytes).await?;
            let (heads, options) = (self.heads.clone(), self.options);
            let prepare = move || prepare::prepare(request, &guesses, &heads, &options);
            let prepared = self.aside.run(bytes, prepare).await??;
            let (answer, question) = oneshot::channel();
            self.queue.send(Job::Append(Append {
                prepared,
                answer,
                _place: place,
            }))?;
            self.answers.wait(question).await
        })
        .await
    }

    /// Stores commits that were sealed elsewhere, of some bytes.
    pub(super) async fn append_sealed(
        &self,
        bytes: usize,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        unconstrained(async {
            let place = self.queue.place(bytes).await?;
            let (answer, question) = oneshot::channel();
            self.queue.send(Job::Import(Import {
                commits,
                answer,
                _place: place,
            }))?;
            self.answers.wait(question).await
        })
        .await
    }

    /// Runs another write, of some bytes, in a transaction with the others that wait. Where one of them fails, it is run
    /// again without that one.
    pub(super) async fn write(
        &self,
        bytes: usize,
        write: impl Fn(&Database) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        unconstrained(async {
            let place = self.queue.place(bytes).await?;
            let (answer, question) = oneshot::channel();
            self.queue.send(Job::Write(Work {
                write: Box::new(write),
                answer,
                _place: place,
            }))?;
            self.answers.wait(question).await
        })
        .await
    }

    /// Does work that takes the processor long elsewhere, when it is about many bytes.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.aside.run(bytes, work).await
    }

    /// Follows the last position, also as other processes move it.
    pub(super) fn follow(&self) -> Result<watch::Receiver<u64>, StoreError> {
        let last = self.last.clone();
        self.queue.send(Job::Look)?;
        Ok(last)
    }

    /// Lets the thread end after the writes that somebody waits for, and waits for it.
    pub(super) fn stop(&self) {
        self.queue.close();
        // Held while it ends, so that whoever else stops it waits as well.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writing thread failed");
        }
    }
}
